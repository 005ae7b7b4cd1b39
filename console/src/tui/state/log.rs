//! An open log.

use std::collections::BTreeSet;

use hourlog::{
    Event, LogId, Offset, Position,
    pace::{Pace, Speed},
    time::MINUTE,
    wire::{AheadReply, TimelineReply},
};

use crate::tui::{loaded::LoadedEvents, pattern::Pattern};

use super::{cursor_row::CursorRow, search::Search};

/// Number of jumps that can be undone.
const UNDO_MAX: usize = 100;

/// A half-open stretch of time.
pub type Window = (Offset, Offset);

/// An open log.
#[derive(Debug)]
pub struct Log {
    /// Its id.
    pub id: LogId,
    opened: u64,
    /// The position in the timeline that everything else follows from.
    pub playhead: Position,
    /// Row of the cursor on the screen.
    pub cursor_row: CursorRow,
    /// The loaded events.
    pub loaded: LoadedEvents,
    /// The log holds no event.
    pub empty: bool,
    /// The events that lie ahead of now, at the last count.
    pub ahead: Option<AheadReply>,
    /// The latest time that does not lie ahead of now.
    pub(crate) ahead_limit: Offset,
    /// The time that the scrubber shows.
    pub scrubber: Scrubber,
    /// Movement of the playhead by itself.
    pub mode: Mode,
    /// Playing speed.
    pub speed: Speed,
    /// Pauses between events are shortened while playing.
    pub skip_silence: bool,
    /// Incoming events are followed.
    pub follows: bool,
    /// Number of events that arrived while the view stood still.
    pub unseen: u64,
    /// Events have arrived since the log was opened.
    pub(crate) has_arrivals: bool,
    /// Positions of the marks.
    pub marks: BTreeSet<Position>,
    /// The jumps that can be undone and redone.
    pub jumps: Jumps,
    /// The search.
    pub search: Option<Search>,
    /// The pattern that an event must match to be shown.
    pub filter: Option<Pattern>,
    /// The selected range of time.
    pub range: Option<TimeRange>,
    /// The detail of the event under the cursor.
    pub detail: Detail,
    /// Number of columns by which events are scrolled to the right.
    pub sideways: usize,
}

/// The time that the scrubber shows, and its counts.
#[derive(Debug, Default)]
pub struct Scrubber {
    /// The time that is shown; `None` until the whole log was counted.
    pub window: Option<Window>,
    /// Counts of the window, or of the previous one.
    pub counts: Option<TimelineReply>,
    /// The time from the oldest to the newest known event.
    pub extent: Option<Window>,
}

/// A movement of the playhead by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// It stands still.
    Paused,
    /// It stays at the newest event.
    Live,
    /// It moves as time did.
    Playing {
        /// Where the playhead is at which time.
        pace: Pace,
        /// Time of the playhead, and when that was, since it plays at this speed.
        speed_from: (Offset, Offset),
        /// The next events are not loaded yet, so it waits.
        buffering: bool,
    },
}

/// A selected range of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeRange {
    /// From here to the playhead.
    Open(Offset),
    /// From here to there, both inclusive.
    Closed(Offset, Offset),
}

/// The detail of an event.
#[derive(Debug)]
pub struct Detail {
    /// The tab.
    pub tab: DetailTab,
    /// Long lines are wrapped.
    pub wraps: bool,
    /// The detail covers the list, if there is no room for both.
    pub covers_list: bool,
    /// Rows scrolled down, and the event that they belong to.
    scroll: (Position, usize),
}

/// A way to show one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetailTab {
    /// Indented JSON; other data as text.
    Pretty,
    /// The data as text.
    Raw,
    /// The data as bytes.
    Hex,
    /// Metadata and position.
    Headers,
}

/// The positions before each jump, to undo and redo jumps.
#[derive(Debug, Default)]
pub struct Jumps {
    undo: Vec<Position>,
    redo: Vec<Position>,
}

impl DetailTab {
    /// All tabs, in order.
    pub const ALL: [Self; 4] = [Self::Pretty, Self::Raw, Self::Hex, Self::Headers];
}

impl Default for Detail {
    fn default() -> Self {
        Self { tab: DetailTab::Pretty, wraps: true, covers_list: false, scroll: (Position::MIN, 0) }
    }
}

impl Detail {
    /// Shows the next tab, from its top.
    pub(crate) fn next_tab(&mut self) {
        let index = DetailTab::ALL.iter().position(|tab| *tab == self.tab).unwrap_or(0);
        self.tab = DetailTab::ALL[(index + 1) % DetailTab::ALL.len()];
        self.scroll = (Position::MIN, 0);
    }
}

impl Jumps {
    /// Notes a jump away from `from`. Jumps that were undone cannot be redone any more.
    pub(crate) fn push(&mut self, from: Position) {
        self.undo.push(from);
        if self.undo.len() > UNDO_MAX {
            self.undo.remove(0);
        }
        self.redo.clear();
    }

    /// Returns the position before the last jump, and keeps `here` for a redo.
    pub(crate) fn undo(&mut self, here: Position) -> Option<Position> {
        let to = self.undo.pop()?;
        self.redo.push(here);
        Some(to)
    }

    /// Returns the position before the last undo, and keeps `here` for an undo.
    pub(crate) fn redo(&mut self, here: Position) -> Option<Position> {
        let to = self.redo.pop()?;
        self.undo.push(here);
        Some(to)
    }
}

