//! A limit of events a second: steady, and without a burst after a pause.

use std::{num::NonZeroU32, time::Duration};

use tokio::time::Instant;

/// Time whose events may be sent at once when the last ones took too long.
const BURST: Duration = Duration::from_millis(50);

/// A limit of events a second.
#[derive(Debug)]
pub(crate) struct Rate {
    interval: Duration,
    burst: u32,
    /// Time from which the next event may be sent; `None` before the first.
    next: Option<Instant>,
}

impl Rate {
    /// A limit of `rate` events a second.
    pub(crate) fn new(rate: NonZeroU32) -> Self {
        let interval = Duration::from_secs(1) / rate.get();
        let burst = (rate.get() as f64 * BURST.as_secs_f64()) as u32;
        Self { interval, burst: burst.max(1), next: None }
    }

    /// Waits until an event may be sent, and returns how many may be.
    pub(crate) async fn wait(&mut self) -> usize {
        if let Some(next) = self.next {
            tokio::time::sleep_until(next).await;
        }
        self.allowed(Instant::now()) as usize
    }

    /// Returns the number of events that may be sent at `now`.
    fn allowed(&mut self, now: Instant) -> u32 {
        let next = *self.next.get_or_insert(now);
        let Some(late) = now.checked_duration_since(next) else { return 0 };
        let due = late.as_nanos() / self.interval.as_nanos().max(1) + 1;
        if due > u128::from(self.burst) {
            // Lines that were not sent in a pause are not sent faster after it.
            self.next = now.checked_sub(self.interval * (self.burst - 1));
            return self.burst;
        }
        due as u32
    }

    /// Records that `count` events are sent.
    pub(crate) fn sent(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.next = self.next.map(|next| next + self.interval.saturating_mul(count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number of events that a limit lets through in `millis`, asked every `step_millis`.
    fn sent(limit: &mut Rate, start: Instant, millis: std::ops::Range<u64>, step_millis: usize) -> u32 {
        let mut total = 0;
        for at in millis.step_by(step_millis) {
            let allowed = limit.allowed(start + Duration::from_millis(at));
            limit.sent(allowed as usize);
            total += allowed;
        }
        total
    }

    #[test]
    fn a_rate_is_kept_to_the_event_and_a_pause_is_not_made_up_for() {
        let start = Instant::now();
        for rate in [1, 7, 50, 1_000, 40_000] {
            let mut limit = Rate::new(NonZeroU32::new(rate).expect("it is not zero"));
            let burst = limit.burst;
            let first = sent(&mut limit, start, 0..10_000, 10);
            assert!((rate * 99 / 10..=rate * 10 + burst).contains(&first), "{first} of {rate} a second");
            // An hour without input, and then as much as there is.
            let after = sent(&mut limit, start, 3_600_000..3_601_000, 10);
            assert!((rate * 98 / 100..=rate + burst).contains(&after), "{after} of {rate} a second");
        }
    }

    #[test]
    fn a_low_rate_sends_single_events_at_equal_intervals() {
        let start = Instant::now();
        let mut limit = Rate::new(NonZeroU32::new(10).expect("it is not zero"));
        let mut times = Vec::new();
        for at in 0..1_000 {
            let allowed = limit.allowed(start + Duration::from_millis(at));
            assert!(allowed <= 1, "{allowed} at {at} ms");
            if allowed == 1 {
                limit.sent(1);
                times.push(at);
            }
        }
        assert_eq!(times, (0..10).map(|number| number * 100).collect::<Vec<_>>());
    }
}
