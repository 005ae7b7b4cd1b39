//! Limits on new logs, so that a publisher that makes ids up does not fill the archive with logs.
//!
//! The rule goes by the times of messages, not by a clock: a backlog is read faster than it was
//! published, and is not refused for that. Each source has times of its own, so each has a limit of its own.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

use hourlog::{LogId, Offset, time::SECOND};

use crate::config::Settings;

/// The new logs of this many seconds may come at once: devices that are switched on together.
const BURST_SECONDS: u64 = 30;
/// Number of logs that are known to exist, in each of two halves. Takes 18 MB.
const KNOWN_MAX: usize = 1 << 20;
/// The beginning of every reason, by which a refusal is recognised in `_rejected`.
pub(crate) const REFUSED: &str = "new log refused: ";

/// The logs of the archive and the limit on their number, shared by all sources.
#[derive(Debug)]
pub(crate) struct NewLogs(Mutex<State>);

#[derive(Debug)]
struct State {
    count: Count,
    known: Known,
}

/// The rule about the number of logs.
#[derive(Debug)]
struct Count {
    logs_max: u64,
    /// Number of logs in the archive; `None` until they were counted.
    counted: Option<u64>,
    /// Number of logs that were let in since the count began.
    since_count: u64,
}

/// The rule about new logs a second, of one source: it goes by the times of this source's messages.
#[derive(Debug)]
pub(crate) struct NewLogRate {
    per_second: u64,
    /// The nanoseconds for which new logs may still come: each takes its part of a second.
    left_nanos: u64,
    /// The greatest time since JetStream's clock was last set back.
    newest: Offset,
}

/// A limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Logs(u64),
    PerSecond(u64),
}

impl Limit {
    /// Returns the reason for `_rejected`.
    pub(crate) fn reason(self) -> String {
        let requeue = "then requeue it: hourlog admin requeue _rejected";
        match self {
            Self::Logs(max) => {
                format!(
                    "{REFUSED}the archive has {max} logs or more (--logs-max); delete some or raise the limit, {requeue}"
                )
            }
            Self::PerSecond(max) => {
                format!(
                    "{REFUSED}more than {max} new logs a second (--new-logs-a-second); wait or raise the limit, {requeue}"
                )
            }
        }
    }
}

impl Count {
    fn new(logs_max: u64) -> Self {
        Self { logs_max, counted: None, since_count: 0 }
    }

    /// Returns an error if the archive has no room for another log.
    fn check(&self) -> Result<(), Limit> {
        let is_full = self.counted.is_some_and(|counted| counted + self.since_count >= self.logs_max);
        if is_full { Err(Limit::Logs(self.logs_max)) } else { Ok(()) }
    }
}

impl NewLogRate {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self::of(settings.new_logs_per_second)
    }

    fn of(per_second: u64) -> Self {
        Self { per_second, left_nanos: BURST_SECONDS * SECOND as u64, newest: Offset::MIN }
    }

    /// Lets a log in whose first event came at `time`, or names the limit that forbids it.
    fn admit(&mut self, time: Offset) -> Result<(), Limit> {
        let burst_nanos = BURST_SECONDS * SECOND as u64;
        let passed = if self.newest == Offset::MIN { 0 } else { time.nanos().saturating_sub(self.newest.nanos()) };
        // JetStream's clock was ahead if its time goes back by more than that.
        if passed >= 0 || passed.unsigned_abs() > burst_nanos {
            self.newest = time;
        }
        self.left_nanos = self.left_nanos.saturating_add(passed.max(0).unsigned_abs()).min(burst_nanos);
        let cost = (SECOND as u64).checked_div(self.per_second).filter(|cost| *cost <= self.left_nanos);
        let Some(cost) = cost else { return Err(Limit::PerSecond(self.per_second)) };
        self.left_nanos -= cost;
        Ok(())
    }
}

/// Hashes of logs that exist. A log that is taken for known by mistake is let in, which harms nobody.
///
/// When one half is full, the other one is forgotten: a log that was just let in stays known until
/// its first write has ended.
#[derive(Debug, Default)]
struct Known {
    hasher: RandomState,
    newer: HashSet<u64>,
    older: HashSet<u64>,
}

impl Known {
    fn contains(&self, log: &LogId) -> bool {
        let hash = self.hasher.hash_one(log);
        self.newer.contains(&hash) || self.older.contains(&hash)
    }

    fn insert(&mut self, log: &LogId) {
        if self.newer.len() >= KNOWN_MAX {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(self.hasher.hash_one(log));
    }
}

impl NewLogs {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self(Mutex::new(State { count: Count::new(settings.logs_max), known: Known::default() }))
    }

    /// Returns true if the log is known to exist.
    pub(crate) fn knows(&self, log: &LogId) -> bool {
        self.lock().known.contains(log)
    }

