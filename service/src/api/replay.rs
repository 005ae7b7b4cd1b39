//! `replay`: reads one page of a log, in timeline or arrival order, as JSON or protobuf.

use std::{sync::Arc, time::Duration};

use hourlog::{
    ArrivalCursor, Cursor, Error, ErrorKind, Event, LogId, Offset, Position, Result,
    read::{ArrivalQuery, End, Query},
    store::Store,
    wire::{
        AheadReply, HEADROOM_BYTES, JSON, Moved, Order, PAGE_EVENTS_DEFAULT, PAGE_EVENTS_MAX, PROTOBUF, ReplayRequest,
        When,
        json::{JsonEvent, JsonPage},
        proto,
    },
};
use tokio::time::Instant;

use crate::{
    counters::Traffic,
    log_actor::{LogMsg, Read, ReadPage, Reading},
};

use super::{
    Api, Reply, Request, fresh, moved,
    reply::{at_least_one, encoded_elsewhere},
    yielding::YieldingWriter,
};

/// Memory of an event beside its data and metadata, as it is read.
const BYTES_PER_EVENT: usize = 256;
/// Times that the bytes of a page are in memory: as read, and encoded.
const COPIES: usize = 2;
/// Fewest bytes of an event as JSON. A page of JSON holds no more events than fit by this.
const JSON_EVENT_BYTES_MIN: usize = 100;
/// Size of a small page, in events and in bytes. Reading a larger one takes milliseconds.
const SMALL_MAX: (usize, usize) = (100, PAGE_BYTES_DEFAULT);
/// Size of a page up to which it is encoded at once. A larger one goes to another thread, so that this one
/// can answer others meanwhile.
const ENCODED_HERE_BYTES_MAX: usize = 64 << 10;
/// Start of a page as JSON.
const JSON_EVENTS: &str = "{\"events\":[";
/// Default limit of a page, in bytes.
const PAGE_BYTES_DEFAULT: usize = 512 * 1024;

/// A page of either order.
struct AnyPage {
    events: Vec<Event>,
    next: Option<Cursor>,
    end: End,
    scanned: u64,
    /// The time before which events were removed, if the request begins before it.
    expired: Option<Offset>,
    /// Where the request's cursor was moved, if it was.
    moved: Option<Moved>,
    /// The events ahead of now, before which a reverse page begins.
    ahead: Option<AheadReply>,
}

pub(super) async fn answer<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let mut requested: ReplayRequest = request.body()?;
    let limit = at_least_one("limit", requested.limit)?.unwrap_or(PAGE_EVENTS_DEFAULT).min(PAGE_EVENTS_MAX) as usize;
    let bytes = at_least_one("max_bytes", requested.max_bytes)?.map_or(PAGE_BYTES_DEFAULT, |bytes| bytes as usize);
    if requested.log.as_ref().is_some_and(|named| named != log) {
        return Err(Error::invalid(format!(
            "the body of the request names another log than its subject, which names {log}; leave it out of the body"
        )));
    }
    if requested.fresh {
        request.place.begin_wait()?;
        fresh::wait_until_fresh(api, &api.sources.of_log(&api.store, log).await?.health).await?;
    }
    let reply_bytes_max = api.client.max_payload().saturating_sub(HEADROOM_BYTES / 2);
    let bytes = bytes.min(reply_bytes_max);
    let moved = match requested.after {
        Some(Cursor::Arrival(cursor)) => moved::moved(api, log, cursor).await?,
        _ => None,
    };
    if let Some(moved) = &moved {
        requested.after = Some(Cursor::Arrival(moved.resolved));
    }
    let is_protobuf = request.wants_protobuf();
    let limit_max = if is_protobuf { usize::MAX } else { reply_bytes_max / JSON_EVENT_BYTES_MIN };
    let limit = limit.min(limit_max);
    let memory = |events: usize, bytes: usize| bytes * COPIES + events * BYTES_PER_EVENT;
    let is_large = limit > SMALL_MAX.0 || bytes > SMALL_MAX.1;
    let mut turn = Some(api.turn(request, memory(limit, bytes), is_large).await?);
    let reading = api.reading(log, &requested, limit, bytes).await?;
    let mut read = api.read(log, &reading).await?;
    let wait = requested.wait.map_or(Duration::ZERO, |wait| wait.duration());
    if read.more.is_some() && !wait.is_zero() {
        turn = None;
        let deadline = Instant::now() + request.place.begin_wait()?.min(wait);
        while let Some(more) = &mut read.more {
            tokio::select! {
                // If the log fails or is stopped for a rollback, the reader asks again.
                changed = more.changed() => if !changed { break },
                () = tokio::time::sleep_until(deadline) => break,
            }
            turn = Some(api.turn(request, memory(limit, bytes), is_large).await?);
            read = api.read(log, &reading).await?;
            if read.more.is_some() {
                turn = None;
            }
        }
    }
    let mut page = AnyPage { moved, ..any_page(read, requested.after) };
    if begins_at_newest(&requested) {
        page.ahead = api.ahead(log).await?;
    }
    if let Some(turn) = &mut turn {
        turn.shrink(memory(page.events.len(), page.bytes()));
    }
    let is_encoded_here = page.events.len() <= SMALL_MAX.0 && page.bytes() <= ENCODED_HERE_BYTES_MAX;
    let health = Arc::clone(&api.health);
    let encode = move || {
        let as_format = if is_protobuf { as_protobuf } else { as_json };
        as_format(page, reply_bytes_max, &health.counters.replayed)
    };
    let reply = if is_encoded_here { encode() } else { encoded_elsewhere(encode).await };
    let reply = reply?;
    Ok(match turn {
        Some(turn) => reply.with_turn(turn),
        None => reply,
    })
}

