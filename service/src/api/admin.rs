//! `admin.create`: creates a log before its first event, with its own bucket width and retention.

use std::time::Duration;

use hourlog::{
    Error, ErrorKind, LogId, Result, Seq,
    store::{LogRow, Store, Widths, Write},
    wire::CreateRequest,
};

use super::{Api, Reply, Request, describe};

pub(super) async fn create<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let requested: CreateRequest = request.body()?;
    if log.is_system() {
        return Err(Error::invalid(format!(
            "log {log} is a system log and cannot be created; choose an id that does not begin with _"
        )));
    }
    if requested.retention_seconds.is_some_and(|seconds| seconds <= 0) {
        return Err(Error::invalid("retention_seconds must be above 0; leave it out to keep events without limit"));
    }
    let row = LogRow {
        created: (api.settings.clock)(),
        widths: Widths::new(requested.width.unwrap_or_default()),
        retention: requested.retention_seconds.map(|seconds| Duration::from_secs(seconds.unsigned_abs())),
        deleted_to: Seq::MIN,
    };
    // The store ignores this write if an event or another request has created the log meanwhile.
    api.store.write(vec![Write::Log(log.clone(), row.clone())]).await?;
    // A log that was deleted before keeps its own `deleted_to`.
    if !api.store.log(log).await?.is_some_and(|stored| LogRow { deleted_to: row.deleted_to, ..stored } == row) {
        let context = format!("log {log} already exists; create works only for a new log");
        return Err(Error::new(ErrorKind::Refused, context));
    }
    tracing::info!(%log, "log created");
    describe::answer(api, log).await
}
