//! Rollbacks of the archive: one source notices, and all read again.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use hourlog::store::Store;
use tokio::sync::{Mutex, oneshot, watch};

use crate::{
    health::Health,
    logs::{LogsMsg, LogsRef},
    ownership::SlotSet,
};

/// The rollbacks that all sources share.
#[derive(Debug)]
pub(crate) struct Rollbacks {
    logs: LogsRef,
    health: Arc<Health>,
    turn: Mutex<()>,
    /// Number of rollbacks that were noticed. All sources watch it, and stop reading.
    noticed: watch::Sender<u64>,
    /// Number of rollbacks that were handled.
    handled: AtomicU64,
}

impl Rollbacks {
    pub(crate) fn new(logs: LogsRef, health: Arc<Health>) -> Self {
        Self { logs, health, turn: Mutex::default(), noticed: watch::Sender::new(0), handled: AtomicU64::new(0) }
    }

    /// Returns the number of rollbacks that were noticed, as it changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.noticed.subscribe()
    }

    /// Handles a rollback for all sources: stops the logs and drops what the store has cached. Returns
    /// the number of rollbacks so far. `seen` is the number that the caller has seen: if another
    /// source has handled this rollback meanwhile, nothing is left to do.
    pub(crate) async fn handle<S: Store>(&self, seen: u64, store: &S) -> u64 {
        let _turn = self.turn.lock().await;
        let handled = self.handled.load(Relaxed);
        if handled != seen {
            return handled;
        }
        self.noticed.send_replace(handled + 1);
        // Before the logs, so that no reader goes on as if nothing were missing.
        for source in &self.health.sources {
            let until = source.published.load(Relaxed);
            source.catch_up(SlotSet::ALL, until);
            source.slots.forget();
            let stored = source.checkpoint.borrow().map_or(0, |checkpoint| checkpoint.sequence);
            source.archived.send_modify(|archived| *archived = stored.min(*archived));
        }
        let (reply, ended) = oneshot::channel();
        let _ = self.logs.send_message(LogsMsg::Restart { rollback: handled + 1, reply });
        // An error means that the supervisor has stopped, and its logs with it.
        let _ = ended.await;
        store.forget().await;
        self.health.rollbacks.fetch_add(1, Relaxed);
        self.handled.store(handled + 1, Relaxed);
        handled + 1
    }
}
