//! Hourlog: logs of events, ordered by time, that can be replayed.
//!
//! A log is a named sequence of records, and a [`Log`] is a handle on one. A [`Record`] is metadata and data;
//! its *offset* in the log is a timestamp, and [`Log::seek`] moves a reader to any time. [`Events`] opens
//! logs.
//!
//! # Implementations
//!
//! The same two traits are implemented four times. One suite tests them all.
//!
//! | implementation | feature | where the events are |
//! |---|---|---|
//! | [`Memory`] | – | in memory, with std alone: the model that the others are compared with |
//! | [`Embedded`] | `embedded` | in one directory, without a server |
//! | [`Scylla`] | `scylla` | in a ScyllaDB or Cassandra cluster |
//! | [`Remote`] | `remote` | wherever the service `hourlogd` stores them; asked over NATS |
//!
//! `Memory`, `Embedded` and `Scylla` are stores: [`Archive`] implements [`Events`] over any
//! [`Store`](store::Store). `Remote` implements it directly.
//!
//! In memory:
//!
//! ```
//! use hourlog::{Archive, Events, Log, Memory, Record, time::system_clock};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let events = Archive::new(Memory::new(), system_clock);
//! let mut log = events.log(&"orders.eu".parse()?).await?;
//! log.write(Record::new("late").at("2018-02-04T11:00:00Z".parse()?)).await?;
//! log.write(Record::new("early").at("2018-02-04T10:00:00Z".parse()?)).await?;
//!
//! log.seek("2018-02-04T10:30:00Z".parse()?).await?;
//! let event = log.read().await?.expect("one event is after half past ten");
//! assert_eq!(&*event.record.data, b"late");
//! assert!(log.read().await?.is_none());
//! # Ok::<(), hourlog::Error>(())
//! # }).unwrap();
//! ```
//!
//! In a directory, with the feature `embedded`:
//!
#![cfg_attr(feature = "embedded", doc = "```")]
#![cfg_attr(not(feature = "embedded"), doc = "```ignore")]
//! use hourlog::{Archive, Embedded, Events, Log, Record, time::system_clock};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! # let directory = std::env::temp_dir().join(format!("hourlog-example-{}", std::process::id()));
//! let events = Archive::new(Embedded::open(&directory)?, system_clock);
//! let mut log = events.log(&"orders.eu".parse()?).await?;
//! log.write(Record::new(r#"{"id":7}"#).with("kind", "paid")).await?; // returns once it is on disk
//! # let _ = std::fs::remove_dir_all(&directory);
//! # Ok::<(), hourlog::Error>(())
//! # }).unwrap();
//! ```
//!
//! Over the service, with the feature `remote`:
//!
#![cfg_attr(feature = "remote", doc = "```no_run")]
#![cfg_attr(not(feature = "remote"), doc = "```ignore")]
//! use hourlog::{Events, Log, Record, Remote};
//!
//! # async fn example() -> hourlog::Result<()> {
//! let events = Remote::connect("nats://127.0.0.1:4222").await?;
//! let mut log = events.log(&"orders.eu".parse()?).await?;
//! log.write(Record::new(r#"{"id":7}"#).with("kind", "paid")).await?; // returns once it is archived
//! # Ok(())
//! # }
//! ```
//!
//! # Units and errors
//!
//! Offsets are nanoseconds since 1970, UTC ([`Offset`]). Sizes are bytes of data and metadata.
//! Operations fail with an [`Error`], whose [`ErrorKind`] says what a caller can do about it.
//!
//! # Map
//! - [`LogId`], [`Offset`], [`Position`], [`Record`], [`Event`], [`Error`]: one file per idea, without I/O.
//! - [`mod@store`]: what an archive implements; [`mod@read`]: pages and counts over any store.
//! - [`pace`]: when each event of a replay is due; `Player` plays events at such a pace.
//! - [`maintenance`]: checking an archive; for a directory, also repair and backup.
//! - [`time`]: the clock and its units; [`mod@header`]: metadata with a meaning.
//! - `wire`: what crosses NATS; `nats`: connecting and publishing; `remote`: the client of the service.

mod archive;
mod async_mutex;
#[cfg(any(feature = "nats", feature = "embedded"))]
#[cfg_attr(not(feature = "nats"), expect(dead_code, unreachable_pub, reason = "public as `nats::Backoff`"))]
mod backoff;
mod bucket;
mod encoded;
mod error;
mod event;
#[doc(hidden)]
pub mod failpoint;
pub mod heap;
mod id;
mod index;
pub mod maintenance;
mod memory;
pub mod pace;
#[cfg(feature = "stream")]
mod player;
mod position;
#[cfg(all(test, any(feature = "embedded", feature = "wire")))]
mod random;
pub mod read;
mod record;
mod resets;
mod retention;
mod run;
mod sent;
pub mod store;
#[cfg(feature = "text")]
pub mod text;
pub mod time;

