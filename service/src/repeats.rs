//! Traces that repeat: the first one is written, then at most one a minute.

use std::time::{Duration, Instant};

/// Shortest time between two traces of the same kind.
const INTERVAL: Duration = Duration::from_secs(60);

/// Decides which of many equal traces are written, and counts the others.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    traced: Option<Instant>,
    left_out: u64,
}

impl Repeats {
    /// Counts an occurrence at `now`. Returns the number of those left out since the last trace if
    /// this one is to be traced.
    pub(crate) fn count(&mut self, now: Instant) -> Option<u64> {
        if !self.is_due(now) {
            self.left_out += 1;
            return None;
        }
        self.traced = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }

    /// Returns the number of occurrences left out if they are to be traced at `now` without waiting
    /// for another one.
    pub(crate) fn overdue(&mut self, now: Instant) -> Option<u64> {
        if self.left_out == 0 || !self.is_due(now) {
            return None;
        }
        self.count(now)
    }

    fn is_due(&self, now: Instant) -> bool {
        self.traced.is_none_or(|traced| now.saturating_duration_since(traced) >= INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_traced_and_then_one_a_minute_with_a_count() {
        let (begun, mut repeats) = (Instant::now(), Repeats::default());
        // Four a second for two and a half minutes.
        let traced = (0..600).filter_map(|quarter| {
            let after = Duration::from_millis(quarter * 250);
            repeats.count(begun + after).map(|left_out| (after.as_secs(), left_out))
        });
        assert_eq!(traced.collect::<Vec<_>>(), [(0, 0), (60, 239), (120, 239)]);
        assert_eq!(repeats.count(begun + Duration::from_secs(1_000)), Some(119));
    }

    #[test]
    fn the_count_of_a_burst_is_traced_once_a_minute_later() {
        let (begun, mut repeats) = (Instant::now(), Repeats::default());
        assert_eq!(repeats.overdue(begun), None);
        for _ in 0..100 {
            repeats.count(begun);
        }
        assert_eq!(repeats.overdue(begun + Duration::from_secs(59)), None);
        assert_eq!(repeats.overdue(begun + INTERVAL), Some(99));
        assert_eq!(repeats.overdue(begun + INTERVAL * 2), None);
        assert_eq!(repeats.count(begun + INTERVAL * 2), Some(0));
    }
}
