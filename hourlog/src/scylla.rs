//! The archive in ScyllaDB or Cassandra: the tables of `schema/cql`.
//!
//! - `url`, `tls`, `session`, `errors`: the connection to the database.
//! - `guardrail`, `timestamps`: checks at start that seqs can be write timestamps.
//! - `schema`, `statements`, `values`: its tables, the statements, and rows as CQL stores them.
//! - `writes`: events and their index rows; `removal`: deletion; `batches`: statements that are sent together.
//! - `index`: the rows of the index; `events`, `late`: events, and the lists of late ones; `logs`: the rows of logs;
//!   `creation` creates logs together.
//! - `cursors`: the cursors of readers.
//! - `cache`: log and index rows kept in memory, with counts that are written later.
//! - `heads`: the newest handed-out messages, stored once for all logs that wait.
//! - `nodes`: detects nodes that restarted and may have lost writes.

mod batches;
mod cache;
mod creation;
mod cursors;
mod errors;
mod events;
mod guardrail;
mod heads;
mod index;
mod late;
mod logs;
mod nodes;
mod removal;
mod schema;
mod session;
mod statements;
mod timestamps;
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

use futures_util::future::try_join_all;
use scylla::client::session::Session;

use crate::{
    ArrivalCursor, Error, ErrorKind, Event, LogId, Offset, Position, Result, Seq, read,
    store::{
        Bucket, BucketRow, EncodedEvent, EpochRow, LateEvent, LogRow, Scan, SourceRow, Store, Totals, Width, Write,
        no_property,
    },
};

pub use url::{ScyllaUrl, Tls};

use batches::Batches;
use cache::Cache;
use creation::NewLogs;
use heads::Heads;
use nodes::Nodes;
use session::{cql_limit, was_applied};
use statements::Statements;
use values::CqlListedLog;

/// The number of logs that may write at the same time.
const CONCURRENT_WRITES: usize = 64;
/// The bytes of events in flight.
///
/// A thousand logs can each have nearly a full batch. The rest of the memory belongs to the
/// database.
const IN_FLIGHT_BYTES: usize = 32 << 20;
/// The number of partitions that logs are listed in.
const LOG_SHARDS: u8 = 16;
/// The most logs in one page of a read of a partition.
const LOGS_PER_PAGE: usize = 5_000;
/// Twice the period at which both databases sync their commit logs.
///
/// Writes that are older survive a crash of the machine.
const DURABLE_AFTER: Duration = Duration::from_secs(20);

/// An archive in ScyllaDB or Cassandra. Cheap to clone.
///
/// ```no_run
/// use hourlog::{Archive, Events, Log, Record, Scylla, time::system_clock};
///
/// # async fn example() -> hourlog::Result<()> {
/// let url = "cql://me:secret@node1:9042,node2/events?replication=3".parse()?;
/// let events = Archive::new(Scylla::open(&url, true).await?, system_clock);
/// let mut log = events.log(&"orders.eu".parse()?).await?;
/// log.write(Record::new("paid")).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Scylla(Arc<Inner>);

struct Inner {
    session: Session,
    statements: Statements,
    batches: Batches,
    cache: Mutex<Cache>,
    heads: Heads,
    nodes: Nodes,
    /// Locked while counts are written.
    counts_lock: tokio::sync::Mutex<()>,
    /// One lock per shard, held while logs are created.
    ///
    /// Of several concurrent transactions in a partition, all but one would have to retry.
    create_locks: [tokio::sync::Mutex<()>; LOG_SHARDS as usize],
    /// The logs of each shard that wait to be created together.
    new_logs: [NewLogs; LOG_SHARDS as usize],
    /// The same for cursors, whose logs are partitions.
    cursor_locks: [tokio::sync::Mutex<()>; LOG_SHARDS as usize],
    /// Found when the archive was opened.
    warnings: Vec<String>,
}

impl fmt::Debug for Scylla {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scylla").finish_non_exhaustive()
    }
}

impl Scylla {
    /// Opens the archive at `url`. With `migrate`, creates its keyspace and tables if they are
    /// missing.
    ///
    /// # Errors
    /// - [`ErrorKind::Unavailable`] if no node answers.
    /// - [`ErrorKind::NotAllowed`] if the database rejects the user, or it lacks a permission.
    /// - [`ErrorKind::NotFound`] if something is missing and `migrate` is false.
    /// - [`ErrorKind::Refused`] if the tables are newer than this version or were reloaded with other
    ///   write timestamps, or a guardrail of the database forbids the archive's.
    pub async fn open(url: &ScyllaUrl, migrate: bool) -> Result<Self> {
        let session = session::connect(url).await?;
        schema::prepare(&session, url, migrate).await?;
        let warnings = timestamps::check(&session, url).await?;
        let statements = Statements::prepare(&session).await?;
        let nodes = Nodes::observe(&session, url).await?;
        let batches = Batches::new(&statements);
        Ok(Self(Arc::new(Inner {
            session,
            statements,
            batches,
            cache: Mutex::default(),
            heads: Heads::default(),
            nodes,
            counts_lock: tokio::sync::Mutex::default(),
            create_locks: Default::default(),
            new_logs: Default::default(),
            cursor_locks: Default::default(),
            warnings,
        })))
    }

