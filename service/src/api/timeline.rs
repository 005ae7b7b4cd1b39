//! `timeline`: counts a log's events by time, without reading the events.

use hourlog::{
    LogId, Result,
    read::{describe, histogram},
    store::Store,
    wire::{BinReply, TIMELINE_BINS_MAX, TimelineReply, TimelineRequest, When},
};

use super::{Api, Reply, Request};

/// Default number of bins.
const BINS_DEFAULT: u32 = 60;

pub(super) async fn answer<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let requested: TimelineRequest = request.body()?;
    let now = (api.settings.clock)();
    let bins = requested.bins.unwrap_or(BINS_DEFAULT).clamp(1, TIMELINE_BINS_MAX);
    let (from, to) = (requested.from.unwrap_or(When::First), requested.to);
    let (from, to) = match (from.offset(now), to.and_then(|to| to.offset(now))) {
        (Some(from), Some(to)) => (from, to),
        (from, to) => {
            let known = describe(&api.store, log).await?;
            let (Some(first), Some(last)) = (known.first, known.last) else {
                let (from, to) = (from.unwrap_or(now), to.unwrap_or(now));
                return Reply::json(&TimelineReply { from, to, count: 0, bins: Vec::new() });
            };
            let from = from.unwrap_or(if requested.from == Some(When::Last) { last } else { first });
            let to = to.unwrap_or(match requested.to {
                Some(When::First) => first,
                Some(_) => last,
                None => last.saturating_add_nanos(1),
            });
            (from, to)
        }
    };
    let counted = histogram(&api.store, log, from, to, bins as usize).await?;
    let bin = |bin: hourlog::read::Bin| BinReply { from: bin.from, to: bin.to, count: bin.count };
    Reply::json(&TimelineReply { from, to, count: counted.count, bins: counted.bins.into_iter().map(bin).collect() })
}
