//! Ids, positions, cursors and times as text in JSON.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ArrivalCursor, Cursor, LogId, Offset, Position, store::Width};

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
