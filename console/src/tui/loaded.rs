//! The events in memory: one stretch of a log around the playhead, without holes.

use std::collections::VecDeque;

use hourlog::{Event, Offset, Position};

/// Limit of the loaded events in bytes. Those farthest from the playhead are evicted first.
const BYTES_MAX: usize = 128 << 20;
/// Number of events to keep loaded on each side of the playhead.
const MARGIN: usize = 200;
/// Memory that an event takes besides its record.
const OVERHEAD_BYTES: usize = 128;

/// The events to load next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    /// Some before a position, and some from it on.
    Around(Position),
    /// Some after a position.
    After(Position),
    /// Some before a position.
    Before(Position),
    /// The newest.
    Newest,
}

/// The events that were read for a [`Fetch`].
#[derive(Debug, Clone, Default)]
pub struct FetchedEvents {
    /// Events in timeline order, without holes.
    pub events: Vec<Event>,
    /// The log has no event before the first of these.
    pub first_reached: bool,
    /// The log has no event after the last of these.
    pub last_reached: bool,
}

/// A stretch of events without holes.
#[derive(Debug, Default)]
pub struct LoadedEvents {
    events: VecDeque<Event>,
    bytes: usize,
    first_reached: bool,
    last_reached: bool,
}

impl LoadedEvents {
    /// Returns the complete stretch of a log that holds no event.
    pub fn empty_log() -> Self {
        Self { first_reached: true, last_reached: true, ..Self::default() }
    }

    /// Returns the events, in timeline order.
    pub fn events(&self) -> &VecDeque<Event> {
        &self.events
    }

    /// Returns whether the log has no event before the first of these.
    pub fn first_reached(&self) -> bool {
        self.first_reached
    }

    /// Returns whether the log has no event after the last of these.
    pub fn last_reached(&self) -> bool {
        self.last_reached
    }

    /// Returns whether every event of the log is loaded.
    pub fn is_complete(&self) -> bool {
        self.first_reached && self.last_reached
    }

    /// Returns the index of the event under a playhead: the first at or after it, or else the last.
    pub fn index_at(&self, playhead: Position) -> Option<usize> {
        let index = self.events.partition_point(|event| event.position < playhead);
        self.events.len().checked_sub(1).map(|last| index.min(last))
    }

    /// Returns the first and the last position, if there are events.
    pub fn span(&self) -> Option<(Position, Position)> {
        Some((self.events.front()?.position, self.events.back()?.position))
    }

    /// Returns whether every event between the playhead and the event under it is loaded.
    pub fn covers(&self, playhead: Position) -> bool {
        match self.span() {
            Some((first, last)) => (first <= playhead || self.first_reached) && (playhead <= last || self.last_reached),
            None => self.is_complete(),
        }
    }

    /// Returns whether the events at a time are loaded.
    pub fn holds(&self, time: Offset) -> bool {
        self.span().is_some_and(|(first, last)| {
            (first.offset <= time || self.first_reached) && (time <= last.offset || self.last_reached)
        })
    }

    /// Returns what to load next so that there are enough events that pass `is_shown` on both sides
    /// of the playhead.
    pub fn missing_around(&self, playhead: Position, is_shown: impl Fn(&Event) -> bool) -> Option<Fetch> {
        if !self.covers(playhead) {
            return Some(Fetch::Around(playhead));
        }
        let (first, last) = self.span()?;
        let index = self.index_at(playhead)?;
        let after = self.events.range(index..).filter(|event| is_shown(event)).take(MARGIN).count();
        if after < MARGIN && !self.last_reached && self.bytes < BYTES_MAX {
            return Some(Fetch::After(last));
        }
        let before = self.events.range(..index).rev().filter(|event| is_shown(event)).take(MARGIN).count();
        (before < MARGIN && !self.first_reached && self.bytes < BYTES_MAX).then_some(Fetch::Before(first))
    }

    /// Returns what to load next so that every event up to `until` is loaded.
    pub fn missing_until(&self, until: Offset) -> Option<Fetch> {
        let (_, last) = self.span()?;
        (!self.last_reached && last.offset < until && self.bytes < BYTES_MAX).then_some(Fetch::After(last))
    }

