//! [`RemoteLog`]: the interface over the service.

use std::collections::{HashMap, VecDeque};

use async_nats::{
    HeaderMap,
    jetstream::{
        self,
        context::{PublishAckFuture, PublishError, PublishErrorKind},
        message::PublishMessage,
    },
};

use crate::{
    Arrival, End, Error, ErrorKind, Event, Log, LogId, Offset, Position, Reason, Record, Result, Seeked, parts,
    wire::{self, Order, PAGE_EVENTS_MAX, ReplayRequest, When},
};

use super::{Remote, header_map, pages::Pages};

/// The publishes of [`Log::write_many`] that wait for the stream at once.
const ACKS_IN_FLIGHT: usize = 1_024;
/// The records for which the archive is given another second, beside the usual time for an answer.
const RECORDS_A_SECOND: u32 = 1_000;

/// A [`Log`] of the service.
#[derive(Debug)]
pub struct RemoteLog {
    remote: Remote,
    id: LogId,
    place: Place,
    ahead: VecDeque<Event>,
    pages: Option<Pages>,
    closed: bool,
}

/// Where to read next.
#[derive(Debug, Clone, Copy)]
enum Place {
    First,
    At(Offset),
    Behind(Position),
}

impl RemoteLog {
    pub(super) fn new(remote: Remote, id: LogId) -> Self {
        Self { remote, id, place: Place::First, ahead: VecDeque::new(), pages: None, closed: false }
    }

    fn open(&self) -> Result<()> {
        if self.closed {
            return Err(Error::new(ErrorKind::Closed, format!("this handle on {} was closed; open another", self.id)));
        }
        Ok(())
    }

    fn forget_ahead(&mut self) {
        self.ahead.clear();
        self.pages = None;
    }

    /// Sees that there is something ahead, unless the log ends here.
    async fn look_ahead(&mut self) -> Result<()> {
        while self.ahead.is_empty() {
            let pages = self.pages.get_or_insert_with(|| {
                let (from, after) = match self.place {
                    Place::First => (None, None),
                    Place::At(offset) => (Some(When::At(offset)), None),
                    Place::Behind(position) => (None, Some(position.to_string())),
                };
                Pages::new(self.remote.clone(), self.id.clone(), ReplayRequest { from, after, ..Default::default() })
            });
            let page = pages.next().await?;
            let ended = pages.ended();
            if ended {
                // What comes later is asked for anew.
                self.pages = None;
            }
            self.ahead = page.map(|page| page.events).unwrap_or_default().into();
            if ended {
                break;
            }
        }
        Ok(())
    }

