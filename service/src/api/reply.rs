//! Requests as they came, and replies in the form that was asked for.

use async_nats::HeaderMap;
use bytes::Bytes;
use hourlog::{
    Error, Result,
    wire::{ACCEPT, CONTENT_TYPE, JSON, PROTOBUF},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::telemetry::sentence;

/// A request to an endpoint.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) inner: async_nats::service::Request,
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
        &self.inner.message.subject
    }

    pub(super) fn headers(&self) -> Option<&HeaderMap> {
        self.inner.message.headers.as_ref()
    }

    pub(super) fn payload(&self) -> &Bytes {
        &self.inner.message.payload
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
    pub(super) async fn respond(&self, outcome: Result<Reply>) {
        let sent = match outcome {
            Ok(reply) => {
                let mut headers = HeaderMap::new();
                headers.insert(CONTENT_TYPE, reply.content_type);
                self.inner.respond_with_headers(Ok(reply.body), headers).await
            }
            Err(error) => {
                // A header has one line.
                let status = sentence(&error).replace(['\r', '\n'], " ");
                let code = usize::from(error.kind().code());
                self.inner.respond(Err(async_nats::service::error::Error { status, code })).await
            }
        };
        if let Err(error) = sent {
            tracing::warn!(subject = self.subject(), %error, "a reply was not sent");
        }
    }
}
