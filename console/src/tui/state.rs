//! Everything that the console knows. Drawing reads it, and only [`update`](crate::tui::update::update) changes it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hourlog::{
    Error, ErrorKind, Event, LogId, Offset, Position,
    wire::{LogReply, TimelineReply},
};
use jiff::tz::TimeZone;

use crate::tui::{fuzzy, pattern::Pattern, stretch::Stretch};

/// The hits after which a search rests until somebody wants more.
pub const HITS_MAX: usize = 100_000;
/// The rates that a log's sparkline is made of.
pub const RATES_MAX: usize = 30;

/// All of it.
#[derive(Debug)]
pub struct State {
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// What time it is, as far as was told.
    pub now: Offset,
    /// In which times are shown, and read.
    pub zone: TimeZone,
    /// How times are shown.
    pub times: Times,
    /// Where the service is asked.
    pub server: String,
    /// The flags with which the command line asks there too.
    pub flags: String,
    /// The list of logs.
    pub logs: Logs,
    /// The log that is open.
    pub log: Option<Log>,
    /// How many were opened: an answer to what was asked for an earlier one is dropped.
    pub opened: u64,
    /// What is being typed.
    pub prompt: Option<Prompt>,
    /// The help is shown, from this line on.
    pub help: Option<usize>,
    /// What was said last, and until when it is shown.
    pub said: Option<(String, Offset)>,
}

/// How times are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// On the clocks of the zone.
    Local,
    /// In UTC.
    Utc,
    /// How long ago.
    Ago,
    /// Since the event before.
    Since,
}

/// The list of logs.
#[derive(Debug, Default)]
pub struct Logs {
    /// By id; `None` until they are known.
    pub rows: Option<Vec<LogReply>>,
    /// The id that the cursor is on.
    pub cursor: Option<String>,
    /// Where in the list the cursor stands.
    pub stand: Stand,
    /// Letters that an id must have, in order.
    pub find: String,
    /// Events a second of the last looks, by log.
    pub rates: BTreeMap<String, VecDeque<f64>>,
    /// Why they are not known, since when.
    pub away: Option<Away>,
    /// They were asked for, and not answered yet.
    pub asked: bool,
    /// When they were answered last.
    pub answered: Option<Offset>,
}

/// On which row of a list its cursor stands, where there are enough rows before and behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stand {
    /// In the middle: it has come from elsewhere.
    #[default]
    Middle,
    /// On the last.
    Bottom,
    /// On this one.
    At(usize),
}

impl Stand {
    /// The row, in a list of so many.
    pub fn row(self, rows: usize) -> usize {
        let last = rows.saturating_sub(1);
        match self {
            Self::Middle => rows / 2,
            Self::Bottom => last,
            Self::At(row) => row.min(last),
        }
    }

    /// After so many steps. The list stays where it is until the cursor leaves it.
    #[must_use]
    pub fn step(self, by: i64, rows: usize) -> Self {
        let by = isize::try_from(by).unwrap_or(0);
        Self::At(self.row(rows).saturating_add_signed(by).min(rows.saturating_sub(1)))
    }
}

/// Why something is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    /// What was said.
    pub why: String,
    /// Since when that is so.
    pub since: Offset,
    /// It is there, and we may not.
    pub denied: bool,
}

impl Away {
    /// After an error; `before` is what was so already.
    pub fn after(error: &Error, before: Option<&Self>, now: Offset) -> Self {
        let since = before.map_or(now, |before| before.since);
        Self { why: error.to_string(), since, denied: error.kind() == ErrorKind::NotAllowed }
    }
}

/// A stretch of time: from, to.
pub type Window = (Offset, Offset);

/// What is counted: a window, or the whole log; and into how many parts.
pub type Counting = (Option<Window>, u32);

