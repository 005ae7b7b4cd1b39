//! `replay`: reads one page of a log, in timeline or arrival order, as JSON or protobuf.

use std::{sync::Arc, time::Duration};

use hourlog::{
    ArrivalCursor, Cursor, Error, ErrorKind, LogId, Offset, Position, Reason, Result, Seq,
    read::{ArrivalQuery, End, Query},
    store::Store,
    wire::{HEADROOM_BYTES, Order, PAGE_EVENTS_DEFAULT, PAGE_EVENTS_MAX, ReplayRequest, When},
};
use tokio::time::Instant;

use crate::{
    admission::Turn,
    filter::{Filter, Parts},
    log_actor::{LogMsg, More, PageOrWait},
    reading::{self, ReadPage, Reading},
};

use super::{
    Api, Reply, Request, filtered, fresh, moved,
    page::{AnyPage, Form},
    reply::{at_least_one, encoded_elsewhere},
};

/// Memory of an event beside its data and metadata, as it is read.
const BYTES_PER_EVENT: usize = 256;
/// Times that the bytes of a page are in memory: as read, and encoded.
const COPIES: usize = 2;
/// Size of a small page, in events and in bytes. Reading a larger one takes milliseconds.
const SMALL_MAX: (usize, usize) = (100, PAGE_BYTES_DEFAULT);
/// Default limit of a page, in bytes.
pub(super) const PAGE_BYTES_DEFAULT: usize = 512 * 1024;

/// Answers with the page that is `requested`. Returns also the cursor after which there may be more.
pub(super) async fn page<S: Store>(
    api: &Api<S>,
    log: &LogId,
    request: &Request,
    mut requested: ReplayRequest,
) -> Result<(Reply, Option<Cursor>)> {
    let wanted = requested.position;
    if let Some(position) = wanted {
        requested = request_at(position, requested)?;
    }
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
    if requested.seek && (requested.after.is_some() || requested.reverse || requested.order != Order::Timeline) {
        return Err(Error::invalid("seek goes forwards in timeline order; leave out reverse, order and after"));
    }
    let reply_bytes_max = api.client.max_payload().saturating_sub(HEADROOM_BYTES / 2);
    let form = Form::of(request);
    let bytes = bytes.min(form.bytes_max(reply_bytes_max));
    let filter = Filter::of(Parts {
        expression: requested.condition.as_deref(),
        text: requested.text.as_deref(),
        header: requested.header.as_deref(),
    })?;
    if filter.is_some() && requested.seek {
        return Err(Error::invalid("seek looks at every event; leave out where, text and header"));
    }
    let moved = match requested.after {
        Some(Cursor::Arrival(cursor)) => moved::moved(api, log, cursor).await?,
        _ => None,
    };
    if let Some(moved) = &moved {
        requested.after = Some(Cursor::Arrival(moved.resolved));
    }
    let limit = limit.min(form.events_max(reply_bytes_max));
    let size = match filter {
        Some(_) => (limit + filtered::SLICE.0, bytes + filtered::SLICE.1),
        None => (limit, bytes),
    };
    let wait = requested.wait.map_or(Duration::ZERO, |wait| wait.duration());
    let mut asked = Asked { request, size, wait, turn: None };
    asked.take_turn(api).await?;
    let reading = api.reading(log, &requested, limit, bytes).await?;
    let page = match filter {
        Some(filter) => api.filtered_page(log, &reading, requested.after, &Arc::new(filter), &mut asked).await?,
        None => api.page(log, &reading, requested.after, &mut asked).await?,
    };
    if let Some(position) = wanted.filter(|position| page.resolved() != Some(*position)) {
        return Err(Error::new(ErrorKind::NotFound, format!("{log} has no event at {position}")));
    }
    let mut turn = asked.turn;
    let mut page = AnyPage { moved, ..page };
    if begins_at_newest(&requested) {
        page.ahead = api.ahead(log).await?;
    }
    if requested.seek {
        page.reason = Some(api.reason(log, &reading, &page).await?);
    }
    if let Some(turn) = &mut turn {
        turn.shrink(memory((page.count(), page.bytes())));
    }
    let is_encoded_here = form.is_quick(&page);
    let (log, health) = (log.clone(), Arc::clone(&api.health));
    let encode = move || page.encode(&log, form, reply_bytes_max, &health.counters.replayed);
    let (reply, rest) = if is_encoded_here { encode() } else { encoded_elsewhere(encode).await }?;
    let reply = match turn {
        Some(turn) => reply.with_turn(turn),
        None => reply,
    };
    Ok((reply, rest))
}

