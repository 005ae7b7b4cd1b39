//! Numbers of a field: their spread, and how they go over time.

use hourlog::Offset;

use super::scale::Grid;

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

/// Returns a number in at most `room` letters, where that is possible without another unit than `k`, `M` and `G`.
pub(crate) fn short(number: f64, room: usize) -> String {
    let whole = number.to_string();
    if whole.len() <= room {
        return whole;
    }
    let units = [(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")];
    let (unit, name) = units.into_iter().rev().find(|(unit, _)| number.abs() >= *unit).unwrap_or((1.0, ""));
    let texts = (0..=3).rev().map(|decimals| format!("{:.decimals$}{name}", number / unit));
    texts.clone().find(|text| text.len() <= room).or_else(|| texts.clone().next_back()).unwrap_or(whole)
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
    fn a_long_number_is_shortened_as_far_as_there_is_room() {
        let shown = [6.4, 12_345.0, 0.123_456, 2_500_000.0, -3.25].map(|number| short(number, 4));
        assert_eq!(shown, ["6.4", "12k", "0.12", "2.5M", "-3.2"]);
    }
}
