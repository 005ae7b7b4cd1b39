//! Packs: the events of one write that are stored as one value, and the lanes that they are in.
//!
//! A pack is a piece of a bucket, in timeline order. Its value is its events one after the other, encoded as a page has
//! them. To find the events at a time, a reader must know how far before it a pack that reaches to it can begin.
//! The lane tells that:
//!
//! - The two lanes in order, one for on-time events and one for late ones, hold packs that do not overlap within their
//!   lane: each begins after the end of the one before. Nearly all events are there.
//! - A late event from before the end of its lane is in a lane by span: these packs may overlap, but each spans less
//!   than the reach of its lane.

use crate::{Position, pack, store::EventRow};

/// The bytes of events at which a pack is full.
///
/// A single event is read with its pack. Larger packs gain little: the cost of a pack is shared by some hundred events.
pub(super) const PACK_BYTES_MAX: usize = 32 << 10;

/// A group of the packs of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Lane(u8);

impl Lane {
    /// The on-time events, in order.
    pub(super) const ON_TIME: Self = Self(0);
    /// The late events that are in order.
    pub(super) const LATE: Self = Self(1);
    /// The first of the lanes by span.
    const FIRST_BY_SPAN: u8 = 2;
    /// The last lane. Its packs span less than 4.3 s.
    const LAST: Self = Self(8);
    /// The reach of the first lane by span, as a power of two of nanoseconds: about a millisecond.
    const FIRST_REACH_BITS: u8 = 20;
    /// Each further lane reaches four times as far.
    const REACH_BITS_STEP: u8 = 2;

    /// The number that stands for the lane in a key.
    pub(super) fn number(self) -> u8 {
        self.0
    }

    /// Returns the lane of a number in a key.
    pub(super) fn from_number(number: u8) -> Option<Self> {
        (number <= Self::LAST.0).then_some(Self(number))
    }

    /// All lanes.
    fn all() -> impl Iterator<Item = Self> {
        (Self::ON_TIME.0..=Self::LAST.0).map(Self)
    }

    /// Returns true if the packs of the lane do not overlap.
    pub(super) fn is_in_order(self) -> bool {
        self.0 < Self::FIRST_BY_SPAN
    }

    /// The nanoseconds that are more than any pack of this lane by span spans.
    pub(super) fn reach_nanos(self) -> i64 {
        1 << (Self::FIRST_REACH_BITS + Self::REACH_BITS_STEP * self.0.saturating_sub(Self::FIRST_BY_SPAN))
    }

    /// Returns the lane of a pack that spans `nanos`, which are fewer than the greatest reach.
    fn of_span(nanos: i64) -> Self {
        let mut lane = Self(Self::FIRST_BY_SPAN);
        while nanos >= lane.reach_nanos() && lane < Self::LAST {
            lane.0 += 1;
        }
        lane
    }
}

/// The lanes of a bucket that hold anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lanes(u64);

impl Lanes {
    /// Returns the set that a number stands for.
    pub(super) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the number that stands for the set.
    pub(super) fn bits(self) -> u64 {
        self.0
    }

    pub(super) fn insert(&mut self, lane: Lane) {
        self.0 |= 1 << lane.0;
    }

    pub(super) fn contains(self, lane: Lane) -> bool {
        self.0 & 1 << lane.0 != 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Lane> {
        Lane::all().filter(move |lane| self.contains(*lane))
    }
}

/// The ends of the two lanes in order of a bucket: the positions of their last events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) on_time: Option<Position>,
    pub(super) late: Option<Position>,
}

/// The rows of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PackRows<'a, 'r> {
    pub(super) lane: Lane,
    /// At least one.
    pub(super) rows: &'a [&'r EventRow],
}

impl PackRows<'_, '_> {
    /// The position of the first event.
    pub(super) fn first(&self) -> Position {
        self.rows[0].event.position
    }

    /// Encodes the events.
    pub(super) fn encode(&self) -> Vec<u8> {
        pack::encode(self.rows.iter().copied(), self.rows.iter().map(|row| row_bytes(row)).sum())
    }
}