/// Returns the request for the event at `position`.
fn request_at(position: Position, requested: ReplayRequest) -> Result<ReplayRequest> {
    let ReplayRequest { log, fresh, max_bytes, .. } = requested.clone();
    let alone = ReplayRequest { position: Some(position), log, fresh, max_bytes, ..ReplayRequest::default() };
    if alone != requested {
        return Err(Error::invalid("position is that of one event; leave out all that chooses or orders events"));
    }
    let after = position.previous().map(Cursor::Timeline);
    Ok(ReplayRequest { position: None, after, limit: Some(1), ..alone })
}

/// A log of another instance, as far as that one has stored it: what is archived up to there, every instance reads.
pub(super) struct Below<'a, S> {
    api: &'a Api<S>,
    log: &'a LogId,
    visible: Seq,
}

impl<'a, S: Store> Below<'a, S> {
    /// Returns `None` if only the owner can answer the request.
    pub(super) async fn new(
        api: &'a Api<S>,
        log: &'a LogId,
        instance: &str,
        requested: &ReplayRequest,
    ) -> Result<Option<Self>> {
        let is_last = |when: Option<When>| matches!(when, Some(When::Last));
        let names_another = requested.log.as_ref().is_some_and(|named| named != log);
        let needs_owner = names_another
            || requested.fresh
            || requested.seek
            || requested.position.is_some()
            || requested.condition.is_some()
            || requested.text.is_some()
            || requested.header.is_some()
            || is_last(requested.from)
            || is_last(requested.to)
            || begins_at_newest(requested);
        if needs_owner {
            return Ok(None);
        }
        let source = api.sources.of_log(&api.store, log).await?;
        let Some(stored) = api.health.ownership.stored_by(instance, source.stream()) else { return Ok(None) };
        let epochs = source.epochs();
        // An instance that has not learned of an epoch yet tells nothing about it.
        if !epochs.is_newest(0, stored) {
            return Ok(None);
        }
        Ok(Some(Self { api, log, visible: epochs.archived(log.slot(), stored.sequence()) }))
    }

    /// Reads and encodes a page. Returns also the cursor after which there may be more; `None` if the page would hold
    /// something that is not stored yet.
    pub(super) async fn page(
        &self,
        request: &Request,
        requested: &ReplayRequest,
    ) -> Result<Option<(Reply, Option<Cursor>)>> {
        let Self { api, log, visible } = *self;
        if let Some(Cursor::Arrival(cursor)) = requested.after
            && (cursor.seq > visible || moved::moved(api, log, cursor).await?.is_some())
        {
            return Ok(None);
        }
        let limit =
            at_least_one("limit", requested.limit)?.unwrap_or(PAGE_EVENTS_DEFAULT).min(PAGE_EVENTS_MAX) as usize;
        let bytes = at_least_one("max_bytes", requested.max_bytes)?.map_or(PAGE_BYTES_DEFAULT, |bytes| bytes as usize);
        let reply_bytes_max = api.client.max_payload().saturating_sub(HEADROOM_BYTES / 2);
        let form = Form::of(request);
        let (limit, bytes) = (limit.min(form.events_max(reply_bytes_max)), bytes.min(form.bytes_max(reply_bytes_max)));
        let mut asked = Asked { request, size: (limit, bytes), wait: Duration::ZERO, turn: None };
        asked.take_turn(api).await?;
        let reading = api.reading(log, requested, limit, bytes).await?;
        let read = reading::of_other(&api.store, log, &reading, visible).await?;
        if !read.read.is_below() {
            return Ok(None);
        }
        let (log, health, page) = (log.clone(), Arc::clone(&api.health), AnyPage::new(read, requested.after));
        let encode = move || page.encode(&log, form, reply_bytes_max, &health.counters.replayed);
        let (reply, rest) = encoded_elsewhere(encode).await?;
        let reply = match asked.turn {
            Some(turn) => reply.with_turn(turn),
            None => reply,
        };
        Ok(Some((reply, rest)))
    }
}

/// A request for a page, while it is answered.
struct Asked<'r> {
    request: &'r Request,
    /// The events and the bytes that it may hold in memory.
    size: (usize, usize),
    /// The time to wait for an event at the end of the log.
    wait: Duration,
    /// Its leave to read. It has none while it waits.
    turn: Option<Turn>,
}

/// The memory of events with their data and metadata while they are read and encoded.
pub(super) fn memory((events, bytes): (usize, usize)) -> usize {
    bytes * COPIES + events * BYTES_PER_EVENT
}

