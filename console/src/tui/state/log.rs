//! An open log.

use std::collections::BTreeSet;

use hourlog::{
    Event, Offset, Position,
    pace::{Pace, Speed},
    time::MINUTE,
    wire::AheadReply,
};
use jiff::tz::TimeZone;

use crate::tui::{
    columns::Level,
    filter::{self, Filter, Selection},
    finding::Find,
    folds::FoldRule,
    lanes::Lanes,
    memory::LogMemory,
    pages::Pages,
    scale::{Grid, Window},
    table::Table,
};

use super::{
    counting::{Counting, CountsQuery, Overview, READS_MAX},
    cursor_row::CursorRow,
    place::{Goal, Jumps, Place},
    search::Search,
    surveys::{Numbers, Sorted},
};

/// The speed from which silence is skipped, unless the user says otherwise.
const SKIPPING_FROM: f64 = 60.0;

/// An open log, or several as lanes.
#[derive(Debug)]
pub struct Log {
    /// The logs whose events it has.
    pub lanes: Lanes,
    /// Bars of each lane are drawn, if there are several.
    pub shows_lanes: bool,
    /// The position in the timeline that everything else follows from.
    pub playhead: Position,
    /// The place that the playhead goes to as soon as it is known.
    pub goal: Option<Goal>,
    /// Row of the cursor on the screen.
    pub cursor_row: CursorRow,
    /// The loaded events: those that pass the filters.
    pub pages: Pages,
    /// Number of events that the filters have seen since they passed the last one.
    pub looked_at: u64,
    /// The user has stopped looking for events that pass the filters.
    pub is_stopped_reading: bool,
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
    /// Playing speed, once it was chosen.
    pub speed: Option<Speed>,
    /// It is played once it is loaded.
    pub(crate) wants_to_play: bool,
    /// Pauses between events are shortened while playing, if the user has said so or otherwise.
    pub skips_silence: Option<bool>,
    /// Reports of incoming events.
    pub tail: Tail,
    /// Number of events that arrived while the view stood still.
    pub unseen: u64,
    /// Positions of the marks.
    pub marks: BTreeSet<Position>,
    /// The jumps that can be undone and redone.
    pub jumps: Jumps,
    /// The search.
    pub search: Option<Search>,
    /// The filters that an event must pass to be shown.
    pub filters: Vec<Filter>,
    /// The filters that take their place once the service has taken them.
    pub(crate) filters_wanted: Option<Vec<Filter>>,
    /// The events of the window in the order of a field. Without it, the list is by time.
    pub sorted: Option<Sorted>,
    /// The path of the field that is plotted over time.
    pub plot: Option<String>,
    /// The numbers of the field that is plotted, or on which the detail's cursor is.
    pub numbers: Option<Numbers>,
    /// The place that the service is asked for.
    pub(crate) sought: Option<Find>,
    /// The selected range of time.
    pub range: Option<TimeRange>,
    /// The columns of the list.
    pub table: Table,
    /// The detail of the event under the cursor.
    pub detail: Detail,
    /// Equal events that follow each other at the same shown time are one row.
    pub folds: bool,
    /// The rows of equal events that the user has opened, from the first to the last event of each.
    pub(crate) opened: Vec<(Position, Position)>,
    /// Number of columns by which events are scrolled to the right.
    pub sideways: usize,
}

/// Reports of the events that arrive in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// None: the user has stopped them.
    Stopped,
    /// They have not begun, or were interrupted.
    Waiting,
    /// Every event is reported.
    Reported {
        /// Events were reported since the log was opened.
        any: bool,
    },
}

/// The time that the scrubber shows, and its counts.
#[derive(Debug, Default)]
pub struct Scrubber {
    /// The bars; `None` until the whole log was counted.
    pub grid: Option<Grid>,
    /// The time to show as soon as the log was counted.
    pub(crate) wanted: Option<Window>,
    /// Counts of the whole log.
    pub(crate) overview: Overview,
    /// Counts of the window.
    pub(crate) counts: Counting,
    /// Counts of the events in the window that pass the filters.
    pub(crate) matches: Counting,
    /// Counts of the errors in the window.
    pub(crate) errors: Counting,
    /// Counts of the warnings in the window.
    pub(crate) warnings: Counting,
    /// The time from the oldest to the newest known event.
    pub extent: Option<Window>,
    /// Height of the bars.
    pub heights: Heights,
}

/// The heights of bars by their counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Heights {
    /// Chosen by the counts.
    #[default]
    Automatic,
    /// In proportion.
    Linear,
    /// By the square root.
    Root,
    /// By the logarithm.
    Logarithm,
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
    /// The detail has the cursor. Where there is no room for both, it covers the list.
    pub is_open: bool,
    /// Number of the line of JSON that has the cursor.
    pub(crate) line: usize,
    /// The objects and arrays that are shown as one line, as expressions.
    pub(crate) folded: BTreeSet<String>,
    /// Rows scrolled down, and the event that they belong to.
    scroll: (Position, usize),
}

