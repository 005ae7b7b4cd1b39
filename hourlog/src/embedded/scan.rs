//! Reading a bucket in timeline order: its packs from all lanes, merged.

use std::{collections::VecDeque, ops::RangeInclusive};

use bytes::Bytes;

use crate::{
    Offset, Position, Result,
    pack::Pack,
    store::{Bucket, EncodedEvent, Run, Scan},
};

use super::{
    keys::{LogNumber, PACK_BYTES, PackKey},
    lanes::Lane,
    packs::{shared, unpack},
    tables::broken,
    values::unreadable,
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
        let mut events = Vec::new();
        let Some(mut merge) = Merge::new(self, log, bucket.start, &selected)? else { return Ok(events) };
        let mut progress = Progress::new(selected);
        while progress.goes_on() {
            let Some(event) = merge.next()? else { break };
            progress.read(1, event.record_bytes());
            events.push(event);
        }
        Ok(events)
    }

    /// Reads as [`events`](Self::events) does, but leaves packs together of which all events are wanted.
    pub(super) fn runs(&self, log: LogNumber, bucket: Bucket, selected: Scan) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        let Some(mut merge) = Merge::new(self, log, bucket.start, &selected)? else { return Ok(runs) };
        let mut progress = Progress::new(selected);
        while progress.goes_on() {
            let run = match merge.whole(progress.events_left, progress.bytes_left)? {
                Some(pack) => Run::from(pack),
                None => match merge.next()? {
                    Some(event) => Run::from(event),
                    None => break,
                },
            };
            progress.read(run.count(), run.record_bytes());
            runs.push(run);
        }
        Ok(runs)
    }

    /// Reads the event of a bucket at `position`.
    pub(super) fn event(&self, log: LogNumber, bucket: Bucket, position: Position) -> Result<Option<EncodedEvent>> {
        let only = Scan { from: position, to: position, reverse: false, limit: 1, bytes: 1 };
        Ok(self.events(log, bucket, only)?.pop())
    }
}

/// How much of a scan is left.
struct Progress {
    events_left: usize,
    bytes_left: usize,
    /// The bytes until the next yield.
    until_yield: usize,
}

impl Progress {
    fn new(scan: Scan) -> Self {
        Self { events_left: scan.limit, bytes_left: scan.bytes, until_yield: BYTES_PER_YIELD }
    }

    fn goes_on(&self) -> bool {
        self.events_left > 0 && self.bytes_left > 0
    }

    fn read(&mut self, events: usize, bytes: usize) {
        self.events_left -= events;
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        let read = bytes + events * BYTES_PER_EVENT;
        if read >= self.until_yield {
            self.until_yield = BYTES_PER_YIELD;
            std::thread::yield_now();
        } else {
            self.until_yield -= read;
        }
    }
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
    /// Returns `None` if the scan selects nothing.
    fn new(view: &'a View, log: LogNumber, bucket: Offset, scan: &Scan) -> Result<Option<Self>> {
        let Scan { from, to, reverse, .. } = *scan;
        if from > to {
            return Ok(None);
        }
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
        Ok(Some(merge))
    }

