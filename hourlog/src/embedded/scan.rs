//! Reading a bucket in timeline order: its packs from all lanes, merged.

use std::{collections::VecDeque, ops::RangeInclusive};

use bytes::Bytes;

use crate::{
    Offset, Position, Result,
    store::{Bucket, EncodedEvent, Scan},
};

use super::{
    keys::{LogNumber, PACK_BYTES, PackKey},
    lanes::Lane,
    packs::unpack,
    tables::broken,
    view::View,
};

/// Bytes that a read takes before it lets a waiting thread have the processor. The system interrupts a busy
/// thread only at its next tick, so a small read could wait for a large one, milliseconds long.
const BYTES_PER_YIELD: usize = 64 << 10;
/// Bytes that an event counts for by itself: to read it takes as long.
const BYTES_PER_EVENT: usize = 256;

impl View {
    /// Reads the events of a bucket that `selected` selects.
    pub(super) fn events(&self, log: LogNumber, bucket: Bucket, selected: Scan) -> Result<Vec<EncodedEvent>> {
        scan(self, log, bucket.start, selected)
    }

    /// Reads the event of a bucket at `position`.
    pub(super) fn event(&self, log: LogNumber, bucket: Bucket, position: Position) -> Result<Option<EncodedEvent>> {
        let only = Scan { from: position, to: position, reverse: false, limit: 1, bytes: 1 };
        Ok(self.events(log, bucket, only)?.pop())
    }
}

/// Reads the events of the bucket that begins at `bucket`, as far as `scan` selects them.
fn scan(view: &View, log: LogNumber, bucket: Offset, scan: Scan) -> Result<Vec<EncodedEvent>> {
    let mut events = Vec::new();
    if scan.from > scan.to {
        return Ok(events);
    }
    let mut merge = Merge::new(view, log, bucket, &scan)?;
    let (mut bytes, mut next_yield) = (0, BYTES_PER_YIELD);
    while events.len() < scan.limit && bytes < scan.bytes {
        let Some(event) = merge.next()? else { break };
        bytes += event.record_bytes();
        events.push(event);
        if bytes + events.len() * BYTES_PER_EVENT >= next_yield {
            next_yield += BYTES_PER_YIELD;
            std::thread::yield_now();
        }
    }
    Ok(events)
}

/// The packs of a bucket, merged.
struct Merge<'a> {
    view: &'a View,
    from: Position,
    to: Position,
    reverse: bool,
    lanes: Vec<LanePacks>,
    /// The packs that are being read, each with what is left of it. Mostly one.
    open: Vec<OpenPack>,
}

/// The packs of a lane that are not open yet.
struct LanePacks {
    lane: Lane,
    /// Those that have not been looked at; `None` at the end.
    rest: Option<Rest>,
    next: Option<(PackKey, Bytes)>,
}

/// The packs from one key to another, both inclusive. Read once they are needed: the first pack is often enough.
enum Rest {
    Keys([u8; PACK_BYTES], [u8; PACK_BYTES]),
    Packs(fjall::Iter),
}

struct OpenPack {
    lane: Lane,
    /// Never empty.
    events: VecDeque<EncodedEvent>,
}

impl<'a> Merge<'a> {
    fn new(view: &'a View, log: LogNumber, bucket: Offset, scan: &Scan) -> Result<Self> {
        let Scan { from, to, reverse, .. } = *scan;
        let mut merge = Self { view, from, to, reverse, lanes: Vec::new(), open: Vec::new() };
        for lane in view.lanes(log, bucket)?.iter() {
            let key = |first| PackKey { log, bucket, lane, first };
            let mut packs = LanePacks { lane, rest: None, next: None };
            let mut first = key(Position::at(from.offset.saturating_add_nanos(-lane.reach_nanos()))).encode();
            if lane.is_in_order() {
                // The pack before `from` may reach to it.
                first = key(from.next()).encode();
                packs.next = last_of(view, key(Position::MIN).encode()..=key(from).encode())?;
            }
            packs.rest = (from < Position::MAX).then(|| Rest::Keys(first, key(to).encode()));
            if reverse && lane.is_in_order() {
                let before = packs.next.take().map_or(first, |(key, _)| key.encode());
                packs.rest = Some(Rest::Keys(before, key(to).encode()));
            }
            merge.lanes.push(packs);
        }
        Ok(merge)
    }

