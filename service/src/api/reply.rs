//! Requests as they came, and replies in the form that was asked for.

use async_nats::{Client, HeaderMap, Message};
use bytes::Bytes;
use hourlog::{
    Error, Result,
    wire::{ACCEPT, CONTENT_TYPE, ERROR, ERROR_CODE, JSON, PROTOBUF},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::telemetry::sentence;

/// A request to an endpoint.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) message: Message,
}

/// What is answered.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) body: Bytes,
    pub(super) content_type: &'static str,
}

impl Reply {
    /// `value` as JSON.
    pub(super) fn json(value: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(value).map_err(|error| {
            Error::new(hourlog::ErrorKind::Unexpected, "the reply cannot be written").because(error)
        })?;
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

    /// Whether the reply is to be protobuf.
    pub(super) fn wants_protobuf(&self) -> bool {
        self.headers().and_then(|headers| headers.get(ACCEPT)).is_some_and(|accept| accept.as_str() == PROTOBUF)
    }

    /// The body, where an empty one stands for nothing but defaults.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) where it is not what the endpoint takes.
    pub(super) fn body<T: DeserializeOwned + Default>(&self) -> Result<T> {
        if self.payload().is_empty() {
            return Ok(T::default());
        }
        serde_json::from_slice(self.payload())
            .map_err(|error| Error::invalid(format!("the request is not what {} takes: {error}", self.subject())))
    }

    /// Answers. Who asked may have left; that is no failure.
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
                // A header has one line.
                headers.insert(ERROR, sentence(&error).replace(['\r', '\n'], " "));
                headers.insert(ERROR_CODE, error.kind().code().to_string());
                Bytes::new()
            }
        };
        if let Err(error) = client.publish_with_headers(reply, headers, body).await {
            tracing::warn!(%subject, %error, "a reply was not sent");
        }
    }
}
