//! The busy times around a moment, from the index alone.

use std::collections::VecDeque;

use crate::{
    LogId, Offset, Result,
    store::{BucketRow, Store},
};

use super::{Bin, IndexWalk, known};

/// The most rows of the index that are read on each side.
const ROWS_MAX: usize = 20_000;
/// The buckets before one with which it is compared.
const COMPARED: i64 = 16;
/// How many times their mean a burst has.
const BURST_FACTOR: u64 = 4;
/// The fewest events of a burst.
const BURST_EVENTS_MIN: u64 = 8;

/// The buckets around a moment that hold events, and the bursts among them.
///
/// A burst is a bucket with at least eight events, and more than four times the mean of the 16 buckets before it, of which
/// empty ones count as 0.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Record, read::near, time::system_clock};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let events = Archive::new(Memory::new(), system_clock);
/// # let id = "orders.eu".parse()?;
/// # let mut log = events.log(&id).await?;
/// for (time, count) in [("2018-02-04T10:00:00Z", 1), ("2018-02-04T11:00:00Z", 1), ("2018-02-04T17:00:00Z", 9)] {
///     log.write_many(vec![Record::new("paid").at(time.parse()?); count]).await?;
/// }
/// let near = near(events.store(), &id, "2018-02-04T10:30:00Z".parse()?).await?;
/// assert_eq!(near.previous, None); // it lies in the first bucket
/// assert_eq!(near.next.map(|bucket| bucket.from), Some("2018-02-04T11:00:00Z".parse()?));
/// assert_eq!(near.next_burst.map(|bucket| bucket.count), Some(9));
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Near {
    /// The newest bucket with events that ends before the moment.
    pub previous: Option<Bin>,
    /// The oldest bucket with events that begins after it.
    pub next: Option<Bin>,
    /// The newest burst that ends before it.
    pub previous_burst: Option<Bin>,
    /// The oldest burst that begins after it.
    pub next_burst: Option<Bin>,
    /// The time from which on the search for the previous burst has looked; `None` if that is the beginning.
    pub searched_from: Option<Offset>,
    /// The time up to which the search for the next burst has looked; `None` if that is the end.
    pub searched_to: Option<Offset>,
}

/// Finds the buckets and bursts around `at`.
///
/// # Errors
/// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for a log that does not exist, and the errors of the store.
pub async fn near<S: Store>(store: &S, id: &LogId, at: Offset) -> Result<Near> {
    let widths = known(store, id).await?.widths;
    let widest = widths.changes().iter().map(|(_, width)| width.nanos()).fold(widths.first().nanos(), i64::max);
    let mut near = Near::default();
    let before = at.saturating_add_nanos(widest.saturating_mul(-(COMPARED + 1)));
    let mut index = IndexWalk::new(id, before, Offset::MAX, false);
    let (mut earlier, mut looked_at) = (VecDeque::new(), 0);
    while let Some(row) = index.next(store).await? {
        while earlier
            .front()
            .is_some_and(|(start, _)| *start < row.bucket.start.saturating_add_nanos(-COMPARED * widest))
        {
            earlier.pop_front();
        }
        if row.bucket.start > at && row.count > 0 {
            near.next = near.next.or(Some(bin(&row)));
            let compared = earlier.iter().filter(|(start, _)| *start >= compared_from(&row));
            if is_burst(row.count, compared.map(|(_, count)| count).sum()) {
                near.next_burst = Some(bin(&row));
                break;
            }
        }
        looked_at += 1;
        if looked_at >= ROWS_MAX {
            near.searched_to = Some(row.bucket.last());
            break;
        }
        earlier.push_back((row.bucket.start, row.count));
    }
    let mut index = IndexWalk::new(id, Offset::MIN, at, true);
    // The buckets that may be bursts, each with the events before it so far.
    let (mut later, mut looked_at): (VecDeque<(BucketRow, u64)>, _) = (VecDeque::new(), 0);
    'search: while let Some(row) = index.next(store).await? {
        while let Some((candidate, sum)) = later.front()
            && row.bucket.start < compared_from(candidate)
        {
            if is_burst(candidate.count, *sum) {
                near.previous_burst = Some(bin(candidate));
                break 'search;
            }
            later.pop_front();
        }
        for (candidate, sum) in &mut later {
            if row.bucket.start >= compared_from(candidate) {
                *sum += row.count;
            }
        }
        let start = row.bucket.start;
        if row.bucket.last() < at && row.count > 0 {
            near.previous = near.previous.or(Some(bin(&row)));
            later.push_back((row, 0));
        }
        looked_at += 1;
        if looked_at >= ROWS_MAX {
            // The buckets that are not decided yet may be bursts.
            let undecided = later.front().map(|(newest, _)| newest.bucket.last().saturating_add_nanos(1));
            near.searched_from = undecided.or(Some(start));
            return Ok(near);
        }
    }
    if near.previous_burst.is_none() {
        let burst = later.iter().find(|(candidate, sum)| is_burst(candidate.count, *sum));
        near.previous_burst = burst.map(|(candidate, _)| bin(candidate));
    }
    Ok(near)
}

