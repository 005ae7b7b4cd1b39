//! The status of the service: of the instance that replies first, or of all.

use std::time::Duration;

use async_nats::StatusCode;
use bytes::Bytes;
use futures_util::StreamExt;

use crate::{Error, ErrorKind, Remote, Result, wire::StatusReply};

use super::{parse, reply};

impl Remote {
    /// Returns the status of the service. If several instances run, of the one that replies first.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if no service runs.
    pub async fn status(&self) -> Result<StatusReply> {
        self.ask_json(self.subjects.status(), &serde_json::Map::new()).await
    }

    /// Returns the status of every instance of the service, which answers within `gap` after the one
    /// before it. The first one may take the time of any other request.
    ///
    /// # Errors
    /// Those of [`Remote::status`].
    pub async fn statuses(&self, gap: Duration) -> Result<Vec<StatusReply>> {
        let closed = |error: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Unavailable, format!("the connection to {} was closed: {error}", self.server))
        };
        let inbox = self.client.new_inbox();
        let mut replies = self.client.subscribe(inbox.clone()).await.map_err(|error| closed(&error))?;
        let request = self.client.publish_with_reply(self.subjects.status(), inbox, Bytes::new());
        request.await.map_err(|error| closed(&error))?;
        let mut statuses = Vec::new();
        loop {
            let within = if statuses.is_empty() { self.timeout } else { gap };
            match tokio::time::timeout(within, replies.next()).await {
                Ok(Some(message)) if message.status == Some(StatusCode::NO_RESPONDERS) => {
                    return Err(self.no_service());
                }
                Ok(Some(message)) => statuses.push(parse(&reply(message)?.payload)?),
                Ok(None) => return Err(closed(&"it has no subscriptions any more")),
                Err(_) if statuses.is_empty() => return Err(self.timed_out()),
                Err(_) => return Ok(statuses),
            }
        }
    }
}
