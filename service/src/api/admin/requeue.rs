//! `admin.requeue`: sends rejected events to their logs again, one page per request.
//!
//! A repeated request adds nothing: each event is sent with `Hourlog-Once`, as an import does.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use async_nats::{
    HeaderMap,
    header::{HeaderName, HeaderValue},
};
use bytes::Bytes;
use hourlog::{
    Cursor, Error, ErrorKind, Event, LogId, Offset, Position, Record, Result, header,
    nats::publish_error,
    read::{Page, Query},
    store::Store,
    wire::{RequeueReply, RequeueRequest, StillRejected, wal_subject},
};

use crate::{
    api::{Api, Reply, Request, fresh},
    log_actor::LogMsg,
    reading::{Read, Reading},
    stream::{
        decode::{Decoded, Decoder},
        message::{Message, MessageKey},
    },
};

/// The rejected events of one request. Each is in flight until the stream acknowledges it.
const EVENTS_MAX: usize = 1_000;
/// The bytes of the rejected events of one request.
const BYTES_MAX: usize = 8 << 20;
/// The reasons in one reply.
const REASONS_MAX: usize = 10;
/// The longest value of [`header::ONCE`]: the service takes no greater number.
const ONCE_LONGEST: &str = "4294967295";

pub(in crate::api) async fn answer<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let requested: RequeueRequest = request.body()?;
    check(log, &requested)?;
    if requested.after.is_none() {
        request.place.begin_wait()?;
        fresh::wait_until_fresh(api, &api.sources.of_log(&api.store, log).await?.health).await?;
    }
    if let Some(target) = &requested.log {
        let owner = api.sources.of_log(&api.store, target).await?;
        if !owner.health.is_wal {
            let context = format!("log {target} belongs to the stream {}; give another log", owner.stream());
            return Err(Error::new(ErrorKind::Refused, context));
        }
    }
    let now = api.health.time.now();
    let requeue = Requeue { api, request, rejected: log, target: requested.log.as_ref(), now };
    let bound = |when: Option<hourlog::wire::When>| match when {
        None => Ok(None),
        Some(when) => when
            .offset(now)
            .map(|offset| Some(Position::at(offset)))
            .ok_or_else(|| Error::invalid(format!("{when} cannot bound a requeue; give a time"))),
    };
    let (from, to) = (bound(requested.from)?.unwrap_or(Position::MIN), bound(requested.to)?);
    let after = match requested.after {
        Some(Cursor::Timeline(position)) => Some(position),
        Some(cursor) => {
            return Err(Error::invalid(format!("{cursor} is not a cursor of a requeue; send the last next")));
        }
        None => None,
    };
    let page = requeue.page(from, after, to).await?;
    let mut counted = match after {
        Some(after) => requeue.count_before(&page.events, from, after).await?,
        None => Occurrences::default(),
    };
    let next = page.events.last().filter(|_| !page.end.is_last()).map(|event| Cursor::Timeline(event.position));
    let reply = requeue.send(page.events, &mut counted, requested.dry_run).await?;
    Reply::json(&RequeueReply { next, ..reply })
}

fn check(log: &LogId, requested: &RequeueRequest) -> Result<()> {
    let rejected = LogId::rejected();
    let of_other_source = log.as_str().strip_prefix(rejected.as_str()).is_some_and(|rest| rest.starts_with('.'));
    if *log != rejected && !of_other_source {
        return Err(Error::invalid(format!("log {log} holds no rejected events; requeue those of {rejected}")));
    }
    if of_other_source && requested.log.is_none() {
        let context = format!(
            "the events of {log} come from a stream of somebody else, to which nothing is sent; give a log to send them to"
        );
        return Err(Error::invalid(context));
    }
    match &requested.log {
        Some(target) if target.is_system() => {
            Err(Error::invalid(format!("log {target} is a system log; give an id that does not begin with _")))
        }
        _ => Ok(()),
    }
}

/// A request under way.
struct Requeue<'a, S> {
    api: &'a Api<S>,
    request: &'a Request,
    rejected: &'a LogId,
    target: Option<&'a LogId>,
    now: Offset,
}

/// A message for the stream, and the event that it becomes.
struct Outgoing {
    subject: String,
    headers: HeaderMap,
    data: Bytes,
    event: Event,
}

