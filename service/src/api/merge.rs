//! `merge`: one page of all logs below a prefix, in one timeline.
//!
//! - `firsts`: the first events of several logs. `page`: what is found, as it is sent.

mod firsts;
mod page;

use std::{sync::Arc, time::Duration};

use futures_util::future::{select_all, try_join_all};
use hourlog::{
    Cursor, Error, ErrorKind, LogId, Position, Result,
    read::{End, Query},
    store::{EncodedEvent, Run, Store},
    wire::{HEADROOM_BYTES, MergeRequest, MergedPosition, PAGE_EVENTS_DEFAULT, PAGE_EVENTS_MAX, When},
};
use tokio::{sync::watch, time::Instant};

use crate::{
    filter::{Filter, Parts},
    reading::{Reading, elsewhere},
};

use super::{
    Api, Reply, Request,
    below::Below,
    fresh,
    page::{AnyPage, Form},
    replay::{PAGE_BYTES_DEFAULT, memory},
    reply::{at_least_one, encoded_elsewhere},
};

use firsts::{Firsts, Place};
use page::MergedPage;

/// The logs that are read at once from a database, where a read takes a millisecond.
const READ_AT_ONCE: usize = 8;
/// The events and the bytes that are merged before the filter looks at them.
const SLICE: (usize, usize) = (20_000, 4 << 20);
/// The time after which a page with a filter returns with what it has found.
const TIME_MAX: Duration = Duration::from_secs(1);
/// The shortest pause between two looks of a request that waits.
const LOOK_PAUSE: Duration = Duration::from_millis(5);
/// The pause after a look, as a multiple of the time that it took: a request that waits takes a fifth of a processor at most.
const PAUSE_FACTOR: u32 = 4;

/// Answers a request for the logs below `prefix`, or for all.
pub(super) async fn answer<S: Store>(api: &Api<S>, prefix: Option<&LogId>, request: &Request) -> Result<Reply> {
    let requested: MergeRequest = request.body()?;
    let limit = at_least_one("limit", requested.limit)?.unwrap_or(PAGE_EVENTS_DEFAULT).min(PAGE_EVENTS_MAX) as usize;
    let bytes = at_least_one("max_bytes", requested.max_bytes)?.map_or(PAGE_BYTES_DEFAULT, |bytes| bytes as usize);
    let reply_bytes_max = api.client.max_payload().saturating_sub(HEADROOM_BYTES / 2);
    let form = Form::of(request);
    let limit = limit.min(form.events_max(reply_bytes_max));
    let bytes = bytes.min(form.bytes_max(reply_bytes_max));
    let filter = Filter::of(Parts {
        expression: requested.condition.as_deref(),
        text: requested.text.as_deref(),
        header: requested.header.as_deref(),
    })?;
    let below = Below::new(prefix, requested.pattern.as_deref())?;
    let query = api.merged_query(&requested, limit, bytes)?;
    if requested.fresh {
        request.place.begin_wait()?;
        for source in api.sources.iter() {
            fresh::wait_until_fresh(api, &source.health).await?;
        }
    }
    let size = if filter.is_some() { (limit + SLICE.0, bytes + SLICE.1) } else { (limit, bytes) };
    let merge = Merge { api, below, query, after: requested.after.clone(), filter: filter.map(Arc::new) };
    // A page, and the part of one log that is read for it.
    let take_turn = || api.turn(request, 2 * memory(size), true);
    let wait = requested.wait.map_or(Duration::ZERO, |wait| wait.duration());
    let mut turn = take_turn().await?;
    let mut archived = archived(api);
    let mut page = merge.page().await?;
    if page.events.is_empty() && page.end == End::CaughtUp && !wait.is_zero() {
        let deadline = Instant::now() + request.place.begin_wait()?.min(wait);
        let mut pause = LOOK_PAUSE;
        while page.events.is_empty() && page.end == End::CaughtUp {
            drop(turn);
            let is_over = tokio::time::timeout_at(deadline, async {
                any_changed(&mut archived).await;
                tokio::time::sleep(pause).await;
            });
            let is_over = is_over.await.is_err();
            turn = take_turn().await?;
            if is_over {
                break;
            }
            let begun = Instant::now();
            let scanned = page.scanned;
            page = merge.page().await?;
            page.scanned += scanned;
            pause = (begun.elapsed() * PAUSE_FACTOR).max(LOOK_PAUSE);
        }
    }
    let health = Arc::clone(&api.health);
    let reply = encoded_elsewhere(move || page.encode(form, reply_bytes_max, &health.counters.replayed)).await?;
    Ok(reply.with_turn(turn))
}

