//! The trait that an archive implements, and the rows that it stores.
//!
//! Everything else (paging, seeking, counting) is built on [`Store`]; [`Archive`](crate::Archive) turns a
//! store into [`Events`](crate::Events).
//!
//! ```
//! use hourlog::{Memory, store::{LogRow, Store, Widths, Write}, Offset};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let (store, id) = (Memory::new(), "orders.eu".parse()?);
//! let row = LogRow::new(Offset::from_nanos(0), Widths::default());
//! store.write(vec![Write::Log(id, row.clone())]).await?;
//! assert_eq!(store.log(&"orders.eu".parse()?).await?, Some(row));
//! # Ok::<(), hourlog::Error>(())
//! # }).unwrap();
//! ```

use std::{
    future::{Future, ready},
    sync::Arc,
    time::Duration,
};

use crate::{ArrivalCursor, Error, ErrorKind, Event, LogId, Offset, Position, Result, Seq};

#[cfg(feature = "embedded")]
pub use crate::embedded::Missing;
#[cfg(feature = "scylla")]
pub use crate::scylla::{ScyllaUrl, Tls};
pub use crate::{
    archive::ArchiveLog,
    bucket::{BINS, Bucket, ERA_BUCKETS, Width, Widths},
    encoded::EncodedEvent,
    event::{Arrival, EventRow, Late},
    id::SLOTS,
    index::{BucketRow, Totals},
    resets::reset_checkpoints,
    retention::{SweepCount, SweepPlan, Swept, count_sweep, newest_seq, plan_sweep, sweep},
    run::{Fields, Run},
};

