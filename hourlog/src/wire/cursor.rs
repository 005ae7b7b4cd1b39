//! The durable cursors of readers: names, requests and replies.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{ArrivalCursor, Error, LogId, Result, error::shorten};

use super::request::is_default;

/// The most cursors of one log, so that one reply lists them all. A reader that ends for good deletes its own.
pub const CURSORS_MAX: usize = 100;

/// The name under which a reader stores its cursor: 1 to 64 of `A-Z a-z 0-9 _ - .`.
///
/// ```
/// use hourlog::wire::CursorName;
/// let name: CursorName = "mailer-2".parse()?;
/// assert_eq!(name.as_str(), "mailer-2");
/// assert!("my mailer".parse::<CursorName>().is_err());
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CursorName(String);

impl CursorName {
    /// The most bytes of a name.
    pub const BYTES_MAX: usize = 64;

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CursorName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if text.is_empty() || text.len() > Self::BYTES_MAX || !text.bytes().all(allowed) {
            return Err(Error::invalid(format!(
                "{:?} is not a name of a cursor; write 1 to {} of A-Z a-z 0-9 _ - . such as mailer",
                shorten(text),
                Self::BYTES_MAX
            )));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for CursorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Names a cursor, to get or to delete it.
///
/// ```
/// use hourlog::wire::CursorRequest;
/// let request = CursorRequest { name: "mailer".parse()? };
/// assert_eq!(serde_json::to_string(&request)?, r#"{"name":"mailer"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CursorRequest {
    /// Its name.
    pub name: CursorName,
}

/// A cursor of a log.
///
/// ```
/// use hourlog::wire::CursorReply;
/// let reply: CursorReply = serde_json::from_str(r#"{"log":"orders.eu","name":"mailer"}"#)?;
/// assert_eq!(reply.cursor, None); // its reader begins with the first event
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CursorReply {
    /// The log.
    pub log: LogId,
    /// The name of the cursor.
    pub name: CursorName,
    /// The cursor; absent if none is stored under this name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cursor: Option<ArrivalCursor>,
}

/// Stores a cursor, after the work on everything up to it is done.
///
/// ```
/// use hourlog::wire::SetCursorRequest;
/// let request = SetCursorRequest { name: "mailer".parse()?, cursor: "a:5-42".parse()?, force: false };
/// assert_eq!(serde_json::to_string(&request)?, r#"{"name":"mailer","cursor":"a:5-42"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetCursorRequest {
    /// Its name.
    pub name: CursorName,
    /// The `next` of a page in arrival order.
    pub cursor: ArrivalCursor,
    /// Stores it also if it is before the stored one.
    #[serde(skip_serializing_if = "is_default", default)]
    pub force: bool,
}

/// The cursor that is stored after a [`SetCursorRequest`].
///
/// ```
/// use hourlog::wire::SetCursorReply;
/// let reply: SetCursorReply =
///     serde_json::from_str(r#"{"log":"orders.eu","name":"mailer","cursor":"a:5-42","stored":false}"#)?;
/// assert!(!reply.stored); // another reader of this name is at a:5-42 already
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SetCursorReply {
    /// The log.
    pub log: LogId,
    /// The name of the cursor.
    pub name: CursorName,
    /// The stored cursor.
    pub cursor: ArrivalCursor,
    /// False if the cursor of the request is before the stored one, and was ignored.
    pub stored: bool,
}

/// The cursors of a log.
///
/// ```
/// use hourlog::wire::CursorsReply;
/// let text = r#"{"log":"orders.eu","cursors":[{"name":"mailer","cursor":"a:5-42"}]}"#;
/// let reply: CursorsReply = serde_json::from_str(text)?;
/// assert_eq!(reply.cursors[0].cursor.seq.sequence(), 42);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CursorsReply {
    /// The log.
    pub log: LogId,
    /// Its cursors, by name; at most [`CURSORS_MAX`].
    pub cursors: Vec<NamedCursor>,
}

/// A cursor with its name.
///
/// ```
/// use hourlog::wire::NamedCursor;
/// let named = NamedCursor { name: "mailer".parse()?, cursor: "a:5-42".parse()? };
/// assert_eq!(serde_json::to_string(&named)?, r#"{"name":"mailer","cursor":"a:5-42"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NamedCursor {
    /// Its name.
    pub name: CursorName,
    /// The cursor.
    pub cursor: ArrivalCursor,
}

/// The outcome of the deletion of a cursor.
///
/// ```
/// use hourlog::wire::DeleteCursorReply;
/// let text = r#"{"log":"orders.eu","name":"mailer","deleted":false}"#;
/// let reply: DeleteCursorReply = serde_json::from_str(text)?;
/// assert!(!reply.deleted); // there was none
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeleteCursorReply {
    /// The log.
    pub log: LogId,
    /// The name of the cursor.
    pub name: CursorName,
    /// True if there was one.
    pub deleted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_bounded_length_and_no_special_characters() {
        for name in ["a", "mailer", "Mailer-2_b.c", &"x".repeat(64)] {
            assert_eq!(name.parse::<CursorName>().expect(name).to_string(), name);
        }
        for name in ["", " ", "a b", "a/b", "ü", "a\n", "a*", &"x".repeat(65)] {
            assert!(name.parse::<CursorName>().is_err(), "{name:?} was accepted");
        }
    }
}

/// The move of a cursor that is ahead of what its log will get: the archive, or the stream as well, is back
/// in an earlier state.
///
/// ```
/// use hourlog::wire::Moved;
/// let text = r#"{"requested":"a:5-720","resolved":"a:3-1099511628475","reason":"the archive was set back"}"#;
/// let moved: Moved = serde_json::from_str(text)?;
/// assert_eq!(moved.to_string(), "cursor a:5-720 was moved to a:3-1099511628475: the archive was set back");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Moved {
    /// The cursor of the request.
    pub requested: ArrivalCursor,
    /// The cursor after which the page begins.
    pub resolved: ArrivalCursor,
    /// The reason, with the lost messages if they are known.
    pub reason: String,
}

impl std::fmt::Display for Moved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cursor {} was moved to {}: {}", self.requested, self.resolved, self.reason)
    }
}
