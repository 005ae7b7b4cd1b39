//! Counts of events by time and by value, one event after the other.

use std::{cmp::Reverse, collections::HashMap};

use hourlog::{
    Offset,
    wire::{GROUPS_MAX, GroupReply},
};

/// The most counts that are kept: for each value, one for each bin.
const COUNTS_MAX: usize = 200_000;
/// The most values that are told apart, and the fewest, whatever the bins.
const VALUES: (usize, usize) = (12, GROUPS_MAX as usize);
/// The most bytes of a value. What is longer is cut.
const VALUE_BYTES_MAX: usize = 200;

/// The counts of a timeline.
#[derive(Debug)]
pub(super) struct Tally {
    /// The edges of the bins, ascending: one more than bins.
    edges: Vec<Offset>,
    pub(super) counts: Vec<u64>,
    /// The counts of each value, if events are grouped.
    values: Option<HashMap<Option<String>, Vec<u64>>>,
}

impl Tally {
    pub(super) fn new(edges: Vec<Offset>, is_grouped: bool) -> Self {
        let counts = vec![0; edges.len().saturating_sub(1)];
        Self { edges, counts, values: is_grouped.then(HashMap::new) }
    }

    /// Counts an event. One outside of the edges is not counted.
    pub(super) fn add(&mut self, offset: Offset, value: impl FnOnce() -> Option<String>) {
        let Some(bin) = self.edges.partition_point(|edge| *edge <= offset).checked_sub(1) else { return };
        let Some(count) = self.counts.get_mut(bin) else { return };
        *count += 1;
        let Some(values) = &mut self.values else { return };
        let bins = self.counts.len();
        let is_full = values.len() >= (COUNTS_MAX / bins).clamp(VALUES.0, VALUES.1);
        let value = value().map(cut);
        if let Some(counts) = values.get_mut(&value) {
            counts[bin] += 1;
        } else if !is_full {
            let mut counts = vec![0; bins];
            counts[bin] = 1;
            values.insert(value, counts);
        }
    }

    /// Returns the `most` values with most events, and the number of the events of all others.
    pub(super) fn groups(&mut self, most: usize) -> Option<(Vec<GroupReply>, u64)> {
        let group = |(value, bins): (Option<String>, Vec<u64>)| GroupReply { value, count: bins.iter().sum(), bins };
        let mut groups: Vec<GroupReply> = self.values.take()?.into_iter().map(group).collect();
        groups.sort_unstable_by(|a, b| (Reverse(a.count), &a.value).cmp(&(Reverse(b.count), &b.value)));
        groups.truncate(most);
        let listed: u64 = groups.iter().map(|group| group.count).sum();
        Some((groups, self.counts.iter().sum::<u64>() - listed))
    }
}

/// Returns a value that is not too long.
fn cut(mut value: String) -> String {
    if value.len() > VALUE_BYTES_MAX {
        let end = (0..=VALUE_BYTES_MAX).rev().find(|at| value.is_char_boundary(*at));
        value.truncate(end.unwrap_or(0));
        value.push('…');
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: i64) -> Offset {
        Offset::from_nanos(nanos)
    }

    #[test]
    fn events_are_counted_in_their_bins_and_by_their_values() {
        let mut tally = Tally::new(vec![at(0), at(10), at(20)], true);
        for (offset, value) in
            [(-1, "before"), (0, "a"), (9, "b"), (10, "b"), (12, "c"), (19, "b"), (20, "after"), (5, "a")]
        {
            tally.add(at(offset), || Some(value.to_owned()));
        }
        tally.add(at(1), || None);
        assert_eq!(tally.counts, [4, 3]);
        let (groups, rest) = tally.groups(2).expect("they are grouped");
        let found: Vec<_> = groups.iter().map(|group| (group.value.as_deref(), group.count, &group.bins[..])).collect();
        assert_eq!(found, [(Some("b"), 3, &[1, 2][..]), (Some("a"), 2, &[2, 0])]);
        assert_eq!(rest, 2);
    }

    #[test]
    fn values_beyond_the_limit_are_counted_as_the_rest() {
        let mut tally = Tally::new(vec![at(0), at(10)], true);
        for number in 0..3_000 {
            tally.add(at(1), || Some(number.to_string()));
        }
        let (groups, rest) = tally.groups(5_000).expect("they are grouped");
        assert_eq!((groups.len(), rest), (GROUPS_MAX as usize, 2_000));
        assert_eq!(cut("ä".repeat(200)).chars().count(), 101);
        assert!(Tally::new(vec![at(0), at(1)], false).groups(1).is_none());
    }
}
