//! `describe`: returns the counts, times, settings and warnings of one log.

use hourlog::{LogId, Result, read::describe, store::Store, wire::DescribeReply};

use super::{Api, Reply};

pub(super) async fn answer<S: Store>(api: &Api<S>, log: &LogId) -> Result<Reply> {
    let known = describe(&api.store, log).await?;
    let rate = api.rates(vec![log.clone()]).await.first().copied().unwrap_or(0.0);
    Reply::json(&DescribeReply {
        log: log.clone(),
        created: known.row.created,
        first: known.first,
        last: known.last,
        events: known.count,
        bytes: known.bytes,
        buckets: known.buckets,
        fullest_bucket: known.fullest,
        width: known.row.widths.current(),
        retention_seconds: known.row.retention_seconds(),
        rate,
        lag: api.health.lag(),
        warnings: known.warnings,
    })
}
