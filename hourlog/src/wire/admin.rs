//! The requests that create, change and remove logs, and their replies.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    Cursor, Error, LogId, Offset, Position, Result,
    error::shorten,
    store::{LogRow, Width},
};

use super::{Span, When, is_default};

/// The time for which the events of a log are kept: `7d`, `forever`, or `default` for what the service's
/// configuration says.
///
/// ```
/// use std::time::Duration;
/// use hourlog::{store::LogRow, wire::Retention};
/// let week: Retention = "7d".parse()?;
/// assert_eq!(week.setting(), Some(Duration::from_secs(7 * 86_400)));
/// assert_eq!("forever".parse::<Retention>()?.setting(), Some(LogRow::FOREVER));
/// assert!("0s".parse::<Retention>().is_err());
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// For this time, in whole seconds.
    For(Duration),
    /// Without limit.
    Forever,
    /// As the configuration of the service says.
    Default,
}

impl Retention {
    /// Returns the retention as the row of a log has it.
    pub fn setting(self) -> Option<Duration> {
        match self {
            Self::For(kept) => Some(kept),
            Self::Forever => Some(LogRow::FOREVER),
            Self::Default => None,
        }
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(kept) => Span(i64::try_from(kept.as_nanos()).unwrap_or(i64::MAX)).fmt(f),
            Self::Forever => f.write_str("forever"),
            Self::Default => f.write_str("default"),
        }
    }
}

impl FromStr for Retention {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!(
                "{:?} is not a time to keep events; write 12h, 7d, forever or default",
                shorten(text)
            ))
        };
        match text {
            "forever" => Ok(Self::Forever),
            "default" => Ok(Self::Default),
            _ => {
                let kept = text.parse::<Span>().map_err(|_| wrong())?.duration();
                if kept.as_secs() == 0 || kept.subsec_nanos() > 0 { Err(wrong()) } else { Ok(Self::For(kept)) }
            }
        }
    }
}

/// Creates a log before its first event, to set how it is stored.
///
/// ```
/// use hourlog::{store::Width, wire::CreateRequest};
/// let request = CreateRequest { width: Some(Width::MINUTE), retention: Some("7d".parse()?) };
/// assert_eq!(serde_json::to_string(&request).unwrap(), r#"{"width":"1m","retention":"7d"}"#);
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CreateRequest {
    /// The width of its buckets; by default that of the service's configuration, or an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<Width>,
    /// The time for which events are kept; by default that of the service's configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
}

/// Changes the settings of a log. What is left out stays.
///
/// ```
/// use hourlog::wire::{AlterRequest, Retention};
/// let request = AlterRequest { retention: Some(Retention::Forever), ..AlterRequest::default() };
/// assert_eq!(serde_json::to_string(&request)?, r#"{"retention":"forever"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AlterRequest {
    /// The width of later buckets, from the next boundary that is at least ten minutes ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<Width>,
    /// The time for which events are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
}

/// Removes the buckets of a log that end at or before a time.
///
/// ```
/// use hourlog::wire::PurgeRequest;
/// let request: PurgeRequest = serde_json::from_str(r#"{"before":"-30d","dry_run":true}"#)?;
/// assert!(request.dry_run);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PurgeRequest {
    /// The time. `first`, `last` and times that are to come are refused.
    pub before: When,
    /// Counts, and removes nothing.
    #[serde(skip_serializing_if = "is_default", default)]
    pub dry_run: bool,
}

/// Removes a log with all of its events and settings.
///
/// ```
/// use hourlog::wire::DeleteRequest;
/// assert_eq!(serde_json::to_string(&DeleteRequest { dry_run: true })?, r#"{"dry_run":true}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct DeleteRequest {
    /// Counts, and removes nothing.
    #[serde(skip_serializing_if = "is_default")]
    pub dry_run: bool,
}

/// The sum of what a purge or a deletion has removed, or would remove.
///
/// ```
/// use hourlog::wire::RemovedReply;
/// let reply: RemovedReply = serde_json::from_str(
///     r#"{"log":"orders.eu","dry_run":true,"events":7,"bytes":90,"buckets":2,"kept_from":"2018-02-04T10:00:00Z"}"#,
/// )?;
/// assert_eq!((reply.events, reply.buckets), (7, 2));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RemovedReply {
    /// The log.
    pub log: LogId,
    /// True if nothing was removed.
    pub dry_run: bool,
    /// The number of events.
    pub events: u64,
    /// The size of their data and metadata in bytes.
    pub bytes: u64,
    /// The number of buckets that held them.
    pub buckets: u64,
    /// The time from which events are kept: the requested one, or the start of the bucket that it lies in.
    /// Absent if the log is deleted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kept_from: Option<Offset>,
}

/// Sends rejected events to their logs again. Handles one page of them.
///
/// ```
/// use hourlog::wire::RequeueRequest;
/// let request: RequeueRequest = serde_json::from_str(r#"{"from":"-1h","log":"repaired"}"#)?;
/// assert_eq!(request.log.map(|log| log.to_string()).as_deref(), Some("repaired"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RequeueRequest {
    /// The time of the earliest rejected event, inclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<When>,
    /// The time of the latest, exclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<When>,
    /// The log to send them to; by default the one that each event's subject names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<LogId>,
    /// The cursor after which to go on: the last reply's `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Cursor>,
    /// Counts, and sends nothing.
    #[serde(skip_serializing_if = "is_default")]
    pub dry_run: bool,
}

/// The events of a page that were sent again, and those that would be rejected again.
///
/// ```
/// use hourlog::wire::RequeueReply;
/// let reply: RequeueReply = serde_json::from_str(r#"{"sent":2,"rejected":0,"reasons":[],"next":"5-42"}"#)?;
/// assert!(reply.next.is_some()); // there may be more
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RequeueReply {
    /// The number of events that were sent, or would be.
    pub sent: u64,
    /// The number of events that would be rejected again, and were not sent.
    pub rejected: u64,
    /// The first of these, with the reasons.
    pub reasons: Vec<StillRejected>,
    /// The cursor to send as `after`; absent after the last page.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<Cursor>,
}

/// A rejected event that cannot be sent again yet.
///
/// ```
/// use hourlog::wire::StillRejected;
/// let event: StillRejected = serde_json::from_str(r#"{"position":"5-42","reason":"its time is too far ahead"}"#)?;
/// assert_eq!(event.position.seq.sequence(), 42);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StillRejected {
    /// Its position in the log of rejected events.
    pub position: Position,
    /// The reason.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_is_displayed_as_it_is_written() {
        for text in ["7d", "12h", "1d12h", "90s", "forever", "default"] {
            let retention: Retention = text.parse().expect(text);
            assert_eq!(retention.to_string().parse::<Retention>().expect("its own text"), retention);
        }
        for text in ["", "0s", "500ms", "-1h", "7", "ever", "1.0005s"] {
            assert!(text.parse::<Retention>().is_err(), "{text:?} was accepted");
        }
    }
}