impl<S: Store> Requeue<'_, S> {
    async fn page(&self, from: Position, after: Option<Position>, to: Option<Position>) -> Result<Page> {
        let from = after.map_or(from, |after| from.max(after.next()));
        let query = Query { from, to, reverse: false, limit: EVENTS_MAX, bytes: BYTES_MAX };
        let reading = Reading::Timeline(query);
        // Ends with the read: the page is then sent piece by piece, which may last as long as the stream likes.
        let _turn = self.api.turn(self.request, BYTES_MAX, true).await?;
        let read = self.api.ask(self.rejected, |reply| LogMsg::Replay { reading: reading.clone(), reply }).await?;
        match read?.0.read {
            Read::Timeline(page) => page.decode(self.rejected),
            Read::Arrival(_) => Err(Error::new(ErrorKind::Unexpected, "a page has another order than its request")),
        }
    }

    /// Counts the events up to `after` that earlier pages have sent and that equal one of `events`.
    /// Equal events are told apart by the number of those before them.
    async fn count_before(&self, events: &[Event], from: Position, after: Position) -> Result<Occurrences> {
        let sent = |events: &[Event]| -> Vec<Event> {
            let timed = events.iter().filter(|event| has_own_time(event));
            timed.filter_map(|event| self.outgoing(event).ok()).map(|outgoing| outgoing.event).collect()
        };
        let mut counted = Occurrences::of(&sent(events));
        let mut counted_to = None;
        while !counted.0.is_empty() {
            let page = self.page(from, counted_to, Some(after.next())).await?;
            sent(&page.events).iter().for_each(|event| counted.add_known(event));
            match page.events.last() {
                Some(last) if !page.end.is_last() => counted_to = Some(last.position),
                _ => break,
            }
        }
        Ok(counted)
    }

    async fn send(&self, events: Vec<Event>, counted: &mut Occurrences, dry_run: bool) -> Result<RequeueReply> {
        let (mut reply, mut acks) = (RequeueReply::default(), Vec::new());
        let stream = &self.api.settings.stream;
        let failed = |error| publish_error(&format!("the stream {stream}"), error);
        let jetstream = self.api.jetstream();
        for event in events {
            match self.outgoing(&event) {
                Ok(Outgoing { subject, mut headers, data, event }) => {
                    headers.insert(header::ONCE, counted.add(&event).to_string());
                    reply.sent += 1;
                    if !dry_run {
                        acks.push(jetstream.publish_with_headers(subject, headers, data).await.map_err(failed)?);
                    }
                }
                Err(error) => {
                    reply.rejected += 1;
                    if reply.reasons.len() < REASONS_MAX {
                        reply.reasons.push(StillRejected { position: event.position, reason: error.to_string() });
                    }
                }
            }
        }
        for ack in acks {
            let published = ack.await.map_err(failed)?;
            if published.stream != *stream {
                let context = format!(
                    "the stream {} captures a rejected event's subject, so {stream} cannot; give a log to send it to",
                    published.stream
                );
                return Err(Error::new(ErrorKind::Refused, context));
            }
        }
        Ok(reply)
    }

    /// Returns the message that a rejected event is sent as.
    ///
    /// # Errors
    /// The reason why it would be rejected again.
    fn outgoing(&self, rejected: &Event) -> Result<Outgoing> {
        let metadata = &rejected.record.metadata;
        let subject = match (self.target, metadata.get(header::SUBJECT)) {
            (Some(target), _) => wal_subject(target),
            (None, [subject]) => subject.clone(),
            (None, _) => return Err(Error::invalid("the subject of the event is not known; give a log to send it to")),
        };
        let mut headers = self.headers(rejected)?;
        // Its real value follows. Like the service, the check counts all headers.
        headers.insert(header::ONCE, ONCE_LONGEST);
        let data = rejected.record.data.clone().into_bytes();
        let key = MessageKey { sequence: rejected.position.seq.sequence(), time: self.now };
        let message = Message { subject: &subject, headers: Some(&headers), payload: data.clone(), key };
        let sources = &self.api.sources;
        match Decoder::new(sources.wal(), sources).decode(message, self.now) {
            Decoded { rejected: Some(rejection), .. } => Err(rejection.error),
            Decoded { row, .. } => Ok(Outgoing { subject, headers, data, event: row.event }),
        }
    }

    /// Returns the headers of the message as it was published, without those that told the stream
    /// something. The event keeps its time: its own, or that of its first arrival.
    fn headers(&self, rejected: &Event) -> Result<HeaderMap> {
        let metadata = &rejected.record.metadata;
        let mut headers = HeaderMap::new();
        let has_stored_id = metadata.get_any_case(header::STORED_MSG_ID).next().is_some();
        for (name, values) in metadata.iter() {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            let name = if is(header::MSG_ID) && !has_stored_id {
                header::STORED_MSG_ID
            } else if header::is_nats(name)
                || [header::REJECTED, header::ONCE, header::RECEIPT, header::TIME].into_iter().any(is)
            {
                continue;
            } else {
                name
            };
            for value in values {
                match (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
                    (Ok(name), Ok(value)) => headers.append(name, value),
                    // The unchanged headers are kept in the metadata in another form.
                    _ if self.target.is_some() => {}
                    _ => {
                        let name = hourlog::wire::shorten(name);
                        return Err(Error::invalid(format!(
                            "the header {name:?} cannot be sent; give a log to send it to"
                        )));
                    }
                }
            }
        }
        let mut timed = Record::default();
        metadata.get_any_case(header::TIME).for_each(|value| timed.metadata.push(header::TIME, value));
        let own = (!timed.metadata.is_empty()).then(|| timed.take_offset(self.now));
        let offset = match own {
            Some(Ok(offset)) => offset,
            Some(Err(error)) if self.target.is_none() => return Err(error),
            _ => rejected.position.offset,
        };
        headers.insert(header::TIME, offset.to_string());
        Ok(headers)
    }
}