#[cfg(feature = "embedded")]
mod embedded;
#[cfg(feature = "nats")]
pub mod nats;
#[cfg(feature = "embedded")]
mod pack;
#[cfg(feature = "remote")]
pub mod remote;
#[cfg(feature = "scylla")]
mod scylla;
#[cfg(feature = "wire")]
pub mod wire;

#[cfg(feature = "stream")]
use std::collections::VecDeque;
use std::future::Future;

#[cfg(feature = "embedded")]
pub use self::embedded::Embedded;
#[cfg(feature = "stream")]
pub use self::player::Player;
#[cfg(feature = "remote")]
pub use self::remote::Remote;
#[cfg(feature = "scylla")]
pub use self::scylla::Scylla;
pub use self::{
    archive::Archive,
    error::{Error, ErrorKind, Result},
    event::Event,
    id::LogId,
    memory::Memory,
    position::{ArrivalCursor, Cursor, Position, Seq},
    record::{Data, Metadata, Record, header},
    sent::Sent,
    time::Offset,
};

/// Opens logs.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Record, time::system_clock};
///
/// /// Works with every implementation.
/// async fn pay(events: &impl Events) -> hourlog::Result<()> {
///     let mut log = events.log(&"orders.eu".parse()?).await?;
///     log.write(Record::new("paid")).await.map(|_| ())
/// }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// pay(&Archive::new(Memory::new(), system_clock)).await?;
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
pub trait Events: Send + Sync {
    /// The handle that it returns.
    type Log: Log;

    /// Returns a handle on the log `id`, at its first event.
    ///
    /// Creates nothing, and succeeds for a log that does not exist yet.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if the archive cannot be reached.
    fn log(&self, id: &LogId) -> impl Future<Output = Result<Self::Log>> + Send;
}

/// A handle on one log: a position to read from, and a way to write.
///
/// Two handles on one log are independent. Reading goes by the timeline, `(offset, seq)`. A late event
/// whose time is before the handle's position is not read unless the handle seeks back;
/// [`Log::arrivals_page`] returns every event exactly once, in arrival order. A handle may read a page
/// ahead of what it returns; its own `seek` and `write` discard that page.
///
/// ```
/// use hourlog::{Archive, ArrivalCursor, Events, Log, Memory, Record, time::system_clock};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let mut log = Archive::new(Memory::new(), system_clock).log(&"orders.eu".parse()?).await?;
/// log.write(Record::new("on time")).await?;
/// let (events, cursor) = log.arrivals_page(ArrivalCursor::FIRST, 100).await?;
/// assert_eq!(events.len(), 1);
///
/// log.write(Record::new("late").at("2018-02-04T10:00:00Z".parse()?)).await?;
/// let (events, _) = log.arrivals_page(cursor, 100).await?; // only what arrived since
/// assert_eq!(&*events[0].record.data, b"late");
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// Every operation returns [`ErrorKind::Closed`] after [`Log::close`], and [`ErrorKind::Unavailable`]
/// if the archive cannot be reached. Reading and seeking return [`ErrorKind::NotFound`] for a log that
/// does not exist.
pub trait Log: Send {
    /// The name of the log.
    fn id(&self) -> &LogId;

    /// Reads the next event of the timeline, or `None` at its end.
    ///
    /// Never waits for an event. After a later write the next call returns it.
    fn read(&mut self) -> impl Future<Output = Result<Option<Event>>> + Send;

    /// Reads the next events of the timeline, at most `limit`.
    ///
    /// May return fewer than there are; only an empty result is the end.
    fn read_many(&mut self, limit: usize) -> impl Future<Output = Result<Vec<Event>>> + Send;

    /// Moves the handle so that the next `read` returns the first event at or after `offset`.
    ///
    /// Returns where that is. After the newest event, the handle is placed at `offset` itself.
    fn seek(&mut self, offset: Offset) -> impl Future<Output = Result<Seeked>> + Send;

    /// Writes a record, and returns its position once the archive has accepted it.
    ///
    /// Its offset is [`Record::time`], or its arrival time.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] for a time that is more than five minutes ahead, [`ErrorKind::TooLarge`]
    /// for a record that does not fit into a message of the server.
    fn write(&mut self, record: Record) -> impl Future<Output = Result<Position>> + Send;

