//! Retention: deletes the old buckets of a log, through its index.

use std::ops::Range;

use crate::{
    LogId, Offset, Record, Result, Seq,
    read::IndexWalk,
    store::{BucketRow, Removed, Store, Write},
};

/// The most deletions of one write. Other writers wait for it.
const DELETIONS_PER_WRITE: usize = 256;
/// The events of one write's deletions above which it takes no more of them, for the same reason.
const EVENTS_PER_WRITE: u64 = 50_000;
/// The most deletions of one plan. The log takes no events while it is carried out.
const DELETIONS_PER_PLAN: usize = 1_000;
/// The events of one plan's deletions above which it takes no more of them, for the same reason.
const EVENTS_PER_PLAN: u64 = 50_000;

/// The result of a sweep.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Record, Seq, time::system_clock};
/// use hourlog::store::{Swept, sweep};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let events = Archive::new(Memory::new(), system_clock);
/// let id = "orders.eu".parse()?;
/// let old = Record::new("paid").at("2018-02-04T10:00:00Z".parse()?);
/// events.log(&id).await?.write(old).await?;
///
/// let horizon = "2018-02-05T00:00:00Z".parse()?;
/// let swept = sweep(events.store(), &id, horizon, Seq::ZERO).await?;
/// assert_eq!(swept, Swept { buckets: 1, events: 1, bytes: 4, unlisted: 0 });
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// The number of buckets that were emptied.
    pub buckets: u64,
    /// The number of events that were in them.
    pub events: u64,
    /// The size of their data and metadata in bytes.
    pub bytes: u64,
    /// The number of empty index rows that were deleted.
    pub unlisted: u64,
}

impl Swept {
    /// Returns the sum of both results.
    ///
    /// ```
    /// use hourlog::store::Swept;
    /// let swept = Swept { buckets: 1, events: 2, bytes: 8, unlisted: 1 };
    /// assert_eq!(swept.with(swept), Swept { buckets: 2, events: 4, bytes: 16, unlisted: 2 });
    /// ```
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            buckets: self.buckets + other.buckets,
            events: self.events + other.events,
            bytes: self.bytes + other.bytes,
            unlisted: self.unlisted + other.unlisted,
        }
    }

    /// Counts a bucket that is emptied.
    fn count(&mut self, row: &BucketRow) {
        self.buckets += u64::from(row.count > 0);
        self.events += row.count;
        self.bytes += row.bytes;
    }
}

/// The deletions of a sweep, or of its next part, counted before anything is deleted.
///
/// Writers wait while a plan is carried out, so it holds a bounded number of deletions.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Offset, Record, Seq, time::system_clock};
/// use hourlog::store::plan_sweep;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let events = Archive::new(Memory::new(), system_clock);
/// let id = "orders.eu".parse()?;
/// let mut log = events.log(&id).await?;
/// log.write(Record::new("paid").at("2018-02-04T10:30:00Z".parse()?)).await?;
/// log.write(Record::new("paid").at("2018-02-04T11:30:00Z".parse()?)).await?;
///
/// let range = Offset::MIN.."2018-02-04T11:59:00Z".parse()?;
/// let plan = plan_sweep(events.store(), &id, range, Seq::ZERO, Seq::ZERO).await?;
/// // The bucket that the time lies in is kept.
/// assert_eq!((plan.swept.events, plan.kept_from), (1, "2018-02-04T11:00:00Z".parse()?));
/// assert_eq!(plan.removed.map(|removed| removed.to), Some(plan.kept_from));
/// assert_eq!(plan.next, None); // nothing is left for a further plan
/// assert!(log.read().await?.is_some()); // nothing is deleted yet
/// plan.execute(events.store()).await?;
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
#[must_use]
pub struct SweepPlan {
    /// The result of the sweep.
    pub swept: Swept,
    /// The time from which every event is kept: the horizon, or the start of the bucket that it lies in.
    pub kept_from: Offset,
    /// The range that the plan removes; `None` if it removes no event.
    pub removed: Option<Removed>,
    /// The time from which the next plan goes on; `None` if nothing is left for it.
    pub next: Option<Offset>,
    /// The deletions, each with the number of its events.
    deletions: Vec<(Write, u64)>,
}

