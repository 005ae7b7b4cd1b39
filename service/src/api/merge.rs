//! `merge`: one page of all logs below a prefix, in one timeline.
//!
//! - `firsts`: the first events of several logs. `page`: what is found, as it is sent.

mod firsts;
mod page;

use std::{sync::Arc, time::Duration};

use futures_util::future::{select_all, try_join_all};
use hourlog::{
    Error, ErrorKind, LogId, Position, Result,
    read::{End, Query},
    store::{EncodedEvent, Run, Store},
    wire::{HEADROOM_BYTES, MergeRequest, MergedPosition, PAGE_EVENTS_DEFAULT, PAGE_EVENTS_MAX, When},
};
use tokio::{sync::watch, time::Instant};

use crate::{
    filter::{Filter, Parts},
    reading::{Reading, elsewhere, of_snapshot},
};

use super::{
    Api, Reply, Request,
    below::Below,
    page::{AnyPage, Form},
    replay::{PAGE_BYTES_DEFAULT, memory},
    reply::{at_least_one, encoded_elsewhere},
};

use firsts::{Firsts, Place};
use page::MergedPage;

/// The logs that are read at once from a database, where a read takes a millisecond.
const READ_AT_ONCE: usize = 8;
/// The events that a round reads of all logs together, if they are equally busy.
const ROUND_EVENTS: usize = 30_000;
/// The fewest events that a round reads of a log.
const SHARE_MIN: usize = 4;
/// The factor by which the next round reads more of a log, if few logs have most of the events.
const SHARE_GROWTH: usize = 4;
/// The events and the bytes of a log that are read at a time.
const SLICE: (usize, usize) = (8_000, 2 << 20);
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
    }
    api.gather(request, requested.fresh).await?;
    let size = (limit + SLICE.0, bytes + SLICE.1);
    let mut merge = Merge { api, below, query, after: requested.after.clone(), filter: filter.map(Arc::new) };
    let take_turn = || api.turn(request, memory(size), true);
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
            if is_over && api.is_gathered(request) {
                break;
            }
            let begun = Instant::now();
            api.gather(request, false).await?;
            let scanned = page.scanned;
            merge.after = page.next;
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

/// The next events of a log.
#[derive(Debug, Default)]
struct LogEvents {
    /// Those that pass.
    events: Vec<EncodedEvent>,
    /// The number of events that were read.
    scanned: u64,
    /// The position of the last of them.
    last: Option<Position>,
    /// There may be more after it.
    has_more: bool,
}

/// The events of one round.
struct Round {
    firsts: Firsts,
    /// The number of events that were read.
    scanned: u64,
    /// The last place of them.
    reached: Option<Place>,
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
    /// Reads a page, in rounds: each takes up to a share of the next events of every log, so that the memory does not
    /// depend on the logs. It is complete up to the first place at which a log may have more.
    async fn page(&self) -> Result<MergedPage> {
        let logs = self.below.logs(self.api).await?;
        let (limit, bytes) = (self.query.limit, self.query.bytes);
        // Without a filter, no log needs to give more than the page holds.
        let share_max = if self.filter.is_some() { ROUND_EVENTS } else { limit };
        let mut share = (ROUND_EVENTS / logs.len().max(1)).max(SHARE_MIN).min(share_max);
        let mut page = MergedPage { logs, events: Vec::new(), next: self.after.clone(), end: End::More, scanned: 0 };
        let mut found_bytes = 0;
        let deadline = Instant::now() + TIME_MAX;
        // One moment for all logs, where the archive has one: no log goes on behind the others.
        let snapshot = self.api.store.snapshot()?;
        loop {
            let firsts = Firsts::new(self.query.reverse, limit - page.events.len(), bytes.saturating_sub(found_bytes));
            let Round { firsts, scanned, reached } = self.round(firsts, &page, share, snapshot.as_ref()).await?;
            page.scanned += scanned;
            let bound = firsts.bound();
            let events = firsts.into_events();
            found_bytes += events.iter().map(|(_, event)| event.record_bytes()).sum::<usize>();
            page.events.extend(events);
            let Some((position, log)) = bound else {
                page.next = reached.map(|(position, log)| page.at(position, log)).or(page.next);
                page.end = self.end();
                return Ok(page);
            };
            page.next = Some(page.at(position, log));
            if page.events.len() >= limit || found_bytes >= bytes {
                return Ok(page);
            }
            if self.filter.is_some() && Instant::now() >= deadline {
                page.end = End::Deadline;
                return Ok(page);
            }
            if (scanned as usize) < ROUND_EVENTS / SHARE_GROWTH {
                share = (share * SHARE_GROWTH).min(share_max);
            }
        }
    }

