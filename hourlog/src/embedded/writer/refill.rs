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
    /// The keys that the current batch writes, counted or not: the tables do not have them yet.
    written: HashSet<Vec<u8>>,
}

impl Refill {
    /// Reads the state.
    pub(super) fn of(tables: &Tables) -> Result<Self> {
        let holes_to = i64::try_from(tables.number(HOLES)?).unwrap_or(i64::MAX);
        Ok(Self { holes_to: (holes_to > 0).then(|| Seq::from_number(holes_to)), written: HashSet::new() })
    }

    /// Returns true if one of `rows` may be missing though its bucket's row counts it.
    pub(super) fn concerns(&self, rows: &[EventRow]) -> bool {
        self.holes_to.is_some_and(|holes_to| rows.iter().any(|row| row.event.position.seq <= holes_to))
    }

    /// Returns the state for the next batch, after this one was committed or has failed.
    pub(super) fn next_batch(&mut self) -> Self {
        Self { holes_to: self.holes_to, written: HashSet::new() }
    }

    /// Notes that the current batch writes a key. Returns true if this is to be counted here: `row` takes the event for
    /// counted, but the key is in neither the table nor the batch so far.
    fn fills_hole(&mut self, table: &Keyspace, key: Vec<u8>, seq: Seq, row: Option<&BucketRow>) -> Result<bool> {
        let is_taken_for_counted = row.is_some_and(|row| seq <= row.counted_to);
        let is_hole = is_taken_for_counted && !table.contains_key(&key).map_err(broken)?;
        Ok(self.written.insert(key) && is_hole)
    }
}

impl Cache {
    /// Counts those of `rows` that the rows of their buckets take for counted, but that are gone.
    pub(super) fn refill(&mut self, tables: &Tables, id: &LogId, log: &LogRow, rows: &[EventRow]) -> Result<()> {
        let Some(holes_to) = self.refill.holes_to else { return Ok(()) };
        let may_be_gone =
            |row: &&EventRow| row.event.position.seq > log.deleted_to && row.event.position.seq <= holes_to;
        for EventRow { event, late } in rows.iter().filter(may_be_gone) {
            let (position, seq) = (event.position, event.position.seq);
            let bucket = log.widths.bucket(position.offset);
            let found = self.row_of(tables, id, bucket)?;
            if found.as_ref().is_some_and(|(_, row)| seq <= row.emptied_at) {
                continue;
            }
            let key = keys::event(id, bucket.start, position);
            let row = found.as_ref().map(|(_, row)| row);
            if self.refill.fills_hole(&tables.events, key, seq, row)?
                && let Some((era, mut row)) = found
            {
                row.count(event);
                self.change(id, era, row);
            }
            let Some(late) = late else { continue };
            let bucket = log.widths.bucket(late.max_time);
            let found = self.row_of(tables, id, bucket)?;
            let key = keys::arrival(id, bucket.start, seq);
            let row = found.as_ref().map(|(_, row)| row);
            if self.refill.fills_hole(&tables.arrivals, key, seq, row)?
                && let Some((era, mut row)) = found
            {
                row.arrivals += 1;
                self.change(id, era, row);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        Embedded, Record,
        store::{Arrival, Store, Width, Write},
        time::HOUR,
    };

    const MIDNIGHT: Offset = Offset::from_nanos(1_000 * 24 * HOUR);

    fn row(log: &LogId, sequence: u64, hours_late: i64) -> EventRow {
        let time = MIDNIGHT.saturating_add_nanos(sequence as i64);
        let offset = time.saturating_add_nanos(-hours_late * HOUR);
        EventRow::new(log, Arrival { offset, time, max_time: time, seq: Seq::new(1, sequence) }, Record::new("x"))
    }

    /// Returns the counts of events and of late arrivals.
    async fn counts(store: &Embedded, log: &LogId) -> Result<(u64, u64)> {
        let rows = store.buckets(log, Offset::MIN..=Offset::MAX, false, usize::MAX).await?;
        Ok((rows.iter().map(|row| row.count).sum(), rows.iter().map(|row| row.arrivals).sum()))
    }

    #[tokio::test]
    async fn an_event_that_comes_twice_in_one_batch_of_a_repaired_archive_counts_once() -> Result<()> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let log: LogId = "a".parse()?;
        let store = Embedded::open(directory.path())?;
        store
            .read(|tables| {
                let mut batch = tables.batch();
                batch.insert(&tables.meta, HOLES, keys::ordered(Seq::new(1, 100).get()).to_vec());
                batch.commit().map_err(broken)
            })
            .await?;
        drop(store);
        let store = Embedded::open(directory.path())?;
        let write =
            |rows: &[EventRow]| Write::Events { log: log.clone(), rows: Arc::from(rows), width: Width::default() };
        // Lists both buckets.
        store.write(vec![write(&[row(&log, 40, 7)])]).await?;
        // Each is written by an ingest that restarts, and again by the next one. Above the seq of the repair, too.
        let (first, late, above) = (row(&log, 50, 0), row(&log, 51, 7), row(&log, 101, 0));
        let again = [first.clone(), late.clone(), above.clone()];
        store.write(vec![write(&[first]), write(&[late]), write(&[above]), write(&again)]).await?;
        assert_eq!(counts(&store, &log).await?, (4, 2));
        store.write(vec![write(&again)]).await?;
        assert_eq!(counts(&store, &log).await?, (4, 2));
        // One that the row takes for counted, and that is gone.
        let hole = [row(&log, 49, 7)];
        store.write(vec![write(&hole), write(&hole)]).await?;
        assert_eq!(counts(&store, &log).await?, (5, 3));
        Ok(())
    }
}