/// Returns the start of the buckets with which a bucket is compared.
fn compared_from(row: &BucketRow) -> Offset {
    row.bucket.start.saturating_add_nanos(row.bucket.width.nanos().saturating_mul(-COMPARED))
}

/// Returns true if `count` events are a burst after `before` in the buckets with which they are compared.
fn is_burst(count: u64, before: u64) -> bool {
    count >= BURST_EVENTS_MIN && count.saturating_mul(COMPARED as u64) > before.saturating_mul(BURST_FACTOR)
}

fn bin(row: &BucketRow) -> Bin {
    Bin { from: row.bucket.start, to: row.bucket.last().saturating_add_nanos(1), count: row.count }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Archive, Events, Log, Memory, Record, time::HOUR};

    /// Returns what is near the middle of each hour of a log with these events an hour.
    fn near_each(counts: &[u64]) -> Vec<Near> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be built");
        runtime.block_on(async {
            let events = Archive::new(Memory::new(), || Offset::from_nanos(i64::MAX / 2));
            let id: LogId = "a".parse().expect("a valid id");
            let mut log = events.log(&id).await.expect("memory does not fail");
            for (hour, count) in counts.iter().enumerate() {
                let time = Offset::from_nanos(hour as i64 * HOUR);
                let records = vec![Record::new("x").at(time); *count as usize];
                log.write_many(records).await.expect("memory does not fail");
            }
            let mut found = Vec::new();
            for hour in 0..counts.len() {
                let at = Offset::from_nanos(hour as i64 * HOUR + HOUR / 2);
                found.push(near(events.store(), &id, at).await.expect("memory does not fail"));
            }
            found
        })
    }

    fn hour(bin: Option<Bin>) -> Option<usize> {
        bin.map(|bin| (bin.from.nanos() / HOUR) as usize)
    }

    #[test]
    fn buckets_and_bursts_are_those_of_a_plain_search() {
        let quiet: Vec<u64> = (0..40).map(|hour| hour % 3).collect();
        let bursts = [vec![1; 20], vec![40, 39, 0, 0, 3], vec![2; 20], vec![8, 9]].concat();
        for counts in [quiet, bursts, vec![8], vec![0, 0, 9, 0, 0], vec![5; 30]] {
            let is_burst = |hour: usize| {
                let before: u64 = counts[hour.saturating_sub(16)..hour].iter().sum();
                super::is_burst(counts[hour], before)
            };
            for (at, near) in near_each(&counts).into_iter().enumerate() {
                let holds = |hour: &usize| counts[*hour] > 0;
                assert_eq!(hour(near.previous), (0..at).rev().find(holds), "before {at} of {counts:?}");
                assert_eq!(hour(near.next), (at + 1..counts.len()).find(holds), "after {at} of {counts:?}");
                let bursts = |hour: &usize| is_burst(*hour);
                assert_eq!(hour(near.previous_burst), (0..at).rev().find(bursts), "before {at} of {counts:?}");
                assert_eq!(hour(near.next_burst), (at + 1..counts.len()).find(bursts), "after {at} of {counts:?}");
                assert_eq!((near.searched_from, near.searched_to), (None, None));
            }
        }
    }
}
