//! The archive in one directory, without a server: the tables of the archive as byte-ordered keys of fjall.
//!
//! One thread writes. It takes all the writes that wait, makes one atomic batch of them with the index rows and counts that they
//! change, syncs it to the disk once, and answers all of them. Readers never wait for it.

mod journals;
mod keys;
mod removal;
mod values;
mod watermark;
mod writer;

use std::{
    fmt,
    fs::{File, TryLockError},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use tokio::sync::{mpsc, oneshot};

use journals::Journals;
use watermark::Watermark;

use crate::{
    Arrival, Bucket, BucketRow, EpochRow, Error, ErrorKind, Event, LogId, LogRow, Offset, Position, Result, Scan, Seq,
    SourceRow, Store, Write,
};

/// The form of what is stored. A directory with another one is refused.
const FORMAT: u8 = 1;
/// The key in `meta` of how many batches were ever written.
const BATCHES: &str = "batches";
/// Writes that may wait for the writing thread; who comes then waits to be let in.
const WAITING_WRITES_MAX: usize = 4096;
/// Blocks read from the files that are kept in memory.
const CACHE_BYTES: u64 = 64 << 20;
/// What a table gathers in memory before it is written out; meanwhile another one fills up. Smaller ones make more work
/// at once, and take more memory in all.
const MEMTABLE_BYTES_MAX: u64 = 32 << 20;
/// What the journals may grow to before the oldest is turned into tables. Also what is read again after a crash.
const JOURNAL_BYTES_MAX: u64 = 256 << 20;

/// An archive in one directory, for one process. Cheap to clone; the last clone that is dropped closes it.
///
/// Needs a tokio runtime: reads run on its blocking threads.
#[derive(Clone)]
pub struct Embedded(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    missing: Option<Missing>,
    writes: Option<mpsc::Sender<writer::Request>>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Held for as long as the archive is open.
    _lock: File,
}

/// What readers and the writing thread share.
struct Shared {
    directory: PathBuf,
    /// Not there where they had to be opened again, and could not be.
    tables: RwLock<Option<Tables>>,
}

/// What an archive has lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// How many batches of writes had been acknowledged; `None` where the file that says so is damaged itself.
    pub acknowledged: Option<u64>,
    /// How many of them are there, as far as they can be counted.
    pub found: u64,
    /// A journal was damaged, and what stood behind the damage is gone.
    pub journal_damaged: bool,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self.found;
        match self.acknowledged {
            Some(acknowledged) if acknowledged > found => {
                write!(f, "the last {} of {acknowledged} acknowledged batches of writes", acknowledged - found)?;
            }
            Some(_) => f.write_str("batches of writes")?,
            None => write!(f, "batches of writes behind the {found}th, perhaps")?,
        }
        if self.journal_damaged { f.write_str(", from a journal that was damaged") } else { Ok(()) }
    }
}

/// The tables, each a keyspace of its own.
#[derive(Clone)]
struct Tables {
    database: Database,
    events: Keyspace,
    buckets: Keyspace,
    eras: Keyspace,
    arrivals: Keyspace,
    logs: Keyspace,
    /// Of deleted logs.
    cuts: Keyspace,
    sources: Keyspace,
    epochs: Keyspace,
    cursors: Keyspace,
    meta: Keyspace,
    /// Held by who begins an epoch: to look whether it was begun and to begin it are one step.
    beginning: Arc<Mutex<()>>,
}