    /// Adds the answer to `fetch`. An answer that no longer fits the stretch is dropped.
    pub fn add_fetched(&mut self, fetch: Fetch, fetched: FetchedEvents, playhead: Position) {
        match fetch {
            Fetch::Around(_) | Fetch::Newest => {
                let FetchedEvents { events, first_reached, last_reached } = fetched;
                *self = Self { first_reached, last_reached, ..Self::default() };
                self.extend(events);
            }
            Fetch::After(last) if self.span().is_some_and(|span| span.1 == last) => {
                self.last_reached = fetched.last_reached;
                self.extend(fetched.events);
            }
            Fetch::Before(first) if self.span().is_some_and(|span| span.0 == first) => {
                self.first_reached = fetched.first_reached;
                for event in fetched.events.into_iter().rev() {
                    self.bytes += size(&event);
                    self.events.push_front(event);
                }
            }
            Fetch::After(_) | Fetch::Before(_) => {}
        }
        self.evict(playhead);
    }

    /// Adds an event that arrived while the log was followed. Outside of the stretch it is dropped:
    /// it would make a hole, and is loaded when the playhead gets there.
    pub fn add_arrived(&mut self, event: Event, playhead: Position) {
        let index = self.events.partition_point(|other| other.position < event.position);
        let is_inside = (index > 0 || self.first_reached) && (index < self.events.len() || self.last_reached);
        let is_known = self.events.get(index).is_some_and(|other| other.position == event.position);
        if is_inside && !is_known {
            self.bytes += size(&event);
            self.events.insert(index, event);
            self.evict(playhead);
        }
    }

    fn extend(&mut self, events: Vec<Event>) {
        for event in events {
            self.bytes += size(&event);
            self.events.push_back(event);
        }
    }

    fn evict(&mut self, playhead: Position) {
        while self.bytes > BYTES_MAX && self.events.len() > 1 {
            let index = self.index_at(playhead).unwrap_or(0);
            let evicted = if index * 2 > self.events.len() {
                self.first_reached = false;
                self.events.pop_front()
            } else {
                self.last_reached = false;
                self.events.pop_back()
            };
            self.bytes -= evicted.as_ref().map_or(0, size);
        }
    }
}

fn size(event: &Event) -> usize {
    event.record.bytes() + OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::Record;

    fn event(at: i64) -> Event {
        let position = Position { offset: Offset::from_nanos(at), seq: hourlog::Seq::from_number(at) };
        Event { log: "a".parse().expect("a valid id"), position, arrived: None, record: Record::new("x") }
    }

    fn fetched(range: std::ops::Range<i64>, first_reached: bool, last_reached: bool) -> FetchedEvents {
        FetchedEvents { events: range.map(event).collect(), first_reached, last_reached }
    }

    fn at(at: i64) -> Position {
        Position::at(Offset::from_nanos(at))
    }

    #[test]
    fn loaded_events_grow_at_both_ends_and_have_no_hole() {
        let mut loaded = LoadedEvents::default();
        assert_eq!(loaded.missing_around(at(500), |_| true), Some(Fetch::Around(at(500))));
        loaded.add_fetched(Fetch::Around(at(500)), fetched(400..600, false, false), at(500));
        assert_eq!(loaded.missing_around(at(500), |_| true), Some(Fetch::After(event(599).position)));
        loaded.add_fetched(Fetch::After(event(599).position), fetched(600..1_000, false, true), at(500));
        assert_eq!(loaded.missing_around(at(500), |_| true), Some(Fetch::Before(event(400).position)));
        loaded.add_fetched(Fetch::Before(event(400).position), fetched(0..400, true, false), at(500));
        assert_eq!((loaded.events().len(), loaded.missing_around(at(500), |_| true)), (1_000, None));
        // The answer to a request that an earlier stretch made.
        loaded.add_fetched(Fetch::After(event(7).position), fetched(8..9, false, false), at(500));
        assert_eq!(loaded.events().len(), 1_000);
        assert_eq!(loaded.index_at(at(2_000)), Some(999));
    }

    #[test]
    fn late_events_are_inserted_if_their_surroundings_are_loaded() {
        let mut loaded = LoadedEvents::default();
        loaded.add_fetched(Fetch::Around(at(10)), fetched(10..12, false, true), at(10));
        for late in [13, 12, 12, 5] {
            loaded.add_arrived(event(late), at(10));
        }
        let positions: Vec<i64> = loaded.events().iter().map(|event| event.position.seq.get()).collect();
        assert_eq!(positions, [10, 11, 12, 13]);
    }
}