/// An archive: events by log, bucket and position, with an index of the buckets.
///
/// Everything that is not a pure function of an event carries a seq, so a repeated write and a delayed
/// older one change nothing.
///
/// ```
/// use hourlog::{LogId, Memory, Result, store::Store};
///
/// /// Lists the logs of any archive.
/// async fn names(store: &impl Store) -> Result<Vec<LogId>> {
///     Ok(store.logs(None, 1_000).await?.into_iter().map(|(id, _)| id).collect())
/// }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// assert_eq!(names(&Memory::new()).await?, []);
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
pub trait Store: Clone + Send + Sync + 'static {
    /// The kind of archive, for those who watch a service: `embedded`, `cql`, `memory`.
    const KIND: &'static str;

    /// True if a write is stored completely or not at all.
    ///
    /// If false, the last write of a killed writer may be there in part until it is repeated.
    const WRITES_ARE_ATOMIC: bool = true;

    /// True if the archive is lost once its last clone is dropped.
    const IS_TEMPORARY: bool = false;

    /// True if several processes can use the archive at the same time.
    const IS_SHARED: bool = false;

    /// The time after [`flush`](Self::flush) during which a node may still lose earlier writes in a crash.
    ///
    /// A checkpoint must not be stored before it has passed.
    const DURABLE_AFTER: Duration = Duration::ZERO;

    /// The number of logs that may write at the same time; `None` for no limit.
    ///
    /// Logs that wait for a permit collect larger writes, which cost less per event.
    const CONCURRENT_WRITES: Option<usize> = None;

    /// The most events of one log in one write.
    const EVENTS_PER_WRITE: usize = usize::MAX;

    /// The bytes of events in flight to the archive.
    ///
    /// More make larger writes, and need memory beside that of the archive itself.
    const IN_FLIGHT_BYTES: usize = 16 << 20;

    /// True if [`enqueue`](Self::enqueue) works.
    const HAS_QUEUE: bool = false;

    /// Returns the settings of a log; `None` if it does not exist.
    fn log(&self, id: &LogId) -> impl Future<Output = Result<Option<LogRow>>> + Send;

    /// Returns the seq up to which the events of a log were deleted, also while the log does not exist.
    fn deleted_to(&self, id: &LogId) -> impl Future<Output = Result<Seq>> + Send;

    /// Returns the settings of each of these logs, `None` if it does not exist, and the seq up to which its events were
    /// deleted.
    fn look_up(&self, ids: &[LogId]) -> impl Future<Output = Result<Vec<(Option<LogRow>, Seq)>>> + Send {
        async move {
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                found.push((self.log(id).await?, self.deleted_to(id).await?));
            }
            Ok(found)
        }
    }

    /// Lists the logs after `after`, by id, at most `limit`.
    fn logs(&self, after: Option<&LogId>, limit: usize) -> impl Future<Output = Result<Vec<(LogId, LogRow)>>> + Send;

    /// Returns the index rows whose buckets may hold events of `span`, at most `limit`.
    ///
    /// These are the last bucket that begins at or before the start of `span`, and those that begin within
    /// it; in order of time, or in reverse.
    fn buckets(
        &self,
        id: &LogId,
        span: std::ops::RangeInclusive<Offset>,
        reverse: bool,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<BucketRow>>> + Send;

    /// Creates a log that is known to be missing, for a first event that arrived at `created`, if the archive creates
    /// several logs together with less work.
    ///
    /// Only saves work: a log is created by its first write, too.
    fn prepare_log(&self, _id: &LogId, _created: Offset, _width: Width) -> impl Future<Output = ()> + Send {
        ready(())
    }

    /// Reads the events of one bucket that `scan` selects.
    fn events(&self, id: &LogId, bucket: Bucket, scan: Scan) -> impl Future<Output = Result<Vec<EncodedEvent>>> + Send;

    /// Reads as [`events`](Self::events) does. What the archive stores together may stay together.
    fn runs(&self, id: &LogId, bucket: Bucket, scan: Scan) -> impl Future<Output = Result<Vec<Run>>> + Send {
        async move { Ok(self.events(id, bucket, scan).await?.into_iter().map(Run::from).collect()) }
    }

    /// Reads the late events that are listed in `bucket`, by seq: those above the seq `after`, at most `limit`, and no
    /// more once they have `bytes` of data and metadata.
    ///
    /// A late event is listed in the bucket of the source's `max_time` at its arrival.
    fn late_events(
        &self,
        id: &LogId,
        bucket: Bucket,
        after: Seq,
        limit: usize,
        bytes: usize,
    ) -> impl Future<Output = Result<Vec<LateEvent>>> + Send;

    /// Reads one event by its position.
    fn event(&self, id: &LogId, position: Position) -> impl Future<Output = Result<Option<Event>>> + Send;

    /// Returns what the index counts of a log, without its rows where the archive keeps their sums. Nothing for a log
    /// that does not exist.
    fn totals(&self, id: &LogId) -> impl Future<Output = Result<Totals>> + Send;

    /// Returns the [`totals`](Self::totals) of several logs, in the order of `ids`, which are all different.
    fn totals_of(&self, ids: &[LogId]) -> impl Future<Output = Result<Vec<Totals>>> + Send {
        async move {
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                found.push(self.totals(id).await?);
            }
            Ok(found)
        }
    }

    /// Writes `writes` in this order, and returns once the archive has accepted them.
    ///
    /// Checkpoints may be stored last. Otherwise, a later one is never stored without the earlier ones.
    fn write(&self, writes: Vec<Write>) -> impl Future<Output = Result<()>> + Send;

    /// Queues `writes` behind all earlier ones, and calls `done` with the outcome of [`write`](Self::write), from any
    /// thread.
    ///
    /// It takes no task that waits. `done` must be quick and hold no clone of the archive, and is dropped if the archive
    /// ends before. Fails in an archive without [`HAS_QUEUE`](Self::HAS_QUEUE).
    fn enqueue(&self, writes: Vec<Write>, done: impl FnOnce(Result<()>) + Send + 'static) {
        drop(writes);
        done(Err(Error::new(ErrorKind::Unexpected, "this archive has no queue")));
    }

    /// Returns how far a source is archived, for each slot that has a row.
    fn sources(&self, stream: &str) -> impl Future<Output = Result<Vec<(u8, SourceRow)>>> + Send;

    /// Lists the epochs of a slot, in order.
    fn epochs(&self, slot: u8) -> impl Future<Output = Result<Vec<EpochRow>>> + Send;

    /// Begins an epoch. Returns false if it had been begun before.
    fn begin_epoch(&self, slot: u8, row: EpochRow) -> impl Future<Output = Result<bool>> + Send;

    /// Returns the cursor of the reader `name`.
    fn cursor(&self, id: &LogId, name: &str) -> impl Future<Output = Result<Option<ArrivalCursor>>> + Send;

    /// Lists the cursors of a log's readers by their names.
    fn cursors(&self, id: &LogId) -> impl Future<Output = Result<Vec<(String, ArrivalCursor)>>> + Send;

    /// Returns a property of the archive itself. See [`set_property`](Self::set_property).
    fn property(&self, name: &str) -> impl Future<Output = Result<Option<String>>> + Send;

    /// Stores a property if its present value equals `over` (`None` if there must be none yet), and returns
    /// the value that is there afterwards.
    ///
    /// Of several instances that do so at once, one succeeds, and all get its value.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it should replace a value, but there is none.
    fn set_property(&self, name: &str, value: &str, over: Option<&str>) -> impl Future<Output = Result<String>> + Send;

    /// Makes earlier writes durable and the counts of the index current.
    fn flush(&self) -> impl Future<Output = Result<()>> + Send {
        ready(Ok(()))
    }

    /// Returns true if a node has restarted and may have lost writes of the last
    /// [`DURABLE_AFTER`](Self::DURABLE_AFTER).
    ///
    /// Counts from the opening of the archive, or from the last [`forget`](Self::forget). The sources must
    /// then be read again from their stored checkpoints.
    fn needs_catch_up(&self) -> impl Future<Output = bool> + Send {
        ready(false)
    }

    /// Returns the room that the archive takes on its disk, and what is left of it; `None` for an archive
    /// without a disk of its own.
    fn disk(&self) -> impl Future<Output = Result<Option<Disk>>> + Send {
        ready(Ok(None))
    }

    /// Returns the archive as it is now, for several reads of one moment that are answered without waiting: each of
    /// its reads is ready when it is first polled. `None` if the archive has no such state.
    ///
    /// A large read should run on a thread that may block. The state must not be kept for long.
    ///
    /// # Errors
    /// Those of a read.
    fn snapshot(&self) -> Result<Option<Self>> {
        Ok(None)
    }

    /// Drops everything cached about earlier writes. Must be called while nothing is being written.
    fn forget(&self) -> impl Future<Output = ()> + Send {
        ready(())
    }

    /// Drops everything cached about the logs of these slots, because another process may have written them. Must be
    /// called while none of these logs is being written.
    fn forget_slots(&self, _is_forgotten: &(dyn Fn(u8) -> bool + Sync)) -> impl Future<Output = ()> + Send {
        ready(())
    }

    /// Returns the rows of the index that are newer here than in the archive, of an archive that stores counts later:
    /// those of logs after `after`, by id, about `limit`. A log's rows are not divided.
    fn unwritten(&self, _after: Option<&LogId>, _limit: usize) -> Vec<(LogId, Vec<BucketRow>)> {
        Vec::new()
    }

    /// Takes the [`unwritten`](Self::unwritten) rows of another process, named `lender`, in place of those it lent
    /// before. Reads show them where they are newer than what is stored.
    fn show_unwritten_of(&self, _lender: &str, _rows: Vec<(LogId, Vec<BucketRow>)>) {}
}

