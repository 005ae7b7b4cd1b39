//! Hourlog: logs of events, ordered by time, that can be played again.
//!
//! A [`Log`] is a named sequence of records. A [`Record`] is metadata and data; its *offset* in
//! the log is a timestamp, and [`Log::seek`] moves a reader to any time. [`Events`] opens logs.
//!
//! | implementation | feature | what it is |
//! |---|---|---|
//! | [`Memory`] | – | in memory, on std alone: the model that the others are compared with |
//! | `Embedded` | `embedded` | one data directory, no server |
//! | `Scylla` | `scylla` | a ScyllaDB or Cassandra cluster |
//! | `Remote` | `remote` | the service, over NATS |
//!
//! `Memory`, `Embedded` and `Scylla` are stores; [`Archive`] makes [`Events`] of any [`Store`].
//!
//! ```
//! use hourlog::{Archive, Events, Log, Memory, Record, system_clock};
//!
//! # fn block_on<F: Future>(future: F) -> F::Output {
//! #     let mut future = std::pin::pin!(future);
//! #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
//! #     loop {
//! #         if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
//! #             return output;
//! #         }
//! #     }
//! # }
//! # block_on(async {
//! let events = Archive::new(Memory::new(), system_clock);
//! let mut log = events.log(&"orders.eu".parse()?).await?;
//! log.write(Record::new("late").at("2018-02-04T11:00:00Z".parse()?)).await?;
//! log.write(Record::new("early").at("2018-02-04T10:00:00Z".parse()?)).await?;
//!
//! log.seek("2018-02-04T10:30:00Z".parse()?).await?;
//! let event = log.read().await?.expect("one is after half past ten");
//! assert_eq!(&*event.record.data, b"late");
//! assert!(log.read().await?.is_none());
//! # Ok::<(), hourlog::Error>(())
//! # }).unwrap();
//! ```
//!
//! # Map
//! - [`LogId`], [`Offset`], [`Position`], [`Bucket`], [`Record`], [`Error`]: one idea a file, no I/O, no clock.
//! - `index`: what a bucket's row counts; `store`: what an archive must do; `pages`: reading over any store.
//! - `archive`: [`Archive`] and [`Stored`], the interface over any store.
//! - `planted`: bugs on purpose, to test the tests.
//! - `wire`: what crosses NATS; `remote`: the client of the service.

mod archive;
mod bucket;
mod error;
mod id;
mod index;
mod memory;
mod pages;
pub mod planted;
mod position;
mod record;
mod retention;
mod store;
mod time;
mod turn;

#[cfg(feature = "embedded")]
mod embedded;
#[cfg(feature = "remote")]
pub mod remote;
#[cfg(feature = "scylla")]
mod scylla;
#[cfg(feature = "wire")]
pub mod wire;

use std::future::Future;

#[cfg(feature = "remote")]
pub use self::remote::Remote;
pub use self::{
    archive::{Archive, Arrived, Stored, row, seek},
    bucket::{BINS, Bucket, ERA_BUCKETS, Width, Widths},
    error::{Error, ErrorKind, Result},
    id::{LOG_ID_BYTES_MAX, LOG_ID_TOKENS_MAX, LogId, SLOTS},
    index::BucketRow,
    memory::Memory,
    pages::{
        ArrivalPage, ArrivalQuery, Bin, Description, End, Page, Query, Timeline, arrival_page, describe, page, timeline,
    },
    position::{Arrival, Position, SEQUENCES_IN_EPOCH, Seq, parts, seq},
    record::{AHEAD_NANOS_MAX, Data, Event, Metadata, Record, header, shorten},
    retention::{Swept, sweep},
    store::{EpochRow, LogRow, Placed, Row, Scan, SourceRow, Store, Write},
    time::{Clock, DAY, HOUR, MINUTE, Offset, SECOND, system_clock},
};
#[cfg(feature = "embedded")]
pub use embedded::{Embedded, Missing};
#[cfg(feature = "scylla")]
pub use scylla::{Scylla, ScyllaUrl, Tls};

/// Opens logs.
pub trait Events: Send + Sync {
    /// What it opens.
    type Log: Log;

    /// A handle on the log `id`, before its first event. Never fails because nobody wrote to it yet, and creates nothing.
    fn log(&self, id: &LogId) -> impl Future<Output = Result<Self::Log>> + Send;
}

/// A handle on one log: a place in its timeline to read from, and a way to write.
///
/// Two handles on one log are independent. Reading goes by the timeline, `(offset, seq)`: an event that
/// comes late, with a time behind the place that this handle has reached, is not read unless the handle seeks back;
/// [`Log::follow`] has every event exactly once, in the order of arrival. A handle may read a page ahead of what it
/// hands out; its own `seek` and `write` make it look again.
///
/// # Errors
/// Every operation answers [`ErrorKind::Closed`] after [`Log::close`], and [`ErrorKind::Unavailable`] where the
/// archive cannot be reached. Reading and seeking answer [`ErrorKind::NotFound`] for a log that was never written to.
pub trait Log: Send {
    /// The log's name.
    fn id(&self) -> &LogId;

    /// The next event of the timeline, or `None` at its end, at once. A later write makes the next call return it.
    fn read(&mut self) -> impl Future<Output = Result<Option<Event>>> + Send;

    /// The next events of the timeline, at most `limit`; none at its end, at once. May be fewer than there are:
    /// only an empty answer is the end.
    fn read_many(&mut self, limit: usize) -> impl Future<Output = Result<Vec<Event>>> + Send;

    /// The next `read` returns the first event at or after `offset`. Answers where that is, so that nobody is moved
    /// silently. Past the newest event the handle waits at `offset` itself.
    fn seek(&mut self, offset: Offset) -> impl Future<Output = Result<Seeked>> + Send;

    /// Returns once the archive holds the record, with its position. Its offset is the time of arrival, or what
    /// [`Record::at`] says.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] for a time that cannot be read or is more than five minutes ahead.
    fn write(&mut self, record: Record) -> impl Future<Output = Result<Position>> + Send;

    /// Writes `records` in this order and answers their positions. They become durable together, which costs
    /// about as much as one.
    ///
    /// # Errors
    /// As [`Log::write`]; then some of the records may have been written.
    fn write_many(&mut self, records: Vec<Record>) -> impl Future<Output = Result<Vec<Position>>> + Send;

    /// The next events in the order of their arrival after `after`, at most `limit`, at once; and the cursor to go on
    /// from, which may be kept over restarts. However late an event came, it is here exactly once.
    /// Does not move the handle's place in the timeline.
    fn follow(&mut self, after: Arrival, limit: usize) -> impl Future<Output = Result<(Vec<Event>, Arrival)>> + Send;

    /// Ends the handle; the log stays.
    fn close(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// Where a seek has led.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeked {
    /// The time that was asked for.
    pub requested: Offset,
    /// The event that the next read returns, or `None` where there is none yet.
    pub resolved: Option<Position>,
    /// How the one relates to the other.
    pub reason: Reason,
}

/// How the place that a seek found relates to the time that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// An event has this very time.
    Exact,
    /// The next event is later.
    Next,
    /// The time is before the first event.
    BeforeFirst,
    /// The time is behind the newest event.
    AfterLast,
    /// The time is before what retention has kept.
    Expired,
}

impl Reason {
    /// The word for it, as on the wire and on screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Next => "next",
            Self::BeforeFirst => "before_first",
            Self::AfterLast => "after_last",
            Self::Expired => "expired",
        }
    }
}
