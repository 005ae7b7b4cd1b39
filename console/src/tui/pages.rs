//! The events in memory: pages of a log, evicted least recently used first.
//!
//! A page knows the stretch of the timeline that it covers. All events of the log in that stretch, or all that pass the
//! filter, are on the page. Between two pages there may be a hole.

use std::collections::BTreeMap;

use hourlog::{Event, Position};

/// Limit of all pages, in bytes.
const BYTES_MAX: usize = 256 << 20;
/// Size from which the events on one side of the playhead are enough.
const SIDE_BYTES: usize = BYTES_MAX / 4;
/// Size from which a page is divided, in bytes.
const PAGE_BYTES: usize = 1 << 20;
/// Limit of the arrivals that are kept for an answer that may be older than they are.
const RECENT_MAX: usize = 1_000;
/// Memory that an event takes besides its record.
const EVENT_BYTES: usize = 128;
/// Memory that a page takes besides its events.
const OVERHEAD_BYTES: usize = 256;

/// The events to load next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    /// Some before a position, and some from it on.
    Around(Position),
    /// Some from a position on.
    From(Position),
    /// Some before a position.
    Before(Position),
    /// The newest.
    Newest,
}

/// A stretch of a log that was read.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Its start, inclusive: [`Position::MIN`] is the beginning of the log.
    pub from: Position,
    /// Its end, exclusive: [`Position::MAX`] is the end of the log.
    pub to: Position,
    /// The events in it, in timeline order.
    pub events: Vec<Event>,
    /// Number of events that the filters have seen.
    pub scanned: u64,
}

/// A page: a stretch of a log, and the events in it.
#[derive(Debug)]
struct Page {
    to: Position,
    events: Vec<Event>,
    bytes: usize,
    /// Number of the last use.
    used: u64,
    /// Events may have arrived in it unreported.
    is_outdated: bool,
}

/// The loaded pages of a log, by their starts.
#[derive(Debug, Default)]
pub struct Pages {
    pages: BTreeMap<Position, Page>,
    bytes: usize,
    uses: u64,
    /// Events that arrived since the last request. The answer may be older than they are.
    recent: Vec<Event>,
    /// More events arrived since the last request than are kept.
    is_overrun: bool,
}

impl Pages {
    /// Returns the one page of a log that holds no event.
    pub fn empty_log() -> Self {
        let mut pages = Self::default();
        pages.put(Position::MIN, Position::MAX, Vec::new());
        pages
    }

    /// Returns the number of loaded events.
    pub fn len(&self) -> usize {
        self.pages.values().map(|page| page.events.len()).sum()
    }

    /// Returns true if no event is loaded.
    pub fn is_empty(&self) -> bool {
        self.pages.values().all(|page| page.events.is_empty())
    }

    /// Returns true if the whole log is loaded and holds no event that could be shown.
    pub(crate) fn is_known_empty(&self) -> bool {
        self.is_empty() && self.end_of(Position::MIN) == Some(Position::MAX)
    }

    /// Returns true if the surroundings of a position are loaded.
    pub(crate) fn covers(&self, at: Position) -> bool {
        self.page_at(at).is_some()
    }

    /// Returns the end of the loaded stretch that has a position: the end of the log is [`Position::MAX`].
    pub(crate) fn end_of(&self, at: Position) -> Option<Position> {
        let mut end = self.page_at(at)?.1.to;
        while let Some(page) = self.pages.get(&end) {
            end = page.to;
        }
        Some(end)
    }

    /// Returns the start of the loaded stretch that has a position: the beginning of the log is [`Position::MIN`].
    pub(crate) fn start_of(&self, at: Position) -> Option<Position> {
        let (mut start, _) = self.page_at(at)?;
        while let Some((before, page)) = self.pages.range(..start).next_back()
            && page.to == start
        {
            start = *before;
        }
        Some(start)
    }

    /// Returns the event at exactly this position.
    pub(crate) fn get(&self, at: Position) -> Option<&Event> {
        let (_, page) = self.page_at(at)?;
        page.events.binary_search_by_key(&at, |event| event.position).ok().map(|index| &page.events[index])
    }

    /// Returns the loaded events from a position on, up to the first hole.
    pub(crate) fn from(&self, at: Position) -> impl Iterator<Item = &Event> {
        let first = self.page_at(at);
        let mut next = first.map(|(_, page)| page.to);
        let rest = std::iter::from_fn(move || {
            let page = self.pages.get(&next?)?;
            next = Some(page.to);
            Some(page.events.iter())
        });
        let first = first.map(|(_, page)| {
            let index = page.events.partition_point(|event| event.position < at);
            page.events[index..].iter()
        });
        first.into_iter().flatten().chain(rest.flatten())
    }

