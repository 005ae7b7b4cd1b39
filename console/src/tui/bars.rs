//! The bars of the scrubber: the number of events in each step of the window.
//!
//! Counts come from the archive, so the whole time is known before an event is loaded. Its index counts parts of buckets.
//! Where a bar is shorter than a part, and the events were not read yet, the part's mean is drawn, and says so.

use hourlog::{
    LogId, Offset,
    wire::{BinReply, TimelineReply},
};

use crate::tui::{
    scale::Grid,
    state::{Heights, Log, counting::Counting},
};

/// A peak of this many medians makes the others flat.
const FLAT_MEDIANS: u64 = 50;

/// A bar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bar {
    /// Number of all events; `None` if it is not known yet.
    pub count: Option<u64>,
    /// Number of the events that pass the filters, or that a search has found.
    pub matches: u64,
    /// Number of the events that are errors, if that is known.
    pub errors: u64,
    /// Number of the events that are warnings, if that is known.
    pub warnings: u64,
    /// The count is the mean of a longer stretch.
    pub is_mean: bool,
}

/// Returns the bars of a log's window.
pub fn bars(log: &Log) -> Vec<Bar> {
    let Some(grid) = &log.scrubber.grid else { return Vec::new() };
    let mut bars = vec![Bar::default(); grid.bars()];
    if let Some(reply) = log.scrubber.counts.known() {
        for (bar, (count, is_mean)) in bars.iter_mut().zip(counts(grid, reply)) {
            (bar.count, bar.is_mean) = (count, is_mean);
        }
    }
    let counted = |counting: &Counting| {
        let counts = counting.known().map(|reply| counts(grid, reply)).unwrap_or_default();
        counts.into_iter().map(|(count, _)| count.unwrap_or(0)).collect::<Vec<u64>>()
    };
    if log.is_filtered() {
        for (bar, count) in bars.iter_mut().zip(counted(&log.scrubber.matches)) {
            bar.matches = count;
        }
    } else if let Some(search) = &log.search {
        let (from, to) = grid.window();
        let hits = search.hits().range(hourlog::Position::at(from)..hourlog::Position::at(to));
        for bar in hits.filter_map(|hit| grid.bar(hit.offset)) {
            bars[bar].matches += 1;
        }
    } else {
        let levels = counted(&log.scrubber.errors).into_iter().zip(counted(&log.scrubber.warnings));
        for (bar, (errors, warnings)) in bars.iter_mut().zip(levels) {
            (bar.errors, bar.warnings) = (errors, warnings);
        }
    }
    bars
}

/// Returns the bars of a lane in the window, as far as they are known.
pub(crate) fn lane(log: &Log, lane: &LogId) -> Vec<Bar> {
    let all = lane_counts(log, &log.scrubber.counts, lane);
    let mut matches = if log.is_filtered() { lane_counts(log, &log.scrubber.matches, lane) } else { Vec::new() };
    matches.resize(all.len(), None);
    let bar =
        |(count, matches): (Option<u64>, Option<u64>)| Bar { count, matches: matches.unwrap_or(0), ..Bar::default() };
    all.into_iter().zip(matches).map(bar).collect()
}

fn lane_counts(log: &Log, counting: &Counting, lane: &LogId) -> Vec<Option<u64>> {
    let (Some(grid), Some(reply)) = (&log.scrubber.grid, counting.known()) else { return Vec::new() };
    let groups = reply.groups.iter().flatten();
    let Some(group) = groups.into_iter().find(|group| group.value.as_deref() == Some(lane.as_str())) else {
        return Vec::new();
    };
    let bins = reply.bins.iter().zip(&group.bins).map(|(bin, count)| BinReply { count: *count, ..bin.clone() });
    let reply = TimelineReply { bins: bins.collect(), groups: None, ..reply.clone() };
    counts(grid, &reply).into_iter().map(|(count, _)| count).collect()
}

