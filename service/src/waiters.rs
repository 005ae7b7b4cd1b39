//! Who waits for a message of the stream to be archived, by the message id that was given to it.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_nats::HeaderMap;
use hourlog::{Position, Result, header};
use tokio::sync::oneshot;

/// What became of an appended record: where it is, or why it was not taken.
pub(crate) type Outcome = Result<Position>;

/// The waiting ones. They come from the API and are called by the ingest.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Mutex<HashMap<String, oneshot::Sender<Outcome>>>);

impl Waiters {
    /// Waits for the message with this id; `None` where somebody else does already.
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

    /// Nobody waits for this id any longer.
    pub(crate) fn leave(&self, id: &str) {
        self.waiting().remove(id);
    }

    /// Who waits for the message that has these headers.
    pub(crate) fn take(&self, headers: Option<&HeaderMap>) -> Option<oneshot::Sender<Outcome>> {
        let id = headers?.get_last(header::MSG_ID)?;
        self.waiting().remove(id.as_str())
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Outcome>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
