//! `replay`: reads one page of a log, in timeline or arrival order, as JSON or protobuf.

use std::time::Duration;

use hourlog::{
    ArrivalCursor, Cursor, Error, ErrorKind, Event, LogId, Offset, Position, Result, Seq,
    read::{ArrivalQuery, End, Query, page},
    store::Store,
    wire::{
        HEADROOM_BYTES, Order, PAGE_EVENTS_DEFAULT, PAGE_EVENTS_MAX, PROTOBUF, ReplayRequest, When,
        json::{JsonEvent, JsonPage},
        proto,
    },
};

use crate::{
    counters::Traffic,
    log_actor::{LogMsg, Read, ReadPage, Reading},
};

use super::{Api, Reply, Request, fresh};

/// Longest wait of a request for events.
const WAIT_MAX: Duration = Duration::from_secs(300);
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
}

pub(super) async fn answer<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let requested: ReplayRequest = request.body()?;
    if requested.log.as_ref().is_some_and(|named| named != log) {
        return Err(Error::invalid(format!(
            "the body of the request names another log than its subject, which names {log}; leave it out of the body"
        )));
    }
    if requested.fresh {
        fresh::wait_until_fresh(api, &api.sources.of_log(&api.store, log).await?.health).await?;
    }
    let wait = requested.wait.map_or(Duration::ZERO, |span| span.duration().min(WAIT_MAX));
    let reply_bytes_max = api.client.max_payload().saturating_sub(HEADROOM_BYTES / 2);
    let bytes = requested.max_bytes.map_or(PAGE_BYTES_DEFAULT, |bytes| bytes as usize).min(reply_bytes_max);
    let reading = api.reading(log, &requested, bytes).await?;
    let read = api.ask(log, |reply| LogMsg::Replay { reading: reading.clone(), wait, reply }).await?;
    let page = any_page(read?, requested.after);
    let replayed = &api.health.counters.replayed;
    if request.wants_protobuf() {
        as_protobuf(page, reply_bytes_max, replayed)
    } else {
        as_json(page, reply_bytes_max, replayed)
    }
}

impl<S: Store> Api<S> {
    /// Resolves the request to positions and limits.
    async fn reading(&self, log: &LogId, requested: &ReplayRequest, bytes: usize) -> Result<Reading> {
        let limit = requested.limit.unwrap_or(PAGE_EVENTS_DEFAULT).min(PAGE_EVENTS_MAX) as usize;
        let from = self.position(log, requested.from).await?;
        let to = self.position(log, requested.to).await?;
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
                    (None, Some(When::Last)) => {
                        let seq = from.map_or(Seq::ZERO, |last| last.seq.saturating_previous());
                        ArrivalCursor { time: from.map_or(Offset::MIN, |last| last.offset), seq }
                    }
                    (None, _) => {
                        ArrivalCursor { time: from.map_or(Offset::MIN, |from| from.offset), ..ArrivalCursor::FIRST }
                    }
                };
                Ok(Reading::Arrival(ArrivalQuery { after, limit, bytes }))
            }
        }
    }

    /// Resolves a time of the request to a position. `last` reads the newest event.
    async fn position(&self, log: &LogId, when: Option<When>) -> Result<Option<Position>> {
        let Some(when) = when else { return Ok(None) };
        match when {
            When::First => Ok(Some(Position::MIN)),
            When::Last => {
                let newest = Query { reverse: true, limit: 1, ..Query::ALL };
                let newest = page(&self.store, log, &newest, Seq::MAX).await?;
                Ok(Some(newest.events.first().map_or(Position::MIN, |event| event.position)))
            }
            when => Ok(when.offset((self.settings.clock)()).map(Position::at)),
        }
    }
}

fn any_page(ReadPage { read, expired }: ReadPage, after: Option<Cursor>) -> AnyPage {
    match read {
        Read::Timeline(page) => AnyPage {
            next: page.events.last().map(|event| Cursor::Timeline(event.position)).or(after),
            events: page.events,
            end: page.end,
            scanned: page.scanned,
            expired,
        },
        Read::Arrival(page) => AnyPage {
            next: Some(Cursor::Arrival(page.next)),
            events: page.events,
            end: page.end,
            scanned: page.scanned,
            expired,
        },
    }
}

fn as_protobuf(page: AnyPage, bytes_max: usize, replayed: &Traffic) -> Result<Reply> {
    let page = page.cut_to(bytes_max, "protobuf", proto::size)?;
    page.count(replayed);
    let resolved = page.resolved().map(|resolved| resolved.to_string());
    let events = page.events.into_iter().map(proto::Event::from).collect();
    let end = proto::End::from(page.end) as i32;
    let next = page.next.map(|next| next.to_string());
    let page =
        proto::Page { events, next, end, resolved, scanned: page.scanned, expired: page.expired.map(Offset::nanos) };
    Ok(Reply { body: proto::encode(&page), content_type: PROTOBUF })
}

fn as_json(page: AnyPage, bytes_max: usize, replayed: &Traffic) -> Result<Reply> {
    // JSON escapes make an event larger, so only encoding it tells its size.
    let size =
        |event: &Event| serde_json::to_string(&JsonEvent::from(event)).map_or(usize::MAX / 2, |text| text.len() + 1);
    let page = page.cut_to(bytes_max, "JSON", size)?;
    page.count(replayed);
    Reply::json(&JsonPage {
        resolved: page.resolved(),
        events: page.events.iter().map(JsonEvent::from).collect(),
        next: page.next,
        end: page.end.into(),
        expired: page.expired,
        scanned: page.scanned,
    })
}

impl AnyPage {
    /// Returns the position of the first event.
    fn resolved(&self) -> Option<Position> {
        self.events.first().map(|event| event.position)
    }

    fn count(&self, replayed: &Traffic) {
        replayed.add(self.events.len(), self.events.iter().map(|event| event.record.bytes()).sum());
    }

    /// Cuts the page before the first event that would exceed `bytes_max`.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when not even the first event fits.
    fn cut_to(mut self, bytes_max: usize, format: &str, size: impl Fn(&Event) -> usize) -> Result<Self> {
        let mut bytes = 0;
        let fits = self.events.iter().take_while(|event| {
            bytes += size(event);
            bytes <= bytes_max
        });
        let count = fits.count();
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
