//! Requests and replies as every endpoint handles them.

use async_nats::{Client, HeaderMap, Message};
use bytes::Bytes;
use hourlog::{
    Error, Result,
    wire::{ACCEPT, CONTENT_TYPE, ERROR, ERROR_CODE, JSON, PROTOBUF},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{stream::headers::values, trace::sentence};

/// A request to an endpoint.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) message: Message,
}

/// The body of a successful reply.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) body: Bytes,
    pub(super) content_type: &'static str,
}

impl Reply {
    /// Encodes `value` as JSON.
    pub(super) fn json(value: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(value)
            .map_err(|error| Error::new(hourlog::ErrorKind::Unexpected, "failed to encode the reply").because(error))?;
        Ok(Self { body: body.into(), content_type: JSON })
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

    /// Sends the reply or the error. The requester may have left; that is not a failure.
    pub(super) async fn respond(self, client: &Client, outcome: Result<Reply>) {
        let Message { subject, reply, .. } = self.message;
        let Some(reply) = reply else { return };
        let mut headers = HeaderMap::new();
        let body = match outcome {
            Ok(Reply { body, content_type }) => {
                headers.insert(CONTENT_TYPE, content_type);
                body
            }
            Err(error) => {
                // A header value is a single line.
                headers.insert(ERROR, sentence(&error).replace(['\r', '\n'], " "));
                headers.insert(ERROR_CODE, error.kind().code().to_string());
                Bytes::new()
            }
        };
        if let Err(error) = client.publish_with_headers(reply, headers, body).await {
            tracing::warn!(%subject, %error, "reply not sent");
        }
    }
}
