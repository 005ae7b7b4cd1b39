//! The state of the service: what is healthy, how far the archive has got, and what happened since
//! the start. Every endpoint's statistics and `GET /health` report it.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use hourlog::{Error, LogId, Offset, time::Clock};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use crate::{repeats::Repeats, stream::message::MessageKey, trace::sentence};

/// The state of the service, shared by all of its tasks.
#[derive(Debug)]
pub(crate) struct Health {
    clock: Clock,
    archive: Mutex<ComponentState>,
    nats: Mutex<ComponentState>,
    wal: Mutex<ComponentState>,
    fork: Mutex<Option<Fork>>,
    /// The newest sequence that the stream is known to hold.
    pub(crate) published: AtomicU64,
    /// The sequence up to which everything is archived.
    pub(crate) archived: watch::Sender<u64>,
    /// The sequence up to which the stream is read again; 0 if there is nothing to catch up on.
    /// Events between `archived` and this may be incomplete in the archive, or lost from it. Until
    /// they are archived again, readers would see less than they have seen before.
    pub(crate) catch_up_to: watch::Sender<u64>,
    /// Number of rollbacks: a node of the archive restarted, and the newest events were read again.
    pub(crate) rollbacks: AtomicU64,
    /// The message at the stored checkpoint; `None` until a checkpoint is stored, and again after a
    /// fork.
    pub(crate) checkpoint: watch::Sender<Option<MessageKey>>,
    /// Number of forks since the start.
    pub(crate) forks: watch::Sender<u64>,
    /// Number of stream checks that the ingest has begun: is it still the same stream, with safe
    /// settings?
    pub(crate) stream_checks_begun: AtomicU64,
    /// The number of the newest stream check that succeeded.
    pub(crate) stream_checks_done: watch::Sender<u64>,
    /// Asks the ingest to check the stream now instead of at the next interval.
    pub(crate) check_stream: Notify,
    /// Number of events that went to `_rejected`.
    pub(crate) rejected: AtomicU64,
    /// Number of requests dropped because the reply subject is not an inbox.
    pub(crate) replies_dropped: AtomicU64,
    /// Number of logs with a running actor.
    pub(crate) actors: AtomicUsize,
    /// Number of actors that failed and were restarted.
    pub(crate) actors_failed: AtomicU64,
}

/// A fork of the stream: the end of one epoch and the beginning of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fork {
    /// The time at which the fork was detected.
    pub(crate) at: Offset,
    /// The first sequence of the new epoch.
    pub(crate) from: u64,
    /// The first and the last message of the old epoch that the stream has lost, as far as they had
    /// been read.
    pub(crate) lost: Option<(u64, u64)>,
    /// The sequence up to which the old epoch is archived.
    pub(crate) archived: u64,
}

impl Fork {
    /// Returns the lost messages as a range for people.
    pub(crate) fn lost_range(&self) -> String {
        self.lost.map_or_else(|| "none".to_owned(), |(first, last)| format!("{first}-{last}"))
    }
}

/// The state of a component.
#[derive(Debug, Default)]
struct ComponentState {
    outage: Option<Outage>,
    /// Failures, also those of earlier outages: a component that fails and recovers all the time
    /// does not fill the trace.
    failures: Repeats,
}

/// An outage of a component.
#[derive(Debug, Clone)]
struct Outage {
    since: Offset,
    /// True once a failure of this outage was traced.
    is_traced: bool,
    /// The log for which the component fails; `None` if it fails for all.
    log: Option<LogId>,
    reason: String,
}

/// A component that can be degraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Component {
    /// Degraded while the archive takes no writes.
    Archive,
    /// Degraded while the stream cannot be read.
    Nats,
    /// Degraded while the stream's settings can lose events.
    Wal,
}

impl Component {
    const ALL: [Self; 3] = [Self::Archive, Self::Nats, Self::Wal];
}

