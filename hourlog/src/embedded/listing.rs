//! The lists of late events, for arrival order: a row of `arrivals` lists late events of one write, with their packs.

use crate::{Offset, Position, Result, Seq};

use super::{
    keys::{LogNumber, PackKey},
    lanes::Lane,
    values::{FORMAT, Reader, put_signed, put_varint, unreadable},
};

/// The late events of one row, by their packs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) packs: Vec<ListedPack>,
}

/// The listed events of one pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedPack {
    pub(super) key: PackKey,
    /// The positions of the events. They are known also when the pack is gone.
    pub(super) events: Vec<Position>,
}

impl Listing {
    /// The positions by seq, each with the place of its pack.
    pub(super) fn by_seq(&self) -> Vec<(Position, usize)> {
        let positions = |(place, pack): (usize, &ListedPack)| {
            pack.events.iter().map(move |position| (*position, place)).collect::<Vec<_>>()
        };
        let mut all: Vec<_> = self.packs.iter().enumerate().flat_map(positions).collect();
        all.sort_unstable_by_key(|(position, _)| position.seq);
        all
    }

    /// The number of listed events.
    pub(super) fn len(&self) -> usize {
        self.packs.iter().map(|pack| pack.events.len()).sum()
    }

    /// The seqs of the listed events.
    pub(super) fn seqs(&self) -> impl Iterator<Item = Seq> {
        self.packs.iter().flat_map(|pack| &pack.events).map(|position| position.seq)
    }

    /// Adds an event of a pack.
    pub(super) fn add(&mut self, key: PackKey, event: Position) {
        match self.packs.iter_mut().find(|pack| pack.key == key) {
            Some(pack) => pack.events.push(event),
            None => self.packs.push(ListedPack { key, events: vec![event] }),
        }
    }

    /// Encodes the row: each pack with its events, whose times and seqs are relative to the one before.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(1 + self.packs.len() * 24 + self.len() * 8);
        value.push(FORMAT);
        for ListedPack { key, events } in &self.packs {
            value.push(key.lane.number());
            value.extend(key.bucket.nanos().to_le_bytes());
            value.extend(key.first.offset.nanos().to_le_bytes());
            value.extend(key.first.seq.get().to_le_bytes());
            put_varint(&mut value, events.len() as u64);
            let mut before = key.first;
            for event in events {
                put_signed(&mut value, event.offset.nanos().wrapping_sub(before.offset.nanos()));
                put_signed(&mut value, event.seq.get().wrapping_sub(before.seq.get()));
                before = *event;
            }
        }
        value
    }

    /// Decodes a row of `log`.
    pub(super) fn decode(log: LogNumber, value: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(value)?;
        let mut packs = Vec::new();
        while !reader.is_at_end() {
            let lane = Lane::from_number(reader.byte()?).ok_or_else(unreadable)?;
            let bucket = Offset::from_nanos(reader.fixed()?);
            let first = Position { offset: Offset::from_nanos(reader.fixed()?), seq: reader.seq()? };
            let count = reader.varint()?;
            let (mut events, mut before) = (Vec::new(), first);
            for _ in 0..count {
                let offset = Offset::from_nanos(before.offset.nanos().wrapping_add(reader.signed()?));
                let seq = Seq::from_number(before.seq.get().wrapping_add(reader.signed()?));
                before = Position { offset, seq };
                events.push(before);
            }
            packs.push(ListedPack { key: PackKey { log, bucket, lane, first }, events });
        }
        Ok(Self { packs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(offset: i64, seq: i64) -> Position {
        Position { offset: Offset::from_nanos(offset), seq: Seq::from_number(seq) }
    }

    fn listing() -> Listing {
        let key = |lane, bucket, first| PackKey { log: LogNumber(7), bucket: Offset::from_nanos(bucket), lane, first };
        let events = vec![position(5, 42), position(6, 40), position(i64::MAX, i64::MIN)];
        let one = ListedPack { key: key(Lane::LATE, 0, position(5, 42)), events };
        let other =
            ListedPack { key: key(Lane::ON_TIME, i64::MIN, position(i64::MIN, 7)), events: vec![position(-1, 41)] };
        Listing { packs: vec![one, other] }
    }

    #[test]
    fn listings_round_trip() {
        assert_eq!(Listing::decode(LogNumber(7), &listing().encode()).expect("what was just encoded"), listing());
    }

    #[test]
    fn the_events_of_all_packs_are_listed_by_seq() {
        let seqs =
            |listing: &Listing| listing.by_seq().iter().map(|(at, pack)| (at.seq.get(), *pack)).collect::<Vec<_>>();
        assert_eq!(seqs(&listing()), [(i64::MIN, 0), (40, 0), (41, 1), (42, 0)]);
    }

    #[test]
    fn a_truncated_listing_is_an_error_or_another_one_and_never_a_panic() {
        let value = listing().encode();
        for length in 0..value.len() {
            assert_ne!(Listing::decode(LogNumber(7), &value[..length]).ok(), Some(listing()));
        }
    }
}
