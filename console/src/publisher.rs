//! Publishes messages to the stream in order, and retries each until the stream has it.
//!
//! The order survives failures. A client that reconnects sends what it still holds, and so behind it
//! what the lost connection took along. So a connection is used until it fails, and another one
//! publishes the oldest message without an ack and everything after it. The stream, or the service,
//! recognises what was published before.

use std::{collections::VecDeque, time::Duration};

use async_nats::{
    Client, HeaderMap,
    connection::State,
    jetstream::{
        self, Context,
        context::{PublishAckFuture, PublishError, PublishErrorKind},
        message::PublishMessage,
        publish::PublishAck,
    },
};
use bytes::Bytes;
use hourlog::{
    Error, ErrorKind, header,
    nats::{self, Backoff},
};
use tokio::time::Instant;

use crate::connect::{Connect, Denials};

/// Messages that may wait for an ack at the same time.
const IN_FLIGHT_MAX: usize = 1_024;
/// Bytes of the messages that may wait for an ack at the same time. More does not make them faster, and
/// each is kept in memory until its ack.
const IN_FLIGHT_BYTES_MAX: usize = 8 << 20;

/// Time without an ack after which retrying ends.
const GIVE_UP_AFTER: Duration = Duration::from_secs(30);
/// Time after which a stream that has acknowledged nothing yet counts as missing. Right after a restart, a
/// server does not know its streams for a moment.
const MISSING_AFTER: Duration = Duration::from_secs(2);
/// Time after its first publish in which a message with an id is published again. The stream recognises
/// ids for two minutes; the rest is for a message that is under way for long.
const RECOGNISED_FOR: Duration = Duration::from_secs(90);
/// The first and the longest pause between retries.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// Interval between checks for a lost connection, while an ack is awaited.
const CONNECTION_CHECK: Duration = Duration::from_millis(100);

/// A message to publish.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) data: Bytes,
}

/// A message of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamMessage {
    /// The name of the stream.
    pub(crate) stream: String,
    /// Its sequence in the stream.
    pub(crate) sequence: u64,
}

/// A publisher with a window of messages in flight.
#[derive(Debug)]
pub(crate) struct Publisher<'a> {
    connect: &'a Connect,
    denials: Denials,
    server: String,
    /// `None` before the first message, and after a failure.
    connection: Option<Connection>,
    /// Messages without an ack, in order.
    window: VecDeque<Unacked>,
    /// Bytes of their data.
    window_bytes: usize,
    acked: u64,
    newest: Option<StreamMessage>,
    backoff: Backoff,
    /// Time of the first failure since the last ack.
    failing_since: Option<Instant>,
}

/// A message without an ack.
#[derive(Debug)]
struct Unacked {
    message: Message,
    /// Time at which it was published first.
    published_at: Option<Instant>,
}

/// A connection that never reconnects.
#[derive(Debug)]
struct Connection {
    client: Client,
    context: Context,
    /// Acks of the first messages of the window. The other messages are not published over it yet.
    acks: VecDeque<PublishAckFuture>,
    /// The stream has acknowledged a message. Before that, a server that has just started may refuse one
    /// message and take the next.
    is_confirmed: bool,
}

/// The reason why the window has to be published again.
#[derive(Debug)]
enum Failed {
    Connect(Error),
    Publish(PublishError),
    Lost,
}

/// The room that a caller wants in the window.
#[derive(Debug, Clone, Copy)]
struct Window {
    messages_max: usize,
    bytes_max: usize,
}

impl<'a> Publisher<'a> {
    /// Creates a publisher with connections of its own, whose denials go to `denials`. `server` names the server in errors.
    pub(crate) fn new(connect: &'a Connect, denials: Denials, server: String) -> Self {
        Self {
            connect,
            denials,
            server,
            connection: None,
            window: VecDeque::new(),
            window_bytes: 0,
            acked: 0,
            newest: None,
            backoff: Backoff::new(RETRY.0, RETRY.1),
            failing_since: None,
        }
    }

    /// Returns the number of messages that the stream has acknowledged.
    pub(crate) fn acked(&self) -> u64 {
        self.acked
    }

    /// Returns the newest message that the stream has acknowledged.
    pub(crate) fn newest(&self) -> Option<&StreamMessage> {
        self.newest.as_ref()
    }

    /// Returns the number of messages that the stream may have without having acknowledged them.
    pub(crate) fn in_doubt(&self) -> usize {
        self.window.iter().filter(|unacked| unacked.published_at.is_some()).count()
    }

    /// Publishes `message` after the earlier ones. Waits if too much is in flight.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] for a message that is too large for the stream.
    /// [`ErrorKind::Unavailable`] if there is no stream, or if it has acknowledged nothing for half
    /// a minute. [`ErrorKind::Deadline`] if a message with an id can no longer be published again.
    pub(crate) async fn send(&mut self, message: Message) -> Result<(), Error> {
        self.send_in(message, &mut |_| {}).await
    }

    /// Waits until all messages are acknowledged.
    ///
    /// # Errors
    /// Those of [`Publisher::send`].
    pub(crate) async fn finish(&mut self) -> Result<(), Error> {
        self.advance(Window { messages_max: 0, bytes_max: 0 }, &mut |_| {}).await
    }

    /// Publishes `messages`, waits until all are acknowledged, and adds the sequence of each to
    /// `sequences`. After an error, these are those of the first messages.
    ///
    /// # Errors
    /// Those of [`Publisher::send`].
    pub(crate) async fn send_all(
        &mut self,
        messages: impl IntoIterator<Item = Message>,
        sequences: &mut Vec<u64>,
    ) -> Result<(), Error> {
        let mut on_ack = |sequence| sequences.push(sequence);
        for message in messages {
            self.send_in(message, &mut on_ack).await?;
        }
        self.advance(Window { messages_max: 0, bytes_max: 0 }, &mut on_ack).await
    }

