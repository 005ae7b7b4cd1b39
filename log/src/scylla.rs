//! The archive in ScyllaDB or Cassandra: the tables of `schema/cql`.
//!
//! - `url`, `tls`, `schema`, `statements`, `values`: where it is, how it is talked to, and what stands in it.
//! - `writes`: events, and what goes with them; `removal`: what is taken away.
//! - `remembered`: what is known of logs without asking, with the counts that are written behind; `heads`: how far sources were
//!   handed out, for all logs of a slot at once; `nodes`: who has come back.

mod heads;
mod nodes;
mod remembered;
mod removal;
mod schema;
mod statements;
mod tls;
mod url;
mod values;
mod writes;

use std::{
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
    statement::{SerialConsistency, batch::Batch, prepared::PreparedStatement},
    value::CqlTimestamp,
};

use crate::{
    Arrival, Bucket, BucketRow, EpochRow, Error, ErrorKind, Event, LogId, LogRow, Offset, Position, Result, Scan, Seq,
    SourceRow, Store, Write,
};

pub use url::{ScyllaUrl, Tls};

use heads::Heads;
use nodes::Nodes;
use remembered::Remembered;
use statements::Statements;
use values::{BucketCounts, EventRow, StoredWidths};

/// How long one request may take. What it would have written is written again.
const REQUEST_MAX: Duration = Duration::from_secs(3);
/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How often a connection is asked whether it still is one.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// The rows that one page of a read has. Larger ones read faster, and weigh more.
const PAGE_ROWS: i32 = 5_000;
/// The logs that write at once.
const WRITES_AT_ONCE: usize = 64;
/// The bytes that are under way: so many that a thousand logs have nearly a full batch each, and the memory is the database's own.
const UNDER_WAY_BYTES: usize = 32 << 20;
/// The partitions that logs are listed in.
const LOG_SHARDS: u8 = 16;
/// Twice the time after which both databases sync their commit logs: what was written before that survives the machine.
const SURE_AFTER: Duration = Duration::from_secs(20);

/// An archive in ScyllaDB or Cassandra. Cheap to clone.
#[derive(Clone)]
pub struct Scylla(Arc<Inner>);

