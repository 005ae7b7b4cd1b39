//! Numbers of a field: their spread, and how they go over time.

use hourlog::Offset;

use super::{scale::Grid, state::Heights};

/// A number of this many medians makes the others flat.
const FLAT_MEDIANS: f64 = 50.0;

/// The numbers of one bar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PlotBar {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

/// Returns how many of the rising numbers are in each of some equal parts between the least and the greatest.
pub(crate) fn spread(rising: &[f64], parts: usize) -> Vec<u64> {
    let mut counts = vec![0; parts];
    for number in rising {
        if let Some(part) = part(rising, *number, parts) {
            counts[part] += 1;
        }
    }
    counts
}

/// Returns how many different numbers there are.
pub(crate) fn values(rising: &[f64]) -> usize {
    rising.chunk_by(|one, next| one == next).count()
}

/// Returns the part of the spread that has a number.
pub(crate) fn part(rising: &[f64], number: f64, parts: usize) -> Option<usize> {
    let (least, most) = (*rising.first()?, *rising.last()?);
    if parts == 0 || !(least..=most).contains(&number) {
        return None;
    }
    // Halves, because the difference of two finite numbers may be infinite.
    let (into, span) = (number / 2.0 - least / 2.0, most / 2.0 - least / 2.0);
    let share = if span > 0.0 { into / span } else { 0.0 };
    Some(((share * parts as f64) as usize).min(parts - 1))
}

/// Returns the numbers of each bar of a window.
pub(crate) fn plot(numbers: &[(Offset, f64)], grid: &Grid) -> Vec<Option<PlotBar>> {
    let mut bars: Vec<Vec<f64>> = vec![Vec::new(); grid.bars()];
    for (at, number) in numbers {
        if let Some(bar) = grid.bar(*at) {
            bars[bar].push(*number);
        }
    }
    let of = |mut numbers: Vec<f64>| {
        numbers.sort_unstable_by(f64::total_cmp);
        let (least, most) = (*numbers.first()?, *numbers.last()?);
        Some(PlotBar { least, median: numbers[(numbers.len() - 1) / 2], most })
    };
    bars.into_iter().map(of).collect()
}

/// Returns the way in which the places of numbers on an axis follow from them.
pub(crate) fn axis_of(chosen: Heights, bars: &[Option<PlotBar>]) -> Heights {
    if chosen != Heights::Automatic {
        return chosen;
    }
    let mut medians: Vec<f64> = bars.iter().flatten().map(|bar| bar.median.abs()).collect();
    medians.sort_unstable_by(f64::total_cmp);
    let median = medians.get(medians.len() / 2).copied().unwrap_or(0.0);
    let most = bars.iter().flatten().map(|bar| bar.most.abs().max(bar.least.abs())).fold(0.0, f64::max);
    if most > median * FLAT_MEDIANS && median > 0.0 { Heights::Logarithm } else { Heights::Linear }
}

/// Returns the place of a number between the least and the greatest one: from 0 to 1.
pub(crate) fn place(number: f64, least: f64, most: f64, axis: Heights) -> f64 {
    let scaled = |number: f64| match axis {
        Heights::Automatic | Heights::Linear => number / 2.0,
        Heights::Root => number.abs().sqrt().copysign(number),
        Heights::Logarithm => number.abs().ln_1p().copysign(number),
    };
    let span = scaled(most) - scaled(least);
    if span > 0.0 { ((scaled(number) - scaled(least)) / span).clamp(0.0, 1.0) } else { 0.5 }
}

/// Returns a number in at most `room` letters, where that is possible without another unit than `k`, `M`, `G` and `T`.
pub(crate) fn short(number: f64, room: usize) -> String {
    let whole = number.to_string();
    if whole.len() <= room {
        return whole;
    }
    let units = [(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")];
    let (unit, name) = units.into_iter().rev().find(|(unit, _)| number.abs() >= *unit).unwrap_or((1.0, ""));
    let texts = (0..=3).rev().map(|decimals| format!("{:.decimals$}{name}", number / unit));
    let is_rounded_away = |text: &String| number != 0.0 && text.trim_matches(['-', '0', '.']).is_empty();
    let power = || format!("{number:.0e}").chars().take(room).collect();
    texts.into_iter().find(|text| text.len() <= room && !is_rounded_away(text)).unwrap_or_else(power)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::time::SECOND;
    use jiff::tz::TimeZone;

    #[test]
    fn each_number_is_in_one_part_of_the_spread() {
        assert_eq!(spread(&[0.0, 1.0, 5.0, 9.9, 10.0], 2), [2, 3]);
        assert_eq!(spread(&[3.0, 3.0], 4), [2, 0, 0, 0]);
        assert_eq!(spread(&[f64::MIN, 0.0, f64::MAX], 3), [1, 1, 1]);
        assert_eq!(spread(&[], 2), [0, 0]);
        assert_eq!(part(&[1.0, 2.0], 9.0, 2), None);
    }

    #[test]
    fn a_bar_has_the_median_of_its_numbers_and_an_empty_one_has_none() {
        let at = |seconds: i64| Offset::from_nanos(seconds * SECOND);
        let grid = Grid::of_length(120 * SECOND, at(60), 12, &TimeZone::UTC);
        let bars = plot(&[(at(0), 4.0), (at(3), 1.0), (at(9), 2.0), (at(119), 7.0)], &grid);
        assert_eq!(bars[0], Some(PlotBar { least: 1.0, median: 2.0, most: 4.0 }));
        assert_eq!(bars[11], Some(PlotBar { least: 7.0, median: 7.0, most: 7.0 }));
        assert_eq!(bars.iter().flatten().count(), 2);
    }

    #[test]
    fn numbers_of_very_different_sizes_are_placed_by_their_logarithms() {
        let bar = |median: f64, most: f64| Some(PlotBar { least: 0.0, median, most });
        assert_eq!(axis_of(Heights::Automatic, &[bar(10.0, 100.0), None]), Heights::Linear);
        assert_eq!(axis_of(Heights::Automatic, &[bar(10.0, 501.0)]), Heights::Logarithm);
        assert_eq!(axis_of(Heights::Root, &[bar(10.0, 501.0)]), Heights::Root);
        assert!(place(10.0, 0.0, 1_000.0, Heights::Logarithm) > place(10.0, 0.0, 1_000.0, Heights::Root));
        assert_eq!(place(5.0, 0.0, 10.0, Heights::Linear), 0.5);
        assert_eq!(place(-3.0, -3.0, -3.0, Heights::Linear), 0.5);
    }

    #[test]
    fn a_long_number_is_shortened_as_far_as_there_is_room() {
        let shown = [6.4, 12_345.0, 0.123_456, 2_500_000.0, -3.25].map(|number| short(number, 4));
        assert_eq!(shown, ["6.4", "12k", "0.12", "2.5M", "-3.2"]);
        assert_eq!([1e-7, 1e20].map(|number| short(number, 4)), ["1e-7", "1e20"]);
    }
}
