//! [`RemoteLog`]: the interface over the service.

use std::collections::VecDeque;

use async_nats::{
    HeaderMap,
    jetstream::{
        self,
        context::{PublishAckFuture, PublishError, PublishErrorKind},
        message::PublishMessage,
    },
};

use futures_util::{
    Stream,
    future::{Either, ready},
    stream,
};

use crate::{
    ArrivalCursor, Cursor, Error, ErrorKind, Event, Log, LogId, Offset, Position, Record, Result, Seeked, Sent, header,
    nats,
    wire::{self, Order, PAGE_EVENTS_MAX, ReplayRequest, When},
};

use super::{
    Arrivals, Remote,
    cursors::{arrival, stored},
    header_map,
    pages::Pages,
};

/// The publishes of [`Log::write_many`] that wait for an acknowledgement at the same time.
const ACKS_IN_FLIGHT: usize = 1_024;

/// A [`Log`] of the service.
///
/// ```no_run
/// use hourlog::{Events, Log, Record, Remote, remote::RemoteLog};
///
/// # async fn example(remote: Remote) -> hourlog::Result<()> {
/// let mut log: RemoteLog = remote.log(&"orders.eu".parse()?).await?;
/// let positions = log.write_many(vec![Record::new("a"), Record::new("b")]).await?;
/// log.seek(positions[0].offset).await?;
/// let events = log.read_many(100).await?;
/// # drop(events);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RemoteLog {
    remote: Remote,
    id: LogId,
    start: Start,
    ahead: VecDeque<Event>,
    pages: Option<Pages>,
    is_closed: bool,
}

/// The start of the next read.
#[derive(Debug, Clone, Copy)]
enum Start {
    First,
    At(Offset),
    After(Position),
}

impl RemoteLog {
    pub(super) fn new(remote: Remote, id: LogId) -> Self {
        Self { remote, id, start: Start::First, ahead: VecDeque::new(), pages: None, is_closed: false }
    }

    fn check_open(&self) -> Result<()> {
        if self.is_closed {
            return Err(Error::new(ErrorKind::Closed, format!("this handle on {} was closed; open another", self.id)));
        }
        Ok(())
    }

    fn drop_ahead(&mut self) {
        self.ahead.clear();
        self.pages = None;
    }

    /// Reads ahead until there is an event or the log ends.
    async fn read_ahead(&mut self) -> Result<()> {
        while self.ahead.is_empty() {
            let pages = self.pages.get_or_insert_with(|| {
                let (from, after) = match self.start {
                    Start::First => (None, None),
                    Start::At(offset) => (Some(When::At(offset)), None),
                    Start::After(position) => (None, Some(position.into())),
                };
                Pages::new(self.remote.clone(), self.id.clone(), ReplayRequest { from, after, ..Default::default() })
            });
            let page = pages.next().await?;
            let ended = pages.has_ended();
            if ended {
                // Later events need a new request.
                self.pages = None;
            }
            self.ahead = page.map(|page| page.events).unwrap_or_default().into();
            if ended {
                break;
            }
        }
        Ok(())
    }

    /// Writes each record with a request of its own, in order.
    async fn append_each(&self, records: Vec<Record>) -> Result<Vec<Position>> {
        let mut positions = Vec::with_capacity(records.len());
        for record in records {
            let appended = self.remote.append(&self.id, record).await;
            positions.push(appended.map_err(|error| after_archived(error, positions.len()))?.position);
        }
        Ok(positions)
    }

    /// Publishes `records` to the stream, in order, and adds the sequence of each to `sequences`.
    async fn publish(&self, records: Vec<(HeaderMap, Record)>, sequences: &mut Vec<u64>) -> Result<()> {
        let context = jetstream::ContextBuilder::new()
            .timeout(self.remote.timeout)
            .ack_timeout(self.remote.timeout)
            .max_ack_inflight(ACKS_IN_FLIGHT)
            .backpressure_on_inflight(true)
            .build(self.remote.client.clone());
        let subject = wire::wal_subject(&self.id);
        let mut in_flight: VecDeque<PublishAckFuture> = VecDeque::new();
        for (headers, record) in records {
            if in_flight.len() == ACKS_IN_FLIGHT {
                sequences.push(self.acked(in_flight.pop_front().expect("it is full")).await?);
            }
            let message = PublishMessage::build().payload(record.data.into_bytes()).headers(headers);
            let ack = context.send_publish(subject.clone(), message).await;
            in_flight.push_back(ack.map_err(|error| self.publish_error(error))?);
        }
        for ack in in_flight {
            sequences.push(self.acked(ack).await?);
        }
        Ok(())
    }

    async fn acked(&self, ack: PublishAckFuture) -> Result<u64> {
        ack.await.map(|ack| ack.sequence).map_err(|error| self.publish_error(error))
    }

    fn publish_error(&self, error: PublishError) -> Error {
        match error.kind() {
            PublishErrorKind::StreamNotFound => self.remote.no_service().because(error),
            PublishErrorKind::MaxPayloadExceeded => self.remote.too_large().because(error),
            _ => nats::publish_error(&format!("the stream of {}", self.remote.server), error),
        }
    }
}

