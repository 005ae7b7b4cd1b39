//! Writing events.
//!
//! A log has one write in flight at a time. The order of its parts makes a crash between two of
//! them harmless: the index row is written before the bucket's first event, the events before their
//! counts, and everything before the checkpoint of the source.

use std::collections::{BTreeMap, HashMap};

use futures_util::{StreamExt, TryStreamExt, future::try_join, stream};
use scylla::{
    statement::{
        batch::{Batch, BatchType},
        prepared::PreparedStatement,
    },
    value::MaybeUnset,
};

use crate::{
    Event, LogId, Position, Result, Seq,
    index::{self, Counts},
    store::{Bucket, BucketRow, EventRow, LogRow, Width, Widths},
};

use super::{Scylla, errors::request_error, values};

/// The most rows of one batch, all in one partition. Larger batches raise the write p99 to 0.3 s.
pub(super) const BATCH_ROWS_MAX: usize = 50;
/// The most bytes of one batch. The database logs a warning for larger ones.
const BATCH_BYTES_MAX: usize = 64 << 10;
/// The statements or batches of one write that are in flight at once.
pub(super) const CONCURRENT_STATEMENTS: usize = 16;
/// The most index rows that may wait to be written. Above it, a write flushes them first: an import
/// touches many.
const UNWRITTEN_MAX: usize = 16_384;

impl Scylla {
    /// Writes events of one log with their index rows; their counts are written later.
    ///
    /// If they create the log, its buckets have this width.
    pub(super) async fn write_events(&self, id: &LogId, rows: &[EventRow], width: Width) -> Result<()> {
        let generation = self.cache().generation();
        let Some(log_row) = self.log_of(generation, id, rows, width).await? else { return Ok(()) };
        let (widths, deleted_to) = (&log_row.widths, log_row.deleted_to);
        let mut listed = self.listed_buckets(generation, id, &log_row, rows).await?;
        let emptied_at: HashMap<Bucket, Seq> = listed.iter().map(|(bucket, row)| (*bucket, row.emptied_at)).collect();
        let load = |_: &LogId, bucket: Bucket| Ok(listed.remove(&bucket));
        let Counts { rows: counted, deleted: gone, .. } = index::count(id, widths, deleted_to, rows, load)?;
        let rows: Vec<&EventRow> = rows.iter().filter(|row| !gone.contains(&row.event.position.seq)).collect();
        try_join(self.add_events(id, widths, &rows), self.add_arrivals(id, widths, &rows, &emptied_at)).await?;
        let unwritten = {
            let mut cache = self.cache();
            cache.put_unwritten(generation, id, &log_row, counted.into_iter().map(|counted| counted.row));
            cache.evict();
            cache.unwritten()
        };
        if unwritten > UNWRITTEN_MAX { self.write_counts().await } else { Ok(()) }
    }

    /// Returns the rows of all buckets that `rows` belong to, after listing those that are not in the index.
    ///
    /// The cache may evict them meanwhile.
    async fn listed_buckets(
        &self,
        generation: u64,
        id: &LogId,
        log_row: &LogRow,
        rows: &[EventRow],
    ) -> Result<HashMap<Bucket, BucketRow>> {
        // Each bucket with the seq of its first event.
        let mut buckets: BTreeMap<Bucket, Seq> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.event.position.seq > log_row.deleted_to) {
            let Position { offset, seq } = row.event.position;
            for offset in [Some(offset), row.late.map(|late| late.max_time)].into_iter().flatten() {
                buckets.entry(log_row.widths.bucket(offset)).or_insert(seq);
            }
        }
        let mut listed = HashMap::new();
        {
            let cache = self.cache();
            buckets.retain(|bucket, _| match cache.bucket(id, bucket.start) {
                Some(row) => {
                    listed.insert(*bucket, row.clone());
                    false
                }
                None => true,
            });
        }
        if !buckets.is_empty() {
            let rows = self.list_buckets(generation, id, log_row, buckets).await?;
            listed.extend(rows.into_iter().map(|row| (row.bucket, row)));
        }
        Ok(listed)
    }

    /// Returns the row of the log.
    ///
    /// A missing log is created for the first of `rows` that was not deleted. Returns `None` if all
    /// of them were deleted.
    async fn log_of(&self, generation: u64, id: &LogId, rows: &[EventRow], width: Width) -> Result<Option<LogRow>> {
        if let Some(row) = self.cache().log(id) {
            return Ok(Some(row));
        }
        let (row, is_new) = match self.read_log(id).await? {
            (Some(row), _) => (row, false),
            (None, deleted_to) => {
                let Some(first) = rows.iter().find(|row| row.event.position.seq > deleted_to) else { return Ok(None) };
                // A delayed change of the deleted log's settings must not apply to the new one.
                let settings_at = deleted_to.max(Seq::ZERO);
                let wanted = LogRow { settings_at, ..LogRow::of_first_event(&first.event, width, Seq::MIN) };
                let (created, is_created) = self.create_log(id, &wanted).await?;
                // No such log ever existed, so its index is empty.
                let is_new = is_created && deleted_to == Seq::MIN;
                (LogRow { deleted_to: created.deleted_to.max(deleted_to), ..created }, is_new)
            }
        };
        let mut cache = self.cache();
        cache.put_log(generation, id, row.clone());
        if is_new {
            cache.put_new(generation, id);
        }
        Ok(Some(row))
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
        let mut values: Vec<_> = values.collect();
        if values.len() == 1 {
            return self.execute(&self.0.statements.add_event, values.remove(0)).await.map(drop);
        }
        let written = self.0.session.batch(&self.0.event_batches[values.len() - 1], values).await.map(drop);
        let written = written.map_err(|error| {
            request_error("the database did not accept a batch of events; check its health and try again", error)
        });
        self.unless_restarted(written).await
    }
}

/// Returns a batch that executes a statement `rows` times, always in the same partition.
pub(super) fn unlogged(statement: &PreparedStatement, rows: usize) -> Batch {
    let mut batch = Batch::new_with_statements(BatchType::Unlogged, vec![statement.clone().into(); rows]);
    batch.set_is_idempotent(true);
    batch
}

/// Returns the batches for 1, 2, 3… events. Building a batch costs as much as filling it.
pub(super) fn event_batches(statement: &PreparedStatement) -> Vec<Batch> {
    (1..=BATCH_ROWS_MAX).map(|rows| unlogged(statement, rows)).collect()
}
