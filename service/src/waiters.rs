//! Requests that wait until their message is archived, by message id.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_nats::HeaderMap;
use hourlog::{Position, Result, header};
use tokio::sync::oneshot;

/// The outcome of an append: the record's position, or the reason why it was rejected.
pub(crate) type Outcome = Result<Position>;

/// The waiting requests. The API adds them, the ingest answers them.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Mutex<HashMap<String, oneshot::Sender<Outcome>>>);

impl Waiters {
    /// Waits for the message with this id. Returns `None` if another request already waits for it.
    pub(crate) fn wait_for(&self, id: &str) -> Option<oneshot::Receiver<Outcome>> {
        match self.waiting().entry(id.to_owned()) {
            Entry::Occupied(_) => None,
            Entry::Vacant(entry) => {
                let (waiter, outcome) = oneshot::channel();
                entry.insert(waiter);
                Some(outcome)
            }
        }
    }

    /// Stops waiting for this id.
    pub(crate) fn leave(&self, id: &str) {
        self.waiting().remove(id);
    }

    /// Removes and returns the waiter for the message with these headers.
    pub(crate) fn take(&self, headers: Option<&HeaderMap>) -> Option<oneshot::Sender<Outcome>> {
        let id = headers?.get_last(header::MSG_ID)?;
        self.waiting().remove(id.as_str())
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Outcome>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