impl<S: Store> Api<S> {
    /// Resolves the request to positions and limits.
    async fn reading(&self, log: &LogId, requested: &ReplayRequest, limit: usize, bytes: usize) -> Result<Reading> {
        let from = self.position(log, requested.from).await?;
        let to = match requested.to {
            None if begins_at_newest(requested) => Some(self.ahead_from()),
            Some(When::End) => None,
            // A range that ends with the newest event includes it.
            Some(When::Last) => Some(self.newest(log).await?.map_or(Position::MIN, |(newest, _)| newest.next())),
            to => self.position(log, to).await?,
        };
        match requested.order {
            Order::Timeline => {
                let after = match requested.after {
                    Some(Cursor::Timeline(position)) => Some(position),
                    Some(Cursor::Arrival(cursor)) => {
                        return Err(Error::invalid(format!(
                            "{cursor} is a cursor of arrival order; send it with order arrival"
                        )));
                    }
                    None => None,
                };
                let mut from = from.unwrap_or(Position::MIN);
                let mut to = to;
                if to.is_some_and(|to| from > to) {
                    return Err(Error::invalid("from is later than to; give the earlier time as from"));
                }
                match after {
                    Some(after) if requested.reverse => to = Some(to.map_or(after, |to| to.min(after))),
                    Some(after) => from = from.max(after.next()),
                    None => {}
                }
                Ok(Reading::Timeline(Query { from, to, reverse: requested.reverse, limit, bytes }))
            }
            Order::Arrival => {
                if requested.reverse || requested.to.is_some() {
                    return Err(Error::invalid(
                        "order arrival has no end and cannot be reversed; leave out reverse and to",
                    ));
                }
                let after = match (requested.after, requested.from) {
                    (Some(Cursor::Arrival(cursor)), _) => cursor,
                    (Some(Cursor::Timeline(position)), _) => {
                        return Err(Error::invalid(format!(
                            "{position} is a cursor of timeline order; send one of arrival order, which begins with a:"
                        )));
                    }
                    (None, Some(When::Last)) => match self.newest(log).await? {
                        // Whatever arrives later is found from the arrival time on, not from a time ahead of it.
                        Some((last, time)) => ArrivalCursor { time, seq: last.seq.saturating_previous() },
                        None => ArrivalCursor::FIRST,
                    },
                    (None, Some(When::End)) => {
                        return Err(Error::invalid(
                            "order arrival cannot begin at end; give last for the newest event, or a time",
                        ));
                    }
                    (None, _) => {
                        ArrivalCursor { time: from.map_or(Offset::MIN, |from| from.offset), ..ArrivalCursor::FIRST }
                    }
                };
                Ok(Reading::Arrival(ArrivalQuery { after, limit, bytes }))
            }
        }
    }

    /// Has the log's actor read a page.
    async fn read(&self, log: &LogId, reading: &Reading) -> Result<ReadPage> {
        self.ask(log, |reply| LogMsg::Replay { reading: reading.clone(), reply }).await?
    }

    /// Resolves a time of the request to a position. `last` reads the newest event that does not lie ahead.
    async fn position(&self, log: &LogId, when: Option<When>) -> Result<Option<Position>> {
        let Some(when) = when else { return Ok(None) };
        match when {
            When::First => Ok(Some(Position::MIN)),
            When::Last => Ok(Some(self.newest(log).await?.map_or(Position::MIN, |(position, _)| position))),
            When::End => Ok(Some(Position::MAX)),
            when => Ok(when.offset(self.health.time.now()).map(Position::at)),
        }
    }
}

/// Returns true for a reverse read that says neither where it begins nor what it continues after. It
/// begins at the newest event that does not lie ahead of now.
fn begins_at_newest(requested: &ReplayRequest) -> bool {
    requested.order == Order::Timeline && requested.reverse && requested.to.is_none() && requested.after.is_none()
}

