//! The evidence of a run: everything that was read from the service at its end.

use std::collections::{BTreeMap, HashSet};

use hourlog::{ErrorKind, Event, LogId, Position, Remote, read::describe, store::Store};

use super::{
    ledger::Ledger,
    readers,
    verdict::{Finding, Verdict},
};
use crate::rows;

/// The replies of the service about the logs, to be compared with its archive and the ledger.
#[derive(Debug)]
pub struct Evidence {
    /// The count of each log.
    pub counts: BTreeMap<LogId, u64>,
    /// The positions that each follower got, in their order.
    pub followed: BTreeMap<u32, Vec<Position>>,
    /// The events of each log.
    pub replayed: BTreeMap<u32, Vec<Event>>,
}

impl Evidence {
    /// Reads the whole archive and compares it with the replays, the counts, the followers and the
    /// ledger.
    ///
    /// # Panics
    /// If the archive cannot be read.
    pub async fn judge(self, store: &impl Store, ledger: &Ledger, verdict: &mut Verdict) {
        let Self { counts, followed, mut replayed } = self;
        for (number, log) in readers::numbered_logs(&counts) {
            let events = replayed.get_mut(&number).expect("every log was replayed");
            let (by_time, arrived) = match rows::read_all(store, &log).await {
                // The archive lists an event that it does not have: it is lost, even if nothing else is
                // missing.
                Err(error) if error.kind() == ErrorKind::Integrity => {
                    verdict.note(Finding::Lost, || format!("{log} cannot be read: {error}"));
                    continue;
                }
                read => read.expect("the archive can be read"),
            };
            if *events != by_time {
                verdict.note(Finding::Inconsistent, || {
                    format!("{log}: {} replayed, {} archived", events.len(), by_time.len())
                });
            }
            let stored = describe(store, &log).await.expect("the archive can be read").count;
            if stored != by_time.len() as u64 {
                let found = by_time.len();
                verdict.note(Finding::Miscounted, || format!("the index of {log} counts {stored} of {found} events"));
            }
            let count = counts[&log];
            if count != events.len() as u64 {
                verdict.note(Finding::Miscounted, || {
                    format!("the service counts {count} of {} events in {log}", events.len())
                });
            }
            // `Verdict::judge` needs the events in the order of their seqs.
            events.sort_by_key(|event| event.position.seq);
            if !events.iter().map(|event| event.position).eq(arrived.iter().copied()) {
                verdict
                    .note(Finding::Inconsistent, || format!("{log}: the arrival order is not the order of the seqs"));
            }
            if let Some(followed) = followed.get(&number) {
                // A follower may have seen events before they were lost.
                let kept: HashSet<Position> = arrived.iter().copied().collect();
                let (still_there, lost): (Vec<Position>, Vec<Position>) =
                    followed.iter().partition(|position| kept.contains(position));
                if still_there != arrived || (!lost.is_empty() && ledger.losses().is_empty()) {
                    verdict.note(Finding::Missed, || first_difference(&log, followed, &arrived));
                }
            }
        }
        for log in counts.keys().filter(|log| !log.as_str().starts_with("chaos.")) {
            verdict.note(Finding::Phantom, || format!("the log {log} exists"));
        }
        verdict.judge(ledger, &replayed);
    }
}

/// Replays each log twice, and notes a finding if the replays differ.
///
/// # Panics
/// If the service does not answer.
pub(super) async fn replay_twice(
    remote: &Remote,
    counts: &BTreeMap<LogId, u64>,
    verdict: &mut Verdict,
) -> BTreeMap<u32, Vec<Event>> {
    let mut replayed = BTreeMap::new();
    for (number, log) in readers::numbered_logs(counts) {
        let first = readers::replay(remote, &log).await;
        if first != readers::replay(remote, &log).await {
            verdict.note(Finding::Inconsistent, || format!("two replays of {log} differ"));
        }
        replayed.insert(number, readers::events(&log, &first));
    }
    replayed
}

/// Describes where the followed events first differ from those that arrived.
fn first_difference(log: &LogId, followed: &[Position], arrived: &[Position]) -> String {
    let (followed_count, arrived_count) = (followed.len(), arrived.len());
    let at = followed.iter().zip(arrived).take_while(|(one, other)| one == other).count();
    let around = |positions: &[Position]| {
        let from = at.saturating_sub(2).min(positions.len());
        let some = positions[from..].iter().take(5).map(ToString::to_string);
        some.collect::<Vec<_>>().join(", ")
    };
    format!(
        "{log}: {followed_count} followed, {arrived_count} arrived; they differ from number {at} on: {} followed, \
         {} arrived",
        around(followed),
        around(arrived)
    )
}
