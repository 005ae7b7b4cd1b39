//! The events of a log that lie after a time, from the end of the index backwards.

use crate::{
    LogId, Offset, Position, Result, Seq,
    store::{BINS, BucketRow, Scan, Store},
};

use super::IndexWalk;

/// The most rows of the index that are summed up: more than a year of hours.
const ROWS_MAX: usize = 10_000;
/// The most events that are read to count those of one part of the index. With an hour's width, a part is a
/// minute.
const EVENTS_MAX: u64 = 10_000;
/// The most bytes that are read for it.
const BYTES_MAX: usize = 16 << 20;
/// The most events of one read.
const EVENTS_PER_READ: usize = 1_000;
/// The most bytes of one read. All of them are in memory at once, for many logs at the same time.
const BYTES_PER_READ: usize = 1 << 20;

/// The events of a log that lie after a time.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Offset, Record, read::ahead, time::system_clock};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let events = Archive::new(Memory::new(), system_clock);
/// # let id = "orders.eu".parse()?;
/// # let mut log = events.log(&id).await?;
/// for time in ["2018-02-04T10:00:00Z", "2018-02-04T11:00:00Z", "2018-02-04T11:30:00Z"] {
///     log.write(Record::new("paid").at(time.parse()?)).await?;
/// }
/// let ahead = ahead(events.store(), &id, "2018-02-04T10:59:00Z".parse()?).await?.expect("two lie after it");
/// assert_eq!((ahead.count, ahead.is_exact), (2, true));
/// assert_eq!(ahead.first, "2018-02-04T11:00:00Z".parse()?);
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ahead {
    /// The number of events.
    pub count: u64,
    /// The offset of the earliest of them.
    pub first: Offset,
    /// The offset of the latest of them.
    pub last: Offset,
    /// False if there may be more: only so many were counted.
    pub is_exact: bool,
}

/// Returns what lies after `limit`; `None` if nothing does.
///
/// Costs one read of the index if nothing does, and is bounded if much does. Reads events only of the
/// part of the index that `limit` lies in.
///
/// # Errors
/// The errors of the store.
pub async fn ahead<S: Store>(store: &S, id: &LogId, limit: Offset) -> Result<Option<Ahead>> {
    ahead_in_rows(store, id, limit, ROWS_MAX).await
}

/// As [`ahead`], but sums up at most `rows_max` rows of the index.
async fn ahead_in_rows<S: Store>(store: &S, id: &LogId, limit: Offset, rows_max: usize) -> Result<Option<Ahead>> {
    let from = limit.saturating_add_nanos(1);
    if from == limit {
        return Ok(None);
    }
    let (mut sum, mut rows): (Option<Ahead>, usize) = (None, 0);
    let mut index = IndexWalk::new(id, from, Offset::MAX, true);
    while let Some(row) = index.next(store).await? {
        rows += 1;
        if rows > rows_max {
            let earliest = earliest(store, id, from).await?;
            let first = |sum: Ahead| earliest.map_or(sum.first, |earliest| earliest.first);
            return Ok(sum.map(|sum| Ahead { first: first(sum), is_exact: false, ..sum }));
        }
        sum = match (sum, of_row(store, id, &row, from).await?) {
            (Some(sum), Some(part)) => Some(sum.with(part)),
            (sum, part) => sum.or(part),
        };
    }
    Ok(sum)
}

/// Returns the events from `from` on of the first bucket that has some.
async fn earliest<S: Store>(store: &S, id: &LogId, from: Offset) -> Result<Option<Ahead>> {
    let mut index = IndexWalk::new(id, from, Offset::MAX, false);
    while let Some(row) = index.next(store).await? {
        if let Some(found) = of_row(store, id, &row, from).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Returns the events of a bucket from `from` on.
async fn of_row<S: Store>(store: &S, id: &LogId, row: &BucketRow, from: Offset) -> Result<Option<Ahead>> {
    if row.count == 0 || row.last < from {
        Ok(None)
    } else if row.first >= from {
        Ok(Some(Ahead { count: row.count, first: row.first, last: row.last, is_exact: true }))
    } else {
        part_of(store, id, row, from).await
    }
}

impl Ahead {
    fn with(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            is_exact: self.is_exact && other.is_exact,
        }
    }
}

/// Returns the events of a bucket from `from` on, which lies within it.
async fn part_of<S: Store>(store: &S, id: &LogId, row: &BucketRow, from: Offset) -> Result<Option<Ahead>> {
    let bucket = row.bucket;
    let (end, counted) = if row.bins.is_empty() {
        (bucket.last(), 0)
    } else {
        let next = bucket.bin(from) + 1;
        let end = if next < BINS { bucket.bin_start(next).saturating_add_nanos(-1) } else { bucket.last() };
        (end, row.bins[next..].iter().map(|count| u64::from(*count)).sum())
    };
    let scan = Scan { from: Position::at(from), to: Position::MAX, reverse: false, limit: 1, bytes: 1 };
    let Some(first) = store.events(id, bucket, scan).await?.pop().map(|event| event.position()) else {
        return Ok(None);
    };
    let (mut count, mut bytes, mut next) = (0, 0, first);
    let to = Position { offset: end, seq: Seq::MAX };
    let is_exact = loop {
        if next > to {
            break true;
        }
        let scan = Scan { from: next, to, reverse: false, limit: EVENTS_PER_READ, bytes: BYTES_PER_READ };
        let events = store.events(id, bucket, scan).await?;
        let Some(last) = events.last().map(|event| event.position()) else { break true };
        count += events.len() as u64;
        bytes += events.iter().map(|event| event.record_bytes()).sum::<usize>();
        if count >= EVENTS_MAX || bytes >= BYTES_MAX {
            break false;
        }
        next = last.next();
    };
    Ok(Some(Ahead { count: counted + count, first: first.offset, last: row.last, is_exact }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Archive, Events, Log, Memory, Record,
        time::{HOUR, system_clock},
    };

    #[tokio::test]
    async fn a_count_of_too_many_buckets_says_that_there_are_more() -> Result<()> {
        let (events, id) = (Archive::new(Memory::new(), system_clock), "dev.7".parse()?);
        let (mut log, hour) = (events.log(&id).await?, |hour: i64| Offset::from_nanos(hour * HOUR));
        for number in 0..10 {
            log.write(Record::new("x").at(hour(number))).await?;
        }
        // One more row is that of the hour in which they arrived.
        let whole = ahead_in_rows(events.store(), &id, hour(3), 8).await?;
        assert_eq!(whole, Some(Ahead { count: 6, first: hour(4), last: hour(9), is_exact: true }));
        let part = ahead_in_rows(events.store(), &id, hour(1), 8).await?;
        assert_eq!(part, Some(Ahead { count: 7, first: hour(2), last: hour(9), is_exact: false }));
        Ok(())
    }
}
