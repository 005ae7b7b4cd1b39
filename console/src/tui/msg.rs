//! Messages and effects: everything that passes between the pure core of the console and the world.

use hourlog::{
    Event, LogId, Offset, Result,
    wire::{LogsReply, TimelineReply},
};

use crate::tui::{
    key::Key,
    loaded::{Fetch, FetchedEvents},
    pattern::Pattern,
    scan::{ScanPage, ScanProgress},
};

/// Something that has happened.
///
/// `opened` is the number of the opening that an answer belongs to. Answers to an earlier opening
/// are dropped.
#[derive(Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(Key),
    /// The terminal has a new size, in columns and rows.
    Resize(u16, u16),
    /// A text was pasted.
    Paste(String),
    /// The current time.
    Tick(Offset),
    /// The answer to [`Request::Logs`].
    Logs(Result<LogsReply>),
    /// The answer to [`Request::Load`].
    Loaded {
        /// The opening.
        opened: u64,
        /// The events that were asked for.
        fetch: Fetch,
        /// The events.
        events: Result<FetchedEvents>,
    },
    /// The answer to [`Request::Count`].
    Counted {
        /// The opening.
        opened: u64,
        /// The counts.
        counts: Result<TimelineReply>,
    },
    /// The follower runs: every event from here on is reported.
    FollowStarted {
        /// The opening.
        opened: u64,
    },
    /// Events that arrived while the log was followed, or an error of the follower, which retries.
    Arrived {
        /// The opening.
        opened: u64,
        /// The events, in arrival order.
        events: Result<Vec<Event>>,
    },
    /// A search has read another page of the log.
    Scanned {
        /// The opening.
        opened: u64,
        /// Number of the search. Pages of an earlier search are dropped.
        number: u64,
        /// The page.
        page: Result<ScanPage>,
    },
}

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send a request that has one answer.
    Ask(Request),
    /// Report every event that arrives in a log, until another log is followed.
    Follow {
        /// The opening.
        opened: u64,
        /// The log.
        log: LogId,
    },
    /// Stop the follower.
    StopFollowing,
    /// Search a log, until another search begins.
    Scan {
        /// The opening.
        opened: u64,
        /// Number of the search.
        number: u64,
        /// The log.
        log: LogId,
        /// The pattern to search for.
        pattern: Pattern,
        /// The part that was searched before.
        progress: ScanProgress,
    },
    /// Stop the search.
    StopScanning,
    /// Put a text into the terminal's clipboard.
    Copy(String),
    /// Leave the console.
    Quit,
    /// Stop the console until the shell goes on with it.
    Suspend,
    /// Draw the whole screen again.
    Redraw,
}

/// A request to the backend that has one answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// List all logs.
    Logs,
    /// Load events.
    Load {
        /// The opening.
        opened: u64,
        /// The log.
        log: LogId,
        /// The events to load.
        fetch: Fetch,
    },
    /// Count events by time.
    Count {
        /// The opening.
        opened: u64,
        /// The log.
        log: LogId,
        /// Start and end of the counted time; `None` for the whole log.
        span: Option<(Offset, Offset)>,
        /// Number of bins.
        bins: u32,
    },
}
