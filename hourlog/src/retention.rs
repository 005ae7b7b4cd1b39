//! Retention: deletes the old buckets of a log, through its index.

use crate::{
    LogId, Offset, Record, Result, Seq,
    read::IndexWalk,
    store::{Store, Write},
};

/// The deletions of one write. Other writers wait for it.
const DELETIONS_PER_WRITE: usize = 256;

/// The result of a sweep.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Record, Seq, time::system_clock};
/// use hourlog::store::{Swept, sweep};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let events = Archive::new(Memory::new(), system_clock);
/// let id = "orders.eu".parse()?;
/// let old = Record::new("paid").at("2018-02-04T10:00:00Z".parse()?);
/// let newest = events.log(&id).await?.write(old).await?.seq;
///
/// let horizon = "2018-02-05T00:00:00Z".parse()?;
/// let swept = sweep(events.store(), &id, horizon, newest, Seq::ZERO).await?;
/// assert_eq!(swept, Swept { buckets: 1, events: 1, unlisted: 0 });
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// The number of buckets that were emptied.
    pub buckets: u64,
    /// The number of events that were in them.
    pub events: u64,
    /// The number of empty index rows that were deleted.
    pub unlisted: u64,
}

/// Deletes the buckets of a log that are completely before `horizon`.
///
/// Their rows stay in the index, empty, until a later sweep finds that the stored checkpoint of the source,
/// `stored`, has passed them. Until then their events may be redelivered, and the rows say that they were
/// deleted.
///
/// `newest` is the newest archived seq. An event that arrives later for a swept bucket is kept until the
/// next sweep.
///
/// # Errors
/// The errors of the store. What was deleted by then stays deleted.
pub async fn sweep<S: Store>(store: &S, id: &LogId, horizon: Offset, newest: Seq, stored: Seq) -> Result<Swept> {
    let mut swept = Swept::default();
    // A late event that is listed in a swept bucket may be in a later bucket, as far ahead as an event may
    // be.
    let last = store.buckets(id, horizon..=horizon, false, 1).await?;
    let kept = last.first().map(|row| row.bucket).filter(|bucket| bucket.last() >= horizon);
    let kept_from = kept.map_or(horizon, |bucket| bucket.start.min(horizon));
    // Read the whole index before changing it: the walk goes on from the rows that it has seen.
    let mut index = IndexWalk::new(id, Offset::MIN, horizon, false);
    let mut writes = Vec::new();
    while let Some(row) = index.next(store).await? {
        let (log, bucket) = (id.clone(), row.bucket);
        if bucket.last() >= horizon {
            continue;
        }
        let arrivals = bucket.last().saturating_add_nanos(Record::AHEAD_NANOS_MAX) < kept_from;
        if row.count > 0 || (arrivals && row.arrivals > 0) {
            swept.buckets += u64::from(row.count > 0);
            swept.events += row.count;
            writes.push(Write::DropBucket { log, bucket, seq: newest, arrivals });
        } else if row.is_empty() && row.counted_to < stored {
            swept.unlisted += 1;
            writes.push(Write::UnlistBucket { log, bucket, seq: stored });
        }
    }
    while !writes.is_empty() {
        let count = writes.len().min(DELETIONS_PER_WRITE);
        store.write(writes.drain(..count).collect()).await?;
    }
    Ok(swept)
}