/// A way to show one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetailTab {
    /// Indented JSON, and other data as text.
    Pretty,
    /// The data as text.
    Raw,
    /// The data as bytes.
    Hex,
    /// The differences from the event before.
    Changes,
}

impl DetailTab {
    /// All tabs, in order.
    pub const ALL: [Self; 4] = [Self::Pretty, Self::Raw, Self::Hex, Self::Changes];
}

impl Default for Detail {
    fn default() -> Self {
        Self {
            tab: DetailTab::Pretty,
            wraps: true,
            is_open: false,
            line: 1,
            folded: BTreeSet::new(),
            scroll: (Position::MIN, 0),
        }
    }
}

impl Detail {
    /// Shows the next tab, from its top.
    pub(crate) fn next_tab(&mut self) {
        let index = DetailTab::ALL.iter().position(|tab| *tab == self.tab).unwrap_or(0);
        self.show(DetailTab::ALL[(index + 1) % DetailTab::ALL.len()]);
    }

    /// Shows a tab, from its top.
    pub(crate) fn show(&mut self, tab: DetailTab) {
        self.tab = tab;
        self.scroll = (Position::MIN, 0);
    }
}

impl Log {
    /// Returns a log before the first answer.
    pub fn new(lanes: Lanes) -> Self {
        Self {
            lanes,
            shows_lanes: true,
            playhead: Position::MAX,
            goal: Some(Goal::Newest),
            cursor_row: CursorRow::Bottom,
            pages: Pages::default(),
            looked_at: 0,
            is_stopped_reading: false,
            empty: false,
            ahead: None,
            ahead_limit: Offset::MAX,
            scrubber: Scrubber::default(),
            mode: Mode::Live,
            speed: None,
            wants_to_play: false,
            skips_silence: None,
            tail: Tail::Waiting,
            unseen: 0,
            marks: BTreeSet::new(),
            jumps: Jumps::default(),
            search: None,
            filters: Vec::new(),
            filters_wanted: None,
            sorted: None,
            plot: None,
            numbers: None,
            sought: None,
            range: None,
            table: Table::default(),
            detail: Detail::default(),
            folds: true,
            opened: Vec::new(),
            sideways: 0,
        }
    }

    /// Returns this log as it is kept while it is closed: without its events, which may be others by then.
    pub(crate) fn closed(self) -> Self {
        let grid = self.scrubber.grid;
        let scrubber = Scrubber { grid, heights: self.scrubber.heights, ..Scrubber::default() };
        let tail = if self.tail == Tail::Stopped { Tail::Stopped } else { Tail::Waiting };
        let (mode, goal) = match self.mode {
            Mode::Live => (Mode::Live, Some(Goal::Newest)),
            Mode::Paused | Mode::Playing { .. } => (Mode::Paused, self.goal),
        };
        let (sorted, numbers, sought) = (None, None, None);
        Self { pages: Pages::default(), scrubber, tail, mode, goal, sorted, numbers, sought, ..self }
    }

    /// Returns what is kept of this log after the console is left.
    pub(crate) fn memory(&self) -> LogMemory {
        LogMemory {
            lanes: self.lanes.logs().to_vec(),
            playhead: Some(self.playhead).filter(|_| self.mode != Mode::Live && self.time().is_some()),
            window: self.scrubber.grid.as_ref().map(Grid::window).or(self.scrubber.wanted),
            marks: self.marks.iter().copied().collect(),
            filters: self.filters.iter().map(|filter| (filter.typed.clone(), filter.is_on)).collect(),
            columns: self.table.chosen().cloned(),
        }
    }

    /// Returns a closed log from what was kept; `None` if nothing was.
    pub(crate) fn remembered(memory: LogMemory) -> Option<Self> {
        let mut log = Self::new(Lanes::new(memory.lanes)?);
        if let Some(playhead) = memory.playhead {
            (log.playhead, log.goal, log.mode) = (playhead, None, Mode::Paused);
            (log.cursor_row, log.scrubber.wanted) = (CursorRow::Middle, memory.window);
        }
        log.marks = memory.marks.into_iter().collect();
        let filters = memory.filters.into_iter();
        log.filters =
            filters.filter_map(|(typed, is_on)| Filter::new(&typed).ok().map(|filter| filter.turned(is_on))).collect();
        log.table = Table::with_columns(memory.columns);
        Some(log)
    }

    /// Returns the events to read.
    pub(crate) fn selection(&self) -> Selection {
        filter::selection(&self.filters)
    }

    /// Returns true if a filter is on.
    pub(crate) fn is_filtered(&self) -> bool {
        self.filters.iter().any(|filter| filter.is_on)
    }

    /// Returns the newest loaded event: the last one that does not lie ahead of now, or the last one if all do. `None` if
    /// the end is not loaded.
    pub(crate) fn newest(&self) -> Option<&Event> {
        let now = Position::at(self.ahead_limit.saturating_add_nanos(1));
        match self.pages.before(now).next() {
            Some(event) => Some(event),
            None if self.pages.start_of(now) == Some(Position::MIN) => self.pages.before(Position::MAX).next(),
            None => None,
        }
    }

