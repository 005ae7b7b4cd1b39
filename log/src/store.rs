//! What an archive must do. Everything else, paging, seeking, counting, is made of this.

use std::{
    future::{Future, ready},
    sync::Arc,
    time::Duration,
};

use crate::{Arrival, Bucket, BucketRow, Event, LogId, Offset, Position, Result, Seq, Widths};

/// An archive: events by log, bucket and position, with an index of the buckets.
///
/// Whatever is not a pure function of an event carries a seq, so that writing the same thing again, or
/// an older thing late, changes nothing.
pub trait Store: Clone + Send + Sync + 'static {
    /// Whether a write is there whole or not at all. Where it is not, what was being written when its writer was killed is there
    /// in part until it is written again.
    const WRITES_ARE_WHOLE: bool = true;

    /// For how long after [`settle`](Self::settle) has answered, what was written before may still be lost with the machine that
    /// holds it. No place is to be stored sooner.
    const SURE_AFTER: Duration = Duration::ZERO;

    /// How many logs are to write at once, where it is better to wait for one's turn: what waits makes larger writes, which cost less.
    const WRITES_AT_ONCE: Option<usize> = None;

    /// The events of one log that are best written at once.
    const WRITE_EVENTS: usize = usize::MAX;

    /// The bytes of events that are to be under way to it at once. More make larger writes, and weigh beside what the archive itself has in
    /// memory.
    const UNDER_WAY_BYTES: usize = 16 << 20;

    /// What is known of a log; `None` where it was never written to.
    fn log(&self, id: &LogId) -> impl Future<Output = Result<Option<LogRow>>> + Send;

    /// The logs behind `after`, by id, at most `limit`.
    fn logs(&self, after: Option<&LogId>, limit: usize) -> impl Future<Output = Result<Vec<(LogId, LogRow)>>> + Send;

    /// The rows of the index whose buckets may hold events of `span`: the one that begins last at or before
    /// `span.start`, and those that begin in it. In order of time, or against it; at most `limit`.
    fn buckets(
        &self,
        id: &LogId,
        span: std::ops::RangeInclusive<Offset>,
        reverse: bool,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<BucketRow>>> + Send;

    /// The events of one bucket that `scan` asks for.
    fn events(&self, id: &LogId, bucket: Bucket, scan: Scan) -> impl Future<Output = Result<Vec<Event>>> + Send;

    /// The placed events that arrived in the time of `bucket` with a seq above `after`, by seq, at most `limit`.
    fn arrivals(
        &self,
        id: &LogId,
        bucket: Bucket,
        after: Seq,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Position>>> + Send;

    /// One event, by its position.
    fn event(&self, id: &LogId, position: Position) -> impl Future<Output = Result<Option<Event>>> + Send;

    /// Writes all of `writes`, in this order: a later one is never there without the earlier ones. Returns once
    /// they are durable.
    fn write(&self, writes: Vec<Write>) -> impl Future<Output = Result<()>> + Send;

    /// How far a source has been archived, for each slot that has a row.
    fn sources(&self, stream: &str) -> impl Future<Output = Result<Vec<(u8, SourceRow)>>> + Send;

    /// The epochs of a slot, in order.
    fn epochs(&self, slot: u8) -> impl Future<Output = Result<Vec<EpochRow>>> + Send;

    /// Begins an epoch, unless this one was begun before; answers whether it was begun by this call.
    fn begin_epoch(&self, slot: u8, row: EpochRow) -> impl Future<Output = Result<bool>> + Send;

    /// A reader's durable place: the newest that was written under `name`.
    fn cursor(&self, id: &LogId, name: &str) -> impl Future<Output = Result<Option<Arrival>>> + Send;

    /// Writes what was kept back of earlier writes: the index may count behind.
    fn settle(&self) -> impl Future<Output = Result<()>> + Send {
        ready(Ok(()))
    }

    /// Whether a part of the archive has come back, perhaps without what it took within [`SURE_AFTER`](Self::SURE_AFTER): since the archive
    /// was opened, or everything that was remembered was [forgotten](Self::forget). Then the sources are to be read again from their
    /// stored places.
    fn has_come_back(&self) -> impl Future<Output = bool> + Send {
        ready(false)
    }

    /// Forgets what is remembered of earlier writes: what is stored counts. To be called once nothing is being written.
    fn forget(&self) -> impl Future<Output = ()> + Send {
        ready(())
    }
}

/// One thing to write.
#[derive(Debug, Clone)]
pub enum Write {
    /// Events of one log, in the order of their seqs. Makes the log known, counts them in the index, lists the placed ones.
    Events {
        /// The log.
        log: LogId,
        /// Its events, shared so that a write that failed can be tried again.
        rows: Arc<[Row]>,
    },
    /// Makes a log before its first event. Passed over where it is there.
    Log(LogId, LogRow),
    /// A message of a source has been handed out to be archived. Passed over where a newer one has, of this slot or another.
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
    /// Every message of a source up to this one is archived. Passed over where more is.
    Archived {
        /// The source's name.
        stream: Arc<str>,
        /// The slot.
        slot: u8,
        /// The message's seq.
        seq: Seq,
        /// Its time.
        time: Offset,
        /// The greatest time among the messages so far.
        high: Offset,
    },
    /// Takes the events of a bucket away, as [`Write::Unlist`] and [`Write::Delete`] to be done by the log's writer. None of them is above `seq`, the newest that is archived; one of them that comes again
    /// stays away, and what comes later lives.
    Drop {
        /// The log.
        log: LogId,
        /// The bucket, as its row has it.
        bucket: Bucket,
        /// The newest seq that is archived.
        seq: Seq,
        /// Also the list of the placed events that arrived in its time.
        arrivals: bool,
    },
    /// Takes an empty row out of the index. Passed over where it holds something.
    Unlist {
        /// The log.
        log: LogId,
        /// The bucket, as its row has it.
        bucket: Bucket,
        /// Nothing at or below it can come again. Passed over where the row tells of more.
        seq: Seq,
    },
    /// Takes a log away, with its readers' places. None of its events is above `seq`, the newest that is archived; one of them that
    /// comes again stays away, and what comes later makes it anew.
    Delete {
        /// The log.
        log: LogId,
        /// The newest seq that is archived.
        seq: Seq,
    },
    /// A reader's place. Passed over where the stored one has a greater seq.
    Cursor {
        /// The log that is read.
        log: LogId,
        /// The reader's name.
        name: String,
        /// How far it has come.
        cursor: Arrival,
    },
}

/// An event to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The event.
    pub event: Event,
    /// Set where the event's place in the timeline does not follow from its arrival.
    pub placed: Option<Placed>,
}