    /// Returns the loaded events before a position, the nearest first, up to the first hole.
    pub(crate) fn before(&self, at: Position) -> impl Iterator<Item = &Event> {
        let first = self.page_at(at);
        let mut start = first.map(|(start, _)| start);
        let rest = std::iter::from_fn(move || {
            let (before, page) = self.pages.range(..start?).next_back()?;
            let is_adjacent = Some(page.to) == start;
            start = Some(*before);
            is_adjacent.then(|| page.events.iter().rev())
        });
        // After a hole, the walk ends.
        let rest = rest.fuse();
        let first = first.map(|(_, page)| {
            let index = page.events.partition_point(|event| event.position < at);
            page.events[..index].iter().rev()
        });
        first.into_iter().flatten().chain(rest.flatten())
    }

    /// Returns the events to load next, so that `margin` of them are there on both sides of a position: fewer, if they are
    /// large. These are evicted last.
    pub(crate) fn missing_around(&mut self, at: Position, margin: usize) -> Option<Fetch> {
        self.uses += 1;
        let uses = self.uses;
        let Some((middle, _)) = self.page_at(at).filter(|(_, page)| !page.is_outdated) else {
            return Some(Fetch::Around(at));
        };
        let (mut events, mut bytes, mut end) = (0, 0, middle);
        let mut missing = None;
        for (start, page) in self.pages.range_mut(middle..) {
            if *start != end || page.is_outdated {
                missing = Some(Fetch::From(end));
                break;
            }
            page.used = uses;
            events += page.events.len() - page.events.partition_point(|event| event.position < at);
            bytes += page.bytes;
            end = page.to;
            if events >= margin || bytes >= SIDE_BYTES {
                break;
            }
        }
        if missing.is_none() && end < Position::MAX && events < margin && bytes < SIDE_BYTES {
            missing = Some(Fetch::From(end));
        }
        if missing.is_some() {
            return missing;
        }
        let (mut events, mut bytes, mut start) = (0, 0, None);
        for (from, page) in self.pages.range_mut(..=middle).rev() {
            if start.is_some_and(|start| page.to != start) || page.is_outdated {
                break;
            }
            page.used = uses;
            events += page.events.partition_point(|event| event.position < at);
            bytes += page.bytes;
            start = Some(*from);
            if events >= margin || bytes >= SIDE_BYTES {
                return None;
            }
        }
        start.filter(|start| *start > Position::MIN).map(Fetch::Before)
    }

    /// Returns the events to load next, so that every event from `at` up to `until` is loaded: fewer, if they are large.
    pub(crate) fn missing_until(&self, at: Position, until: Position) -> Option<Fetch> {
        let (_, page) = self.page_at(at).filter(|(_, page)| !page.is_outdated)?;
        let (mut end, mut bytes) = (page.to, page.bytes);
        while let Some(page) = self.pages.get(&end).filter(|page| !page.is_outdated) {
            (end, bytes) = (page.to, bytes + page.bytes);
        }
        (end < until && bytes < SIDE_BYTES).then_some(Fetch::From(end))
    }

    /// Notes that a request for events is sent.
    pub(crate) fn asked(&mut self) {
        self.recent.clear();
        self.is_overrun = false;
    }

    /// Adds a stretch that was read. Where pages are loaded already they stay, unless they are outdated.
    pub(crate) fn add(&mut self, fetched: Fetched) {
        let Fetched { from, to, mut events, .. } = fetched;
        // The answer may be older than these.
        let recent = std::mem::take(&mut self.recent);
        events.extend(recent.into_iter().filter(|event| (from..to).contains(&event.position)));
        // Two logs of different streams may have an event at the same position.
        events.sort_by(|one, other| (one.position, &one.log).cmp(&(other.position, &other.log)));
        events.dedup_by(|one, other| (one.position, &one.log) == (other.position, &other.log));
        self.remove_outdated(from, to);
        let mut events = events.into_iter().peekable();
        let mut hole = from;
        while hole < to {
            let covering = self.page_at(hole).map(|(_, page)| page.to);
            let end = covering.unwrap_or_else(|| {
                let next = self.pages.range(hole..).next();
                next.map_or(to, |(start, _)| (*start).min(to))
            });
            let mut inside = Vec::new();
            while let Some(event) = events.next_if(|event| event.position < end) {
                inside.push(event);
            }
            if covering.is_none() {
                self.put(hole, end, inside);
            }
            hole = end;
        }
        if std::mem::take(&mut self.is_overrun) {
            self.outdate();
        }
        self.evict();
    }

