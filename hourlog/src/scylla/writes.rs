//! Writing events.
//!
//! A log has one write in flight at a time. The order of its parts makes a crash between two of
//! them harmless: the index row is written before the bucket's first event, the events before their
//! counts, and everything before the checkpoint of the source.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::{StreamExt, TryStreamExt, future::try_join, stream};
use scylla::{
    statement::{
        batch::{Batch, BatchType},
        prepared::PreparedStatement,
    },
    value::MaybeUnset,
};

use crate::{
    Error, Event, LogId, Offset, Position, Result, Seq,
    index::{self, Counts},
    store::{Bucket, BucketRow, EventRow, LogRow, Width, Widths},
};

use super::{
    Scylla,
    errors::request_error,
    session::was_applied,
    shard,
    values::{self, BucketCounts, CqlLog},
};

/// The most rows of one batch, all in one partition. Larger batches raise the write p99 to 0.3 s.
pub(super) const BATCH_ROWS_MAX: usize = 50;
/// The most bytes of one batch. The database logs a warning for larger ones.
const BATCH_BYTES_MAX: usize = 64 << 10;
/// The statements or batches of one write that are in flight at once.
const CONCURRENT_STATEMENTS: usize = 4;
/// The index rows that are written at once when counts are flushed.
const CONCURRENT_COUNTS: usize = 64;
/// The most index rows that may wait to be written. Above it, a write flushes them first: an import
/// touches many.
const UNWRITTEN_MAX: usize = 16_384;

impl Scylla {
    /// Reads the row of a log, and the seq up to which its events were deleted.
    pub(super) async fn read_log(&self, id: &LogId) -> Result<(Option<LogRow>, Seq)> {
        let found: Vec<CqlLog> = self.rows(&self.0.statements.log, (shard(id), id.as_str())).await?;
        found.into_iter().next().map_or(Ok((None, Seq::MIN)), values::log_row)
    }

    /// Returns the row of a log, from the cache or else from its table.
    pub(super) async fn cached_log(&self, id: &LogId) -> Result<Option<LogRow>> {
        let cached = self.cache().log(id);
        if cached.is_some() { Ok(cached) } else { Ok(self.read_log(id).await?.0) }
    }

    /// Creates a log unless it exists. Returns its row, and true if it was created.
    pub(super) async fn create_log(&self, id: &LogId, row: &LogRow) -> Result<(LogRow, bool)> {
        let retention = row.retention_seconds().map_or(MaybeUnset::Unset, MaybeUnset::Set);
        let removed = row.removed.map_or(MaybeUnset::Unset, |removed| MaybeUnset::Set(values::removed(removed)));
        let (created, widths, settings_at) = (row.created.nanos(), values::widths(&row.widths)?, row.settings_at);
        let values = (created, widths, retention, removed, settings_at, shard(id), id.as_str());
        let is_created = {
            let _lock = self.0.create_locks[shard(id) as usize].lock().await;
            was_applied(self.execute(&self.0.statements.create_log, values).await?)?
        };
        if is_created && row.deleted_to > Seq::MIN {
            // A separate statement: a transaction must never write a cell that carries a seq.
            let values = (shard(id), id.as_str(), row.deleted_to, row.deleted_to);
            self.execute(&self.0.statements.set_deleted_to, values).await?;
        }
        // Another instance may have created it first.
        let stored = if is_created { None } else { self.read_log(id).await?.0 };
        Ok((stored.unwrap_or_else(|| row.clone()), is_created))
    }

    /// Replaces the settings of a log, unless it has newer ones or does not exist.
    pub(super) async fn write_settings(&self, id: &LogId, row: &LogRow) -> Result<()> {
        let generation = self.cache().generation();
        let (widths, retention) = (values::widths(&row.widths)?, row.retention_seconds());
        let (removed, at) = (row.removed.map(values::removed), row.settings_at);
        {
            let _lock = self.0.create_locks[shard(id) as usize].lock().await;
            let values = (widths, retention, removed, at, shard(id), id.as_str(), at);
            self.execute(&self.0.statements.set_settings, values).await?;
        }
        if let (Some(stored), _) = self.read_log(id).await? {
            self.cache().put_log(generation, id, stored);
        }
        Ok(())
    }

    /// Writes events of one log with their index rows; their counts are written later.
    ///
    /// If they create the log, its buckets have this width.
    pub(super) async fn write_events(&self, id: &LogId, rows: &[EventRow], width: Width) -> Result<()> {
        let generation = self.cache().generation();
        let Some((log_row, is_new)) = self.log_of(generation, id, rows, width).await? else { return Ok(()) };
        let (widths, deleted_to) = (&log_row.widths, log_row.deleted_to);
        let listed = self.list_buckets(generation, id, &log_row, is_new, rows).await?;
        let load = |_: &LogId, bucket: Bucket| Ok(listed.get(&bucket).cloned());
        let Counts { rows: counted, deleted: gone } = index::count(id, widths, deleted_to, rows, load)?;
        let rows: Vec<&EventRow> = rows.iter().filter(|row| !gone.contains(&row.event.position.seq)).collect();
        try_join(self.add_events(id, widths, &rows), self.add_arrivals(id, widths, &rows)).await?;
        let unwritten = {
            let mut cache = self.cache();
            cache.put_unwritten(generation, id, &log_row, counted.into_iter().map(|counted| counted.row));
            cache.evict();
            cache.unwritten()
        };
        if unwritten > UNWRITTEN_MAX { self.write_counts().await } else { Ok(()) }
    }

