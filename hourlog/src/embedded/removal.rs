//! Deleting buckets and logs.

use std::sync::Arc;

use crate::{
    LogId, Offset, Result, Seq,
    store::{Bucket, BucketRow, LogRow, Totals, Widths, Write},
};

use super::{
    Tables,
    compaction::DELETED,
    keys::{self, LogNumber},
    lanes::{Ends, Lanes},
    tables::broken,
    values,
    view::View,
    writer::{Cache, CachedBucket},
};

/// The most keys that one batch deletes.
///
/// An unfinished batch above [`UNFINISHED_BYTES_MAX`](super::writer::UNFINISHED_BYTES_MAX) counts as damage.
const KEYS_PER_BATCH: usize = 5_000;

impl Cache {
    /// Deletes what `write` names, each bucket in batches of its own.
    ///
    /// The row that counts what is deleted changes last. So after a crash in between, no count is too small
    /// and the deletion can be repeated.
    pub(super) fn remove(&mut self, tables: &Arc<Tables>, write: Write, batches: &mut u64) -> Result<()> {
        match write {
            Write::DropBucket { log, bucket, seq, arrivals } => {
                self.drop_bucket(tables, &log, bucket, seq, arrivals, batches)
            }
            Write::UnlistBucket { log, bucket, seq } => {
                let view = View::of(tables);
                let Some((number, _)) = self.log(&view, &log)? else { return Ok(()) };
                let Some(CachedBucket { row, .. }) = self.bucket(&view, number, bucket.start)? else { return Ok(()) };
                if !row.is_empty() || row.counted_to >= seq {
                    return Ok(());
                }
                let mut batch = tables.batch();
                batch.remove(&tables.buckets, keys::bucket(number, bucket.start));
                self.buckets.remove(&(number, bucket.start));
                self.commit(tables, batch, batches)
            }
            Write::DeleteLog { log, seq } => self.delete(tables, &log, seq, batches),
            _ => Ok(()),
        }
    }

    fn drop_bucket(
        &mut self,
        tables: &Arc<Tables>,
        log: &LogId,
        bucket: Bucket,
        seq: Seq,
        arrivals: bool,
        batches: &mut u64,
    ) -> Result<()> {
        let view = View::of(tables);
        let Some((number, LogRow { widths, .. })) = self.log(&view, log)? else { return Ok(()) };
        let Some(CachedBucket { row, .. }) = self.bucket(&view, number, bucket.start)? else { return Ok(()) };
        let (row, era) = (row.clone(), widths.era(bucket.start));
        let mut batch = tables.batch();
        let of_bucket = keys::bucket_of_log(number, bucket.start);
        for guard in tables.events.prefix(of_bucket) {
            self.delete_key(tables, &tables.events, guard, &mut batch, batches)?;
            self.deleted += 1;
        }
        if arrivals {
            for guard in tables.arrivals.prefix(of_bucket) {
                self.delete_key(tables, &tables.arrivals, guard, &mut batch, batches)?;
            }
        }
        let totals = self.totals_besides(&view, number, &widths, &row)?;
        batch.insert(&tables.eras, keys::era(number, era), values::totals(&totals));
        self.eras.insert((number, era), totals);
        let row = row.emptied(seq, arrivals);
        let emptied = CachedBucket { row, lanes: Lanes::default(), ends: Some(Ends::default()) };
        batch.insert(&tables.buckets, keys::bucket(number, bucket.start), values::bucket(&emptied.row, emptied.lanes));
        self.buckets.insert((number, bucket.start), emptied);
        self.commit_deletions(tables, batch, batches)
    }

    /// Returns the sums of an era without the events of one of its rows.
    fn totals_besides(&self, view: &View, log: LogNumber, widths: &Widths, removed: &BucketRow) -> Result<Totals> {
        let era = widths.era(removed.bucket.start);
        let totals = match self.eras.get(&(log, era)) {
            Some(totals) => *totals,
            None => view.era_totals(log, era)?,
        };
        if removed.count == 0 {
            return Ok(totals);
        }
        let filled = |reverse| view.filled_bucket(log, widths, era, removed.bucket.start, reverse);
        Ok(Totals {
            count: totals.count.saturating_sub(removed.count),
            bytes: totals.bytes.saturating_sub(removed.bytes),
            first: filled(false)?.map(|row| row.first),
            last: filled(true)?.map(|row| row.last),
        })
    }