/// What the archive keeps of an event whose offset is not the time at which it arrived, or that arrived
/// while the clock of its source had been set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The greatest time of arrival in its source so far: the same for whoever reads the source.
    pub high: Offset,
}

/// Which events of a bucket to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scan {
    /// The first position, inclusive.
    pub from: Position,
    /// The last position, inclusive.
    pub to: Position,
    /// From the last one backwards.
    pub reverse: bool,
    /// The most events.
    pub limit: usize,
    /// Stop at so many bytes of data and metadata; the first event is read whatever it weighs.
    pub bytes: usize,
}

/// What is known of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// When it was made: the arrival of its first event, or the request to make it.
    pub created: Offset,
    /// How wide its buckets are.
    pub widths: Widths,
    /// For how many seconds its events are kept; for ever where it is `None`.
    pub retention_seconds: Option<i64>,
    /// Events at or below this seq were deleted: they are passed over where they come again.
    pub cut: Seq,
}

/// How far a source has been archived in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceRow {
    /// Every message up to this seq is archived.
    pub cursor: Seq,
    /// The time of the message at `cursor`.
    pub cursor_time: Offset,
    /// The newest message that was handed out to be archived.
    pub head: Seq,
    /// The time of the message at `head`.
    pub head_time: Offset,
    /// The greatest time among the messages up to `cursor`.
    pub high: Offset,
}

/// One life of a source within a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochRow {
    /// Its number; the first is 1.
    pub epoch: u32,
    /// The source's name.
    pub stream: String,
    /// The first sequence that belongs to it.
    pub from: u64,
    /// When it was begun.
    pub started: Offset,
}

impl LogRow {
    /// The row of a log that nobody made: it comes to be with its first event.
    pub(crate) fn of_first_event(event: &Event, cut: Seq) -> Self {
        Self {
            created: event.arrived.unwrap_or(event.position.offset),
            widths: Widths::default(),
            retention_seconds: None,
            cut,
        }
    }
}

impl SourceRow {
    /// A source of which nothing is archived.
    pub const NOTHING: Self =
        Self { cursor: 0, cursor_time: Offset::MIN, head: 0, head_time: Offset::MIN, high: Offset::MIN };

    /// Moves what [`Write::Head`] and [`Write::Archived`] move; never back.
    pub(crate) fn apply(&mut self, write: &Write) {
        match *write {
            Write::Head { seq, time, .. } if seq > self.head => {
                self.head = seq;
                self.head_time = time;
            }
            Write::Archived { seq, time, high, .. } if seq > self.cursor => {
                self.cursor = seq;
                self.cursor_time = time;
                self.high = high;
            }
            _ => {}
        }
    }
}
