//! Fetches one message by itself, as the server stores it. The only way to read a message that breaks
//! the client.
//!
//! nats-server accepts headers that are not UTF-8, header lines without a colon, and header names
//! that contain a blank. The client cannot parse those: it drops its connection, and so never gets
//! past such a message.

use async_nats::{
    HeaderMap,
    header::{HeaderName, HeaderValue},
    jetstream::{self, response::Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use hourlog::{Error, ErrorKind, Metadata, Result};
use serde::Deserialize;

use super::message::{Message, MessageKey};

/// The metadata name under which a rejected event keeps its unchanged header block, in base64.
const RAW_HEADERS: &str = "Hourlog-Headers-Base64";

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

impl RawMessage {
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// Parses the headers.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] with the first fault in them.
    pub(crate) fn headers(&self) -> Result<HeaderMap> {
        let text = std::str::from_utf8(&self.headers).map_err(|_| Error::invalid("a header is not UTF-8"))?;
        let mut headers = HeaderMap::new();
        for line in lines(text) {
            let (name, value) = line.split_once(':').ok_or_else(|| Error::invalid("a header has no colon"))?;
            let name: HeaderName =
                name.parse().map_err(|_| Error::invalid("a header name contains a character that is not allowed"))?;
            let value: HeaderValue =
                value.trim().parse().map_err(|_| Error::invalid("a header value contains a line break"))?;
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
        for (name, value) in lines(&text).filter_map(|line| line.split_once(':')) {
            metadata.push(name, value);
        }
        metadata.push(RAW_HEADERS, BASE64_STANDARD.encode(&self.headers));
        metadata
    }
}

/// Returns the header lines. The first line of the block is the protocol version, so it is skipped.
fn lines(headers: &str) -> impl Iterator<Item = &str> {
    headers.split("\r\n").skip(1).filter(|line| !line.is_empty())
}
