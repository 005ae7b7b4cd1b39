//! `logs`: lists logs: those that match a pattern, those that are named, or those that have changed.
//!
//! - `sorted`: the first ones in another order than that of their ids. `strips`: counts over time.

mod sorted;
mod strips;

use std::future::ready;

use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use hourlog::{
    Error, LogId, Result,
    store::{LogRow, Store, Totals},
    wire::{LOGS_LOOKED_INTO_MAX, LOGS_MAX, LogReply, LogsOrder, LogsReply, LogsRequest},
};

use crate::{changes::Changed, pattern::Pattern, reading};

use super::{Api, Reply, Request, reply::at_least_one};

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
/// The most logs that a sorted list passes over.
const SKIP_MAX: u32 = 10_000;
/// Memory of a count over time, as it is counted and in the reply.
const BYTES_PER_COUNT: usize = 16;

/// The logs of a reply.
#[derive(Debug, Default)]
struct Selected {
    logs: Vec<(LogId, LogRow)>,
    next: Option<LogId>,
    of: Option<u64>,
    gone: Vec<LogId>,
    mark: Option<String>,
    is_mark_unknown: bool,
}

pub(super) async fn answer<S: Store>(api: &Api<S>, request: &Request) -> Result<Reply> {
    let requested: LogsRequest = request.body()?;
    check(&requested)?;
    let counting = requested.strip.map(|strip| strips::counting(strip, api.health.time.now())).transpose()?;
    let limit_max = if counting.is_none() { LOGS_MAX } else { LOGS_LOOKED_INTO_MAX };
    let limit = at_least_one("limit", requested.limit)?.unwrap_or(limit_max).min(limit_max) as usize;
    if requested.fresh {
        request.place.begin_wait()?;
    }
    api.gather(request, requested.fresh).await?;
    let strip_bytes = counting.as_ref().map_or(0, |counting| counting.edges.len() * BYTES_PER_COUNT);
    let bytes = (limit + requested.skip as usize).max(ROWS_PER_READ) * BYTES_PER_LOG + limit * strip_bytes;
    let is_large = limit > LOGS_SMALL_MAX || requested.sort != LogsOrder::Id || counting.is_some();
    let turn = api.turn(request, bytes, is_large).await?;
    // A log that changes while the list is read is reported again.
    let mark = api.health.changes.mark();
    let Selected { logs: found, next, of, gone, mark: reached, is_mark_unknown } =
        select(api, &requested, limit).await?;
    let ids: Vec<LogId> = found.iter().map(|(id, _)| id.clone()).collect();
    let recent = api.recent(ids.clone()).await;
    let totals = totals(api, ids.clone()).await?;
    let mut strips = match counting {
        Some(counting) => strips::of_each(api, ids, counting).await?.into_iter(),
        None => Vec::new().into_iter(),
    };
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
            strip: strips.next(),
        });
    }
    let (now, mark) = (api.health.time.now(), Some(reached.unwrap_or(mark)));
    Ok(Reply::json(&LogsReply { logs, now, next, of, gone, mark, is_mark_unknown })?.with_turn(turn))
}

/// Refuses what contradicts itself.
fn check(requested: &LogsRequest) -> Result<()> {
    let is_sorted = requested.sort != LogsOrder::Id;
    let ways = [requested.logs.is_some(), requested.changed_after.is_some(), is_sorted, requested.ahead];
    let wrong = match requested {
        _ if ways.iter().filter(|way| **way).count() > 1 => {
            "logs, changed_after, sort and ahead are four ways to choose; give one of them"
        }
        LogsRequest { logs: Some(_), pattern: Some(_), .. } => "logs and pattern exclude each other; leave one out",
        LogsRequest { after: Some(_), .. } if ways[..3].contains(&true) => {
            "after goes on by id; leave it out, or logs, changed_after and sort"
        }
        LogsRequest { skip: 1.., .. } if !is_sorted => "skip goes on in another order than by id; give sort, or after",
        LogsRequest { skip, .. } if *skip > SKIP_MAX => {
            return Err(Error::invalid(format!(
                "skip is {skip}; it is at most {SKIP_MAX}, name fewer logs with a pattern"
            )));
        }
        _ => return Ok(()),
    };
    Err(Error::invalid(wrong))
}

/// Selects the logs of the reply.
async fn select<S: Store>(api: &Api<S>, requested: &LogsRequest, limit: usize) -> Result<Selected> {
    if let Some(ids) = &requested.logs {
        if ids.len() > limit {
            return Err(Error::invalid(format!("logs names {} logs; name at most {limit}", ids.len())));
        }
        return looked_up(api, ids.clone()).await;
    }
    let pattern: Pattern = requested.pattern.as_deref().unwrap_or(">").parse()?;
    let is_shown = |id: &LogId| (requested.all || !id.is_system()) && pattern.matches(id);
    if let Some(mark) = &requested.changed_after {
        let Some(Changed { mut logs, mark }) = api.health.changes.after(mark, limit) else {
            return Ok(Selected { is_mark_unknown: true, ..Selected::default() });
        };
        logs.retain(is_shown);
        return Ok(Selected { mark: Some(mark), ..looked_up(api, logs).await? });
    }
    let is_sorted = requested.sort != LogsOrder::Id;
    let (logs, next) = match pattern.id() {
        Some(id) => {
            let is_asked_for = is_shown(&id)
                && requested.after.as_ref().is_none_or(|after| *after < id)
                && (!requested.ahead || api.ahead(&id).await?.is_some());
            let row = if is_asked_for { api.store.log(&id).await? } else { None };
            (row.map(|row| (id, row)).into_iter().collect(), None)
        }
        None if is_sorted => return sorted::first(api, requested, &pattern, limit).await,
        None => find(api, requested, &pattern, limit).await?,
    };
    let of = is_sorted.then_some(logs.len() as u64);
    Ok(Selected { logs, next, of, ..Selected::default() })
}

/// Returns the logs with these ids, in their order.
async fn looked_up<S: Store>(api: &Api<S>, ids: Vec<LogId>) -> Result<Selected> {
    let rows = api.store.look_up(&ids).await?;
    let mut selected = Selected::default();
    for (id, (row, _)) in ids.into_iter().zip(rows) {
        match row {
            Some(row) => selected.logs.push((id, row)),
            None => selected.gone.push(id),
        }
    }
    Ok(selected)
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
