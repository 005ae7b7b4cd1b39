//! Counting what a repaired archive reads again.
//!
//! A row counts up to a seq, and takes an event at or below it for one that it counts already. In a repaired archive
//! some of these events are gone. So up to the seq of the repair, an event is looked up before it is written: one
//! that is not there is counted.

use std::collections::HashSet;

use fjall::Keyspace;

use crate::{
    LogId, Offset, Result, Seq,
    store::{BucketRow, EventRow, LogRow},
};

use super::{
    super::{
        keys,
        tables::{HOLES, Tables, broken},
    },
    Cache,
};

/// The state of counting again.
#[derive(Default)]
pub(super) struct Refill {
    /// The seq up to which events may be missing; `None` in an archive that was never repaired.
    holes_to: Option<Seq>,
    /// The keys that the current batch adds.
    added: HashSet<Vec<u8>>,
}

impl Refill {
    /// Reads the state.
    pub(super) fn of(tables: &Tables) -> Result<Self> {
        let holes_to = i64::try_from(tables.number(HOLES)?).unwrap_or(i64::MAX);
        Ok(Self { holes_to: (holes_to > 0).then(|| Seq::from_number(holes_to)), added: HashSet::new() })
    }

    /// Returns true if one of `rows` may be missing though its bucket's row counts it.
    pub(super) fn concerns(&self, rows: &[EventRow]) -> bool {
        self.holes_to.is_some_and(|holes_to| rows.iter().any(|row| row.event.position.seq <= holes_to))
    }

    /// Returns the state for the next batch, after this one was committed or has failed.
    pub(super) fn next_batch(&mut self) -> Self {
        Self { holes_to: self.holes_to, added: HashSet::new() }
    }

    /// Returns true if a key is in neither the table nor the current batch, and counts it to the batch.
    fn adds(&mut self, table: &Keyspace, key: Vec<u8>) -> Result<bool> {
        Ok(!table.contains_key(&key).map_err(broken)? && self.added.insert(key))
    }
}

impl Cache {
    /// Counts those of `rows` that the rows of their buckets take for counted, but that are gone.
    pub(super) fn refill(&mut self, tables: &Tables, id: &LogId, log: &LogRow, rows: &[EventRow]) -> Result<()> {
        for EventRow { event, late } in rows.iter().filter(|row| row.event.position.seq > log.deleted_to) {
            let (position, seq) = (event.position, event.position.seq);
            let bucket = log.widths.bucket(position.offset);
            if let Some((era, mut row)) = self.row_of(tables, id, bucket)? {
                if seq <= row.emptied_at {
                    continue;
                }
                let key = keys::event(id, bucket.start, position);
                if seq <= row.counted_to && self.refill.adds(&tables.events, key)? {
                    row.count(event);
                    self.change(id, era, row);
                }
            }
            let Some(late) = late else { continue };
            let bucket = log.widths.bucket(late.max_time);
            if let Some((era, mut row)) = self.row_of(tables, id, bucket)? {
                let key = keys::arrival(id, bucket.start, seq);
                if seq <= row.counted_to && self.refill.adds(&tables.arrivals, key)? {
                    row.arrivals += 1;
                    self.change(id, era, row);
                }
            }
        }
        Ok(())
    }

    fn change(&mut self, id: &LogId, era: Offset, row: BucketRow) {
        let key = (id.clone(), row.bucket.start);
        self.changed.insert(key.clone(), era);
        self.buckets.insert(key, row);
    }
}