struct Inner {
    session: Session,
    statements: Statements,
    event_batches: Vec<Batch>,
    remembered: Mutex<Remembered>,
    heads: Heads,
    nodes: Nodes,
    /// Held by who writes the counts that were kept back.
    counting: tokio::sync::Mutex<()>,
    /// Each held by who makes a log in that shard: of transactions that meet in a partition, all but one begin again.
    making: [tokio::sync::Mutex<()>; LOG_SHARDS as usize],
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
        if let Some(tls) = &url.tls {
            builder = builder.tls_context(Some(tls::context(tls)?));
        }
        let session = builder.build().await.map_err(|error| not_opened(url, error))?;
        one_data_centre(&session, url)?;
        schema::prepare(&session, url, migrate).await?;
        let statements = Statements::prepare(&session).await?;
        let nodes = Nodes::look_at(&session, url).await?;
        let event_batches = writes::event_batches(&statements.add_event);
        let (remembered, heads) = (Mutex::default(), Heads::default());
        Ok(Self(Arc::new(Inner {
            session,
            statements,
            event_batches,
            remembered,
            heads,
            nodes,
            counting: tokio::sync::Mutex::default(),
            making: Default::default(),
        })))
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.0.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Executes a statement whose answer is short.
    async fn execute(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Option<QueryRowsResult>> {
        let answer = self.0.session.execute_unpaged(statement, values).await;
        let answer = answer.map_err(|error| unavailable("the database did not answer as it should", error));
        let answer = self.relied_on(answer).await?;
        if answer.is_rows() {
            answer.into_rows_result().map(Some).map_err(|error| unreadable(&error))
        } else {
            Ok(None)
        }
    }

    /// What the database has answered, unless a node was away and may have come back with less than it had.
    async fn relied_on<T>(&self, answer: Result<T>) -> Result<T> {
        if answer.is_err() {
            self.0.nodes.doubt();
        } else if self.0.nodes.are_doubted() {
            self.0.nodes.check(&self.0.session).await?;
        }
        answer
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
        more: impl FnMut(&T) -> bool,
    ) -> Result<Vec<T>>
    where
        T: for<'f, 'm> DeserializeRow<'f, 'm> + Send + 'static,
    {
        self.rows_while(statement, values, limit_of(limit), limit, more).await
    }

    /// As [`some_rows`](Self::some_rows), in pages of so many rows.
    async fn rows_while<T>(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
        page: i32,
        limit: usize,
        mut more: impl FnMut(&T) -> bool,
    ) -> Result<Vec<T>>
    where
        T: for<'f, 'm> DeserializeRow<'f, 'm> + Send + 'static,
    {
        let read = async {
            let mut statement = statement.clone();
            statement.set_page_size(page.clamp(1, PAGE_ROWS));
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
        };
        let rows = read.await;
        self.relied_on(rows).await
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
}

impl Store for Scylla {
    const WRITES_ARE_WHOLE: bool = false;
    const SURE_AFTER: Duration = SURE_AFTER;
    const WRITES_AT_ONCE: Option<usize> = Some(WRITES_AT_ONCE);
    const WRITE_EVENTS: usize = writes::BATCH_ROWS_MAX;
    const UNDER_WAY_BYTES: usize = UNDER_WAY_BYTES;

    async fn log(&self, id: &LogId) -> Result<Option<LogRow>> {
        Ok(self.stored_log(id).await?.0)
    }

    async fn logs(&self, after: Option<&LogId>, limit: usize) -> Result<Vec<(LogId, LogRow)>> {
        type Listed = (String, Option<i64>, Option<StoredWidths>, Option<i64>, Option<i64>);
        let after = after.map_or("", LogId::as_str);
        let shards = (0..i32::from(LOG_SHARDS)).map(|shard| {
            // Deleted ones are passed over.
            let mut live = 0;
            let more = move |row: &Listed| {
                live += usize::from(row.1.is_some());
                live <= limit
            };
            self.rows_while(&self.0.statements.logs_behind, (shard, after), limit_of(limit), usize::MAX, more)
        });
        let mut logs = Vec::new();
        for (id, created, widths, retention, cut) in try_join_all(shards).await?.into_iter().flatten() {
            if let Some(row) = values::log_row((created, widths, retention, cut))?.0 {
                logs.push((id.parse::<LogId>()?, row));
            }
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
        self.remembered().bring_up_to_date(id, &mut rows);
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
        let Some(row) = self.known_log(id).await? else { return Ok(None) };
        let scan = Scan { from: position, to: position, reverse: false, limit: 1, bytes: usize::MAX };
        Ok(self.events(id, row.widths.bucket(position.offset), scan).await?.pop())
    }

    async fn write(&self, writes: Vec<Write>) -> Result<()> {
        let statements = &self.0.statements;
        let mut places = Vec::new();
        for write in writes {
            match write {
                Write::Events { log, rows } => self.write_events(&log, &rows).await?,
                Write::Log(id, row) => self.make(&id, &row).await.map(drop)?,
                Write::Head { stream, slot, seq, time } => self.write_head(stream, slot, seq, time).await?,
                // Of 64 slots at once: nothing is ordered behind them.
                Write::Archived { stream, slot, seq, time, high } => places.push(async move {
                    let values = (&*stream, i32::from(slot), (seq, time.nanos(), high.nanos()), seq);
                    self.execute(&statements.set_cursor_of_source, values).await.map(drop)
                }),
                Write::Drop { log, bucket, seq, arrivals } => self.drop_bucket(&log, bucket, seq, arrivals).await?,
                Write::Unlist { log, bucket, seq } => self.unlist(&log, bucket, seq).await?,
                Write::Delete { log, seq } => self.delete(&log, seq).await?,
                Write::Cursor { log, name, cursor } => {
                    let values = (log.as_str(), name, (cursor.time.nanos(), cursor.seq), cursor.seq);
                    self.execute(&statements.set_cursor, values).await?;
                }
            }
        }
        if !places.is_empty() {
            // A place is never ahead of the counts of what it covers, nor of what a node may have lost.
            self.write_counts().await?;
            self.0.nodes.are_sure(&self.0.session).await?;
            try_join_all(places).await?;
        }
        Ok(())
    }

    async fn settle(&self) -> Result<()> {
        self.write_counts().await?;
        self.0.nodes.are_sure(&self.0.session).await
    }

    async fn has_come_back(&self) -> bool {
        self.0.nodes.have_come_back(&self.0.session).await
    }

    async fn forget(&self) {
        self.remembered().forget_all();
        self.0.heads.forget();
        self.0.nodes.forget().await;
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

/// Where the nodes are in several data centres, one has to be named: what is written in one is read there.
fn one_data_centre(session: &Session, url: &ScyllaUrl) -> Result<()> {
    let state = session.get_cluster_state();
    let mut names: Vec<&str> = state.get_nodes_info().iter().filter_map(|node| node.datacenter.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    match &url.datacenter {
        Some(name) if !names.contains(&name.as_str()) => Err(Error::new(
            ErrorKind::NotFound,
            format!("there is no data centre {name}; there is {}", names.join(", ")),
        )),
        None if names.len() > 1 => {
            let context =
                format!("the nodes are in the data centres {}; name one, as ?dc={}", names.join(", "), names[0]);
            Err(Error::new(ErrorKind::Refused, context))
        }
        _ => Ok(()),
    }
}

/// Why there is no session.
fn not_opened(url: &ScyllaUrl, error: scylla::errors::NewSessionError) -> Error {
    let error =
        unavailable(&format!("no database answers at {url:?}; see that it runs, and that the address is right"), error);
    if error.kind() != ErrorKind::NotAllowed {
        return error;
    }
    let context = match &url.user {
        Some((name, _)) => {
            format!("the database at {url:?} does not let the user {name} in; see that the password is right")
        }
        None => format!(
            "the database at {url:?} wants a user and a password; give them as cql://user:password@…, or as settings"
        ),
    };
    Error::new(ErrorKind::NotAllowed, context)
        .because(std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default())
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
