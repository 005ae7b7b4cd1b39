//! Fetches messages by their sequence, as the server stores them. The only way to read poison: a
//! message that breaks the client.
//!
//! nats-server accepts headers that are not UTF-8, header lines without a colon, header names that
//! contain a blank, and header values that contain a carriage return. The client cannot parse those:
//! it drops its connection, or its task panics, and so never gets past such a message.

use async_nats::{
    HeaderMap, StatusCode,
    header::{HeaderName, HeaderValue},
    jetstream::{self, response::Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use hourlog::{Error, ErrorKind, Metadata, Result};
use serde::Deserialize;

use super::message::{Message, MessageKey};

/// The metadata name under which a rejected event keeps its unchanged header block, in base64.
const RAW_HEADERS: &str = "Hourlog-Headers-Base64";
/// The first line of each header block.
const VERSION: &str = "NATS/1.0";

/// A message with its headers still unparsed.
#[derive(Debug)]
pub(crate) struct RawMessage {
    pub(crate) key: MessageKey,
    subject: String,
    headers: Vec<u8>,
    payload: Bytes,
}

#[derive(Deserialize)]
struct Reply {
    message: StoredMessage,
}

#[derive(Deserialize)]
struct StoredMessage {
    subject: String,
    seq: u64,
    time: String,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
}

/// Returns the stream's first message at or after `sequence`, if there is one. The stream's leader
/// answers.
///
/// # Errors
/// [`ErrorKind::Unavailable`] if JetStream does not answer, or answers without a message.
pub(crate) async fn fetch(jetstream: &jetstream::Context, stream: &str, sequence: u64) -> Result<Option<RawMessage>> {
    let unavailable = |cause: String| {
        Error::new(ErrorKind::Unavailable, format!("cannot read message {sequence} of the stream {stream}: {cause}"))
    };
    let request = serde_json::json!({ "seq": sequence, "next_by_subj": ">" });
    let reply = jetstream.request(format!("STREAM.MSG.GET.{stream}"), &request).await;
    let message = match reply.map_err(|error| unavailable(error.to_string()))? {
        Response::Ok(Reply { message }) => message,
        Response::Err { error } if error.code() == 404 => return Ok(None),
        Response::Err { error } => return Err(unavailable(error.to_string())),
    };
    let bytes = |text: &str| BASE64_STANDARD.decode(text).map_err(|error| unavailable(error.to_string()));
    Ok(Some(RawMessage {
        key: MessageKey { sequence: message.seq, time: message.time.parse()? },
        headers: bytes(&message.hdrs)?,
        payload: bytes(&message.data)?.into(),
        subject: message.subject,
    }))
}

/// Returns up to `count` messages of the stream from `next` on, in order, with `count` requests at a
/// time. Returns fewer if the stream ends, or has gaps.
///
/// # Errors
/// As [`fetch`].
pub(crate) async fn fetch_many(
    jetstream: &jetstream::Context,
    stream: &str,
    next: u64,
    count: usize,
) -> Result<Vec<RawMessage>> {
    let sequences = (next..).take(count);
    let mut replies = stream::iter(sequences).map(|sequence| fetch(jetstream, stream, sequence)).buffered(count);
    let mut messages: Vec<RawMessage> = Vec::new();
    while let Some(reply) = replies.next().await {
        // The replies after the first empty one may be newer than it, so they could hide a message.
        let Some(message) = reply? else { break };
        // Over a gap, several replies are the same message.
        if messages.last().is_none_or(|last| last.key.sequence < message.key.sequence) {
            messages.push(message);
        }
    }
    Ok(messages)
}

impl RawMessage {
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    pub(crate) fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Returns the number of its bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.subject.len() + self.headers.len() + self.payload.len()
    }

    /// Returns true if the client cannot parse the line of the protocol that names the subject.
    pub(crate) fn has_unreadable_subject(&self) -> bool {
        // The server replaces what is not UTF-8 in its reply.
        self.subject.contains(|char: char| char.is_whitespace() || char == char::REPLACEMENT_CHARACTER)
    }

    /// Parses the headers, by the rules of the client: an event must be the same, whichever way its
    /// message was read.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] with the first fault in them. The client does not deliver the message.
    pub(crate) fn headers(&self) -> Result<HeaderMap> {
        let text = std::str::from_utf8(&self.headers).map_err(|_| Error::invalid("a header is not UTF-8"))?;
        let mut headers = HeaderMap::new();
        let mut lines = text.lines().peekable();
        let Some(version) = lines.next() else { return Ok(headers) };
        if !is_of_message(version) {
            return Err(Error::invalid(format!("the headers do not begin with the line {VERSION}")));
        }
        while let Some(line) = lines.next() {
            if line.is_empty() {
                continue;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| Error::invalid("a header has no colon"))?;
            let name: HeaderName =
                name.parse().map_err(|_| Error::invalid("a header name contains a character that is not allowed"))?;
            let mut value = value.trim_start().to_owned();
            while let Some(folded) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
                value.push_str(folded);
            }
            let value: HeaderValue =
                value.trim_end().parse().map_err(|_| Error::invalid("a header value contains a line break"))?;
            headers.append(name, value);
        }
        Ok(headers)
    }

    /// Returns the message with these parsed headers.
    pub(crate) fn message<'a>(&'a self, headers: Option<&'a HeaderMap>) -> Message<'a> {
        Message { subject: &self.subject, headers, payload: self.payload.clone(), key: self.key }
    }

    /// Returns the headers that can be read, and beside them the whole unchanged block.
    pub(crate) fn metadata(&self) -> Metadata {
        let mut metadata = Metadata::new();
        let text = String::from_utf8_lossy(&self.headers);
        // The first line is the version of the protocol.
        for (name, value) in text.split("\r\n").skip(1).filter_map(|line| line.split_once(':')) {
            metadata.push(name, value);
        }
        metadata.push(RAW_HEADERS, BASE64_STANDARD.encode(&self.headers));
        metadata
    }
}

