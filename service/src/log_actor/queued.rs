//! A write in the queue of the archive. Mostly nothing is left to do when it ends, so the log is told only if it has
//! asked.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering::SeqCst},
};

use hourlog::{
    Error, ErrorKind, LogId, Result, Seq,
    store::{EventRow, Store, Write},
};
use tokio::{sync::watch, time::Instant};

use crate::{completion::CompletionGuard, health::Health, recent::Recent};

use super::{LogMsg, LogRef};

/// Nothing is queued.
const ENDED: u8 = 0;
/// A write is queued.
const QUEUED: u8 = 1;
/// A write is queued, and the log is told its end.
const AWAITED: u8 = 2;

/// State that a log shares with its write in the queue.
#[derive(Debug)]
pub(super) struct Shared {
    id: LogId,
    health: Arc<Health>,
    recent: Arc<Recent>,
    /// The seq up to which everything is in the archive.
    visible: watch::Sender<Seq>,
    state: AtomicU8,
}

/// Events that the archive has not taken, with the cause.
#[derive(Debug)]
pub(crate) struct NotTaken {
    pub(super) rows: Arc<[EventRow]>,
    pub(super) guards: Vec<CompletionGuard>,
    pub(super) error: Error,
}

impl Shared {
    pub(super) fn new(id: LogId, health: Arc<Health>, recent: Arc<Recent>, visible: Seq) -> Self {
        Self { id, health, recent, visible: watch::Sender::new(visible), state: AtomicU8::new(ENDED) }
    }

    /// Returns the seq up to which everything is in the archive, as it changes.
    pub(super) fn visible(&self) -> watch::Receiver<Seq> {
        self.visible.subscribe()
    }

    /// Returns true if somebody waits for a change.
    pub(super) fn has_readers(&self) -> bool {
        self.visible.receiver_count() > 0
    }

    /// Hides everything above the seq `before`, because it is about to be written.
    pub(super) fn hide_after(&self, before: Seq) {
        self.visible.send_if_modified(|visible| std::mem::replace(visible, before) > before);
    }

    /// Shows everything up to a seq that is in the archive.
    pub(super) fn show_to(&self, seq: Seq) {
        self.visible.send_if_modified(|visible| {
            let is_new = seq > *visible;
            *visible = seq.max(*visible);
            // A reader that subscribes meanwhile looks at the value later.
            is_new && self.has_readers()
        });
    }

    /// Counts events that are archived.
    pub(super) fn archived(&self, rows: &[EventRow]) {
        self.recent.add(rows);
        self.health.changes.note(&self.id);
        if let Some(since) = self.health.archive.recovered(Some(&self.id)) {
            tracing::info!(log = %self.id, %since, "the archive takes writes again");
        }
    }

    /// Counts a write.
    pub(super) fn wrote(&self, rows: &[EventRow], begun: Instant) {
        let bytes = rows.iter().map(|row| row.event.record.bytes()).sum();
        self.health.counters.wrote(rows.len(), bytes, begun.elapsed());
    }

    /// Asks to be told the end of the queued write. Returns false if it has ended.
    pub(super) fn ask(&self) -> bool {
        self.state.compare_exchange(QUEUED, AWAITED, SeqCst, SeqCst).is_ok()
    }

    /// Queues a write of `rows`.
    pub(super) fn enqueue<S: Store>(
        self: &Arc<Self>,
        store: &S,
        writes: Vec<Write>,
        rows: Arc<[EventRow]>,
        guards: Vec<CompletionGuard>,
        log: LogRef,
    ) {
        self.state.store(QUEUED, SeqCst);
        let queued = Queued { shared: Arc::clone(self), rows, guards, begun: Instant::now(), log, has_ended: false };
        store.enqueue(writes, move |outcome| queued.end(outcome));
    }
}

/// A write in the queue.
struct Queued {
    shared: Arc<Shared>,
    rows: Arc<[EventRow]>,
    guards: Vec<CompletionGuard>,
    begun: Instant,
    log: LogRef,
    has_ended: bool,
}

impl Queued {
    fn end(mut self, outcome: Result<()>) {
        self.has_ended = true;
        match outcome {
            Ok(()) => self.succeed(),
            Err(error) => self.fail(error),
        }
    }

    fn succeed(&mut self) {
        let Self { shared, rows, guards, begun, log, .. } = self;
        shared.wrote(rows, *begun);
        shared.archived(rows);
        if let Some(last) = rows.last() {
            shared.show_to(last.event.position.seq);
        }
        guards.drain(..).for_each(CompletionGuard::archived);
        if shared.state.swap(ENDED, SeqCst) == AWAITED {
            // A log that has ended meanwhile does not need to know.
            let _ = log.send_message(LogMsg::Written(None));
        }
    }

    /// The write goes on: the log retries it.
    fn fail(&mut self, error: Error) {
        let (rows, guards) = (Arc::clone(&self.rows), std::mem::take(&mut self.guards));
        // The same.
        let _ = self.log.send_message(LogMsg::NotTaken(Box::new(NotTaken { rows, guards, error })));
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        if !self.has_ended {
            self.fail(Error::new(ErrorKind::Unavailable, "the archive's thread has ended; restart the service"));
        }
    }
}
