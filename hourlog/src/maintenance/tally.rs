//! The comparison of a bucket with the row that counts it, as a pure rule.

use crate::{
    LogId, Seq,
    store::{Bucket, BucketRow, EncodedEvent, LogRow},
};

use super::BucketDamage;

/// The content that was found in a bucket.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    /// The row that counts exactly this.
    row: BucketRow,
    unreadable: u64,
}

impl Tally {
    /// Begins with an empty bucket.
    pub(crate) fn new(bucket: Bucket) -> Self {
        Self { row: BucketRow::new(bucket), unreadable: 0 }
    }

    /// Returns the row that counts what was found.
    pub(crate) fn row(&self) -> &BucketRow {
        &self.row
    }

    /// Adds an event.
    pub(crate) fn add(&mut self, event: &EncodedEvent) {
        let position = event.position();
        self.row.count(position.offset, event.record_bytes());
        self.row.counted_to = self.row.counted_to.max(position.seq);
    }

    /// Adds an entry of the list of late events.
    pub(crate) fn add_late(&mut self, seq: Seq) {
        self.row.arrivals += 1;
        self.row.counted_to = self.row.counted_to.max(seq);
    }

    /// Adds an event that cannot be decoded.
    #[cfg(any(feature = "embedded", test))]
    pub(crate) fn add_unreadable(&mut self) {
        self.unreadable += 1;
    }

    /// Returns the damage if the bucket does not hold what `listed` counts. `None` is a row that is gone.
    pub(crate) fn compare(&self, log: &LogId, listed: Option<&BucketRow>) -> Option<BucketDamage> {
        let found = &self.row;
        let is_whole = self.unreadable == 0
            && listed.is_some_and(|listed| {
                let counts = |row: &BucketRow| (row.count, row.bytes, row.arrivals);
                let times = |row: &BucketRow| (row.count > 0).then_some((row.first, row.last));
                counts(listed) == counts(found)
                    && times(listed) == times(found)
                    && listed.bins == found.bins
                    && listed.counted_to >= found.counted_to
            });
        (!is_whole).then(|| BucketDamage {
            log: log.clone(),
            bucket: found.bucket,
            events_counted: listed.map(|row| row.count),
            events_found: found.count,
            late_counted: listed.map(|row| row.arrivals),
            late_found: found.arrivals,
            unreadable: self.unreadable,
        })
    }

    /// Returns the row that counts what was found, with the marks of `listed`.
    #[cfg(any(feature = "embedded", test))]
    pub(crate) fn into_row(self, listed: Option<&BucketRow>) -> BucketRow {
        let Some(listed) = listed else { return self.row };
        let counted_to = self.row.counted_to.max(listed.counted_to);
        BucketRow { counted_to, emptied_at: listed.emptied_at, ..self.row }
    }
}

/// Returns true if the events of a bucket may be incomplete because a deletion of them was interrupted.
///
/// It is repeated: what is left of them goes, too.
pub(crate) fn is_being_removed(log: &LogRow, listed: &BucketRow) -> bool {
    let removed =
        log.removed.is_some_and(|removed| listed.bucket.last() < removed.to && listed.counted_to <= removed.seq);
    removed || listed.counted_to <= log.deleted_to
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Event, Offset, Position, Record,
        store::{Removed, Widths},
    };

    fn event(offset: &str, seq: u64) -> EncodedEvent {
        let position = Position { offset: offset.parse().expect("a valid time"), seq: Seq::new(1, seq) };
        let log = "a".parse().expect("a valid id");
        EncodedEvent::from(&Event { log, position, arrived: None, record: Record::new("data") })
    }

    fn tally(seqs: &[u64]) -> Tally {
        let mut tally = Tally::new(Widths::default().bucket("2018-02-04T10:00:00Z".parse().expect("a valid time")));
        seqs.iter().for_each(|seq| tally.add(&event(&format!("2018-02-04T10:00:{seq:02}Z"), *seq)));
        tally
    }

    #[test]
    fn a_row_is_whole_only_if_it_counts_exactly_what_is_there() {
        let log: LogId = "a".parse().expect("a valid id");
        let listed = tally(&[1, 2, 3]).into_row(None);
        assert_eq!(tally(&[1, 2, 3]).compare(&log, Some(&listed)), None);
        for found in [&[1, 2][..], &[1, 2, 4], &[1, 2, 3, 4], &[]] {
            assert!(tally(found).compare(&log, Some(&listed)).is_some(), "{found:?}");
        }
        let gone = tally(&[1]).compare(&log, Some(&listed)).expect("two events are gone");
        assert_eq!((gone.gone(), gone.events_counted, gone.events_found), (2, Some(3), 1));
        let mut unreadable = tally(&[1, 2, 3]);
        unreadable.add_unreadable();
        assert!(unreadable.compare(&log, Some(&listed)).is_some());
        assert!(tally(&[1]).compare(&log, None).is_some());
    }

    #[test]
    fn a_repaired_row_counts_what_is_there_and_never_moves_back() {
        let listed = BucketRow { emptied_at: Seq::new(0, 9), ..tally(&[1, 2, 3]).into_row(None) };
        let row = tally(&[1, 2]).into_row(Some(&listed));
        assert_eq!((row.count, row.counted_to, row.emptied_at), (2, Seq::new(1, 3), Seq::new(0, 9)));
    }

    #[test]
    fn an_interrupted_deletion_is_not_told_as_damage() {
        let listed = tally(&[1, 2, 3]).into_row(None);
        let log = LogRow::new(Offset::from_nanos(0), Widths::default());
        assert!(!is_being_removed(&log, &listed));
        let deleted = LogRow { deleted_to: Seq::new(1, 3), ..log.clone() };
        assert!(is_being_removed(&deleted, &listed));
        for (to, seq, expected) in [("11:00:00", 3, true), ("10:30:00", 3, false), ("11:00:00", 2, false)] {
            let to = format!("2018-02-04T{to}Z").parse().expect("a valid time");
            let removed = Some(Removed { to, seq: Seq::new(1, seq) });
            assert_eq!(is_being_removed(&LogRow { removed, ..log.clone() }, &listed), expected, "{to}, {seq}");
        }
    }
}
