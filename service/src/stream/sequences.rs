//! Sets of sequences of a stream, as ranges: a few ranges hold many sequences.

use serde::{Deserialize, Serialize};

/// A range of sequences: the first and the last.
pub(crate) type Range = (u64, u64);

/// A set of sequences.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sequences(
    /// Sorted, and not adjacent.
    Vec<Range>,
);

impl Sequences {
    /// Returns true if the set has no sequence.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the ranges, in order.
    pub(crate) fn ranges(&self) -> &[Range] {
        &self.0
    }

    /// Adds a range, which may be empty.
    pub(crate) fn insert(&mut self, (from, to): Range) {
        if from > to {
            return;
        }
        // Those that overlap the new range or touch it become one with it. Usually it is behind all others.
        let start = self.0.partition_point(|range| range.1.saturating_add(1) < from);
        let end = start + self.0[start..].partition_point(|range| range.0 <= to.saturating_add(1));
        let first = self.0[start..end].first().map_or(from, |range| range.0.min(from));
        let last = self.0[start..end].last().map_or(to, |range| range.1.max(to));
        self.0.splice(start..end, [(first, last)]);
    }

    /// Returns the parts of `bounds` that are in the set.
    pub(crate) fn within(&self, bounds: Range) -> impl Iterator<Item = Range> {
        let start = self.0.partition_point(|range| range.1 < bounds.0);
        let overlapping = self.0[start..].iter().take_while(move |range| range.0 <= bounds.1);
        overlapping.map(move |range| (range.0.max(bounds.0), range.1.min(bounds.1)))
    }

    /// Returns the parts of `bounds` that are not in the set.
    pub(crate) fn outside(&self, bounds: Range) -> Vec<Range> {
        let (mut outside, mut next) = (Vec::new(), bounds.0);
        for (from, to) in self.within(bounds) {
            if from > next {
                outside.push((next, from - 1));
            }
            next = to + 1;
        }
        if next <= bounds.1 {
            outside.push((next, bounds.1));
        }
        outside
    }

    /// Removes every sequence up to `last`.
    pub(crate) fn remove_to(&mut self, last: u64) {
        let count = self.0.partition_point(|range| range.1 <= last);
        self.0.drain(..count);
        if let Some(first) = self.0.first_mut() {
            first.0 = first.0.max(last + 1);
        }
    }

    /// Removes every sequence from `first` on.
    pub(crate) fn remove_from(&mut self, first: u64) {
        self.0.truncate(self.0.partition_point(|range| range.0 < first));
        if let Some(last) = self.0.last_mut() {
            last.1 = last.1.min(first - 1);
        }
    }

    /// Removes the lowest ranges until `count` are left.
    pub(crate) fn keep_last(&mut self, count: usize) {
        self.0.drain(..self.0.len().saturating_sub(count));
    }
}

impl FromIterator<u64> for Sequences {
    fn from_iter<I: IntoIterator<Item = u64>>(sequences: I) -> Self {
        let mut sorted: Vec<u64> = sequences.into_iter().collect();
        sorted.sort_unstable();
        let mut set = Self::default();
        sorted.into_iter().for_each(|sequence| set.insert((sequence, sequence)));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[Range]) -> Sequences {
        let mut set = Sequences::default();
        ranges.iter().for_each(|range| set.insert(*range));
        set
    }

    #[test]
    fn sequences_become_ranges() {
        assert_eq!([7, 3, 4, 5, 9].into_iter().collect::<Sequences>().ranges(), [(3, 5), (7, 7), (9, 9)]);
    }

    #[test]
    fn ranges_that_overlap_or_touch_become_one() {
        for (inserted, expected) in [
            (&[(20, 29), (40, 49)][..], &[(20, 29), (40, 49)][..]),
            (&[(40, 49), (20, 29)], &[(20, 29), (40, 49)]),
            (&[(20, 29), (40, 49), (30, 39)], &[(20, 49)]),
            (&[(20, 29), (40, 49), (25, 45)], &[(20, 49)]),
            (&[(20, 29), (40, 49), (60, 69), (1, 59)], &[(1, 69)]),
            (&[(20, 29), (22, 23), (5, 4)], &[(20, 29)]),
        ] {
            assert_eq!(set(inserted).ranges(), expected, "{inserted:?}");
        }
    }

    #[test]
    fn the_parts_of_a_range_are_in_the_set_or_outside() {
        let set = set(&[(20, 29), (40, 49)]);
        for (bounds, within, outside) in [
            ((1, 99), &[(20, 29), (40, 49)][..], &[(1, 19), (30, 39), (50, 99)][..]),
            ((25, 44), &[(25, 29), (40, 44)], &[(30, 39)]),
            ((22, 23), &[(22, 23)], &[]),
            ((30, 39), &[], &[(30, 39)]),
        ] {
            assert_eq!(set.within(bounds).collect::<Vec<_>>(), within, "{bounds:?}");
            assert_eq!(set.outside(bounds), outside, "{bounds:?}");
        }
    }

    #[test]
    fn a_set_can_be_cut_at_both_ends() {
        for (first, last, expected) in [
            (60, 0, &[(20, 29), (40, 49)][..]),
            (60, 24, &[(25, 29), (40, 49)]),
            (60, 29, &[(40, 49)]),
            (45, 0, &[(20, 29), (40, 44)]),
            (40, 0, &[(20, 29)]),
            (1, 0, &[]),
        ] {
            let mut cut = set(&[(20, 29), (40, 49)]);
            cut.remove_from(first);
            cut.remove_to(last);
            assert_eq!(cut.ranges(), expected, "from {first}, to {last}");
        }
        let mut kept = set(&[(1, 1), (3, 3), (5, 5)]);
        kept.keep_last(2);
        assert_eq!(kept.ranges(), [(3, 3), (5, 5)]);
    }
}