    /// Returns the row of the log, and true if no such log ever existed before.
    ///
    /// A missing log is created for the first of `rows` that was not deleted. Returns `None` if all
    /// of them were deleted.
    async fn log_of(
        &self,
        generation: u64,
        id: &LogId,
        rows: &[EventRow],
        width: Width,
    ) -> Result<Option<(LogRow, bool)>> {
        if let Some(row) = self.cache().log(id) {
            return Ok(Some((row, false)));
        }
        let (row, is_new) = match self.read_log(id).await? {
            (Some(row), _) => (row, false),
            (None, deleted_to) => {
                let Some(first) = rows.iter().find(|row| row.event.position.seq > deleted_to) else { return Ok(None) };
                // A delayed change of the deleted log's settings must not apply to the new one.
                let settings_at = deleted_to.max(Seq::ZERO);
                let wanted = LogRow { settings_at, ..LogRow::of_first_event(&first.event, width, Seq::MIN) };
                let (created, is_created) = self.create_log(id, &wanted).await?;
                let is_new = is_created && deleted_to == Seq::MIN;
                (LogRow { deleted_to: created.deleted_to.max(deleted_to), ..created }, is_new)
            }
        };
        self.cache().put_log(generation, id, row.clone());
        Ok(Some((row, is_new)))
    }

    /// Adds every bucket of `rows` to the index and the cache, unless it is there.
    ///
    /// Returns their index rows, since the cache may evict them meanwhile.
    async fn list_buckets(
        &self,
        generation: u64,
        id: &LogId,
        log_row: &LogRow,
        is_new: bool,
        rows: &[EventRow],
    ) -> Result<HashMap<Bucket, BucketRow>> {
        // The first seq of each bucket that is not cached.
        let mut missing: BTreeMap<Bucket, Seq> = BTreeMap::new();
        let mut found = HashMap::new();
        {
            let (cache, mut seen) = (self.cache(), BTreeSet::new());
            for row in rows.iter().filter(|row| row.event.position.seq > log_row.deleted_to) {
                let Position { offset, seq } = row.event.position;
                for offset in [Some(offset), row.late.map(|late| late.max_time)].into_iter().flatten() {
                    let bucket = log_row.widths.bucket(offset);
                    if !seen.insert(bucket) {
                        continue;
                    }
                    match cache.bucket(id, bucket.start) {
                        Some(row) => drop(found.insert(bucket, row.clone())),
                        None => drop(missing.insert(bucket, seq)),
                    }
                }
            }
        }
        let listing = stream::iter(missing).map(|(bucket, seq)| async move {
            let era = log_row.widths.era(bucket.start);
            let stored = if is_new { None } else { self.read_bucket(id, era, bucket.start).await? };
            match stored {
                Some(row) => Ok::<_, Error>(row),
                None => self.list_bucket(id, era, bucket, seq).await,
            }
        });
        let listed: Vec<BucketRow> = listing.buffer_unordered(CONCURRENT_STATEMENTS).try_collect().await?;
        found.extend(listed.iter().map(|row| (row.bucket, row.clone())));
        self.cache().put_stored(generation, id, listed);
        Ok(found)
    }

    /// Reads the row of a bucket.
    pub(super) async fn read_bucket(&self, id: &LogId, era: Offset, start: Offset) -> Result<Option<BucketRow>> {
        let values = (id.as_str(), era.nanos(), values::hour_bucket(start));
        let found: Vec<(BucketCounts,)> = self.rows(&self.0.statements.bucket, values).await?;
        found.into_iter().next().map(|(counts,)| values::bucket_row(start, counts)).transpose()
    }

    /// Lists a bucket in the index before its first event, whose seq is the row's timestamp.
    ///
    /// The row that counts this event may carry the same timestamp. The database then keeps the
    /// greater value, which is the one that counts more.
    async fn list_bucket(&self, id: &LogId, era: Offset, bucket: Bucket, seq: Seq) -> Result<BucketRow> {
        let row = BucketRow::listed(bucket, seq);
        let era_listed = self.execute(&self.0.statements.add_era, (id.as_str(), era.nanos(), seq));
        try_join(era_listed, self.write_bucket(id, era, &row, seq)).await?;
        Ok(row)
    }

    /// Writes the index row of a bucket.
    pub(super) async fn write_bucket(&self, id: &LogId, era: Offset, row: &BucketRow, timestamp: Seq) -> Result<()> {
        let values = (id.as_str(), era.nanos(), values::hour_bucket(row.bucket.start), values::counts(row)?, timestamp);
        self.execute(&self.0.statements.set_bucket, values).await.map(drop)
    }

