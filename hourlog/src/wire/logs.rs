//! Lists of logs: the request and the reply.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, LogId, Offset, Result};

use super::{AheadReply, RecentReply, When, request::is_default};

/// Asks for a list of logs.
///
/// ```
/// use hourlog::wire::LogsRequest;
/// let pattern = Some("orders.>".to_owned());
/// let request = LogsRequest { pattern, limit: Some(10), ..LogsRequest::default() };
/// assert_eq!(serde_json::to_string(&request)?, r#"{"pattern":"orders.>","limit":10}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct LogsRequest {
    /// These logs, in this order, instead of all that match a pattern: at most [`LOGS_MAX`](super::LOGS_MAX).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<Vec<LogId>>,
    /// The pattern of the ids, as in NATS: `*` is one token, `>` the rest; all by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The id after which to go on: the last reply's `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<LogId>,
    /// The most logs, at least one; 1,000 at most and by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The order; by id by default. In another one, `skip` goes on instead of `after`.
    #[serde(skip_serializing_if = "is_default")]
    pub sort: LogsOrder,
    /// The number of logs that come before the reply's, in another order than that of the ids.
    #[serde(skip_serializing_if = "is_default")]
    pub skip: u32,
    /// Only logs that have changed since a reply with this `mark`: they got events, or their settings changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_after: Option<String>,
    /// Counts the events of each log over time, all on one axis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strip: Option<StripRequest>,
    /// Includes the system's own logs.
    #[serde(skip_serializing_if = "is_default")]
    pub all: bool,
    /// Only logs with events that lie ahead of now. A reply may then hold fewer logs than `limit` and still have
    /// a `next`.
    #[serde(skip_serializing_if = "is_default")]
    pub ahead: bool,
    /// Waits until everything is archived that was published before the request.
    #[serde(skip_serializing_if = "is_default")]
    pub fresh: bool,
}

/// A list of logs.
///
/// ```
/// use hourlog::wire::{LogsReply, LogsRequest};
/// let reply: LogsReply = serde_json::from_str(r#"{"logs":[],"now":"2018-02-04T10:00:00Z","next":"orders.eu"}"#)?;
/// let request = LogsRequest { after: reply.next, ..LogsRequest::default() };
/// assert_eq!(serde_json::to_string(&request)?, r#"{"after":"orders.eu"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogsReply {
    /// The logs, in the order of the request.
    pub logs: Vec<LogReply>,
    /// The present time by JetStream's clock, by which the times of requests go.
    pub now: Offset,
    /// The id to send as `after` for the next part; absent after the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<LogId>,
    /// The number of logs that match, in another order than that of the ids.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub of: Option<u64>,
    /// Those of the logs that were asked for, or that have changed, which do not exist.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub gone: Vec<LogId>,
    /// The state of the list, for `changed_after`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mark: Option<String>,
    /// Set if it is not known what has changed since the mark of the request: it is of another run of the service, or too
    /// old. Then the reply lists no logs; ask for all of them.
    #[serde(skip_serializing_if = "is_default", default)]
    pub is_mark_unknown: bool,
}

/// The summary of one log in a list.
///
/// ```
/// use hourlog::wire::LogReply;
/// let reply: LogReply =
///     serde_json::from_str(r#"{"log":"orders.eu","events":0,"bytes":0,"recent":{"to":"2018-02-04T10:00:00Z","counts":[]}}"#)?;
/// assert_eq!((reply.log.as_str(), reply.first), ("orders.eu", None)); // it holds no event
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogReply {
    /// Its id.
    pub log: LogId,
    /// The number of events.
    pub events: u64,
    /// The size of their data and metadata in bytes.
    pub bytes: u64,
    /// The offset of the earliest event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Offset>,
    /// The offset of the latest event that does not lie ahead of now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Offset>,
    /// The events that lie ahead of now; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ahead: Option<AheadReply>,
    /// The events that arrived during the last minute.
    pub recent: RecentReply,
    /// The events per second of these; absent if the service counts for less than five seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rate: Option<f64>,
    /// The seconds for which events are kept; absent for no limit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retention_seconds: Option<i64>,
    /// The pattern of the service's configuration that says so; absent if the log has a retention of its own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retention_rule: Option<String>,
    /// The counts of `strip`, from the index; absent without it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub strip: Option<StripReply>,
}

/// The order of a list of logs.
///
/// ```
/// use hourlog::wire::LogsOrder;
/// assert_eq!(serde_json::to_string(&LogsOrder::Last)?, r#""last""#);
/// assert_eq!("rate".parse::<LogsOrder>().ok(), Some(LogsOrder::Rate));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogsOrder {
    /// By id.
    #[default]
    Id,
    /// By the time of the newest event that does not lie ahead of now, the newest first.
    Last,
    /// By the events that arrived in the last minute, the most first.
    Rate,
    /// By the number of events, the most first.
    Events,
    /// By the size of data and metadata, the largest first.
    Bytes,
}

impl LogsOrder {
    /// All orders, with their names.
    pub const ALL: [(&str, Self); 5] = [
        ("id", Self::Id),
        ("last", Self::Last),
        ("rate", Self::Rate),
        ("events", Self::Events),
        ("bytes", Self::Bytes),
    ];
}

impl FromStr for LogsOrder {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let named = Self::ALL.iter().find(|(name, _)| *name == text);
        named.map(|(_, order)| *order).ok_or_else(|| Error::invalid("an order is id, last, rate, events or bytes"))
    }
}

/// The axis of the counts in a list of logs.
///
/// ```
/// use hourlog::wire::StripRequest;
/// let strip: StripRequest = serde_json::from_str(r#"{"from":"-1h","to":"now","bins":60}"#)?;
/// assert_eq!(strip.bins, 60);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StripRequest {
    /// The earliest time, inclusive.
    pub from: When,
    /// The latest time, exclusive.
    pub to: When,
    /// The number of equal bins: at most [`STRIP_BINS_MAX`](super::STRIP_BINS_MAX).
    pub bins: u32,
}

/// The counts of a log in a list.
///
/// ```
/// use hourlog::wire::StripReply;
/// let strip: StripReply = serde_json::from_str(r#"{"counts":[0,3,1],"exact":true}"#)?;
/// assert_eq!(strip.counts.iter().sum::<u64>(), 4);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StripReply {
    /// The events in each bin.
    pub counts: Vec<u64>,
    /// False if bins are finer than the index: they may hold events of their neighbours.
    pub exact: bool,
}
