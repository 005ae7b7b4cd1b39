//! `admin.delete`: removes a log with everything in it.

use hourlog::{LogId, Result, store::Store, wire::DeleteRequest};

use crate::{
    api::{Api, Reply, Request, fresh},
    log_actor::jobs::Job,
};

pub(in crate::api) async fn answer<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let DeleteRequest { dry_run } = request.body()?;
    request.place.begin_wait()?;
    // What was published before the request must not create the log again after it.
    fresh::wait_until_fresh(api, &api.sources.of_log(&api.store, log).await?.health).await?;
    let removed = api.run_job(log, |reply| Job::Delete { dry_run, reply }).await?;
    if !dry_run {
        tracing::info!(%log, events = removed.events, "log deleted");
    }
    Reply::json(&removed)
}
