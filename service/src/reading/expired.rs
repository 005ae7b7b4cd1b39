//! Tells a reader that events were removed from where the read begins.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hourlog::{
    ArrivalCursor, LogId, Offset, Position, Result,
    store::{Removed, Store},
};

use super::Reading;

/// The removed range of a log, read once.
#[derive(Debug, Default)]
pub(crate) struct RemovedCache(Mutex<Cached>);

#[derive(Debug, Default)]
struct Cached {
    /// The number of changes. What was read before a change must not be cached after it.
    changes: u64,
    /// `None` until it was read.
    removed: Option<Option<Removed>>,
}

impl RemovedCache {
    /// Drops what was read, because it has changed.
    pub(crate) fn forget(&self) {
        let mut cached = self.lock();
        *cached = Cached { changes: cached.changes + 1, removed: None };
    }

    async fn get<S: Store>(&self, store: &S, id: &LogId) -> Result<Option<Removed>> {
        let changes = {
            let cached = self.lock();
            if let Some(removed) = cached.removed {
                return Ok(removed);
            }
            cached.changes
        };
        // A log that does not exist may be created at any time.
        let Some(row) = store.log(id).await? else { return Ok(None) };
        let mut cached = self.lock();
        if cached.changes == changes {
            cached.removed = Some(row.removed);
        }
        Ok(row.removed)
    }

    fn lock(&self) -> MutexGuard<'_, Cached> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the time before which events were removed, if `reading` begins before it. A read of the
/// whole log gets what there is, and is told nothing.
pub(super) async fn expired<S: Store>(
    cache: Option<&RemovedCache>,
    store: &S,
    id: &LogId,
    reading: &Reading,
) -> Result<Option<Offset>> {
    let begins_anywhere = match reading {
        Reading::Timeline(query) => query.from == Position::MIN,
        Reading::Arrival(query) => query.after == ArrivalCursor::FIRST,
    };
    if begins_anywhere {
        return Ok(None);
    }
    let removed = match cache {
        Some(cache) => cache.get(store, id).await?,
        None => store.log(id).await?.and_then(|row| row.removed),
    };
    Ok(removed.filter(|removed| misses(reading, *removed)).map(|removed| removed.to))
}

/// Returns true if `reading` may miss some of the removed events.
fn misses(reading: &Reading, removed: Removed) -> bool {
    match reading {
        Reading::Timeline(query) => query.from.offset < removed.to,
        // A follower that had read everything has missed nothing, however long the log was silent.
        Reading::Arrival(query) if query.after.seq > ArrivalCursor::FIRST.seq => query.after.seq < removed.seq,
        Reading::Arrival(query) => query.after.time < removed.to,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::{
        Seq,
        read::{ArrivalQuery, Query},
    };

    #[test]
    fn only_a_read_that_may_have_missed_events_is_told() {
        let at = |second: i64| Offset::from_nanos(second * hourlog::time::SECOND);
        let removed = Removed { to: at(100), seq: Seq::new(1, 50) };
        let timeline = |second| Reading::Timeline(Query { from: Position::at(at(second)), ..Query::ALL });
        let arrival = |time, seq| {
            let after = ArrivalCursor { time: at(time), seq };
            Reading::Arrival(ArrivalQuery { after, limit: 1, bytes: 1 })
        };
        for (reading, expected) in [
            (timeline(99), true),
            (timeline(100), false),
            (arrival(90, Seq::new(1, 50)), false),
            (arrival(90, Seq::new(1, 49)), true),
            (arrival(90, ArrivalCursor::FIRST.seq), true),
            (arrival(100, ArrivalCursor::FIRST.seq), false),
        ] {
            assert_eq!(misses(&reading, removed), expected, "{reading:?}");
        }
    }
}