    /// Returns the next event.
    fn next(&mut self) -> Result<Option<EncodedEvent>> {
        loop {
            let best = self.best();
            let position = best.and_then(|place| self.open[place].head(self.reverse));
            let mut has_opened = false;
            for lane in 0..self.lanes.len() {
                has_opened |= self.open_if_needed(lane, position)?;
            }
            if has_opened {
                continue;
            }
            let Some(place) = best else { return Ok(None) };
            let events = &mut self.open[place].events;
            let event = if self.reverse { events.pop_back() } else { events.pop_front() };
            if events.is_empty() {
                self.open.swap_remove(place);
            }
            return Ok(event);
        }
    }

    /// Returns the place of the open pack with the next event.
    fn best(&self) -> Option<usize> {
        let heads = self.open.iter().enumerate().filter_map(|(place, pack)| Some((pack.head(self.reverse)?, place)));
        let best = if self.reverse { heads.max() } else { heads.min() };
        best.map(|(_, place)| place)
    }

    /// Opens the next pack of a lane if it may hold an event that comes before the one at `position`, which is the next
    /// one of the open packs. Returns true if there was such a pack.
    fn open_if_needed(&mut self, lane: usize, position: Option<Position>) -> Result<bool> {
        let packs = &mut self.lanes[lane];
        // In a lane in order, the packs that follow lie behind the open one.
        if packs.lane.is_in_order() && self.open.iter().any(|pack| pack.lane == packs.lane) {
            return Ok(false);
        }
        packs.look(self.view, self.reverse)?;
        let Some((key, _)) = &packs.next else { return Ok(false) };
        let is_needed = position.is_none_or(|position| {
            if self.reverse {
                // Its end is not known before it is read.
                packs.lane.is_in_order()
                    || key.first.offset.saturating_add_nanos(packs.lane.reach_nanos()) >= position.offset
            } else {
                key.first < position
            }
        });
        if !is_needed {
            return Ok(false);
        }
        let Some((_, value)) = packs.next.take() else { return Ok(false) };
        let is_wanted = |event: &EncodedEvent| self.from <= event.position() && event.position() <= self.to;
        let events: VecDeque<_> = unpack(value)?.into_iter().filter(is_wanted).collect();
        if !events.is_empty() {
            self.open.push(OpenPack { lane: packs.lane, events });
        }
        Ok(true)
    }
}

impl LanePacks {
    /// Finds the next pack, unless it is known.
    fn look(&mut self, view: &View, reverse: bool) -> Result<()> {
        if self.next.is_some() {
            return Ok(());
        }
        let Some(rest) = self.rest.take() else { return Ok(()) };
        let mut packs = match rest {
            Rest::Keys(first, last) if first > last => return Ok(()),
            Rest::Keys(first, last) => view.range(&view.tables().events, first..=last),
            Rest::Packs(packs) => packs,
        };
        let guard = if reverse { packs.next_back() } else { packs.next() };
        if let Some(guard) = guard {
            self.next = Some(read(guard)?);
            self.rest = Some(Rest::Packs(packs));
        }
        Ok(())
    }
}

impl OpenPack {
    fn head(&self, reverse: bool) -> Option<Position> {
        let head = if reverse { self.events.back() } else { self.events.front() };
        head.map(EncodedEvent::position)
    }
}

/// Returns the last pack of a range of keys.
fn last_of(view: &View, keys: RangeInclusive<[u8; PACK_BYTES]>) -> Result<Option<(PackKey, Bytes)>> {
    view.range(&view.tables().events, keys).next_back().map(read).transpose()
}

fn read(guard: fjall::Guard) -> Result<(PackKey, Bytes)> {
    let (key, value) = guard.into_inner().map_err(broken)?;
    Ok((PackKey::decode(&key)?, value.into()))
}