impl Embedded {
    /// Opens the archive in `directory`, which is made if it is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] where another process has it open, [`ErrorKind::Integrity`] where it was written by another
    /// version or is damaged, [`ErrorKind::Unavailable`] where the disk does not do its part.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        let directory = directory.as_ref();
        let unreadable = |error: std::io::Error| {
            let context = format!("cannot use the files of the archive in {}", directory.display());
            Error::new(ErrorKind::Unavailable, context).because(error)
        };
        let lock = lock(directory)?;
        let journals = Journals::hold(directory).map_err(unreadable)?;
        let tables = Tables::open(directory)?;
        tables.check_format(directory)?;
        let (mut watermark, said) = Watermark::open(directory).map_err(unreadable)?;
        let found = tables.batches()?;
        let cut = journals.cut_off().map_err(unreadable)?;
        let closed = said.is_some_and(|said| said.closed);
        let journal_damaged = cut.finished || cut.newest > if closed { 0 } else { writer::UNFINISHED_BYTES_MAX };
        // Without the file a new archive is whole, and another one may be anything.
        let acknowledged = said.map_or(Some(0), |said| said.batches).filter(|_| said.is_some() || found == 0);
        let missing = (acknowledged.is_none_or(|acknowledged| found < acknowledged) || journal_damaged)
            .then_some(Missing { acknowledged, found, journal_damaged });
        if missing.is_some() {
            tables.forget_places()?;
        }
        watermark.write(found, false).map_err(unreadable)?;
        journals.release().map_err(unreadable)?;
        let (writes, requests) = mpsc::channel(WAITING_WRITES_MAX);
        let shared = Arc::new(Shared { directory: directory.to_owned(), tables: RwLock::new(Some(tables)) });
        let writing = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("hourlog-archive".to_owned())
            .spawn(move || writer::run(&writing, requests, watermark, found))
            .map_err(|error| Error::new(ErrorKind::Unavailable, "cannot start the archive's thread").because(error))?;
        Ok(Self(Arc::new(Inner { shared, missing, writes: Some(writes), thread: Some(thread), _lock: lock })))
    }

    /// What was acknowledged before the archive was opened and is not in it. Then its sources are read again from the oldest
    /// message that they have.
    pub fn missing(&self) -> Option<Missing> {
        self.0.missing
    }

    /// Runs a read on a thread that may block.
    async fn read<T: Send + 'static>(&self, read: impl FnOnce(&Tables) -> Result<T> + Send + 'static) -> Result<T> {
        let shared = Arc::clone(&self.0.shared);
        tokio::task::spawn_blocking(move || shared.with(read))
            .await
            .map_err(|error| Error::new(ErrorKind::Unexpected, "a read of the archive broke off").because(error))?
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Without a sender the thread ends, after what it was given; the directory is free once it has.
        self.writes = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// What `work` makes of the tables. They stay open meanwhile.
    fn with<T>(&self, work: impl FnOnce(&Tables) -> Result<T>) -> Result<T> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        work(tables.as_ref().ok_or_else(not_open)?)
    }

    /// Opens the tables again, once those who read them have finished. Answers how many batches they hold.
    fn open_again(&self) -> Result<u64> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        // The directory is free once they are gone.
        *tables = None;
        let opened = Tables::open(&self.directory)?;
        let batches = opened.batches()?;
        *tables = Some(opened);
        Ok(batches)
    }
}

impl Tables {
    /// The tables of the archive in `directory`.
    fn open(directory: &Path) -> Result<Self> {
        Self::open_raw(directory).map_err(|error| {
            let (path, directory) = (directory, directory.display());
            match error {
                fjall::Error::Locked => in_use(path),
                fjall::Error::Io(error) => {
                    Error::new(ErrorKind::Unavailable, format!("cannot open the archive in {directory}")).because(error)
                }
                error => {
                    let context = format!(
                        "the archive in {directory} cannot be opened; move it away, so that a new one is made and filled \
                         from what the stream still has, or put a copy of it back"
                    );
                    Error::new(ErrorKind::Integrity, context).because(error)
                }
            }
        })
    }

