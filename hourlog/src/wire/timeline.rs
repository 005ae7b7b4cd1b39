//! Counts by time: the request and the reply.

use serde::{Deserialize, Serialize};

use crate::{Offset, Position};

use super::{AheadReply, MergedPosition, Span, Step, When, request::is_default};

/// Asks for counts of events by time.
///
/// ```
/// use hourlog::{time::HOUR, wire::{TimelineRequest, When}};
/// let request: TimelineRequest =
///     TimelineRequest { from: Some(When::Ago(24 * HOUR)), bins: Some(24), ..TimelineRequest::default() };
/// assert_eq!(serde_json::to_string(&request)?, r#"{"from":"-1d","bins":24}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default, bound(deserialize = "P: Deserialize<'de>"))]
pub struct TimelineRequest<P = Position> {
    /// The earliest time, inclusive; the first event by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<When>,
    /// The latest time, exclusive; by default [`When::Last`], which includes the newest event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<When>,
    /// The number of equal bins; 60 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bins: Option<u32>,
    /// The length of the bins, instead of their number. The first and the last one are cut at `from`
    /// and `to`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// The time zone whose days, weeks, months and years a step follows, such as `Europe/Oslo`; UTC by
    /// default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Reads events where the index is too coarse. A reply that ends with `next` counts only the events
    /// before it; the same request with this as `after` counts the others.
    #[serde(skip_serializing_if = "is_default")]
    pub exact: bool,
    /// Counts only events at or after this position: the last reply's `next`. Several logs are counted one after the other,
    /// by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<P>,
    /// An expression in CEL: counts only events for which it is true.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// A text, or `re:` and a regular expression: counts only events that have it in their data, or in a string of JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// `name=value`, or `name`: counts only events with this metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// An expression in CEL, such as `json.service` or `log`: counts the events of each of its values, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The most values that the reply lists, those with most events; 12 by default, and never more than
    /// [`GROUPS_MAX`](super::GROUPS_MAX).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<u32>,
    /// For several logs: counts only those that match this pattern, which begins with the prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

/// Asks for counts of events by time, of all logs below a prefix.
pub type TimelinesRequest = TimelineRequest<MergedPosition>;
/// Counts of events by time, of all logs below a prefix.
pub type TimelinesReply = TimelineReply<MergedPosition>;

impl<P> Default for TimelineRequest<P> {
    fn default() -> Self {
        Self {
            from: None,
            to: None,
            bins: None,
            step: None,
            zone: None,
            exact: false,
            after: None,
            condition: None,
            text: None,
            header: None,
            by: None,
            groups: None,
            pattern: None,
        }
    }
}

impl<P> TimelineRequest<P> {
    /// Returns true if the events must be read to count them.
    pub fn reads_events(&self) -> bool {
        [&self.condition, &self.text, &self.header, &self.by].iter().any(|part| part.is_some())
    }
}

/// Counts of events by time.
///
/// ```
/// use hourlog::wire::TimelineReply;
/// let reply: TimelineReply = serde_json::from_str(
///     r#"{"from":"2018-02-04T10:00:00Z","to":"2018-02-04T11:00:00Z","count":7,"exact":true,
///       "grain":"1m","now":"2018-02-04T11:00:00Z","bins":[
///         {"from":"2018-02-04T10:00:00Z","to":"2018-02-04T10:30:00Z","count":3},
///         {"from":"2018-02-04T10:30:00Z","to":"2018-02-04T11:00:00Z","count":4}]}"#,
/// )?;
/// assert_eq!(reply.bins.iter().map(|bin| bin.count).sum::<u64>(), reply.count);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(bound(deserialize = "P: Deserialize<'de>"))]
pub struct TimelineReply<P = Position> {
    /// The earliest time, inclusive.
    pub from: Offset,
    /// The latest time, exclusive.
    pub to: Offset,
    /// The sum of all bins.
    pub count: u64,
    /// True if every bin holds exactly its events, up to `next`.
    pub exact: bool,
    /// The longest stretch that the index counts as one; `0s` if it counts nothing here. If the reply is
    /// not exact, a shorter bin may hold events of its neighbours.
    pub grain: Span,
    /// The events of stretches that reach beyond `from` or `to`, and were not read. They are in no bin,
    /// and not in `count`.
    #[serde(skip_serializing_if = "is_default", default)]
    pub edge: u64,
    /// The number of events that were read.
    #[serde(skip_serializing_if = "is_default", default)]
    pub scanned: u64,
    /// The most events that must be read for exact counts up to the end, by the index. It is exact, unless `from`,
    /// `to` or `after` lies within a stretch that the index counts as one.
    #[serde(skip_serializing_if = "is_default", default)]
    pub of: u64,
    /// The position up to which everything is counted; absent if that is the end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<P>,
    /// The bins, in order.
    pub bins: Vec<BinReply>,
    /// With `by`: the values with most events, the most frequent first. Of many values, only the first
    /// [`GROUPS_MAX`](super::GROUPS_MAX) that are met are told apart.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub groups: Option<Vec<GroupReply>>,
    /// With `by`: the events of all other values.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rest: Option<u64>,
    /// For several logs: their number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub logs: Option<u64>,
    /// The present time by JetStream's clock, by which the times of requests go.
    pub now: Offset,
    /// The events that lie ahead of now; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ahead: Option<AheadReply>,
}

impl<P> TimelineReply<P> {
    /// Returns the reply for a log without events.
    pub fn empty(from: Offset, to: Offset, now: Offset) -> Self {
        let (grain, bins) = (Span(0), Vec::new());
        Self {
            from,
            to,
            count: 0,
            exact: true,
            grain,
            edge: 0,
            scanned: 0,
            of: 0,
            next: None,
            bins,
            groups: None,
            rest: None,
            logs: None,
            now,
            ahead: None,
        }
    }
}

/// One part of a timeline.
///
/// ```
/// use std::time::Duration;
/// use hourlog::wire::BinReply;
/// let (from, to) = ("2018-02-04T10:00:00Z".parse()?, "2018-02-04T10:30:00Z".parse()?);
/// let bin = BinReply { from, to, count: 3 };
/// assert_eq!(bin.to.duration_since(bin.from), Duration::from_secs(1_800));
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BinReply {
    /// Its start, inclusive.
    pub from: Offset,
    /// Its end, exclusive.
    pub to: Offset,
    /// The number of events.
    pub count: u64,
}

/// The events of a timeline for which `by` has one value.
///
/// ```
/// use hourlog::wire::GroupReply;
/// let group: GroupReply = serde_json::from_str(r#"{"value":"checkout","count":7,"bins":[0,7]}"#)?;
/// assert_eq!((group.value.as_deref(), group.bins[1]), (Some("checkout"), 7));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GroupReply {
    /// The value as a text; absent for events that have none, or one that is neither a text, nor a number, nor true or
    /// false.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<String>,
    /// The number of events.
    pub count: u64,
    /// The number of events in each bin.
    pub bins: Vec<u64>,
}
