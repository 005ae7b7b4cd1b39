//! An answer of several pages, each a message of its own.

use std::time::Duration;

use async_nats::{StatusCode, Subscriber};
use futures_util::StreamExt;

use crate::{
    LogId, Result,
    wire::{self, ReplayRequest},
};

use super::{Remote, json, page::EncodedPage, reply};

/// The pages of one request, as they arrive.
#[derive(Debug)]
pub(super) struct Answer {
    remote: Remote,
    messages: Subscriber,
    /// The longest time until the next message.
    limit: Duration,
    is_followed: bool,
}

impl Answer {
    /// Sends the request.
    pub(super) async fn ask(remote: &Remote, log: &LogId, request: &ReplayRequest) -> Result<Self> {
        let client = remote.client();
        let inbox = client.new_inbox();
        let messages = client.subscribe(inbox.clone()).await.map_err(|error| remote.closed(error))?;
        let (subject, payload) = (remote.subjects.replay(log), json(request)?);
        let sent = client.publish_with_reply_and_headers(subject, inbox, remote.page_headers(), payload).await;
        sent.map_err(|error| remote.closed(error))?;
        let limit = remote.timeout + request.wait.map_or(Duration::ZERO, wire::Span::duration);
        Ok(Self { remote: remote.clone(), messages, limit, is_followed: true })
    }

    /// Returns the next page. Its events are not decoded yet. An error ends the answer.
    pub(super) async fn next(&mut self) -> Result<EncodedPage> {
        self.is_followed = false;
        let message = match tokio::time::timeout(self.limit, self.messages.next()).await {
            Ok(Some(message)) if message.status == Some(StatusCode::NO_RESPONDERS) => {
                return Err(self.remote.no_service());
            }
            Ok(Some(message)) => reply(message)?,
            Ok(None) => return Err(self.remote.closed("the subscription has ended")),
            Err(_) => return Err(self.remote.timed_out()),
        };
        self.is_followed = message.headers.as_ref().is_some_and(|headers| headers.get(wire::FOLLOWED).is_some());
        EncodedPage::read(self.remote.decompressed(message)?)
    }

    /// Returns true until the last page was returned.
    pub(super) fn is_followed(&self) -> bool {
        self.is_followed
    }
}
