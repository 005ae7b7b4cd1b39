//! Progress of an archive that lags: shrinking, waiting or stalled.

use std::time::Duration;

use tokio::time::Instant;

/// Time without progress after which the archive counts as stalled.
pub(super) const STALLED_AFTER: Duration = Duration::from_secs(30);

/// The lowest lag so far, and when it was seen.
#[derive(Debug)]
pub(super) struct LagWatch {
    lowest: u64,
    progress_at: Instant,
}

/// The result of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trend {
    /// The lag has shrunk to this number of messages.
    Shrinking(u64),
    /// The lag has not shrunk lately.
    Waiting,
    /// The lag has not shrunk for [`STALLED_AFTER`].
    Stalled,
}

impl LagWatch {
    /// Starts a watch that has seen no lag yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { lowest: u64::MAX, progress_at: now }
    }

    /// Records the lag in messages, if it is known, and compares it with the lowest one so far.
    pub(super) fn observe(&mut self, lag: Option<u64>, now: Instant) -> Trend {
        match lag {
            Some(lag) if lag < self.lowest => {
                *self = Self { lowest: lag, progress_at: now };
                Trend::Shrinking(lag)
            }
            _ if now.duration_since(self.progress_at) > STALLED_AFTER => Trend::Stalled,
            _ => Trend::Waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_stalls_only_after_its_lag_has_not_shrunk_for_a_while() {
        let start = Instant::now();
        let mut watch = LagWatch::new(start);
        for (seconds, lag, trend) in [
            (1, Some(100), Trend::Shrinking(100)),
            (20, Some(100), Trend::Waiting),
            (30, Some(50), Trend::Shrinking(50)),
            (59, Some(120), Trend::Waiting),
            (60, None, Trend::Waiting),
            (61, None, Trend::Stalled),
            (62, Some(49), Trend::Shrinking(49)),
            (92, Some(49), Trend::Waiting),
            (93, Some(49), Trend::Stalled),
        ] {
            assert_eq!(watch.observe(lag, start + Duration::from_secs(seconds)), trend, "after {seconds} s");
        }
    }
}
