//! What crosses NATS, each thing spelled once: subjects, headers, requests and replies.
//!
//! - [`Subjects`]: where to ask; [`wal_subject`] and [`log_of_wal_subject`]: where to publish.
//! - [`ReplayRequest`] and the other requests: JSON always.
//! - [`json`] and [`proto`]: replies, in the form that people read and in the one that is small.

pub mod json;
pub mod proto;
mod request;
mod when;

pub use request::{
    AppendReply, BinReply, CreateRequest, DescribeReply, LogReply, LogsReply, LogsRequest, Order, ReplayRequest,
    TimelineReply, TimelineRequest,
};
pub use when::{Span, When};

use crate::{Error, LogId, Result};

/// The service's name in the NATS Services API, and the subject prefix unless it is told otherwise.
pub const SERVICE: &str = "hourlog";
/// The stream that holds events until the archive does, unless the service is told otherwise.
pub const WAL_STREAM: &str = "HOURLOG";
/// What a publisher's subject begins with; the rest is the log's id.
pub const WAL_PREFIX: &str = "log.";

/// The request header that says which form the reply should have.
pub const ACCEPT: &str = "Accept";
/// The reply header that says which form it has.
pub const CONTENT_TYPE: &str = "Content-Type";
/// Replies that people can read. What a request gets that does not ask.
pub const JSON: &str = "application/json";
/// Replies by `schema/hourlog.proto`.
pub const PROTOBUF: &str = "application/protobuf";
/// The header of an error reply with its code: [`ErrorKind::code`](crate::ErrorKind::code).
pub const ERROR_CODE: &str = "Nats-Service-Error-Code";
/// The header of an error reply with its sentence.
pub const ERROR: &str = "Nats-Service-Error";

/// Bytes of a message that are kept free for the headers of a reply, and for what a request adds to an event.
pub const HEADROOM_BYTES: usize = 16 * 1024;

/// The events of a page, unless the request says how many.
pub const PAGE_EVENTS_DEFAULT: u32 = 1_000;
/// The most events of a page, whatever the request says.
pub const PAGE_EVENTS_MAX: u32 = 20_000;
/// The most bins of a timeline.
pub const TIMELINE_BINS_MAX: u32 = 10_000;
/// The most logs of one answer.
pub const LOGS_MAX: u32 = 1_000;

/// The subject on which to publish an event of `log`.
pub fn wal_subject(log: &LogId) -> String {
    format!("{WAL_PREFIX}{log}")
}

/// The log that an event published on `subject` belongs to: the subject without a leading `log.`.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where that is no id.
pub fn log_of_wal_subject(subject: &str) -> Result<LogId> {
    let id: LogId = subject.strip_prefix(WAL_PREFIX).unwrap_or(subject).parse()?;
    if id.is_system() {
        return Err(Error::invalid(format!("log {id} is the system's own; ids that begin with _ are not written to")));
    }
    Ok(id)
}

/// The service's subjects below one prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subjects {
    /// What they begin with, without the dot.
    pub prefix: String,
}

impl Default for Subjects {
    fn default() -> Self {
        Self { prefix: SERVICE.to_owned() }
    }
}

impl Subjects {
    /// Write one record and wait for the archive.
    pub fn append(&self, log: &LogId) -> String {
        format!("{}.append.{log}", self.prefix)
    }

    /// One page of a log.
    pub fn replay(&self, log: &LogId) -> String {
        format!("{}.replay.{log}", self.prefix)
    }

    /// What is known of a log.
    pub fn describe(&self, log: &LogId) -> String {
        format!("{}.describe.{log}", self.prefix)
    }

    /// Counts by time.
    pub fn timeline(&self, log: &LogId) -> String {
        format!("{}.timeline.{log}", self.prefix)
    }

    /// The logs there are.
    pub fn logs(&self) -> String {
        format!("{}.logs", self.prefix)
    }

    /// Make a log before its first event.
    pub fn admin_create(&self, log: &LogId) -> String {
        format!("{}.admin.create.{log}", self.prefix)
    }
}
