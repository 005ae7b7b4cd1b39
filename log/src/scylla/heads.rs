//! How far sources were handed out: stored before any row, once for all the logs of a slot that wait for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{Offset, Result, Seq};

use super::Scylla;

/// The heads that are stored, or are to be.
#[derive(Debug, Default)]
pub(super) struct Heads(Mutex<HashMap<Slot, Arc<Head>>>);

/// A slot of a stream.
type Slot = (Arc<str>, u8);

#[derive(Debug)]
struct Head {
    /// The newest that somebody waits for, and its time.
    wanted: Mutex<(Seq, Offset)>,
    /// What is stored, held while more is being stored.
    stored: tokio::sync::Mutex<Seq>,
}

impl Heads {
    pub(super) fn forget(&self) {
        lock(&self.0).clear();
    }

    fn head(&self, stream: Arc<str>, slot: u8) -> Arc<Head> {
        let new = || Arc::new(Head { wanted: Mutex::new((Seq::MIN, Offset::MIN)), stored: Seq::MIN.into() });
        Arc::clone(lock(&self.0).entry((stream, slot)).or_insert_with(new))
    }
}

impl Scylla {
    /// Returns once a head at or above `seq` is stored.
    pub(super) async fn write_head(&self, stream: Arc<str>, slot: u8, seq: Seq, time: Offset) -> Result<()> {
        let head = self.0.heads.head(Arc::clone(&stream), slot);
        {
            let mut wanted = lock(&head.wanted);
            if wanted.0 < seq {
                *wanted = (seq, time);
            }
        }
        let mut stored = head.stored.lock().await;
        if *stored >= seq {
            return Ok(());
        }
        let (seq, time) = *lock(&head.wanted);
        let values = (&*stream, i32::from(slot), (seq, time.nanos()), seq);
        self.execute(&self.0.statements.set_head_of_source, values).await?;
        *stored = seq;
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
