//! Counters since the start, and sizes of the archive. They are counted per batch, page or request,
//! never per event.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hourlog::store::Disk;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::{admission::limit::Limit, stream::decode::Reason};

/// Upper bounds of the times that a reply or a write takes, in seconds. The last one is just above
/// the longest time that a request can wait.
const SECONDS: [f64; 14] = [0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 310.0];
/// Upper bounds of the number of events in a write.
const EVENTS: [f64; 8] = [1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0];

/// The counters, shared by all tasks.
#[derive(Debug)]
pub(crate) struct Counters {
    /// Read from the streams, also if it was read before.
    pub(crate) ingested: Traffic,
    /// Written to the archive, also if it was there before.
    pub(crate) archived: Traffic,
    /// Returned by replays.
    pub(crate) replayed: Traffic,
    write_seconds: Histogram,
    write_events: Histogram,
    requests: Family<Endpoint, Counter>,
    request_errors: Family<EndpointError, Counter>,
    request_seconds: Family<Endpoint, Histogram, fn() -> Histogram>,
    rejected: Family<Rejected, Counter>,
    /// Requests that were sent on to the instance that owns their log.
    pub(crate) relayed: Counter,
    /// Requests that were sent on, or answered here, once more, because the owner of their log had changed.
    pub(crate) relayed_again: Counter,
    /// Requests in progress, and those that a limit refused.
    pub(crate) admitted: Admitted,
    /// Logs in the archive, counted once a minute.
    pub(crate) logs: Gauge,
    disk: Mutex<Option<Disk>>,
}

/// A number of events, and of the bytes of their data and metadata.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) events: Counter,
    pub(crate) bytes: Counter,
}

/// Requests in progress, and those that a limit refused. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    /// Requests that the service works on.
    pub(crate) working: Gauge,
    /// Requests that wait for an event or for the archive.
    pub(crate) waiting: Gauge,
    /// Bytes of answers under way.
    pub(crate) answer_bytes: Gauge,
    refused: Family<Refused, Counter>,
}

/// The label of refused requests: the name of the limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    limit: &'static str,
}

impl Admitted {
    fn new() -> Self {
        let refused = Family::default();
        for limit in Limit::ALL {
            // Creates it, so that a scrape shows it before the first refusal.
            drop(refused.get_or_create(&Refused { limit: limit.name() }));
        }
        Self { working: Gauge::default(), waiting: Gauge::default(), answer_bytes: Gauge::default(), refused }
    }

    /// Counts a request that `limit` refuses.
    pub(crate) fn refused(&self, limit: Limit) {
        self.refused.get_or_create(&Refused { limit: limit.name() }).inc();
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("requests_working", "Requests that the service works on", self.working.clone());
        let help = "Requests that wait for an event or for the archive";
        registry.register("requests_waiting", help, self.waiting.clone());
        registry.register("answer_bytes", "Bytes of memory of the answers under way", self.answer_bytes.clone());
        registry.register("requests_refused", "Requests that a limit refused, by its name", self.refused.clone());
    }
}

/// The label of rejected events: the kind of reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rejected {
    reason: &'static str,
}

/// The label of an endpoint: its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Endpoint {
    endpoint: &'static str,
}

/// The labels of a failed request. The codes are those of `docs/protocol.md`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointError {
    endpoint: &'static str,
    code: u32,
}

impl Traffic {
    /// Adds `events` of together `bytes`.
    pub(crate) fn add(&self, events: usize, bytes: usize) {
        self.events.inc_by(events as u64);
        self.bytes.inc_by(bytes as u64);
    }

    fn register(&self, registry: &mut Registry, done: &str, help: &str) {
        registry.register(format!("events_{done}"), format!("Events {help}"), self.events.clone());
        let help = format!("Bytes of the data and metadata of events {help}");
        registry.register(format!("event_bytes_{done}"), help, self.bytes.clone());
    }
}

impl Default for Counters {
    fn default() -> Self {
        let rejected = Family::default();
        for reason in Reason::ALL {
            // Creates it, so that a scrape shows it before the first event.
            drop(rejected.get_or_create(&Rejected { reason: reason.name() }));
        }
        Self {
            rejected,
            relayed: Counter::default(),
            relayed_again: Counter::default(),
            admitted: Admitted::new(),
            ingested: Traffic::default(),
            archived: Traffic::default(),
            replayed: Traffic::default(),
            write_seconds: seconds(),
            write_events: Histogram::new(EVENTS),
            requests: Family::default(),
            request_errors: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            logs: Gauge::default(),
            disk: Mutex::default(),
        }
    }
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

impl Counters {
    /// Counts a write of `events` that the archive accepted after `took`.
    pub(crate) fn wrote(&self, events: usize, bytes: usize, took: Duration) {
        self.archived.add(events, bytes);
        self.write_seconds.observe(took.as_secs_f64());
        self.write_events.observe(events as f64);
    }

    /// Counts an event that goes to `_rejected`.
    pub(crate) fn reject(&self, reason: Reason) {
        self.rejected.get_or_create(&Rejected { reason: reason.name() }).inc();
    }

    /// Returns the number of events that went to `_rejected`.
    pub(crate) fn rejected(&self) -> u64 {
        Reason::ALL
            .into_iter()
            .map(|reason| self.rejected.get_or_create(&Rejected { reason: reason.name() }).get())
            .sum()
    }

    /// Counts a request that was answered after `took`, with an error's code if it failed.
    pub(crate) fn answered(&self, endpoint: &'static str, took: Duration, code: Option<u32>) {
        self.requests.get_or_create(&Endpoint { endpoint }).inc();
        self.request_seconds.get_or_create(&Endpoint { endpoint }).observe(took.as_secs_f64());
        if let Some(code) = code {
            self.request_errors.get_or_create(&EndpointError { endpoint, code }).inc();
        }
    }

    /// Sets the disk usage of the archive.
    pub(crate) fn set_disk(&self, disk: Option<Disk>) {
        *self.disk.lock().unwrap_or_else(PoisonError::into_inner) = disk;
    }

    /// Returns the disk usage of the archive, if it has a disk of its own.
    pub(crate) fn disk(&self) -> Option<Disk> {
        *self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers all counters. `registry` adds the full stop to their descriptions.
    pub(crate) fn register(&self, registry: &mut Registry) {
        self.ingested.register(registry, "ingested", "read from the streams, including those that were read again");
        self.archived.register(registry, "archived", "written to the archive, including those that were written again");
        self.replayed.register(registry, "replayed", "returned by replays");
        registry.register(
            "archive_write_seconds",
            "Time of a write to the archive that was accepted",
            self.write_seconds.clone(),
        );
        registry.register("archive_write_events", "Events in a write to the archive", self.write_events.clone());
        let help = "Events stored in a log _rejected, by the kind of reason";
        registry.register("events_rejected", help, self.rejected.clone());
        registry.register("requests", "Requests that were answered", self.requests.clone());
        registry.register(
            "request_errors",
            "Requests that were answered with an error, by its code",
            self.request_errors.clone(),
        );
        registry.register(
            "request_seconds",
            "Time until a request was answered, including the time that it asked to wait for events",
            self.request_seconds.clone(),
        );
        let help = "Requests that were sent on to the instance that owns their log";
        registry.register("requests_relayed", help, self.relayed.clone());
        let help = "Requests that were answered again because the owner of their log had changed";
        registry.register("requests_relayed_again", help, self.relayed_again.clone());
        self.admitted.register(registry);
        registry.register("logs", "Logs in the archive, counted once a minute", self.logs.clone());
    }
}