/// Divides `rows` into packs. They are in timeline order, of one bucket, and all on time or all late.
///
/// Moves the `end` of their lane in order.
pub(super) fn divide<'a, 'r>(
    rows: &'a [&'r EventRow],
    lane: Lane,
    end: &mut Option<Position>,
) -> Vec<PackRows<'a, 'r>> {
    let position = |row: &EventRow| row.event.position;
    let (mut before_end, mut in_order) = rows.split_at(rows.partition_point(|row| Some(position(row)) <= *end));
    let mut packs = Vec::new();
    while let Some(first) = before_end.first() {
        let span =
            |row: &EventRow| i128::from(position(row).offset.nanos()) - i128::from(position(first).offset.nanos());
        let within_reach = before_end.partition_point(|row| span(row) < i128::from(Lane::LAST.reach_nanos()));
        let (pack, rest) = before_end.split_at(full_at(&before_end[..within_reach]));
        let nanos = pack.last().map_or(0, |last| span(last)) as i64;
        packs.push(PackRows { lane: Lane::of_span(nanos), rows: pack });
        before_end = rest;
    }
    while !in_order.is_empty() {
        let (pack, rest) = in_order.split_at(full_at(in_order));
        *end = pack.last().map(|row| position(row)).max(*end);
        packs.push(PackRows { lane, rows: pack });
        in_order = rest;
    }
    packs
}

/// Returns the number of `rows` that fit into a pack; at least one.
fn full_at(rows: &[&EventRow]) -> usize {
    let mut bytes = 0;
    let more = rows.iter().take_while(|row| {
        let before = bytes;
        bytes += row_bytes(row);
        before == 0 || bytes <= PACK_BYTES_MAX
    });
    more.count()
}

/// Returns about the bytes that an event takes in a pack.
pub(super) fn row_bytes(row: &EventRow) -> usize {
    const FIELDS: usize = 40;
    const FIELDS_OF_NAME: usize = 12;
    FIELDS + row.event.record.bytes() + row.event.record.metadata.len() * FIELDS_OF_NAME
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LogId, Offset, Record, Seq, store::Arrival, time::SECOND};

    const MILLISECOND: i64 = SECOND / 1_000;

    fn row(offset: i64, seq: u64, data: usize) -> EventRow {
        let log: LogId = "a".parse().expect("a valid id");
        let (offset, time) = (Offset::from_nanos(offset), Offset::from_nanos(0));
        let arrival = Arrival { offset, time, max_time: time, seq: Seq::new(1, seq) };
        EventRow::new(&log, arrival, Record::new(vec![0; data]))
    }

    /// Returns the lane and the number of rows of each pack.
    fn divided(rows: &[EventRow], end: &mut Option<Position>) -> Vec<(u8, usize)> {
        let rows: Vec<&EventRow> = rows.iter().collect();
        divide(&rows, Lane::LATE, end).iter().map(|pack| (pack.lane.number(), pack.rows.len())).collect()
    }

    #[test]
    fn rows_after_the_end_of_their_lane_are_in_order() {
        let mut end = None;
        assert_eq!(divided(&[row(1, 1, 1), row(60 * SECOND, 2, 1)], &mut end), [(1, 2)]);
        assert_eq!(end.map(|end| end.offset.nanos()), Some(60 * SECOND));
        // A later event of the same time is after it, by its seq.
        assert_eq!(divided(&[row(60 * SECOND, 3, 1), row(61 * SECOND, 4, 1)], &mut end), [(1, 2)]);
        assert_eq!(divided(&[row(61 * SECOND - 1, 5, 1), row(62 * SECOND, 6, 1)], &mut end), [(2, 1), (1, 1)]);
        assert_eq!(end.map(|end| end.offset.nanos()), Some(62 * SECOND));
    }

    #[test]
    fn rows_before_the_end_are_in_lanes_by_their_span() {
        let mut end = Some(row(3_600 * SECOND, 1, 0).event.position);
        let before = end;
        let spans = [(0, 2), (MILLISECOND, 2), (2 * MILLISECOND, 3), (300 * MILLISECOND, 7), (4 * SECOND, 8)];
        for (span, lane) in spans {
            assert_eq!(divided(&[row(5, 2, 1), row(5 + span, 3, 1)], &mut end), [(lane, 2)], "{span} ns");
        }
        assert_eq!(divided(&[row(5, 2, 1), row(5 + 5 * SECOND, 3, 1)], &mut end), [(2, 1), (2, 1)]);
        assert_eq!(end, before);
    }

    #[test]
    fn a_pack_is_bounded_in_bytes_and_a_larger_event_has_its_own() {
        let mut end = None;
        let rows: Vec<EventRow> = (1..=100).map(|at| row(at, at as u64, 1_000)).collect();
        let packs = divided(&rows, &mut end);
        assert!(packs.iter().all(|(_, rows)| (1..=32).contains(rows)), "{packs:?}");
        assert_eq!(packs.iter().map(|(_, rows)| rows).sum::<usize>(), 100);
        let rows = [row(101, 101, PACK_BYTES_MAX + 1), row(102, 102, 1), row(103, 103, PACK_BYTES_MAX + 1)];
        assert_eq!(divided(&rows, &mut end), [(1, 1), (1, 1), (1, 1)]);
    }
}
