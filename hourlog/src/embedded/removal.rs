//! Deleting buckets and logs.

use crate::{
    LogId, Offset, Position, Result, Seq,
    store::{Bucket, BucketRow, LogRow, Write},
};

use super::{Tables, broken, keys, values, writer::Cache};

impl Tables {
    /// Returns the seq up to which the events of a deleted log were deleted.
    pub(super) fn deleted_to(&self, log: &LogId) -> Result<Seq> {
        let deleted_to = self.deletions.get(log.as_str()).map_err(broken)?;
        deleted_to.map_or(Ok(Seq::MIN), |value| keys::last_seq(&value))
    }
}

impl Cache {
    /// Deletes what `write` names, one bucket per batch.
    ///
    /// After a crash in between, the counts are right and the deletion can be repeated.
    pub(super) fn remove(&mut self, tables: &Tables, write: Write, batches: &mut u64) -> Result<()> {
        match write {
            Write::DropBucket { log, bucket, seq, arrivals } => {
                self.drop_bucket(tables, &log, bucket, seq, arrivals, batches)
            }
            Write::UnlistBucket { log, bucket, seq } => {
                let Some((era, row)) = self.row_of(tables, &log, bucket)? else { return Ok(()) };
                if !row.is_empty() || row.counted_to >= seq {
                    return Ok(());
                }
                let mut batch = tables.batch();
                batch.remove(&tables.buckets, keys::bucket(&log, era, bucket.start));
                self.buckets.remove(&(log, bucket.start));
                self.commit(tables, batch, batches)
            }
            Write::DeleteLog { log, seq } => self.delete(tables, &log, seq, batches),
            _ => Ok(()),
        }
    }

    fn drop_bucket(
        &mut self,
        tables: &Tables,
        log: &LogId,
        bucket: Bucket,
        seq: Seq,
        arrivals: bool,
        batches: &mut u64,
    ) -> Result<()> {
        let Some((era, row)) = self.row_of(tables, log, bucket)? else { return Ok(()) };
        let mut batch = tables.batch();
        let (first, last) =
            (keys::event(log, bucket.start, Position::MIN), keys::event(log, bucket.start, Position::MAX));
        for guard in tables.events.range(first..=last) {
            batch.remove(&tables.events, guard.key().map_err(broken)?);
        }
        if arrivals {
            let (first, last) =
                (keys::arrival(log, bucket.start, Seq::MIN), keys::arrival(log, bucket.start, Seq::MAX));
            for guard in tables.arrivals.range(first..=last) {
                batch.remove(&tables.arrivals, guard.key().map_err(broken)?);
            }
        }
        let emptied = row.emptied(seq, arrivals);
        batch.insert(&tables.buckets, keys::bucket(log, era, bucket.start), values::bucket(&emptied));
        self.buckets.insert((log.clone(), bucket.start), emptied);
        self.commit(tables, batch, batches)
    }

    fn delete(&mut self, tables: &Tables, log: &LogId, seq: Seq, batches: &mut u64) -> Result<()> {
        for row in tables.buckets(log, Offset::MIN..=Offset::MAX, false, usize::MAX)? {
            self.drop_bucket(tables, log, row.bucket, seq, true, batches)?;
        }
        let mut batch = tables.batch();
        for table in [&tables.buckets, &tables.eras, &tables.cursors] {
            for guard in table.prefix(keys::log_prefix(log)) {
                batch.remove(table, guard.key().map_err(broken)?);
            }
        }
        batch.remove(&tables.logs, log.as_str());
        batch.insert(&tables.deletions, log.as_str(), keys::ordered(seq.get()).to_vec());
        self.logs.remove(log);
        self.buckets.retain(|(id, _), _| id != log);
        self.commit(tables, batch, batches)
    }

    /// Returns the row of a bucket, with its era; `None` if it has none.
    fn row_of(&self, tables: &Tables, log: &LogId, bucket: Bucket) -> Result<Option<(Offset, BucketRow)>> {
        let log_row = self.logs.get(log).cloned().map_or_else(|| tables.log(log), |row| Ok(Some(row)))?;
        let Some(LogRow { widths, .. }) = log_row else { return Ok(None) };
        let era = widths.era(bucket.start);
        let row = match self.buckets.get(&(log.clone(), bucket.start)) {
            Some(row) => Some(row.clone()),
            None => tables.bucket(log, era, bucket.start)?,
        };
        Ok(row.map(|row| (era, row)))
    }
}
