//! The surroundings of a moment of a log: the request and the reply.

use serde::{Deserialize, Serialize};

use crate::{Offset, read};

use super::{BinReply, When, json::JsonEvent};

/// Asks for what is around a moment.
///
/// ```
/// use hourlog::wire::{NearRequest, When};
/// let request: NearRequest = serde_json::from_str(r#"{"at":"2018-02-04T10:00:00Z"}"#)?;
/// assert!(matches!(request.at, When::At(_)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NearRequest {
    /// The moment.
    pub at: When,
}

/// The events, the buckets and the bursts around a moment. A burst is a bucket with at least eight events, and more than
/// four times the mean of the 16 buckets before it.
///
/// ```
/// use hourlog::wire::NearReply;
/// let reply: NearReply = serde_json::from_str(
///     r#"{"at":"2018-02-04T10:00:00Z","next_bucket":{"from":"2018-02-04T11:00:00Z","to":"2018-02-04T12:00:00Z","count":7}}"#,
/// )?;
/// assert_eq!((reply.next_bucket.map(|bucket| bucket.count), reply.previous_bucket), (Some(7), None));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NearReply {
    /// The moment.
    pub at: Offset,
    /// The newest event before it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<JsonEvent>,
    /// The oldest event at or after it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<JsonEvent>,
    /// The newest bucket with events that ends before it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous_bucket: Option<BinReply>,
    /// The oldest bucket with events that begins after it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_bucket: Option<BinReply>,
    /// The newest burst that ends before it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous_burst: Option<BinReply>,
    /// The oldest burst that begins after it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_burst: Option<BinReply>,
    /// The time from which on there is no other burst before the moment; absent if that is the beginning.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub searched_from: Option<Offset>,
    /// The time up to which there is no other burst after the moment; absent if that is the end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub searched_to: Option<Offset>,
}

impl From<read::Bin> for BinReply {
    fn from(read::Bin { from, to, count }: read::Bin) -> Self {
        Self { from, to, count }
    }
}
