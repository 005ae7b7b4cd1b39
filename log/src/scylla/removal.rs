//! What is taken away: buckets, and whole logs. A deletion carries the newest seq that is archived, so what was written before stays dead
//! however often it comes again, and what is written later lives.

use futures_util::future::try_join;

use crate::{Bucket, BucketRow, LogId, Offset, Result, Seq, Store};

use super::{Scylla, shard, values};

impl Scylla {
    /// The row of a bucket, as it is remembered or else stored, with its era; `None` where there is none.
    async fn listed_bucket(&self, id: &LogId, bucket: Bucket) -> Result<Option<(Offset, BucketRow)>> {
        let Some(known) = self.known_log(id).await? else { return Ok(None) };
        let era = known.widths.era(bucket.start);
        let remembered = self.remembered().bucket(id, bucket.start).cloned();
        let row = match remembered {
            Some(row) => Some(row),
            None => self.stored_bucket(id, era, bucket.start).await?,
        };
        Ok(row.map(|row| (era, row)))
    }

    /// Empties a bucket: its events, then its row. After a crash between the two it is emptied again.
    pub(super) async fn drop_bucket(&self, id: &LogId, bucket: Bucket, seq: Seq, arrivals: bool) -> Result<()> {
        let (statements, life) = (&self.0.statements, self.remembered().life());
        let Some((era, row)) = self.listed_bucket(id, bucket).await? else { return Ok(()) };
        let values = (seq, id.as_str(), values::hour_bucket(bucket.start));
        self.execute(&statements.drop_events, values).await?;
        if arrivals {
            self.execute(&statements.drop_arrivals, values).await?;
        }
        let emptied = row.emptied(seq, arrivals);
        self.set_bucket(id, era, &emptied, emptied.through).await?;
        self.remembered().learn(life, id, [emptied]);
        Ok(())
    }

    /// Takes an empty row out of the index, with a seq that is above all that was written to it.
    pub(super) async fn unlist(&self, id: &LogId, bucket: Bucket, seq: Seq) -> Result<()> {
        let Some((era, row)) = self.listed_bucket(id, bucket).await? else { return Ok(()) };
        if !row.is_empty() || row.through >= seq {
            return Ok(());
        }
        let values = (seq, id.as_str(), era.nanos(), values::hour_bucket(bucket.start));
        self.execute(&self.0.statements.unlist, values).await?;
        self.remembered().forget_bucket(id, bucket.start);
        Ok(())
    }

    /// Takes a log away. What says so is written first, and its row goes last, so that it can be deleted again after a crash.
    pub(super) async fn delete(&self, id: &LogId, seq: Seq) -> Result<()> {
        let statements = &self.0.statements;
        self.execute(&statements.set_cut, (shard(id), id.as_str(), seq, seq)).await?;
        for row in self.buckets(id, Offset::MIN..=Offset::MAX, false, usize::MAX).await? {
            let values = (seq, id.as_str(), values::hour_bucket(row.bucket.start));
            let (events, arrivals) = (&statements.drop_events, &statements.drop_arrivals);
            try_join(self.execute(events, values), self.execute(arrivals, values)).await?;
        }
        for era in self.eras(id).await? {
            self.execute(&statements.drop_buckets, (seq, id.as_str(), era.nanos())).await?;
        }
        self.execute(&statements.drop_eras, (seq, id.as_str())).await?;
        self.execute(&statements.drop_cursors, (seq, id.as_str())).await?;
        self.execute(&statements.unmake_log, (shard(id), id.as_str())).await?;
        self.remembered().forget(id);
        Ok(())
    }
}
