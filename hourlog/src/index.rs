//! The index of a log: a row per bucket that counts its events, so that readers need not.

use std::collections::{BTreeMap, HashSet};

use crate::{
    LogId, Offset, Position, Result, Seq,
    failpoint::Failpoint,
    store::{BINS, Bucket, EventRow, Widths},
};

/// A row of the index: the counts of one bucket.
///
/// Written before, or with, the bucket's first event, so that every event is listed.
///
/// ```
/// use hourlog::{Seq, store::{BucketRow, Widths}};
/// let row = BucketRow::new(Widths::default().bucket("2018-02-04T10:20:00Z".parse()?));
/// assert_eq!((row.count, row.counted_to), (0, Seq::MIN));
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketRow {
    /// The bucket.
    pub bucket: Bucket,
    /// The number of its events.
    pub count: u64,
    /// The bytes of their data and metadata.
    pub bytes: u64,
    /// The offset of the earliest event; meaningless if `count` is 0.
    pub first: Offset,
    /// The offset of the latest event; meaningless if `count` is 0.
    pub last: Offset,
    /// The events in each of [`BINS`] equal parts; empty for buckets below a minute.
    pub bins: Vec<u32>,
    /// The number of late events that arrived in this bucket's time, whatever their offset.
    pub arrivals: u64,
    /// The seq up to which this row counts. An event at or below it is counted already.
    pub counted_to: Seq,
    /// The seq up to which the bucket's events were deleted.
    pub emptied_at: Seq,
}

impl BucketRow {
    /// Creates the row of an empty bucket.
    pub fn new(bucket: Bucket) -> Self {
        let bins = if bucket.width.has_bins() { vec![0; BINS] } else { Vec::new() };
        let (first, last) = (Offset::MAX, Offset::MIN);
        Self { bucket, count: 0, bytes: 0, first, last, bins, arrivals: 0, counted_to: Seq::MIN, emptied_at: Seq::MIN }
    }

    /// Creates the row of a bucket that an event with this seq adds to the index.
    ///
    /// Earlier events of the bucket may have been deleted together with its row.
    pub(crate) fn listed(bucket: Bucket, seq: Seq) -> Self {
        Self { emptied_at: seq.saturating_previous(), ..Self::new(bucket) }
    }

    /// Returns the row after the bucket's events were deleted; with `arrivals`, also the list of late events.
    pub(crate) fn emptied(&self, seq: Seq, arrivals: bool) -> Self {
        let arrivals = if arrivals { 0 } else { self.arrivals };
        let (counted_to, emptied_at) = (self.counted_to.max(seq), self.emptied_at.max(seq));
        Self { arrivals, counted_to, emptied_at, ..Self::new(self.bucket) }
    }

    /// Returns true if the row counts nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0 && self.arrivals == 0
    }

    /// Counts an event at `offset`, whose record has `bytes`.
    pub(crate) fn count(&mut self, offset: Offset, bytes: usize) {
        self.count += 1;
        self.bytes += bytes as u64;
        self.first = self.first.min(offset);
        self.last = self.last.max(offset);
        if !self.bins.is_empty() {
            self.bins[self.bucket.bin(offset)] += 1;
        }
    }
}

/// The sums of rows of the index.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Record, store::{Store, Totals}, time::system_clock};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let events = Archive::new(Memory::new(), system_clock);
/// let id = "orders.eu".parse()?;
/// let position = events.log(&id).await?.write(Record::new("paid")).await?;
/// let totals = Totals { count: 1, bytes: 4, first: Some(position.offset), last: Some(position.offset) };
/// assert_eq!(events.store().totals(&id).await?, totals);
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// The number of events.
    pub count: u64,
    /// The bytes of their data and metadata.
    pub bytes: u64,
    /// The offset of the earliest event.
    pub first: Option<Offset>,
    /// The offset of the latest event.
    pub last: Option<Offset>,
}

impl Totals {
    /// Returns what both count together.
    #[must_use]
    pub(crate) fn with(self, other: Self) -> Self {
        let first = self.first.into_iter().chain(other.first).min();
        let (count, bytes) = (self.count + other.count, self.bytes + other.bytes);
        Self { count, bytes, first, last: self.last.max(other.last) }
    }
}

impl From<&BucketRow> for Totals {
    fn from(row: &BucketRow) -> Self {
        let some = |offset| (row.count > 0).then_some(offset);
        Self { count: row.count, bytes: row.bytes, first: some(row.first), last: some(row.last) }
    }
}

/// A changed row of the index, to be stored.
pub(crate) struct Counted {
    pub(crate) row: BucketRow,
    /// The events that were added to the row.
    #[cfg_attr(not(feature = "embedded"), expect(dead_code, reason = "other archives keep no sums"))]
    pub(crate) added: Totals,
    /// True if the bucket had no row before.
    #[cfg_attr(
        not(feature = "embedded"),
        expect(dead_code, reason = "the archive in memory stores nothing else with a new row")
    )]
    pub(crate) new: bool,
}

/// The result of counting events that are about to be written.
pub(crate) struct Counts {
    /// The changed rows, to be stored with the events.
    pub(crate) rows: Vec<Counted>,
    /// The seqs of redelivered events that were deleted before and must not be written again.
    pub(crate) deleted: HashSet<Seq>,
    /// The seqs of redelivered events that were counted before, with the write that stored them.
    #[cfg_attr(not(feature = "embedded"), expect(dead_code, reason = "other archives write the same row again"))]
    pub(crate) known: HashSet<Seq>,
}