    /// Returns the next pack if all of its events come next, and are no more than these.
    fn whole(&mut self, events_max: usize, bytes_max: usize) -> Result<Option<Pack>> {
        if self.reverse || !self.open.is_empty() {
            return Ok(None);
        }
        let (mut next, mut others_begin) = (None, None);
        for place in 0..self.lanes.len() {
            self.lanes[place].look(self.view, false)?;
            let Some((key, _)) = &self.lanes[place].next else { continue };
            match next {
                Some((_, first)) if first < key.first => {
                    others_begin = Some(others_begin.map_or(key.first, |other: Position| other.min(key.first)));
                }
                _ => {
                    others_begin = next.map(|(_, first)| first);
                    next = Some((place, key.first));
                }
            }
        }
        let Some((place, first)) = next.filter(|(_, first)| self.from <= *first) else { return Ok(None) };
        let lane = &mut self.lanes[place];
        // The next pack of a lane by span may overlap this one.
        if !lane.lane.is_in_order() {
            return Ok(None);
        }
        let Some((_, value)) = &lane.next else { return Ok(None) };
        let pack = Pack::of_value(first, &value.clone().into()).map_err(|_| unreadable())?;
        let fits = |pack: &Pack| {
            pack.last() <= self.to
                && others_begin.is_none_or(|begin| pack.last() < begin)
                && pack.count() <= events_max
                && pack.record_bytes() <= bytes_max
        };
        let pack = pack.filter(fits);
        if pack.is_some() {
            lane.next = None;
        }
        Ok(pack)
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
    Ok((PackKey::decode(&key)?, shared(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Embedded, LogId, Record, Seq,
        random::Random,
        store::{Arrival, EventRow, Store, Width, Write},
        time::SECOND,
    };

    /// About the time of the last event, in nanoseconds.
    const END: u64 = 600 * SECOND as u64;

    /// Writes events of one hour: on time, late in order, and late at any time.
    async fn write_an_hour(store: &Embedded, log: &LogId, numbers: &mut Random) -> Result<()> {
        let (mut seq, mut time) = (0, 0);
        for _ in 0..80 {
            let kind = numbers.below(12);
            let begin = numbers.below(END) as i64;
            let mut rows = Vec::new();
            for at in 0..1 + numbers.below(60) as i64 {
                (seq, time) = (seq + 1, time + SECOND / 4);
                let jitter = numbers.below(SECOND as u64) as i64;
                let offset = match kind {
                    0 => begin + at * SECOND / 100 + jitter,
                    1 => time - SECOND,
                    _ => time,
                };
                let (offset, time) = (Offset::from_nanos(offset.max(0)), Offset::from_nanos(time));
                let arrival = Arrival { offset, time, max_time: time, seq: Seq::new(1, seq) };
                rows.push(EventRow::new(log, arrival, Record::new("paid ".repeat(numbers.below(100) as usize))));
            }
            store.write(vec![Write::Events { log: log.clone(), rows: rows.into(), width: Width::HOUR }]).await?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn runs_hold_the_events_of_a_scan_in_order() -> Result<()> {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let store = Embedded::open(directory.path())?;
        let log: LogId = "orders.eu".parse()?;
        let mut numbers = Random(88_172_645_463_325_252);
        write_an_hour(&store, &log, &mut numbers).await?;
        let bucket = Bucket { start: Offset::from_nanos(0), width: Width::HOUR };
        let mut packs = 0;
        for _ in 0..600 {
            let mut position = || Position { offset: Offset::from_nanos(numbers.below(END) as i64), seq: Seq::MIN };
            let (from, to) = (position(), position());
            let is_whole = numbers.below(3) == 0;
            let (from, to) = if is_whole { (Position::MIN, Position::MAX) } else { (from.min(to), from.max(to)) };
            let limit = [1, 10, 500, usize::MAX][numbers.below(4) as usize];
            let bytes = [1, 10_000, 200_000, usize::MAX][numbers.below(4) as usize];
            let scan = Scan { from, to, reverse: numbers.below(4) == 0, limit, bytes };
            let runs = store.runs(&log, bucket, scan).await?;
            packs += runs.iter().filter(|run| run.count() > 1).count();
            let mut events = Vec::new();
            for run in runs {
                let (first, last, newest) = (run.first(), run.last(), run.newest());
                let of_run = run.into_events()?;
                assert_eq!(of_run.first().map(EncodedEvent::position), Some(first));
                assert_eq!(of_run.last().map(EncodedEvent::position), Some(last));
                assert_eq!(of_run.iter().map(|event| event.position().seq).max(), Some(newest));
                events.extend(of_run);
            }
            assert_eq!(events, store.events(&log, bucket, scan).await?, "{scan:?}");
        }
        assert!(packs > 100, "{packs} packs were read as a whole");
        Ok(())
    }
}
