//! The archive in ScyllaDB or Cassandra: the tables of `schema/cql`.
//!
//! One write of a log is under way at a time, and the order of its parts is what makes a crash between two of them harmless: the index row
//! before the bucket's first event, the events before they are counted, all of it before the place of the source moves.

mod schema;
mod statements;
mod url;
mod values;

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{TryStreamExt, future::try_join_all};
use scylla::{
    client::{execution_profile::ExecutionProfile, session::Session, session_builder::SessionBuilder},
    deserialize::row::DeserializeRow,
    policies::{load_balancing::DefaultPolicy, retry::DefaultRetryPolicy},
    response::query_result::QueryRowsResult,
    serialize::row::SerializeRow,
    statement::{
        SerialConsistency,
        batch::{Batch, BatchType},
        prepared::PreparedStatement,
    },
    value::{CqlTimestamp, MaybeUnset},
};

use crate::{
    Arrival, Bucket, BucketRow, EpochRow, Error, ErrorKind, Event, LogId, LogRow, Offset, Position, Result, Row, Scan,
    Seq, SourceRow, Store, Write, index,
};

pub use url::ScyllaUrl;

use statements::Statements;
use values::{BucketCounts, EventRow, StoredLog, StoredWidths};

/// How long one request may take. What it would have written is written again.
const REQUEST_MAX: Duration = Duration::from_secs(3);
/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How often a connection is asked whether it still is one.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// The rows of one batch, which are all of one partition. More push the slowest of a hundred writes to 0.3 s.
const BATCH_ROWS_MAX: usize = 50;
/// The bytes of one batch: what the database would warn of is beyond it.
const BATCH_BYTES_MAX: usize = 64 << 10;
/// The batches of one write that are under way at once.
const BATCHES_AT_ONCE: usize = 4;
/// The rows that one page of a read has. Larger ones read faster, and weigh more.
const PAGE_ROWS: i32 = 5_000;
/// The partitions that logs are listed in.
const LOG_SHARDS: u8 = 16;
/// The timestamp of what has no seq yet: below that of any.
const BEFORE_ANY_SEQ: i64 = 1;
/// The rows of the index, and the logs, that are remembered. They are those that the next events count in.
const REMEMBERED_MAX: usize = 65_536;

/// An archive in ScyllaDB or Cassandra. Cheap to clone.
#[derive(Clone)]
pub struct Scylla(Arc<Inner>);

struct Inner {
    session: Session,
    statements: Statements,
    known: Mutex<Known>,
}

/// What was read or written before: a log has one writer, so nobody else changes it.
#[derive(Default)]
struct Known {
    logs: HashMap<LogId, LogRow>,
    buckets: HashMap<(LogId, Offset), BucketRow>,
}

impl fmt::Debug for Scylla {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scylla").finish_non_exhaustive()
    }
}

