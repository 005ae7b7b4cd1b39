//! Publishes messages to the stream in order, and retries each until the stream has it.
//!
//! Equal events are told apart by how many are before them, so their order must survive failures.
//! After a failure, the failed message and everything after it are therefore published again.

use std::{collections::VecDeque, time::Duration};

use async_nats::{
    Client, HeaderMap,
    jetstream::{
        self, Context,
        context::{PublishAckFuture, PublishError, PublishErrorKind},
        message::PublishMessage,
        publish::PublishAck,
    },
};
use bytes::Bytes;
use hourlog::{
    Error, ErrorKind,
    nats::{self, Backoff},
};
use tokio::time::Instant;

/// Messages that may wait for an ack at the same time.
const IN_FLIGHT_MAX: usize = 1_024;

/// Time without an ack after which retrying ends.
const GIVE_UP_AFTER: Duration = Duration::from_secs(30);
/// The first and the longest pause between retries.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// A message to publish.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) subject: String,
    pub(super) headers: HeaderMap,
    pub(super) data: Bytes,
}

/// A message of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamMessage {
    /// The name of the stream.
    pub(super) stream: String,
    /// Its sequence in the stream.
    pub(super) sequence: u64,
}

/// A publisher with a window of messages in flight.
#[derive(Debug)]
pub(super) struct Publisher {
    context: Context,
    server: String,
    /// Messages without an ack, in order.
    window: VecDeque<Message>,
    /// Acks of the first messages of the window. The other messages are not published yet.
    acks: VecDeque<PublishAckFuture>,
    acked: u64,
    newest: Option<StreamMessage>,
    backoff: Backoff,
    /// Time of the first failure since the last ack.
    failing_since: Option<Instant>,
}

impl Publisher {
    /// Creates a publisher over `client`. `server` names it in errors. An ack may take `timeout`.
    pub(super) fn new(client: Client, server: String, timeout: Duration) -> Self {
        let context = jetstream::ContextBuilder::new()
            .timeout(timeout)
            .ack_timeout(timeout)
            .max_ack_inflight(IN_FLIGHT_MAX)
            .backpressure_on_inflight(true)
            .build(client);
        Self {
            context,
            server,
            window: VecDeque::new(),
            acks: VecDeque::new(),
            acked: 0,
            newest: None,
            backoff: Backoff::new(RETRY.0, RETRY.1),
            failing_since: None,
        }
    }

    /// Returns the number of messages that the stream has acknowledged.
    pub(super) fn acked(&self) -> u64 {
        self.acked
    }

    /// Returns the newest message that the stream has acknowledged.
    pub(super) fn newest(&self) -> Option<&StreamMessage> {
        self.newest.as_ref()
    }

    /// Publishes `message` after the earlier ones. Waits if too many messages are in flight.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] for a message that is too large for the stream.
    /// [`ErrorKind::Unavailable`] if there is no stream, or if it has acknowledged nothing for half
    /// a minute.
    pub(super) async fn send(&mut self, message: Message) -> Result<(), Error> {
        self.window.push_back(message);
        self.advance(IN_FLIGHT_MAX - 1).await
    }

    /// Waits until all messages are acknowledged.
    ///
    /// # Errors
    /// Those of [`Publisher::send`].
    pub(super) async fn finish(&mut self) -> Result<(), Error> {
        self.advance(0).await
    }

    /// Publishes the whole window, and waits until at most `unacked_max` messages lack an ack.
    async fn advance(&mut self, unacked_max: usize) -> Result<(), Error> {
        loop {
            let result = match self.window.get(self.acks.len()) {
                Some(message) => self.publish(message).await.map(|ack| self.acks.push_back(ack)),
                None if self.window.len() <= unacked_max => return Ok(()),
                None => self.wait_for_oldest_ack().await,
            };
            if let Err(error) = result {
                self.prepare_retry(error).await?;
            }
        }
    }

    async fn publish(&self, message: &Message) -> Result<PublishAckFuture, PublishError> {
        let Message { subject, headers, data } = message.clone();
        self.context.send_publish(subject, PublishMessage::build().payload(data).headers(headers)).await
    }

    async fn wait_for_oldest_ack(&mut self) -> Result<(), PublishError> {
        if let Some(ack) = self.acks.pop_front() {
            let PublishAck { stream, sequence, .. } = ack.await?;
            self.newest = Some(StreamMessage { stream, sequence });
            self.window.pop_front();
            self.acked += 1;
            self.backoff.reset();
            self.failing_since = None;
        }
        Ok(())
    }

    /// Pauses, and marks the whole window as unpublished. Returns an error if a retry is pointless.
    async fn prepare_retry(&mut self, error: PublishError) -> Result<(), Error> {
        // Right after a restart, the server does not know its streams for a moment.
        let is_missing = error.kind() == PublishErrorKind::StreamNotFound && self.acked == 0;
        let error = nats::publish_error(&format!("the stream of {}", self.server), error);
        if is_missing || error.kind() == ErrorKind::TooLarge {
            return Err(error);
        }
        let now = Instant::now();
        if now.duration_since(*self.failing_since.get_or_insert(now)) > GIVE_UP_AFTER {
            let context = format!(
                "the stream of {} has acknowledged nothing for {GIVE_UP_AFTER:?}; hourlog doctor says why",
                self.server
            );
            return Err(Error::new(ErrorKind::Unavailable, context).because(error));
        }
        // The acks still in flight do not matter: all of these messages are published again.
        self.acks.clear();
        tokio::time::sleep(self.backoff.next_pause()).await;
        Ok(())
    }
}
