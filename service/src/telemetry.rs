//! What the service says of itself: traces, and its state as every endpoint's statistics carry it.

use std::{
    io::IsTerminal,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use hourlog::{Clock, Error, LogId, Offset};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use crate::janitor::Stored;

/// Begins tracing to standard error: for people on a terminal, as JSON lines elsewhere.
pub fn trace(filter: Option<&str>) {
    use tracing_subscriber::EnvFilter;
    let filter = match filter {
        Some(filter) => EnvFilter::new(filter),
        None => EnvFilter::try_from_default_env()
            .unwrap_or_else(|_| EnvFilter::new("info,async_nats=warn,fjall=warn,lsm_tree=warn")),
    };
    let traces = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Where another subscriber is set already (a test's), that one stays.
    let _ = if std::io::stderr().is_terminal() { traces.try_init() } else { traces.with_ansi(false).try_init() };
}

/// The state of the service, shared by all of its parts.
#[derive(Debug)]
pub struct Status {
    clock: Clock,
    archive: Mutex<Option<Away>>,
    nats: Mutex<Option<Away>>,
    wal: Mutex<Option<Away>>,
    fork: Mutex<Option<Fork>>,
    /// The newest sequence that the stream is known to hold.
    pub published: AtomicU64,
    /// The sequence up to which everything is archived.
    pub archived: watch::Sender<u64>,
    /// The sequence up to which the stream is read again, because its archive may hold newer events in part, or may have lost them:
    /// until it is archived, readers would see less than they have seen before. 0 where nothing is.
    pub rereads: watch::Sender<u64>,
    /// How often a part of the archive has come back, and the newest events were read again.
    pub set_backs: AtomicU64,
    /// The place up to which everything is archived and stored as such; none before it is known, and after a fork.
    pub(crate) stored: watch::Sender<Stored>,
    /// How often the stream has forked since the start.
    pub forks: watch::Sender<u64>,
    /// How often the ingest has begun to look whether the stream is what it was.
    pub looks_begun: AtomicU64,
    /// The newest of these looks that has ended well.
    pub looked: watch::Sender<u64>,
    /// Asks the ingest to look whether the stream is what it was, without waiting for the time to do so.
    pub look: Notify,
    /// Events that went to `_rejected`.
    pub rejected: AtomicU64,
    /// Replies that were not sent, because they would have gone somewhere else than to an inbox.
    pub replies_dropped: AtomicU64,
    /// Logs with a running actor.
    pub actors: AtomicUsize,
    /// Actors that ended in a panic or an error, and were replaced.
    pub actors_failed: AtomicU64,
}

/// A life of the stream that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fork {
    /// When that was noticed.
    pub at: Offset,
    /// The first sequence of the new life.
    pub from: u64,
    /// The first and the last message of the old life that the stream had lost, as far as they had been read.
    pub lost: Option<(u64, u64)>,
    /// Up to which of the old life's messages the archive has all.
    pub archived: u64,
}

impl Fork {
    /// The lost messages, as people write a range.
    pub fn lost_range(&self) -> String {
        self.lost.map_or_else(|| "none".to_owned(), |(first, last)| format!("{first}-{last}"))
    }
}

/// Something that does not do its part.
#[derive(Debug, Clone)]
struct Away {
    since: Offset,
    log: Option<LogId>,
    reason: String,
}

/// What can be away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The archive takes no writes.
    Archive,
    /// The stream cannot be read.
    Nats,
    /// The stream's settings would lose events.
    Wal,
}

impl Status {
    /// Everything in order, nothing archived yet.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            archive: Mutex::default(),
            nats: Mutex::default(),
            wal: Mutex::default(),
            fork: Mutex::default(),
            published: AtomicU64::new(0),
            archived: watch::Sender::new(0),
            rereads: watch::Sender::new(0),
            set_backs: AtomicU64::new(0),
            stored: watch::Sender::new(None),
            forks: watch::Sender::new(0),
            looks_begun: AtomicU64::new(0),
            looked: watch::Sender::new(0),
            look: Notify::new(),
            rejected: AtomicU64::new(0),
            replies_dropped: AtomicU64::new(0),
            actors: AtomicUsize::new(0),
            actors_failed: AtomicU64::new(0),
        }
    }

    /// `part` does not do its part, for `log` if it is one log. Answers whether that is news.
    pub fn away(&self, part: Part, log: Option<&LogId>, error: &Error) -> bool {
        let mut away = self.part(part);
        let news = away.is_none();
        let since = away.as_ref().map_or_else(self.clock, |away| away.since);
        *away = Some(Away { since, log: log.cloned(), reason: sentence(error) });
        news
    }

    /// `part` does its part, for `log` if it is one log: what is away for another log stays away. Answers since when it had
    /// not, where that is news.
    pub fn back(&self, part: Part, log: Option<&LogId>) -> Option<Offset> {
        self.part(part).take_if(|away| away.log.as_ref() == log).map(|away| away.since)
    }

    /// The stream has begun a new life.
    pub fn forked(&self, fork: Fork) {
        *self.fork.lock().unwrap_or_else(PoisonError::into_inner) = Some(fork);
        self.forks.send_modify(|forks| *forks += 1);
    }

    /// The last life of the stream that has ended since the start.
    pub fn last_fork(&self) -> Option<Fork> {
        *self.fork.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `part` does its part.
    pub fn is_well(&self, part: Part) -> bool {
        self.part(part).is_none()
    }

    /// Whether everything does its part.
    pub fn all_well(&self) -> bool {
        [Part::Archive, Part::Nats, Part::Wal].into_iter().all(|part| self.is_well(part))
    }

    /// How many messages of the stream are not archived yet, as far as is known.
    pub fn lag(&self) -> u64 {
        self.published.load(Relaxed).saturating_sub(*self.archived.borrow())
    }

    /// How many messages are to be read again before readers see what they have seen before.
    pub fn rereading(&self) -> u64 {
        self.rereads.borrow().saturating_sub(*self.archived.borrow())
    }

    /// All of it, as the statistics of every endpoint carry it.
    pub fn report(&self) -> Value {
        let state = |part| match &*self.part(part) {
            None => json!({ "ok": true }),
            Some(away) => json!({ "ok": false, "since": away.since, "log": away.log, "reason": away.reason }),
        };
        json!({
            "archive": state(Part::Archive),
            "nats": state(Part::Nats),
            "wal": state(Part::Wal),
            "fork": self.last_fork().map(|fork| json!({
                "at": fork.at, "from": fork.from, "lost": fork.lost_range(), "archived": fork.archived,
            })),
            "lag": self.lag(),
            "archived": *self.archived.borrow(),
            "stored": self.stored.borrow().map(|stored| stored.sequence),
            "rereading": self.rereading(),
            "set_backs": self.set_backs.load(Relaxed),
            "rejected": self.rejected.load(Relaxed),
            "replies_dropped": self.replies_dropped.load(Relaxed),
            "actors": self.actors.load(Relaxed),
            "actors_failed": self.actors_failed.load(Relaxed),
        })
    }

    fn part(&self, part: Part) -> MutexGuard<'_, Option<Away>> {
        let of = match part {
            Part::Archive => &self.archive,
            Part::Nats => &self.nats,
            Part::Wal => &self.wal,
        };
        of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error with all of its causes.
pub fn sentence(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    std::iter::once(error.to_string()).chain(causes.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
}
