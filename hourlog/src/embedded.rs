//! The archive in one directory, without a server: its tables are byte-ordered keys of fjall.
//!
//! The events of one write are stored together, as packs ([`lanes`]).
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
mod lanes;
mod late_events;
mod listing;
mod open_files;
mod packs;
mod precheck;
mod recovery;
mod removal;
pub(crate) mod repair;
#[cfg(test)]
mod rest_tests;
pub(crate) mod restore;
mod scan;
mod swap;
mod tables;
mod values;
mod view;
mod watermark;
mod writer;

use std::{
    fmt,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    ArrivalCursor, Error, ErrorKind, Event, LogId, Offset, Position, Result, Seq,
    store::{
        Bucket, BucketRow, Disk, EncodedEvent, EpochRow, LateEvent, LogRow, Run, Scan, SourceRow, Store, Totals, Write,
    },
};

use directory_lock::DirectoryLock;
pub use recovery::Missing;
use recovery::Recovered;
use tables::Tables;
use view::View;

/// The pause between two looks for snapshots that still hold the tables.
const SNAPSHOT_POLL: Duration = Duration::from_millis(1);

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
pub struct Embedded {
    inner: Arc<Inner>,
    /// Set in a snapshot.
    view: Option<Arc<View>>,
}

struct Inner {
    shared: Arc<Shared>,
    missing: Option<Missing>,
    /// `None` only while the archive is dropped.
    writes: Option<mpsc::UnboundedSender<writer::Request>>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Dropped last, because fields are dropped in this order.
    _lock: DirectoryLock,
}

/// The state that readers and the writing thread share.
struct Shared {
    directory: PathBuf,
    /// `None` if they could not be reopened after a failed write. Each later write tries it again.
    tables: RwLock<Option<Arc<Tables>>>,
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
        let (writes, inbox) = writer::Inbox::with_sender()?;
        let shared = Arc::new(Shared { directory: directory.to_owned(), tables: RwLock::new(Some(Arc::new(tables))) });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("hourlog-archive".to_owned())
            .spawn(move || writer::run(&of_thread, inbox, watermark, batches))
            .map_err(|error| Error::new(ErrorKind::Unavailable, "cannot start the archive's thread").because(error))?;
        let inner = Inner { shared, missing, writes: Some(writes), thread: Some(thread), _lock: lock };
        Ok(Self { inner: Arc::new(inner), view: None })
    }

    /// Returns the acknowledged writes that were missing when the archive was opened.
    ///
    /// If there are any, the checkpoints of all sources were reset, so that each source is read again from
    /// its oldest message.
    pub fn missing(&self) -> Option<Missing> {
        self.inner.missing
    }

    /// Runs a read: at once in a snapshot, else on a thread that may block.
    async fn read<T: Send + 'static>(&self, read: impl FnOnce(&View) -> Result<T> + Send + 'static) -> Result<T> {
        if let Some(view) = &self.view {
            return read(view);
        }
        self.blocking(|tables| read(&View::of(tables))).await
    }

    /// Runs `work` on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Tables>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let shared = Arc::clone(&self.inner.shared);
        tokio::task::spawn_blocking(move || shared.with(work))
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
        self.shared.close();
    }
}

impl Shared {
    /// Runs `work` on the tables, which stay open meanwhile.
    fn with<T>(&self, work: impl FnOnce(&Arc<Tables>) -> Result<T>) -> Result<T> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        work(tables.as_ref().ok_or_else(not_open)?)
    }

    /// Returns the free bytes of the archive's disk, and its size.
    fn disk_bytes(&self) -> Result<(u64, u64)> {
        disk_bytes(&self.directory)
    }

    /// Closes the tables, and empties long journals that nothing is only in: the next start is quick then. If a read or a
    /// compaction is under way, or if this fails, it is done there.
    fn close(&self) {
        let Some(tables) = self.tables.try_write().ok().and_then(|mut tables| tables.take()) else { return };
        let Some(tables) = Arc::into_inner(tables) else { return };
        drop(tables);
        let _ = recovery::empty_long_journals(&self.directory);
    }

    /// Reopens the tables once their readers have finished. Returns the number of batches in them.
    fn reopen(&self) -> Result<u64> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        // The directory is free only after they are dropped. Snapshots are soon.
        if let Some(mut open) = tables.take() {
            while let Err(in_use) = Arc::try_unwrap(open) {
                open = in_use;
                std::thread::sleep(SNAPSHOT_POLL);
            }
        }
        let opened = Tables::open(&self.directory)?;
        let batches = opened.batches()?;
        *tables = Some(Arc::new(opened));
        Ok(batches)
    }
}

impl Store for Embedded {
    const KIND: &'static str = "embedded";
    const HAS_QUEUE: bool = true;

    async fn log(&self, id: &LogId) -> Result<Option<LogRow>> {
        let id = id.clone();
        self.read(move |view| Ok(view.log(&id)?.map(|(_, row)| row))).await
    }

    async fn look_up(&self, ids: &[LogId]) -> Result<Vec<(Option<LogRow>, Seq)>> {
        let ids = ids.to_vec();
        let look_up = move |view: &View| {
            ids.iter().map(|id| Ok((view.log(id)?.map(|(_, row)| row), view.deleted_to(id)?))).collect()
        };
        self.read(look_up).await
    }

