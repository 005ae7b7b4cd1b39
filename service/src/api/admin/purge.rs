//! `admin.purge`: removes the buckets of a log that end at or before a time.

use hourlog::{Error, LogId, Result, store::Store, time::SECOND, wire::PurgeRequest};

use crate::{
    api::{Api, Reply, Request, fresh},
    log_actor::jobs::Job,
};

/// How far a time in the past may be ahead of ours, because a client has taken it from a clock that is not
/// exactly JetStream's.
const CLOCKS_DIFFER_NANOS: i64 = SECOND;

pub(in crate::api) async fn answer<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let requested: Option<PurgeRequest> = request.body()?;
    let PurgeRequest { before, dry_run } =
        requested.ok_or_else(|| Error::invalid("the request names no time; give one as before"))?;
    let now = api.health.time.now();
    let latest = now.saturating_add_nanos(CLOCKS_DIFFER_NANOS);
    let before = before.offset(now).filter(|before| *before <= latest).ok_or_else(|| {
        Error::invalid(format!("{before} is not a time before which a log can be purged; give one in the past"))
    })?;
    // If one of the clocks is ahead, nothing is removed that is still to come for the other.
    let before = before.min(api.health.time.earlier().unwrap_or(now));
    request.place.begin_wait()?;
    // What was published before the request must not arrive in a purged bucket after it.
    fresh::wait_until_fresh(api, &api.sources.of_log(&api.store, log).await?.health).await?;
    let removed = api.run_job(log, |reply| Job::Purge { before, dry_run, reply }).await?;
    Reply::json(&removed)
}
