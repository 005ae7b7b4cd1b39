//! `timeline`: counts a log's events by time.

mod edges;

use hourlog::{
    Error, LogId, Result,
    read::{Bin, Counting, describe, histogram},
    store::Store,
    wire::{BinReply, Span, TIMELINE_BINS_MAX, TimelineReply, TimelineRequest, When, shorten},
};
use jiff::tz::TimeZone;

use super::{
    Api, Reply, Request,
    reply::{at_least_one, encoded_elsewhere},
};

/// Default number of bins.
const BINS_DEFAULT: u32 = 60;
/// The most events that one request for exact counts reads: some ten milliseconds.
const EXACT_READS_MAX: u64 = 100_000;
/// The most events that another request reads. The index counts the rest.
const READS_MAX: u64 = 10_000;

/// Memory of a bin: as it is counted, as it is encoded, and its part of the reply.
const BYTES_PER_BIN: usize = 256;
/// Number of bins up to which the reply is a small one. Encoding more takes milliseconds, in which this thread
/// could answer others.
const BINS_SMALL_MAX: u32 = 500;
/// Memory of the events that are read at a time.
const SCAN_BYTES: usize = 4 << 20;

pub(super) async fn answer<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let requested: TimelineRequest = request.body()?;
    if requested.bins.is_some() && requested.step.is_some() {
        return Err(Error::invalid("a timeline has bins or a step, not both; leave one out"));
    }
    if requested.zone.is_some() && requested.step.is_none() {
        return Err(Error::invalid("a zone needs a step; give one, such as 1d"));
    }
    let now = api.health.time.now();
    let bins = at_least_one("bins", requested.bins)?.unwrap_or(BINS_DEFAULT).min(TIMELINE_BINS_MAX);
    // The bins of a step are known only once the range is.
    let bins_max = if requested.step.is_some() { TIMELINE_BINS_MAX } else { bins };
    let bytes = bins_max as usize * BYTES_PER_BIN + SCAN_BYTES;
    let turn = api.turn(request, bytes, bins > BINS_SMALL_MAX || requested.exact).await?;
    let (from, to) = (requested.from.unwrap_or(When::First), requested.to);
    let (from, to, ahead) = match (from.offset(now), to.and_then(|to| to.offset(now))) {
        (Some(from), Some(to)) => (from, to, api.ahead(log).await?),
        (from, to) => {
            let extent = api.extent(log, &api.store.totals(log).await?).await?;
            let ahead = extent.ahead;
            let bounds = from
                .or(extent.at(requested.from.unwrap_or(When::First)))
                .zip(to.or(extent.until(requested.to.unwrap_or(When::Last))));
            let Some((from, to)) = bounds else {
                // A log that does not exist is an error.
                describe(&api.store, log).await?;
                let (from, to) = (from.unwrap_or(now), to.unwrap_or(now));
                return Reply::json(&TimelineReply { ahead, ..TimelineReply::empty(from, to, now) });
            };
            (from, to, ahead)
        }
    };
    let edges = match &requested.step {
        Some(step) => edges::steps(from, to, *step, &zone(&requested)?)?,
        None => Counting::equal_bins(from, to, bins as usize)?,
    };
    let bin_count = edges.len() - 1;
    let reads_max = if requested.exact { EXACT_READS_MAX } else { READS_MAX };
    let counting = Counting { edges, after: requested.after, reads_max, exact: requested.exact };
    let counted = histogram(&api.store, log, &counting).await?;
    let encode = move || {
        Reply::json(&TimelineReply {
            from,
            to,
            count: counted.count,
            exact: counted.is_exact,
            grain: Span(counted.grain_nanos),
            edge: counted.edge,
            scanned: counted.read,
            of: counted.to_read,
            next: counted.next,
            now,
            ahead,
            bins: counted.bins.into_iter().map(reply).collect(),
        })
    };
    let reply = if bin_count > BINS_SMALL_MAX as usize { encoded_elsewhere(encode).await } else { encode() };
    Ok(reply?.with_turn(turn))
}

fn reply(Bin { from, to, count }: Bin) -> BinReply {
    BinReply { from, to, count }
}

/// Returns the zone of the request's calendar, UTC by default.
fn zone(requested: &TimelineRequest) -> Result<TimeZone> {
    let Some(name) = &requested.zone else { return Ok(TimeZone::UTC) };
    TimeZone::get(name).map_err(|_| {
        Error::invalid(format!("the time zone {:?} is unknown; give a name such as Europe/Oslo", shorten(name)))
    })
}