impl SweepPlan {
    /// Carries out the deletions.
    ///
    /// # Errors
    /// The errors of the store. What was deleted by then stays deleted.
    pub async fn execute<S: Store>(self, store: &S) -> Result<Swept> {
        let (mut writes, mut events) = (Vec::new(), 0);
        for (write, count) in self.deletions {
            writes.push(write);
            events += count;
            if writes.len() >= DELETIONS_PER_WRITE || events >= EVENTS_PER_WRITE {
                store.write(std::mem::take(&mut writes)).await?;
                events = 0;
            }
        }
        if !writes.is_empty() {
            store.write(writes).await?;
        }
        Ok(self.swept)
    }
}

/// Deletes the buckets of a log that are completely before `horizon`.
///
/// Their rows stay in the index, empty, until a later sweep finds that the stored checkpoint of the source,
/// `stored`, has passed them. Until then their events may be redelivered, and the rows say that they were
/// deleted.
///
/// An event that arrives later for a swept bucket is kept until the next sweep.
///
/// # Errors
/// The errors of the store. What was deleted by then stays deleted.
pub async fn sweep<S: Store>(store: &S, id: &LogId, horizon: Offset, stored: Seq) -> Result<Swept> {
    let (mut swept, mut next) = (Swept::default(), Some(Offset::MIN));
    while let Some(from) = next {
        let plan = plan_sweep(store, id, from..horizon, stored, stored).await?;
        next = plan.next;
        swept = swept.with(plan.execute(store).await?);
    }
    Ok(swept)
}

/// Plans what [`sweep`] does, or a part of it, from the index alone. The range begins at [`Offset::MIN`] or where
/// the [plan before](SweepPlan::next) ended, and ends at the horizon.
///
/// `written` is the greatest seq of the log that was written, or skipped as a duplicate. No event that is still
/// to be written may be at or below it.
///
/// # Errors
/// The errors of the store.
pub async fn plan_sweep<S: Store>(
    store: &S,
    id: &LogId,
    range: Range<Offset>,
    stored: Seq,
    written: Seq,
) -> Result<SweepPlan> {
    let Range { start, end: horizon } = range;
    let kept_from = kept_from(store, id, horizon).await?;
    let mut plan = SweepPlan { swept: Swept::default(), kept_from, removed: None, next: None, deletions: Vec::new() };
    // Read the index before changing it: the walk goes on from the rows that it has seen.
    let mut index = IndexWalk::new(id, start, horizon, false).of_all();
    while let Some(row) = index.next(store).await? {
        let (log, bucket) = (id.clone(), row.bucket);
        if bucket.last() >= horizon {
            continue;
        }
        if plan.deletions.len() >= DELETIONS_PER_PLAN || plan.swept.events >= EVENTS_PER_PLAN {
            plan.next = Some(bucket.start);
            break;
        }
        let arrivals = bucket.last().saturating_add_nanos(Record::AHEAD_NANOS_MAX) < kept_from;
        if row.count > 0 || (arrivals && row.arrivals > 0) {
            // Everything up to both is archived. Above `counted_to` there may be duplicates that were skipped;
            // redelivered after the deletion, they are no duplicates any more.
            let seq = row.counted_to.max(stored).max(written);
            if row.count == 0 && seq <= row.emptied_at {
                // The seq is the write's timestamp, and a second write with the same one may change nothing.
                continue;
            }
            plan.swept.count(&row);
            plan.removed = with_removed(plan.removed, &row);
            plan.deletions.push((Write::DropBucket { log, bucket, seq, arrivals }, row.count));
        } else if row.is_empty() && row.counted_to < stored {
            plan.swept.unlisted += 1;
            plan.deletions.push((Write::UnlistBucket { log, bucket, seq: stored }, 0));
        }
    }
    Ok(plan)
}

/// The sum of what [`sweep`] would delete.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Record, time::system_clock};
/// use hourlog::store::count_sweep;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let events = Archive::new(Memory::new(), system_clock);
/// let id = "orders.eu".parse()?;
/// let old = Record::new("paid").at("2018-02-04T10:00:00Z".parse()?);
/// events.log(&id).await?.write(old).await?;
///
/// let horizon = "2018-02-05T00:00:00Z".parse()?;
/// let count = count_sweep(events.store(), &id, horizon).await?;
/// assert_eq!((count.swept.events, count.kept_from), (1, horizon));
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepCount {
    /// The result of the sweep, without index rows.
    pub swept: Swept,
    /// The time from which every event is kept: the horizon, or the start of the bucket that it lies in.
    pub kept_from: Offset,
    /// The range that the sweep removes; `None` if it removes no event.
    pub removed: Option<Removed>,
}