/// One item of a write.
///
/// ```
/// use hourlog::{ArrivalCursor, LogId, Memory, store::{CursorChange, Store, Write}};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (store, log): (_, LogId) = (Memory::new(), "orders.eu".parse()?);
/// for text in ["a:5-42", "a:5-41"] {
///     let (log, name, change) = (log.clone(), "mailer".to_owned(), CursorChange::Advance(text.parse()?));
///     store.write(vec![Write::Cursor { log, name, change }]).await?;
/// }
/// // The second write is delayed and older, so it changes nothing.
/// assert_eq!(store.cursor(&log, "mailer").await?, Some("a:5-42".parse::<ArrivalCursor>()?));
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub enum Write {
    /// Stores events of one log, in the order of their seqs; creates the log, counts them in the index, lists
    /// the late ones.
    Events {
        /// The log.
        log: LogId,
        /// Its events, shared so that a failed write can be retried.
        rows: Arc<[EventRow]>,
        /// The width of the log's buckets if these events create it.
        width: Width,
    },
    /// Creates a log before its first event. Ignored if it exists.
    Log(LogId, LogRow),
    /// Replaces the widths of a log, its retention and what is known of removed events. To be written by the
    /// log's owner.
    ///
    /// Ignored unless the log exists and the row's `settings_at` is above the stored one.
    Settings(LogId, LogRow),
    /// Records the newest message of a source that was handed out. Ignored if a newer one was, of any slot.
    Head {
        /// The source's name.
        stream: Arc<str>,
        /// The slot.
        slot: u8,
        /// The message's seq.
        seq: Seq,
        /// Its time.
        time: Offset,
    },
    /// Records that a source is archived up to this message. Ignored if it is archived further.
    Archived {
        /// The source's name.
        stream: Arc<str>,
        /// The slot.
        slot: u8,
        /// The message's seq.
        seq: Seq,
        /// Its time.
        time: Offset,
        /// The greatest arrival time so far.
        max_time: Offset,
    },
    /// Deletes the events of a bucket. To be written by the log's owner, as the next two.
    ///
    /// A redelivery of a deleted event is ignored; a later event is stored.
    DropBucket {
        /// The log.
        log: LogId,
        /// The bucket, as its row has it.
        bucket: Bucket,
        /// The seq of its newest event, or a greater one of the archive.
        seq: Seq,
        /// Deletes the bucket's list of late events, too.
        arrivals: bool,
    },
    /// Deletes an empty row of the index. Ignored if the bucket holds something.
    UnlistBucket {
        /// The log.
        log: LogId,
        /// The bucket, as its row has it.
        bucket: Bucket,
        /// The seq up to which nothing can be redelivered. Ignored if the row counts beyond it.
        seq: Seq,
    },
    /// Deletes a log with the cursors of its readers.
    ///
    /// A redelivery of a deleted event is ignored; a later event creates the log again.
    DeleteLog {
        /// The log.
        log: LogId,
        /// The newest archived seq. No event of the log is above it.
        seq: Seq,
    },
    /// Changes the cursor of a reader.
    Cursor {
        /// The log.
        log: LogId,
        /// The reader's name.
        name: String,
        /// The change.
        change: CursorChange,
    },
}

