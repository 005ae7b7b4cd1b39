//! Sending events to subjects again: with acknowledgements where a stream stores them, and plainly elsewhere.

use std::time::Duration;

use async_nats::{Client, HeaderMap, connection::State};
use hourlog::{
    Error, ErrorKind, Event, Record, Remote, Result, header, nats,
    remote::{header_map, new_message_id},
    wire::{MergedPosition, ReplayRequest},
};
use tokio::time::Instant;

use crate::{
    again::without_rejected_names,
    connect::{Connect, Connection, Denials},
    publisher::{Message, Publisher},
};

/// The longest time for which it is not known if the messages have reached the server.
const CONFIRM_AFTER: Duration = Duration::from_secs(1);
/// The most bytes of messages for which it is not known.
const CONFIRM_BYTES: usize = 16 << 20;

/// Sends events.
#[derive(Debug)]
pub(crate) struct Sender<'a> {
    way: Way<'a>,
    remote: Remote,
    /// The part that the ids of all messages share.
    id: String,
    /// The events are to be stored in logs.
    is_into_log: bool,
    /// The events that were sent since the last confirmation, and their bytes.
    unconfirmed: usize,
    unconfirmed_bytes: usize,
    confirmed: u64,
    confirmed_at: Instant,
}

#[derive(Debug)]
enum Way<'a> {
    /// A stream acknowledges each message.
    Acknowledged(Box<Publisher<'a>>),
    /// The server takes each message; nobody may be there to get it.
    Plain(Box<Plain>),
}

/// A connection over which messages are sent without acknowledgements.
#[derive(Debug)]
struct Plain {
    client: Client,
    server: String,
}

impl<'a> Sender<'a> {
    /// Returns a sender of messages that a stream stores, in logs if `is_into_log`.
    pub(crate) fn acknowledged(
        connect: &'a Connect,
        denials: Denials,
        connection: &Connection,
        is_into_log: bool,
    ) -> Self {
        let publisher = Publisher::new(connect, denials, connection.server.clone());
        Self::over(Way::Acknowledged(Box::new(publisher)), connection.remote.clone(), is_into_log)
    }

    /// Returns a sender of messages that no stream stores, over a connection that never reconnects: it would send the same
    /// messages again, or lose some.
    pub(crate) async fn plain(connect: &Connect, denials: Denials, connection: &Connection) -> Result<Self> {
        let client = connect.open_once(denials).await?;
        let remote = Remote::with_prefix(client.clone(), connection.remote.subjects().prefix.clone())
            .with_timeout(connect.timeout);
        let server = connection.server.clone();
        Ok(Self::over(Way::Plain(Box::new(Plain { client, server })), remote, false))
    }

    fn over(way: Way<'a>, remote: Remote, is_into_log: bool) -> Self {
        Self {
            way,
            remote,
            id: new_message_id(),
            is_into_log,
            unconfirmed: 0,
            unconfirmed_bytes: 0,
            confirmed: 0,
            confirmed_at: Instant::now(),
        }
    }

    /// Returns the number of events that have certainly been sent.
    pub(crate) fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// Returns the message of an event.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] and [`ErrorKind::Invalid`] for one that cannot be sent, with the place of it.
    pub(crate) fn message(&self, event: &Event, subject: String) -> Result<Message> {
        let headers = self.checked_headers(event).map_err(|error| {
            let place = MergedPosition { position: event.position, log: event.log.clone() };
            Error::new(error.kind(), format!("the event {place} cannot be sent: {error}")).because(error)
        })?;
        Ok(Message { subject, headers, data: event.record.data.clone().into_bytes() })
    }

    /// Sends the message of an event.
    pub(crate) async fn send(&mut self, event: &Event, message: Message) -> Result<()> {
        if self.unconfirmed == 0 {
            self.confirmed_at = Instant::now();
        }
        self.unconfirmed += 1;
        self.unconfirmed_bytes += event.record.bytes();
        match &mut self.way {
            Way::Acknowledged(publisher) => publisher.send(message).await,
            Way::Plain(plain) => {
                let Message { subject, headers, data } = message;
                let sent = plain.client.publish_with_headers(subject, headers, data).await;
                sent.map_err(|error| plain.lost().because(error))
            }
        }
    }

    /// Returns true if [`Sender::confirm`] is due.
    pub(crate) fn is_confirmation_due(&self) -> bool {
        self.unconfirmed_bytes >= CONFIRM_BYTES || self.confirmation_due().is_some_and(|due| due <= Instant::now())
    }

    /// Returns the time at which [`Sender::confirm`] is due; `None` if all that was sent is confirmed.
    pub(crate) fn confirmation_due(&self) -> Option<Instant> {
        (self.unconfirmed > 0).then(|| self.confirmed_at + CONFIRM_AFTER)
    }

    /// Waits until all that was sent has certainly reached its stream, or the server.
    pub(crate) async fn confirm(&mut self, last: &Event) -> Result<()> {
        match &mut self.way {
            Way::Acknowledged(publisher) => publisher.finish().await?,
            Way::Plain(plain) => plain.confirm(&self.remote, last).await?,
        }
        self.confirmed += self.unconfirmed as u64;
        (self.unconfirmed, self.unconfirmed_bytes) = (0, 0);
        Ok(())
    }

    /// Returns the headers of an event, with the place where it is from.
    fn checked_headers(&self, event: &Event) -> Result<HeaderMap> {
        self.remote.check_size(&event.record)?;
        let metadata = match event.record.metadata.get(header::REJECTED).is_empty() {
            true => event.record.metadata.clone(),
            // It has all headers of its message, also those that told the stream what to do.
            false => without_rejected_names(&event.record.metadata),
        };
        let mut headers = header_map(&Record { metadata, ..Record::default() })?;
        let place = format!("{}@{}", event.log, event.position);
        if let Way::Acknowledged(_) = self.way {
            // The event keeps its id under another name: by its own, the stream could take it for one that it has already.
            let own = headers.get(header::MSG_ID).map(|own| own.as_str().to_owned());
            if headers.get(header::STORED_MSG_ID).is_none() && (own.is_some() || self.is_into_log) {
                headers.insert(header::STORED_MSG_ID, own.unwrap_or_default());
            }
            headers.insert(header::MSG_ID, format!("{}:{place}", self.id));
        }
        headers.append(header::REPLAY, place);
        Ok(headers)
    }
}

impl Plain {
    /// Waits until the server has taken the messages. It takes those of a connection in their order, so that any answer
    /// comes after them.
    async fn confirm(&self, remote: &Remote, last: &Event) -> Result<()> {
        let request = ReplayRequest { limit: Some(1), ..ReplayRequest::default() };
        let answer = remote.replay(&last.log, &request).await;
        let is_unanswered = answer.err().is_some_and(|error| error.kind() == ErrorKind::Deadline);
        if is_unanswered || self.client.connection_state() != State::Connected { Err(self.lost()) } else { Ok(()) }
    }

    fn lost(&self) -> Error {
        let context = format!("the connection to {} was lost", nats::without_secrets(&self.server));
        Error::new(ErrorKind::Unavailable, context)
    }
}
