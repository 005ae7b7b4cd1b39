//! The pull consumer that reads the stream: ephemeral, in the server's memory, without acks or a
//! filter.

use std::time::Duration;

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, ReplayPolicy, pull},
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

/// A message of the consumer.
///
/// Without the context of the client, which is larger than the message.
pub(super) struct Delivered {
    pub(super) message: async_nats::Message,
    pub(super) key: MessageKey,
    /// The consumer's own sequence.
    consumer_sequence: u64,
    /// Number of messages that follow in the stream.
    pub(super) pending: u64,
}

/// A message of the consumer, or the reason why there is none.
pub(super) type Received = Result<Delivered>;

impl Delivered {
    fn new(received: jetstream::Message) -> Result<Self> {
        let unexpected = |error: String| Error::new(ErrorKind::Unavailable, error);
        let info = received.info().map_err(|error| unexpected(error.to_string()))?;
        let nanos = i64::try_from(info.published.unix_timestamp_nanos());
        let time = Offset::from_nanos(nanos.map_err(|error| unexpected(error.to_string()))?);
        let key = MessageKey { sequence: info.stream_sequence, time };
        let (consumer_sequence, pending) = (info.consumer_sequence, info.pending);
        Ok(Self { message: received.message, key, consumer_sequence, pending })
    }
}

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

/// The messages of a consumer.
pub(super) struct Messages {
    stream: pull::Stream,
    /// The consumer's own sequence of the last message.
    last: u64,
    /// Number of messages in the last chunk: the next one is likely to be as large.
    chunk_messages: usize,
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
        Ok(Self { stream, last: 0, chunk_messages: 0 })
    }

    /// Waits for a message, and returns it with all that are ready after it. Returns `None` at the
    /// end of the consumer.
    ///
    /// The runtime's budget would end a chunk after 128 messages. With a thousand logs, that would
    /// be one request to a log for each event.
    pub(super) async fn next_chunk(&mut self) -> Option<Vec<Received>> {
        let first = self.stream.next().await?;
        let mut chunk = Vec::with_capacity(self.chunk_messages + 1);
        chunk.push(received(first));
        while chunk.len() < CHUNK_MESSAGES_MAX
            && let Some(Some(message)) = unconstrained(self.stream.next()).now_or_never()
        {
            chunk.push(received(message));
        }
        self.chunk_messages = chunk.len();
        Some(chunk)
    }

    /// Returns the messages that are ready now, if there are any.
    pub(super) fn next_ready_chunk(&mut self) -> Option<Vec<Received>> {
        self.next_chunk().now_or_never().flatten()
    }

    /// Checks that a message is the next one.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if the consumer left out a message before it.
    pub(super) fn check_next(&mut self, message: &Delivered) -> Result<()> {
        let sequence = message.consumer_sequence;
        if sequence != self.last + 1 {
            let context = format!("the consumer sent message {sequence} after message {}", self.last);
            return Err(Error::new(ErrorKind::Unavailable, context));
        }
        self.last = sequence;
        Ok(())
    }
}

fn received(message: Result<jetstream::Message, pull::MessagesError>) -> Received {
    message.map_err(|error| Error::new(ErrorKind::Unavailable, error.to_string())).and_then(Delivered::new)
}
