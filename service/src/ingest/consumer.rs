//! The pull consumer that reads the stream: ephemeral, in the server's memory, without acks or a
//! filter.

use std::time::Duration;

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, ReplayPolicy, pull},
    message::Info,
};
use futures_util::{FutureExt, StreamExt};
use hourlog::{Error, ErrorKind, Offset, Result};
use tokio::task::coop::unconstrained;

use crate::stream::message::MessageKey;

/// Number of messages in a chunk, at most.
const CHUNK_MESSAGES_MAX: usize = 16_384;
/// Number of messages that the server may send ahead. Less than a subscription of the client holds.
const PULL_MESSAGES_MAX: usize = 16_384;
/// Number of bytes that the server may send ahead. See [`PULL_MESSAGES_MAX`].
const PULL_BYTES_MAX: usize = 8 << 20;
/// Number of messages that the client holds at most: the capacity of a subscription.
pub(super) const HELD_MESSAGES_MAX: usize = 65_536;
/// Interval between the server's heartbeats while no message arrives.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Time after which a pull request expires and is repeated.
const PULL_EXPIRES: Duration = Duration::from_secs(30);
/// Time after which the server may delete a consumer that nobody reads.
const INACTIVE_AFTER: Duration = Duration::from_secs(30);

/// A message of the consumer, or the end of it.
pub(super) type Received = Result<jetstream::Message, pull::MessagesError>;

/// Creates a consumer that begins with the message `next`.
///
/// # Errors
/// [`ErrorKind::Unavailable`] if the stream does not accept a consumer.
pub(super) async fn create(
    handle: &jetstream::stream::Stream,
    next: u64,
) -> Result<jetstream::consumer::Consumer<pull::Config>> {
    let config = pull::Config {
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: next },
        ack_policy: AckPolicy::None,
        replay_policy: ReplayPolicy::Instant,
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: INACTIVE_AFTER,
        ..pull::Config::default()
    };
    handle.create_consumer(config).await.map_err(|error| {
        let stream = &handle.cached_info().config.name;
        Error::new(ErrorKind::Unavailable, format!("the stream {stream} does not accept a consumer")).because(error)
    })
}

/// Returns the sequence and the time of a message; `None` if it has no metadata.
pub(super) fn key(message: &jetstream::Message) -> Option<MessageKey> {
    let info = message.info().ok()?;
    let time = Offset::from_nanos(i64::try_from(info.published.unix_timestamp_nanos()).ok()?);
    Some(MessageKey { sequence: info.stream_sequence, time })
}

/// The messages of a consumer.
pub(super) struct Messages {
    stream: pull::Stream,
    /// The consumer's own sequence of the last message.
    last: u64,
}

impl Messages {
    /// Starts pulling.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if the consumer is gone.
    pub(super) async fn pull(consumer: &jetstream::consumer::Consumer<pull::Config>) -> Result<Self> {
        let messages = consumer
            .stream()
            .max_messages_per_batch(PULL_MESSAGES_MAX)
            .max_bytes_per_batch(PULL_BYTES_MAX)
            .heartbeat(HEARTBEAT)
            .expires(PULL_EXPIRES)
            .messages();
        let stream = messages.await.map_err(|error| {
            let stream = &consumer.cached_info().stream_name;
            Error::new(ErrorKind::Unavailable, format!("cannot read the stream {stream}")).because(error)
        })?;
        Ok(Self { stream, last: 0 })
    }

    /// Waits for a message, and returns it with all that are ready after it. Returns `None` at the
    /// end of the consumer.
    ///
    /// The runtime's budget would end a chunk after 128 messages. With a thousand logs, that would
    /// be one request to a log for each event.
    pub(super) async fn next_chunk(&mut self) -> Option<Vec<Received>> {
        let mut chunk = vec![self.stream.next().await?];
        while chunk.len() < CHUNK_MESSAGES_MAX
            && let Some(Some(message)) = unconstrained(self.stream.next()).now_or_never()
        {
            chunk.push(message);
        }
        Some(chunk)
    }

    /// Returns the messages that are ready now, if there are any.
    pub(super) fn next_ready_chunk(&mut self) -> Option<Vec<Received>> {
        self.next_chunk().now_or_never().flatten()
    }

    /// Returns the metadata of the next message.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if the message has none, or if the consumer left out a message
    /// before it.
    pub(super) fn next_info<'a>(&mut self, message: &'a jetstream::Message) -> Result<Info<'a>> {
        let info = message.info().map_err(|error| Error::new(ErrorKind::Unavailable, error.to_string()))?;
        if info.consumer_sequence != self.last + 1 {
            let context = format!("the consumer sent message {} after message {}", info.consumer_sequence, self.last);
            return Err(Error::new(ErrorKind::Unavailable, context));
        }
        self.last = info.consumer_sequence;
        Ok(info)
    }
}