/// Returns true if a header block with this first line belongs to a message. With another status, the
/// client takes it for a word of the server to itself.
fn is_of_message(version: &str) -> bool {
    let Some(rest) = version.strip_prefix(VERSION).map(str::trim) else { return false };
    let status = rest.split_once(' ').map_or(rest, |(status, _)| status.trim());
    status.is_empty() || status.parse().is_ok_and(|status: StatusCode| status == StatusCode::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(headers: &[u8]) -> RawMessage {
        RawMessage {
            key: MessageKey { sequence: 1, time: hourlog::Offset::from_nanos(1) },
            subject: "log.a".to_owned(),
            headers: headers.to_vec(),
            payload: Bytes::new(),
        }
    }

    #[test]
    fn headers_are_parsed_by_the_rules_of_the_client() {
        for (block, expected) in [
            (&b""[..], &[][..]),
            (b"NATS/1.0\r\n\r\n", &[]),
            (b"NATS/1.0 200 OK\r\nA: b\r\n\r\n", &[("A", "b")]),
            (b"NATS/1.0\r\nA:b\r\nC:  d e \r\n\r\n", &[("A", "b"), ("C", "d e")]),
            (b"NATS/1.0\nA: b\nC: d\n\n", &[("A", "b"), ("C", "d")]),
            (b"NATS/1.0\r\nA: b\r\n folded\r\n\r\n", &[("A", "b folded")]),
            (b"NATS/1.0\r\nA:\r\n\r\n", &[("A", "")]),
        ] {
            let found = raw(block).headers().expect("the client can parse these headers");
            let found: Vec<_> =
                expected.iter().map(|(name, _)| (*name, found.get(*name).map(ToString::to_string))).collect();
            let expected: Vec<_> = expected.iter().map(|(name, value)| (*name, Some((*value).to_owned()))).collect();
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(block));
        }
    }

    #[test]
    fn headers_that_break_the_client_are_faulty() {
        for (block, fault) in [
            (&b"NATS/1.0\r\nA: \xff\r\n\r\n"[..], "not UTF-8"),
            (b"NATS/1.0\r\nno colon\r\n\r\n", "no colon"),
            (b"NATS/1.0\r\nBad Name: x\r\n\r\n", "not allowed"),
            (b"NATS/1.0\r\nA: b\rc\r\n\r\n", "line break"),
            (b"NATS/1.0 409 Consumer Deleted\r\n\r\n", "do not begin with"),
            (b"NATS/2.0\r\nA: b\r\n\r\n", "do not begin with"),
            (b"\r\nA: b\r\n\r\n", "do not begin with"),
        ] {
            let error = raw(block).headers().expect_err("the client cannot parse these headers").to_string();
            assert!(error.contains(fault), "{}: {error}", String::from_utf8_lossy(block));
        }
    }
}