/// Counts what [`sweep`] would delete, from the index alone.
///
/// # Errors
/// The errors of the store.
pub async fn count_sweep<S: Store>(store: &S, id: &LogId, horizon: Offset) -> Result<SweepCount> {
    let kept_from = kept_from(store, id, horizon).await?;
    let mut count = SweepCount { swept: Swept::default(), kept_from, removed: None };
    let mut index = IndexWalk::new(id, Offset::MIN, horizon, false).of_all();
    while let Some(row) = index.next(store).await? {
        if row.bucket.last() < horizon {
            count.swept.count(&row);
            count.removed = with_removed(count.removed, &row);
        }
    }
    Ok(count)
}

/// Returns the removed range with that of a bucket.
fn with_removed(earlier: Option<Removed>, row: &BucketRow) -> Option<Removed> {
    if row.count == 0 {
        return earlier;
    }
    let removed = Removed { to: row.bucket.last().saturating_add_nanos(1), seq: row.counted_to };
    Some(earlier.map_or(removed, |earlier| earlier.with(removed)))
}

/// Returns the horizon, or the start of the bucket that it lies in.
async fn kept_from<S: Store>(store: &S, id: &LogId, horizon: Offset) -> Result<Offset> {
    // A late event that is listed in a swept bucket may be in a later bucket, as far ahead as an event may
    // be.
    let last = store.buckets(id, horizon..=horizon, false, 1).await?;
    let kept = last.first().map(|row| row.bucket).filter(|bucket| bucket.last() >= horizon);
    Ok(kept.map_or(horizon, |bucket| bucket.start.min(horizon)))
}

/// Returns the greatest seq that the index of a log counts, or at which its events were deleted.
///
/// No archived event of the log is above it, so it is the seq for deleting the log or changing its settings.
///
/// # Errors
/// The errors of the store.
pub async fn newest_seq<S: Store>(store: &S, id: &LogId) -> Result<Seq> {
    let mut newest = store.log(id).await?.map_or(Seq::ZERO, |row| row.deleted_to.max(Seq::ZERO));
    let mut index = IndexWalk::new(id, Offset::MIN, Offset::MAX, false).of_all();
    while let Some(row) = index.next(store).await? {
        newest = newest.max(row.counted_to).max(row.emptied_at);
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Archive, Events, Log, Memory,
        time::{HOUR, system_clock},
    };

    #[tokio::test]
    async fn a_sweep_goes_on_where_its_last_plan_ended() -> Result<()> {
        let (events, id) = (Archive::new(Memory::new(), system_clock), "old".parse()?);
        let (mut log, buckets) = (events.log(&id).await?, DELETIONS_PER_PLAN as u64 + 100);
        for hour in 0..buckets {
            log.write(Record::new("x").at(Offset::from_nanos(hour as i64 * HOUR))).await?;
        }
        let (store, horizon) = (events.store(), Offset::from_nanos(buckets as i64 * HOUR));
        let counted = count_sweep(store, &id, horizon).await?;
        assert_eq!((counted.swept.buckets, counted.swept.events, counted.kept_from), (buckets, buckets, horizon));
        assert_eq!(counted.removed.map(|removed| removed.to), Some(horizon));
        let first = plan_sweep(store, &id, Offset::MIN..horizon, Seq::ZERO, Seq::ZERO).await?;
        let next = first.next.expect("a plan is bounded");
        assert_eq!(first.removed.map(|removed| removed.to), Some(next));
        let swept = first.execute(store).await?;
        let second = plan_sweep(store, &id, next..horizon, Seq::ZERO, Seq::ZERO).await?;
        assert_eq!(second.next, None);
        assert_eq!(swept.with(second.execute(store).await?), counted.swept);
        assert_eq!(count_sweep(store, &id, horizon).await?.swept, Swept::default());
        Ok(())
    }
}