    /// Deletes a log.
    ///
    /// `deleted_to` is stored first, so that a redelivery and a reader know of the deletion wherever a crash
    /// ends it. The log's row goes last: until then the rest belongs to the old log and can be deleted again.
    fn delete(&mut self, tables: &Arc<Tables>, log: &LogId, seq: Seq, batches: &mut u64) -> Result<()> {
        let view = View::of(tables);
        let mut batch = tables.batch();
        batch.insert(&tables.deletions, log.as_str(), keys::ordered(seq.get()).to_vec());
        let found = self.log(&view, log)?;
        if let Some((number, row)) = found.clone() {
            let row = LogRow { deleted_to: row.deleted_to.max(seq), ..row };
            batch.insert(&tables.logs, log.as_str(), values::log(number, &row));
            self.logs.insert(log.clone(), (number, row));
        }
        self.commit(tables, batch, batches)?;
        let Some((number, _)) = found else { return Ok(()) };
        for row in View::of(tables).buckets(number, Offset::MIN..=Offset::MAX, false, usize::MAX)? {
            self.drop_bucket(tables, log, row.bucket, seq, true, batches)?;
        }
        let mut batch = tables.batch();
        // The eras after the buckets, which are found through them.
        for table in [&tables.buckets, &tables.eras] {
            for guard in table.prefix(keys::log_number(number)) {
                self.delete_key(tables, table, guard, &mut batch, batches)?;
            }
        }
        for guard in tables.cursors.prefix(keys::id_prefix(log)) {
            self.delete_key(tables, &tables.cursors, guard, &mut batch, batches)?;
        }
        batch.remove(&tables.logs, log.as_str());
        batch.remove(&tables.numbers, keys::log_number(number));
        self.logs.remove(log);
        self.buckets.retain(|(of_log, _), _| *of_log != number);
        self.eras.retain(|(of_log, _), _| *of_log != number);
        self.commit_deletions(tables, batch, batches)
    }

    /// Deletes one key of `table`. Commits the batch before that and begins the next one if it is full.
    fn delete_key(
        &mut self,
        tables: &Tables,
        table: &fjall::Keyspace,
        guard: fjall::Guard,
        batch: &mut fjall::OwnedWriteBatch,
        batches: &mut u64,
    ) -> Result<()> {
        if batch.len() >= KEYS_PER_BATCH {
            self.commit_deletions(tables, std::mem::replace(batch, tables.batch()), batches)?;
        }
        batch.remove(table, guard.key().map_err(broken)?);
        Ok(())
    }

