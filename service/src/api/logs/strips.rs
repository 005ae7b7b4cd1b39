//! Counts over time in a list of logs, all on one axis.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use hourlog::{
    Error, ErrorKind, LogId, Offset, Result,
    read::{Counting, histogram},
    store::Store,
    wire::{STRIP_BINS_MAX, StripReply, StripRequest, When},
};

use crate::{api::reply::at_least_one, reading};

use super::{Api, SUMMED_AT_ONCE};

/// Returns what is counted in each log.
///
/// # Errors
/// [`ErrorKind::Invalid`] for a word that is another time in each log.
pub(super) fn counting(strip: StripRequest, now: Offset) -> Result<Counting> {
    let StripRequest { from, to, bins } = strip;
    let bins = at_least_one("bins", Some(bins))?.unwrap_or(1).min(STRIP_BINS_MAX);
    let time = |name: &str, when: When| {
        when.offset(now).ok_or_else(|| {
            Error::invalid(format!("{name} of a strip is {when}, which is another time in each log; give a time"))
        })
    };
    let edges = Counting::equal_bins(time("from", from)?, time("to", to)?, bins as usize)?;
    Ok(Counting { edges, after: None, reads_max: 0, exact: false })
}

/// Counts in each of `logs`.
pub(super) async fn of_each<S: Store>(api: &Api<S>, logs: Vec<LogId>, counting: Counting) -> Result<Vec<StripReply>> {
    let counting = Arc::new(counting);
    let Some(snapshot) = api.store.snapshot()? else {
        let counted = stream::iter(logs).map(|log| {
            let counting = Arc::clone(&counting);
            async move { of_log(&api.store, &log, &counting).await }
        });
        return counted.buffered(SUMMED_AT_ONCE).try_collect().await;
    };
    reading::elsewhere(move || logs.iter().map(|log| of_log(&snapshot, log, &counting).now_or_never()).collect()).await
}

async fn of_log<S: Store>(store: &S, log: &LogId, counting: &Counting) -> Result<StripReply> {
    match histogram(store, log, counting).await {
        Ok(counted) => {
            let counts = counted.bins.iter().map(|bin| bin.count).collect();
            Ok(StripReply { counts, exact: counted.is_exact })
        }
        // It was deleted meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok(StripReply { counts: vec![0; counting.edges.len() - 1], exact: true })
        }
        Err(error) => Err(error),
    }
}