    fn open_raw(directory: &Path) -> fjall::Result<Self> {
        let database = Database::builder(directory.join("tables"))
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES_MAX);
        let table = |name: &str| database.keyspace(name, options);
        Ok(Self {
            events: table("events")?,
            buckets: table("buckets")?,
            eras: table("eras")?,
            arrivals: table("arrivals")?,
            logs: table("logs")?,
            cuts: table("cuts")?,
            sources: table("sources")?,
            epochs: table("epochs")?,
            cursors: table("cursors")?,
            meta: table("meta")?,
            beginning: Arc::default(),
            database,
        })
    }

    /// A batch that is synced when it is committed.
    fn batch(&self) -> fjall::OwnedWriteBatch {
        self.database.batch().durability(Some(PersistMode::SyncData))
    }

    /// Refuses a directory that another version wrote; marks a new one.
    fn check_format(&self, directory: &Path) -> Result<()> {
        match self.meta.get("format").map_err(broken)? {
            Some(found) if *found == [FORMAT] => Ok(()),
            Some(found) => Err(Error::new(
                ErrorKind::Integrity,
                format!("the archive in {} has format {found:?}, this version reads {FORMAT}", directory.display()),
            )),
            None => {
                let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
                batch.insert(&self.meta, "format", vec![FORMAT]);
                batch.commit().map_err(broken)
            }
        }
    }

    /// How many batches were ever written.
    fn batches(&self) -> Result<u64> {
        let value = self.meta.get(BATCHES).map_err(broken)?;
        value.map_or(Ok(0), |value| Ok(keys::last_offset(&value)?.nanos().unsigned_abs()))
    }

    /// Nothing is archived for certain any more: every source is to be read again.
    fn forget_places(&self) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for guard in self.sources.iter() {
            let (key, value) = guard.into_inner().map_err(broken)?;
            let SourceRow { cursor, cursor_time, high, .. } = SourceRow::NOTHING;
            let row = SourceRow { cursor, cursor_time, high, ..values::read_source(&value)? };
            batch.insert(&self.sources, key, values::source(&row));
        }
        batch.commit().map_err(broken)
    }

    fn log(&self, id: &LogId) -> Result<Option<LogRow>> {
        self.logs.get(id.as_str()).map_err(broken)?.map(|value| values::read_log(&value)).transpose()
    }

    fn source(&self, key: &[u8]) -> Result<Option<SourceRow>> {
        self.sources.get(key).map_err(broken)?.map(|value| values::read_source(&value)).transpose()
    }

    fn bucket(&self, id: &LogId, era: Offset, start: Offset) -> Result<Option<BucketRow>> {
        let value = self.buckets.get(keys::bucket(id, era, start)).map_err(broken)?;
        value.map(|value| values::read_bucket(start, &value)).transpose()
    }

    /// The greatest era of a log at or before `offset`.
    fn era_at(&self, id: &LogId, offset: Offset) -> Result<Option<Offset>> {
        let (first, last) = (keys::era(id, Offset::MIN), keys::era(id, offset));
        match self.eras.range(first..=last).next_back() {
            Some(guard) => Ok(Some(keys::last_offset(&guard.key().map_err(broken)?)?)),
            None => Ok(None),
        }
    }

    fn buckets(&self, id: &LogId, span: RangeInclusive<Offset>, reverse: bool, limit: usize) -> Result<Vec<BucketRow>> {
        let (from, to) = span.into_inner();
        let Some(last_era) = self.era_at(id, to)? else {
            return Ok(Vec::new());
        };
        let all_first = keys::bucket(id, Offset::MIN, Offset::MIN);
        let last = keys::bucket(id, last_era, to);
        let first = match self.era_at(id, from)? {
            Some(era) => match self.buckets.range(&all_first[..]..=&keys::bucket(id, era, from)[..]).next_back() {
                Some(guard) => guard.key().map_err(broken)?.to_vec(),
                None => all_first,
            },
            None => all_first,
        };
        if first > last {
            return Ok(Vec::new());
        }
        let rows = self.buckets.range(first..=last);
        let read = |guard: fjall::Guard| {
            let (key, value) = guard.into_inner().map_err(broken)?;
            values::read_bucket(keys::last_offset(&key)?, &value)
        };
        if reverse { rows.rev().take(limit).map(read).collect() } else { rows.take(limit).map(read).collect() }
    }

    fn events(&self, id: &LogId, bucket: Bucket, scan: Scan) -> Result<Vec<Event>> {
        let first = keys::event(id, bucket.start, scan.from);
        let last = keys::event(id, bucket.start, scan.to);
        if first > last {
            return Ok(Vec::new());
        }
        let mut range = self.events.range(first..=last);
        let mut events = Vec::new();
        let mut bytes = 0;
        while events.len() < scan.limit && bytes < scan.bytes {
            let Some(guard) = (if scan.reverse { range.next_back() } else { range.next() }) else {
                break;
            };
            let (key, value) = guard.into_inner().map_err(broken)?;
            let event = values::read_event(id, keys::last_position(&key)?, value.into())?;
            bytes += event.record.bytes();
            events.push(event);
        }
        Ok(events)
    }

    fn arrivals(&self, id: &LogId, bucket: Bucket, after: Seq, limit: usize) -> Result<Vec<Position>> {
        let Some(first) = after.checked_add(1) else {
            return Ok(Vec::new());
        };
        let range = keys::arrival(id, bucket.start, first)..=keys::arrival(id, bucket.start, Seq::MAX);
        self.arrivals
            .range(range)
            .take(limit)
            .map(|guard| {
                let (key, value) = guard.into_inner().map_err(broken)?;
                Ok(Position { offset: keys::last_offset(&value)?, seq: keys::last_offset(&key)?.nanos() })
            })
            .collect()
    }

    fn begin_epoch(&self, slot: u8, row: &EpochRow) -> Result<bool> {
        let key = keys::epoch(slot, row.epoch);
        let _turn = self.beginning.lock().unwrap_or_else(PoisonError::into_inner);
        if self.epochs.contains_key(&key).map_err(broken)? {
            return Ok(false);
        }
        let mut batch = self.batch();
        batch.insert(&self.epochs, key, values::epoch(row));
        batch.commit().map_err(broken)?;
        Ok(true)
    }
}

impl Store for Embedded {
    async fn log(&self, id: &LogId) -> Result<Option<LogRow>> {
        let id = id.clone();
        self.read(move |tables| tables.log(&id)).await
    }

