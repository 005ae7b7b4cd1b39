//! `timeline` and `timelines`: count the events of a log, or of all logs below a prefix, by time.
//!
//! - `counting`: one log after the other, from the index or by reading. `tally`: the
//!   counts of events that are read.

mod counting;
mod tally;

use std::sync::Arc;

use hourlog::{
    Error, LogId, Offset, Position, Result,
    read::{Counting, describe},
    store::Store,
    wire::{
        BinReply, GROUPS_MAX, MergedPosition, Span, TIMELINE_BINS_MAX, TimelineReply, TimelineRequest,
        TimelinesRequest, When, shorten,
    },
};
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::filter::{Filter, Grouping, Parts};

use super::{
    Api, Reply, Request,
    ahead::Extent,
    below::Below,
    logs,
    reply::{at_least_one, encoded_elsewhere},
};

use counting::{Counted, Events, count};

/// Default number of bins.
const BINS_DEFAULT: u32 = 60;
/// Default number of values that are listed.
const GROUPS_DEFAULT: u32 = 12;
/// The most events that one request for exact counts reads: some ten milliseconds.
const EXACT_READS_MAX: u64 = 100_000;
/// The most events that another request reads. The index counts the rest.
const READS_MAX: u64 = 10_000;

/// Memory of a bin: as it is counted, as it is encoded, and its part of the reply.
const BYTES_PER_BIN: usize = 256;
/// Number of bins up to which the reply is a small one. Encoding more takes milliseconds, in which this thread
/// could answer others.
const BINS_SMALL_MAX: usize = 500;
/// Memory of the events that are read at a time.
const SCAN_BYTES: usize = 4 << 20;

/// Answers a request for one log.
pub(super) async fn answer<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let requested: TimelineRequest = request.body()?;
    if requested.pattern.is_some() {
        return Err(Error::invalid("a pattern is for several logs; ask hourlog.timelines, or leave it out"));
    }
    let asked = Asked::new(api, &requested)?;
    let turn = asked.turn(api, request).await?;
    let (range, ahead) = match asked.range {
        (Some(from), Some(to)) => (Some((from, to)), api.ahead(log).await?),
        _ => {
            let extent = api.extent(log, &api.store.totals(log).await?).await?;
            (asked.range_in(&extent), extent.ahead)
        }
    };
    let Some((from, to)) = range else {
        // A log that does not exist is an error.
        describe(&api.store, log).await?;
        return Reply::json(&TimelineReply::<Position> { ahead, ..asked.empty() });
    };
    let edges = asked.edges(from, to)?;
    let after = requested.after.map(|position| (0, position));
    let counted = count(api, std::slice::from_ref(log), after, edges.clone(), &asked.events).await?;
    let next = counted.next.map(|(_, position)| position);
    let reply = asked.reply(from, to, edges, counted, next);
    Ok(encoded(TimelineReply { ahead, ..reply }).await?.with_turn(turn))
}

/// Answers a request for all logs below `prefix`, or for all.
pub(super) async fn answer_for_several<S: Store>(
    api: &Api<S>,
    prefix: Option<&LogId>,
    request: &Request,
) -> Result<Reply> {
    let requested: TimelinesRequest = request.body()?;
    api.gather(request, false).await?;
    let below = Below::new(prefix, requested.pattern.as_deref())?;
    let asked = Asked::new(api, &requested)?;
    let turn = asked.turn(api, request).await?;
    let logs = below.logs(api).await?;
    let number = Some(logs.len() as u64);
    let range = match asked.range {
        (Some(from), Some(to)) => Some((from, to)),
        _ => asked.range_in(&extent(api, &logs).await?),
    };
    let Some((from, to)) = range else {
        return Reply::json(&TimelineReply::<MergedPosition> { logs: number, ..asked.empty() });
    };
    let edges = asked.edges(from, to)?;
    let after = requested.after.map(|MergedPosition { position, log }| match logs.binary_search(&log) {
        Ok(index) => (index, position),
        // It was deleted meanwhile.
        Err(index) => (index, Position::MIN),
    });
    let counted = count(api, &logs, after, edges.clone(), &asked.events).await?;
    let next = counted.next.map(|(index, position)| MergedPosition { position, log: logs[index].clone() });
    let reply = asked.reply(from, to, edges, counted, next);
    Ok(encoded(TimelineReply { logs: number, ..reply }).await?.with_turn(turn))
}

/// Returns the times of the events of several logs.
async fn extent<S: Store>(api: &Api<S>, logs: &[LogId]) -> Result<Extent> {
    let mut whole = Extent { first: None, last: None, end: None, ahead: None };
    for (log, totals) in logs.iter().zip(logs::totals(api, logs.to_vec()).await?) {
        let extent = api.extent(log, &totals).await?;
        whole.first = whole.first.into_iter().chain(extent.first).min();
        whole.last = whole.last.max(extent.last);
        whole.end = whole.end.max(extent.end);
    }
    Ok(whole)
}