/// A change of a reader's cursor.
///
/// The archive compares and stores in one step, also among several instances. So no seq or clock has to
/// decide between two changes, and a deleted cursor can be created again at any place.
///
/// ```
/// use hourlog::{LogId, Memory, store::{CursorChange, Store, Write}};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (store, id): (_, LogId) = (Memory::new(), "orders.eu".parse()?);
/// let write = |change| vec![Write::Cursor { log: id.clone(), name: "mailer".to_owned(), change }];
/// store.write(write(CursorChange::Advance("a:5-42".parse()?))).await?;
/// store.write(write(CursorChange::Reset("a:5-7".parse()?))).await?; // back
/// assert_eq!(store.cursors(&id).await?, [("mailer".to_owned(), "a:5-7".parse()?)]);
/// store.write(write(CursorChange::Delete)).await?;
/// assert_eq!(store.cursors(&id).await?, []);
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorChange {
    /// Moves it forward. Ignored if the stored one has a greater seq.
    Advance(ArrivalCursor),
    /// Moves it to this place, also back. The reader must not run: its next change would move it forward
    /// again.
    Reset(ArrivalCursor),
    /// Deletes it.
    Delete,
}

/// The events of a bucket to read.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Position, Record, time::system_clock};
/// use hourlog::store::{Scan, Store, Widths};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let events = Archive::new(Memory::new(), system_clock);
/// let id = "orders.eu".parse()?;
/// let position = events.log(&id).await?.write(Record::new("paid")).await?;
///
/// let bucket = Widths::default().bucket(position.offset);
/// let newest =
///     Scan { from: Position::MIN, to: Position::MAX, reverse: true, limit: 1, bytes: usize::MAX };
/// assert_eq!(events.store().events(&id, bucket, newest).await?[0].position(), position);
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scan {
    /// The first position, inclusive.
    pub from: Position,
    /// The last position, inclusive.
    pub to: Position,
    /// Reads from the last one backwards.
    pub reverse: bool,
    /// The most events.
    pub limit: usize,
    /// The most bytes of data and metadata. The first event is returned whatever its size.
    pub bytes: usize,
}