/// Returns the sequences up to which the sources are archived.
fn archived<S>(api: &Api<S>) -> Vec<watch::Receiver<u64>> {
    api.sources.iter().map(|source| source.health.archived.subscribe()).collect()
}

/// Waits until something was archived.
async fn any_changed(archived: &mut [watch::Receiver<u64>]) {
    let changes = archived.iter_mut().map(|archived| Box::pin(archived.changed()));
    // An error means that the source has stopped, and the service with it.
    let _ = select_all(changes).await;
}

/// A request that is answered.
struct Merge<'a, S> {
    api: &'a Api<S>,
    below: Below,
    query: Query,
    after: Option<MergedPosition>,
    filter: Option<Arc<Filter>>,
}

impl<S: Store> Merge<'_, S> {
    /// Reads a page.
    async fn page(&self) -> Result<MergedPage> {
        let logs = self.below.logs(self.api).await?;
        let (limit, bytes) = (self.query.limit, self.query.bytes);
        let Some(filter) = &self.filter else {
            return self.slice(logs, self.after.clone(), limit, bytes).await;
        };
        let deadline = Instant::now() + TIME_MAX;
        let mut page = MergedPage { logs, events: Vec::new(), next: self.after.clone(), end: End::More, scanned: 0 };
        let mut found_bytes = 0;
        while page.end == End::More && page.events.len() < limit && found_bytes < bytes {
            if page.scanned > 0 && Instant::now() >= deadline {
                page.end = End::Deadline;
                break;
            }
            let slice = self.slice(std::mem::take(&mut page.logs), page.next.take(), SLICE.0, SLICE.1).await?;
            let (filter, (limit, bytes)) = (Arc::clone(filter), (limit - page.events.len(), bytes - found_bytes));
            let slice = elsewhere(move || Some(Ok(selected(slice, &filter, limit, bytes, deadline)))).await?;
            found_bytes += slice.events.iter().map(|(_, event)| event.record_bytes()).sum::<usize>();
            page.events.extend(slice.events);
            let scanned = page.scanned + slice.scanned;
            page = MergedPage { scanned, events: page.events, ..slice };
        }
        Ok(page)
    }

    /// Reads the first events after `after`, whatever they hold.
    async fn slice(
        &self,
        logs: Vec<LogId>,
        after: Option<MergedPosition>,
        limit: usize,
        bytes: usize,
    ) -> Result<MergedPage> {
        let mut firsts = Firsts::new(self.query.reverse, limit, bytes);
        let at_once = if self.api.store.snapshot()?.is_some() { 1 } else { READ_AT_ONCE };
        let indices: Vec<usize> = (0..logs.len()).collect();
        for some in indices.chunks(at_once) {
            let bound = firsts.bound();
            let reads = some.iter().map(|index| {
                let query = Query { limit, bytes, ..self.query };
                let query = of_log(query, *index, &logs, after.as_ref(), bound);
                self.log_events(&logs[*index], query)
            });
            for (index, (events, read_to)) in some.iter().zip(try_join_all(reads).await?) {
                firsts.add(*index, events, read_to);
            }
        }
        let bound = firsts.bound();
        let mut page = MergedPage { logs, events: firsts.into_events(), next: after, end: self.end(), scanned: 0 };
        page.scanned = page.events.len() as u64;
        if let Some((position, log)) = bound {
            page.next = Some(MergedPosition { position, log: page.logs[log].clone() });
            page.end = End::More;
        } else if let Some(last) = page.events.last() {
            page.next = Some(page.place(last));
        }
        Ok(page)
    }

    /// Reads the first events of a log. Returns also the position up to which it was read, if it may have more.
    async fn log_events(&self, log: &LogId, query: Query) -> Result<(Vec<EncodedEvent>, Option<Position>)> {
        if query.to.is_some_and(|to| query.from >= to) {
            return Ok((Vec::new(), None));
        }
        let read = match self.api.read(log, &Reading::Timeline(query)).await {
            // It was deleted meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((Vec::new(), None)),
            read => AnyPage::new(read?, None),
        };
        let read_to = match read.next {
            Some(Cursor::Timeline(position)) if !read.end.is_last() => Some(position),
            _ => None,
        };
        let events = read.runs.into_iter().map(Run::into_events).collect::<Result<Vec<_>>>()?;
        Ok((events.concat(), read_to))
    }

    /// The reason why a page ends that has all events there are.
    fn end(&self) -> End {
        match (self.query.reverse, self.query.to) {
            (false, Some(_)) => End::Bound,
            (true, _) if self.query.from > Position::MIN => End::Bound,
            _ => End::CaughtUp,
        }
    }
}

