//! JetStream's time, which messages and so events have: what the service knows of it without asking.
//!
//! The service's own clock may be wrong. Times that a request gives relative to now, and the times
//! before which events are no longer kept, must not depend on it.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use hourlog::{Offset, time::Clock};

/// A clock of one machine drifts from that of another by less than this part: NTP slews by at most
/// one part in 2,000.
const DRIFT: u32 = 2_000;

/// An estimate of JetStream's time.
#[derive(Debug)]
pub(crate) struct ServerTime {
    /// The service's own clock, until JetStream has told the time.
    clock: Clock,
    estimate: Mutex<Option<Estimate>>,
}

impl ServerTime {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, estimate: Mutex::default() }
    }

    /// Records that JetStream's time was `time`, in a reply that has just come to a question of `asked`.
    pub(crate) fn observed(&self, asked: Instant, time: Offset) {
        let observed = Estimate::new(asked, Instant::now(), time);
        let mut estimate = self.estimate.lock().unwrap_or_else(PoisonError::into_inner);
        *estimate = Some(estimate.map_or(observed, |before| before.with(observed)));
    }

    /// Returns JetStream's time; `None` until JetStream has told it.
    pub(crate) fn known(&self) -> Option<Offset> {
        let estimate = *self.estimate.lock().unwrap_or_else(PoisonError::into_inner);
        // The latest that it can be, so that everything that is archived lies before it.
        estimate.map(|estimate| estimate.at(Instant::now()).latest)
    }

    /// Returns JetStream's time, or that of the service's clock until JetStream has told it.
    pub(crate) fn now(&self) -> Offset {
        self.known().unwrap_or_else(self.clock)
    }

    /// Returns the earlier one of JetStream's time and that of the service's clock; `None` until JetStream
    /// has told its time. Events are removed by this time, so that one wrong clock removes none.
    pub(crate) fn earlier(&self) -> Option<Offset> {
        self.known().map(|known| known.min((self.clock)()))
    }

    /// Returns the nanoseconds by which the service's clock is ahead of JetStream's; below zero if it is
    /// behind.
    pub(crate) fn clock_ahead_nanos(&self) -> i64 {
        let own = (self.clock)();
        self.known().map_or(0, |known| own.nanos().saturating_sub(known.nanos()))
    }
}

/// JetStream's time was between two times when the service's monotonic clock showed `when`.
///
/// The wall clock takes no part: a step of it changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Estimate {
    when: Instant,
    earliest: Offset,
    latest: Offset,
}

impl Estimate {
    /// Returns what follows from a reply that was sent at `time` to a question of `asked`.
    fn new(asked: Instant, answered: Instant, time: Offset) -> Self {
        Self { when: answered, earliest: time, latest: time + answered.duration_since(asked) }
    }

    /// Returns the same at a later time. The clocks may have drifted apart meanwhile.
    fn at(self, when: Instant) -> Self {
        let passed = when.saturating_duration_since(self.when);
        let drift = passed / DRIFT;
        Self { when, earliest: self.earliest + (passed - drift), latest: self.latest + (passed + drift) }
    }

    /// Returns what follows from this and a later one: what both allow. If they contradict each other,
    /// JetStream's clock was set, and the later one holds.
    fn with(self, later: Self) -> Self {
        let before = self.at(later.when);
        let both = Self {
            when: later.when,
            earliest: before.earliest.max(later.earliest),
            latest: before.latest.min(later.latest),
        };
        if both.earliest <= both.latest { both } else { later }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::time::{DAY, HOUR, system_clock};
    use std::time::Duration;

    const NOON: Offset = Offset::from_nanos(1_000 * DAY + 12 * HOUR);
    const SECONDS: fn(u64) -> Duration = Duration::from_secs;

    /// A question that took `millis`, asked `seconds` after `start`, while JetStream's clock is `ahead` of
    /// noon at `start`.
    fn reply(start: Instant, seconds: u64, millis: u64, ahead: Duration) -> Estimate {
        let asked = start + SECONDS(seconds);
        let took = Duration::from_millis(millis);
        Estimate::new(asked, asked + took, NOON + SECONDS(seconds) + took / 2 + ahead)
    }

    #[test]
    fn the_time_lies_between_what_the_replies_allow() {
        let start = Instant::now();
        let mut estimate = reply(start, 0, 4_000, Duration::ZERO);
        // A slow reply says little, a fast one much, and a slow one after it does not spoil that.
        for (seconds, millis) in [(10, 2), (15, 3_000), (20, 4_000)] {
            estimate = estimate.with(reply(start, seconds, millis, Duration::ZERO));
            let true_time = NOON + estimate.when.duration_since(start);
            assert!(estimate.earliest <= true_time && true_time <= estimate.latest, "{estimate:?}");
        }
        let width = estimate.latest.duration_since(estimate.earliest);
        assert!(width < Duration::from_millis(20), "{width:?}");
    }

    #[test]
    fn a_clock_that_was_set_is_followed_at_once() {
        let start = Instant::now();
        let before = reply(start, 0, 2, Duration::ZERO);
        for ahead in [SECONDS(1), SECONDS(86_400)] {
            let later = reply(start, 5, 2, ahead);
            assert_eq!(before.with(later), later);
            let back = reply(start, 10, 2, Duration::ZERO);
            assert_eq!(later.with(back), back);
        }
    }

    #[test]
    fn a_later_time_allows_for_drift() {
        let estimate = reply(Instant::now(), 0, 0, Duration::ZERO);
        let later = estimate.at(estimate.when + SECONDS(2_000));
        assert_eq!((later.earliest, later.latest), (NOON + SECONDS(1_999), NOON + SECONDS(2_001)));
    }

    #[test]
    fn events_are_removed_by_the_earlier_clock() {
        let day = SECONDS(86_400);
        let time = ServerTime::new(system_clock);
        assert_eq!((time.known(), time.earlier()), (None, None));
        assert!(time.now() <= system_clock(), "without an answer it is the service's clock");
        time.observed(Instant::now(), system_clock() - day);
        assert!(time.earlier() < Some(system_clock() - day / 2), "the service's clock is a day ahead");
        time.observed(Instant::now(), system_clock() + day);
        assert!(time.earlier() <= Some(system_clock()), "JetStream's clock is a day ahead");
        assert!(time.now() > system_clock() + day / 2);
    }
}
