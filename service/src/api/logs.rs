//! `logs`: lists the logs that match a pattern, page by page.

use std::future::ready;

use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use hourlog::{
    LogId, Result,
    store::{LogRow, Store, Totals},
    wire::{LOGS_MAX, LogReply, LogsReply, LogsRequest},
};

use crate::{pattern::Pattern, reading};

use super::{Api, Reply, Request, fresh, reply::at_least_one};

/// Rows per read of the log table, before the pattern filters them.
const ROWS_PER_READ: usize = 1_000;
/// Logs whose index is read for one reply that lists only logs with events ahead of now. Each read takes
/// up to a millisecond in a database.
const AHEAD_LOOKUPS_MAX: usize = 20_000;
/// Number of logs that are looked up at the same time.
const LOOKUPS_AT_ONCE: usize = 64;
/// Number of logs whose sums are read at the same time from a database.
const SUMMED_AT_ONCE: usize = 16;
/// Number of listed logs up to which the reply is a small one.
const LOGS_SMALL_MAX: usize = 50;
/// Approximate memory of a listed log, with its part of the reply.
const BYTES_PER_LOG: usize = 1 << 10;

pub(super) async fn answer<S: Store>(api: &Api<S>, request: &Request) -> Result<Reply> {
    let requested: LogsRequest = request.body()?;
    let limit = at_least_one("limit", requested.limit)?.unwrap_or(LOGS_MAX).min(LOGS_MAX) as usize;
    if requested.fresh {
        request.place.begin_wait()?;
        for source in api.sources.iter() {
            fresh::wait_until_fresh(api, &source.health).await?;
        }
    }
    let turn = api.turn(request, limit.max(ROWS_PER_READ) * BYTES_PER_LOG, limit > LOGS_SMALL_MAX).await?;
    let pattern: Pattern = requested.pattern.as_deref().unwrap_or(">").parse()?;
    let (found, next) = match pattern.id() {
        Some(id) => {
            let is_asked_for = (requested.all || !id.is_system())
                && requested.after.as_ref().is_none_or(|after| *after < id)
                && (!requested.ahead || api.ahead(&id).await?.is_some());
            let row = if is_asked_for { api.store.log(&id).await? } else { None };
            (row.map(|row| (id, row)).into_iter().collect(), None)
        }
        None => find(api, &requested, &pattern, limit).await?,
    };
    let recent = api.recent(found.iter().map(|(id, _)| id.clone()).collect()).await;
    let totals = totals(api, found.iter().map(|(id, _)| id.clone()).collect()).await?;
    let mut logs = Vec::with_capacity(found.len());
    for (((log, row), totals), recent) in found.into_iter().zip(totals).zip(recent) {
        let extent = api.extent(&log, &totals).await?;
        let kept = api.rules.kept(&log, &row);
        logs.push(LogReply {
            log,
            events: totals.count,
            bytes: totals.bytes,
            first: extent.first,
            last: extent.last,
            ahead: extent.ahead,
            rate: recent.per_second(),
            recent,
            retention_seconds: kept.seconds(),
            retention_rule: kept.rule,
        });
    }
    Ok(Reply::json(&LogsReply { logs, now: api.health.time.now(), next })?.with_turn(turn))
}

/// Returns the sums of each of `logs`.
pub(super) async fn totals<S: Store>(api: &Api<S>, ids: Vec<LogId>) -> Result<Vec<Totals>> {
    let Some(snapshot) = api.store.snapshot()? else {
        let summed = stream::iter(ids).map(|id| async move { api.store.totals(&id).await });
        return summed.buffered(SUMMED_AT_ONCE).try_collect().await;
    };
    reading::elsewhere(move || snapshot.totals_of(&ids).now_or_never()).await
}

/// Returns the first logs whose ids match a pattern with a wildcard, and the last one that was read if there
/// may be more.
pub(super) async fn find<S: Store>(
    api: &Api<S>,
    requested: &LogsRequest,
    pattern: &Pattern,
    limit: usize,
) -> Result<(Vec<(LogId, LogRow)>, Option<LogId>)> {
    let range = Range::of(pattern);
    let mut after: Option<LogId> = requested.after.clone().max(range.after.clone());
    let (mut found, mut looked_up) = (Vec::new(), 0);
    let next = loop {
        if found.len() >= limit {
            break after;
        }
        let rows = api.store.logs(after.as_ref(), ROWS_PER_READ).await?;
        if rows.is_empty() {
            break None;
        }
        let (mut matching, mut is_complete) = (Vec::new(), false);
        for (id, row) in rows {
            if range.is_before(&id) {
                is_complete = true;
                break;
            }
            // Which of them lie ahead is not known yet, and reading the same rows again costs more.
            if !requested.ahead && found.len() + matching.len() >= limit {
                break;
            }
            if (requested.all || !id.is_system()) && pattern.matches(&id) {
                matching.push((id.clone(), row));
            }
            after = Some(id);
        }
        if requested.ahead {
            looked_up += matching.len();
            let mut ahead = std::pin::pin!(with_events_ahead(api, matching));
            while let Some(log) = ahead.try_next().await? {
                found.push(log);
                if found.len() >= limit {
                    let next = found.last().map(|(id, _)| id.clone());
                    return Ok((found, next));
                }
            }
            if looked_up >= AHEAD_LOOKUPS_MAX {
                break after;
            }
        } else {
            found.extend(matching);
        }
        if is_complete {
            break None;
        }
    };
    Ok((found, next))
}

/// Returns those of `logs` that have events ahead of now, in the same order.
fn with_events_ahead<S: Store>(
    api: &Api<S>,
    logs: Vec<(LogId, LogRow)>,
) -> impl Stream<Item = Result<(LogId, LogRow)>> {
    let looked_up = stream::iter(logs).map(move |log| async move { Ok(api.ahead(&log.0).await?.map(|_| log)) });
    looked_up.buffered(LOOKUPS_AT_ONCE).try_filter_map(|log| ready(Ok(log)))
}

/// The ids among which those that match a pattern are, so that a page does not read all others.
struct Range {
    /// All of them come after this one.
    after: Option<LogId>,
    /// The beginning of all of them, if there is one.
    prefix: Option<String>,
}

impl Range {
    fn of(pattern: &Pattern) -> Self {
        let literal = pattern.literal();
        match literal.parse() {
            Ok(after) => Self { after: Some(after), prefix: Some(format!("{literal}.")) },
            Err(_) => Self { after: None, prefix: None },
        }
    }

    /// Returns true if `id` comes after all that match.
    fn is_before(&self, id: &LogId) -> bool {
        self.prefix.as_deref().is_some_and(|prefix| id.as_str() > prefix && !id.as_str().starts_with(prefix))
    }
}