/// A log that is open.
#[derive(Debug)]
pub struct Log {
    /// Its id.
    pub id: LogId,
    /// Which opening this is.
    pub opened: u64,
    /// The place in the timeline that everything goes by.
    pub playhead: Position,
    /// Where in the list the cursor stands.
    pub stand: Stand,
    /// What is loaded.
    pub loaded: Stretch,
    /// Events were asked for and not answered yet, since then.
    pub asked: Option<Offset>,
    /// What the scrubber shows: from, to. `None` until the whole log was counted.
    pub window: Option<Window>,
    /// Counts of the window, or of the one before.
    pub bars: Option<TimelineReply>,
    /// The window and parts that counts were asked for.
    pub bars_asked: Option<Counting>,
    /// The window and parts that the counts are of, and since when.
    pub bars_of: Option<(Counting, Offset)>,
    /// The first and the last time of the log, as far as was told.
    pub extent: Option<Window>,
    /// Whether it moves.
    pub mode: Mode,
    /// How fast it plays.
    pub speed: f64,
    /// Whether stretches without events are passed over while playing.
    pub skip_silence: bool,
    /// Whether what comes is followed at all.
    pub follows: bool,
    /// Events that came while the view stood still.
    pub new: u64,
    /// Marked places.
    pub marks: BTreeSet<Position>,
    /// Where one was before each jump.
    pub undo: Vec<Position>,
    /// Where one was before each jump that was undone.
    pub redo: Vec<Position>,
    /// What is searched for.
    pub search: Option<Search>,
    /// How many searches there were: an answer to an earlier one is dropped.
    pub searches: u64,
    /// What an event must have to be shown.
    pub filter: Option<Pattern>,
    /// A stretch of time that is marked.
    pub range: Option<Range>,
    /// What the detail shows.
    pub tab: Tab,
    /// Lines of the detail that are longer than it go on below.
    pub wraps: bool,
    /// The columns of what events hold that are passed over.
    pub sideways: usize,
    /// The rows of the detail that are passed over, of this event.
    pub down: (Position, usize),
    /// The detail lies over the list, where there is no room beside it.
    pub detail: bool,
    /// Something may have come that was not told: what is loaded is to be loaded again.
    pub stale: bool,
    /// Why something is not known, since when.
    pub away: BTreeMap<Part, Away>,
    /// What is not asked for before a time, for it failed.
    pub rests: BTreeMap<Part, Offset>,
    /// The log holds no event.
    pub empty: bool,
}

/// What is asked about a log, each by a request of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Its events.
    Events,
    /// How many there are.
    Counts,
    /// What comes to it.
    Arrivals,
}

/// A search through a log, in both directions from where it began.
#[derive(Debug)]
pub struct Search {
    /// What is looked for.
    pub pattern: Pattern,
    /// Where it was found.
    pub hits: BTreeSet<Position>,
    /// What was looked through.
    pub scanned: Scanned,
    /// It goes on.
    pub runs: bool,
    /// Events have come, since it was begun or gone on with, that nobody told of.
    pub missed: bool,
    /// The nearest hit in this direction is gone to as soon as it is known.
    pub wanted: Option<Direction>,
}

/// Which of two ways through time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Towards earlier events.
    Back,
    /// Towards later events.
    On,
}

/// Where the nearest hit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nearest {
    /// Here.
    At(Position),
    /// There is none.
    Nowhere,
    /// Not enough was looked through yet.
    Unknown,
}

/// How far a log was looked through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// Everything from this position on,
    pub from: Position,
    /// and before this one.
    pub to: Position,
    /// There is no event before.
    pub first_reached: bool,
    /// There is no event behind.
    pub last_reached: bool,
    /// The events that were looked at.
    pub events: u64,
    /// The events of the log, where that is known.
    pub of: Option<u64>,
}

impl Scanned {
    /// Nothing yet, beginning at a position.
    pub fn nothing(at: Position) -> Self {
        Self { from: at, to: at, first_reached: false, last_reached: false, events: 0, of: None }
    }

    /// Whether an event at this position was looked at.
    pub fn has(&self, position: Position) -> bool {
        (self.from <= position || self.first_reached) && (position < self.to || self.last_reached)
    }

    /// Whether no event between this position and what was looked at is left out.
    pub fn reaches(&self, position: Position) -> bool {
        self.has(position) || position == self.to
    }

