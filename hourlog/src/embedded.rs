//! The archive in one directory, without a server: its tables are byte-ordered keys of fjall.
//!
//! One thread writes. It collects all waiting writes into one atomic batch with the index rows that they
//! change, syncs it to the disk once, and answers all of them. Readers never wait for it.

pub(crate) mod backup;
mod backup_links;
pub(crate) mod check;
mod compaction;
mod directory_lock;
mod files;
mod journals;
mod keys;
mod open_files;
mod precheck;
mod recovery;
mod removal;
pub(crate) mod repair;
pub(crate) mod restore;
mod swap;
mod tables;
mod values;
mod watermark;
mod writer;

use std::{
    fmt,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    ArrivalCursor, Error, ErrorKind, Event, LogId, Offset, Position, Result, Seq,
    store::{Bucket, BucketRow, Disk, EpochRow, LogRow, Scan, SourceRow, Store, Write},
};

use directory_lock::DirectoryLock;
pub use recovery::Missing;
use recovery::Recovered;
use tables::{Tables, broken};

/// The writes that may wait for the writing thread. Further ones wait to be queued.
const WAITING_WRITES_MAX: usize = 4096;

/// An archive in one directory, for one process. Cheap to clone; dropping the last clone closes it.
///
/// Needs a tokio runtime, because reads run on its blocking threads.
///
/// ```
/// use hourlog::{Archive, Embedded, Events, Log, Record, time::system_clock};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let directory = tempfile::tempdir().expect("a temporary directory");
/// let events = Archive::new(Embedded::open(directory.path())?, system_clock);
/// let mut log = events.log(&"orders.eu".parse()?).await?;
/// log.write(Record::new("paid")).await?;
/// assert_eq!(&*log.read().await?.expect("the event").record.data, b"paid");
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Embedded(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    missing: Option<Missing>,
    /// `None` only while the archive is dropped.
    writes: Option<mpsc::Sender<writer::Request>>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Dropped last, because fields are dropped in this order.
    _lock: DirectoryLock,
}

/// The state that readers and the writing thread share.
struct Shared {
    directory: PathBuf,
    /// `None` if they could not be reopened after a failed write. Each later write tries it again.
    tables: RwLock<Option<Tables>>,
}

impl Embedded {
    /// Opens the archive in `directory`, or creates it.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] if another process has it open, [`ErrorKind::Integrity`] if it is damaged or
    /// another version wrote it, [`ErrorKind::Unavailable`] if the disk fails.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        let directory = directory.as_ref();
        let Recovered { tables, watermark, batches, missing, lock } = recovery::open(directory)?;
        let (writes, requests) = mpsc::channel(WAITING_WRITES_MAX);
        let shared = Arc::new(Shared { directory: directory.to_owned(), tables: RwLock::new(Some(tables)) });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("hourlog-archive".to_owned())
            .spawn(move || writer::run(&of_thread, requests, watermark, batches))
            .map_err(|error| Error::new(ErrorKind::Unavailable, "cannot start the archive's thread").because(error))?;
        Ok(Self(Arc::new(Inner { shared, missing, writes: Some(writes), thread: Some(thread), _lock: lock })))
    }

    /// Returns the acknowledged writes that were missing when the archive was opened.
    ///
    /// If there are any, the checkpoints of all sources were reset, so that each source is read again from
    /// its oldest message.
    pub fn missing(&self) -> Option<Missing> {
        self.0.missing
    }

    /// Runs a read on a thread that may block.
    async fn read<T: Send + 'static>(&self, read: impl FnOnce(&Tables) -> Result<T> + Send + 'static) -> Result<T> {
        let shared = Arc::clone(&self.0.shared);
        tokio::task::spawn_blocking(move || shared.with(read))
            .await
            .map_err(|error| Error::new(ErrorKind::Unexpected, "a read of the archive was aborted").because(error))?
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Without a sender the thread finishes the queued writes and ends. Only then is the directory free.
        self.writes = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Runs `work` on the tables, which stay open meanwhile.
    fn with<T>(&self, work: impl FnOnce(&Tables) -> Result<T>) -> Result<T> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        work(tables.as_ref().ok_or_else(not_open)?)
    }

    /// Returns the free bytes of the archive's disk, and its size.
    fn disk_bytes(&self) -> Result<(u64, u64)> {
        disk_bytes(&self.directory)
    }

    /// Reopens the tables once their readers have finished. Returns the number of batches in them.
    fn reopen(&self) -> Result<u64> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        // The directory is free only after they are dropped.
        *tables = None;
        let opened = Tables::open(&self.directory)?;
        let batches = opened.batches()?;
        *tables = Some(opened);
        Ok(batches)
    }
}

