//! `replay`: one page of a log.

use std::time::Duration;

use hourlog::{
    Arrival, ArrivalQuery, End, Error, ErrorKind, Event, LogId, Offset, Position, Query, Result, Seq, Store, page,
    wire::{
        HEADROOM_BYTES, Order, PAGE_EVENTS_DEFAULT, PAGE_EVENTS_MAX, PROTOBUF, ReplayRequest, When,
        json::{JsonEvent, JsonPage},
        proto,
    },
};

use crate::log_actor::{LogMsg, Read, Reading};

use super::{Api, Reply, Request, fresh};

/// How long a request may wait for events.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// The bytes of a page, unless the request says how many.
const PAGE_BYTES_DEFAULT: usize = 512 * 1024;

/// What was read, whichever the order.
struct Found {
    events: Vec<Event>,
    next: Option<String>,
    end: End,
    scanned: u64,
}

pub(super) async fn answer<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let asked: ReplayRequest = request.body()?;
    if asked.log.as_ref().is_some_and(|named| named != log.as_str()) {
        return Err(Error::invalid(format!(
            "the request's body names another log than its subject, which names {log}"
        )));
    }
    if asked.fresh {
        fresh::fresh(api).await?;
    }
    let wait = asked.wait.map_or(Duration::ZERO, |span| span.duration().min(WAIT_MAX));
    let reply_bytes_max = api.client.max_payload().saturating_sub(HEADROOM_BYTES / 2);
    let bytes = asked.max_bytes.map_or(PAGE_BYTES_DEFAULT, |bytes| bytes as usize).min(reply_bytes_max);
    let reading = api.reading(log, &asked, bytes).await?;
    let read = api.ask(log, |reply| LogMsg::Replay { reading: reading.clone(), wait, reply }).await?;
    let found = found(read?, asked.after);
    if request.wants_protobuf() { as_protobuf(found, reply_bytes_max) } else { as_json(found, reply_bytes_max) }
}

impl<S: Store> Api<S> {
    /// What the request means, in positions.
    async fn reading(&self, log: &LogId, asked: &ReplayRequest, bytes: usize) -> Result<Reading> {
        let limit = asked.limit.unwrap_or(PAGE_EVENTS_DEFAULT).min(PAGE_EVENTS_MAX) as usize;
        let from = self.position(log, asked.from).await?;
        let to = self.position(log, asked.to).await?;
        match asked.order {
            Order::Timeline => {
                let after: Option<Position> = asked.after.as_deref().map(str::parse).transpose()?;
                let mut from = from.unwrap_or(Position::MIN);
                let mut to = to;
                if to.is_some_and(|to| from > to) {
                    return Err(Error::invalid("from is later than to; a range goes from the earlier to the later"));
                }
                match after {
                    Some(after) if asked.reverse => to = Some(to.map_or(after, |to| to.min(after))),
                    Some(after) => from = from.max(after.next()),
                    None => {}
                }
                Ok(Reading::Timeline(Query { from, to, reverse: asked.reverse, limit, bytes, visible: Seq::MAX }))
            }
            Order::Arrival => {
                if asked.reverse || asked.to.is_some() {
                    return Err(Error::invalid("order arrival goes forwards without an end; leave out reverse and to"));
                }
                let after = match (&asked.after, asked.from) {
                    (Some(after), _) => after.parse()?,
                    (None, Some(When::Last)) => {
                        let seq = from.map_or(0, |last| last.seq.saturating_sub(1));
                        Arrival { time: from.map_or(Offset::MIN, |last| last.offset), seq }
                    }
                    (None, _) => Arrival { time: from.map_or(Offset::MIN, |from| from.offset), ..Arrival::FIRST },
                };
                Ok(Reading::Arrival(ArrivalQuery { after, limit, bytes, visible: Seq::MAX }))
            }
        }
    }

    async fn position(&self, log: &LogId, when: Option<When>) -> Result<Option<Position>> {
        let Some(when) = when else { return Ok(None) };
        match when {
            When::First => Ok(Some(Position::MIN)),
            When::Last => {
                let newest = Query { reverse: true, limit: 1, ..Query::ALL };
                let newest = page(&self.store, log, &newest).await?;
                Ok(Some(newest.events.first().map_or(Position::MIN, |event| event.position)))
            }
            when => Ok(when.offset((self.settings.clock)()).map(Position::at)),
        }
    }
}

fn found(read: Read, after: Option<String>) -> Found {
    match read {
        Read::Timeline(page) => Found {
            next: page.events.last().map(|event| event.position.to_string()).or(after),
            events: page.events,
            end: page.end,
            scanned: page.scanned,
        },
        Read::Arrival(page) => {
            Found { next: Some(page.next.to_string()), events: page.events, end: page.end, scanned: page.scanned }
        }
    }
}

fn as_protobuf(found: Found, bytes_max: usize) -> Result<Reply> {
    let found = found.fitting(bytes_max, "protobuf", proto::size)?;
    let resolved = found.events.first().map(|event| event.position.to_string());
    let events = found.events.into_iter().map(proto::Event::from).collect();
    let end = proto::End::from(found.end) as i32;
    let page = proto::Page { events, next: found.next, end, resolved, scanned: found.scanned };
    Ok(Reply { body: proto::encode(&page), content_type: PROTOBUF })
}

fn as_json(found: Found, bytes_max: usize) -> Result<Reply> {
    // JSON is larger than what it holds, and how much is seen only when it is written.
    let size =
        |event: &Event| serde_json::to_string(&JsonEvent::from(event)).map_or(usize::MAX / 2, |text| text.len() + 1);
    let found = found.fitting(bytes_max, "JSON", size)?;
    Reply::json(&JsonPage {
        resolved: found.events.first().map(|event| event.position.to_string()),
        events: found.events.iter().map(JsonEvent::from).collect(),
        next: found.next,
        end: found.end.into(),
        scanned: found.scanned,
    })
}

impl Found {
    /// The same, cut before the first event that does not fit any more.
    fn fitting(mut self, bytes_max: usize, form: &str, size: impl Fn(&Event) -> usize) -> Result<Self> {
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
                    "event {position} takes {bytes} bytes as {form}, more than a reply may have; ask with the header \
                     Accept: {PROTOBUF}, and for it alone with limit 1"
                ),
            ));
        };
        self.next = Some(cursor_like(self.next.as_deref(), last));
        self.end = End::More;
        self.events.truncate(count);
        Ok(self)
    }
}

/// The cursor behind `last`, of the kind that `next` is.
fn cursor_like(next: Option<&str>, last: &Event) -> String {
    if next.is_some_and(|next| next.starts_with("a:")) {
        // The time of an arrival cursor only has to lie at or before the bucket's later arrivals.
        let time = last.arrived.map_or(last.position.offset, |arrived| arrived.min(last.position.offset));
        return Arrival { time, seq: last.position.seq }.to_string();
    }
    last.position.to_string()
}
