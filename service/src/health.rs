//! The state of the service: what is healthy, how far the archive has got, and what happened since
//! the start. Every endpoint's statistics and `GET /readyz` report it.
//!
//! - `component`: the health of one component.
//! - `source`: the state of one source. `reached`: how far its slots are archived.

mod component;
mod reached;
mod source;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use hourlog::time::Clock;
use serde_json::{Value, json};

use crate::{
    changes::Changes,
    counters::Counters,
    ownership::{Assignment, Ownership, SlotSet},
    server_time::ServerTime,
};
pub(crate) use component::Component;
pub(crate) use reached::Reached;
pub(crate) use source::SourceHealth;

/// The state of the service, shared by all of its tasks.
#[derive(Debug)]
pub(crate) struct Health {
    /// Degraded while the archive takes no writes.
    pub(crate) archive: Component,
    /// JetStream's time, by which requests and retention go.
    pub(crate) time: ServerTime,
    /// The state of each source; the service's own stream is the first.
    pub(crate) sources: Vec<Arc<SourceHealth>>,
    /// Number of rollbacks: a node of the archive restarted, and the newest events were read again.
    pub(crate) rollbacks: AtomicU64,
    /// Number of requests dropped because the reply subject is not an inbox.
    pub(crate) replies_dropped: AtomicU64,
    /// Number of sweeps of logs that keep their events for a time.
    pub(crate) sweeps: AtomicU64,
    /// Number of buckets that sweeps, purges and deletions have removed.
    pub(crate) buckets_removed: AtomicU64,
    /// Number of events in these.
    pub(crate) events_removed: AtomicU64,
    /// Number of logs with a running actor.
    pub(crate) actors: AtomicUsize,
    /// Number of actors that failed and were restarted.
    pub(crate) actors_failed: AtomicU64,
    /// The instances that share the work, and the slots of this one.
    pub(crate) ownership: Ownership,
    /// True once the service stops.
    pub(crate) is_stopping: AtomicBool,
    /// Counters since the start.
    pub(crate) counters: Counters,
    /// The logs that have changed lately.
    pub(crate) changes: Changes,
}

impl Health {
    /// Returns the state at the start: everything is healthy. `sources` begins with the service's
    /// own stream.
    pub(crate) fn new(clock: Clock, sources: Vec<Arc<SourceHealth>>, ownership: Ownership) -> Self {
        Self {
            archive: Component::new(clock),
            time: ServerTime::new(clock),
            sources,
            rollbacks: AtomicU64::new(0),
            replies_dropped: AtomicU64::new(0),
            sweeps: AtomicU64::new(0),
            buckets_removed: AtomicU64::new(0),
            events_removed: AtomicU64::new(0),
            actors: AtomicUsize::new(0),
            actors_failed: AtomicU64::new(0),
            ownership,
            is_stopping: AtomicBool::new(false),
            counters: Counters::default(),
            changes: Changes::default(),
        }
    }

    /// Counts removed buckets and events.
    pub(crate) fn count_removed(&self, buckets: u64, events: u64) {
        self.buckets_removed.fetch_add(buckets, Relaxed);
        self.events_removed.fetch_add(events, Relaxed);
    }

    /// Returns true if every component is healthy.
    pub(crate) fn all_healthy(&self) -> bool {
        self.archive.is_healthy() && self.sources.iter().all(|source| source.is_healthy())
    }

    /// Returns true if the service takes requests: every component is healthy, and it is not stopping.
    pub(crate) fn is_ready(&self) -> bool {
        self.all_healthy() && !self.is_stopping.load(Relaxed)
    }

    /// Returns the number of messages of all sources that are not archived yet; `None` while one of them
    /// does not answer.
    pub(crate) fn lag(&self) -> Option<u64> {
        self.sources.iter().map(|source| source.lag()).sum()
    }

    /// Returns the number of messages to read again before readers see everything that they have
    /// seen before.
    pub(crate) fn catch_up_lag(&self) -> u64 {
        self.sources.iter().map(|source| source.catch_up_lag()).sum()
    }

    /// Returns true if this instance owns a slot, and all sources are read for it.
    pub(crate) fn writes(&self, slot: u8) -> bool {
        let assignment = self.ownership.assignment();
        assignment.own.contains(slot) && self.has_taken_over(&assignment, SlotSet::from_iter([slot]))
    }

    /// Returns true if another instance owns a slot, and no source is read for it here.
    pub(crate) fn has_let_go(&self, slot: u8) -> bool {
        let assignment = self.ownership.assignment();
        !assignment.own.contains(slot) && self.has_taken_over(&assignment, SlotSet::from_iter([slot]))
    }

    /// Returns true if some readers have to wait: for slots that are taken over, or for messages that are read again.
    pub(crate) fn keeps_readers_waiting(&self) -> bool {
        self.catch_up_lag() > 0 || !self.has_taken_over(&self.ownership.assignment(), SlotSet::ALL)
    }

    fn has_taken_over(&self, assignment: &Assignment, slots: SlotSet) -> bool {
        assignment.is_live() && self.sources.iter().all(|source| source.has_taken_over(assignment, slots))
    }

    /// Returns the whole state in the form of the endpoints' statistics.
    pub(crate) fn report(&self) -> Value {
        // The service's own stream is reported at the top.
        let mut report = self.sources.first().map_or_else(|| json!({}), |wal| wal.report());
        let own = json!({
            "archive": self.archive.status(),
            "lag": self.lag(),
            "rereading": self.catch_up_lag(),
            "rollbacks": self.rollbacks.load(Relaxed),
            "rejected": self.counters.rejected(),
            "replies_dropped": self.replies_dropped.load(Relaxed),
            "sweeps": self.sweeps.load(Relaxed),
            "buckets_removed": self.buckets_removed.load(Relaxed),
            "events_removed": self.events_removed.load(Relaxed),
            "actors": self.actors.load(Relaxed),
            "actors_failed": self.actors_failed.load(Relaxed),
            "sources": self.sources.iter().skip(1).map(|source| source.report()).collect::<Vec<_>>(),
        });
        if let (Value::Object(report), Value::Object(own)) = (&mut report, own) {
            report.extend(own);
        }
        report
    }
}
