//! The requests, and the replies that are always JSON.

use serde::{Deserialize, Serialize};

use crate::{Cursor, LogId, Offset, Position, store::Width};

use super::{AheadReply, RecentReply, Span, When};

/// The order of a page.
///
/// ```
/// use hourlog::wire::Order;
/// assert_eq!(Order::default(), Order::Timeline);
/// assert_eq!(serde_json::to_string(&Order::Arrival)?, r#""arrival""#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// By `(offset, seq)`.
    #[default]
    Timeline,
    /// By `seq`: every event exactly once, however late it is.
    Arrival,
}

/// Asks for one page of a log. Every field is optional; without any, it is the first page.
///
/// ```
/// use hourlog::wire::{Order, ReplayRequest};
/// let request: ReplayRequest = serde_json::from_str(r#"{"from":"-1h","order":"arrival"}"#)?;
/// assert_eq!(request.order, Order::Arrival);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ReplayRequest {
    /// The log; must be the one of the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<LogId>,
    /// The earliest time, inclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<When>,
    /// The latest time, exclusive; but [`When::Last`] includes the newest event. By default the end of the log; in reverse, the newest event that does not
    /// lie ahead of now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<When>,
    /// The cursor after which to go on: the last page's `next`, in the same order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Cursor>,
    /// The most events of a page, at least one; 1,000 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The most pages of the answer, at least one; one by default, and never more than
    /// [`PAGES_MAX`](super::PAGES_MAX). Each is a message of its own, and all but the last one have the header
    /// [`FOLLOWED`](super::FOLLOWED).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<u32>,
    /// The most bytes of a page's events; never more than fit into the server's `max_payload`, compressed if the reply is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u32>,
    /// Returns only the event at this position; a log without it is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// The order; timeline by default.
    #[serde(skip_serializing_if = "is_default")]
    pub order: Order,
    /// Returns the newest event first.
    #[serde(skip_serializing_if = "is_default")]
    pub reverse: bool,
    /// Says how the page's first event relates to `from`.
    #[serde(skip_serializing_if = "is_default")]
    pub seek: bool,
    /// The time to hold the request at the end of the log until an event arrives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<Span>,
    /// Waits until everything is archived that was published before the request.
    #[serde(skip_serializing_if = "is_default")]
    pub fresh: bool,
    /// An expression in CEL: only events for which it is true.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// A text, or `re:` and a regular expression: only events that have it in their data, or in a string of JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// `name=value`, or `name`: only events with this metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
}

impl ReplayRequest {
    /// Returns the request for the page after the one that ended with the cursor `next`.
    pub fn after_page(self, next: Cursor) -> Self {
        // A bound such as `last` may have moved by now, and the cursor is past it anyway.
        let (from, to) = if self.reverse { (self.from, None) } else { (None, self.to) };
        Self { from, to, after: Some(next), ..self }
    }
}

/// Asks for something that has no options: a description, the status, or a list of cursors.
///
/// ```
/// use hourlog::wire::EmptyRequest;
/// assert!(serde_json::from_str::<EmptyRequest>("{}").is_ok());
/// assert!(serde_json::from_str::<EmptyRequest>(r#"{"fresh":true}"#).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EmptyRequest {}

/// Asks for a description of what crosses NATS.
///
/// ```
/// use hourlog::wire::SchemaRequest;
/// let request: SchemaRequest = serde_json::from_str(r#"{"file":"asyncapi.yaml"}"#)?;
/// assert_eq!(request.file.as_deref(), Some("asyncapi.yaml"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SchemaRequest {
    /// The file: `hourlog.schema.json` by default, `asyncapi.yaml` or `hourlog.proto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// The description of a log.
///
/// ```
/// use hourlog::{store::Width, wire::DescribeReply};
/// let reply: DescribeReply = serde_json::from_str(
///     r#"{"log":"orders.eu","created":"2018-02-04T10:00:00Z","events":0,"bytes":0,"buckets":0,
///         "fullest_bucket":0,"width":"1h","recent":{"to":"2018-02-04T10:00:00Z","counts":[0,2]},
///         "rate":0.2,"lag":0,"warnings":[]}"#,
/// )?;
/// assert_eq!((reply.width, reply.retention_seconds, reply.rate), (Width::HOUR, None, Some(0.2)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DescribeReply {
    /// Its id.
    pub log: LogId,
    /// The time of its creation.
    pub created: Offset,
    /// The offset of the earliest event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Offset>,
    /// The offset of the latest event that does not lie ahead of now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Offset>,
    /// The events that lie ahead of now; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ahead: Option<AheadReply>,
    /// The number of events.
    pub events: u64,
    /// The size of their data and metadata in bytes.
    pub bytes: u64,
    /// The number of buckets that hold events.
    pub buckets: u64,
    /// The most events in one bucket.
    pub fullest_bucket: u64,
    /// The current width of its buckets.
    pub width: Width,
    /// The width of later buckets, if it was changed and the change is still to come.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_width: Option<WidthChange>,
    /// The seconds for which events are kept; absent for no limit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retention_seconds: Option<i64>,
    /// The pattern of the service's configuration that says so; absent if the log has a retention of its own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retention_rule: Option<String>,
    /// The time before which retention or a purge has removed events; absent if they have removed none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expired: Option<Offset>,
    /// The events that arrived during the last minute.
    pub recent: RecentReply,
    /// The events per second of these; absent if the service counts for less than five seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rate: Option<f64>,
    /// The messages of the stream that are not archived yet, of all logs; absent while the stream does not
    /// answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lag: Option<u64>,
    /// Problems for the operator; empty if there are none.
    pub warnings: Vec<String>,
}

/// A change of a log's width.
///
/// ```
/// use hourlog::wire::WidthChange;
/// let change: WidthChange = serde_json::from_str(r#"{"width":"5m","from":"2018-02-04T11:00:00Z"}"#)?;
/// assert_eq!(change.width.to_string(), "5m");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WidthChange {
    /// The new width.
    pub width: Width,
    /// The time from which it applies.
    pub from: Offset,
}

/// The position of an appended record.
///
/// ```
/// use hourlog::wire::AppendReply;
/// let reply: AppendReply = serde_json::from_str(
///     r#"{"log":"orders.eu","position":"5-42","time":"1970-01-01T00:00:00.000000005Z"}"#,
/// )?;
/// assert_eq!(reply.position.offset, reply.time);
/// assert!(!reply.duplicate);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AppendReply {
    /// The log.
    pub log: LogId,
    /// The position of the archived record.
    pub position: Position,
    /// The time in the position.
    pub time: Offset,
    /// True if the log already had a record with this message id; the position is that record's.
    #[serde(skip_serializing_if = "is_default", default)]
    pub duplicate: bool,
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