impl Asked<'_> {
    async fn take_turn<S: Store>(&mut self, api: &Api<S>) -> Result<()> {
        let is_large = self.size.0 > SMALL_MAX.0 || self.size.1 > SMALL_MAX.1;
        self.turn = Some(api.turn(self.request, memory(self.size), is_large).await?);
        Ok(())
    }

    /// Returns when the wait is over, if there is one.
    fn deadline(&self) -> Result<Option<Instant>> {
        if self.wait.is_zero() {
            return Ok(None);
        }
        Ok(Some(Instant::now() + self.request.place.begin_wait()?.min(self.wait)))
    }

    /// Waits until the log has an event, without a turn. Returns false if the wait is over, or if the log fails or is
    /// stopped for a rollback: the reader asks again.
    async fn wait(&mut self, more: &mut More, deadline: Instant) -> bool {
        self.turn = None;
        tokio::select! {
            changed = more.changed() => changed,
            () = tokio::time::sleep_until(deadline) => false,
        }
    }
}

impl<S: Store> Api<S> {
    /// Reads a page after the cursor `after`. Waits at the end of the log.
    async fn page(
        &self,
        log: &LogId,
        reading: &Reading,
        after: Option<Cursor>,
        asked: &mut Asked<'_>,
    ) -> Result<AnyPage> {
        let mut read = self.read(log, reading).await?;
        if read.read.is_empty_end()
            && let Some(deadline) = asked.deadline()?
        {
            let mut more;
            (read, more) = self.read_or_wait(log, reading).await?;
            while let Some(wait) = &mut more {
                if !asked.wait(wait, deadline).await {
                    break;
                }
                asked.take_turn(self).await?;
                (read, more) = self.read_or_wait(log, reading).await?;
            }
        }
        Ok(AnyPage::new(read, after))
    }

    /// Reads a page of the events that `filter` selects, after the cursor `after`. Waits for one at the end of the log.
    async fn filtered_page(
        &self,
        log: &LogId,
        reading: &Reading,
        after: Option<Cursor>,
        filter: &Arc<Filter>,
        asked: &mut Asked<'_>,
    ) -> Result<AnyPage> {
        let mut page = self.filtered(log, reading, after, filter).await?;
        let is_at_end = |page: &AnyPage| page.runs.is_empty() && page.end == End::CaughtUp;
        if !is_at_end(&page) {
            return Ok(page);
        }
        let Some(deadline) = asked.deadline()? else { return Ok(page) };
        while is_at_end(&page) {
            let rest = reading.after(page.next);
            if let (_, Some(mut wait)) = self.read_or_wait(log, &rest.with_limits(1, 1)).await?
                && !asked.wait(&mut wait, deadline).await
            {
                break;
            }
            asked.take_turn(self).await?;
            let found = self.filtered(log, &rest, page.next, filter).await?;
            page = AnyPage { scanned: page.scanned + found.scanned, expired: page.expired, ..found };
        }
        Ok(page)
    }

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
                let from = from.unwrap_or(Position::MIN);
                if to.is_some_and(|to| from > to) {
                    return Err(Error::invalid("from is later than to; give the earlier time as from"));
                }
                let query = Query { from, to, reverse: requested.reverse, limit, bytes };
                Ok(Reading::Timeline(after.map_or(query, |after| query.after(after))))
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

    /// Returns how the first event of `page`, if it has any, relates to the time at which `reading` begins.
    async fn reason(&self, log: &LogId, reading: &Reading, page: &AnyPage) -> Result<Reason> {
        let from = match reading {
            Reading::Timeline(query) => query.from.offset,
            Reading::Arrival(query) => query.after.time,
        };
        match page.resolved() {
            None => return Ok(Reason::AfterLast),
            Some(first) if first.offset == from => return Ok(Reason::Exact),
            Some(_) => {}
        }
        let to = Some(Position::at(from));
        let earlier = Reading::Timeline(Query { from: Position::MIN, to, reverse: true, limit: 1, bytes: 1 });
        let has_earlier = !AnyPage::new(self.read(log, &earlier).await?, None).runs.is_empty();
        Ok(match page.expired {
            _ if has_earlier => Reason::Next,
            Some(_) => Reason::Expired,
            None => Reason::BeforeFirst,
        })
    }

    /// Reads a page: of a snapshot, where the archive has one. Its other readers ask the log's actor, which knows what
    /// is archived completely.
    pub(super) async fn read(&self, log: &LogId, reading: &Reading) -> Result<ReadPage> {
        match self.store.snapshot()? {
            Some(snapshot) => reading::of_snapshot(snapshot, None, log, reading).await,
            None if !self.health.ownership.owns(log.slot()) => {
                let visible = self.sources.of_log(&self.store, log).await?.archived(log);
                reading::of_other(&self.store, log, reading, visible).await
            }
            None => Ok(self.read_or_wait(log, reading).await?.0),
        }
    }

    /// Has the log's actor read a page. One that is empty at the end of the log tells when there is more.
    async fn read_or_wait(&self, log: &LogId, reading: &Reading) -> Result<PageOrWait> {
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