/// Returns the query for what the log with this index adds to a page: after the place `after`, and up to `bound`.
fn of_log(query: Query, index: usize, logs: &[LogId], after: Option<&MergedPosition>, bound: Option<Place>) -> Query {
    let log = &logs[index];
    let mut query = after.map_or(query, |after| query.after(after.in_log(log, query.reverse)));
    if let Some((position, of)) = bound {
        let last = MergedPosition { position, log: logs[of].clone() }.in_log(log, query.reverse);
        if query.reverse {
            query.from = query.from.max(last);
        } else {
            query.to = Some(query.to.map_or(last.next(), |to| to.min(last.next())));
        }
    }
    query
}

/// Returns the events of `slice` that pass, up to a number, to bytes, and to the time at which the page ends.
fn selected(mut slice: MergedPage, filter: &Filter, limit: usize, bytes: usize, deadline: Instant) -> MergedPage {
    let events = std::mem::take(&mut slice.events);
    let (mut scanned, mut found_bytes) = (0, 0);
    for event in &events {
        if slice.events.len() >= limit || found_bytes >= bytes || scanned > 0 && Instant::now() >= deadline {
            break;
        }
        scanned += 1;
        let (log, encoded) = event;
        if !filter.rules_out(encoded.as_field()) && filter.selects(&encoded.decode(&slice.logs[*log])) {
            found_bytes += encoded.record_bytes();
            slice.events.push(event.clone());
        }
    }
    if scanned < events.len() {
        slice.next = events[..scanned].last().map(|last| slice.place(last)).or(slice.next);
        slice.end = End::More;
    }
    slice.scanned = scanned as u64;
    slice
}

impl<S: Store> Api<S> {
    /// Returns what is asked of each log, without the place after which it goes on.
    fn merged_query(&self, requested: &MergeRequest, limit: usize, bytes: usize) -> Result<Query> {
        let position = |name: &str, when: Option<When>| match when {
            None => Ok(None),
            Some(When::First) => Ok(Some(Position::MIN)),
            Some(When::End) => Ok(Some(Position::MAX)),
            Some(When::Last) => Err(Error::invalid(format!(
                "{name} is last, which is another time in each log; give a time, or read in reverse"
            ))),
            Some(when) => Ok(when.offset(self.health.time.now()).map(Position::at)),
        };
        let from = position("from", requested.from)?.unwrap_or(Position::MIN);
        let to = match requested.to {
            None if requested.reverse && requested.after.is_none() => Some(self.ahead_from()),
            Some(When::End) => None,
            to => position("to", to)?,
        };
        if to.is_some_and(|to| from > to) {
            return Err(Error::invalid("from is later than to; give the earlier time as from"));
        }
        Ok(Query { from, to, reverse: requested.reverse, limit, bytes })
    }
}