impl Log {
    /// Returns a log before the first answer. `opened` numbers the opening.
    pub fn new(id: LogId, opened: u64) -> Self {
        Self {
            id,
            opened,
            playhead: Position::MAX,
            cursor_row: CursorRow::Bottom,
            loaded: LoadedEvents::default(),
            empty: false,
            ahead: None,
            ahead_limit: Offset::MAX,
            scrubber: Scrubber::default(),
            mode: Mode::Live,
            speed: Speed::NORMAL,
            skip_silence: false,
            follows: true,
            unseen: 0,
            has_arrivals: false,
            marks: BTreeSet::new(),
            jumps: Jumps::default(),
            search: None,
            filter: None,
            range: None,
            detail: Detail::default(),
            sideways: 0,
        }
    }

    /// Returns the number of this opening.
    pub(crate) fn opened(&self) -> u64 {
        self.opened
    }

    /// Returns the index of the newest loaded event: the last one that does not lie ahead of now, or the last one if
    /// all do.
    pub(crate) fn newest_index(&self) -> Option<usize> {
        let events = self.loaded.events();
        let until = events.partition_point(|event| event.position.offset <= self.ahead_limit);
        until.checked_sub(1).or(events.len().checked_sub(1))
    }

    /// Returns whether the filter lets an event through.
    pub(crate) fn shows(&self, event: &Event) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.matches(event))
    }

    /// Returns the event at the playhead, if the filter hides it.
    pub(crate) fn hidden_event(&self) -> Option<&Event> {
        let event = self.loaded.index_at(self.playhead).map(|index| &self.loaded.events()[index])?;
        (event.position == self.playhead && !self.shows(event)).then_some(event)
    }

    /// Returns the event under the cursor.
    ///
    /// That is the event at the playhead. If the filter hides it, it is the nearest shown event
    /// before. While the log plays, it is the last event that was played.
    pub(crate) fn cursor_event(&self) -> Option<&Event> {
        self.loaded.events().get(self.cursor_index()?)
    }

    /// Returns the index of that event among the loaded events.
    pub(crate) fn cursor_index(&self) -> Option<usize> {
        let index = self.loaded.index_at(self.playhead)?;
        let events = self.loaded.events();
        let after = || (index..events.len()).find(|index| self.shows(&events[*index]));
        let before = |index: usize| (0..index).rev().find(|index| self.shows(&events[*index]));
        if matches!(self.mode, Mode::Playing { .. }) {
            let played = events.partition_point(|event| event.position <= self.playhead);
            before(played).or_else(after)
        } else if self.hidden_event().is_some() {
            before(index).or_else(after)
        } else {
            after().or_else(|| before(index))
        }
    }

    /// Returns the selected position: that of the event under the cursor, or the playhead if its
    /// event is hidden or not loaded.
    pub(crate) fn selected(&self) -> Position {
        match (self.hidden_event(), self.cursor_event()) {
            (None, Some(event)) if self.loaded.covers(self.playhead) => event.position,
            _ => self.playhead,
        }
    }

    /// Returns the time shown for the playhead: its own while the log plays, else at most that of
    /// the last event.
    pub(crate) fn shown_time(&self) -> Offset {
        match self.mode {
            Mode::Playing { .. } => self.playhead.offset,
            Mode::Paused | Mode::Live => self.selected().offset.min(self.playhead.offset),
        }
    }

    /// Returns true if the newest event is one of now: it is not older than a minute, or events have come in meanwhile.
    pub(crate) fn is_live(&self, now: Offset) -> bool {
        let newest = self.newest_index().map(|index| self.loaded.events()[index].position.offset);
        self.has_arrivals || newest.is_none_or(|newest| now.nanos().saturating_sub(newest.nanos()) <= MINUTE)
    }

    /// Returns the speed that was reached since the speed was last set.
    pub(crate) fn real_speed(&self, now: Offset) -> f64 {
        let Mode::Playing { speed_from: (from, at), .. } = self.mode else { return 0.0 };
        let (played, passed) = (self.playhead.offset.nanos() - from.nanos(), now.nanos() - at.nanos());
        let speed = self.speed.factor();
        if passed <= 0 { speed } else { (played as f64 / passed as f64).min(speed) }
    }

    /// Returns the first and the last time of the range.
    pub(crate) fn range_times(&self) -> Option<(Offset, Offset)> {
        Some(match self.range? {
            TimeRange::Open(from) => {
                let here = self.shown_time();
                (from.min(here), from.max(here))
            }
            TimeRange::Closed(from, to) => (from, to),
        })
    }

    /// Returns the rows by which the detail of the selected event is scrolled down.
    pub(crate) fn detail_scroll(&self) -> usize {
        let (position, rows) = self.detail.scroll;
        if position == self.selected() { rows } else { 0 }
    }

    /// Scrolls the detail of the selected event. Another event begins at its top.
    pub(crate) fn scroll_detail(&mut self, rows: usize) {
        self.detail.scroll = (self.selected(), rows);
    }

    /// Returns the time that one bar of the scrubber stands for.
    pub fn bin_nanos(&self) -> i64 {
        let bins = self.scrubber.counts.as_ref().map_or(60, |counts| counts.bins.len().max(1)) as i64;
        let width = |(from, to): Window| to.nanos().saturating_sub(from.nanos()) / bins;
        self.scrubber.window.map_or(1_000_000_000, width).max(1)
    }
}