/// Counts `rows` of a log whose events up to `deleted_to` were deleted. `load` returns the stored row of a
/// bucket.
///
/// An event is counted if its seq is above the row's `counted_to`; any other is a redelivery. This requires
/// that the events of a log are written in the order of their seqs.
///
/// # Errors
/// Those of `load`.
pub(crate) fn count(
    log: &LogId,
    widths: &Widths,
    deleted_to: Seq,
    rows: &[EventRow],
    load: impl FnMut(&LogId, Bucket) -> Result<Option<BucketRow>>,
) -> Result<Counts> {
    let mut counting = Counting { log, widths, load, touched: Vec::new(), places: BTreeMap::new(), last: 0 };
    let (mut deleted, mut known) = (HashSet::new(), HashSet::new());
    for EventRow { event, late } in rows {
        let Position { offset, seq } = event.position;
        if seq <= deleted_to {
            deleted.insert(seq);
            continue;
        }
        let touched = counting.touch(offset, seq)?;
        let is_new = touched.count(seq, offset, event.record.bytes());
        if seq <= touched.counted.row.emptied_at {
            deleted.insert(seq);
            continue;
        }
        if !is_new {
            known.insert(seq);
        }
        if let Some(late) = late {
            counting.touch(late.max_time, seq)?.change(seq, |row| row.arrivals += 1);
        }
    }
    let changed = counting.touched.into_iter().filter(|touched| touched.counted.row.counted_to != touched.counted_to);
    Ok(Counts { rows: changed.map(|touched| touched.counted).collect(), deleted, known })
}

/// The rows of the index that a write touches.
struct Counting<'a, L> {
    log: &'a LogId,
    widths: &'a Widths,
    load: L,
    touched: Vec<Touched>,
    /// The places in `touched`.
    places: BTreeMap<Bucket, usize>,
    /// The place in `touched` that was used last: the next event is likely to be in the same bucket.
    last: usize,
}

struct Touched {
    /// The seq up to which the row counted before.
    counted_to: Seq,
    counted: Counted,
}

impl<L: FnMut(&LogId, Bucket) -> Result<Option<BucketRow>>> Counting<'_, L> {
    /// Returns the row of the bucket that `offset` lies in. `seq` is that of its first event, if it has no row yet.
    fn touch(&mut self, offset: Offset, seq: Seq) -> Result<&mut Touched> {
        if self.touched.get(self.last).is_none_or(|touched| !touched.counted.row.bucket.contains(offset)) {
            let bucket = self.widths.bucket(offset);
            self.last = match self.places.get(&bucket) {
                Some(place) => *place,
                None => {
                    let stored = (self.load)(self.log, bucket)?;
                    let new = stored.is_none();
                    let row = stored.unwrap_or_else(|| BucketRow::listed(bucket, seq));
                    self.places.insert(bucket, self.touched.len());
                    let counted_to = row.counted_to;
                    self.touched.push(Touched { counted_to, counted: Counted { row, added: Totals::default(), new } });
                    self.touched.len() - 1
                }
            };
        }
        Ok(&mut self.touched[self.last])
    }
}

impl Touched {
    /// Counts the event `seq`, unless the row counts it already. Returns true if it does not.
    fn count(&mut self, seq: Seq, offset: Offset, bytes: usize) -> bool {
        let before = self.counted.row.count;
        let is_new = self.change(seq, |row| row.count(offset, bytes));
        if self.counted.row.count > before {
            let one = Totals { count: 1, bytes: bytes as u64, first: Some(offset), last: Some(offset) };
            self.counted.added = self.counted.added.with(one);
        }
        is_new
    }

    /// Changes the row for the event `seq`, unless it counts it already. Returns true if it does not.
    fn change(&mut self, seq: Seq, change: impl FnOnce(&mut BucketRow)) -> bool {
        let is_new = seq > self.counted_to;
        if is_new || Failpoint::CountedToIgnored.is_active() {
            change(&mut self.counted.row);
            self.counted.row.counted_to = seq;
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Record, store::Arrival, time::HOUR};

    /// Returns how many hours ago the changed buckets begin, for one event from each of `hours` ago.
    fn changed(hours: &[i64]) -> Vec<i64> {
        let log: LogId = "a".parse().expect("a valid id");
        let now = Offset::from_nanos(1_000 * HOUR);
        let arrived = |(at, hour): (usize, &i64)| {
            let offset = now.saturating_add_nanos(-hour * HOUR);
            let seq = Seq::new(0, 1 + at as u64);
            EventRow::new(&log, Arrival { offset, time: now, max_time: now, seq }, Record::new("x"))
        };
        let rows: Vec<EventRow> = hours.iter().enumerate().map(arrived).collect();
        let counted = count(&log, &Widths::default(), Seq::MIN, &rows, |_, _| Ok(None)).expect("`load` never fails");
        let hours = counted.rows.iter().map(|counted| 1_000 - counted.row.bucket.start.nanos() / HOUR);
        let mut hours: Vec<i64> = hours.collect();
        hours.sort_unstable_by_key(|hour| -hour);
        hours
    }

    #[test]
    fn a_late_event_changes_one_more_row_of_the_index() {
        assert_eq!(changed(&[0, 0, 0]), [0]);
        assert_eq!(changed(&[0, 500, 0]), [500, 0]);
        assert_eq!(changed(&[0, 500, 500, 500, 7]), [500, 7, 0]);
    }
}