    async fn logs(&self, after: Option<&LogId>, limit: usize) -> Result<Vec<(LogId, LogRow)>> {
        let after = after.cloned();
        self.read(move |view| view.logs(after.as_ref(), limit)).await
    }

    async fn buckets(
        &self,
        id: &LogId,
        span: RangeInclusive<Offset>,
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<BucketRow>> {
        let id = id.clone();
        self.read(move |view| match view.log(&id)? {
            Some((log, _)) => view.buckets(log, span, reverse, limit),
            None => Ok(Vec::new()),
        })
        .await
    }

    async fn events(&self, id: &LogId, bucket: Bucket, scan: Scan) -> Result<Vec<EncodedEvent>> {
        let id = id.clone();
        self.read(move |view| match view.log(&id)? {
            Some((log, _)) => view.events(log, bucket, scan),
            None => Ok(Vec::new()),
        })
        .await
    }

    async fn runs(&self, id: &LogId, bucket: Bucket, scan: Scan) -> Result<Vec<Run>> {
        let id = id.clone();
        self.read(move |view| match view.log(&id)? {
            Some((log, _)) => view.runs(log, bucket, scan),
            None => Ok(Vec::new()),
        })
        .await
    }

    async fn late_events(
        &self,
        id: &LogId,
        bucket: Bucket,
        after: Seq,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<LateEvent>> {
        let id = id.clone();
        self.read(move |view| match view.log(&id)? {
            Some((log, _)) => view.late_events(log, bucket, after, limit, bytes),
            None => Ok(Vec::new()),
        })
        .await
    }

    async fn event(&self, id: &LogId, position: Position) -> Result<Option<Event>> {
        let id = id.clone();
        self.read(move |view| {
            let Some((log, row)) = view.log(&id)? else {
                return Ok(None);
            };
            let found = view.event(log, row.widths.bucket(position.offset), position)?;
            Ok(found.map(|event| event.decode(&id)))
        })
        .await
    }

    async fn totals(&self, id: &LogId) -> Result<Totals> {
        let id = id.clone();
        self.read(move |view| match view.log(&id)? {
            Some((log, _)) => view.totals(log),
            None => Ok(Totals::default()),
        })
        .await
    }

    async fn totals_of(&self, ids: &[LogId]) -> Result<Vec<Totals>> {
        let ids = ids.to_vec();
        self.read(move |view| view.totals_of(&ids)).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<()> {
        let (reply, written) = oneshot::channel();
        // The caller may have left; that is not a failure.
        self.enqueue(writes, |outcome| drop(reply.send(outcome)));
        let closed = |_| Error::new(ErrorKind::Unavailable, "the archive's thread has ended; reopen the archive");
        written.await.map_err(closed)?
    }

    fn enqueue(&self, writes: Vec<Write>, done: impl FnOnce(Result<()>) + Send + 'static) {
        let sender = self.inner.writes.as_ref().expect("only drop takes the sender");
        // Drops it if the thread has ended.
        let _ = sender.send(writer::Request { writes, done: Box::new(done) });
    }

    async fn sources(&self, stream: &str) -> Result<Vec<(u8, SourceRow)>> {
        let stream = stream.to_owned();
        self.read(move |view| view.sources(&stream)).await
    }

    async fn epochs(&self, slot: u8) -> Result<Vec<EpochRow>> {
        self.read(move |view| view.epochs(slot)).await
    }

    async fn begin_epoch(&self, slot: u8, row: EpochRow) -> Result<bool> {
        self.blocking(move |tables| tables.begin_epoch(slot, &row)).await
    }

    async fn disk(&self) -> Result<Option<Disk>> {
        let shared = Arc::clone(&self.inner.shared);
        self.blocking(move |tables| {
            let (journal_bytes, table_bytes) = tables.bytes()?;
            let (free_bytes, total_bytes) = shared.disk_bytes()?;
            Ok(Some(Disk { journal_bytes, table_bytes, free_bytes, total_bytes }))
        })
        .await
    }

    fn snapshot(&self) -> Result<Option<Self>> {
        let view = self.inner.shared.with(|tables| Ok(View::of(tables)))?;
        Ok(Some(Self { inner: Arc::clone(&self.inner), view: Some(Arc::new(view)) }))
    }

    async fn cursor(&self, id: &LogId, name: &str) -> Result<Option<ArrivalCursor>> {
        let key = keys::cursor(id, name);
        self.read(move |view| view.cursor(&key)).await
    }

    async fn cursors(&self, id: &LogId) -> Result<Vec<(String, ArrivalCursor)>> {
        let id = id.clone();
        self.read(move |view| view.cursors(&id)).await
    }

    async fn deleted_to(&self, id: &LogId) -> Result<Seq> {
        let id = id.clone();
        self.read(move |view| view.deleted_to(&id)).await
    }

    async fn property(&self, name: &str) -> Result<Option<String>> {
        let name = name.to_owned();
        self.read(move |view| view.property(&name)).await
    }

    async fn set_property(&self, name: &str, value: &str, over: Option<&str>) -> Result<String> {
        let (name, value, over) = (name.to_owned(), value.to_owned(), over.map(str::to_owned));
        self.blocking(move |tables| tables.set_property(&name, value, over)).await
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
