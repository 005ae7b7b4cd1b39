//! Receipts: how many of an import's messages were stored, and how many were there already.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Error, LogId, Position, Result, error::shorten};

use super::request::is_default;

/// How far behind the greatest number of a receipt a number may come for the first time.
///
/// A publisher keeps fewer messages unacknowledged. Anything older counts as sent again, and is not counted.
pub const RECEIPT_BEHIND_MAX: u64 = 2_048;

/// The name of a receipt: 22 of `A-Z a-z 0-9`, chosen by the publisher so that nobody else uses it.
///
/// ```
/// use hourlog::wire::ReceiptToken;
/// let token: ReceiptToken = "Lw6ZqYhIJqkKGQxVCXyOpi".parse()?;
/// assert_eq!(token.header(7), "Lw6ZqYhIJqkKGQxVCXyOpi 7"); // the seventh message of the receipt
/// assert!("my import".parse::<ReceiptToken>().is_err());
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptToken([u8; Self::BYTES]);

impl ReceiptToken {
    /// The number of bytes of a token.
    pub const BYTES: usize = 22;

    /// The value of [`header::RECEIPT`](crate::header::RECEIPT) for the message `number` of the receipt.
    pub fn header(&self, number: u64) -> String {
        format!("{self} {number}")
    }

    /// Returns the token as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a token is ASCII")
    }
}

impl FromStr for ReceiptToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let token: Option<[u8; Self::BYTES]> = text.as_bytes().try_into().ok();
        token.filter(|token| token.iter().all(u8::is_ascii_alphanumeric)).map(Self).ok_or_else(|| {
            let (text, bytes) = (shorten(text), Self::BYTES);
            Error::invalid(format!("{text:?} is not the token of a receipt; make one of {bytes} of A-Z a-z 0-9"))
        })
    }
}

impl fmt::Display for ReceiptToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Asks for a receipt.
///
/// ```
/// use hourlog::wire::ReceiptRequest;
/// assert_eq!(serde_json::to_string(&ReceiptRequest { fresh: true })?, r#"{"fresh":true}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ReceiptRequest {
    /// Waits until everything published before the request is archived.
    #[serde(skip_serializing_if = "is_default")]
    pub fresh: bool,
}

/// A receipt: the messages that it has counted, each number once.
///
/// ```
/// use hourlog::wire::ReceiptReply;
/// let reply: ReceiptReply = serde_json::from_str(
///     r#"{"receipt":"Lw6ZqYhIJqkKGQxVCXyOpi","stream":"HOURLOG","archived":9,"new":1,"known":7,"rejected":1,
///         "rejected_log":"_rejected","reasons":[{"reason":"its time is too far ahead","count":1,"number":3,
///         "position":"5-42"}]}"#,
/// )?;
/// assert_eq!(reply.counted(), 9);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReceiptReply {
    /// Its token.
    pub receipt: ReceiptToken,
    /// The stream that its messages came through.
    pub stream: String,
    /// The sequence up to which the stream is archived. Messages up to it are counted, later ones may be.
    pub archived: u64,
    /// The number of events that were stored.
    pub new: u64,
    /// The number of events that were there already.
    pub known: u64,
    /// The number of events that were rejected.
    pub rejected: u64,
    /// The log that has got the rejected ones.
    pub rejected_log: LogId,
    /// The first reason of each kind, with the number of events that were rejected for that kind.
    pub reasons: Vec<RejectedCount>,
}

impl ReceiptReply {
    /// Returns the number of messages that the receipt has counted. If the publisher has sent more and all are
    /// archived, it is not known of the others what happened.
    pub fn counted(&self) -> u64 {
        self.new + self.known + self.rejected
    }
}

/// The events that were rejected for one reason.
///
/// ```
/// use hourlog::wire::RejectedCount;
/// let rejected: RejectedCount =
///     serde_json::from_str(r#"{"reason":"its time is too far ahead","count":1,"number":3,"position":"5-42"}"#)?;
/// assert_eq!(rejected.position.seq.sequence(), 42);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RejectedCount {
    /// The reason.
    pub reason: String,
    /// The number of events.
    pub count: u64,
    /// The number of the first one among the messages of the receipt.
    pub number: u64,
    /// The position of the first one in the log of rejected events.
    pub position: Position,
}
