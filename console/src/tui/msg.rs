//! What comes in, and what is asked for: everything between the pure middle of the console and the world.

use hourlog::{
    Event, LogId, Offset, Position, Result,
    wire::{LogReply, TimelineReply},
};

use crate::tui::{keymap::Key, pattern::Pattern, state::Scanned};

/// Something has happened.
#[derive(Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(Key),
    /// The terminal has so many columns and rows.
    Resize(u16, u16),
    /// It is this late.
    Tick(Offset),
    /// Which logs there are, or why that is not known.
    Logs(Result<Vec<LogReply>>),
    /// Events of the opened log.
    Loaded {
        /// The opening that they are for.
        opened: u64,
        /// What was asked.
        fetch: Fetch,
        /// What was found.
        found: Result<Found>,
    },
    /// Counts for the scrubber.
    Bars {
        /// The opening that they are for.
        opened: u64,
        /// What was found.
        bars: Result<TimelineReply>,
    },
    /// From here on everything that comes to the opened log is told.
    Follows {
        /// The opening that it is for.
        opened: u64,
    },
    /// Events that came while the log was followed; the error of a follower that goes on.
    Arrived {
        /// The opening that they are for.
        opened: u64,
        /// In the order in which they came.
        events: Result<Vec<Event>>,
    },
    /// More of the opened log was looked through.
    Scanned {
        /// The opening that it is for.
        opened: u64,
        /// The search that it is for.
        number: u64,
        /// What was found.
        scan: Result<Scan>,
    },
}

/// A part of a log that was looked through.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The places that have what is looked for, which were not told before.
    pub hits: Vec<Position>,
    /// What was looked through so far.
    pub scanned: Scanned,
    /// It goes on.
    pub goes_on: bool,
}

/// Which events of a log are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    /// Some before a position, and some from it on.
    Around(Position),
    /// Some behind a position.
    After(Position),
    /// Some before a position.
    Before(Position),
    /// The newest.
    Newest,
}

/// Events in timeline order, and whether there are more.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// In timeline order, without a hole.
    pub events: Vec<Event>,
    /// There is none before the first of them.
    pub first_reached: bool,
    /// There is none behind the last of them.
    pub last_reached: bool,
}

/// Something is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ask something that is answered once.
    Ask(Ask),
    /// Send what comes to a log from now on, until another is followed.
    Follow {
        /// The opening that it is for.
        opened: u64,
        /// The log.
        log: LogId,
    },
    /// Follow no longer.
    StopFollowing,
    /// Look through a log, until another is to be looked through.
    Scan {
        /// The opening that it is for.
        opened: u64,
        /// The search that it is for.
        number: u64,
        /// The log.
        log: LogId,
        /// What to look for.
        pattern: Pattern,
        /// What was looked through before.
        scanned: Scanned,
    },
    /// Look no further.
    StopScanning,
    /// Put a text into the clipboard of the terminal.
    Copy(String),
    /// Leave.
    Quit,
}

/// A question.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Which logs there are.
    Logs,
    /// Events.
    Load {
        /// The opening that they are for.
        opened: u64,
        /// The log.
        log: LogId,
        /// Which.
        fetch: Fetch,
    },
    /// Counts by time; without times, of the whole log.
    Count {
        /// The opening that they are for.
        opened: u64,
        /// The log.
        log: LogId,
        /// From when to when.
        span: Option<(Offset, Offset)>,
        /// Into how many parts.
        bins: u32,
    },
}