/// A request, checked.
struct Asked {
    now: Offset,
    /// The bounds, as far as they are times.
    range: (Option<Offset>, Option<Offset>),
    words: (When, When),
    bins: usize,
    /// The bins that there may be: those of a step are known only once the range is.
    bins_max: usize,
    step: Option<(hourlog::wire::Step, TimeZone)>,
    groups: usize,
    events: Arc<Events>,
}

impl Asked {
    fn new<S, P>(api: &Api<S>, requested: &TimelineRequest<P>) -> Result<Self> {
        if requested.bins.is_some() && requested.step.is_some() {
            return Err(Error::invalid("a timeline has bins or a step, not both; leave one out"));
        }
        if requested.zone.is_some() && requested.step.is_none() {
            return Err(Error::invalid("a zone needs a step; give one, such as 1d"));
        }
        if requested.groups.is_some() && requested.by.is_none() {
            return Err(Error::invalid("groups needs by; give one, such as json.level"));
        }
        let bins = at_least_one("bins", requested.bins)?.unwrap_or(BINS_DEFAULT).min(TIMELINE_BINS_MAX);
        let groups = at_least_one("groups", requested.groups)?.unwrap_or(GROUPS_DEFAULT).min(GROUPS_MAX);
        let zone = zone(requested.zone.as_deref())?;
        let filter = Filter::of(Parts {
            expression: requested.condition.as_deref(),
            text: requested.text.as_deref(),
            header: requested.header.as_deref(),
        })?;
        let by = requested.by.as_deref().map(Grouping::new).transpose()?;
        let reads_max = if requested.exact { EXACT_READS_MAX } else { READS_MAX };
        let (now, words) =
            (api.health.time.now(), (requested.from.unwrap_or(When::First), requested.to.unwrap_or(When::Last)));
        Ok(Self {
            now,
            range: (words.0.offset(now), words.1.offset(now)),
            words,
            bins: bins as usize,
            bins_max: if requested.step.is_some() { TIMELINE_BINS_MAX } else { bins } as usize,
            step: requested.step.map(|step| (step, zone)),
            groups: groups as usize,
            events: Arc::new(Events { filter, by, reads_max, exact: requested.exact }),
        })
    }

    async fn turn<S: Store>(&self, api: &Api<S>, request: &Request) -> Result<crate::admission::Turn> {
        let is_large = self.bins > BINS_SMALL_MAX || self.events.exact || self.events.reads_all();
        api.turn(request, self.bins_max * BYTES_PER_BIN + SCAN_BYTES, is_large).await
    }

    /// Returns the range, with the bounds that are words for times of `extent`; `None` if there are no such times.
    fn range_in(&self, extent: &Extent) -> Option<(Offset, Offset)> {
        let (from, to) = self.range;
        let range = from.or(extent.at(self.words.0)).zip(to.or(extent.until(self.words.1)));
        // A time may lie outside of all events.
        range.filter(|(from, to)| from < to)
    }

    fn edges(&self, from: Offset, to: Offset) -> Result<Vec<Offset>> {
        match &self.step {
            Some((step, zone)) => step.edges(from, to, zone),
            None => Counting::equal_bins(from, to, self.bins),
        }
    }

    /// The reply of logs without events.
    fn empty<P>(&self) -> TimelineReply<P> {
        let (from, to) = self.range;
        let grouped = self.events.by.as_ref();
        TimelineReply {
            groups: grouped.map(|_| Vec::new()),
            rest: grouped.map(|_| 0),
            ..TimelineReply::empty(from.unwrap_or(self.now), to.unwrap_or(self.now), self.now)
        }
    }

    fn reply<P>(
        &self,
        from: Offset,
        to: Offset,
        edges: Vec<Offset>,
        mut counted: Counted,
        next: Option<P>,
    ) -> TimelineReply<P> {
        let (groups, rest) = counted.tally.groups(self.groups).unzip();
        let bins = edges.windows(2).zip(&counted.tally.counts);
        TimelineReply {
            from,
            to,
            count: counted.tally.counts.iter().sum(),
            exact: counted.is_exact,
            grain: Span(counted.grain_nanos),
            edge: counted.edge,
            scanned: counted.scanned,
            of: counted.of,
            next,
            bins: bins.map(|(edges, count)| BinReply { from: edges[0], to: edges[1], count: *count }).collect(),
            groups,
            rest,
            logs: None,
            now: self.now,
            ahead: None,
        }
    }
}

/// Encodes a reply, on another thread if it is a large one.
async fn encoded<P: Serialize + Send + 'static>(reply: TimelineReply<P>) -> Result<Reply> {
    let groups = reply.groups.as_ref().map_or(0, Vec::len);
    if reply.bins.len() * (1 + groups) > BINS_SMALL_MAX {
        encoded_elsewhere(move || Reply::json(&reply)).await
    } else {
        Reply::json(&reply)
    }
}

/// Returns the zone of the request's calendar, UTC by default.
fn zone(name: Option<&str>) -> Result<TimeZone> {
    let Some(name) = name else { return Ok(TimeZone::UTC) };
    TimeZone::get(name).map_err(|_| {
        Error::invalid(format!("the time zone {:?} is unknown; give a name such as Europe/Oslo", shorten(name)))
    })
}
