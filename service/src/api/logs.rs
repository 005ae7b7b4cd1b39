//! `logs`: lists the logs that match a pattern, page by page.

use hourlog::{
    ErrorKind, LogId, Result,
    read::describe,
    store::Store,
    wire::{LOGS_MAX, LogReply, LogsReply, LogsRequest},
};

use crate::pattern::Pattern;

use super::{Api, Reply, Request, fresh};

/// Rows per read of the log table, before the pattern filters them.
const ROWS_PER_READ: usize = 1_000;

pub(super) async fn answer<S: Store>(api: &Api<S>, request: &Request) -> Result<Reply> {
    let requested: LogsRequest = request.body()?;
    if requested.fresh {
        for source in api.sources.iter() {
            fresh::wait_until_fresh(api, &source.health).await?;
        }
    }
    let limit = requested.limit.unwrap_or(LOGS_MAX).min(LOGS_MAX) as usize;
    let pattern: Pattern = requested.pattern.as_deref().unwrap_or(">").parse()?;
    let mut after: Option<LogId> = requested.after;
    let mut found = Vec::new();
    let next = loop {
        if found.len() >= limit {
            break after;
        }
        let rows = api.store.logs(after.as_ref(), ROWS_PER_READ).await?;
        if rows.is_empty() {
            break None;
        }
        for (id, _) in rows {
            if found.len() >= limit {
                break;
            }
            if (requested.all || !id.is_system()) && pattern.matches(&id) {
                found.push(id.clone());
            }
            after = Some(id);
        }
    };
    let rates = api.rates(found.clone()).await;
    let mut logs = Vec::with_capacity(found.len());
    for (id, rate) in found.into_iter().zip(rates) {
        let known = match describe(&api.store, &id).await {
            // It was deleted meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            known => known?,
        };
        let kept = api.rules.kept(&id, &known.row);
        logs.push(LogReply {
            log: id,
            events: known.count,
            bytes: known.bytes,
            first: known.first,
            last: known.last,
            rate,
            retention_seconds: kept.seconds(),
            retention_rule: kept.rule,
        });
    }
    Reply::json(&LogsReply { logs, next })
}