    /// Returns the event at the playhead. Between two events there is none.
    pub(crate) fn event(&self) -> Option<&Event> {
        let sorted = self.sorted.as_ref().and_then(|sorted| sorted.get(self.playhead));
        sorted.or_else(|| self.pages.get(self.playhead))
    }

    /// Returns the event that the detail shows: the one at the playhead; between two events the next one, and while the log
    /// plays the one before.
    pub(crate) fn detail_event(&self) -> Option<&Event> {
        let next = || self.pages.from(self.playhead).next();
        let before = || self.pages.before(self.playhead).next();
        match (self.event(), self.mode) {
            (Some(event), _) => Some(event),
            (None, Mode::Playing { .. }) => before().or_else(next),
            (None, _) => next().or_else(before),
        }
    }

    /// Returns the rule by which events are in one row.
    pub(crate) fn fold_rule(&self) -> FoldRule<'_> {
        let unit_nanos = match self.table.digits() {
            9.. => 1,
            6.. => 1_000,
            _ => 1_000_000,
        };
        FoldRule { unit_nanos: self.folds.then_some(unit_nanos), opened: &self.opened }
    }

    /// Returns the loaded event before another one of the same log.
    pub(crate) fn event_before(&self, event: &Event) -> Option<&Event> {
        self.pages.before(event.position).find(|before| before.log == event.log)
    }

    /// Returns the time of the playhead, if it is known.
    pub(crate) fn time(&self) -> Option<Offset> {
        (self.goal.is_none() || self.playhead != Position::MAX && self.playhead != Position::MIN)
            .then_some(self.playhead.offset)
    }

    /// Returns the place of the playhead, to return to.
    pub(crate) fn place(&self) -> Place {
        Place { playhead: self.playhead, goal: self.goal, grid: self.scrubber.grid.clone() }
    }

    /// Returns true while every event is reported that arrives.
    pub(crate) fn is_reported(&self) -> bool {
        matches!(self.tail, Tail::Reported { .. })
    }

    /// Returns true if the newest event is one of now: it is not older than a minute, or events have come in meanwhile.
    pub(crate) fn is_live(&self, now: Offset) -> bool {
        let newest = self.scrubber.extent.map(|(_, last)| last);
        self.tail == Tail::Reported { any: true }
            || newest.is_none_or(|newest| now.nanos().saturating_sub(newest.nanos()) <= MINUTE)
    }

    /// Returns the speed that was reached since the speed was last set.
    pub(crate) fn real_speed(&self, now: Offset) -> f64 {
        let Mode::Playing { speed_from: (from, at), .. } = self.mode else { return 0.0 };
        let (played, passed) = (self.playhead.offset.nanos() - from.nanos(), now.nanos() - at.nanos());
        let speed = self.speed().factor();
        if passed <= 0 { speed } else { (played as f64 / passed as f64).min(speed) }
    }

    /// Returns the playing speed.
    pub(crate) fn speed(&self) -> Speed {
        self.speed.unwrap_or(Speed::NORMAL)
    }

    /// Returns true if silence is skipped while the log plays.
    pub(crate) fn skips_silence(&self) -> bool {
        self.skips_silence.unwrap_or(self.speed().factor() >= SKIPPING_FROM)
    }

    /// Returns the first and the last time of the range.
    pub(crate) fn range_times(&self) -> Option<(Offset, Offset)> {
        Some(match self.range? {
            TimeRange::Open(from) => {
                let here = self.playhead.offset;
                (from.min(here), from.max(here))
            }
            TimeRange::Closed(from, to) => (from, to),
        })
    }

    /// Returns the rows by which the detail of the shown event is scrolled down.
    pub(crate) fn detail_scroll(&self) -> usize {
        let (position, rows) = self.detail.scroll;
        if self.detail_event().is_some_and(|event| event.position == position) { rows } else { 0 }
    }

    /// Scrolls the detail of the shown event. Another event begins at its top.
    pub(crate) fn scroll_detail(&mut self, rows: usize) {
        let shown = self.detail_event().map(|event| event.position);
        self.detail.scroll = (shown.unwrap_or(Position::MIN), rows);
    }

    /// Returns the query for the counts of the events in the window that have a severity. `None` if they are not drawn, or
    /// if too much would be read for them.
    pub(crate) fn levels_query(&self, level: Level, zone: &TimeZone) -> Option<CountsQuery> {
        if self.is_filtered() || self.search.is_some() {
            return None;
        }
        let condition = Some(self.table.levels().exactly(level)?);
        let all = self.counts_query(Selection::default(), zone)?;
        let count = self.scrubber.counts.answer(&all)?.count;
        let selection = Selection { condition, text: None };
        (count <= READS_MAX).then_some(CountsQuery { selection, ..all })
    }

    /// Returns the query for the counts of the window, of all events or of the selected ones.
    pub(crate) fn counts_query(&self, selection: Selection, zone: &TimeZone) -> Option<CountsQuery> {
        let grid = self.scrubber.grid.as_ref()?;
        let zone = zone.iana_name().map(str::to_owned);
        Some(CountsQuery { window: grid.window(), step: grid.scale.step, zone, selection })
    }
}
