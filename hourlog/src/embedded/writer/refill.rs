//! Counting what a repaired archive reads again.
//!
//! A row counts up to a seq, and takes an event at or below it for one that it counts already. In a repaired archive
//! some of these events are gone. So up to the seq of the repair, an event is looked up before it is written: one
//! that is not there is counted.

use std::collections::HashSet;

use crate::{
    LogId, Position, Result, Seq,
    store::{Bucket, BucketRow, EventRow, Totals},
};

use super::{
    super::{
        keys::{LogNumber, PackKey},
        tables::{HOLES, Tables},
        view::View,
    },
    Cache,
};

/// The state of counting again.
#[derive(Default)]
pub(super) struct Refill {
    /// The seq up to which events may be missing; `None` in an archive that was never repaired.
    holes_to: Option<Seq>,
    /// The events up to there that the current batch writes, counted or not: the tables do not have them yet.
    written: HashSet<(LogNumber, Position)>,
}

/// The events of a write that are to be stored again in part.
#[derive(Default)]
pub(super) struct Found<'r> {
    /// The seqs of those that a row takes for counted, and that are gone.
    pub(super) events: HashSet<Seq>,
    /// Late events that are not listed, with the packs that they are in.
    pub(super) unlisted: Vec<(&'r EventRow, PackKey)>,
}

impl Refill {
    /// Reads the state.
    pub(super) fn of(tables: &Tables) -> Result<Self> {
        let holes_to = i64::try_from(tables.number(HOLES)?).unwrap_or(i64::MAX);
        Ok(Self { holes_to: (holes_to > 0).then(|| Seq::from_number(holes_to)), written: HashSet::new() })
    }

    /// Returns true if one of `rows` may be missing though its bucket's row counts it.
    pub(super) fn concerns<'r>(&self, rows: impl IntoIterator<Item = &'r EventRow>) -> bool {
        self.holes_to.is_some_and(|holes_to| rows.into_iter().any(|row| row.event.position.seq <= holes_to))
    }

    /// Returns the state for the next batch, after this one was committed or has failed.
    pub(super) fn next_batch(&mut self) -> Self {
        Self { holes_to: self.holes_to, written: HashSet::new() }
    }
}

impl Cache {
    /// Counts those of `rows` that the rows of their buckets take for counted, but that are gone or not listed.
    pub(super) fn refill<'r>(
        &mut self,
        view: &View,
        log: LogNumber,
        id: &LogId,
        rows: &'r [EventRow],
    ) -> Result<Found<'r>> {
        let mut found = Found::default();
        let (Some(holes_to), Some((_, settings))) = (self.refill.holes_to, self.logs.get(id)) else {
            return Ok(found);
        };
        let (widths, deleted_to) = (settings.widths.clone(), settings.deleted_to);
        let may_be_gone = |row: &&EventRow| row.event.position.seq > deleted_to && row.event.position.seq <= holes_to;
        for row in rows.iter().filter(may_be_gone) {
            let EventRow { event, late } = row;
            let (position, seq) = (event.position, event.position.seq);
            let bucket = widths.bucket(position.offset);
            let cached = self.bucket(view, log, bucket.start)?;
            let (emptied_at, counted_to) =
                cached.map_or((Seq::MIN, Seq::MIN), |cached| (cached.row.emptied_at, cached.row.counted_to));
            if seq <= emptied_at {
                continue;
            }
            let is_taken_for_counted = seq <= counted_to;
            let pack = view.pack_of(log, bucket.start, position)?;
            let is_gone = self.refill.written.insert((log, position)) && pack.is_none();
            if is_gone && is_taken_for_counted {
                found.events.insert(seq);
                let bytes = event.record.bytes();
                self.change(view, log, bucket, |row| row.count(position.offset, bytes))?;
                let (bytes, offset) = (bytes as u64, Some(position.offset));
                self.add_to_era(
                    view,
                    log,
                    widths.era(bucket.start),
                    Totals { count: 1, bytes, first: offset, last: offset },
                )?;
            }
            let Some(late) = late else { continue };
            let bucket = widths.bucket(late.max_time);
            if self.listing_for(view, log, bucket.start, seq)?.1.seqs().any(|listed| listed == seq) {
                continue;
            }
            if let Some(pack) = pack {
                found.unlisted.push((row, pack));
            }
            let cached = self.bucket(view, log, bucket.start)?;
            if cached.is_some_and(|cached| seq <= cached.row.counted_to) {
                self.change(view, log, bucket, |row| row.arrivals += 1)?;
            }
        }
        Ok(found)
    }

    fn change(
        &mut self,
        view: &View,
        log: LogNumber,
        bucket: Bucket,
        change: impl FnOnce(&mut BucketRow),
    ) -> Result<()> {
        if let Some(cached) = self.bucket(view, log, bucket.start)? {
            change(&mut cached.row);
            self.changed.push((log, bucket.start));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        Embedded, Offset, Record,
        embedded::{keys, tables::broken},
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
            .blocking(|tables| {
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
