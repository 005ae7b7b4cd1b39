//! Events and pages as JSON: for people, for files, and for clients without protobuf.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use crate::{Cursor, Error, Event, LogId, Metadata, Offset, Position, Record, Result, read::End};

use super::{AheadReply, MergedPosition, Moved};

/// An event as JSON.
///
/// `offset` and `seq` are text, because many readers of JSON round numbers above 2⁵³.
///
/// ```
/// use hourlog::{Event, wire::json::JsonEvent};
/// let text = r#"{"log":"orders.eu","position":"5-42","offset":"5","seq":"42",
///     "time":"1970-01-01T00:00:00.000000005Z","metadata":{},"data":"x"}"#;
/// let event = Event::try_from(serde_json::from_str::<JsonEvent>(text)?)?;
/// assert_eq!(event.position.to_string(), "5-42");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JsonEvent {
    /// The log that holds it.
    pub log: LogId,
    /// Its position.
    pub position: Position,
    /// Nanoseconds since the Unix epoch.
    pub offset: String,
    /// Its place in arrival order.
    pub seq: String,
    /// The offset as RFC 3339.
    pub time: Offset,
    /// The arrival time, if the event is late.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub arrived: Option<Offset>,
    /// The metadata: names with their values.
    pub metadata: BTreeMap<String, Vec<String>>,
    /// The data, if it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub data: Option<String>,
    /// The data in base64, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub data_base64: Option<String>,
}

impl From<&Event> for JsonEvent {
    fn from(event: &Event) -> Self {
        let (data, data_base64) = match std::str::from_utf8(&event.record.data) {
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(BASE64_STANDARD.encode(&*event.record.data))),
        };
        Self {
            log: event.log.clone(),
            position: event.position,
            offset: event.position.offset.nanos().to_string(),
            seq: event.position.seq.to_string(),
            time: event.position.offset,
            arrived: event.arrived,
            metadata: metadata_map(&event.record.metadata),
            data,
            data_base64,
        }
    }
}

impl TryFrom<JsonEvent> for Event {
    type Error = Error;

    fn try_from(json: JsonEvent) -> Result<Self> {
        let record = record(json.metadata, json.data, json.data_base64)?;
        Ok(Self { log: json.log, position: json.position, arrived: json.arrived, record })
    }
}

/// Returns the metadata as a plain map.
pub fn metadata_map(metadata: &Metadata) -> BTreeMap<String, Vec<String>> {
    metadata.iter().map(|(name, values)| (name.to_owned(), values.to_vec())).collect()
}

/// Builds a record from the fields of a JSON event.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if both `data` and `data_base64` are given, or the
/// latter is not base64.
pub fn record(
    metadata: BTreeMap<String, Vec<String>>,
    data: Option<String>,
    data_base64: Option<String>,
) -> Result<Record> {
    let data = match (data, data_base64) {
        (Some(_), Some(_)) => return Err(Error::invalid("an event has data or data_base64, not both")),
        (Some(text), None) => text.into(),
        (None, Some(text)) => BASE64_STANDARD
            .decode(text)
            .map_err(|error| Error::invalid("data_base64 is not base64").because(error))?
            .into(),
        (None, None) => Vec::new().into(),
    };
    let pairs =
        metadata.into_iter().flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value)));
    Ok(Record { time: None, metadata: pairs.collect(), data })
}

/// A page of a replay as JSON.
///
/// ```
/// use hourlog::wire::json::{JsonEnd, JsonPage};
/// let text = r#"{"events":[],"next":"a:5-42","end":"caught_up","scanned":0}"#;
/// let page: JsonPage = serde_json::from_str(text)?;
/// assert_eq!(page.end, JsonEnd::CaughtUp);
/// assert_eq!(serde_json::to_string(&page)?, text);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JsonPage {
    /// The events, in the order of the request.
    pub events: Vec<JsonEvent>,
    /// The cursor to send as `after` for the next page; absent if nothing was read and none was given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<Cursor>,
    /// The reason why the page ended.
    pub end: JsonEnd,
    /// The position of the first event of the page.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resolved: Option<Position>,
    /// Present if the request asks for it: how the first event relates to the requested time, as
    /// [`Reason::as_str`](crate::Reason::as_str) says it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Present if the request begins before events that retention or a purge has removed: the time before
    /// which they lay.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expired: Option<Offset>,
    /// Present if the request's cursor is ahead of what its log will get: where it was moved.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub moved: Option<Moved>,
    /// In a reverse page without `to`: the events that lie ahead of now, before which it begins.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ahead: Option<AheadReply>,
    /// The number of events that were read to build the page.
    pub scanned: u64,
}

/// A page of the merged timeline of several logs as JSON.
///
/// ```
/// use hourlog::wire::json::{JsonEnd, JsonMergedPage};
/// let text = r#"{"events":[],"next":"5-42@orders.eu","end":"caught_up","logs":3,"scanned":0}"#;
/// let page: JsonMergedPage = serde_json::from_str(text)?;
/// assert_eq!((page.end, page.logs), (JsonEnd::CaughtUp, 3));
/// assert_eq!(serde_json::to_string(&page)?, text);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JsonMergedPage {
    /// The events, in the order of the request.
    pub events: Vec<JsonEvent>,
    /// The place to send as `after` for the next page; absent if nothing was read and none was given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<MergedPosition>,
    /// The reason why the page ended.
    pub end: JsonEnd,
    /// The number of logs that were merged.
    pub logs: u64,
    /// The number of events that were read to build the page.
    pub scanned: u64,
}

/// [`End`] as JSON.
///
/// ```
/// use hourlog::{read::End, wire::json::JsonEnd};
/// assert_eq!(serde_json::to_string(&JsonEnd::from(End::CaughtUp))?, r#""caught_up""#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum JsonEnd {
    /// See [`End::More`].
    More,
    /// See [`End::Bound`].
    Bound,
    /// See [`End::CaughtUp`].
    CaughtUp,
    /// See [`End::Deadline`].
    Deadline,
    /// See [`End::Expired`].
    Expired,
}

impl From<End> for JsonEnd {
    fn from(end: End) -> Self {
        match end {
            End::More => Self::More,
            End::Bound => Self::Bound,
            End::CaughtUp => Self::CaughtUp,
            End::Deadline => Self::Deadline,
            End::Expired => Self::Expired,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_survives_json_whatever_its_bytes() {
        for data in [&b""[..], b"{\"id\":7}", b"\xff\x00\xfe", "ü\u{202e}".as_bytes()] {
            let event = Event {
                log: "orders.eu".parse().expect("a good id"),
                position: Position { offset: Offset::from_nanos(-5), seq: crate::Seq::new(1, 42) },
                arrived: Some(Offset::from_nanos(7)),
                record: Record::new(data).with("kind", "paid").with("kind", "twice"),
            };
            let text = serde_json::to_string(&JsonEvent::from(&event)).expect("it is JSON");
            let back: JsonEvent = serde_json::from_str(&text).expect("its own text");
            assert_eq!(Event::try_from(back).expect("its own fields"), event);
        }
    }
}