    /// How much of the log that is, of a hundred.
    pub fn percent(&self) -> Option<u64> {
        let of = self.of?.max(self.events);
        (of > 0).then(|| self.events * 100 / of)
    }
}

impl Search {
    /// The nearest hit before or behind a position.
    pub fn nearest(&self, from: Position, direction: Direction) -> Nearest {
        let (hit, ended) = match direction {
            Direction::Back => (self.hits.range(..from).next_back(), self.scanned.first_reached),
            Direction::On => (self.hits.range(from.next()..).next(), self.scanned.last_reached),
        };
        match hit {
            // Between here and what was looked through there may be another.
            _ if !self.scanned.reaches(from) => Nearest::Unknown,
            Some(hit) if self.scanned.has(*hit) => Nearest::At(*hit),
            None if ended => Nearest::Nowhere,
            _ => Nearest::Unknown,
        }
    }
}

/// Whether a log moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// It stands still.
    Paused,
    /// It is at the newest event, whichever that is.
    Live,
    /// It moves as time did.
    Playing {
        /// Where the playhead was taken from,
        offset: Offset,
        /// and when that was.
        at: Offset,
        /// Where the playhead was, and when, since it plays at this speed.
        begun: (Offset, Offset),
        /// What is to come is not loaded yet.
        waits: bool,
    },
}

/// A stretch of time that is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// From here to where the playhead is.
    From(Offset),
    /// From here to there, with both.
    Of(Offset, Offset),
}

/// What the detail shows of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// JSON by its parts, other text as it is.
    Pretty,
    /// The data as it came.
    Raw,
    /// Its bytes.
    Hex,
    /// Metadata and position.
    Headers,
}

impl Tab {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Pretty, Self::Raw, Self::Hex, Self::Headers];
}

/// What is being typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// For what.
    pub kind: PromptKind,
    /// So far.
    pub text: String,
    /// What is wrong with it.
    pub wrong: Option<String>,
    /// Which of the choices that are shown for it is meant.
    pub choice: usize,
}

/// What a text is typed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptKind {
    /// To find a log.
    Find,
    /// A time to go to.
    GoTo,
    /// A text to search for.
    Search,
    /// A text that events must have to be shown.
    Filter,
    /// How much time the scrubber shows.
    Window,
    /// One of everything that can be done.
    Palette,
}

impl Prompt {
    /// Asks for something, which may be so already.
    pub fn new(kind: PromptKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), wrong: None, choice: 0 }
    }
}

impl State {
    /// The nanoseconds that have passed since then.
    pub fn since(&self, then: Offset) -> i64 {
        self.now.nanos().saturating_sub(then.nanos())
    }

    /// Before anything is known.
    pub fn new(zone: TimeZone, now: Offset, server: String) -> Self {
        Self {
            size: (80, 24),
            now,
            zone,
            times: Times::Local,
            server,
            flags: String::new(),
            logs: Logs::default(),
            log: None,
            opened: 0,
            prompt: None,
            help: None,
            said: None,
        }
    }
}

impl Logs {
    /// The rows that are looked for: all by id, or the best first.
    pub fn shown(&self) -> Vec<&LogReply> {
        let rows = self.rows.iter().flatten().map(ById).collect();
        fuzzy::find(rows, &self.find).into_iter().map(|ById(row)| row).collect()
    }

    /// The place of the cursor among the rows that are [shown](Self::shown).
    pub fn at(&self, shown: &[&LogReply]) -> usize {
        let Some(on) = self.cursor.as_deref() else { return 0 };
        let by_id = |row: &&LogReply| row.log.as_str() >= on;
        let there = shown.iter().position(|row| row.log == on).or_else(|| shown.iter().position(by_id));
        there.unwrap_or(shown.len().saturating_sub(1))
    }
}

/// A row that is found by its id.
struct ById<'a>(&'a LogReply);

impl AsRef<str> for ById<'_> {
    fn as_ref(&self) -> &str {
        &self.0.log
    }
}

