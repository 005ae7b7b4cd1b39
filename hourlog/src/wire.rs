//! Everything that crosses NATS, each spelled once: subjects, headers, requests and replies.
//!
//! - [`Subjects`]: for requests; [`wal_subject`] and [`log_of_wal_subject`]: for publishing.
//! - [`ReplayRequest`] and the other requests: always JSON.
//! - [`json`] and [`proto`]: replies in a readable form and in a small one.
//!
//! ```
//! use hourlog::wire::{Subjects, wal_subject};
//! let log = "orders.eu".parse()?;
//! assert_eq!(wal_subject(&log), "log.orders.eu");
//! assert_eq!(Subjects::default().replay(&log), "hourlog.replay.orders.eu");
//! # Ok::<(), hourlog::Error>(())
//! ```

mod admin;
mod compression;
mod cursor;
pub mod json;
mod logs;
mod merge;
mod near;
mod newest;
pub mod proto;
mod receipt;
mod recent;
mod request;
#[cfg(feature = "schema")]
pub mod schema;
mod sent;
mod status;
mod step;
mod text;
mod timeline;
mod when;

pub use admin::{
    AlterRequest, CreateRequest, DeleteRequest, PurgeRequest, RemovedReply, RequeueReply, RequeueRequest, Retention,
    StillRejected,
};
pub use compression::{ACCEPT_ENCODING, COMPRESSED_PAGE_BYTES_MAX, CONTENT_ENCODING, Compression, Compressor};
pub use cursor::{
    CURSORS_MAX, CursorName, CursorReply, CursorRequest, CursorsReply, DeleteCursorReply, Moved, NamedCursor,
    SetCursorReply, SetCursorRequest,
};
pub use logs::{LogReply, LogsOrder, LogsReply, LogsRequest, StripReply, StripRequest};
pub use merge::{MergeRequest, MergedPosition};
pub use near::{NearReply, NearRequest};
pub use newest::{NewestOfLog, NewestReply, NewestRequest, Preview};
pub use receipt::{RECEIPT_BEHIND_MAX, ReceiptReply, ReceiptRequest, ReceiptToken, RejectedCount};
pub use recent::{RECENT_WINDOW_SECONDS, RECENT_WINDOWS_MAX, RecentReply};
use request::is_default;
pub use request::{AppendReply, DescribeReply, EmptyRequest, Order, ReplayRequest, SchemaRequest, WidthChange};
pub use sent::{SENT, SENT_SEQUENCE, SENT_STREAM, sent_from, sent_headers};
pub use status::{
    ArchiveStatus, ComponentStatus, CounterStatus, DiskStatus, ForkStatus, MissingStatus, SetBackStatus, ShareStatus,
    SourceStatus, StatusReply,
};
pub use step::Step;
pub use timeline::{BinReply, GroupReply, TimelineReply, TimelineRequest, TimelinesReply, TimelinesRequest};
pub use when::{AheadReply, Span, When};

use crate::{Error, LogId, Result};

pub use crate::error::shorten;

/// The service's name in the NATS Services API, and the default prefix of its subjects.
pub const SERVICE: &str = "hourlog";
/// The default name of the stream that holds events until the archive does.
pub const WAL_STREAM: &str = "HOURLOG";
/// The prefix of a publisher's subject. The rest is the log's id.
pub const WAL_PREFIX: &str = "log.";

/// The request header that names the format of the reply.
pub const ACCEPT: &str = "Accept";
/// The reply header that names its format.
pub const CONTENT_TYPE: &str = "Content-Type";
/// The readable format, and the default.
pub const JSON: &str = "application/json";
/// The small format, by `schema/hourlog.proto`.
pub const PROTOBUF: &str = "application/protobuf";
/// The header of an error reply that holds its code: [`ErrorKind::code`](crate::ErrorKind::code).
pub const ERROR_CODE: &str = "Nats-Service-Error-Code";
/// The header of an error reply that holds its message.
pub const ERROR: &str = "Nats-Service-Error";

/// The header of a page that another page of the same answer follows.
pub const FOLLOWED: &str = "Hourlog-Followed";

/// The header of an append with the longest time until the service answers: `4s`. By default, and at most, half a
/// minute.
pub const WAIT: &str = "Hourlog-Wait";

/// The bytes of a message that are reserved for headers of a reply and for what a request adds to an event.
pub const HEADROOM_BYTES: usize = 16 * 1024;

/// The events of a page by default.
pub const PAGE_EVENTS_DEFAULT: u32 = 1_000;
/// The most events of a page.
pub const PAGE_EVENTS_MAX: u32 = 20_000;
/// The most pages of one answer.
pub const PAGES_MAX: u32 = 16;
/// The most bins of a timeline.
pub const TIMELINE_BINS_MAX: u32 = 10_000;
/// The most values that a timeline lists.
pub const GROUPS_MAX: u32 = 1_000;
/// The most logs of one answer.
pub const LOGS_MAX: u32 = 1_000;

/// The most newest events of a log, in an answer for many.
pub const PREVIEWS_MAX: u32 = 10;
/// The most bins of the counts in a list of logs.
pub const STRIP_BINS_MAX: u32 = 500;
/// The most logs of an answer with counts over time or newest events. Each costs a read of its own.
pub const LOGS_LOOKED_INTO_MAX: u32 = 200;

