//! Ids, positions, cursors and times as text in JSON.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ArrivalCursor, Cursor, LogId, Offset, Position, store::Width};

#[cfg(feature = "schema")]
use super::MergedPosition;
use super::{CursorName, ReceiptToken, Retention, Span, Step, When};

macro_rules! serde_as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

serde_as_text!(
    ArrivalCursor,
    Cursor,
    CursorName,
    LogId,
    Offset,
    Position,
    ReceiptToken,
    Retention,
    Span,
    Step,
    Width,
    When
);

/// How a schema describes a text: what it is, and an example.
#[cfg(feature = "schema")]
macro_rules! schema_as_text {
    ($($type:ty, $name:literal, $description:literal, $example:literal;)*) => {$(
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "description": $description, "examples": [$example]})
            }
        }
    )*};
}

#[cfg(feature = "schema")]
schema_as_text!(
    ArrivalCursor, "ArrivalCursor", "A reader's place in arrival order.", "a:1517781402123000000-1099511627818";
    Cursor, "Cursor", "A reader's place: a position, or a place in arrival order.", "1517781402123000000-1099511627818";
    CursorName, "CursorName", "The name of a reader.", "mailer";
    LogId, "LogId", "The id of a log: a NATS subject of 1 to 16 tokens without wildcards.", "orders.eu";
    Offset, "Offset", "A time: RFC 3339 with up to nine digits of a second, or @ and seconds since 1970.", "2018-02-04T21:56:42.123Z";
    Position, "Position", "The place of an event in its log: nanoseconds since 1970, a dash, and its seq.", "1517781402123000000-1099511627818";
    MergedPosition, "MergedPosition", "The place of an event among several logs.", "1517781402123000000-1099511627818@orders.eu";
    ReceiptToken, "ReceiptToken", "The name of a receipt: 22 letters and digits.", "Jm5hbWVzIGFyZSBoYXJk00";
    Retention, "Retention", "For how long events are kept: a span, forever, or default.", "7d";
    Span, "Span", "A length of time.", "1h30m";
    Step, "Step", "The length of bins, by the clock or the calendar.", "15m";
    Width, "Width", "The length of a bucket.", "1h";
    When, "When", "A time, a span before now with a minus, first, last, end or now.", "-1h";
);
