//! A message of the stream, and what tells it from every other message.

use async_nats::HeaderMap;
use bytes::Bytes;
use hourlog::Offset;

/// The identity of a message. The sequence alone does not identify it: after a fork the stream uses
/// sequences again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MessageKey {
    pub(crate) sequence: u64,
    /// The time at which the stream stored the message.
    pub(crate) time: Offset,
}

/// A message of the stream.
#[derive(Debug, Clone)]
pub(crate) struct Message<'a> {
    pub(crate) subject: &'a str,
    pub(crate) headers: Option<&'a HeaderMap>,
    pub(crate) payload: Bytes,
    pub(crate) key: MessageKey,
}