    async fn logs(&self, after: Option<&LogId>, limit: usize) -> Result<Vec<(LogId, LogRow)>> {
        let first = after.map_or_else(Vec::new, keys::behind_log);
        self.read(move |tables| {
            tables
                .logs
                .range(first..)
                .take(limit)
                .map(|guard| {
                    let (key, value) = guard.into_inner().map_err(broken)?;
                    Ok((keys::log(&key)?, values::read_log(&value)?))
                })
                .collect()
        })
        .await
    }

    async fn buckets(
        &self,
        id: &LogId,
        span: RangeInclusive<Offset>,
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<BucketRow>> {
        let id = id.clone();
        self.read(move |tables| tables.buckets(&id, span, reverse, limit)).await
    }

    async fn events(&self, id: &LogId, bucket: Bucket, scan: Scan) -> Result<Vec<Event>> {
        let id = id.clone();
        self.read(move |tables| tables.events(&id, bucket, scan)).await
    }

    async fn arrivals(&self, id: &LogId, bucket: Bucket, after: Seq, limit: usize) -> Result<Vec<Position>> {
        let id = id.clone();
        self.read(move |tables| tables.arrivals(&id, bucket, after, limit)).await
    }

    async fn event(&self, id: &LogId, position: Position) -> Result<Option<Event>> {
        let id = id.clone();
        self.read(move |tables| {
            let Some(row) = tables.log(&id)? else {
                return Ok(None);
            };
            let key = keys::event(&id, row.widths.bucket(position.offset).start, position);
            let value = tables.events.get(key).map_err(broken)?;
            value.map(|value| values::read_event(&id, position, value.into())).transpose()
        })
        .await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<()> {
        let gone = || Error::new(ErrorKind::Unavailable, "the archive's thread has ended; open the archive again");
        let (reply, written) = oneshot::channel();
        let sender = self.0.writes.as_ref().expect("it is taken on drop only");
        sender.send(writer::Request { writes, reply }).await.map_err(|_| gone())?;
        written.await.map_err(|_| gone())?
    }

    async fn sources(&self, stream: &str) -> Result<Vec<(u8, SourceRow)>> {
        let prefix = keys::source_prefix(stream);
        self.read(move |tables| {
            tables
                .sources
                .prefix(prefix)
                .map(|guard| {
                    let (key, value) = guard.into_inner().map_err(broken)?;
                    Ok((keys::last_byte(&key)?, values::read_source(&value)?))
                })
                .collect()
        })
        .await
    }

    async fn epochs(&self, slot: u8) -> Result<Vec<EpochRow>> {
        self.read(move |tables| {
            let rows = tables.epochs.prefix([slot]);
            rows.map(|guard| {
                let (key, value) = guard.into_inner().map_err(broken)?;
                values::read_epoch(keys::last_u32(&key)?, &value)
            })
            .collect()
        })
        .await
    }

    async fn begin_epoch(&self, slot: u8, row: EpochRow) -> Result<bool> {
        self.read(move |tables| tables.begin_epoch(slot, &row)).await
    }

    async fn cursor(&self, id: &LogId, name: &str) -> Result<Option<Arrival>> {
        let key = keys::cursor(id, name);
        self.read(move |tables| {
            let value = tables.cursors.get(key).map_err(broken)?;
            value.map(|value| values::read_cursor(&value)).transpose()
        })
        .await
    }
}

/// Lets no other process open the archive: even to look at its journals is for one alone.
fn lock(directory: &Path) -> Result<File> {
    let cannot = |error: std::io::Error| {
        Error::new(ErrorKind::Unavailable, format!("cannot open the archive in {}", directory.display())).because(error)
    };
    std::fs::create_dir_all(directory).map_err(cannot)?;
    let file = File::create(directory.join("lock")).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(in_use(directory)),
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

fn in_use(directory: &Path) -> Error {
    let context = format!(
        "the archive in {} is in use by another process; one instance at a time may have it open",
        directory.display()
    );
    Error::new(ErrorKind::Refused, context)
}

fn not_open() -> Error {
    Error::new(ErrorKind::Unavailable, "the archive could not be opened again after its disk failed")
}

/// An error of fjall's, as ours.
fn broken(error: fjall::Error) -> Error {
    match error {
        fjall::Error::Poisoned => Error::new(
            ErrorKind::Unavailable,
            "the archive takes no writes after a failed one until it is opened again; see that its disk has room",
        ),
        error @ fjall::Error::Io(_) => Error::new(ErrorKind::Unavailable, "the archive's disk failed").because(error),
        error => Error::new(ErrorKind::Integrity, "the archive's files cannot be read").because(error),
    }
}
