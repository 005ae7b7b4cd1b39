//! Writing events. One write of a log is under way at a time, and the order of its parts is what makes a crash between two of them
//! harmless: the index row before the bucket's first event, the events before they are counted, all of it before the place of the
//! source moves.

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
    Bucket, BucketRow, Error, Event, LogId, LogRow, Offset, Position, Result, Row, Seq, Widths,
    index::{self, Counts},
};

use super::{
    Scylla, applied, shard, unavailable,
    values::{self, BucketCounts, StoredLog},
};

/// The rows of one batch, which are all of one partition. More push the slowest of a hundred writes to 0.3 s.
pub(super) const BATCH_ROWS_MAX: usize = 50;
/// The bytes of one batch: what the database would warn of is beyond it.
const BATCH_BYTES_MAX: usize = 64 << 10;
/// The statements, or batches, of one write that are under way at once.
const AT_ONCE: usize = 4;
/// The rows of the index that are written behind at once.
const COUNTS_AT_ONCE: usize = 64;
/// The rows of the index that may wait; past that a write does not return before they are written. An import touches many.
const UNWRITTEN_MAX: usize = 16_384;

impl Scylla {
    /// The row of a log as it is stored, and up to which seq its events were deleted.
    pub(super) async fn stored_log(&self, id: &LogId) -> Result<(Option<LogRow>, Seq)> {
        let found: Vec<StoredLog> = self.rows(&self.0.statements.log, (shard(id), id.as_str())).await?;
        found.into_iter().next().map_or(Ok((None, Seq::MIN)), values::log_row)
    }

    /// The row of a log, as it is remembered or else stored.
    pub(super) async fn known_log(&self, id: &LogId) -> Result<Option<LogRow>> {
        let remembered = self.remembered().log(id);
        if remembered.is_some() { Ok(remembered) } else { Ok(self.stored_log(id).await?.0) }
    }

    /// Makes a log, unless it is there. Answers its row, and whether it was made.
    pub(super) async fn make(&self, id: &LogId, row: &LogRow) -> Result<(LogRow, bool)> {
        let retention = row.retention_seconds.map_or(MaybeUnset::Unset, MaybeUnset::Set);
        let values = (row.created.nanos(), values::widths(&row.widths)?, retention, shard(id), id.as_str());
        let made = {
            let _turn = self.0.making[shard(id) as usize].lock().await;
            applied(self.execute(&self.0.statements.make_log, values).await?)?
        };
        if made && row.cut > Seq::MIN {
            // Not in the same statement: a cell that carries a seq is never written by a transaction.
            let values = (shard(id), id.as_str(), row.cut, row.cut);
            self.execute(&self.0.statements.set_cut, values).await?;
        }
        // Somebody else may have made it first.
        let stored = if made { None } else { self.stored_log(id).await?.0 };
        Ok((stored.unwrap_or_else(|| row.clone()), made))
    }

    pub(super) async fn write_events(&self, id: &LogId, rows: &[Row]) -> Result<()> {
        let life = self.remembered().life();
        let Some((known, is_new)) = self.row_of(life, id, rows).await? else { return Ok(()) };
        let (widths, cut) = (&known.widths, known.cut);
        let listed = self.list_buckets(life, id, &known, is_new, rows).await?;
        let load = |_: &LogId, bucket: Bucket| Ok(listed.get(&bucket).cloned());
        let Counts { rows: counted, gone } = index::count(id, widths, cut, rows, load)?;
        let rows: Vec<&Row> = rows.iter().filter(|row| !gone.contains(&row.event.position.seq)).collect();
        try_join(self.add_events(id, widths, &rows), self.add_arrivals(id, widths, &rows)).await?;
        let unwritten = {
            let mut remembered = self.remembered();
            remembered.count(life, id, &known, counted.into_iter().map(|counted| counted.row));
            remembered.shrink();
            remembered.unwritten()
        };
        if unwritten > UNWRITTEN_MAX { self.write_counts().await } else { Ok(()) }
    }

