//! Heads: the newest handed-out message of each source.
//!
//! A head is stored before any row of the messages up to it. One request serves all logs that wait.
//! Only the newest message of a stream counts, whatever its slot. A stored head therefore covers
//! every older message, unless the stream has forked since. A higher epoch in a slot shows a fork.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{Offset, Result, Seq, store::SLOTS};

use super::Scylla;

/// The shortest time between two stored heads of a stream.
///
/// A request for every write of a log would cost as much as the write.
const STORE_EVERY: Duration = Duration::from_millis(10);

/// The heads of all streams.
#[derive(Debug, Default)]
pub(super) struct Heads(Mutex<HashMap<Arc<str>, Arc<Stream>>>);

#[derive(Debug)]
struct Stream {
    wanted: Mutex<WantedHead>,
    /// Locked while a head is being stored.
    stored: tokio::sync::Mutex<StoredHead>,
}

/// The newest stored head of a stream.
#[derive(Debug)]
struct StoredHead {
    /// The number of forks seen before it, and its sequence.
    newest: (u64, u64),
    at: Option<Instant>,
}

/// The newest head that a writer waits for.
#[derive(Debug)]
struct WantedHead {
    /// The number of forks of the stream that slots have shown.
    forks: u64,
    sequence: u64,
    head: Head,
    /// The last epoch seen in each slot.
    epochs: [Option<u32>; SLOTS as usize],
}

/// A handed-out message.
#[derive(Debug, Clone, Copy)]
struct Head {
    slot: u8,
    seq: Seq,
    time: Offset,
}

impl Heads {
    /// Drops what is known about stored heads.
    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }

    fn stream(&self, stream: &Arc<str>) -> Arc<Stream> {
        let mut streams = lock(&self.0);
        let stream = streams.entry(Arc::clone(stream)).or_insert_with(|| {
            let head = Head { slot: 0, seq: Seq::MIN, time: Offset::MIN };
            let wanted = WantedHead { forks: 0, sequence: 0, head, epochs: [None; SLOTS as usize] };
            let stored = StoredHead { newest: (0, 0), at: None };
            Arc::new(Stream { wanted: Mutex::new(wanted), stored: stored.into() })
        });
        Arc::clone(stream)
    }
}

impl WantedHead {
    /// Adds `head`, and returns the number of forks before it if another head may cover it.
    ///
    /// Returns `None` for the first head of a slot: its epoch cannot be compared with an earlier
    /// one.
    fn add(&mut self, head: Head) -> Option<u64> {
        let (epoch, sequence) = (head.seq.epoch(), head.seq.sequence());
        match self.epochs[usize::from(head.slot)].replace(epoch) {
            Some(before) if epoch > before => {
                self.forks += 1;
                self.sequence = 0;
            }
            Some(before) if epoch == before => {}
            _ => return None,
        }
        if sequence > self.sequence {
            (self.sequence, self.head) = (sequence, head);
        }
        Some(self.forks)
    }
}

impl Scylla {
    /// Waits until a head is stored that covers this one.
    pub(super) async fn write_head(&self, stream: Arc<str>, slot: u8, seq: Seq, time: Offset) -> Result<()> {
        let head = Head { slot, seq, time };
        let heads = self.0.heads.stream(&stream);
        let forks = lock(&heads.wanted).add(head);
        // Without the lock: over a slow database, the first heads of all slots would take minutes.
        let Some(forks) = forks else { return self.store_head(&stream, head).await };
        let mut stored = heads.stored.lock().await;
        if stored.newest >= (forks, seq.sequence()) {
            return Ok(());
        }
        // Heads that are added during the wait are covered too.
        if let Some(at) = stored.at {
            tokio::time::sleep(STORE_EVERY.saturating_sub(at.elapsed())).await;
        }
        let (newest, head) = {
            let wanted = lock(&heads.wanted);
            if wanted.forks == forks {
                ((forks, wanted.sequence), wanted.head)
            } else {
                ((forks, seq.sequence()), head)
            }
        };
        self.store_head(&stream, head).await?;
        *stored = StoredHead { newest, at: Some(Instant::now()) };
        Ok(())
    }

    async fn store_head(&self, stream: &str, Head { slot, seq, time }: Head) -> Result<()> {
        let values = (stream, i32::from(slot), (seq, time.nanos()), seq);
        self.execute(&self.0.statements.set_source_head, values).await.map(drop)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_covers_only_older_ones_since_the_last_fork() {
        let heads = Heads::default();
        let stream = heads.stream(&Arc::from("S"));
        let mut wanted = lock(&stream.wanted);
        let mut add =
            |slot, epoch, sequence| wanted.add(Head { slot, seq: Seq::new(epoch, sequence), time: Offset::MIN });
        // The first head of each slot is stored on its own.
        assert_eq!((add(1, 1, 10), add(2, 4, 11)), (None, None));
        assert_eq!((add(1, 1, 12), add(2, 4, 13), add(1, 1, 5)), (Some(0), Some(0), Some(0)));
        // The stream has forked and uses sequences again.
        assert_eq!((add(1, 2, 6), add(2, 5, 7), add(3, 1, 8)), (Some(1), Some(2), None));
        assert_eq!((wanted.sequence, wanted.head.slot), (7, 2));
    }
}
