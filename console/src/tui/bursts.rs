//! Bursts: bars that are much higher than those before them.

use hourlog::Offset;

/// A bar is a burst if it has this many times the median of the bars before it.
const MEDIANS: u64 = 5;
/// Bars before a burst that it is compared with.
pub(crate) const BARS_BEFORE: usize = 30;
/// Bars without an event after which the next one is a burst.
const SILENT_BARS: usize = 3;

/// Returns the starts of the bars that are bursts.
pub(crate) fn bursts(bars: &[(Offset, u64)]) -> Vec<Offset> {
    let is_burst = |index: usize| {
        let count = bars[index].1;
        let before = &bars[index.saturating_sub(BARS_BEFORE)..index];
        let mut sorted: Vec<u64> = before.iter().map(|(_, count)| *count).collect();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
        let silent = before.iter().rev().take_while(|(_, count)| *count == 0).count();
        count > 0 && (silent >= SILENT_BARS || (median > 0 && count >= median.saturating_mul(MEDIANS)))
    };
    (1..bars.len()).filter(|index| is_burst(*index)).map(|index| bars[index].0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_much_more_than_before_or_comes_after_silence() {
        let bars = |counts: &[u64]| {
            let bars: Vec<(Offset, u64)> =
                counts.iter().enumerate().map(|(at, count)| (Offset::from_nanos(at as i64), *count)).collect();
            bursts(&bars).into_iter().map(Offset::nanos).collect::<Vec<_>>()
        };
        assert_eq!(bars(&[2, 2, 2, 10, 2, 9, 2]), [3]);
        assert_eq!(bars(&[1, 0, 0, 0, 1, 1, 0, 0, 1]), [4]);
        assert!(bars(&[0, 0, 0]).is_empty() && bars(&[]).is_empty());
    }
}