    /// The row of the log, which is made for the first of `rows` that was not deleted; `None` where all of them were. And whether there
    /// was no such log before, ever.
    async fn row_of(&self, life: u64, id: &LogId, rows: &[Row]) -> Result<Option<(LogRow, bool)>> {
        if let Some(known) = self.remembered().log(id) {
            return Ok(Some((known, false)));
        }
        let (known, is_new) = match self.stored_log(id).await? {
            (Some(known), _) => (known, false),
            (None, cut) => {
                let Some(first) = rows.iter().find(|row| row.event.position.seq > cut) else { return Ok(None) };
                let wanted = LogRow::of_first_event(&first.event, Seq::MIN);
                let (made, is_made) = self.make(id, &wanted).await?;
                (LogRow { cut: made.cut.max(cut), ..made }, is_made && cut == Seq::MIN)
            }
        };
        self.remembered().learn_log(life, id, known.clone());
        Ok(Some((known, is_new)))
    }

    /// Has every bucket that `rows` belong to in the index, and remembered. Answers their rows: what is remembered may be forgotten meanwhile.
    async fn list_buckets(
        &self,
        life: u64,
        id: &LogId,
        known: &LogRow,
        is_new: bool,
        rows: &[Row],
    ) -> Result<HashMap<Bucket, BucketRow>> {
        // The first seq that belongs to each bucket that is not remembered.
        let mut missing: BTreeMap<Bucket, Seq> = BTreeMap::new();
        let mut found = HashMap::new();
        {
            let (remembered, mut seen) = (self.remembered(), BTreeSet::new());
            for row in rows.iter().filter(|row| row.event.position.seq > known.cut) {
                let Position { offset, seq } = row.event.position;
                for offset in [Some(offset), row.placed.map(|placed| placed.high)].into_iter().flatten() {
                    let bucket = known.widths.bucket(offset);
                    if !seen.insert(bucket) {
                        continue;
                    }
                    match remembered.bucket(id, bucket.start) {
                        Some(row) => drop(found.insert(bucket, row.clone())),
                        None => drop(missing.insert(bucket, seq)),
                    }
                }
            }
        }
        let listing = stream::iter(missing).map(|(bucket, seq)| async move {
            let era = known.widths.era(bucket.start);
            let stored = if is_new { None } else { self.stored_bucket(id, era, bucket.start).await? };
            match stored {
                Some(row) => Ok::<_, Error>(row),
                None => self.list(id, era, bucket, seq).await,
            }
        });
        let listed: Vec<BucketRow> = listing.buffer_unordered(AT_ONCE).try_collect().await?;
        found.extend(listed.iter().map(|row| (row.bucket, row.clone())));
        self.remembered().learn(life, id, listed);
        Ok(found)
    }

    /// The row of a bucket as it is stored.
    pub(super) async fn stored_bucket(&self, id: &LogId, era: Offset, start: Offset) -> Result<Option<BucketRow>> {
        let values = (id.as_str(), era.nanos(), values::hour_bucket(start));
        let found: Vec<(BucketCounts,)> = self.rows(&self.0.statements.bucket, values).await?;
        found.into_iter().next().map(|(counts,)| values::bucket_row(start, counts)).transpose()
    }

    /// Puts a bucket into the index, before its first event, whose seq is the row's timestamp. What counts that event may come to
    /// have the same one: of two such values the database keeps the greater, which is the one that counts more.
    async fn list(&self, id: &LogId, era: Offset, bucket: Bucket, seq: Seq) -> Result<BucketRow> {
        let row = BucketRow::listed(bucket, seq);
        let era_listed = self.execute(&self.0.statements.add_era, (id.as_str(), era.nanos(), seq));
        try_join(era_listed, self.set_bucket(id, era, &row, seq)).await?;
        Ok(row)
    }

