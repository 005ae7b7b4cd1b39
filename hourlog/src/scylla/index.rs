//! The rows of the index: finding them, listing new buckets, and writing counts.
//!
//! The rows of one era are one partition. So what a write touches of an era is one read and one batch.

use std::{collections::BTreeMap, ops::RangeInclusive};

use futures_util::{StreamExt, TryStreamExt, future::try_join, stream};
use scylla::value::CqlTimestamp;

use crate::{
    LogId, Offset, Result, Seq,
    store::{Bucket, BucketRow, LogRow},
};

use super::{
    Scylla,
    batches::CONCURRENT_STATEMENTS,
    batches::{BATCH_ROWS_MAX, unlogged},
    session::cql_limit,
    values::{self, BucketCounts},
};

/// The most rows that one statement reads by their keys. ScyllaDB refuses more than 100.
const KEYS_PER_READ: usize = 100;
/// The batches of index rows that are written at once when counts are flushed.
const CONCURRENT_COUNTS: usize = 64;

/// A part of a log's index: one read.
struct Part {
    era: Offset,
    span: RangeInclusive<Offset>,
    reverse: bool,
    limit: usize,
}

impl Scylla {
    /// Finds the rows of [`Store::buckets`](crate::store::Store::buckets).
    pub(super) async fn find_buckets(
        &self,
        id: &LogId,
        span: RangeInclusive<Offset>,
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<BucketRow>> {
        let (from, to) = span.into_inner();
        // A reader that goes on is in a bucket, and mostly the log's row tells which one. It may be old, so the
        // eras decide if the guess was right. Both are read at once.
        let guess = self.cache().log(id).filter(|_| from > Offset::MIN && !reverse);
        let guess = guess.map(|log| (log.widths.era(from), log.widths.bucket(from).start));
        let guessed = async {
            let Some((era, start)) = guess else { return Ok(Vec::new()) };
            self.read_part(id, Part { era, span: start..=to, reverse, limit }).await
        };
        let (mut eras, rows) = try_join(self.eras(id), guessed).await?;
        let last_before = eras.iter().copied().rfind(|era| *era <= from);
        let is_right = rows.iter().rposition(|row| row.bucket.start <= from) == Some(0);
        if let Some((era, _)) = guess.filter(|(era, _)| is_right && last_before == Some(*era)) {
            eras.retain(|other| *other > era && *other <= to);
            return self.read_parts(id, &eras, from..=to, reverse, limit, rows).await;
        }
        let first = self.start_at(id, &eras, from).await?.unwrap_or(from);
        // The era of the first bucket begins at or before it.
        let first_era = eras.iter().rposition(|era| *era <= first).unwrap_or(0);
        eras.drain(..first_era);
        eras.retain(|era| *era <= to);
        if reverse {
            eras.reverse();
        }
        self.read_parts(id, &eras, first..=to, reverse, limit, Vec::new()).await
    }

    /// Appends to `rows`, which come before them, those of `eras`, up to `limit` rows in all.
    async fn read_parts(
        &self,
        id: &LogId,
        eras: &[Offset],
        span: RangeInclusive<Offset>,
        reverse: bool,
        limit: usize,
        mut rows: Vec<BucketRow>,
    ) -> Result<Vec<BucketRow>> {
        for era in eras {
            let left = limit.saturating_sub(rows.len());
            if left == 0 {
                break;
            }
            rows.extend(self.read_part(id, Part { era: *era, span: span.clone(), reverse, limit: left }).await?);
        }
        rows.truncate(limit);
        Ok(rows)
    }

    async fn read_part(&self, id: &LogId, part: Part) -> Result<Vec<BucketRow>> {
        let statements = &self.0.statements;
        let statement = if part.reverse { &statements.buckets_reverse } else { &statements.buckets };
        let (from, to) = part.span.into_inner();
        let (from, to) = (values::hour_bucket(from), values::hour_bucket(to));
        let values = (id.as_str(), part.era.nanos(), from, to, cql_limit(part.limit));
        let found: Vec<(CqlTimestamp, BucketCounts)> = self.rows(statement, values).await?;
        found.into_iter().map(|(start, counts)| values::bucket_row(values::start_of(start), counts)).collect()
    }

    /// Lists the eras of a log, in order.
    pub(super) async fn eras(&self, id: &LogId) -> Result<Vec<Offset>> {
        let eras: Vec<(i64,)> = self.rows(&self.0.statements.eras, (id.as_str(),)).await?;
        Ok(eras.into_iter().map(|(era,)| Offset::from_nanos(era)).collect())
    }

    /// Returns the start of the last bucket that begins at or before `offset`, if there is one.
    async fn start_at(&self, id: &LogId, eras: &[Offset], offset: Offset) -> Result<Option<Offset>> {
        for era in eras.iter().rev().filter(|era| **era <= offset) {
            let values = (id.as_str(), era.nanos(), values::hour_bucket(offset));
            let found: Vec<(CqlTimestamp,)> = self.rows(&self.0.statements.bucket_at, values).await?;
            if let Some((start,)) = found.first() {
                return Ok(Some(values::start_of(*start)));
            }
        }
        Ok(None)
    }

    /// Reads the rows of the buckets of an era that begin at `starts`.
    pub(super) async fn read_buckets(&self, id: &LogId, era: Offset, starts: &[Offset]) -> Result<Vec<BucketRow>> {
        let mut rows = Vec::new();
        for some in starts.chunks(KEYS_PER_READ) {
            let starts: Vec<_> = some.iter().map(|start| values::hour_bucket(*start)).collect();
            let values = (id.as_str(), era.nanos(), starts);
            let found: Vec<(CqlTimestamp, BucketCounts)> = self.rows(&self.0.statements.some_buckets, values).await?;
            for (start, counts) in found {
                rows.push(values::bucket_row(values::start_of(start), counts)?);
            }
        }
        Ok(rows)
    }

    /// Adds buckets, each with the seq of its first event, to the index and the cache, unless they are there.
    ///
    /// Returns their rows.
    pub(super) async fn list_buckets(
        &self,
        generation: u64,
        id: &LogId,
        log: &LogRow,
        buckets: BTreeMap<Bucket, Seq>,
    ) -> Result<Vec<BucketRow>> {
        let mut eras: BTreeMap<Offset, BTreeMap<Bucket, Seq>> = BTreeMap::new();
        for (bucket, seq) in buckets {
            eras.entry(log.widths.era(bucket.start)).or_default().insert(bucket, seq);
        }
        let listing = stream::iter(eras).map(|(era, buckets)| self.list_buckets_of(generation, id, era, buckets));
        listing.buffer_unordered(CONCURRENT_STATEMENTS).try_concat().await
    }

    /// Does the same with the buckets of one era.
    async fn list_buckets_of(
        &self,
        generation: u64,
        id: &LogId,
        era: Offset,
        mut buckets: BTreeMap<Bucket, Seq>,
    ) -> Result<Vec<BucketRow>> {
        let (to_read, era_is_listed): (Vec<Offset>, bool) = {
            let cache = self.cache();
            let starts = buckets.keys().map(|bucket| bucket.start).filter(|start| !cache.is_new(id, *start));
            (starts.collect(), cache.lists_era(id, era))
        };
        let mut rows = self.read_buckets(id, era, &to_read).await?;
        for row in &rows {
            buckets.remove(&row.bucket);
        }
        let first = buckets.values().min().copied();
        // The seq of its first event is the timestamp of a row. The row that counts this event may carry the same
        // timestamp. The database then keeps the greater value, which is the one that counts more.
        let new: Vec<_> = buckets.into_iter().map(|(bucket, seq)| (BucketRow::listed(bucket, seq), seq)).collect();
        let new_era = first.filter(|_| !era_is_listed).map(|seq| (id.as_str(), era.nanos(), seq));
        if let (Some(new_era), [(row, seq)]) = (new_era, &new[..]) {
            // Most new logs begin with one bucket.
            self.execute_batch(&self.0.batches.era, (new_era, bucket_values(id, era, row, *seq)?)).await?;
            rows.push(row.clone());
            self.cache().put_listed(generation, id, era, rows.iter().cloned());
            return Ok(rows);
        }
        let list_era = async {
            match new_era {
                Some(new_era) => self.execute(&self.0.statements.add_era, new_era).await.map(drop),
                None => Ok(()),
            }
        };
        let list = async {
            for rows in new.chunks(BATCH_ROWS_MAX) {
                self.write_rows(id, era, rows.iter().map(|(row, seq)| (row, *seq))).await?;
            }
            Ok(())
        };
        try_join(list_era, list).await?;
        rows.extend(new.into_iter().map(|(row, _)| row));
        self.cache().put_listed(generation, id, era, rows.iter().cloned());
        Ok(rows)
    }

    /// Writes rows of one era, at most [`BATCH_ROWS_MAX`], each with its timestamp.
    pub(super) async fn write_rows(
        &self,
        id: &LogId,
        era: Offset,
        rows: impl Iterator<Item = (&BucketRow, Seq)>,
    ) -> Result<()> {
        let mut values: Vec<_> =
            rows.map(|(row, timestamp)| bucket_values(id, era, row, timestamp)).collect::<Result<_>>()?;
        let statement = &self.0.statements.set_bucket;
        match values.len() {
            0 => Ok(()),
            1 => self.execute(statement, values.remove(0)).await.map(drop),
            count => self.execute_batch(&unlogged(statement, count), values).await,
        }
    }

    /// Writes the index rows that are newer in the cache than in their table.
    pub(super) async fn write_counts(&self) -> Result<()> {
        let _lock = self.0.counts_lock.lock().await;
        let mut batches = Vec::new();
        for (id, log, rows) in self.cache().unwritten_rows() {
            let mut eras: BTreeMap<Offset, Vec<BucketRow>> = BTreeMap::new();
            for row in rows {
                eras.entry(log.widths.era(row.bucket.start)).or_default().push(row);
            }
            for (era, rows) in eras {
                batches.extend(rows.chunks(BATCH_ROWS_MAX).map(|rows| (id.clone(), era, rows.to_vec())));
            }
        }
        let writing = stream::iter(batches).map(|(id, era, rows)| async move {
            self.write_rows(&id, era, rows.iter().map(|row| (row, row.counted_to))).await?;
            let mut cache = self.cache();
            rows.iter().for_each(|row| cache.mark_written(&id, row.bucket.start, row.counted_to));
            Ok(())
        });
        writing.buffer_unordered(CONCURRENT_COUNTS).try_collect().await
    }
}

/// Returns the values of the statement that writes a row.
fn bucket_values<'i>(
    id: &'i LogId,
    era: Offset,
    row: &BucketRow,
    timestamp: Seq,
) -> Result<(&'i str, i64, CqlTimestamp, BucketCounts, Seq)> {
    let start = values::hour_bucket(row.bucket.start);
    Ok((id.as_str(), era.nanos(), start, values::counts(row)?, timestamp))
}