/// Returns true for an event with a time of its own. Others have a time that no second event has.
fn has_own_time(event: &Event) -> bool {
    event.record.metadata.get_any_case(header::TIME).next().is_some()
}

/// The number of times that each event was sent, by its hash.
#[derive(Default)]
struct Occurrences(HashMap<u64, u64>);

impl Occurrences {
    /// Returns the counts of `events`, none of which was sent yet.
    fn of(events: &[Event]) -> Self {
        Self(events.iter().map(|event| (Self::hash(event), 0)).collect())
    }

    /// Counts an event. Returns the number of equal ones before it.
    fn add(&mut self, event: &Event) -> u64 {
        let count = self.0.entry(Self::hash(event)).or_default();
        *count += 1;
        *count - 1
    }

    /// Counts an event if it equals one that is counted already, so that the counts take no more room.
    fn add_known(&mut self, event: &Event) {
        if let Some(count) = self.0.get_mut(&Self::hash(event)) {
            *count += 1;
        }
    }

    fn hash(event: &Event) -> u64 {
        let mut hash = DefaultHasher::new();
        event.log.hash(&mut hash);
        event.position.offset.hash(&mut hash);
        event.record.data.hash(&mut hash);
        event.record.metadata.iter().for_each(|(name, values)| (name, values).hash(&mut hash));
        hash.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_logs_of_rejected_events_can_be_requeued_and_those_of_others_need_a_target() {
        let to = |log: Option<&str>| RequeueRequest {
            log: log.map(|log| log.parse().expect("a valid id")),
            ..RequeueRequest::default()
        };
        for (log, target, accepted) in [
            ("_rejected", None, true),
            ("_rejected", Some("r"), true),
            ("_rejected", Some("_r"), false),
            ("_rejected.ORDERS", None, false),
            ("_rejected.ORDERS", Some("r"), true),
            ("_rejectedx", Some("r"), false),
            ("orders", Some("r"), false),
        ] {
            let log = log.parse().expect("a valid id");
            assert_eq!(check(&log, &to(target)).is_ok(), accepted, "{log} to {target:?}");
        }
    }

    #[test]
    fn only_the_events_of_a_page_are_counted_on_the_pages_before_it() {
        let mut source = conformance::rows::RowSource::new("r".parse().expect("a valid id"));
        let time = conformance::kit::at("10:00:00");
        let [one, same, other] = ["one", "one", "other"].map(|name| source.on_time(time, name).event);
        let mut counted = Occurrences::of(std::slice::from_ref(&one));
        [&one, &same, &other].into_iter().for_each(|event| counted.add_known(event));
        assert_eq!(counted.0.len(), 1);
        assert_eq!((counted.add(&one), counted.add(&other)), (2, 0));
    }
}
