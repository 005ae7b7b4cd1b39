//! `admin.alter`: changes the width and the retention of a log.

use hourlog::{Error, LogId, Result, store::Store, wire::AlterRequest};

use crate::{
    api::{Api, Reply, Request, describe},
    log_actor::jobs::Job,
};

pub(in crate::api) async fn answer<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let requested: AlterRequest = request.body()?;
    if requested == AlterRequest::default() {
        return Err(Error::invalid("nothing is to change; give a width, a retention or both"));
    }
    request.place.begin_wait()?;
    api.run_job(log, |reply| Job::Alter { request: requested.clone(), reply }).await?;
    tracing::info!(%log, width = requested.width.map(|width| width.to_string()), retention = requested.retention.map(|retention| retention.to_string()), "log changed");
    describe::description(api, log).await
}
