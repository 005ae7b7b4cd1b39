//! The index of a log: a row per bucket that counts its events, so that readers need not.

use std::collections::{BTreeMap, HashSet};

use crate::{
    Event, LogId, Offset, Result, Seq,
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

    /// Counts an event.
    pub(crate) fn count(&mut self, event: &Event) {
        let offset = event.position.offset;
        self.count += 1;
        self.bytes += event.record.bytes() as u64;
        self.first = self.first.min(offset);
        self.last = self.last.max(offset);
        if !self.bins.is_empty() {
            self.bins[self.bucket.bin(offset)] += 1;
        }
    }
}

/// A changed row of the index, to be stored.
pub(crate) struct Counted {
    pub(crate) row: BucketRow,
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
    mut load: impl FnMut(&LogId, Bucket) -> Result<Option<BucketRow>>,
) -> Result<Counts> {
    let mut changed: BTreeMap<Bucket, (Seq, Counted)> = BTreeMap::new();
    let mut deleted = HashSet::new();
    for row in rows {
        let seq = row.event.position.seq;
        if seq <= deleted_to {
            deleted.insert(seq);
            continue;
        }
        let mut touch = |offset: Offset, change: &mut dyn FnMut(&mut BucketRow)| -> Result<Seq> {
            let bucket = widths.bucket(offset);
            let (counted_to, counted) = match changed.entry(bucket) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    let stored = load(log, bucket)?;
                    let new = stored.is_none();
                    let row = stored.unwrap_or_else(|| BucketRow::listed(bucket, seq));
                    entry.insert((row.counted_to, Counted { row, new }))
                }
            };
            if seq > *counted_to || Failpoint::CountedToIgnored.is_active() {
                change(&mut counted.row);
                counted.row.counted_to = seq;
            }
            Ok(counted.row.emptied_at)
        };
        if seq <= touch(row.event.position.offset, &mut |counted| counted.count(&row.event))? {
            deleted.insert(seq);
            continue;
        }
        if let Some(late) = row.late {
            touch(late.max_time, &mut |counted| counted.arrivals += 1)?;
        }
    }
    let changed = changed.into_values().filter(|(before, counted)| counted.row.counted_to != *before);
    Ok(Counts { rows: changed.map(|(_, counted)| counted).collect(), deleted })
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
        counted.rows.iter().map(|counted| 1_000 - counted.row.bucket.start.nanos() / HOUR).collect()
    }

    #[test]
    fn a_late_event_changes_one_more_row_of_the_index() {
        assert_eq!(changed(&[0, 0, 0]), [0]);
        assert_eq!(changed(&[0, 500, 0]), [500, 0]);
        assert_eq!(changed(&[0, 500, 500, 500, 7]), [500, 7, 0]);
    }
}
