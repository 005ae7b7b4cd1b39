//! `admin.create`: makes a log before its first event, to say how it is kept.

use hourlog::{Error, ErrorKind, LogId, LogRow, Result, Seq, Store, Widths, Write, wire::CreateRequest};

use super::{Api, Reply, Request, describe};

pub(super) async fn create<S: Store>(api: &Api<S>, log: &LogId, request: &Request) -> Result<Reply> {
    let asked: CreateRequest = request.body()?;
    if log.is_system() {
        return Err(Error::invalid(format!("log {log} is the system's own and cannot be made")));
    }
    if asked.retention_seconds.is_some_and(|seconds| seconds <= 0) {
        return Err(Error::invalid("retention_seconds is to be above 0; leave it out to keep events for ever"));
    }
    let row = LogRow {
        created: (api.settings.clock)(),
        widths: Widths::new(asked.width.unwrap_or_default()),
        retention_seconds: asked.retention_seconds,
        cut: Seq::MIN,
    };
    // Where an event, or another request, has made it in the meantime, this is passed over.
    api.store.write(vec![Write::Log(log.clone(), row.clone())]).await?;
    // One that was deleted before keeps what was cut off it.
    if !api.store.log(log).await?.is_some_and(|made| LogRow { cut: row.cut, ..made } == row) {
        let context = format!("log {log} is there already; only a new one can be made");
        return Err(Error::new(ErrorKind::Refused, context));
    }
    tracing::info!(%log, "log made");
    describe::answer(api, log).await
}
