//! The requests, and the replies that are only ever JSON.

use serde::{Deserialize, Serialize};

use crate::{Offset, Position, Width};

use super::{Span, When};

/// Which order a page is read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// By `(offset, seq)`.
    #[default]
    Timeline,
    /// By `seq`: every event exactly once, however late it came.
    Arrival,
}

/// Asks for one page of a log. Everything may be left out: then it is the first page.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayRequest {
    /// The log, if the body names it too; it must be the subject's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// The earliest time, inclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<When>,
    /// The latest time, exclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<When>,
    /// Go on behind this: the last page's `next`. A position, or an `a:` cursor in arrival order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The most events; 1,000 unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The most bytes of the reply; never more than the server's `max_payload`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u32>,
    /// Timeline unless said otherwise.
    #[serde(skip_serializing_if = "is_default")]
    pub order: Order,
    /// The newest first.
    #[serde(skip_serializing_if = "is_default")]
    pub reverse: bool,
    /// At the end of the log, hold the request so long for something to arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<Span>,
    /// The answer holds everything that was published when the request came.
    #[serde(skip_serializing_if = "is_default")]
    pub fresh: bool,
}

/// Asks for counts of events by time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimelineRequest {
    /// The earliest time, inclusive; the first event unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<When>,
    /// The latest time, exclusive; just behind the newest event unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<When>,
    /// Into how many equal parts; 60 unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bins: Option<u32>,
}

/// Counts of events by time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineReply {
    /// The earliest time, inclusive.
    pub from: Offset,
    /// The latest time, exclusive.
    pub to: Offset,
    /// All events in between.
    pub count: u64,
    /// Equal parts, in order.
    pub bins: Vec<BinReply>,
}

/// One part of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinReply {
    /// Where it begins, inclusive.
    pub from: Offset,
    /// Where it ends, exclusive.
    pub to: Offset,
    /// Its events.
    pub count: u64,
}

/// Asks which logs there are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogsRequest {
    /// Ids to answer, as NATS writes patterns: `*` is one token, `>` the rest; all unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Go on behind this id: the last answer's `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The most logs; at most, and unless said otherwise, 1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Also the system's own.
    #[serde(skip_serializing_if = "is_default")]
    pub all: bool,
    /// The answer counts everything that was published when the request came.
    #[serde(skip_serializing_if = "is_default")]
    pub fresh: bool,
}

/// Which logs there are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogsReply {
    /// By id.
    pub logs: Vec<LogReply>,
    /// What to ask for next; absent behind the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One log, in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogReply {
    /// Its id.
    pub log: String,
    /// How many events it holds.
    pub events: u64,
    /// The bytes of their data and metadata.
    pub bytes: u64,
    /// The offset of the earliest event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Offset>,
    /// The offset of the latest event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Offset>,
    /// Events a second that arrived during the last minute.
    pub rate: f64,
}

/// What is known of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DescribeReply {
    /// Its id.
    pub log: String,
    /// When it was made.
    pub created: Offset,
    /// The offset of the earliest event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Offset>,
    /// The offset of the latest event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Offset>,
    /// How many events it holds.
    pub events: u64,
    /// The bytes of their data and metadata.
    pub bytes: u64,
    /// How many buckets hold events.
    pub buckets: u64,
    /// The most events in one bucket.
    pub fullest_bucket: u64,
    /// How wide its buckets are.
    pub width: Width,
    /// For how many seconds events are kept; for ever where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_seconds: Option<i64>,
    /// Events a second that arrived during the last minute.
    pub rate: f64,
    /// Messages of the stream that were published and are not archived yet, of all logs.
    pub lag: u64,
    /// What its keeper should know; empty when all is well.
    pub warnings: Vec<String>,
}

/// Makes a log before its first event, to say how it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CreateRequest {
    /// How wide its buckets are; an hour unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<Width>,
    /// For how many seconds events are kept; for ever unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_seconds: Option<i64>,
}

/// Where an appended record is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppendReply {
    /// The log.
    pub log: String,
    /// The record's position, archived.
    pub position: Position,
    /// The time in it.
    pub time: Offset,
    /// The log had a record with this message id already: the position is that one's.
    #[serde(skip_serializing_if = "is_default", default)]
    pub duplicate: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
