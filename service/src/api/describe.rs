//! `describe`: returns the counts, times, settings and warnings of one log.

use hourlog::{
    LogId, Result,
    read::{describe, rate_warning},
    store::Store,
    wire::{DescribeReply, EmptyRequest, WidthChange},
};

use super::{Api, DESCRIBE_BYTES, Reply, Request};

pub(super) async fn answer<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let EmptyRequest {} = request.body()?;
    let turn = api.turn(request, DESCRIBE_BYTES, false).await?;
    Ok(description(api, log).await?.with_turn(turn))
}

/// Returns the description of a log, which is also the reply to a change of it.
pub(super) async fn description<S: Store>(api: &Api<S>, log: &LogId) -> Result<Reply> {
    let known = describe(&api.store, log).await?;
    let recent = api.recent(vec![log.clone()]).await.remove(0);
    let rate = recent.per_second();
    let (now, widths) = (api.health.time.now(), &known.row.widths);
    let extent = api.extent(log, &known.totals()).await?;
    let next_width = widths.changes().last().filter(|(from, _)| *from > now);
    let kept = api.rules.kept(log, &known.row);
    let rate_warning = rate_warning(&known, rate.unwrap_or(0.0));
    let source = api.sources.of_log(&api.store, log).await?;
    let time_warning = source.health.time_warning(now);
    Reply::json(&DescribeReply {
        log: log.clone(),
        created: known.row.created,
        first: extent.first,
        last: extent.last,
        ahead: extent.ahead,
        events: known.count,
        bytes: known.bytes,
        buckets: known.buckets,
        fullest_bucket: known.fullest,
        width: widths.bucket(now).width,
        next_width: next_width.map(|&(from, width)| WidthChange { width, from }),
        retention_seconds: kept.seconds(),
        retention_rule: kept.rule,
        expired: known.row.removed.map(|removed| removed.to),
        recent,
        rate,
        lag: source.health.lag(),
        warnings: known.warnings.into_iter().chain(rate_warning).chain(extent.warning()).chain(time_warning).collect(),
    })
}
