//! Everything that the console knows. Drawing reads it, and only [`update`](crate::tui::update::update) changes it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hourlog::{
    Error, ErrorKind, Event, LogId, Offset, Position,
    wire::{LogReply, TimelineReply},
};
use jiff::tz::TimeZone;

use crate::tui::{fuzzy, stretch::Stretch};

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
    pub search: Option<String>,
    /// A hit is being looked for.
    pub finding: bool,
    /// What an event must have to be shown.
    pub filter: Option<String>,
    /// What the detail shows.
    pub tab: Tab,
    /// The detail lies over the list, where there is no room beside it.
    pub detail: bool,
    /// Something may have come that was not told: what is loaded is to be loaded again.
    pub stale: bool,
    /// Why something is not known, since when.
    pub away: Option<Away>,
    /// Nothing is asked before, for it failed.
    pub rests_until: Offset,
    /// The log holds no event.
    pub empty: bool,
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
            finding: false,
            filter: None,
            tab: Tab::Pretty,
            detail: false,
            stale: false,
            away: None,
            rests_until: Offset::MIN,
            empty: false,
        }
    }

    /// Whether an event is shown.
    pub fn shows(&self, event: &Event) -> bool {
        self.filter.as_deref().is_none_or(|text| has(event, text))
    }

    /// Whether the event that the playhead is on is not shown.
    pub fn hides_playhead(&self) -> bool {
        let on = self.loaded.at(self.playhead).map(|at| &self.loaded.events()[at]);
        on.is_some_and(|event| event.position == self.playhead && !self.shows(event))
    }

    /// The event under the cursor: where the playhead is, or where it hides an event, the nearest that is shown.
    pub fn event(&self) -> Option<&Event> {
        self.loaded.events().get(self.cursor()?)
    }

    /// The place of that event in what is loaded. While the log plays, it is the event that has come last.
    pub fn cursor(&self) -> Option<usize> {
        let at = self.loaded.at(self.playhead)?;
        let events = self.loaded.events();
        if matches!(self.mode, Mode::Playing { .. }) {
            let come = events.partition_point(|event| event.position <= self.playhead);
            let last = (0..come).rev().find(|at| self.shows(&events[*at]));
            return last.or_else(|| (come..events.len()).find(|at| self.shows(&events[*at])));
        }
        let behind = (at..events.len()).find(|at| self.shows(&events[*at]));
        behind.or_else(|| (0..at).rev().find(|at| self.shows(&events[*at])))
    }

    /// When the event under the cursor was, or where there is none, the playhead's own time.
    pub fn cursor_offset(&self) -> Offset {
        self.event().map_or(self.playhead.offset, |event| event.position.offset)
    }

    /// The time that the playhead shows: its own while the log plays, else never one behind the last event.
    pub fn at(&self) -> Offset {
        match (self.mode, self.event()) {
            (Mode::Playing { .. }, _) | (_, None) => self.playhead.offset,
            (_, Some(event)) => event.position.offset.min(self.playhead.offset),
        }
    }

    /// How fast it has really played since it plays at this speed.
    pub fn real_speed(&self, now: Offset) -> f64 {
        let Mode::Playing { begun: (offset, at), .. } = self.mode else { return 0.0 };
        let (played, passed) = (self.playhead.offset.nanos() - offset.nanos(), now.nanos() - at.nanos());
        if passed <= 0 { self.speed } else { (played as f64 / passed as f64).min(self.speed) }
    }

    /// How much time one bar of the scrubber stands for.
    pub fn bin_nanos(&self) -> i64 {
        let bins = self.bars.as_ref().map_or(60, |bars| bars.bins.len().max(1)) as i64;
        self.window.map_or(1_000_000_000, |(from, to)| to.nanos().saturating_sub(from.nanos()) / bins).max(1)
    }
}

/// Whether an event has a text in its data or its metadata. Small letters match both cases.
pub fn has(event: &Event, text: &str) -> bool {
    let exact = text.chars().any(char::is_uppercase);
    let within = |bytes: &[u8]| {
        let haystack = String::from_utf8_lossy(bytes);
        if exact { haystack.contains(text) } else { haystack.to_lowercase().contains(text) }
    };
    within(&event.record.data)
        || event
            .record
            .metadata
            .iter()
            .any(|(name, values)| within(name.as_bytes()) || values.iter().any(|value| within(value.as_bytes())))
}
