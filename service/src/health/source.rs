//! The state of one source: what is healthy, how far it is archived, and what it has lost.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
};

use async_nats::jetstream::stream::Info;
use hourlog::{
    Offset,
    time::Clock,
    wire::{ForkStatus, SourceStatus},
};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use super::component::Component;
use crate::stream::message::MessageKey;

/// The state of one source, shared by its ingest, its logs and the endpoints.
#[derive(Debug)]
pub(crate) struct SourceHealth {
    /// The name of the stream.
    pub(crate) stream: Arc<str>,
    /// True for the stream that the service creates, false for an existing one that it only reads.
    pub(crate) is_wal: bool,
    /// Degraded while the stream cannot be read.
    pub(crate) nats: Component,
    /// Degraded while the settings of the service's own stream can lose events.
    pub(crate) settings: Component,
    /// The newest sequence that the stream is known to hold.
    pub(crate) published: AtomicU64,
    /// The sequence up to which everything is archived.
    pub(crate) archived: watch::Sender<u64>,
    /// The time of the oldest message that was read and is not archived yet, in nanoseconds since
    /// 1970; 0 if there is none.
    waiting_since: AtomicI64,
    /// The number of messages in the stream, their bytes, and the limit of these (0 for none), at the
    /// last check.
    messages: AtomicU64,
    bytes: AtomicU64,
    bytes_max: AtomicU64,
    /// The sequence up to which the stream is read again; 0 if there is nothing to catch up on.
    /// Events between `archived` and this may be incomplete in the archive, or lost from it. Until
    /// they are archived again, readers would see less than they have seen before.
    pub(crate) catch_up_to: watch::Sender<u64>,
    /// The message at the stored checkpoint; `None` until a checkpoint is stored, and again after a
    /// fork.
    pub(crate) checkpoint: watch::Sender<Option<MessageKey>>,
    /// Number of forks since the start.
    pub(crate) forks: watch::Sender<u64>,
    fork: Mutex<Option<Fork>>,
    /// Number of stream checks that the ingest has begun: is it still the same stream, with safe
    /// settings?
    pub(crate) stream_checks_begun: AtomicU64,
    /// The number of the newest stream check that succeeded.
    pub(crate) stream_checks_done: watch::Sender<u64>,
    /// Asks the ingest to check the stream now instead of at the next interval.
    pub(crate) check_stream: Notify,
    /// Number of messages that left the stream before they were archived, since the start.
    pub(crate) removed: AtomicU64,
    last_removed: Mutex<Option<Removed>>,
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

/// Messages that left the stream before they were archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Removed {
    /// The time at which that was noticed.
    pub(crate) at: Offset,
    /// The first sequence.
    pub(crate) from: u64,
    /// The last sequence.
    pub(crate) to: u64,
}

impl Fork {
    /// Returns the lost messages as a range for people.
    pub(crate) fn lost_range(&self) -> String {
        self.lost.map_or_else(|| "none".to_owned(), |(first, last)| format!("{first}-{last}"))
    }
}

impl SourceHealth {
    /// Returns the state at the start: everything is healthy, nothing is archived.
    pub(crate) fn new(stream: Arc<str>, is_wal: bool, clock: Clock) -> Self {
        Self {
            stream,
            is_wal,
            nats: Component::new(clock),
            settings: Component::new(clock),
            published: AtomicU64::new(0),
            archived: watch::Sender::new(0),
            waiting_since: AtomicI64::new(0),
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            bytes_max: AtomicU64::new(0),
            catch_up_to: watch::Sender::new(0),
            checkpoint: watch::Sender::new(None),
            forks: watch::Sender::new(0),
            fork: Mutex::default(),
            stream_checks_begun: AtomicU64::new(0),
            stream_checks_done: watch::Sender::new(0),
            check_stream: Notify::new(),
            removed: AtomicU64::new(0),
            last_removed: Mutex::default(),
        }
    }

    /// Records a fork of the stream.
    pub(crate) fn forked(&self, fork: Fork) {
        *locked(&self.fork) = Some(fork);
        self.forks.send_modify(|forks| *forks += 1);
    }

    /// Returns the newest fork since the start.
    pub(crate) fn last_fork(&self) -> Option<Fork> {
        *locked(&self.fork)
    }

    /// Records messages that left the stream before they were archived.
    pub(crate) fn removed(&self, removed: Removed) {
        self.removed.fetch_add(removed.to - removed.from + 1, Relaxed);
        *locked(&self.last_removed) = Some(removed);
    }

