//! The pulse of this process: tells if it has been stopped for half a minute, so that requests at hand may be old.
//!
//! A pure rule: time is an argument. It is the time of a wall clock, which goes on while a machine sleeps.

use hourlog::{Offset, time::SECOND};

/// A pause of the pulse from which on the process counts as stopped. Less than the time for which a stream recognises a
/// repeated message, so that a client of before the pause may have sent its record again.
const STOPPED_NANOS: i64 = 30 * SECOND;
/// Time after a pause for which requests may be older than it: those that waited in the socket.
const OLD_NANOS: i64 = 5 * SECOND;

/// The pulse.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pulse {
    at: Offset,
    /// The end of the last pause.
    resumed: Option<Offset>,
}

impl Pulse {
    pub(super) fn new(now: Offset) -> Self {
        Self { at: now, resumed: None }
    }

    /// Returns the pulse after a beat.
    pub(super) fn beat(self, now: Offset) -> Self {
        let resumed = if self.has_paused(now) { Some(now) } else { self.resumed };
        Self { at: now, resumed }
    }

    /// Returns true if a request that is at hand now may have waited while the process was stopped.
    pub(super) fn has_old_requests(self, now: Offset) -> bool {
        self.has_paused(now) || self.resumed.is_some_and(|resumed| now.nanos() - resumed.nanos() < OLD_NANOS)
    }

    fn has_paused(self, now: Offset) -> bool {
        now.nanos() - self.at.nanos() >= STOPPED_NANOS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Offset {
        Offset::from_nanos(seconds * SECOND)
    }

    #[test]
    fn requests_may_be_old_during_a_long_pause_and_shortly_after_it() {
        let pulse = Pulse::new(at(0)).beat(at(20)).beat(at(21));
        assert!(!pulse.has_old_requests(at(22)) && !pulse.has_old_requests(at(50)));
        // The process has just woken up, and its pulse has not beaten yet.
        assert!(pulse.has_old_requests(at(51)));
        let pulse = pulse.beat(at(60)).beat(at(61));
        assert!(pulse.has_old_requests(at(64)) && !pulse.has_old_requests(at(65)));
    }
}