    /// Returns what the operator should change in the database, although the archive works.
    pub fn warnings(&self) -> &[String] {
        &self.0.warnings
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.0.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Scylla {
    const KIND: &'static str = "cql";
    const WRITES_ARE_ATOMIC: bool = false;
    const IS_SHARED: bool = true;
    const DURABLE_AFTER: Duration = DURABLE_AFTER;
    const CONCURRENT_WRITES: Option<usize> = Some(CONCURRENT_WRITES);
    const EVENTS_PER_WRITE: usize = batches::BATCH_ROWS_MAX;
    const IN_FLIGHT_BYTES: usize = IN_FLIGHT_BYTES;

    async fn log(&self, id: &LogId) -> Result<Option<LogRow>> {
        Ok(self.read_log(id).await?.0)
    }

    async fn look_up(&self, ids: &[LogId]) -> Result<Vec<(Option<LogRow>, Seq)>> {
        self.read_logs(ids).await
    }

    async fn logs(&self, after: Option<&LogId>, limit: usize) -> Result<Vec<(LogId, LogRow)>> {
        let after = after.map_or("", LogId::as_str);
        let mut statement = self.0.statements.logs_after.clone();
        statement.set_page_size(cql_limit(limit.min(LOGS_PER_PAGE)));
        let statement = &statement;
        let shards = (0..i32::from(LOG_SHARDS)).map(|shard| {
            // Deleted logs do not count towards the limit.
            let mut live = 0;
            let more = move |row: &CqlListedLog| {
                live += usize::from(row.1.is_some());
                live <= limit
            };
            self.rows_while(statement, (shard, after), more)
        });
        let mut logs = Vec::new();
        let listed = try_join_all(shards).await?.into_iter().flatten();
        for row in listed {
            let (id, row, _) = values::listed_log(row)?;
            logs.extend(row.map(|row| (id, row)));
        }
        logs.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        logs.truncate(limit);
        Ok(logs)
    }

    async fn prepare_log(&self, id: &LogId, created: Offset, width: Width) {
        let generation = self.cache().generation();
        // The write finds the error, too, and retries.
        let _ = self.create_missing(generation, id, created, width).await;
    }

    async fn buckets(
        &self,
        id: &LogId,
        span: RangeInclusive<Offset>,
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<BucketRow>> {
        let mut rows = self.find_buckets(id, span, reverse, limit).await?;
        self.cache().apply_unwritten(id, &mut rows);
        Ok(rows)
    }

    async fn events(&self, id: &LogId, bucket: Bucket, scan: Scan) -> Result<Vec<EncodedEvent>> {
        self.scan(id, bucket, scan).await
    }

    async fn late_events(
        &self,
        id: &LogId,
        bucket: Bucket,
        after: Seq,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<LateEvent>> {
        self.read_late_events(id, bucket, after, limit, bytes).await
    }

    async fn event(&self, id: &LogId, position: Position) -> Result<Option<Event>> {
        let Some(row) = self.cached_log(id).await? else { return Ok(None) };
        let found = self.events_at(id, row.widths.bucket(position.offset), vec![position]).await?;
        Ok(found.first().map(|event| event.decode(id)))
    }

    async fn totals(&self, id: &LogId) -> Result<Totals> {
        read::totals(self, id).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<()> {
        let statements = &self.0.statements;
        let mut checkpoints = Vec::new();
        for write in writes {
            match write {
                Write::Events { log, rows, width } => self.write_events(&log, &rows, width).await?,
                Write::Log(id, row) => {
                    let settings_at = row.settings_at.max(row.deleted_to).max(self.read_log(&id).await?.1);
                    self.create_log(&id, &LogRow { settings_at, ..row }).await.map(drop)?;
                }
                Write::Settings(id, row) => self.write_settings(&id, &row).await?,
                Write::Head { stream, slot, seq, time } => self.write_head(stream, slot, seq, time).await?,
                // Up to 64 slots, all at once: no later item depends on them.
                Write::Archived { stream, slot, seq, time, max_time } => checkpoints.push(async move {
                    let values = (&*stream, i32::from(slot), (seq, time.nanos(), max_time.nanos()), seq);
                    self.execute(&statements.set_source_checkpoint, values).await.map(drop)
                }),
                Write::DropBucket { log, bucket, seq, arrivals } => {
                    self.drop_bucket(&log, bucket, seq, arrivals).await?
                }
                Write::UnlistBucket { log, bucket, seq } => self.unlist_bucket(&log, bucket, seq).await?,
                Write::DeleteLog { log, seq } => self.delete_log(&log, seq).await?,
                Write::Cursor { log, name, change } => self.change_cursor(&log, &name, change).await?,
            }
        }
        if !checkpoints.is_empty() {
            // A checkpoint covers only events that are counted and that no node can have lost.
            self.write_counts().await?;
            self.0.nodes.check_no_restart(&self.0.session).await?;
            try_join_all(checkpoints).await?;
        }
        Ok(())
    }

    async fn flush(&self) -> Result<()> {
        self.write_counts().await?;
        self.0.nodes.check_no_restart(&self.0.session).await
    }

    async fn needs_catch_up(&self) -> bool {
        self.0.nodes.have_restarted(&self.0.session).await
    }

    async fn forget(&self) {
        self.cache().clear();
        self.0.heads.clear();
        self.0.nodes.accept_restarts().await;
    }

    async fn forget_slots(&self, is_forgotten: &(dyn Fn(u8) -> bool + Sync)) {
        self.cache().remove_logs(|id| is_forgotten(id.slot()));
    }

    fn unwritten(&self, after: Option<&LogId>, limit: usize) -> Vec<(LogId, Vec<BucketRow>)> {
        let mut unwritten = self.cache().unwritten_rows();
        unwritten.retain(|(id, _, _)| after.is_none_or(|after| id > after));
        unwritten.sort_unstable_by(|(one, ..), (other, ..)| one.cmp(other));
        let mut count = 0;
        let few = unwritten.into_iter().take_while(|(_, _, rows)| {
            let is_few = count < limit;
            count += rows.len();
            is_few
        });
        few.map(|(id, _, rows)| (id, rows)).collect()
    }

    fn show_unwritten_of(&self, lender: &str, rows: Vec<(LogId, Vec<BucketRow>)>) {
        self.cache().put_borrowed(lender, rows);
    }

    async fn sources(&self, stream: &str) -> Result<Vec<(u8, SourceRow)>> {
        type CqlSource = (i32, Option<(i64, i64, i64)>, Option<(i64, i64)>);
        let rows: Vec<CqlSource> = self.rows(&self.0.statements.sources, (stream,)).await?;
        let row = |(slot, checkpoint, head): CqlSource| {
            let mut row = SourceRow::NOTHING;
            if let Some((seq, time, max_time)) = checkpoint {
                (row.checkpoint, row.checkpoint_time, row.max_time) =
                    (Seq::from_number(seq), Offset::from_nanos(time), Offset::from_nanos(max_time));
            }
            if let Some((seq, time)) = head {
                (row.head, row.head_time) = (Seq::from_number(seq), Offset::from_nanos(time));
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
        let number = |what: &str| Error::new(ErrorKind::Unexpected, format!("{what} is too large for the archive"));
        let epoch = i32::try_from(row.epoch).map_err(|_| number("the epoch"))?;
        let from = i64::try_from(row.from).map_err(|_| number("the sequence"))?;
        let values = (i32::from(slot), epoch, row.stream, from, row.started.nanos());
        was_applied(self.execute(&self.0.statements.begin_epoch, values).await?)
    }

    async fn cursor(&self, id: &LogId, name: &str) -> Result<Option<ArrivalCursor>> {
        let found: Vec<(i64, i64)> = self.rows(&self.0.statements.cursor, (id.as_str(), name)).await?;
        Ok(found.first().map(|(time, seq)| values::cursor(*time, *seq)))
    }

    async fn cursors(&self, id: &LogId) -> Result<Vec<(String, ArrivalCursor)>> {
        let rows: Vec<(String, i64, i64)> = self.rows(&self.0.statements.cursors, (id.as_str(),)).await?;
        Ok(rows.into_iter().map(|(name, time, seq)| (name, values::cursor(time, seq))).collect())
    }

    async fn deleted_to(&self, id: &LogId) -> Result<Seq> {
        Ok(self.read_log(id).await?.1)
    }

    async fn property(&self, name: &str) -> Result<Option<String>> {
        let found: Vec<(String,)> = self.rows(&self.0.statements.property, (name,)).await?;
        Ok(found.into_iter().next().map(|(value,)| value))
    }

    async fn set_property(&self, name: &str, value: &str, over: Option<&str>) -> Result<String> {
        let statements = &self.0.statements;
        match over {
            None => self.execute(&statements.create_property, (name, value)).await?,
            Some(over) => self.execute(&statements.replace_property, (value, name, over)).await?,
        };
        // A retry of a transaction that was applied is not applied again. So the stored value decides.
        self.property(name).await?.ok_or_else(|| no_property(name))
    }
}

/// Returns the partition that a log is listed in.
fn shard(id: &LogId) -> i32 {
    i32::from(id.slot() % LOG_SHARDS)
}
