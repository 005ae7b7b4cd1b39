//! The health of one component: healthy, or degraded since a time, for a reason.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hourlog::{Error, LogId, Offset, time::Clock, wire::ComponentStatus};

use crate::{repeats::Repeats, trace::sentence};

/// A component that can be degraded: the archive, a source, the settings of a stream.
#[derive(Debug)]
pub(crate) struct Component {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    outage: Option<Outage>,
    /// Failures, also those of earlier outages: a component that fails and recovers all the time
    /// does not fill the trace.
    failures: Repeats,
}

#[derive(Debug)]
struct Outage {
    since: Offset,
    /// True once a failure of this outage was traced.
    is_traced: bool,
    /// The log for which the component fails; `None` if it fails for all.
    log: Option<LogId>,
    reason: String,
}

impl Component {
    /// Returns a healthy component.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Records a failure, for one log or for all. If it is to be traced, returns the number of
    /// failures that were not traced since the last one.
    pub(crate) fn degraded(&self, log: Option<&LogId>, error: &Error) -> Option<u64> {
        let mut state = self.state();
        let left_out = state.failures.count(Instant::now());
        let (since, was_traced) =
            state.outage.as_ref().map_or_else(|| ((self.clock)(), false), |outage| (outage.since, outage.is_traced));
        let is_traced = was_traced || left_out.is_some();
        state.outage = Some(Outage { since, is_traced, log: log.cloned(), reason: sentence(error) });
        left_out
    }

    /// Returns how long the component has been degraded; `None` if it is healthy.
    pub(crate) fn degraded_for(&self) -> Option<Duration> {
        let since = self.state().outage.as_ref().map(|outage| outage.since);
        since.map(|since| (self.clock)().duration_since(since))
    }

    /// Ends the outage if it concerns the same log. Returns the time at which the outage began, if
    /// one ended that was traced.
    pub(crate) fn recovered(&self, log: Option<&LogId>) -> Option<Offset> {
        let ended = self.state().outage.take_if(|outage| outage.log.as_ref() == log);
        ended.filter(|outage| outage.is_traced).map(|outage| outage.since)
    }

    /// Returns true unless the component is degraded.
    pub(crate) fn is_healthy(&self) -> bool {
        self.state().outage.is_none()
    }

    /// Returns the state for those who watch the service.
    pub(crate) fn status(&self) -> ComponentStatus {
        let state = self.state();
        let outage = state.outage.as_ref();
        ComponentStatus {
            ok: outage.is_none(),
            since: outage.map(|outage| outage.since),
            log: outage.and_then(|outage| outage.log.clone()),
            reason: outage.map(|outage| outage.reason.clone()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_traced_once_and_its_end_only_if_its_begin_was() {
        let archive = Component::new(|| Offset::from_nanos(7));
        let error = Error::invalid("the disk is full");
        let degraded = || archive.degraded(None, &error);
        assert_eq!((degraded(), degraded(), degraded()), (Some(0), None, None));
        assert_eq!(archive.recovered(None), Some(Offset::from_nanos(7)));
        // The next outage follows within a minute.
        assert_eq!(degraded(), None);
        assert!(!archive.is_healthy());
        assert_eq!(archive.recovered(None), None);
        assert!(archive.is_healthy());
    }
}