/// Returns the count of each bar, and true if it is a mean.
fn counts(grid: &Grid, reply: &TimelineReply) -> Vec<(Option<u64>, bool)> {
    let edges = grid.edges();
    let bin = |from: Offset, to: Offset| {
        let index = reply.bins.binary_search_by_key(&from, |bin| bin.from).ok()?;
        Some(&reply.bins[index]).filter(|bin| bin.to == to).map(|bin| bin.count)
    };
    let exact: Vec<Option<u64>> = edges.windows(2).map(|edge| bin(edge[0], edge[1])).collect();
    let grain = reply.grain.0;
    if reply.exact || grain <= 0 {
        return exact.into_iter().map(|count| (count, false)).collect();
    }
    // The index has a part's count at its start. Its mean is drawn over all of it.
    let part = |index: usize| edges[index].nanos().div_euclid(grain);
    let mut means = Vec::with_capacity(exact.len());
    let mut first = 0;
    while first < exact.len() {
        let last = (first..exact.len()).take_while(|index| part(*index) == part(first)).last().unwrap_or(first);
        let known: Option<u64> = exact[first..=last].iter().copied().sum();
        let bars = (last - first + 1) as u64;
        for number in 0..bars {
            let share = |count: u64, number: u64| count * number / bars;
            means.push((
                known.map(|count| share(count, number + 1) - share(count, number)),
                known.is_some() && bars > 1,
            ));
        }
        first = last + 1;
    }
    means
}

/// Returns the counts of a timeline in equal columns. Those of a part of the index are spread over all of it.
pub(crate) fn columns(reply: &TimelineReply, (from, to): (Offset, Offset), columns: usize) -> Vec<u64> {
    let mut counts = vec![0; columns];
    let span = (i128::from(to.nanos()) - i128::from(from.nanos())).max(1);
    let column = |at: i64| {
        let into = i128::from(at) - i128::from(from.nanos());
        usize::try_from((into * columns as i128 / span).clamp(0, columns as i128 - 1)).unwrap_or(0)
    };
    for bin in reply.bins.iter().filter(|bin| bin.count > 0) {
        let part = reply.grain.0.max(1);
        let is_finer = !reply.exact && bin.to.nanos().saturating_sub(bin.from.nanos()) < part;
        let (start, end) = if is_finer {
            // The reply puts the count of a part into the bin in which the part begins; the first bin may begin later.
            let start = bin.to.nanos().saturating_sub(1).div_euclid(part) * part;
            (start.max(from.nanos()), start.saturating_add(part).min(to.nanos()))
        } else {
            (bin.from.nanos(), bin.to.nanos())
        };
        let (first, last) = (column(start), column(end.saturating_sub(1)).max(column(start)));
        // Each column gets its share of the time, so that equal bins are equally high wherever columns begin.
        let length = (i128::from(end) - i128::from(start)).max(1);
        let before = |index: usize| {
            let edge = i128::from(from.nanos()) + (span * index as i128).div_euclid(columns as i128);
            let into = (edge - i128::from(start)).clamp(0, length);
            ((i128::from(bin.count) * into * 2 + length) / (length * 2)) as u64
        };
        for (index, count) in counts.iter_mut().enumerate().take(last + 1).skip(first) {
            let until = if index == last { bin.count } else { before(index + 1) };
            *count += until - if index == first { 0 } else { before(index) };
        }
    }
    counts
}

/// Returns the way in which heights follow from counts.
pub(crate) fn heights(chosen: Heights, bars: &[Bar]) -> Heights {
    if chosen != Heights::Automatic {
        return chosen;
    }
    heights_of(bars.iter().filter_map(|bar| bar.count))
}

/// Returns the way in which heights follow from these counts.
pub(crate) fn heights_of(counts: impl Iterator<Item = u64>) -> Heights {
    let mut counts: Vec<u64> = counts.filter(|count| *count > 0).collect();
    counts.sort_unstable();
    let median = counts.get(counts.len() / 2).copied().unwrap_or(0);
    let is_flat = counts.last().is_some_and(|peak| *peak > median.saturating_mul(FLAT_MEDIANS));
    if is_flat { Heights::Root } else { Heights::Linear }
}

