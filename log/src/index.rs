//! The index of a log: one row a bucket, which says what is in it without reading an event.

use std::collections::{BTreeMap, HashSet};

use crate::{BINS, Bucket, Event, LogId, Offset, Result, Row, Seq, Widths, planted::Bug};

/// What the index says of one bucket.
///
/// Written before, or with, the bucket's first event, so that no event is ever unlisted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketRow {
    /// The stretch that it is about.
    pub bucket: Bucket,
    /// How many events it holds.
    pub count: u64,
    /// The bytes of their data and metadata.
    pub bytes: u64,
    /// The offset of the earliest, and of the latest; without meaning where `count` is 0.
    pub first: Offset,
    /// See `first`.
    pub last: Offset,
    /// How many fall into each of [`BINS`] equal parts; empty for buckets below a minute.
    pub bins: Vec<u32>,
    /// How many placed events arrived in this bucket's time, whatever their own.
    pub arrivals: u64,
    /// The seq up to which this row counts: an event at or below it is in the numbers already.
    pub through: Seq,
    /// Events at or below this seq are not here: they were taken away with the whole bucket, if there were any.
    pub dropped: Seq,
}

impl BucketRow {
    /// The row of a bucket that nothing was written to.
    pub fn new(bucket: Bucket) -> Self {
        let bins = if bucket.width.has_bins() { vec![0; BINS] } else { Vec::new() };
        let (first, last) = (Offset::MAX, Offset::MIN);
        Self { bucket, count: 0, bytes: 0, first, last, bins, arrivals: 0, through: Seq::MIN, dropped: Seq::MIN }
    }

    /// The row of a bucket that comes into the index with an event of this seq: of those before, some may have been here and are gone.
    pub(crate) fn listed(bucket: Bucket, seq: Seq) -> Self {
        Self { dropped: seq.saturating_sub(1), ..Self::new(bucket) }
    }

    /// The row once the bucket's events are taken away, with the list of who arrived in its time or without.
    pub(crate) fn emptied(&self, seq: Seq, arrivals: bool) -> Self {
        let arrivals = if arrivals { 0 } else { self.arrivals };
        let (through, dropped) = (self.through.max(seq), self.dropped.max(seq));
        Self { arrivals, through, dropped, ..Self::new(self.bucket) }
    }

    /// Whether it tells of nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0 && self.arrivals == 0
    }

    fn count(&mut self, event: &Event) {
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

/// A row of the index as it is to be stored.
pub(crate) struct Counted {
    pub(crate) row: BucketRow,
    /// The bucket had no row before.
    #[cfg_attr(
        not(feature = "embedded"),
        expect(dead_code, reason = "in memory there is nothing to write with the first row")
    )]
    pub(crate) new: bool,
}

/// What writing events comes to.
pub(crate) struct Counts {
    /// The rows that change, as they are to be stored with the events.
    pub(crate) rows: Vec<Counted>,
    /// The seqs of events that were taken away before, and are not to be written again.
    pub(crate) gone: HashSet<Seq>,
}

/// Counts `rows`, which belong to a log whose events up to `cut` were deleted. `load` answers a row as it is stored now.
///
/// An event counts when its seq is above the row's `through`, else it is passed over: it was written before and
/// came again. For that to be right, the rows of a log are written in the order of their seqs.
///
/// # Errors
/// What `load` answers.
pub(crate) fn count(
    log: &LogId,
    widths: &Widths,
    cut: Seq,
    rows: &[Row],
    mut load: impl FnMut(&LogId, Bucket) -> Result<Option<BucketRow>>,
) -> Result<Counts> {
    let mut changed: BTreeMap<Bucket, (Seq, Counted)> = BTreeMap::new();
    let mut gone = HashSet::new();
    for row in rows {
        let seq = row.event.position.seq;
        if seq <= cut {
            gone.insert(seq);
            continue;
        }
        let mut touch = |offset: Offset, change: &mut dyn FnMut(&mut BucketRow)| -> Result<Seq> {
            let bucket = widths.bucket(offset);
            let (through, counted) = match changed.entry(bucket) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    let stored = load(log, bucket)?;
                    let new = stored.is_none();
                    let row = stored.unwrap_or_else(|| BucketRow::listed(bucket, seq));
                    entry.insert((row.through, Counted { row, new }))
                }
            };
            if seq > *through || Bug::ThroughIgnored.is_planted() {
                change(&mut counted.row);
                counted.row.through = seq;
            }
            Ok(counted.row.dropped)
        };
        if seq <= touch(row.event.position.offset, &mut |counted| counted.count(&row.event))? {
            gone.insert(seq);
            continue;
        }
        if let Some(placed) = row.placed {
            touch(placed.high, &mut |counted| counted.arrivals += 1)?;
        }
    }
    let news = changed.into_values().filter(|(before, counted)| counted.row.through != *before);
    Ok(Counts { rows: news.map(|(_, counted)| counted).collect(), gone })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arrived, HOUR, Record, row};

    /// The hours whose rows are changed by events that arrive now, one that comes for each of `hours` ago.
    fn changed(hours: &[i64]) -> Vec<i64> {
        let log: LogId = "a".parse().expect("a good id");
        let now = Offset::from_nanos(1_000 * HOUR);
        let arrived = |(at, hour): (usize, &i64)| {
            let offset = now.saturating_add_nanos(-hour * HOUR);
            row(&log, Arrived { offset, at: now, high: now, seq: 1 + at as Seq }, Record::new("x"))
        };
        let rows: Vec<Row> = hours.iter().enumerate().map(arrived).collect();
        let counted = count(&log, &Widths::default(), Seq::MIN, &rows, |_, _| Ok(None)).expect("nothing fails");
        counted.rows.iter().map(|counted| 1_000 - counted.row.bucket.start.nanos() / HOUR).collect()
    }

    #[test]
    fn a_late_event_costs_one_row_of_the_index_more() {
        assert_eq!(changed(&[0, 0, 0]), [0]);
        assert_eq!(changed(&[0, 500, 0]), [500, 0]);
        assert_eq!(changed(&[0, 500, 500, 500, 7]), [500, 7, 0]);
    }
}
