//! A message taken alone, as the server has it: for those that make the client drop its connection.
//!
//! nats-server keeps headers that are not UTF-8, lines without a colon and names with a blank in them. The client cannot read
//! those, and with it cannot read on.

use async_nats::{
    Client, HeaderMap,
    header::{HeaderName, HeaderValue},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use hourlog::{Error, ErrorKind, Metadata, Offset, Result};
use serde::Deserialize;

use crate::ingest::Message;

/// The metadata of a rejected event that has the header block as it came, in base64.
const RAW_HEADERS: &str = "Hourlog-Headers-Base64";

/// A message as the server has it.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) subject: String,
    pub(crate) sequence: u64,
    pub(crate) time: Offset,
    headers: Vec<u8>,
    payload: Bytes,
}

#[derive(Deserialize)]
struct Reply {
    message: Option<Stored>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Stored {
    subject: String,
    seq: u64,
    time: String,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
}

#[derive(Deserialize)]
struct Failure {
    code: u16,
    #[serde(default)]
    description: String,
}

/// The stream's first message at or after `sequence`; `None` where there is none. Asked of the leader.
///
/// # Errors
/// [`ErrorKind::Unavailable`] where JetStream does not answer, or not with a message.
pub(crate) async fn fetch(client: &Client, stream: &str, sequence: u64) -> Result<Option<Raw>> {
    let unavailable = |cause: String| {
        Error::new(ErrorKind::Unavailable, format!("message {sequence} of the stream {stream} cannot be read: {cause}"))
    };
    let request = serde_json::json!({ "seq": sequence, "next_by_subj": ">" }).to_string();
    let reply = client
        .request(format!("$JS.API.STREAM.MSG.GET.{stream}"), request.into())
        .await
        .map_err(|error| unavailable(error.to_string()))?;
    let reply: Reply = serde_json::from_slice(&reply.payload).map_err(|error| unavailable(error.to_string()))?;
    let stored = match (reply.message, reply.error) {
        (Some(stored), _) => stored,
        (None, Some(Failure { code: 404, .. })) => return Ok(None),
        (None, failure) => {
            return Err(unavailable(failure.map_or_else(String::new, |failure| failure.description)));
        }
    };
    let bytes = |text: &str| BASE64_STANDARD.decode(text).map_err(|error| unavailable(error.to_string()));
    Ok(Some(Raw {
        sequence: stored.seq,
        time: stored.time.parse()?,
        headers: bytes(&stored.hdrs)?,
        payload: bytes(&stored.data)?.into(),
        subject: stored.subject,
    }))
}

impl Raw {
    /// The headers, where they are such.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] with what is wrong with them.
    pub(crate) fn headers(&self) -> Result<HeaderMap> {
        let text = std::str::from_utf8(&self.headers).map_err(|_| Error::invalid("a header is not UTF-8"))?;
        let mut headers = HeaderMap::new();
        for line in lines(text) {
            let (name, value) = line.split_once(':').ok_or_else(|| Error::invalid("a header has no colon"))?;
            let name: HeaderName =
                name.parse().map_err(|_| Error::invalid("the name of a header has a character that no name has"))?;
            let value: HeaderValue =
                value.trim().parse().map_err(|_| Error::invalid("the value of a header has a line break"))?;
            headers.append(name, value);
        }
        Ok(headers)
    }

    /// The same, with headers that could be read.
    pub(crate) fn message<'a>(&'a self, headers: Option<&'a HeaderMap>) -> Message<'a> {
        let Self { subject, sequence, time, payload, .. } = self;
        Message { subject, headers, payload: payload.clone(), sequence: *sequence, time: *time }
    }

    /// The headers that can be read, and all of them as they came.
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

/// The lines behind the first, which names the version.
fn lines(headers: &str) -> impl Iterator<Item = &str> {
    headers.split("\r\n").skip(1).filter(|line| !line.is_empty())
}