/// Returns the height of a bar: `levels` for the peak, and at least one for a single event.
pub(crate) fn height(count: u64, peak: u64, levels: usize, heights: Heights) -> usize {
    if count == 0 || peak == 0 {
        return 0;
    }
    let (count, peak) = (count.min(peak) as f64, peak as f64);
    let part = match heights {
        Heights::Automatic | Heights::Linear => count / peak,
        Heights::Root => (count / peak).sqrt(),
        Heights::Logarithm => (count.ln_1p() / peak.ln_1p()).clamp(0.0, 1.0),
    };
    ((part * levels as f64).ceil() as usize).clamp(1, levels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::{
        time::{MINUTE, SECOND},
        wire::{Span, Step},
    };
    use jiff::tz::TimeZone;

    fn at(seconds: i64) -> Offset {
        Offset::from_nanos(seconds * SECOND)
    }

    fn grid() -> Grid {
        let grid = Grid::of_length(120 * SECOND, at(60), 12, &TimeZone::UTC);
        assert_eq!((grid.scale.step, grid.window()), (Step::Nanos(10 * SECOND), (at(0), at(120))));
        grid
    }

    fn reply(counts: [u64; 12], exact: bool) -> TimelineReply {
        let bin = |(index, count): (usize, u64)| BinReply {
            from: at(index as i64 * 10),
            to: at(index as i64 * 10 + 10),
            count,
        };
        TimelineReply {
            bins: counts.into_iter().enumerate().map(bin).collect(),
            count: counts.iter().sum(),
            exact,
            grain: Span(MINUTE),
            ..TimelineReply::empty(at(0), at(120), at(120))
        }
    }

    #[test]
    fn bars_shorter_than_the_index_are_means_that_keep_the_sum() {
        let means = counts(&grid(), &reply([61, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0], false));
        let drawn: Vec<u64> = means.iter().filter_map(|(count, _)| *count).collect();
        assert_eq!(drawn, [10, 10, 10, 10, 10, 11, 1, 1, 1, 1, 1, 2]);
        assert!(means.iter().all(|(_, is_mean)| *is_mean));
        let exact = counts(&grid(), &reply([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], true));
        assert!(exact.iter().enumerate().all(|(index, bar)| *bar == (Some(index as u64 + 1), false)));
    }

    #[test]
    fn counts_of_another_window_fill_only_the_bars_that_are_the_same() {
        let later = grid().with(at(130), &TimeZone::UTC);
        let known = counts(&later, &reply([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], true));
        let (from, _) = later.window();
        let first = (from.nanos() / SECOND / 10) as usize;
        let expected: Vec<Option<u64>> =
            (0..12).map(|bar| (first + bar < 12).then(|| (first + bar) as u64 + 1)).collect();
        assert_eq!(known.into_iter().map(|(count, _)| count).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn equal_bins_are_about_equally_high_in_columns_that_begin_elsewhere() {
        let counts = columns(&reply([1_000; 12], true), (at(0), at(120)), 9);
        assert_eq!(counts.iter().sum::<u64>(), 12_000);
        assert!(counts.iter().all(|count| (1_330..=1_336).contains(count)), "{counts:?}");
        let single = columns(&reply([0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], true), (at(0), at(120)), 50);
        assert_eq!(single.iter().sum::<u64>(), 1);
    }

    #[test]
    fn one_event_is_seen_beside_a_million() {
        for heights in [Heights::Linear, Heights::Root, Heights::Logarithm] {
            assert_eq!(height(1, 1_000_000, 32, heights).min(1), 1);
            assert_eq!(height(1_000_000, 1_000_000, 32, heights), 32);
            assert_eq!(height(0, 9, 32, heights), 0);
        }
        assert!(height(100, 10_000, 32, Heights::Root) > height(100, 10_000, 32, Heights::Linear));
    }

    #[test]
    fn a_peak_that_makes_the_others_flat_is_drawn_by_the_root() {
        let bars = |counts: &[u64]| {
            counts.iter().map(|count| Bar { count: Some(*count), ..Bar::default() }).collect::<Vec<_>>()
        };
        assert_eq!(heights(Heights::Automatic, &bars(&[1, 1, 1, 51])), Heights::Root);
        assert_eq!(heights(Heights::Automatic, &bars(&[1, 1, 1, 50])), Heights::Linear);
        assert_eq!(heights(Heights::Logarithm, &bars(&[1])), Heights::Logarithm);
    }
}
