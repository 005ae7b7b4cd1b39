//! Deletion of buckets and of whole logs.
//!
//! A deletion carries the newest archived seq as its timestamp. A redelivery of an earlier event
//! therefore stays deleted, and a later event is stored.

use futures_util::future::try_join;

use crate::{
    LogId, Offset, Result, Seq,
    store::{Bucket, BucketRow, CursorChange, Store},
};

use super::{Scylla, shard, values};

impl Scylla {
    /// Returns the row of a bucket, from the cache or else from its table, with its era.
    async fn listed_bucket(&self, id: &LogId, bucket: Bucket) -> Result<Option<(Offset, BucketRow)>> {
        let Some(log) = self.cached_log(id).await? else { return Ok(None) };
        let era = log.widths.era(bucket.start);
        let cached = self.cache().bucket(id, bucket.start).cloned();
        let row = match cached {
            Some(row) => Some(row),
            None => self.read_buckets(id, era, &[bucket.start]).await?.pop(),
        };
        Ok(row.map(|row| (era, row)))
    }

    /// Deletes the events of a bucket, then updates its row. A crash between the two is repaired by
    /// a retry.
    pub(super) async fn drop_bucket(&self, id: &LogId, bucket: Bucket, seq: Seq, arrivals: bool) -> Result<()> {
        let (statements, generation) = (&self.0.statements, self.cache().generation());
        let Some((era, row)) = self.listed_bucket(id, bucket).await? else { return Ok(()) };
        let values = (seq, id.as_str(), values::hour_bucket(bucket.start));
        self.execute(&statements.delete_events, values).await?;
        if arrivals {
            self.execute(&statements.delete_arrivals, values).await?;
        }
        let emptied = row.emptied(seq, arrivals);
        self.write_rows(id, era, std::iter::once((&emptied, emptied.counted_to))).await?;
        self.cache().put_stored(generation, id, [emptied]);
        Ok(())
    }

    /// Deletes an empty row of the index, with a seq above everything that was written to it.
    pub(super) async fn unlist_bucket(&self, id: &LogId, bucket: Bucket, seq: Seq) -> Result<()> {
        let Some((era, row)) = self.listed_bucket(id, bucket).await? else { return Ok(()) };
        if !row.is_empty() || row.counted_to >= seq {
            return Ok(());
        }
        let values = (seq, id.as_str(), era.nanos(), values::hour_bucket(bucket.start));
        self.execute(&self.0.statements.delete_bucket, values).await?;
        self.cache().remove_bucket(id, bucket.start);
        Ok(())
    }

    /// Deletes a log.
    ///
    /// `deleted_to` is written first and the row goes last, so that a crash between leaves a log
    /// that can be deleted again.
    pub(super) async fn delete_log(&self, id: &LogId, seq: Seq) -> Result<()> {
        let statements = &self.0.statements;
        self.execute(&statements.set_deleted_to, (shard(id), id.as_str(), seq, seq)).await?;
        for row in self.buckets(id, Offset::MIN..=Offset::MAX, false, usize::MAX).await? {
            let values = (seq, id.as_str(), values::hour_bucket(row.bucket.start));
            let (events, arrivals) = (&statements.delete_events, &statements.delete_arrivals);
            try_join(self.execute(events, values), self.execute(arrivals, values)).await?;
        }
        for era in self.eras(id).await? {
            self.execute(&statements.delete_buckets, (seq, id.as_str(), era.nanos())).await?;
        }
        self.execute(&statements.delete_eras, (seq, id.as_str())).await?;
        // One after another: transactions on one partition wait for each other.
        for (name, _) in self.cursors(id).await? {
            self.change_cursor(id, &name, CursorChange::Delete).await?;
        }
        self.execute(&statements.delete_log, (shard(id), id.as_str())).await?;
        self.cache().remove_log(id);
        Ok(())
    }
}