    /// Writes the index rows that are newer in the cache than in their table.
    pub(super) async fn write_counts(&self) -> Result<()> {
        let _lock = self.0.counts_lock.lock().await;
        let rows = self.cache().unwritten_rows();
        let writing = stream::iter(rows).map(|(id, log, row)| async move {
            self.write_bucket(&id, log.widths.era(row.bucket.start), &row, row.counted_to).await?;
            self.cache().mark_written(&id, row.bucket.start, row.counted_to);
            Ok(())
        });
        writing.buffer_unordered(CONCURRENT_COUNTS).try_collect().await
    }

    /// Writes events in concurrent batches, each within one partition.
    async fn add_events(&self, id: &LogId, widths: &Widths, rows: &[&EventRow]) -> Result<()> {
        let mut batches: Vec<(Bucket, Vec<&Event>)> = Vec::new();
        let mut open: HashMap<Bucket, (usize, usize)> = HashMap::new();
        for row in rows {
            let event = &row.event;
            let (bucket, bytes) = (widths.bucket(event.position.offset), event.record.bytes());
            match open.get_mut(&bucket) {
                Some((at, batch_bytes))
                    if batches[*at].1.len() < BATCH_ROWS_MAX && *batch_bytes + bytes <= BATCH_BYTES_MAX =>
                {
                    batches[*at].1.push(event);
                    *batch_bytes += bytes;
                }
                _ => {
                    open.insert(bucket, (batches.len(), bytes));
                    batches.push((bucket, vec![event]));
                }
            }
        }
        let adding: Vec<_> = batches.into_iter().map(|(bucket, events)| self.add_batch(id, bucket, events)).collect();
        stream::iter(adding).buffer_unordered(CONCURRENT_STATEMENTS).try_collect().await
    }

    async fn add_batch(&self, id: &LogId, bucket: Bucket, events: Vec<&Event>) -> Result<()> {
        let values = events.iter().map(|event| {
            let Position { offset, seq } = event.position;
            let arrived = event.arrived.map_or(MaybeUnset::Unset, |arrived| MaybeUnset::Set(arrived.nanos()));
            let metadata = &event.record.metadata;
            let metadata =
                if metadata.is_empty() { MaybeUnset::Unset } else { MaybeUnset::Set(values::metadata(metadata)) };
            let start = values::hour_bucket(bucket.start);
            (id.as_str(), start, offset.nanos(), seq, arrived, metadata, &event.record.data[..], seq)
        });
        let values: Vec<_> = values.collect();
        let written = self.0.session.batch(&self.0.event_batches[values.len() - 1], values).await.map(drop);
        let written = written.map_err(|error| {
            request_error("the database did not accept a batch of events; check its health and try again", error)
        });
        self.unless_restarted(written).await
    }

    /// Lists late events in batches, each within one partition.
    async fn add_arrivals(&self, id: &LogId, widths: &Widths, rows: &[&EventRow]) -> Result<()> {
        let mut listed: BTreeMap<Bucket, Vec<Position>> = BTreeMap::new();
        for row in rows {
            if let Some(late) = row.late {
                listed.entry(widths.bucket(late.max_time)).or_default().push(row.event.position);
            }
        }
        let mut adding = Vec::new();
        for (bucket, positions) in &listed {
            adding.extend(positions.chunks(BATCH_ROWS_MAX).map(|chunk| self.add_arrival_batch(id, *bucket, chunk)));
        }
        stream::iter(adding).buffer_unordered(CONCURRENT_STATEMENTS).try_collect().await
    }

    async fn add_arrival_batch(&self, id: &LogId, bucket: Bucket, positions: &[Position]) -> Result<()> {
        let start = values::hour_bucket(bucket.start);
        let values = positions.iter().map(|Position { offset, seq }| (id.as_str(), start, *seq, offset.nanos(), *seq));
        let values: Vec<_> = values.collect();
        let batch = unlogged(&self.0.statements.add_arrival, values.len());
        let written = self.0.session.batch(&batch, values).await.map(drop);
        let written = written.map_err(|error| {
            request_error("the database did not accept a list of late events; check its health and try again", error)
        });
        self.unless_restarted(written).await
    }
}

/// Returns a batch that executes a statement `rows` times, always in the same partition.
fn unlogged(statement: &PreparedStatement, rows: usize) -> Batch {
    let mut batch = Batch::new_with_statements(BatchType::Unlogged, vec![statement.clone().into(); rows]);
    batch.set_is_idempotent(true);
    batch
}

/// Returns the batches for 1, 2, 3… events. Building a batch costs as much as filling it.
pub(super) fn event_batches(statement: &PreparedStatement) -> Vec<Batch> {
    (1..=BATCH_ROWS_MAX).map(|rows| unlogged(statement, rows)).collect()
}
