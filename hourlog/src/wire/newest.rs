//! The newest events of many logs: the request and the reply.

use serde::{Deserialize, Serialize};

use crate::{LogId, Offset, Position};

/// Asks for the newest events of each log below a prefix, for a list that shows them.
///
/// ```
/// use hourlog::wire::NewestRequest;
/// let request: NewestRequest = serde_json::from_str(r#"{"logs":["orders.eu","orders.us"],"limit":3}"#)?;
/// assert_eq!(request.limit, Some(3));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct NewestRequest {
    /// These logs, in this order: at most [`LOGS_LOOKED_INTO_MAX`](super::LOGS_LOOKED_INTO_MAX), all below the prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<Vec<LogId>>,
    /// Without `logs`, only those that match this pattern, which begins with the prefix: the first ones by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The most events of each log: one by default, at most [`PREVIEWS_MAX`](super::PREVIEWS_MAX).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The newest events of many logs.
///
/// ```
/// use hourlog::wire::NewestReply;
/// let reply: NewestReply = serde_json::from_str(r#"{"logs":[{"log":"orders.eu","events":[]}]}"#)?;
/// assert!(reply.logs[0].events.is_empty());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NewestReply {
    /// The logs. One that does not exist has no events.
    pub logs: Vec<NewestOfLog>,
}

/// The newest events of a log.
///
/// ```
/// use hourlog::wire::NewestOfLog;
/// let newest: NewestOfLog = serde_json::from_str(r#"{"log":"orders.eu","events":[]}"#)?;
/// assert_eq!(newest.log.as_str(), "orders.eu");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NewestOfLog {
    /// Its id.
    pub log: LogId,
    /// Its newest events that do not lie ahead of now, the newest first.
    pub events: Vec<Preview>,
}

/// One of the newest events of a log: the beginning of its data.
///
/// ```
/// use hourlog::wire::Preview;
/// let preview: Preview =
///     serde_json::from_str(r#"{"position":"5-42","time":"2018-02-04T10:00:00Z","bytes":2048,"data":"{\"id\":7"}"#)?;
/// assert!(preview.data.len() < preview.bytes as usize);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Preview {
    /// Its position.
    pub position: Position,
    /// Its offset.
    pub time: Offset,
    /// The size of its data in bytes.
    pub bytes: u64,
    /// The first kilobyte of its data as text; bytes that are not UTF-8 are replaced.
    pub data: String,
}