    pub(super) async fn set_bucket(&self, id: &LogId, era: Offset, row: &BucketRow, timestamp: i64) -> Result<()> {
        let values = (id.as_str(), era.nanos(), values::hour_bucket(row.bucket.start), values::counts(row)?, timestamp);
        self.execute(&self.0.statements.set_bucket, values).await.map(drop)
    }

    /// Writes the rows of the index that were kept back.
    pub(super) async fn write_counts(&self) -> Result<()> {
        let _turn = self.0.counting.lock().await;
        let rows = self.remembered().to_write();
        let writing = stream::iter(rows).map(|(id, log, row)| async move {
            self.set_bucket(&id, log.widths.era(row.bucket.start), &row, row.through).await?;
            self.remembered().written(&id, row.bucket.start, row.through);
            Ok(())
        });
        writing.buffer_unordered(COUNTS_AT_ONCE).try_collect().await
    }

    /// Writes events in batches, each of one partition, some of them at once.
    async fn add_events(&self, id: &LogId, widths: &Widths, rows: &[&Row]) -> Result<()> {
        let mut batches: Vec<(Bucket, Vec<&Event>)> = Vec::new();
        let mut open: HashMap<Bucket, (usize, usize)> = HashMap::new();
        for row in rows {
            let event = &row.event;
            let (bucket, bytes) = (widths.bucket(event.position.offset), event.record.bytes());
            match open.get_mut(&bucket) {
                Some((at, so_far)) if batches[*at].1.len() < BATCH_ROWS_MAX && *so_far + bytes <= BATCH_BYTES_MAX => {
                    batches[*at].1.push(event);
                    *so_far += bytes;
                }
                _ => {
                    open.insert(bucket, (batches.len(), bytes));
                    batches.push((bucket, vec![event]));
                }
            }
        }
        let adding: Vec<_> = batches.into_iter().map(|(bucket, events)| self.add_batch(id, bucket, events)).collect();
        stream::iter(adding).buffer_unordered(AT_ONCE).try_collect().await
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
        let written = written.map_err(|error| unavailable("the database did not take a batch of events", error));
        self.relied_on(written).await
    }

    /// Lists placed events in batches, each of one partition.
    async fn add_arrivals(&self, id: &LogId, widths: &Widths, rows: &[&Row]) -> Result<()> {
        let mut listed: BTreeMap<Bucket, Vec<Position>> = BTreeMap::new();
        for row in rows {
            if let Some(placed) = row.placed {
                listed.entry(widths.bucket(placed.high)).or_default().push(row.event.position);
            }
        }
        let mut adding = Vec::new();
        for (bucket, positions) in &listed {
            adding.extend(positions.chunks(BATCH_ROWS_MAX).map(|some| self.add_arrival_batch(id, *bucket, some)));
        }
        stream::iter(adding).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn add_arrival_batch(&self, id: &LogId, bucket: Bucket, positions: &[Position]) -> Result<()> {
        let start = values::hour_bucket(bucket.start);
        let values = positions.iter().map(|Position { offset, seq }| (id.as_str(), start, *seq, offset.nanos(), *seq));
        let values: Vec<_> = values.collect();
        let batch = unlogged(&self.0.statements.add_arrival, values.len());
        let written = self.0.session.batch(&batch, values).await.map(drop);
        let written = written.map_err(|error| unavailable("the database did not list events that came late", error));
        self.relied_on(written).await
    }
}

/// A batch of so many executions of a statement, which are all of one partition.
fn unlogged(statement: &PreparedStatement, rows: usize) -> Batch {
    let mut batch = Batch::new_with_statements(BatchType::Unlogged, vec![statement.clone().into(); rows]);
    batch.set_is_idempotent(true);
    batch
}

/// The batches of events, by their rows less one: to make one costs as much as to fill it.
pub(super) fn event_batches(statement: &PreparedStatement) -> Vec<Batch> {
    (1..=BATCH_ROWS_MAX).map(|rows| unlogged(statement, rows)).collect()
}