impl Scylla {
    /// Opens the archive at `url`. With `migrate`, its keyspace and tables are made where they are not there.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] where no node answers, [`ErrorKind::NotAllowed`] where they turn us away, [`ErrorKind::NotFound`] where
    /// something has to be made and may not, [`ErrorKind::Refused`] where the database is newer than this version.
    pub async fn open(url: &ScyllaUrl, migrate: bool) -> Result<Self> {
        let policy = DefaultPolicy::builder().token_aware(true);
        let policy = match &url.datacenter {
            Some(name) => policy.prefer_datacenter(name.clone()),
            None => policy,
        };
        let profile = ExecutionProfile::builder()
            .consistency(url.consistency)
            .serial_consistency(Some(SerialConsistency::LocalSerial))
            .request_timeout(Some(REQUEST_MAX))
            .retry_policy(Arc::new(DefaultRetryPolicy::new()))
            .load_balancing_policy(policy.build())
            .build();
        let mut builder = SessionBuilder::new()
            .known_nodes(&url.nodes)
            .default_execution_profile_handle(profile.into_handle())
            .connection_timeout(CONNECT_MAX)
            .keepalive_interval(KEEPALIVE)
            .keepalive_timeout(KEEPALIVE);
        if let Some((name, password)) = &url.user {
            builder = builder.user(name, password);
        }
        let session = builder.build().await.map_err(|error| {
            let context = format!(
                "no database answers at {url:?}; see that it runs, and that its address, user and password are right"
            );
            unavailable(&context, error)
        })?;
        schema::prepare(&session, url, migrate).await?;
        let statements = Statements::prepare(&session).await?;
        Ok(Self(Arc::new(Inner { session, statements, known: Mutex::default() })))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Executes a statement whose answer is short.
    async fn execute(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Option<QueryRowsResult>> {
        let answer = self.0.session.execute_unpaged(statement, values).await;
        let answer = answer.map_err(|error| unavailable("the database did not answer as it should", error))?;
        if answer.is_rows() {
            answer.into_rows_result().map(Some).map_err(|error| unreadable(&error))
        } else {
            Ok(None)
        }
    }

    /// All the rows that a statement answers, where they are few.
    async fn rows<T>(&self, statement: &PreparedStatement, values: impl SerializeRow) -> Result<Vec<T>>
    where
        T: for<'f, 'm> DeserializeRow<'f, 'm> + Send + 'static,
    {
        self.some_rows(statement, values, usize::MAX, |_: &T| true).await
    }

    /// At most `limit` rows that a statement answers, up to the first for which `more` is not true.
    async fn some_rows<T>(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
        limit: usize,
        mut more: impl FnMut(&T) -> bool,
    ) -> Result<Vec<T>>
    where
        T: for<'f, 'm> DeserializeRow<'f, 'm> + Send + 'static,
    {
        let mut statement = statement.clone();
        statement.set_page_size(limit_of(limit).clamp(1, PAGE_ROWS));
        let pager = self.0.session.execute_iter(statement, values).await;
        let pager = pager.map_err(|error| unavailable("the database did not answer as it should", error))?;
        let mut stream = pager.rows_stream::<T>().map_err(|error| unreadable(&error))?;
        let mut rows = Vec::new();
        while rows.len() < limit {
            let next = stream.try_next().await;
            let next = next.map_err(|error| unavailable("the database did not answer as it should", error))?;
            let Some(row) = next.filter(|row| more(row)) else { break };
            rows.push(row);
        }
        Ok(rows)
    }

    /// The eras of a log, in order.
    async fn eras(&self, id: &LogId) -> Result<Vec<Offset>> {
        let eras: Vec<(i64,)> = self.rows(&self.0.statements.eras, (id.as_str(),)).await?;
        Ok(eras.into_iter().map(|(era,)| Offset::from_nanos(era)).collect())
    }

    /// The greatest start of a bucket at or before `offset`, in the eras that begin at or before it.
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

    /// The log's row, which is made if it is not there.
    async fn made(&self, id: &LogId, row: LogRow) -> Result<LogRow> {
        if let Some(known) = self.known().logs.get(id) {
            return Ok(known.clone());
        }
        let known = match self.log(id).await? {
            Some(known) => known,
            None => {
                self.make(id, &row).await?;
                // Somebody else may have made it first.
                self.log(id).await?.unwrap_or(row)
            }
        };
        let mut remembered = self.known();
        if remembered.logs.len() > REMEMBERED_MAX {
            remembered.logs.clear();
        }
        remembered.logs.insert(id.clone(), known.clone());
        Ok(known)
    }

    /// Makes a log, unless it is there.
    async fn make(&self, id: &LogId, row: &LogRow) -> Result<()> {
        let retention = row.retention_seconds.map_or(MaybeUnset::Unset, MaybeUnset::Set);
        let values = (shard(id), id.as_str(), row.created.nanos(), values::widths(&row.widths)?, retention);
        let made = applied(self.execute(&self.0.statements.make_log, values).await?)?;
        if made && row.cut > Seq::MIN {
            // Not in the same statement: a cell that carries a seq is never written by a transaction.
            let values = (shard(id), id.as_str(), row.cut, row.cut);
            self.execute(&self.0.statements.set_cut, values).await?;
        }
        Ok(())
    }

    async fn bucket_row(&self, id: &LogId, era: Offset, bucket: Bucket) -> Result<Option<BucketRow>> {
        if let Some(row) = self.known().buckets.get(&(id.clone(), bucket.start)) {
            return Ok(Some(row.clone()));
        }
        let values = (id.as_str(), era.nanos(), values::hour_bucket(bucket.start));
        let found: Vec<(BucketCounts,)> = self.rows(&self.0.statements.bucket, values).await?;
        found.into_iter().next().map(|(counts,)| values::bucket_row(bucket.start, counts)).transpose()
    }

    async fn set_bucket(&self, id: &LogId, era: Offset, row: &BucketRow, timestamp: i64) -> Result<()> {
        let values = (id.as_str(), era.nanos(), values::hour_bucket(row.bucket.start), values::counts(row)?, timestamp);
        self.execute(&self.0.statements.set_bucket, values).await.map(drop)
    }

    async fn write_events(&self, id: LogId, rows: &[Row]) -> Result<()> {
        let Some(first) = rows.first() else { return Ok(()) };
        let widths = self.made(&id, LogRow::of_first_event(&first.event)).await?.widths;
        // The rows of the index that these events change, read before anything is written.
        let mut stored: HashMap<Bucket, Option<BucketRow>> = HashMap::new();
        for row in rows {
            for offset in [Some(row.event.position.offset), row.placed.map(|placed| placed.high)].into_iter().flatten()
            {
                let bucket = widths.bucket(offset);
                if let Entry::Vacant(entry) = stored.entry(bucket) {
                    entry.insert(self.bucket_row(&id, widths.era(offset), bucket).await?);
                }
            }
        }
        for (bucket, _) in stored.iter().filter(|(_, row)| row.is_none()) {
            let era = widths.era(bucket.start);
            self.execute(&self.0.statements.add_era, (id.as_str(), era.nanos(), BEFORE_ANY_SEQ)).await?;
            self.set_bucket(&id, era, &BucketRow::new(*bucket), BEFORE_ANY_SEQ).await?;
        }
        self.add_events(&id, &widths, rows).await?;
        self.add_arrivals(&id, &widths, rows).await?;
        let counted = index::count(&id, &widths, rows, |_, bucket| Ok(stored.get(&bucket).cloned().flatten()))?;
        let changes = counted.iter().map(|counted| {
            let row = &counted.row;
            self.set_bucket(&id, widths.era(row.bucket.start), row, row.through)
        });
        try_join_all(changes).await?;
        let mut known = self.known();
        if known.buckets.len() > REMEMBERED_MAX {
            known.buckets.clear();
        }
        known.buckets.extend(counted.into_iter().map(|counted| ((id.clone(), counted.row.bucket.start), counted.row)));
        Ok(())
    }

    /// Writes events in batches, each of one partition, some of them at once.
    async fn add_events(&self, id: &LogId, widths: &crate::Widths, rows: &[Row]) -> Result<()> {
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
        for some in batches.chunks(BATCHES_AT_ONCE) {
            try_join_all(some.iter().map(|(bucket, events)| self.add_batch(id, *bucket, events))).await?;
        }
        Ok(())
    }

    async fn add_batch(&self, id: &LogId, bucket: Bucket, events: &[&Event]) -> Result<()> {
        let mut batch = Batch::new(BatchType::Unlogged);
        batch.set_is_idempotent(true);
        let mut values = Vec::with_capacity(events.len());
        for event in events {
            batch.append_statement(self.0.statements.add_event.clone());
            let Position { offset, seq } = event.position;
            let arrived = event.arrived.map_or(MaybeUnset::Unset, |arrived| MaybeUnset::Set(arrived.nanos()));
            let metadata = &event.record.metadata;
            let metadata =
                if metadata.is_empty() { MaybeUnset::Unset } else { MaybeUnset::Set(values::metadata(metadata)) };
            let start = values::hour_bucket(bucket.start);
            values.push((id.as_str(), start, offset.nanos(), seq, arrived, metadata, &event.record.data[..], seq));
        }
        let written = self.0.session.batch(&batch, values).await;
        written.map(drop).map_err(|error| unavailable("the database did not take a batch of events", error))
    }

    async fn add_arrivals(&self, id: &LogId, widths: &crate::Widths, rows: &[Row]) -> Result<()> {
        let mut listed = Vec::new();
        for row in rows {
            let (Position { offset, seq }, Some(placed)) = (row.event.position, row.placed) else { continue };
            let bucket = values::hour_bucket(widths.bucket(placed.high).start);
            listed.push((id.as_str(), bucket, seq, offset.nanos(), seq));
        }
        for some in listed.chunks(BATCH_ROWS_MAX) {
            try_join_all(some.iter().map(|values| self.execute(&self.0.statements.add_arrival, values))).await?;
        }
        Ok(())
    }
}

impl Store for Scylla {
    async fn log(&self, id: &LogId) -> Result<Option<LogRow>> {
        let found: Vec<StoredLog> = self.rows(&self.0.statements.log, (shard(id), id.as_str())).await?;
        found.into_iter().next().map(values::log_row).transpose()
    }

    async fn logs(&self, after: Option<&LogId>, limit: usize) -> Result<Vec<(LogId, LogRow)>> {
        type Listed = (String, i64, StoredWidths, Option<i64>, Option<i64>);
        let after = after.map_or("", LogId::as_str);
        let shards = (0..i32::from(LOG_SHARDS)).map(|shard| {
            let values = (shard, after, limit_of(limit));
            self.some_rows::<Listed>(&self.0.statements.logs_behind, values, limit, |_| true)
        });
        let mut logs = Vec::new();
        for (id, created, widths, retention, cut) in try_join_all(shards).await?.into_iter().flatten() {
            logs.push((id.parse::<LogId>()?, values::log_row((created, widths, retention, cut))?));
        }
        logs.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        logs.truncate(limit);
        Ok(logs)
    }

    async fn buckets(
        &self,
        id: &LogId,
        span: RangeInclusive<Offset>,
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<BucketRow>> {
        let (from, to) = span.into_inner();
        let mut eras = self.eras(id).await?;
        let first = self.start_at(id, &eras, from).await?.unwrap_or(from);
        // The era of the first bucket begins at or before it.
        let first_era = eras.iter().rposition(|era| *era <= first).unwrap_or(0);
        eras.drain(..first_era);
        eras.retain(|era| *era <= to);
        let statement = if reverse {
            eras.reverse();
            &self.0.statements.buckets_reverse
        } else {
            &self.0.statements.buckets
        };
        let mut rows = Vec::new();
        for era in eras {
            let left = limit - rows.len();
            if left == 0 {
                break;
            }
            let values =
                (id.as_str(), era.nanos(), values::hour_bucket(first), values::hour_bucket(to), limit_of(left));
            let found: Vec<(CqlTimestamp, BucketCounts)> = self.some_rows(statement, values, left, |_| true).await?;
            for (start, counts) in found {
                rows.push(values::bucket_row(values::start_of(start), counts)?);
            }
        }
        Ok(rows)
    }

    async fn events(&self, id: &LogId, bucket: Bucket, scan: Scan) -> Result<Vec<Event>> {
        if scan.from > scan.to {
            return Ok(Vec::new());
        }
        let statement = if scan.reverse { &self.0.statements.events_reverse } else { &self.0.statements.events };
        let start = values::hour_bucket(bucket.start);
        let (from, to) = (scan.from, scan.to);
        let values =
            (id.as_str(), start, from.offset.nanos(), from.seq, to.offset.nanos(), to.seq, limit_of(scan.limit));
        let mut bytes = 0;
        let rows = self.some_rows::<EventRow>(statement, values, scan.limit, |(_, _, _, metadata, data)| {
            let before = bytes;
            let metadata = metadata.iter().flatten();
            let of_metadata: usize =
                metadata.map(|(name, values)| name.len() + values.iter().map(String::len).sum::<usize>()).sum();
            bytes += of_metadata + data.as_ref().map_or(0, Vec::len);
            before < scan.bytes
        });
        Ok(rows.await?.into_iter().map(|row| values::event(id, row)).collect())
    }

    async fn arrivals(&self, id: &LogId, bucket: Bucket, after: Seq, limit: usize) -> Result<Vec<Position>> {
        let values = (id.as_str(), values::hour_bucket(bucket.start), after, limit_of(limit));
        let rows: Vec<(i64, i64)> = self.some_rows(&self.0.statements.arrivals, values, limit, |_| true).await?;
        Ok(rows.into_iter().map(|(seq, time)| Position { offset: Offset::from_nanos(time), seq }).collect())
    }

    async fn event(&self, id: &LogId, position: Position) -> Result<Option<Event>> {
        let Some(row) = self.log(id).await? else { return Ok(None) };
        let scan = Scan { from: position, to: position, reverse: false, limit: 1, bytes: usize::MAX };
        Ok(self.events(id, row.widths.bucket(position.offset), scan).await?.pop())
    }

    async fn write(&self, writes: Vec<Write>) -> Result<()> {
        let statements = &self.0.statements;
        let mut places = Vec::new();
        for write in writes {
            match write {
                Write::Events { log, rows } => self.write_events(log, &rows).await?,
                Write::Log(id, row) => self.make(&id, &row).await?,
                Write::Head { stream, slot, seq, time } => {
                    let values = (&*stream, i32::from(slot), (seq, time.nanos()), seq);
                    self.execute(&statements.set_head_of_source, values).await?;
                }
                // Of 64 slots at once: nothing is ordered behind them.
                Write::Archived { stream, slot, seq, time, high } => places.push(async move {
                    let values = (&*stream, i32::from(slot), (seq, time.nanos(), high.nanos()), seq);
                    self.execute(&statements.set_cursor_of_source, values).await.map(drop)
                }),
                Write::Cursor { log, name, cursor } => {
                    let values = (log.as_str(), name, (cursor.time.nanos(), cursor.seq), cursor.seq);
                    self.execute(&statements.set_cursor, values).await?;
                }
            }
        }
        try_join_all(places).await.map(drop)
    }

    async fn sources(&self, stream: &str) -> Result<Vec<(u8, SourceRow)>> {
        type Stored = (i32, Option<(i64, i64, i64)>, Option<(i64, i64)>);
        let rows: Vec<Stored> = self.rows(&self.0.statements.sources, (stream,)).await?;
        let row = |(slot, cursor, head): Stored| {
            let mut row = SourceRow::NOTHING;
            if let Some((seq, time, high)) = cursor {
                (row.cursor, row.cursor_time, row.high) = (seq, Offset::from_nanos(time), Offset::from_nanos(high));
            }
            if let Some((seq, time)) = head {
                (row.head, row.head_time) = (seq, Offset::from_nanos(time));
            }
            (u8::try_from(slot).unwrap_or(u8::MAX), row)
        };
        Ok(rows.into_iter().map(row).collect())
    }

    async fn epochs(&self, slot: u8) -> Result<Vec<EpochRow>> {
        let rows: Vec<(i32, String, i64, i64)> = self.rows(&self.0.statements.epochs, (i32::from(slot),)).await?;
        let row = |(epoch, stream, from, started): (i32, String, i64, i64)| EpochRow {
            epoch: epoch.unsigned_abs(),
            stream,
            from: from.unsigned_abs(),
            started: Offset::from_nanos(started),
        };
        Ok(rows.into_iter().map(row).collect())
    }

    async fn begin_epoch(&self, slot: u8, row: EpochRow) -> Result<bool> {
        let number =
            |what: &str| Error::new(ErrorKind::Unexpected, format!("{what} is too great a number for the archive"));
        let epoch = i32::try_from(row.epoch).map_err(|_| number("an epoch"))?;
        let from = i64::try_from(row.from).map_err(|_| number("a sequence"))?;
        let values = (i32::from(slot), epoch, row.stream, from, row.started.nanos());
        applied(self.execute(&self.0.statements.begin_epoch, values).await?)
    }

    async fn cursor(&self, id: &LogId, name: &str) -> Result<Option<Arrival>> {
        let found: Vec<((i64, i64),)> = self.rows(&self.0.statements.cursor, (id.as_str(), name)).await?;
        Ok(found.first().map(|((time, seq),)| Arrival { time: Offset::from_nanos(*time), seq: *seq }))
    }
}

/// Whether a lightweight transaction was applied. What stands there already is answered beside it, where something does.
fn applied(answer: Option<QueryRowsResult>) -> Result<bool> {
    let answer = answer.ok_or_else(|| unreadable(&"a transaction has no answer"))?;
    let row = answer.rows::<scylla::value::Row>().map_err(|error| unreadable(&error))?.next();
    let row = row.transpose().map_err(|error| unreadable(&error))?;
    let applied = row.and_then(|row| row.columns.first()?.as_ref()?.as_boolean());
    applied.ok_or_else(|| unreadable(&"a transaction does not say whether it was applied"))
}

/// The partition that a log is listed in.
fn shard(id: &LogId) -> i32 {
    i32::from(id.slot() % LOG_SHARDS)
}

/// A limit as CQL has it: 0 is none there.
fn limit_of(limit: usize) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX).max(1)
}

/// An error of the driver's, as ours.
fn unavailable(context: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    let text = error.to_string().to_lowercase();
    let refused =
        ["unauthorized", "not authorized", "credentials", "authentication"].iter().any(|word| text.contains(word));
    Error::new(if refused { ErrorKind::NotAllowed } else { ErrorKind::Unavailable }, context.to_owned()).because(error)
}

fn unreadable(cause: &dyn fmt::Display) -> Error {
    Error::new(ErrorKind::Integrity, format!("the database answered what is no answer: {cause}"))
}