    /// Notes that the log exists.
    pub(crate) fn know(&self, log: &LogId) {
        self.lock().known.insert(log);
    }

    /// Lets a log in that does not exist yet and whose first event came at `time`, or names the limit
    /// that forbids it. `rate` is that of its source.
    pub(crate) fn admit(&self, log: &LogId, rate: &mut NewLogRate, time: Offset) -> Result<(), Limit> {
        let mut state = self.lock();
        state.count.check()?;
        rate.admit(time)?;
        state.count.since_count += 1;
        state.known.insert(log);
        Ok(())
    }

    /// Begins a count of the archive's logs.
    pub(crate) fn begin_count(&self) {
        let mut state = self.lock();
        // Those that were let in before are counted, or were counted before.
        let before = std::mem::take(&mut state.count.since_count);
        state.count.counted = state.count.counted.map(|counted| counted + before);
    }

    /// Ends the count. A log that was let in meanwhile may count twice until the next one.
    pub(crate) fn end_count(&self, logs: u64) {
        self.lock().count.counted = Some(logs);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Offset {
        Offset::from_nanos(1_000 * SECOND + milliseconds * SECOND / 1_000)
    }

    #[test]
    fn a_burst_is_let_in_and_then_as_many_as_the_limit_says() {
        let mut rate = NewLogRate::of(10);
        let mut admitted = |time: i64| (0..1_000).take_while(|_| rate.admit(at(time)).is_ok()).count();
        assert_eq!(admitted(0), 300, "30 seconds at once");
        assert_eq!((admitted(0), admitted(99), admitted(100), admitted(1_100)), (0, 0, 1, 10));
        assert_eq!(admitted(600), 0, "an earlier time adds nothing");
        assert_eq!(admitted(3_600_000), 300, "and no more than a burst is saved up");
        assert_eq!(rate.admit(at(3_600_000)), Err(Limit::PerSecond(10)));
        assert_eq!(NewLogRate::of(0).admit(at(0)), Err(Limit::PerSecond(0)));
    }

    #[test]
    fn a_clock_that_was_ahead_holds_no_log_up_once_it_is_right() {
        let mut rate = NewLogRate::of(10);
        let mut admitted = |time: i64| (0..1_000).take_while(|_| rate.admit(at(time)).is_ok()).count();
        assert_eq!((admitted(0), admitted(2_000_000_000)), (300, 300));
        assert_eq!((admitted(1_000), admitted(1_100), admitted(3_000)), (0, 1, 19));
    }

    #[test]
    fn the_times_of_one_source_do_not_change_the_limit_of_another() {
        const HOUR_MILLISECONDS: i64 = 3_600_000;
        let new_logs = NewLogs::new(&Settings { new_logs_per_second: 10, ..Settings::default() });
        let (mut own, mut existing) = (NewLogRate::of(10), NewLogRate::of(10));
        let mut admitted = (0, 0);
        for number in 0..1_000 {
            // The existing stream is an hour behind, and both are read at the same time.
            let log = |source| format!("{source}.{number}").parse().expect("a valid id");
            admitted.0 += usize::from(new_logs.admit(&log("own"), &mut own, at(number)).is_ok());
            let time = at(number - HOUR_MILLISECONDS);
            admitted.1 += usize::from(new_logs.admit(&log("existing"), &mut existing, time).is_ok());
        }
        assert_eq!(admitted, (309, 309), "30 seconds at once, and what comes due in the second");
    }

    #[test]
    fn the_number_of_logs_is_limited_once_they_were_counted() {
        let new_logs = NewLogs::new(&Settings { logs_max: 3, ..Settings::default() });
        let mut rate = NewLogRate::of(1_000);
        let mut admit = |log: &str| new_logs.admit(&log.parse().expect("a valid id"), &mut rate, at(0));
        assert_eq!([admit("a"), admit("b")], [Ok(()), Ok(())]);
        new_logs.begin_count();
        new_logs.end_count(2);
        assert_eq!([admit("c"), admit("d")], [Ok(()), Err(Limit::Logs(3))]);
        assert!(Limit::Logs(3).reason().starts_with(REFUSED) && Limit::PerSecond(3).reason().starts_with(REFUSED));
    }

    #[test]
    fn a_log_that_was_just_let_in_stays_known() {
        let new_logs = NewLogs::new(&Settings::default());
        let log = |number: usize| -> LogId { format!("many.{number}").parse().expect("a valid id") };
        new_logs.know(&log(0));
        assert!(new_logs.knows(&log(0)) && !new_logs.knows(&log(1)));
        let known = &mut new_logs.lock().known;
        known.newer.extend((0..KNOWN_MAX as u64).map(|number| number ^ (1 << 63)));
        known.insert(&log(1));
        assert!(known.contains(&log(0)) && known.contains(&log(1)));
    }
}