impl Store for Embedded {
    const KIND: &'static str = "embedded";

    async fn log(&self, id: &LogId) -> Result<Option<LogRow>> {
        let id = id.clone();
        self.read(move |tables| tables.log(&id)).await
    }

    async fn logs(&self, after: Option<&LogId>, limit: usize) -> Result<Vec<(LogId, LogRow)>> {
        let first = after.map_or_else(Vec::new, keys::log_prefix);
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
        let closed = || Error::new(ErrorKind::Unavailable, "the archive's thread has ended; reopen the archive");
        let (reply, written) = oneshot::channel();
        let sender = self.0.writes.as_ref().expect("only drop takes the sender");
        sender.send(writer::Request { writes, reply }).await.map_err(|_| closed())?;
        written.await.map_err(|_| closed())?
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

    async fn disk(&self) -> Result<Option<Disk>> {
        let shared = Arc::clone(&self.0.shared);
        self.read(move |tables| {
            let (journal_bytes, table_bytes) = tables.bytes()?;
            let (free_bytes, total_bytes) = shared.disk_bytes()?;
            Ok(Some(Disk { journal_bytes, table_bytes, free_bytes, total_bytes }))
        })
        .await
    }

    async fn cursor(&self, id: &LogId, name: &str) -> Result<Option<ArrivalCursor>> {
        let key = keys::cursor(id, name);
        self.read(move |tables| {
            let value = tables.cursors.get(key).map_err(broken)?;
            value.map(|value| values::read_cursor(&value)).transpose()
        })
        .await
    }

    async fn cursors(&self, id: &LogId) -> Result<Vec<(String, ArrivalCursor)>> {
        let prefix = keys::log_prefix(id);
        self.read(move |tables| {
            let rows = tables.cursors.prefix(&prefix);
            rows.map(|guard| {
                let (key, value) = guard.into_inner().map_err(broken)?;
                Ok((keys::text_after(&prefix, &key)?, values::read_cursor(&value)?))
            })
            .collect()
        })
        .await
    }

    async fn deleted_to(&self, id: &LogId) -> Result<Seq> {
        let id = id.clone();
        self.read(move |tables| tables.deleted_to(&id)).await
    }

    async fn property(&self, name: &str) -> Result<Option<String>> {
        let name = name.to_owned();
        self.read(move |tables| tables.property(&name)).await
    }

    async fn set_property(&self, name: &str, value: &str, over: Option<&str>) -> Result<String> {
        let (name, value, over) = (name.to_owned(), value.to_owned(), over.map(str::to_owned));
        self.read(move |tables| tables.set_property(&name, value, over)).await
    }
}

/// Returns the free bytes of the disk of a directory, and its size.
fn disk_bytes(directory: &Path) -> Result<(u64, u64)> {
    let disk = nix::sys::statvfs::statvfs(directory).map_err(|error| {
        Error::new(ErrorKind::Unavailable, "cannot read the free space of the archive's disk").because(error)
    })?;
    #[allow(clippy::useless_conversion, reason = "on other systems these numbers are shorter")]
    let bytes = |blocks| u64::from(blocks).saturating_mul(u64::from(disk.fragment_size()));
    Ok((bytes(disk.blocks_available()), bytes(disk.blocks())))
}

fn not_open() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the archive could not be reopened after a failed write; hourlog doctor says why, and it is tried again",
    )
}