/// Adds the number of archived records before the one that failed.
fn after_archived(error: Error, count: usize) -> Error {
    if count == 0 {
        return error;
    }
    let sent = error.sent().cloned().unwrap_or(Sent::Unknown);
    let text = format!("{error}; {count} of the records before it were archived");
    Error::new(error.kind(), text).with_sent(sent).because(error)
}

impl Log for RemoteLog {
    fn id(&self) -> &LogId {
        &self.id
    }

    async fn read(&mut self) -> Result<Option<Event>> {
        self.check_open()?;
        self.read_ahead().await?;
        let event = self.ahead.pop_front();
        if let Some(event) = &event {
            self.start = Start::After(event.position);
        }
        Ok(event)
    }

    async fn read_many(&mut self, limit: usize) -> Result<Vec<Event>> {
        self.check_open()?;
        self.read_ahead().await?;
        let some = self.ahead.len().min(limit);
        let events: Vec<Event> = self.ahead.drain(..some).collect();
        if let Some(event) = events.last() {
            self.start = Start::After(event.position);
        }
        Ok(events)
    }

    async fn seek(&mut self, offset: Offset) -> Result<Seeked> {
        self.check_open()?;
        let request =
            ReplayRequest { from: Some(When::At(offset)), limit: Some(1), seek: true, ..ReplayRequest::default() };
        let page = self.remote.replay(&self.id, &request).await?;
        let no_reason = || Error::new(ErrorKind::Unexpected, "the reply to a seek has no reason; compare the versions");
        let reason = page.reason.ok_or_else(no_reason)?;
        self.drop_ahead();
        self.start = Start::At(offset);
        Ok(Seeked { requested: offset, resolved: page.resolved, reason })
    }

    async fn write(&mut self, record: Record) -> Result<Position> {
        self.check_open()?;
        let reply = self.remote.append(&self.id, record).await?;
        self.drop_ahead();
        Ok(reply.position)
    }

    /// Appends the first record, so that the service has accepted one and its position is known. Publishes
    /// the others to the stream over the one connection, which keeps their order, and reads their positions
    /// back in arrival order, matched by their sequences. (Concurrent appends would arrive in any order.)
    /// This needs the right to publish below `log.`, as every publisher has it. Only the first one is retried when
    /// its outcome is unknown; after an error, [`Error::sent`] tells about the others. Records with `Nats-` headers
    /// mean something to the stream and are appended one by one.
    async fn write_many(&mut self, mut records: Vec<Record>) -> Result<Vec<Position>> {
        self.check_open()?;
        // Check all records before writing the first. The service decides how far ahead is too far.
        let mut headers = Vec::with_capacity(records.len());
        for record in &records {
            let checked = self.remote.check_size(record).and_then(|()| header_map(record)).and_then(|map| {
                record.clone().take_offset(Offset::MAX)?;
                Ok(map)
            });
            headers.push(checked.map_err(|error| error.with_sent(Sent::No))?);
        }
        self.drop_ahead();
        let to_the_stream = |record: &Record| record.metadata.iter().any(|(name, _)| header::is_nats(name));
        if records.len() < 3 || records.iter().any(to_the_stream) {
            return self.append_each(records).await;
        }
        let rest: Vec<_> = headers.drain(1..).zip(records.drain(1..)).collect();
        let mut positions = self.append_each(records).await?;
        let mut sequences = Vec::with_capacity(rest.len());
        let published = self.publish(rest, &mut sequences).await;
        // The records behind one that failed were under way, too.
        let partly = |error: Error| {
            let text =
                format!("{error}; 1 record was archived, {} more are in the stream, others may be", sequences.len());
            Error::new(error.kind(), text).with_sent(Sent::Unknown).because(error)
        };
        published.map_err(partly)?;
        let arrived = async { Arrivals::after(&self.remote, &self.id, positions[0]).await?.events(&sequences).await };
        positions.extend(arrived.await.map_err(partly)?.into_iter().map(|event| event.position));
        Ok(positions)
    }

    async fn arrivals_page(&mut self, after: ArrivalCursor, limit: usize) -> Result<(Vec<Event>, ArrivalCursor)> {
        self.check_open()?;
        if limit == 0 {
            return Ok((Vec::new(), after));
        }
        let mut after = after;
        loop {
            let request = ReplayRequest {
                after: Some(Cursor::Arrival(stored(after))),
                order: Order::Arrival,
                limit: Some(u32::try_from(limit).unwrap_or(PAGE_EVENTS_MAX).min(PAGE_EVENTS_MAX)),
                ..ReplayRequest::default()
            };
            let page = self.remote.replay(&self.id, &request).await?;
            if let Some(next) = page.next {
                after = arrival(next)?;
            }
            if !page.events.is_empty() || page.end.is_last() {
                return Ok((page.events, after));
            }
        }
    }

    /// An outage of the service is retried, as by [`Remote::tail`].
    fn tail(&mut self, after: ArrivalCursor) -> impl Stream<Item = Result<Event>> + Send {
        let request = ReplayRequest { after: Some(Cursor::Arrival(stored(after))), ..ReplayRequest::default() };
        match self.check_open() {
            Ok(()) => Either::Left(self.remote.tail(self.id.clone(), request)),
            Err(error) => Either::Right(stream::once(ready(Err(error)))),
        }
    }

    async fn close(&mut self) -> Result<()> {
        self.check_open()?;
        self.drop_ahead();
        self.is_closed = true;
        Ok(())
    }
}