    /// Adds an event that arrived. Where its surroundings are not loaded it is dropped: it is loaded with them.
    pub(crate) fn add_arrived(&mut self, event: &Event) {
        if self.recent.len() < RECENT_MAX {
            self.recent.push(event.clone());
        } else {
            // The answer that is under way may lack this one.
            self.is_overrun = true;
        }
        let at = event.position;
        let Some((start, to)) = self.page_at(at).map(|(start, page)| (start, page.to)) else { return };
        let page = self.pages.get_mut(&start).expect("it was just found");
        let place = page.events.binary_search_by(|other| (other.position, &other.log).cmp(&(at, &event.log)));
        let Err(index) = place else { return };
        if to == Position::MAX && index == page.events.len() && page.bytes >= PAGE_BYTES {
            page.to = at;
            self.put(at, to, vec![event.clone()]);
        } else {
            page.bytes += size(event);
            self.bytes += size(event);
            page.events.insert(index, event.clone());
        }
        self.evict();
    }

    /// Notes that events may have arrived unreported. What is loaded is shown until it is loaded again.
    pub(crate) fn outdate(&mut self) {
        for page in self.pages.values_mut() {
            page.is_outdated = true;
        }
    }

    /// Returns the page that has a position, and its start.
    fn page_at(&self, at: Position) -> Option<(Position, &Page)> {
        let (start, page) = self.pages.range(..=at).next_back()?;
        (at < page.to || page.to == Position::MAX).then_some((*start, page))
    }

    /// Removes what is outdated between two positions.
    fn remove_outdated(&mut self, from: Position, to: Position) {
        let first = self.pages.range(..=from).next_back().map_or(from, |(start, _)| *start);
        let starts: Vec<Position> = self.pages.range(first..to).map(|(start, _)| *start).collect();
        for start in starts {
            let is_affected = self.pages.get(&start).is_some_and(|page| page.is_outdated && page.to > from);
            if let Some(page) = is_affected.then(|| self.remove(start)).flatten() {
                let (before, rest): (Vec<Event>, Vec<Event>) =
                    page.events.into_iter().partition(|event| event.position < from);
                let after = rest.into_iter().filter(|event| event.position >= to).collect();
                for (start, end, events) in [(start, from, before), (to, page.to, after)] {
                    if start < end {
                        self.put(start, end, events);
                        self.pages.get_mut(&start).expect("it was just put").is_outdated = true;
                    }
                }
            }
        }
    }

    /// Puts events into pages of their own.
    fn put(&mut self, from: Position, to: Position, events: Vec<Event>) {
        self.uses += 1;
        let mut page = Page { to, events: Vec::new(), bytes: OVERHEAD_BYTES, used: self.uses, is_outdated: false };
        let mut start = from;
        for event in events {
            if page.bytes + size(&event) > PAGE_BYTES && !page.events.is_empty() {
                let next = Page { to, events: Vec::new(), bytes: OVERHEAD_BYTES, used: self.uses, is_outdated: false };
                let full = std::mem::replace(&mut page, next);
                self.bytes += full.bytes;
                self.pages.insert(start, Page { to: event.position, ..full });
                start = event.position;
            }
            page.bytes += size(&event);
            page.events.push(event);
        }
        self.bytes += page.bytes;
        self.pages.insert(start, page);
    }

    fn remove(&mut self, start: Position) -> Option<Page> {
        let page = self.pages.remove(&start)?;
        self.bytes -= page.bytes;
        Some(page)
    }

    fn evict(&mut self) {
        while self.bytes > BYTES_MAX && self.pages.len() > 1 {
            let oldest = self.pages.iter().min_by_key(|(_, page)| page.used).map(|(start, _)| *start);
            oldest.and_then(|start| self.remove(start));
        }
    }
}

