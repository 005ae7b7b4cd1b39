//! What is taken away: buckets, and whole logs.

use crate::{Bucket, BucketRow, LogId, LogRow, Offset, Position, Result, Seq, Write};

use super::{Tables, broken, keys, values, writer::Known};

impl Tables {
    /// The seq up to which the events of a log that is not there were deleted.
    pub(super) fn cut(&self, log: &LogId) -> Result<Seq> {
        let cut = self.cuts.get(log.as_str()).map_err(broken)?;
        cut.map_or(Ok(Seq::MIN), |value| Ok(keys::last_offset(&value)?.nanos()))
    }
}

impl Known {
    /// Takes away what `write` says, a bucket in a batch: after a crash, counts are right and the rest can be taken away again.
    pub(super) fn remove(&mut self, tables: &Tables, write: Write, batches: &mut u64) -> Result<()> {
        match write {
            Write::Drop { log, bucket, seq, arrivals } => {
                self.drop_bucket(tables, &log, bucket, seq, arrivals, batches)
            }
            Write::Unlist { log, bucket, seq } => {
                let Some((era, row)) = self.row_of(tables, &log, bucket)? else { return Ok(()) };
                if !row.is_empty() || row.through >= seq {
                    return Ok(());
                }
                let mut batch = tables.batch();
                batch.remove(&tables.buckets, keys::bucket(&log, era, bucket.start));
                self.buckets.remove(&(log, bucket.start));
                self.commit(tables, batch, batches)
            }
            Write::Delete { log, seq } => self.delete(tables, &log, seq, batches),
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
            for guard in table.prefix(keys::behind_log(log)) {
                batch.remove(table, guard.key().map_err(broken)?);
            }
        }
        batch.remove(&tables.logs, log.as_str());
        batch.insert(&tables.cuts, log.as_str(), keys::ordered(seq).to_vec());
        self.logs.remove(log);
        self.buckets.retain(|(id, _), _| id != log);
        self.commit(tables, batch, batches)
    }

    /// The row of a bucket, with its era; `None` where there is none.
    fn row_of(&self, tables: &Tables, log: &LogId, bucket: Bucket) -> Result<Option<(Offset, BucketRow)>> {
        let known = self.logs.get(log).cloned().map_or_else(|| tables.log(log), |row| Ok(Some(row)))?;
        let Some(LogRow { widths, .. }) = known else { return Ok(None) };
        let era = widths.era(bucket.start);
        let row = match self.buckets.get(&(log.clone(), bucket.start)) {
            Some(row) => Some(row.clone()),
            None => tables.bucket(log, era, bucket.start)?,
        };
        Ok(row.map(|row| (era, row)))
    }
}