/// Returns the subject on which to publish an event of `log`.
pub fn wal_subject(log: &LogId) -> String {
    format!("{WAL_PREFIX}{log}")
}

/// Returns the log of an event published on `subject`: the subject without a leading `log.`.
///
/// ```
/// use hourlog::wire::log_of_wal_subject;
/// assert_eq!(log_of_wal_subject("log.dev.4c:65:a8")?.as_str(), "dev.4c:65:a8");
/// assert!(log_of_wal_subject("log._rejected").is_err());
/// # Ok::<(), hourlog::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if that is not an id, or one of the system's own.
pub fn log_of_wal_subject(subject: &str) -> Result<LogId> {
    let id: LogId = subject.strip_prefix(WAL_PREFIX).unwrap_or(subject).parse()?;
    if id.is_system() {
        return Err(Error::invalid(format!(
            "log {id} belongs to the system; ids that begin with _ cannot be written to"
        )));
    }
    Ok(id)
}

/// The service's subjects below one prefix.
///
/// ```
/// use hourlog::wire::Subjects;
/// let subjects = Subjects { prefix: "archive.eu".to_owned() };
/// assert_eq!(subjects.append(&"orders".parse()?), "archive.eu.append.orders");
/// assert_eq!(subjects.logs(), "archive.eu.logs");
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subjects {
    /// The prefix, without the dot.
    pub prefix: String,
}

impl Default for Subjects {
    fn default() -> Self {
        Self { prefix: SERVICE.to_owned() }
    }
}

impl Subjects {
    /// Writes one record and waits for the archive.
    pub fn append(&self, log: &LogId) -> String {
        format!("{}.append.{log}", self.prefix)
    }

    /// Reads one page of a log.
    pub fn replay(&self, log: &LogId) -> String {
        format!("{}.replay.{log}", self.prefix)
    }

    /// Reads one page of all logs below a prefix, or of all logs.
    pub fn merge(&self, prefix: Option<&LogId>) -> String {
        match prefix {
            Some(prefix) => format!("{}.merge.{prefix}", self.prefix),
            None => format!("{}.merge", self.prefix),
        }
    }

    /// Describes a log.
    pub fn describe(&self, log: &LogId) -> String {
        format!("{}.describe.{log}", self.prefix)
    }

    /// Finds what is around a moment of a log.
    pub fn near(&self, log: &LogId) -> String {
        format!("{}.near.{log}", self.prefix)
    }

    /// Reads the newest events of many logs below a prefix, or of all logs.
    pub fn newest(&self, prefix: Option<&LogId>) -> String {
        match prefix {
            Some(prefix) => format!("{}.newest.{prefix}", self.prefix),
            None => format!("{}.newest", self.prefix),
        }
    }

    /// Returns what crosses NATS, for programs: JSON Schema, AsyncAPI, protobuf.
    pub fn schema(&self) -> String {
        format!("{}.schema", self.prefix)
    }

    /// Counts events by time.
    pub fn timeline(&self, log: &LogId) -> String {
        format!("{}.timeline.{log}", self.prefix)
    }

    /// Counts by time the events of all logs below a prefix, or of all logs.
    pub fn timelines(&self, prefix: Option<&LogId>) -> String {
        match prefix {
            Some(prefix) => format!("{}.timelines.{prefix}", self.prefix),
            None => format!("{}.timelines", self.prefix),
        }
    }

    /// Lists logs.
    pub fn logs(&self) -> String {
        format!("{}.logs", self.prefix)
    }

    /// Reports on the service itself. Every instance replies.
    pub fn status(&self) -> String {
        format!("{}.status", self.prefix)
    }

    /// Tells how many messages of a receipt were stored.
    pub fn receipt(&self, token: &ReceiptToken) -> String {
        format!("{}.receipt.{token}", self.prefix)
    }

    /// Returns a reader's cursor.
    pub fn cursor_get(&self, log: &LogId) -> String {
        format!("{}.cursor.get.{log}", self.prefix)
    }

    /// Stores a reader's cursor.
    pub fn cursor_set(&self, log: &LogId) -> String {
        format!("{}.cursor.set.{log}", self.prefix)
    }

    /// Lists the cursors of a log.
    pub fn cursor_list(&self, log: &LogId) -> String {
        format!("{}.cursor.list.{log}", self.prefix)
    }

    /// Deletes a reader's cursor.
    pub fn cursor_delete(&self, log: &LogId) -> String {
        format!("{}.cursor.delete.{log}", self.prefix)
    }

    /// Creates a log before its first event.
    pub fn admin_create(&self, log: &LogId) -> String {
        format!("{}.admin.create.{log}", self.prefix)
    }

    /// Changes the settings of a log.
    pub fn admin_alter(&self, log: &LogId) -> String {
        format!("{}.admin.alter.{log}", self.prefix)
    }

    /// Removes old events of a log.
    pub fn admin_purge(&self, log: &LogId) -> String {
        format!("{}.admin.purge.{log}", self.prefix)
    }

    /// Removes a log.
    pub fn admin_delete(&self, log: &LogId) -> String {
        format!("{}.admin.delete.{log}", self.prefix)
    }

    /// Sends rejected events to their logs again.
    pub fn admin_requeue(&self, log: &LogId) -> String {
        format!("{}.admin.requeue.{log}", self.prefix)
    }
}