    /// Writes `records` in this order and returns their positions.
    ///
    /// They are written together where possible. After an error, some may have been written.
    ///
    /// # Errors
    /// As [`Log::write`].
    fn write_many(&mut self, records: Vec<Record>) -> impl Future<Output = Result<Vec<Position>>> + Send;

    /// Reads the next events after `after` in arrival order, at most `limit`, and the cursor to go on from.
    ///
    /// Every event is returned exactly once, however late it is. The cursor may be stored and used after
    /// a restart. Does not move the handle in the timeline, and never waits for an event.
    fn arrivals_page(
        &mut self,
        after: ArrivalCursor,
        limit: usize,
    ) -> impl Future<Output = Result<(Vec<Event>, ArrivalCursor)>> + Send;

    /// The events of the timeline from the handle's position to its end, as a stream.
    ///
    /// ```
    /// # use hourlog::{Archive, Events, Log, Memory, Record, time::system_clock};
    /// use futures_util::TryStreamExt;
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let mut log = Archive::new(Memory::new(), system_clock).log(&"orders.eu".parse()?).await?;
    /// log.write_many(vec![Record::new("a"), Record::new("b")]).await?;
    /// let events: Vec<_> = log.events().try_collect().await?;
    /// assert_eq!(events.len(), 2);
    /// # Ok::<(), hourlog::Error>(())
    /// # }).unwrap();
    /// ```
    #[cfg(feature = "stream")]
    fn events(&mut self) -> impl futures_util::Stream<Item = Result<Event>> + Send {
        futures_util::stream::try_unfold(self, |log| async move { Ok(log.read().await?.map(|event| (event, log))) })
    }

    /// Follows the log: the events after `after` in arrival order, and then every event that arrives, as a
    /// stream.
    ///
    /// Follows the log: waits for events, and never ends by itself; an error is its last item. Does not
    /// move the handle. Needs a tokio runtime with time; over a store it looks for events every 200 ms.
    #[cfg(feature = "stream")]
    fn tail(&mut self, after: ArrivalCursor) -> impl futures_util::Stream<Item = Result<Event>> + Send {
        const EVENTS_MAX: usize = 256;
        const INTERVAL: std::time::Duration = std::time::Duration::from_millis(200);
        let state = (self, after, VecDeque::new());
        futures_util::stream::try_unfold(state, |(log, mut after, mut events)| async move {
            loop {
                if let Some(event) = events.pop_front() {
                    return Ok(Some((event, (log, after, events))));
                }
                let (page, next) = log.arrivals_page(after, EVENTS_MAX).await?;
                (events, after) = (page.into(), next);
                if events.is_empty() {
                    tokio::time::sleep(INTERVAL).await;
                }
            }
        })
    }

    /// Closes the handle. The log stays.
    fn close(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// The result of a seek.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Reason, Record, time::system_clock};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let mut log = Archive::new(Memory::new(), system_clock).log(&"orders.eu".parse()?).await?;
/// let ten = "2018-02-04T10:00:00Z".parse()?;
/// let position = log.write(Record::new("paid").at(ten)).await?;
/// let seeked = log.seek(ten).await?;
/// assert_eq!((seeked.resolved, seeked.reason), (Some(position), Reason::Exact));
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeked {
    /// The requested time.
    pub requested: Offset,
    /// The position of the event that the next read returns; `None` if there is none yet.
    pub resolved: Option<Position>,
    /// The relation of the two.
    pub reason: Reason,
}

/// The relation of the event that a seek found to the requested time.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Record, time::system_clock};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let mut log = Archive::new(Memory::new(), system_clock).log(&"orders.eu".parse()?).await?;
/// log.write(Record::new("paid").at("2018-02-04T10:00:00Z".parse()?)).await?;
/// let seeked = log.seek("2018-02-04T09:00:00Z".parse()?).await?;
/// assert_eq!(seeked.reason.as_str(), "before_first");
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The event has exactly this time.
    Exact,
    /// The event is later.
    Next,
    /// The time is before the first event.
    BeforeFirst,
    /// The time is after the newest event.
    AfterLast,
    /// The time is before the events that retention has left.
    Expired,
}

impl Reason {
    /// The name of the relation on the wire and on screen.
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

impl std::str::FromStr for Reason {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Exact, Self::Next, Self::BeforeFirst, Self::AfterLast, Self::Expired];
        let named = all.into_iter().find(|reason| reason.as_str() == text);
        named.ok_or_else(|| Error::invalid(format!("{:?} is not the reason of a seek", error::shorten(text))))
    }
}