impl Log {
    /// A log of which nothing is known.
    pub fn new(id: LogId, opened: u64) -> Self {
        Self {
            id,
            opened,
            playhead: Position::MAX,
            stand: Stand::Bottom,
            loaded: Stretch::default(),
            asked: None,
            window: None,
            bars: None,
            bars_asked: None,
            bars_of: None,
            extent: None,
            mode: Mode::Live,
            speed: 1.0,
            skip_silence: false,
            follows: true,
            new: 0,
            marks: BTreeSet::new(),
            undo: Vec::new(),
            redo: Vec::new(),
            search: None,
            searches: 0,
            filter: None,
            range: None,
            tab: Tab::Pretty,
            wraps: true,
            sideways: 0,
            down: (Position::MIN, 0),
            detail: false,
            stale: false,
            away: BTreeMap::new(),
            rests: BTreeMap::new(),
            empty: false,
        }
    }

    /// Whether an event is shown.
    pub fn shows(&self, event: &Event) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.is_in(event))
    }

    /// What is not known for the longest time, and why.
    pub fn away(&self) -> Option<&Away> {
        self.away.values().min_by_key(|away| away.since)
    }

    /// The event that the playhead is on, where that is not shown.
    pub fn hidden(&self) -> Option<&Event> {
        let on = self.loaded.at(self.playhead).map(|at| &self.loaded.events()[at])?;
        (on.position == self.playhead && !self.shows(on)).then_some(on)
    }

    /// The event under the cursor: where the playhead is, or where it hides an event, the nearest before that is shown.
    pub fn event(&self) -> Option<&Event> {
        self.loaded.events().get(self.cursor()?)
    }

    /// The place of that event in what is loaded. While the log plays, it is the event that has come last.
    pub fn cursor(&self) -> Option<usize> {
        let at = self.loaded.at(self.playhead)?;
        let events = self.loaded.events();
        let behind = || (at..events.len()).find(|at| self.shows(&events[*at]));
        let before = |at: usize| (0..at).rev().find(|at| self.shows(&events[*at]));
        if matches!(self.mode, Mode::Playing { .. }) {
            let come = events.partition_point(|event| event.position <= self.playhead);
            before(come).or_else(behind)
        } else if self.hidden().is_some() {
            before(at).or_else(behind)
        } else {
            behind().or_else(|| before(at))
        }
    }

    /// The place that is meant: the event under the cursor, or the playhead's own where it is on none that is shown, or is not loaded.
    pub fn place(&self) -> Position {
        match (self.hidden(), self.event()) {
            (None, Some(event)) if self.loaded.covers(self.playhead) => event.position,
            _ => self.playhead,
        }
    }

    /// The time that the playhead shows: its own while the log plays, else never one behind the last event.
    pub fn at(&self) -> Offset {
        match self.mode {
            Mode::Playing { .. } => self.playhead.offset,
            Mode::Paused | Mode::Live => self.place().offset.min(self.playhead.offset),
        }
    }

    /// How fast it has really played since it plays at this speed.
    pub fn real_speed(&self, now: Offset) -> f64 {
        let Mode::Playing { begun: (offset, at), .. } = self.mode else { return 0.0 };
        let (played, passed) = (self.playhead.offset.nanos() - offset.nanos(), now.nanos() - at.nanos());
        if passed <= 0 { self.speed } else { (played as f64 / passed as f64).min(self.speed) }
    }

    /// The first and the last time of the range, where there is one.
    pub fn range(&self) -> Option<Window> {
        Some(match self.range? {
            Range::From(from) => {
                let at = self.at();
                (from.min(at), from.max(at))
            }
            Range::Of(from, to) => (from, to),
        })
    }

    /// The rows of the detail that are passed over: those of another event do not count.
    pub fn down(&self) -> usize {
        if self.down.0 == self.place() { self.down.1 } else { 0 }
    }

    /// How much time one bar of the scrubber stands for.
    pub fn bin_nanos(&self) -> i64 {
        let bins = self.bars.as_ref().map_or(60, |bars| bars.bins.len().max(1)) as i64;
        self.window.map_or(1_000_000_000, |(from, to)| to.nanos().saturating_sub(from.nanos()) / bins).max(1)
    }
}