    /// Commits a batch with the number of events that were deleted since the last compaction.
    fn commit_deletions(
        &mut self,
        tables: &Tables,
        mut batch: fjall::OwnedWriteBatch,
        batches: &mut u64,
    ) -> Result<()> {
        batch.insert(&tables.meta, DELETED, keys::ordered(self.deleted as i64).to_vec());
        self.commit(tables, batch, batches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ArrivalCursor, Embedded, ErrorKind, Position, Record,
        read::{ArrivalQuery, arrivals_page},
        store::{Arrival, EventRow, Removed, Scan, Store, Width},
        time::HOUR,
    };

    /// The batches of the writes before and after a removal, even if there are none.
    const BATCHES_AROUND: u64 = 2;

    fn id() -> LogId {
        "orders.eu".parse().expect("a valid id")
    }

    /// Returns `count` events of the first hour that arrive in the second one.
    fn late_rows(count: usize) -> Vec<EventRow> {
        let late = |at: u64| {
            let (offset, time) = (Offset::from_nanos(at as i64), Offset::from_nanos(HOUR));
            EventRow::new(&id(), Arrival { offset, time, max_time: time, seq: Seq::new(1, at) }, Record::new("x"))
        };
        (1..=count as u64).map(late).collect()
    }

    async fn write(store: &Embedded, rows: &[EventRow]) -> Result<Seq> {
        store.write(vec![Write::Events { log: id(), rows: rows.into(), width: Width::default() }]).await?;
        Ok(rows.last().expect("at least one row").event.position.seq)
    }

    /// Does what a deletion of the first bucket has done when a crash ends it: the events are gone, the row is not.
    async fn drop_events(store: &Embedded) -> Result<()> {
        let drop = |tables: &Arc<Tables>| {
            let mut batch = tables.batch();
            for guard in tables.events.iter() {
                batch.remove(&tables.events, guard.key().map_err(broken)?);
            }
            batch.commit().map_err(broken)
        };
        store.blocking(drop).await
    }

    async fn follow(store: &Embedded) -> Result<usize> {
        let query = ArrivalQuery { after: ArrivalCursor::FIRST, limit: 100, bytes: usize::MAX };
        Ok(arrivals_page(store, &id(), &query, Seq::MAX).await?.events.len())
    }

    #[tokio::test]
    async fn a_large_bucket_is_deleted_in_several_batches() -> Result<()> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = Embedded::open(directory.path())?;
        // Each is a write of its own, and so a pack and a listing.
        let rows = late_rows(KEYS_PER_BATCH + 1);
        let write = |row: &EventRow| Write::Events { log: id(), rows: [row.clone()].into(), width: Width::default() };
        store.write(rows.iter().map(write).collect()).await?;
        let seq = rows[KEYS_PER_BATCH].event.position.seq;
        let batches = async || store.blocking(|tables| tables.batches()).await;

        let before = batches().await?;
        let bucket = store.buckets(&id(), Offset::MIN..=Offset::MAX, false, 1).await?[0].bucket;
        store.write(vec![Write::DropBucket { log: id(), bucket, seq, arrivals: false }]).await?;
        assert_eq!(batches().await? - before, 2 + BATCHES_AROUND);
        let scan = Scan { from: Position::MIN, to: Position::MAX, reverse: false, limit: 1, bytes: usize::MAX };
        assert_eq!(store.events(&id(), bucket, scan).await?, []);
        let rows = store.buckets(&id(), Offset::MIN..=Offset::MAX, false, 10).await?;
        assert_eq!((rows[0].count, rows[1].arrivals), (0, KEYS_PER_BATCH as u64 + 1));

        let before = batches().await?;
        store.write(vec![Write::DeleteLog { log: id(), seq }]).await?;
        // `deleted_to`, the empty bucket, twice the bucket with the list of late events, and the log itself.
        assert_eq!(batches().await? - before, 5 + BATCHES_AROUND);
        assert_eq!((store.log(&id()).await?, store.deleted_to(&id()).await?), (None, seq));
        Ok(())
    }

    #[tokio::test]
    async fn a_follower_passes_over_the_events_of_an_interrupted_removal() -> Result<()> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = Embedded::open(directory.path())?;
        let seq = write(&store, &late_rows(3)).await?;
        drop_events(&store).await?;
        let lost = follow(&store).await.expect_err("nothing was removed");
        assert_eq!(lost.kind(), ErrorKind::Integrity);

        let removed = Some(Removed { to: Offset::from_nanos(HOUR), seq });
        let row = store.log(&id()).await?.expect("the log exists");
        store.write(vec![Write::Settings(id(), LogRow { removed, ..row }.with_next_settings(seq))]).await?;
        assert_eq!(follow(&store).await?, 0);
        Ok(())
    }

    #[tokio::test]
    async fn a_log_whose_deletion_was_interrupted_takes_no_redelivery_and_is_deleted_again() -> Result<()> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = Embedded::open(directory.path())?;
        let rows = late_rows(3);
        let seq = write(&store, &rows).await?;
        let row = store.log(&id()).await?.expect("the log exists");
        drop_events(&store).await?;
        let begin = move |tables: &Arc<Tables>| {
            let (number, _) = View::of(tables).log(&id())?.expect("the log exists");
            let mut batch = tables.batch();
            batch.insert(&tables.logs, id().as_str(), values::log(number, &LogRow { deleted_to: seq, ..row }));
            batch.commit().map_err(broken)
        };
        store.blocking(begin).await?;
        drop(store);

        let store = Embedded::open(directory.path())?;
        assert_eq!(follow(&store).await?, 0);
        write(&store, &rows).await?;
        assert_eq!(follow(&store).await?, 0);
        store.write(vec![Write::DeleteLog { log: id(), seq }]).await?;
        assert_eq!(store.log(&id()).await?, None);
        Ok(())
    }
}