    async fn send_in(&mut self, message: Message, on_ack: &mut (dyn FnMut(u64) + Send)) -> Result<(), Error> {
        self.window_bytes += message.data.len();
        self.window.push_back(Unacked { message, published_at: None });
        self.advance(Window { messages_max: IN_FLIGHT_MAX - 1, bytes_max: IN_FLIGHT_BYTES_MAX }, on_ack).await
    }

    /// Publishes everything, and waits until what lacks an ack fits into `window`.
    async fn advance(&mut self, window: Window, on_ack: &mut (dyn FnMut(u64) + Send)) -> Result<(), Error> {
        loop {
            match self.step(window, on_ack).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(failed) => self.prepare_retry(failed).await?,
            }
        }
    }

    /// Takes one step. Returns true once there is none to take.
    async fn step(&mut self, window: Window, on_ack: &mut (dyn FnMut(u64) + Send)) -> Result<bool, Failed> {
        let Some(connection) = &mut self.connection else {
            if self.window.is_empty() {
                return Ok(true);
            }
            self.connection =
                Some(Connection::open(self.connect, self.denials.clone()).await.map_err(Failed::Connect)?);
            return Ok(false);
        };
        if let Some(next) = self.window.get_mut(connection.acks.len()) {
            if connection.is_confirmed || connection.acks.is_empty() {
                connection.publish(next).await?;
                return Ok(false);
            }
        } else if self.window.len() <= window.messages_max && self.window_bytes <= window.bytes_max {
            return Ok(true);
        }
        let PublishAck { stream, sequence, .. } = connection.oldest_ack().await?;
        let unacked = self.window.pop_front().expect("each ack is that of a message");
        self.window_bytes -= unacked.message.data.len();
        self.newest = Some(StreamMessage { stream, sequence });
        self.acked += 1;
        self.backoff.reset();
        self.failing_since = None;
        on_ack(sequence);
        Ok(false)
    }

    /// Pauses, and gives the connection up. Returns an error if a retry is pointless.
    async fn prepare_retry(&mut self, failed: Failed) -> Result<(), Error> {
        // The closed connection must not publish the messages that it still holds.
        self.connection = None;
        let stream = format!("the stream of {}", self.server);
        let now = Instant::now();
        let failing_for = now.duration_since(*self.failing_since.get_or_insert(now));
        let is_missing = |error: &PublishError| {
            error.kind() == PublishErrorKind::StreamNotFound && self.acked == 0 && failing_for > MISSING_AFTER
        };
        let (is_final, error) = match failed {
            Failed::Connect(error) => (error.kind() != ErrorKind::Unavailable, error),
            Failed::Publish(error) => (is_missing(&error), nats::publish_error(&stream, error)),
            Failed::Lost => {
                (false, Error::new(ErrorKind::Unavailable, format!("the connection to {} is lost", self.server)))
            }
        };
        if is_final || error.kind() == ErrorKind::TooLarge {
            return Err(error);
        }
        if failing_for > GIVE_UP_AFTER {
            let context = format!("{stream} has acknowledged nothing for {GIVE_UP_AFTER:?}; hourlog doctor says why");
            return Err(Error::new(ErrorKind::Unavailable, context).because(error));
        }
        if self.window.iter().any(|unacked| unacked.is_forgotten(now)) {
            let context = format!(
                "{stream} has not acknowledged an event for {RECOGNISED_FOR:?}, and would soon take it for another one; \
                 hourlog doctor says why"
            );
            return Err(Error::new(ErrorKind::Deadline, context).because(error));
        }
        tokio::time::sleep(self.backoff.next_pause()).await;
        Ok(())
    }
}

impl Unacked {
    /// True if the stream may soon no longer recognise the message by its id.
    fn is_forgotten(&self, now: Instant) -> bool {
        let has_id = self.message.headers.get(header::MSG_ID).is_some();
        has_id && self.published_at.is_some_and(|at| now.duration_since(at) > RECOGNISED_FOR)
    }
}

impl Connection {
    async fn open(connect: &Connect, denials: Denials) -> Result<Self, Error> {
        let client = connect.open_once(denials).await?;
        let context = jetstream::ContextBuilder::new()
            .timeout(connect.timeout)
            .ack_timeout(connect.timeout)
            .max_ack_inflight(IN_FLIGHT_MAX)
            .backpressure_on_inflight(true)
            .build(client.clone());
        Ok(Self { client, context, acks: VecDeque::new(), is_confirmed: false })
    }

    async fn publish(&mut self, unacked: &mut Unacked) -> Result<(), Failed> {
        let Message { subject, headers, data } = unacked.message.clone();
        unacked.published_at.get_or_insert_with(Instant::now);
        let message = PublishMessage::build().payload(data).headers(headers);
        self.acks.push_back(self.context.send_publish(subject, message).await.map_err(Failed::Publish)?);
        Ok(())
    }

    async fn oldest_ack(&mut self) -> Result<PublishAck, Failed> {
        let ack = self.acks.pop_front().expect("a message without an ack was published");
        let ack = tokio::select! {
            biased;
            ack = ack.into_future() => ack.map_err(Failed::Publish)?,
            () = lost(&self.client) => return Err(Failed::Lost),
        };
        self.is_confirmed = true;
        Ok(ack)
    }
}

/// Waits until the connection is lost.
async fn lost(client: &Client) {
    while client.connection_state() == State::Connected {
        tokio::time::sleep(CONNECTION_CHECK).await;
    }
}