/// A late event, as the list of those that arrived in the time of a bucket has it.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Offset, Record, Seq, time::system_clock};
/// use hourlog::store::{LateEvent, Store};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let events = Archive::new(Memory::new(), system_clock);
/// # let id = "orders.eu".parse()?;
/// let late = Record::new("late").at("2018-02-04T10:00:00Z".parse()?);
/// let position = events.log(&id).await?.write(late).await?;
///
/// let rows = events.store().buckets(&id, Offset::MIN..=Offset::MAX, true, 1).await?;
/// let listed: Vec<LateEvent> = events.store().late_events(&id, rows[0].bucket, Seq::MIN, 10, 1 << 20).await?;
/// assert_eq!((listed[0].position, listed[0].event.is_some()), (position, true));
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateEvent {
    /// Its position.
    pub position: Position,
    /// The event; `None` if it is gone. It stays listed when its bucket is deleted.
    pub event: Option<EncodedEvent>,
}

/// The settings of a log.
///
/// ```
/// use std::time::Duration;
/// use hourlog::store::{LogRow, Width, Widths};
/// let row = LogRow {
///     retention: Some(Duration::from_secs(7 * 86_400)),
///     ..LogRow::new("2018-02-04T10:00:00Z".parse()?, Widths::new(Width::MINUTE))
/// };
/// assert_eq!(row.widths.bucket(row.created).to_string(), "2018-02-04T10:00:00Z+1m");
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// The time of its creation: the arrival of its first event, or the request to create it.
    pub created: Offset,
    /// The widths of its buckets through time.
    pub widths: Widths,
    /// The time for which events are kept: [`LogRow::FOREVER`] for no limit, `None` if the log has no setting
    /// of its own.
    pub retention: Option<Duration>,
    /// The range that retention and purges have removed; `None` if they have removed nothing.
    pub removed: Option<Removed>,
    /// The seq of these settings. Only settings with a greater one replace them.
    pub settings_at: Seq,
    /// The seq up to which its events were deleted. A redelivery of one of them is ignored.
    pub deleted_to: Seq,
}

/// The events of a log that retention and purges have removed.
///
/// ```
/// use hourlog::{Seq, store::Removed};
/// let first = Removed { to: "2018-02-04T10:00:00Z".parse()?, seq: Seq::new(1, 42) };
/// let then = Removed { to: "2018-02-04T09:00:00Z".parse()?, seq: Seq::new(1, 50) };
/// assert_eq!(first.with(then), Removed { seq: then.seq, ..first });
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// The end of the latest bucket that was removed.
    pub to: Offset,
    /// The greatest seq in the removed buckets. Who follows from a smaller one may have missed events.
    pub seq: Seq,
}

/// The stored checkpoint of a source in one slot, and its newest message.
///
/// ```
/// use hourlog::{Memory, Seq, store::{SourceRow, Store, Write}};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (store, time) = (Memory::new(), "2018-02-04T10:00:00Z".parse()?);
/// let (head, archived) = (Seq::new(1, 7), Seq::new(1, 5));
/// store.write(vec![
///     Write::Head { stream: "HOURLOG".into(), slot: 0, seq: head, time },
///     Write::Archived { stream: "HOURLOG".into(), slot: 0, seq: archived, time, max_time: time },
/// ]).await?;
/// let (_, row): (u8, SourceRow) = store.sources("HOURLOG").await?[0];
/// assert_eq!(row.head.sequence() - row.checkpoint.sequence(), 2); // not archived yet
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceRow {
    /// The seq up to which every message is archived.
    pub checkpoint: Seq,
    /// The time of the message at `checkpoint`.
    pub checkpoint_time: Offset,
    /// The newest message that was handed out.
    pub head: Seq,
    /// The time of the message at `head`.
    pub head_time: Offset,
    /// The greatest arrival time among the messages up to `checkpoint`.
    pub max_time: Offset,
}

/// The disk of an archive. Its sizes are in bytes.
///
/// ```
/// use hourlog::{Memory, store::{Disk, Store}};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let disk: Option<Disk> = Memory::new().disk().await?;
/// assert_eq!(disk, None); // an embedded archive has one
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// The size of the journals.
    pub journal_bytes: u64,
    /// The size of the tables.
    pub table_bytes: u64,
    /// The free room for this user.
    pub free_bytes: u64,
    /// The size of the disk.
    pub total_bytes: u64,
}

