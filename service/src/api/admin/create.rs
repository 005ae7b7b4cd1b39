//! `admin.create`: creates a log before its first event, with its own width and retention.

use hourlog::{Error, LogId, Result, store::Store, wire::CreateRequest};

use crate::{
    api::{Api, Reply, Request, describe},
    log_actor::jobs::Job,
};

pub(in crate::api) async fn answer<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let requested: CreateRequest = request.body()?;
    if log.is_system() {
        return Err(Error::invalid(format!(
            "log {log} is a system log and cannot be created; choose an id that does not begin with _"
        )));
    }
    request.place.begin_wait()?;
    api.run_job(log, |reply| Job::Create { request: requested.clone(), reply }).await?;
    tracing::info!(%log, "log created");
    describe::description(api, log).await
}
