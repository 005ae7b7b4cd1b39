//! Publishes to the stream in order, each message until the stream has it.
//!
//! Equal events are told apart by how many came before them, so the order holds over failures too: what follows
//! a message that was not taken is published again behind it.

use std::{collections::VecDeque, error::Error as _, time::Duration};

use async_nats::{
    Client, HeaderMap,
    jetstream::{
        self, Context, ErrorCode,
        context::{PublishAckFuture, PublishError, PublishErrorKind},
        message::PublishMessage,
    },
};
use bytes::Bytes;
use hourlog::{Error, ErrorKind};
use tokio::time::Instant;

/// The messages that wait for the stream's answer at once.
const IN_FLIGHT_MAX: usize = 1_024;
/// How long nothing may be taken before the publisher gives up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(30);
/// The pause before the first new attempt; doubled for each further one.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// A message to publish.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) subject: String,
    pub(super) headers: HeaderMap,
    pub(super) data: Bytes,
}

/// Messages on their way to the stream.
#[derive(Debug)]
pub(super) struct Publisher {
    context: Context,
    server: String,
    /// Those that are not known to be taken, in order.
    window: VecDeque<Message>,
    /// The answers that are awaited for the first of them; the others are not published yet.
    acks: VecDeque<PublishAckFuture>,
    taken: u64,
    failing: Option<Failing>,
}

/// Since when nothing was taken, and how long to wait before the next attempt.
#[derive(Debug, Clone, Copy)]
struct Failing {
    since: Instant,
    pause: Duration,
}

impl Publisher {
    /// Publishes over `client`, which is connected to `server`; an answer takes at most `timeout`.
    pub(super) fn new(client: Client, server: String, timeout: Duration) -> Self {
        let context = jetstream::ContextBuilder::new()
            .timeout(timeout)
            .ack_timeout(timeout)
            .max_ack_inflight(IN_FLIGHT_MAX)
            .backpressure_on_inflight(true)
            .build(client);
        Self { context, server, window: VecDeque::new(), acks: VecDeque::new(), taken: 0, failing: None }
    }

    /// How many messages the stream has taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Sends `message` behind those before it; may wait for one of them to be taken.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] for a message that can never be taken, [`ErrorKind::Unavailable`] where there is no stream
    /// for it, or none is taken for half a minute.
    pub(super) async fn send(&mut self, message: Message) -> Result<(), Error> {
        self.window.push_back(message);
        self.advance(IN_FLIGHT_MAX - 1).await
    }

    /// Returns once all of them are taken.
    ///
    /// # Errors
    /// As [`Publisher::send`].
    pub(super) async fn finish(&mut self) -> Result<(), Error> {
        self.advance(0).await
    }

    /// Publishes all of the window, and waits until no more than `left` of it are not known to be taken.
    async fn advance(&mut self, left: usize) -> Result<(), Error> {
        loop {
            let outcome = match self.window.get(self.acks.len()) {
                Some(message) => self.publish(message).await.map(|ack| self.acks.push_back(ack)),
                None if self.window.len() <= left => return Ok(()),
                None => self.settle().await,
            };
            if let Err(error) = outcome {
                self.failed(error).await?;
            }
        }
    }

    async fn publish(&self, message: &Message) -> Result<PublishAckFuture, PublishError> {
        let Message { subject, headers, data } = message.clone();
        self.context.send_publish(subject, PublishMessage::build().payload(data).headers(headers)).await
    }

    /// Waits for the answer to the oldest one.
    async fn settle(&mut self) -> Result<(), PublishError> {
        if let Some(ack) = self.acks.pop_front() {
            ack.await?;
            self.window.pop_front();
            self.taken += 1;
            self.failing = None;
        }
        Ok(())
    }

    /// Has the whole window published again after a pause, unless that cannot help.
    async fn failed(&mut self, error: PublishError) -> Result<(), Error> {
        let now = Instant::now();
        let Failing { since, pause } = self.failing.unwrap_or(Failing { since: now, pause: PAUSE_MIN });
        self.failing = Some(Failing { since, pause: (pause * 2).min(PAUSE_MAX) });
        let api_error = error.source().and_then(|source| source.downcast_ref::<jetstream::Error>());
        let too_large = api_error.is_some_and(|error| error.error_code() == ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM);
        let server = &self.server;
        let (kind, text) = match error.kind() {
            _ if too_large => {
                (ErrorKind::TooLarge, "an event is larger than the stream takes; send it in parts".to_owned())
            }
            PublishErrorKind::MaxPayloadExceeded => {
                (ErrorKind::TooLarge, format!("an event is larger than max_payload of {server}; send it in parts"))
            }
            // Right after a restart of the server the stream is not there for a moment.
            PublishErrorKind::StreamNotFound if self.taken == 0 => (
                ErrorKind::Unavailable,
                format!(
                    "no stream on {server} takes events; start hourlogd --nats {server} --store file:DIR, which makes it"
                ),
            ),
            _ if now.duration_since(since) > GIVE_UP_AFTER => (
                ErrorKind::Unavailable,
                format!("the stream on {server} has taken nothing for {GIVE_UP_AFTER:?}; hourlog doctor says why"),
            ),
            _ => {
                // The answers that are still on their way are not waited for: all of it is published again anyway.
                self.acks.clear();
                tokio::time::sleep(pause).await;
                return Ok(());
            }
        };
        Err(Error::new(kind, text).because(error))
    }
}