fn any_page(ReadPage { read, expired, .. }: ReadPage, after: Option<Cursor>) -> AnyPage {
    match read {
        Read::Timeline(page) => AnyPage {
            next: page.events.last().map(|event| Cursor::Timeline(event.position)).or(after),
            events: page.events,
            end: page.end,
            scanned: page.scanned,
            expired,
            moved: None,
            ahead: None,
        },
        Read::Arrival(page) => AnyPage {
            next: Some(Cursor::Arrival(page.next)),
            events: page.events,
            end: page.end,
            scanned: page.scanned,
            expired,
            moved: None,
            ahead: None,
        },
    }
}

fn as_protobuf(page: AnyPage, bytes_max: usize, replayed: &Traffic) -> Result<Reply> {
    let mut bytes = 0;
    let fits = page.events.iter().take_while(|event| {
        bytes += proto::size(event);
        bytes <= bytes_max
    });
    let count = fits.count();
    let page = page.cut_to(count, bytes, "protobuf")?;
    page.count(replayed);
    let resolved = page.resolved().map(|resolved| resolved.to_string());
    let events = page.events.into_iter().map(proto::Event::from).collect();
    let end = proto::End::from(page.end) as i32;
    let next = page.next.map(|next| next.to_string());
    let (expired, ahead) = (page.expired.map(Offset::nanos), page.ahead.map(proto::Ahead::from));
    let moved = page.moved.map(proto::Moved::from);
    let page = proto::Page { events, next, end, resolved, scanned: page.scanned, expired, ahead, moved };
    Ok(Reply { body: proto::encode(&page), content_type: PROTOBUF, turn: None })
}

fn as_json(page: AnyPage, bytes_max: usize, replayed: &Traffic) -> Result<Reply> {
    let failed = |error| Error::new(ErrorKind::Unexpected, "failed to encode the reply").because(error);
    // The list of events comes first, and the rest depends on how many of them fit.
    let mut body = YieldingWriter::default();
    body.bytes.extend_from_slice(JSON_EVENTS.as_bytes());
    let (mut count, mut bytes) = (0, 0);
    for event in &page.events {
        let end = body.bytes.len();
        if count > 0 {
            body.bytes.push(b',');
        }
        // JSON escapes make an event larger, so only encoding it tells its size.
        serde_json::to_writer(&mut body, &JsonEvent::from(event)).map_err(failed)?;
        bytes = body.bytes.len();
        if bytes > bytes_max {
            body.bytes.truncate(end);
            break;
        }
        count += 1;
    }
    let page = page.cut_to(count, bytes, "JSON")?;
    page.count(replayed);
    let rest = JsonPage {
        resolved: page.resolved(),
        events: Vec::new(),
        next: page.next,
        end: page.end.into(),
        expired: page.expired,
        moved: page.moved,
        ahead: page.ahead,
        scanned: page.scanned,
    };
    let rest = serde_json::to_string(&rest).map_err(failed)?;
    body.bytes.extend_from_slice(rest.strip_prefix(JSON_EVENTS).expect("the events are the first field").as_bytes());
    Ok(Reply { body: body.bytes.into(), content_type: JSON, turn: None })
}

impl AnyPage {
    /// Returns the position of the first event.
    fn resolved(&self) -> Option<Position> {
        self.events.first().map(|event| event.position)
    }

    fn count(&self, replayed: &Traffic) {
        replayed.add(self.events.len(), self.bytes());
    }

    /// Returns the bytes of the events' data and metadata.
    fn bytes(&self) -> usize {
        self.events.iter().map(|event| event.record.bytes()).sum()
    }

    /// Cuts the page to its first `count` events, which fit. With the next one, it takes `bytes`.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when not even the first event fits.
    fn cut_to(mut self, count: usize, bytes: usize, format: &str) -> Result<Self> {
        if count == self.events.len() {
            return Ok(self);
        }
        let Some(last) = count.checked_sub(1).map(|last| &self.events[last]) else {
            let position = self.events[0].position;
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "event {position} takes {bytes} bytes as {format}, above the limit of a reply; request it with the \
                     header Accept: {PROTOBUF} and limit 1"
                ),
            ));
        };
        self.next = Some(cursor_after(last, self.next));
        self.end = End::More;
        self.events.truncate(count);
        Ok(self)
    }
}

/// Returns the cursor after `last`, of the same kind as `next`.
fn cursor_after(last: &Event, next: Option<Cursor>) -> Cursor {
    match next {
        // The time of an arrival cursor may be too early, but not after the bucket's later
        // arrivals.
        Some(Cursor::Arrival(_)) => {
            let time = last.arrival_time().min(last.position.offset);
            Cursor::Arrival(ArrivalCursor { time, seq: last.position.seq })
        }
        _ => Cursor::Timeline(last.position),
    }
}