    /// Returns the newest removed messages since the start.
    pub(crate) fn last_removed(&self) -> Option<Removed> {
        *locked(&self.last_removed)
    }

    /// Returns true if the stream can be read and its settings are safe.
    pub(crate) fn is_healthy(&self) -> bool {
        self.nats.is_healthy() && self.settings.is_healthy()
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

    /// Waits until there is nothing to catch up on, or the service ends.
    pub(crate) async fn caught_up(&self) {
        let (mut archived, mut catch_up_to) = (self.archived.subscribe(), self.catch_up_to.subscribe());
        while self.catch_up_lag() > 0 {
            let changed = tokio::select! {
                changed = archived.changed() => changed,
                changed = catch_up_to.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Ends the catch-up at `sequence`, because the stream ends there. Newer messages were deleted
    /// from it, so they cannot be read again.
    pub(crate) fn limit_catch_up(&self, sequence: u64) {
        self.catch_up_to.send_if_modified(|until| std::mem::replace(until, sequence.min(*until)) > sequence);
    }

    /// Records the size of the stream.
    pub(crate) fn measure(&self, info: &Info) {
        self.messages.store(info.state.messages, Relaxed);
        self.bytes.store(info.state.bytes, Relaxed);
        self.bytes_max.store(u64::try_from(info.config.max_bytes).unwrap_or(0), Relaxed);
    }

    /// Records the time of the oldest message that was read and is not archived yet, if there is one.
    pub(crate) fn waits_since(&self, time: Option<Offset>) {
        self.waiting_since.store(time.map_or(0, Offset::nanos), Relaxed);
    }

    /// Returns the seconds for which messages have been waiting for the archive at `now`. While the
    /// stream cannot be read, at least those since then.
    pub(crate) fn lag_seconds(&self, now: Offset) -> f64 {
        let waiting = Some(self.waiting_since.load(Relaxed)).filter(|since| *since != 0).map(Offset::from_nanos);
        let unread = || self.nats.status().since.filter(|_| self.lag() > 0);
        waiting.or_else(unread).map_or(0.0, |since| now.duration_since(since).as_secs_f64())
    }

    /// Returns the bytes of the stream's messages, and their limit, if there is one.
    pub(crate) fn fill(&self) -> (u64, Option<u64>) {
        (self.bytes.load(Relaxed), Some(self.bytes_max.load(Relaxed)).filter(|max| *max > 0))
    }

    /// Returns the state for those who watch the service.
    pub(crate) fn status(&self, now: Offset) -> SourceStatus {
        let archived = *self.archived.borrow();
        let (bytes, bytes_max) = self.fill();
        let fork = |fork: Fork| ForkStatus { at: fork.at, from: fork.from, lost: fork.lost, archived: fork.archived };
        SourceStatus {
            stream: self.stream.to_string(),
            kind: if self.is_wal { "wal" } else { "existing" }.to_owned(),
            reading: self.nats.status(),
            settings: self.settings.status(),
            lag_messages: self.lag(),
            lag_seconds: self.lag_seconds(now),
            published: self.published.load(Relaxed).max(archived),
            archived,
            stored: self.checkpoint.borrow().map(|checkpoint| checkpoint.sequence),
            catching_up: self.catch_up_lag(),
            messages: self.messages.load(Relaxed),
            bytes,
            bytes_max,
            fork: self.last_fork().map(fork),
            removed_messages: self.removed.load(Relaxed),
            removed: self.last_removed().map(|removed| (removed.from, removed.to)),
        }
    }

    /// Returns the state for the endpoints' statistics.
    pub(crate) fn report(&self) -> Value {
        json!({
            "stream": &*self.stream,
            "nats": self.nats.status(),
            "wal": self.settings.status(),
            "fork": self.last_fork().map(|fork| json!({
                "at": fork.at, "from": fork.from, "lost": fork.lost_range(), "archived": fork.archived,
            })),
            "removed": self.removed.load(Relaxed),
            "last_removed": self.last_removed().map(|removed| json!({
                "at": removed.at, "from": removed.from, "to": removed.to,
            })),
            "lag": self.lag(),
            "archived": *self.archived.borrow(),
            "stored": self.checkpoint.borrow().map(|checkpoint| checkpoint.sequence),
            "rereading": self.catch_up_lag(),
        })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