    /// The first event that `request` asks for.
    async fn first(&self, request: ReplayRequest) -> Result<Option<Event>> {
        let mut pages = Pages::new(self.remote.clone(), self.id.clone(), ReplayRequest { limit: Some(1), ..request });
        while let Some(page) = pages.next().await? {
            if let Some(event) = page.events.into_iter().next() {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Writes each record with a request of its own, in order.
    async fn append_each(&self, records: Vec<Record>) -> Result<Vec<Position>> {
        let mut positions = Vec::with_capacity(records.len());
        for record in records {
            positions.push(self.remote.append(&self.id, record).await?.position);
        }
        Ok(positions)
    }

    /// Publishes `records` to the stream, in order, and answers the sequence of each.
    async fn publish(&self, records: Vec<(HeaderMap, Record)>) -> Result<Vec<u64>> {
        let context = jetstream::ContextBuilder::new()
            .timeout(self.remote.timeout)
            .ack_timeout(self.remote.timeout)
            .max_ack_inflight(ACKS_IN_FLIGHT)
            .backpressure_on_inflight(true)
            .build(self.remote.client.clone());
        let subject = wire::wal_subject(&self.id);
        let mut sequences = Vec::with_capacity(records.len());
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
        Ok(sequences)
    }

    async fn acked(&self, ack: PublishAckFuture) -> Result<u64> {
        ack.await.map(|ack| ack.sequence).map_err(|error| self.publish_error(error))
    }

    fn publish_error(&self, error: PublishError) -> Error {
        let too_large = std::error::Error::source(&error)
            .and_then(|source| source.downcast_ref::<jetstream::Error>())
            .is_some_and(|error| error.error_code() == jetstream::ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM);
        match error.kind() {
            _ if too_large => self.remote.too_large().because(error),
            PublishErrorKind::MaxPayloadExceeded => self.remote.too_large().because(error),
            PublishErrorKind::StreamNotFound => self.remote.nobody_answers(),
            PublishErrorKind::TimedOut => self.remote.timed_out(),
            _ => Error::new(
                ErrorKind::Unavailable,
                format!(
                    "the stream of {} has not taken an event of {}; see hourlog doctor",
                    self.remote.server, self.id
                ),
            )
            .because(error),
        }
    }

    /// The positions of the events with these sequences of the stream, all of which arrived behind `first`.
    async fn positions(&self, first: Position, sequences: &[u64]) -> Result<Vec<Position>> {
        let wanted = ReplayRequest {
            after: Some(Position { seq: first.seq - 1, ..first }.to_string()),
            ..ReplayRequest::default()
        };
        let first = self.first(wanted).await?.filter(|event| event.position == first).ok_or_else(|| {
            Error::new(ErrorKind::Integrity, format!("event {first} of {} was written and is not there", self.id))
        })?;
        let time = first.arrived.unwrap_or(first.position.offset);
        let mut after = Arrival { time, seq: first.position.seq };
        let more_time = sequences.len() as u32 / RECORDS_A_SECOND;
        let remote =
            self.remote.clone().timeout(self.remote.timeout + std::time::Duration::from_secs(more_time.into()));
        let mut found: HashMap<u64, Position> = HashMap::with_capacity(sequences.len());
        loop {
            let page = remote
                .replay(
                    &self.id,
                    &ReplayRequest {
                        after: Some(cursor(after)),
                        order: Order::Arrival,
                        limit: Some(PAGE_EVENTS_MAX),
                        fresh: true,
                        ..ReplayRequest::default()
                    },
                )
                .await?;
            found.extend(page.events.iter().map(|event| (parts(event.position.seq).1, event.position)));
            if let Some(next) = page.next {
                after = next.parse()?;
            }
            let caught_up = matches!(page.end, End::CaughtUp | End::Bound);
            if caught_up || sequences.last().is_some_and(|last| found.contains_key(last)) {
                break;
            }
        }
        let position = |sequence: &u64| {
            found.get(sequence).copied().ok_or_else(|| {
                Error::new(
                    ErrorKind::Rejected,
                    format!("message {sequence} was not taken into {}; the log _rejected says why", self.id),
                )
            })
        };
        sequences.iter().map(position).collect()
    }
}

/// A cursor as text, which has no seqs below zero: there are none.
fn cursor(after: Arrival) -> String {
    Arrival { seq: after.seq.max(0), ..after }.to_string()
}

impl Log for RemoteLog {
    fn id(&self) -> &LogId {
        &self.id
    }

    async fn read(&mut self) -> Result<Option<Event>> {
        self.open()?;
        self.look_ahead().await?;
        let event = self.ahead.pop_front();
        if let Some(event) = &event {
            self.place = Place::Behind(event.position);
        }
        Ok(event)
    }

    async fn read_many(&mut self, limit: usize) -> Result<Vec<Event>> {
        self.open()?;
        self.look_ahead().await?;
        let some = self.ahead.len().min(limit);
        let events: Vec<Event> = self.ahead.drain(..some).collect();
        if let Some(event) = events.last() {
            self.place = Place::Behind(event.position);
        }
        Ok(events)
    }

    async fn seek(&mut self, offset: Offset) -> Result<Seeked> {
        self.open()?;
        let at = Some(When::At(offset));
        let resolved = self.first(ReplayRequest { from: at, ..Default::default() }).await?.map(|event| event.position);
        let reason = match resolved {
            Some(position) if position.offset == offset => Reason::Exact,
            None => Reason::AfterLast,
            Some(_) => {
                let earlier = ReplayRequest { to: at, reverse: true, ..ReplayRequest::default() };
                if self.first(earlier).await?.is_some() { Reason::Next } else { Reason::BeforeFirst }
            }
        };
        self.forget_ahead();
        self.place = Place::At(offset);
        Ok(Seeked { requested: offset, resolved, reason })
    }

    async fn write(&mut self, record: Record) -> Result<Position> {
        self.open()?;
        let reply = self.remote.append(&self.id, record).await?;
        self.forget_ahead();
        Ok(reply.position)
    }

    /// The first record is appended, so that the service has accepted one and its position is known; the others are
    /// published to the stream itself over the one connection, which keeps their order. Their positions are then read
    /// back in arrival order, matched by the sequence that the stream gave each. (Appends in flight together
    /// would be faster to write down, and come in any order.) It needs the right to publish below `log.`, as every
    /// publisher has it. Records that carry `Nats-` names have a meaning to the stream and are appended one by one.
    async fn write_many(&mut self, mut records: Vec<Record>) -> Result<Vec<Position>> {
        self.open()?;
        // All of them are looked at before one is written. How far ahead is too far, the service decides.
        let mut headers = Vec::with_capacity(records.len());
        for record in &records {
            self.remote.fits(record)?;
            headers.push(header_map(&record.metadata)?);
            record.clone().take_offset(Offset::MAX)?;
        }
        self.forget_ahead();
        let to_the_stream = |record: &Record| record.metadata.iter().any(|(name, _)| name.starts_with("Nats-"));
        if records.len() < 3 || records.iter().any(to_the_stream) {
            return self.append_each(records).await;
        }
        let rest = headers.drain(1..).zip(records.drain(1..)).collect();
        let mut positions = self.append_each(records).await?;
        let sequences = self.publish(rest).await?;
        positions.extend(self.positions(positions[0], &sequences).await?);
        Ok(positions)
    }

    async fn follow(&mut self, after: Arrival, limit: usize) -> Result<(Vec<Event>, Arrival)> {
        self.open()?;
        let mut after = after;
        loop {
            let request = ReplayRequest {
                after: Some(cursor(after)),
                order: Order::Arrival,
                limit: Some(u32::try_from(limit).unwrap_or(PAGE_EVENTS_MAX).min(PAGE_EVENTS_MAX)),
                ..ReplayRequest::default()
            };
            let page = self.remote.replay(&self.id, &request).await?;
            if let Some(next) = page.next {
                after = next.parse()?;
            }
            if !page.events.is_empty() || matches!(page.end, End::CaughtUp | End::Bound) {
                return Ok((page.events, after));
            }
        }
    }

    async fn close(&mut self) -> Result<()> {
        self.open()?;
        self.forget_ahead();
        self.closed = true;
        Ok(())
    }
}