fn size(event: &Event) -> usize {
    event.record.bytes() + EVENT_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::{Offset, Record, Seq};

    fn event_of(at: i64, bytes: usize) -> Event {
        let position = Position { offset: Offset::from_nanos(at), seq: Seq::from_number(at) };
        Event { log: "a".parse().expect("a valid id"), position, arrived: None, record: Record::new(vec![b'x'; bytes]) }
    }

    fn event(at: i64) -> Event {
        event_of(at, 1)
    }

    fn at(at: i64) -> Position {
        Position::at(Offset::from_nanos(at))
    }

    fn fetched(from: Position, to: Position, events: std::ops::Range<i64>) -> Fetched {
        Fetched { from, to, events: events.map(event).collect(), scanned: 0 }
    }

    fn numbers<'a>(events: impl Iterator<Item = &'a Event>) -> Vec<i64> {
        events.map(|event| event.position.offset.nanos()).collect()
    }

    #[test]
    fn pages_grow_at_both_ends_and_a_hole_ends_a_walk() {
        let mut pages = Pages::default();
        assert_eq!(pages.missing_around(at(50), 20), Some(Fetch::Around(at(50))));
        pages.add(fetched(at(40), at(60), 40..60));
        assert_eq!(pages.missing_around(at(50), 20), Some(Fetch::From(at(60))));
        pages.add(fetched(at(60), Position::MAX, 60..100));
        assert_eq!(pages.missing_around(at(50), 20), Some(Fetch::Before(at(40))));
        pages.add(fetched(Position::MIN, at(10), 0..10));
        assert_eq!(numbers(pages.before(at(42))), [41, 40]);
        pages.add(fetched(at(10), at(40), 10..40));
        assert_eq!(pages.missing_around(at(50), 200), None);
        assert_eq!(numbers(pages.before(at(100))), (0..100).rev().collect::<Vec<_>>());
        assert_eq!(numbers(pages.from(at(7))), (7..100).collect::<Vec<_>>());
        assert_eq!((pages.start_of(at(50)), pages.end_of(at(50))), (Some(Position::MIN), Some(Position::MAX)));
    }

    #[test]
    fn a_stretch_fills_only_the_holes() {
        let mut pages = Pages::default();
        pages.add(fetched(at(10), at(20), 10..20));
        pages.add(fetched(at(30), at(40), 30..40));
        pages.add(fetched(at(0), at(50), 0..50));
        assert_eq!(numbers(pages.from(at(0))), (0..50).collect::<Vec<_>>());
        assert_eq!(pages.len(), 50);
    }

    #[test]
    fn arrivals_are_added_where_their_surroundings_are_loaded() {
        let mut pages = Pages::default();
        pages.add(fetched(at(10), Position::MAX, 10..12));
        for number in [13, 12, 12, 5] {
            pages.add_arrived(&event(number));
        }
        assert_eq!(numbers(pages.from(at(10))), [10, 11, 12, 13]);
        assert!(!pages.covers(at(5)));
    }

    #[test]
    fn an_answer_that_is_older_than_an_arrival_does_not_lose_it() {
        let mut pages = Pages::default();
        pages.asked();
        pages.add_arrived(&event(12));
        pages.add(fetched(at(10), Position::MAX, 10..12));
        assert_eq!(numbers(pages.from(at(10))), [10, 11, 12]);
    }

    #[test]
    fn an_answer_that_may_lack_many_arrivals_is_asked_for_again() {
        let mut pages = Pages::default();
        pages.asked();
        for number in 0..=RECENT_MAX as i64 {
            pages.add_arrived(&event(1_000 + number));
        }
        pages.add(fetched(at(0), Position::MAX, 0..10));
        assert_eq!(pages.missing_around(at(5), 3), Some(Fetch::Around(at(5))));
    }

    #[test]
    fn outdated_pages_are_shown_until_they_are_loaded_again() {
        let mut pages = Pages::default();
        pages.add(fetched(at(0), Position::MAX, 0..10));
        pages.outdate();
        assert_eq!(pages.missing_around(at(5), 3), Some(Fetch::Around(at(5))));
        assert_eq!(numbers(pages.from(at(8))), [8, 9]);
        let late = Fetched { events: [4, 5, 6, 7].map(event).to_vec(), ..fetched(at(4), at(8), 0..0) };
        pages.add(late);
        assert_eq!(numbers(pages.from(at(0))), (0..10).collect::<Vec<_>>());
        assert_eq!(pages.missing_around(at(5), 3), Some(Fetch::Before(at(4))));
        assert_eq!(pages.missing_around(at(5), 4), Some(Fetch::From(at(8))));
    }

    #[test]
    fn pages_that_were_not_used_for_longest_are_evicted() {
        let mut pages = Pages::default();
        for number in 0..300 {
            let events = vec![event_of(number, PAGE_BYTES)];
            pages.add(Fetched { from: at(number), to: at(number + 1), events, scanned: 1 });
            pages.missing_around(at(0), 1);
        }
        assert!(pages.bytes <= BYTES_MAX);
        assert!(pages.covers(at(0)) && pages.covers(at(299)) && !pages.covers(at(20)));
        // A single page stays, whatever its size.
        let mut pages = Pages::default();
        pages.add(Fetched { from: at(0), to: at(1), events: vec![event_of(0, BYTES_MAX + 1)], scanned: 1 });
        assert_eq!(pages.len(), 1);
    }
}
