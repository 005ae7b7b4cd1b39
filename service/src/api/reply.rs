//! Requests and replies as every endpoint handles them.

use std::{
    sync::atomic::{AtomicBool, AtomicU64},
    time::Duration,
};

use async_nats::{HeaderMap, Message, Subject};
use bytes::Bytes;
use hourlog::{
    Error, Result,
    wire::{
        ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, Compression, ERROR, ERROR_CODE, FOLLOWED, JSON,
        PROTOBUF, sent_headers,
    },
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    admission::{Place, Turn},
    stream::headers::values,
    trace::sentence,
};

use super::{Api, append::Progress, yielding::YieldingWriter};

/// Size of a reply from which it is sent over a connection of its own, and its turn lasts until it is written
/// there. The client library queues 2,048 replies, so smaller ones take at most 32 MiB.
const LARGE_BYTES_MIN: usize = 16 << 10;
/// The most bytes that the headers of a reply take.
const REPLY_HEADER_BYTES: usize = 256;
/// Longest time for which a large reply keeps its turn and its place until it is written. A connection that
/// stands still, or is interrupted, must not keep others from being answered.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// A request to an endpoint.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) message: Message,
    pub(super) place: Place,
    /// How far an append has come.
    pub(super) progress: Progress,
    /// A reply was sent, and another follows.
    pub(super) has_replied: AtomicBool,
    /// The number of the assignment of slots under which all instances were last asked for the answer.
    pub(super) gathered: AtomicU64,
    /// The id of an append whose requester gives none.
    pub(super) append_id: String,
}

/// The body of a successful reply.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) body: Bytes,
    pub(super) content_type: &'static str,
    /// The compression of the body.
    pub(super) compression: Option<Compression>,
    /// True if another reply to the same request follows.
    pub(super) is_followed: bool,
    /// The turn that read the answer, held until the reply is sent.
    pub(super) turn: Option<Turn>,
}

impl Reply {
    /// Encodes `value` as JSON.
    pub(super) fn json(value: &impl Serialize) -> Result<Self> {
        let mut body = YieldingWriter::default();
        serde_json::to_writer(&mut body, value)
            .map_err(|error| Error::new(hourlog::ErrorKind::Unexpected, "failed to encode the reply").because(error))?;
        Ok(Self { body: body.bytes.into(), content_type: JSON, compression: None, is_followed: false, turn: None })
    }

    /// Keeps the turn that read the answer until the reply is sent.
    pub(super) fn with_turn(self, mut turn: Turn) -> Self {
        turn.shrink(self.body.len());
        Self { turn: Some(turn), ..self }
    }
}

impl Request {
    pub(super) fn subject(&self) -> &str {
        &self.message.subject
    }

    pub(super) fn headers(&self) -> Option<&HeaderMap> {
        self.message.headers.as_ref()
    }

    pub(super) fn payload(&self) -> &Bytes {
        &self.message.payload
    }

    /// Returns true when the requester accepts protobuf.
    pub(super) fn wants_protobuf(&self) -> bool {
        values(self.headers(), ACCEPT).any(|format| format == PROTOBUF)
    }

    /// Returns the compression that the requester prefers; `None` if it wants none.
    pub(super) fn compression(&self) -> Option<Compression> {
        Compression::preferred(values(self.headers(), ACCEPT_ENCODING))
    }

    /// Parses the body. An empty body means defaults only, as `{}` does.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) when the endpoint does not accept the
    /// body.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T> {
        let payload: &[u8] = if self.payload().is_empty() { b"{}" } else { self.payload() };
        serde_json::from_slice(payload)
            .map_err(|error| Error::invalid(format!("{} does not accept this request: {error}", self.subject())))
    }
}

/// Returns a limit of a request.
///
/// # Errors
/// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) for 0: such a reply could hold nothing, and so never end.
pub(super) fn at_least_one(name: &str, limit: Option<u32>) -> Result<Option<u32>> {
    match limit {
        Some(0) => Err(Error::invalid(format!("{name} is 0; give 1 or more, or leave it out"))),
        limit => Ok(limit),
    }
}

/// Encodes a large reply on a thread that may be busy for long.
///
/// # Errors
/// Those of `encode`, and [`ErrorKind::Unexpected`](hourlog::ErrorKind::Unexpected) if it panics.
pub(super) async fn encoded_elsewhere<T: Send + 'static>(
    encode: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(encode)
        .await
        .map_err(|error| Error::new(hourlog::ErrorKind::Unexpected, "the reply could not be encoded").because(error))?
}

impl<S> Api<S> {
    /// Refuses a reply that is larger than a message of this server.
    fn fitting(&self, reply: Reply) -> Result<Reply> {
        let (bytes, bytes_max) = (reply.body.len(), self.client.max_payload());
        if bytes + REPLY_HEADER_BYTES <= bytes_max {
            return Ok(reply);
        }
        let text =
            format!("the reply takes {bytes} bytes, above this server's limit of {bytes_max}; ask for less at once");
        Err(Error::new(hourlog::ErrorKind::TooLarge, text))
    }

    /// Sends the reply or the error. The requester may have left; that is not a failure.
    ///
    /// Several replies to one request go over one connection, whatever their sizes, so that none overtakes another.
    pub(super) async fn respond(&self, message: &Message, outcome: Result<Reply>, is_one_of_several: bool) {
        let Message { subject, reply: Some(reply), .. } = message else { return };
        let mut headers = HeaderMap::new();
        let (body, turn) = match outcome.and_then(|reply| self.fitting(reply)) {
            Ok(Reply { body, content_type, compression, is_followed, turn }) => {
                headers.insert(CONTENT_TYPE, content_type);
                if let Some(compression) = compression {
                    headers.insert(CONTENT_ENCODING, compression.to_string());
                }
                if is_followed {
                    headers.insert(FOLLOWED, "true");
                }
                (body, turn)
            }
            Err(error) => {
                // A header value is a single line.
                headers.insert(ERROR, sentence(&error).replace(['\r', '\n'], " "));
                headers.insert(ERROR_CODE, error.kind().code().to_string());
                for (name, value) in error.sent().into_iter().flat_map(sent_headers) {
                    headers.insert(name, value);
                }
                (Bytes::new(), None)
            }
        };
        self.send(subject, reply, headers, body, is_one_of_several).await;
        drop(turn);
    }

    /// Hands on the reply of another instance.
    pub(super) async fn hand_on(&self, message: &Message, reply: Message, is_one_of_several: bool) {
        let Message { subject, reply: Some(inbox), .. } = message else { return };
        self.send(subject, inbox, reply.headers.unwrap_or_default(), reply.payload, is_one_of_several).await;
    }

    async fn send(&self, subject: &Subject, reply: &Subject, headers: HeaderMap, body: Bytes, is_one_of_several: bool) {
        let is_large = is_one_of_several || body.len() >= LARGE_BYTES_MIN;
        let client = if is_large { &self.answers_client } else { &self.client };
        if let Err(error) = client.publish_with_headers(reply.clone(), headers, body).await {
            tracing::warn!(%subject, %error, "reply not sent");
        } else if is_large {
            // An error means that the connection has ended, and its queue with it.
            let _ = tokio::time::timeout(FLUSH_MAX, client.flush()).await;
        }
    }
}
