//! How far sources were handed out: stored before any row, once for all the logs that wait for it.
//!
//! What counts is the newest message of a stream that was handed out, in whichever slot. So one that is stored stands for all that are
//! older, as long as they are of one life of the stream: a new one shows by its epoch.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{Offset, Result, SLOTS, Seq, parts};

use super::Scylla;

/// The least time from one head of a stream to the next: a request for each write of a log would cost as much as the write.
const STORE_EVERY: Duration = Duration::from_millis(10);

/// The heads of the streams.
#[derive(Debug, Default)]
pub(super) struct Heads(Mutex<HashMap<Arc<str>, Arc<Stream>>>);

#[derive(Debug)]
struct Stream {
    wanted: Mutex<Wanted>,
    /// Held while more is being stored.
    stored: tokio::sync::Mutex<Stored>,
}

/// What is stored.
#[derive(Debug)]
struct Stored {
    /// The newest, behind its life.
    newest: (u64, u64),
    at: Option<Instant>,
}

/// The newest message that somebody waits for.
#[derive(Debug)]
struct Wanted {
    /// Counts the lives of the stream, as far as slots have told.
    life: u64,
    sequence: u64,
    head: Head,
    /// The epoch of each slot that was seen last.
    epochs: [Option<u32>; SLOTS as usize],
}

/// A message that was handed out.
#[derive(Debug, Clone, Copy)]
struct Head {
    slot: u8,
    seq: Seq,
    time: Offset,
}

impl Heads {
    pub(super) fn forget(&self) {
        lock(&self.0).clear();
    }

    fn stream(&self, stream: &Arc<str>) -> Arc<Stream> {
        let mut streams = lock(&self.0);
        let known = streams.entry(Arc::clone(stream)).or_insert_with(|| {
            let head = Head { slot: 0, seq: Seq::MIN, time: Offset::MIN };
            let wanted = Wanted { life: 0, sequence: 0, head, epochs: [None; SLOTS as usize] };
            let stored = Stored { newest: (0, 0), at: None };
            Arc::new(Stream { wanted: Mutex::new(wanted), stored: stored.into() })
        });
        Arc::clone(known)
    }
}

impl Wanted {
    /// The life that `head` is of, where an older one of it may stand for it. A slot that is seen for the first time does not tell.
    fn add(&mut self, head: Head) -> Option<u64> {
        let (epoch, sequence) = parts(head.seq);
        match self.epochs[usize::from(head.slot)].replace(epoch) {
            Some(before) if epoch > before => {
                self.life += 1;
                self.sequence = 0;
            }
            Some(before) if epoch == before => {}
            _ => return None,
        }
        if sequence > self.sequence {
            (self.sequence, self.head) = (sequence, head);
        }
        Some(self.life)
    }
}

impl Scylla {
    /// Returns once a head is stored that stands for this one.
    pub(super) async fn write_head(&self, stream: Arc<str>, slot: u8, seq: Seq, time: Offset) -> Result<()> {
        let head = Head { slot, seq, time };
        let of_stream = self.0.heads.stream(&stream);
        let life = lock(&of_stream.wanted).add(head);
        let mut stored = of_stream.stored.lock().await;
        let Some(life) = life else { return self.store_head(&stream, head).await };
        if stored.newest >= (life, parts(seq).1) {
            return Ok(());
        }
        // Whoever comes meanwhile is stood for too.
        if let Some(at) = stored.at {
            tokio::time::sleep(STORE_EVERY.saturating_sub(at.elapsed())).await;
        }
        let (newest, head) = {
            let wanted = lock(&of_stream.wanted);
            if wanted.life == life { ((life, wanted.sequence), wanted.head) } else { ((life, parts(seq).1), head) }
        };
        self.store_head(&stream, head).await?;
        *stored = Stored { newest, at: Some(Instant::now()) };
        Ok(())
    }

    async fn store_head(&self, stream: &str, Head { slot, seq, time }: Head) -> Result<()> {
        let values = (stream, i32::from(slot), (seq, time.nanos()), seq);
        self.execute(&self.0.statements.set_head_of_source, values).await.map(drop)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seq;

    #[test]
    fn a_head_stands_for_older_ones_of_its_life_alone() {
        let heads = Heads::default();
        let stream = heads.stream(&Arc::from("S"));
        let mut wanted = lock(&stream.wanted);
        let mut add = |slot, epoch, sequence| wanted.add(Head { slot, seq: seq(epoch, sequence), time: Offset::MIN });
        // Of each slot the first is stored itself.
        assert_eq!((add(1, 1, 10), add(2, 4, 11)), (None, None));
        assert_eq!((add(1, 1, 12), add(2, 4, 13), add(1, 1, 5)), (Some(0), Some(0), Some(0)));
        // The stream has forked, and uses sequences again.
        assert_eq!((add(1, 2, 6), add(2, 5, 7), add(3, 1, 8)), (Some(1), Some(2), None));
        assert_eq!((wanted.sequence, wanted.head.slot), (7, 2));
    }
}