/// One life of a source within a slot.
///
/// ```
/// use hourlog::{Memory, store::{EpochRow, Store}, time::system_clock};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = Memory::new();
/// let stream = "HOURLOG".to_owned();
/// let row = EpochRow { epoch: 1, stream, from: 1, started: system_clock() };
/// assert!(store.begin_epoch(0, row.clone()).await?);
/// assert!(!store.begin_epoch(0, row.clone()).await?); // it had been begun
/// assert_eq!(store.epochs(0).await?, [row]);
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochRow {
    /// Its number; the first is 1.
    pub epoch: u32,
    /// The source's name.
    pub stream: String,
    /// The first sequence that belongs to it.
    pub from: u64,
    /// The time at which it was begun, the same in every slot.
    pub started: Offset,
}

impl Removed {
    /// Returns what both name together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self { to: self.to.max(other.to), seq: self.seq.max(other.seq) }
    }
}

impl LogRow {
    /// A retention without limit.
    pub const FOREVER: Duration = Duration::from_secs(i64::MAX as u64);

    /// Creates the row of a log without other settings.
    pub fn new(created: Offset, widths: Widths) -> Self {
        Self { created, widths, retention: None, removed: None, settings_at: Seq::ZERO, deleted_to: Seq::MIN }
    }

    /// Returns the row with the seq of its next settings, given the newest archived seq of the log.
    #[must_use]
    pub fn with_next_settings(self, newest: Seq) -> Self {
        let settings_at = newest.max(self.settings_at.next().unwrap_or(Seq::MAX));
        Self { settings_at, ..self }
    }

    /// Applies a [`Write::Settings`]. Never moves back. Returns true if the row has changed.
    pub(crate) fn apply(&mut self, settings: &Self) -> bool {
        let is_newer = settings.settings_at > self.settings_at.max(self.deleted_to);
        if is_newer {
            let Self { widths, retention, removed, settings_at, .. } = settings.clone();
            *self = Self { widths, retention, removed, settings_at, ..*self };
        }
        is_newer
    }

    /// The retention in whole seconds, rounded up, as archives have it.
    pub fn retention_seconds(&self) -> Option<i64> {
        let seconds = |kept: Duration| kept.as_secs() + u64::from(kept.subsec_nanos() > 0);
        self.retention.map(|kept| i64::try_from(seconds(kept)).unwrap_or(i64::MAX))
    }

    /// The row of a log that its first event creates.
    pub(crate) fn of_first_event(event: &Event, width: Width, deleted_to: Seq) -> Self {
        Self { deleted_to, ..Self::new(event.arrival_time(), Widths::new(width)) }
    }
}

impl CursorChange {
    /// Returns the cursor after this change of `stored`.
    pub(crate) fn apply(self, stored: Option<ArrivalCursor>) -> Option<ArrivalCursor> {
        match self {
            Self::Advance(cursor) => Some(stored.filter(|stored| stored.seq > cursor.seq).unwrap_or(cursor)),
            Self::Reset(cursor) => Some(cursor),
            Self::Delete => None,
        }
    }
}

/// The error of a property that was to be replaced, but does not exist.
pub(crate) fn no_property(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("the archive has no property {name} to replace; set it as a new one"))
}

impl SourceRow {
    /// The row of a source of which nothing is archived.
    pub const NOTHING: Self = Self {
        checkpoint: Seq::ZERO,
        checkpoint_time: Offset::MIN,
        head: Seq::ZERO,
        head_time: Offset::MIN,
        max_time: Offset::MIN,
    };

    /// Applies a [`Write::Head`] or [`Write::Archived`]. Never moves back.
    pub(crate) fn apply(&mut self, write: &Write) {
        match *write {
            Write::Head { seq, time, .. } if seq > self.head => {
                self.head = seq;
                self.head_time = time;
            }
            Write::Archived { seq, time, max_time, .. } if seq > self.checkpoint => {
                self.checkpoint = seq;
                self.checkpoint_time = time;
                self.max_time = max_time;
            }
            _ => {}
        }
    }
}
