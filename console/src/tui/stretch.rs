//! The events that are loaded: one stretch of a log around the playhead, without a hole.

use std::collections::VecDeque;

use hourlog::{Event, Offset, Position};

use crate::tui::msg::{Fetch, Found};

/// The bytes of events that are kept; those farthest from the playhead go first.
const BYTES_MAX: usize = 128 << 20;
/// So close to an end of what is loaded, more is asked for.
const MARGIN: usize = 200;

/// A stretch of events.
#[derive(Debug, Default)]
pub struct Stretch {
    events: VecDeque<Event>,
    bytes: usize,
    /// There is none before the first.
    pub first_reached: bool,
    /// There is none behind the last.
    pub last_reached: bool,
}

impl Stretch {
    /// All of a log that holds no event.
    pub fn whole() -> Self {
        Self { first_reached: true, last_reached: true, ..Self::default() }
    }

    /// The events, in timeline order.
    pub fn events(&self) -> &VecDeque<Event> {
        &self.events
    }

    /// The event that a playhead is on: the first at or behind it, or the last there is.
    pub fn at(&self, playhead: Position) -> Option<usize> {
        let at = self.events.partition_point(|event| event.position < playhead);
        self.events.len().checked_sub(1).map(|last| at.min(last))
    }

    /// The first and the last position, where there are events.
    pub fn span(&self) -> Option<(Position, Position)> {
        Some((self.events.front()?.position, self.events.back()?.position))
    }

    /// Whether every event between the playhead and what it is on is loaded.
    pub fn covers(&self, playhead: Position) -> bool {
        match self.span() {
            Some((first, last)) => (first <= playhead || self.first_reached) && (playhead <= last || self.last_reached),
            None => self.first_reached && self.last_reached,
        }
    }

    /// Whether what there is at a time is loaded.
    pub fn holds(&self, time: Offset) -> bool {
        self.span().is_some_and(|(first, last)| {
            (first.offset <= time || self.first_reached) && (time <= last.offset || self.last_reached)
        })
    }

    /// What should be loaded next, for a playhead that is here and of which `shown` events are shown at once.
    pub fn wants(&self, playhead: Position, shown: impl Fn(&Event) -> bool) -> Option<Fetch> {
        if !self.covers(playhead) {
            return Some(Fetch::Around(playhead));
        }
        let (first, last) = self.span()?;
        let at = self.at(playhead)?;
        let behind = self.events.range(at..).filter(|event| shown(event)).take(MARGIN).count();
        if behind < MARGIN && !self.last_reached && self.bytes < BYTES_MAX {
            return Some(Fetch::After(last));
        }
        let before = self.events.range(..at).rev().filter(|event| shown(event)).take(MARGIN).count();
        (before < MARGIN && !self.first_reached && self.bytes < BYTES_MAX).then_some(Fetch::Before(first))
    }

    /// What should be loaded next, so that everything up to a time is there.
    pub fn lacks(&self, until: Offset) -> Option<Fetch> {
        let (_, last) = self.span()?;
        (!self.last_reached && last.offset < until && self.bytes < BYTES_MAX).then_some(Fetch::After(last))
    }

    /// Takes what was found for `fetch`.
    pub fn take(&mut self, fetch: Fetch, found: Found, playhead: Position) {
        match fetch {
            Fetch::Around(_) | Fetch::Newest => {
                *self =
                    Self { first_reached: found.first_reached, last_reached: found.last_reached, ..Self::default() };
                self.extend(found.events);
            }
            Fetch::After(last) if self.span().is_some_and(|span| span.1 == last) => {
                self.last_reached = found.last_reached;
                self.extend(found.events);
            }
            Fetch::Before(first) if self.span().is_some_and(|span| span.0 == first) => {
                self.first_reached = found.first_reached;
                for event in found.events.into_iter().rev() {
                    self.bytes += weight(&event);
                    self.events.push_front(event);
                }
            }
            // The stretch has changed since it was asked for.
            Fetch::After(_) | Fetch::Before(_) => {}
        }
        self.shrink(playhead);
    }

    /// Takes an event that has come. One that lies where nothing is loaded is left; it is found when one goes there.
    pub fn arrived(&mut self, event: Event, playhead: Position) {
        let at = self.events.partition_point(|other| other.position < event.position);
        let inside = (at > 0 || self.first_reached) && (at < self.events.len() || self.last_reached);
        let there = self.events.get(at).is_some_and(|other| other.position == event.position);
        if inside && !there {
            self.bytes += weight(&event);
            self.events.insert(at, event);
            self.shrink(playhead);
        }
    }

    fn extend(&mut self, events: Vec<Event>) {
        for event in events {
            self.bytes += weight(&event);
            self.events.push_back(event);
        }
    }

    fn shrink(&mut self, playhead: Position) {
        while self.bytes > BYTES_MAX && self.events.len() > 1 {
            let at = self.at(playhead).unwrap_or(0);
            let gone = if at * 2 > self.events.len() {
                self.first_reached = false;
                self.events.pop_front()
            } else {
                self.last_reached = false;
                self.events.pop_back()
            };
            self.bytes -= gone.as_ref().map_or(0, weight);
        }
    }
}

fn weight(event: &Event) -> usize {
    event.record.bytes() + 128
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::Record;

    fn event(at: i64) -> Event {
        let position = Position { offset: Offset::from_nanos(at), seq: at };
        Event { log: "a".parse().expect("a good id"), position, arrived: None, record: Record::new("x") }
    }

    fn found(range: std::ops::Range<i64>, first_reached: bool, last_reached: bool) -> Found {
        Found { events: range.map(event).collect(), first_reached, last_reached }
    }

    fn at(at: i64) -> Position {
        Position::at(Offset::from_nanos(at))
    }

    #[test]
    fn a_stretch_grows_at_both_ends_and_has_no_hole() {
        let mut stretch = Stretch::default();
        assert_eq!(stretch.wants(at(500), |_| true), Some(Fetch::Around(at(500))));
        stretch.take(Fetch::Around(at(500)), found(400..600, false, false), at(500));
        assert_eq!(stretch.wants(at(500), |_| true), Some(Fetch::After(event(599).position)));
        stretch.take(Fetch::After(event(599).position), found(600..1_000, false, true), at(500));
        assert_eq!(stretch.wants(at(500), |_| true), Some(Fetch::Before(event(400).position)));
        stretch.take(Fetch::Before(event(400).position), found(0..400, true, false), at(500));
        assert_eq!((stretch.events().len(), stretch.wants(at(500), |_| true)), (1_000, None));
        // An answer to what was asked of another stretch.
        stretch.take(Fetch::After(event(7).position), found(8..9, false, false), at(500));
        assert_eq!(stretch.events().len(), 1_000);
        assert_eq!(stretch.at(at(2_000)), Some(999));
    }

    #[test]
    fn what_comes_late_is_put_in_its_place_where_that_is_loaded() {
        let mut stretch = Stretch::default();
        stretch.take(Fetch::Around(at(10)), found(10..12, false, true), at(10));
        for late in [13, 12, 12, 5] {
            stretch.arrived(event(late), at(10));
        }
        let positions: Vec<i64> = stretch.events().iter().map(|event| event.position.seq).collect();
        assert_eq!(positions, [10, 11, 12, 13]);
    }
}