impl Health {
    /// Returns the state at the start: everything is healthy, nothing is archived.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            archive: Mutex::default(),
            nats: Mutex::default(),
            wal: Mutex::default(),
            fork: Mutex::default(),
            published: AtomicU64::new(0),
            archived: watch::Sender::new(0),
            catch_up_to: watch::Sender::new(0),
            rollbacks: AtomicU64::new(0),
            checkpoint: watch::Sender::new(None),
            forks: watch::Sender::new(0),
            stream_checks_begun: AtomicU64::new(0),
            stream_checks_done: watch::Sender::new(0),
            check_stream: Notify::new(),
            rejected: AtomicU64::new(0),
            replies_dropped: AtomicU64::new(0),
            actors: AtomicUsize::new(0),
            actors_failed: AtomicU64::new(0),
        }
    }

    /// Records a failure of `component`, for one log or for all. If it is to be traced, returns the
    /// number of failures that were not traced since the last one.
    pub(crate) fn degraded(&self, component: Component, log: Option<&LogId>, error: &Error) -> Option<u64> {
        let mut state = self.state(component);
        let left_out = state.failures.count(Instant::now());
        let (since, was_traced) =
            state.outage.as_ref().map_or_else(|| ((self.clock)(), false), |outage| (outage.since, outage.is_traced));
        let is_traced = was_traced || left_out.is_some();
        state.outage = Some(Outage { since, is_traced, log: log.cloned(), reason: sentence(error) });
        left_out
    }

    /// Ends the outage of `component` if it concerns the same log. Returns the time at which the
    /// outage began, if one ended that was traced.
    pub(crate) fn recovered(&self, component: Component, log: Option<&LogId>) -> Option<Offset> {
        let ended = self.state(component).outage.take_if(|outage| outage.log.as_ref() == log);
        ended.filter(|outage| outage.is_traced).map(|outage| outage.since)
    }

    /// Records a fork of the stream.
    pub(crate) fn forked(&self, fork: Fork) {
        *self.fork.lock().unwrap_or_else(PoisonError::into_inner) = Some(fork);
        self.forks.send_modify(|forks| *forks += 1);
    }

    /// Returns the newest fork since the start.
    pub(crate) fn last_fork(&self) -> Option<Fork> {
        *self.fork.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns true unless `component` is degraded.
    pub(crate) fn is_healthy(&self, component: Component) -> bool {
        self.state(component).outage.is_none()
    }

    /// Returns true if every component is healthy.
    pub(crate) fn all_healthy(&self) -> bool {
        Component::ALL.into_iter().all(|component| self.is_healthy(component))
    }

    /// Returns the number of messages of the stream that are not archived yet, as far as is known.
    pub(crate) fn lag(&self) -> u64 {
        self.published.load(Relaxed).saturating_sub(*self.archived.borrow())
    }

    /// Returns the number of messages to read again before readers see everything that they have
    /// seen before.
    pub(crate) fn catch_up_lag(&self) -> u64 {
        self.catch_up_to.borrow().saturating_sub(*self.archived.borrow())
    }

    /// Ends the catch-up at `sequence`, because the stream ends there. Newer messages were deleted
    /// from it, so they cannot be read again.
    pub(crate) fn limit_catch_up(&self, sequence: u64) {
        self.catch_up_to.send_if_modified(|until| std::mem::replace(until, sequence.min(*until)) > sequence);
    }

    /// Returns the whole state in the form of the endpoints' statistics.
    pub(crate) fn report(&self) -> Value {
        let state = |component| match &self.state(component).outage {
            None => json!({ "ok": true }),
            Some(outage) => {
                json!({ "ok": false, "since": outage.since, "log": outage.log, "reason": outage.reason })
            }
        };
        json!({
            "archive": state(Component::Archive),
            "nats": state(Component::Nats),
            "wal": state(Component::Wal),
            "fork": self.last_fork().map(|fork| json!({
                "at": fork.at, "from": fork.from, "lost": fork.lost_range(), "archived": fork.archived,
            })),
            "lag": self.lag(),
            "archived": *self.archived.borrow(),
            "stored": self.checkpoint.borrow().map(|checkpoint| checkpoint.sequence),
            "rereading": self.catch_up_lag(),
            "set_backs": self.rollbacks.load(Relaxed),
            "rejected": self.rejected.load(Relaxed),
            "replies_dropped": self.replies_dropped.load(Relaxed),
            "actors": self.actors.load(Relaxed),
            "actors_failed": self.actors_failed.load(Relaxed),
        })
    }

    fn state(&self, component: Component) -> MutexGuard<'_, ComponentState> {
        let state = match component {
            Component::Archive => &self.archive,
            Component::Nats => &self.nats,
            Component::Wal => &self.wal,
        };
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_traced_once_and_its_end_only_if_its_begin_was() {
        let health = Health::new(|| Offset::from_nanos(7));
        let error = Error::invalid("the disk is full");
        let degraded = || health.degraded(Component::Archive, None, &error);
        assert_eq!((degraded(), degraded(), degraded()), (Some(0), None, None));
        assert_eq!(health.recovered(Component::Archive, None), Some(Offset::from_nanos(7)));
        // The next outage follows within a minute.
        assert_eq!(degraded(), None);
        assert!(!health.is_healthy(Component::Archive));
        assert_eq!(health.recovered(Component::Archive, None), None);
        assert!(health.all_healthy());
        assert_eq!(health.degraded(Component::Nats, None, &error), Some(0), "each component has its own traces");
    }
}
