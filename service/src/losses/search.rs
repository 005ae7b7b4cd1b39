//! The messages of a range that the archive does not hold. Only needed for messages after the stored
//! checkpoint: the archive may hold them although the checkpoint does not say so.

use std::{collections::BTreeSet, ops::RangeInclusive, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use hourlog::{
    ArrivalCursor, ErrorKind, LogId, Offset, Result, Seq,
    read::{ArrivalQuery, End, arrivals_page},
    store::Store,
};
use tokio::time::timeout;

use super::Missing;
use crate::stream::epochs::Epochs;

/// Time limit of a search. It goes through all logs, and reading waits for it.
const SEARCH_MAX: Duration = Duration::from_secs(10);
/// Number of logs that are searched at the same time.
const LOGS_AT_ONCE: usize = 16;
/// Number of logs per read of the list of logs.
const LOGS_PER_READ: usize = 1_000;
/// Number of events per read of a log.
const EVENTS_PER_READ: usize = 1_000;
/// Bytes of events per read of a log.
const BYTES_PER_READ: usize = 1 << 20;

/// Returns the messages in `sequences` that the archive does not hold under their seqs in `epochs`.
/// All of them arrived after `since`, the greatest arrival time before them. After ten seconds, all
/// of them count as missing, and the result is not exact.
///
/// # Errors
/// The store's error.
pub(crate) async fn missing<S: Store>(
    store: &S,
    epochs: &Epochs,
    sequences: RangeInclusive<u64>,
    since: Offset,
) -> Result<Option<Missing>> {
    let Some(all) = Missing::all(*sequences.start(), *sequences.end()) else { return Ok(None) };
    let search = Search { epochs, sequences, since };
    match timeout(SEARCH_MAX, search.archived(store)).await {
        Ok(archived) => Ok(without(all, &archived?)),
        Err(_) => Ok(Some(Missing { is_exact: false, ..all })),
    }
}

/// A search for archived messages.
struct Search<'a> {
    epochs: &'a Epochs,
    sequences: RangeInclusive<u64>,
    since: Offset,
}

impl Search<'_> {
    /// Returns the sequences of the messages that the archive holds.
    async fn archived<S: Store>(&self, store: &S) -> Result<BTreeSet<u64>> {
        let (mut archived, mut after) = (BTreeSet::new(), None);
        loop {
            let logs = store.logs(after.as_ref(), LOGS_PER_READ).await?;
            let Some((last, _)) = logs.last() else { return Ok(archived) };
            after = Some(last.clone());
            let found = stream::iter(logs).map(|(log, _)| async move { self.archived_in(store, &log).await });
            let found: Vec<Vec<u64>> = found.buffer_unordered(LOGS_AT_ONCE).try_collect().await?;
            archived.extend(found.into_iter().flatten());
        }
    }

    async fn archived_in<S: Store>(&self, store: &S, log: &LogId) -> Result<Vec<u64>> {
        let seq = |sequence| self.epochs.seq(log.slot(), sequence);
        let visible = seq(*self.sequences.end());
        let mut after =
            ArrivalCursor { time: self.since, seq: seq(*self.sequences.start()).saturating_previous().max(Seq::ZERO) };
        let mut found = Vec::new();
        loop {
            let query = ArrivalQuery { after, limit: EVENTS_PER_READ, bytes: BYTES_PER_READ };
            let page = match arrivals_page(store, log, &query, visible).await {
                Ok(page) => page,
                // The log was deleted meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
                Err(error) => return Err(error),
            };
            // The logs of another source have seqs of other epochs.
            let own = page.events.iter().map(|event| event.position.seq).filter(|at| seq(at.sequence()) == *at);
            found.extend(own.map(Seq::sequence));
            after = page.next;
            if page.end == End::CaughtUp {
                return Ok(found);
            }
        }
    }
}

/// Returns what is left of `all` without the archived messages.
fn without(all: Missing, archived: &BTreeSet<u64>) -> Option<Missing> {
    let is_missing = |sequence: &u64| !archived.contains(sequence);
    let first = (all.first..=all.last).find(is_missing)?;
    let last = (first..=all.last).rfind(is_missing)?;
    let held = archived.range(first..=last).count() as u64;
    Some(Missing { first, last, messages: last - first + 1 - held, is_exact: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_archived_is_missing() {
        let all = Missing::all(10, 20).expect("the range is not empty");
        let without = |archived: &[u64]| without(all, &archived.iter().copied().collect());
        assert_eq!(without(&[]), Some(all));
        assert_eq!(without(&(10..=20).collect::<Vec<_>>()), None);
        let expected = Missing { first: 12, last: 19, messages: 7, is_exact: true };
        assert_eq!(without(&[10, 11, 15, 20]), Some(expected));
    }
}