    /// Reads up to a share of the next events of each log.
    async fn round(&self, mut firsts: Firsts, page: &MergedPage, share: usize, snapshot: Option<&S>) -> Result<Round> {
        let at_once = if snapshot.is_some() { 1 } else { READ_AT_ONCE };
        // The logs share the time of a filter, too: a page ends where the first of them ran out of it.
        let time = TIME_MAX / u32::try_from(page.logs.len()).unwrap_or(u32::MAX).max(1);
        let indices: Vec<usize> = (0..page.logs.len()).collect();
        let (mut scanned, mut reached) = (0, None);
        for some in indices.chunks(at_once) {
            let bound = firsts.bound();
            let reads = some.iter().map(|index| {
                let query = of_log(self.query, *index, &page.logs, page.next.as_ref(), bound);
                self.log_events(&page.logs[*index], query, (share, time), snapshot)
            });
            for (index, read) in some.iter().zip(try_join_all(reads).await?) {
                scanned += read.scanned;
                let last = read.last.map(|last| (last, *index));
                reached = if self.query.reverse { reached.into_iter().chain(last).min() } else { reached.max(last) };
                firsts.add(*index, read.events, read.last.filter(|_| read.has_more));
            }
        }
        Ok(Round { firsts, scanned, reached })
    }

    /// Reads up to a share of the next events of a log, and no more of them once they fill a page.
    async fn log_events(
        &self,
        log: &LogId,
        mut query: Query,
        (share, time): (usize, Duration),
        snapshot: Option<&S>,
    ) -> Result<LogEvents> {
        let mut found = LogEvents::default();
        let deadline = Instant::now() + time;
        let (mut left, mut bytes_left) = (share, self.query.bytes);
        while query.to.is_none_or(|to| query.from < to) {
            let bytes = if self.filter.is_some() { SLICE.1 } else { SLICE.1.min(bytes_left) };
            let slice = Query { limit: left.min(SLICE.0), bytes, ..query };
            let reading = Reading::Timeline(slice);
            let read = match snapshot {
                Some(snapshot) => of_snapshot(snapshot.clone(), None, log, &reading).await,
                None => self.api.read(log, &reading).await,
            };
            let read = match read {
                // It was deleted meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                read => AnyPage::new(read?, None),
            };
            let (is_last, count) = (read.end.is_last(), read.count());
            let (filter, log) = (self.filter.clone(), log.clone());
            let slice = match filter {
                Some(filter) => elsewhere(move || Some(selected(&log, read.runs, &filter, deadline))).await?,
                None => all(read.runs)?,
            };
            found.scanned += slice.scanned;
            bytes_left = bytes_left.saturating_sub(slice.events.iter().map(EncodedEvent::record_bytes).sum());
            found.events.extend(slice.events);
            let Some(last) = slice.last else { break };
            found.last = Some(last);
            left = left.saturating_sub(slice.scanned as usize);
            let is_whole = slice.scanned == count as u64;
            if is_last && is_whole {
                break;
            }
            if left == 0 || bytes_left == 0 || !is_whole {
                found.has_more = true;
                break;
            }
            query = query.after(last);
        }
        Ok(found)
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

/// Returns the events of a slice.
fn all(runs: Vec<Run>) -> Result<LogEvents> {
    let events = runs.into_iter().map(Run::into_events).collect::<Result<Vec<_>>>()?.concat();
    let last = events.last().map(EncodedEvent::position);
    Ok(LogEvents { scanned: events.len() as u64, last, has_more: false, events })
}

/// Returns the events of a slice that pass, up to the time at which the page ends.
fn selected(log: &LogId, runs: Vec<Run>, filter: &Filter, deadline: Instant) -> Result<LogEvents> {
    let mut found = LogEvents::default();
    for run in runs {
        for event in run.into_events()? {
            if found.scanned > 0 && Instant::now() >= deadline {
                return Ok(found);
            }
            found.scanned += 1;
            found.last = Some(event.position());
            if !filter.rules_out(event.as_field()) && filter.selects(&event.decode(log)) {
                found.events.push(event);
            }
        }
    }
    Ok(found)
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
