//! The first logs in an order by what they hold. All that match are read, and few are kept.

use std::cmp::Reverse;

use hourlog::{
    LogId, Result,
    store::{LogRow, Store, Totals},
    wire::{LogsOrder, LogsRequest, RecentReply},
};

use crate::pattern::Pattern;

use super::{Api, Selected, find, totals};

/// The logs that are read together.
const AT_ONCE: usize = 10_000;

/// Returns the logs after the first `skip`, in the order of the request.
pub(super) async fn first<S: Store>(
    api: &Api<S>,
    requested: &LogsRequest,
    pattern: &Pattern,
    limit: usize,
) -> Result<Selected> {
    let kept = limit.saturating_add(requested.skip as usize);
    let (mut best, mut of): (Vec<(Reverse<i64>, LogId, LogRow)>, u64) = (Vec::new(), 0);
    let mut by_id = LogsRequest { sort: LogsOrder::Id, ..requested.clone() };
    loop {
        let (logs, next) = find(api, &by_id, pattern, AT_ONCE).await?;
        of += logs.len() as u64;
        let keys = keys(api, requested.sort, logs.iter().map(|(id, _)| id.clone()).collect()).await?;
        best.extend(logs.into_iter().zip(keys).map(|((id, row), key)| (Reverse(key), id, row)));
        if best.len() > kept {
            best.select_nth_unstable_by(kept, |a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
            best.truncate(kept);
        }
        match next {
            Some(next) => by_id.after = Some(next),
            None => break,
        }
    }
    best.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let logs = best.into_iter().skip(requested.skip as usize).map(|(_, id, row)| (id, row)).collect();
    Ok(Selected { logs, of: Some(of), ..Selected::default() })
}

/// Returns the number of each log by which it is sorted, the greatest first.
async fn keys<S: Store>(api: &Api<S>, order: LogsOrder, ids: Vec<LogId>) -> Result<Vec<i64>> {
    if order == LogsOrder::Rate {
        let events = |recent: &RecentReply| recent.counts.iter().copied().map(i64::from).sum();
        return Ok(api.recent(ids).await.iter().map(events).collect());
    }
    let mut keys = Vec::with_capacity(ids.len());
    for (id, totals) in ids.iter().zip(totals(api, ids.clone()).await?) {
        let Totals { count, bytes, .. } = totals;
        keys.push(match order {
            LogsOrder::Events => i64::try_from(count).unwrap_or(i64::MAX),
            LogsOrder::Bytes => i64::try_from(bytes).unwrap_or(i64::MAX),
            _ => api.extent(id, &totals).await?.last.map_or(i64::MIN, |last| last.nanos()),
        });
    }
    Ok(keys)
}
