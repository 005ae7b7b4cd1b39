//! The merged timeline of several logs: a place in it, and the request for a page.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{Error, LogId, Offset, Position, Result, Seq};

use super::{Span, When, request::is_default, shorten};

/// The place of an event in the merged timeline of several logs, which is ordered by time, then by seq, then by log.
///
/// As text `<position>@<log>`.
///
/// ```
/// use hourlog::wire::MergedPosition;
/// let place: MergedPosition = "1517781402123000000-1099511627778@orders.eu".parse()?;
/// assert_eq!(place.log.as_str(), "orders.eu");
/// assert!(place < "1517781402123000000-1099511627778@orders.us".parse()?);
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MergedPosition {
    /// The event's position in its log.
    pub position: Position,
    /// The log.
    pub log: LogId,
}

impl MergedPosition {
    /// Returns the position in `log` after which its events come after this place in the merged timeline; in `reverse`,
    /// before which they come before it.
    ///
    /// ```
    /// use hourlog::wire::MergedPosition;
    /// let place: MergedPosition = "5-42@orders.eu".parse()?;
    /// assert_eq!(place.in_log(&"orders.eu".parse()?, false).to_string(), "5-42");
    /// // An event of this log at the same position comes after the place.
    /// assert_eq!(place.in_log(&"orders.us".parse()?, false).to_string(), "5-41");
    /// # Ok::<(), hourlog::Error>(())
    /// ```
    pub fn in_log(&self, log: &LogId, reverse: bool) -> Position {
        let Self { position, log: last } = self;
        match reverse {
            false if log <= last => *position,
            false => before(*position),
            true if log >= last => *position,
            true => position.next(),
        }
    }
}

/// Returns a position just before `position` that has a text: a seq below zero has none.
fn before(position: Position) -> Position {
    match position.seq > Seq::ZERO {
        true => Position { seq: position.seq.saturating_previous(), ..position },
        false => Position { offset: Offset::saturating_add_nanos(position.offset, -1), seq: Seq::MAX },
    }
}

impl fmt::Display for MergedPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.position, self.log)
    }
}

impl FromStr for MergedPosition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // A position has no @, and an id may have one.
        let (position, log) = text.split_once('@').ok_or_else(|| {
            Error::invalid(format!(
                "{:?} is not a place in several logs; write a position, @ and the log, as the last page's next",
                shorten(text)
            ))
        })?;
        Ok(Self { position: position.parse()?, log: log.parse()? })
    }
}

impl Serialize for MergedPosition {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MergedPosition {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// Asks for one page of all logs below a prefix, in one timeline. Every field is optional.
///
/// ```
/// use hourlog::wire::MergeRequest;
/// let request: MergeRequest = serde_json::from_str(r#"{"pattern":"orders.*.paid","from":"-1h","limit":100}"#)?;
/// assert_eq!(request.pattern.as_deref(), Some("orders.*.paid"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct MergeRequest {
    /// Only logs that match this pattern, which begins with the prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The earliest time, inclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<When>,
    /// The latest time, exclusive. By default the end of the logs; in reverse, the newest event that does not lie ahead of now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<When>,
    /// The place after which to go on: the last page's `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<MergedPosition>,
    /// The most events of the page, at least one; 1,000 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The most bytes of its events; never more than fit into the server's `max_payload`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u32>,
    /// Returns the newest event first.
    #[serde(skip_serializing_if = "is_default")]
    pub reverse: bool,
    /// The time to hold the request at the end of the logs until an event arrives whose time is after `after`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back_from_its_text() {
        for text in ["5-7@orders.eu", "-5-7@a", "5-7@odd@id-8"] {
            assert_eq!(text.parse::<MergedPosition>().expect("a place").to_string(), text);
        }
        for text in ["", "5-7", "5@a", "5-7@", "@x", "5-7@a b", "a:5-7@x"] {
            assert!(text.parse::<MergedPosition>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_place_divides_the_events_of_every_log() {
        let mut events = Vec::new();
        for log in ["a", "b", "c"] {
            for (offset, seq) in [(4, 9), (5, 0), (5, 1), (5, 2), (6, 1)] {
                let position = Position { offset: Offset::from_nanos(offset), seq: Seq::from_number(seq) };
                events.push(MergedPosition { position, log: log.parse().expect("a valid id") });
            }
        }
        events.sort();
        for place in &events {
            for event in &events {
                let after = place.in_log(&event.log, false);
                assert_eq!(event.position > after, event > place, "{event} after {place}");
                assert_eq!(after.to_string().parse().ok(), Some(after), "the service can read it");
                let before = place.in_log(&event.log, true);
                assert_eq!(event.position < before, event < place, "{event} before {place}");
            }
        }
    }
}
