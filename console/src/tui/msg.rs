//! Messages and effects: everything that passes between the pure core of the console and the world.

use hourlog::{
    Event, LogId, Offset, Result,
    pace::Speed,
    wire::{LogsReply, StripReply, TimelineReply, TimelineRequest},
};

use crate::{
    tui::{
        excerpt::{Excerpt, Total},
        filter::{Filter, Selection},
        finding::{Find, Found},
        key::Key,
        lanes::Lanes,
        mouse::MouseInput,
        pages::{Fetch, Fetched},
        pattern::Pattern,
        report::ServiceReport,
        scale::Window,
        scan::{ScanPage, ScanProgress},
        state::RequestKind,
        survey::{Survey, Surveyed},
        work::{Work, Worked},
    },
    when::Moment,
};

/// Something that has happened.
///
/// An answer has the number of its request. If the console does not wait for that one any more, the answer is dropped.
#[derive(Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(Key),
    /// The terminal has a new size, in columns and rows.
    Resize(u16, u16),
    /// A text was pasted.
    Paste(String),
    /// The mouse was used.
    Mouse(MouseInput),
    /// The current time.
    Tick(Offset),
    /// The console was started with logs.
    Open {
        /// The logs.
        lanes: Lanes,
        /// The place to go to.
        at: Option<Moment>,
        /// The filter on its events.
        filter: Option<Filter>,
        /// The speed at which it plays.
        speed: Option<Speed>,
    },
    /// The answer to [`Request::Logs`].
    Logs(Result<LogsReply>),
    /// The answer to [`Request::Strips`].
    Strips {
        /// The request.
        request: StripsRequest,
        /// The logs with their strips.
        strips: Result<Vec<(LogId, StripReply)>>,
    },
    /// The answer to [`Request::Preview`].
    Previewed {
        /// Number of the request.
        number: u64,
        /// The logs.
        lanes: Lanes,
        /// The newest events, and their counts if they were asked for.
        preview: Result<(Fetched, Option<TimelineReply>)>,
    },
    /// The answer to [`Request::Service`].
    Service {
        /// Number of the request.
        number: u64,
        /// The report.
        report: Box<ServiceReport>,
    },
    /// The answer to [`Request::Load`].
    Loaded {
        /// Number of the request.
        number: u64,
        /// The events.
        events: Result<Fetched>,
    },
    /// The answer to [`Request::Count`].
    Counted {
        /// Number of the request.
        number: u64,
        /// The counts that were asked for.
        kind: RequestKind,
        /// The counts.
        counts: Result<TimelineReply>,
    },
    /// The answer to [`Request::Check`].
    Checked {
        /// Number of the request.
        number: u64,
        /// The error says why the selection is none.
        result: Result<()>,
    },
    /// The answer to [`Request::Find`].
    Found {
        /// Number of the request.
        number: u64,
        /// The place.
        found: Result<Found>,
    },
    /// A survey has read another page.
    Surveyed {
        /// Number of the survey.
        number: u64,
        /// The page.
        page: Result<Surveyed>,
    },
    /// The follower runs: every event from here on is reported.
    FollowStarted {
        /// Number of the follower.
        number: u64,
    },
    /// Events that arrived while the log was followed, or an error of the follower, which retries.
    Arrived {
        /// Number of the follower.
        number: u64,
        /// The events, in arrival order.
        events: Result<Vec<Event>>,
    },
    /// A search has read another page of the log.
    Scanned {
        /// Number of the search.
        number: u64,
        /// The page.
        page: Result<ScanPage>,
    },
    /// The answer to [`Request::Total`].
    Totalled {
        /// Number of the request.
        number: u64,
        /// The number of events.
        total: Result<Total>,
    },
    /// A report on work.
    Worked {
        /// Number of the work.
        number: u64,
        /// The report.
        worked: Worked,
    },
}

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send a request that has one answer.
    Ask(Request),
    /// Report every event that arrives in a log, until another log is followed.
    Follow {
        /// Number of the follower.
        number: u64,
        /// The logs.
        lanes: Lanes,
        /// The events to report.
        selection: Selection,
    },
    /// Stop the follower.
    StopFollowing,
    /// Search a log, until another search begins.
    Scan {
        /// Number of the search.
        number: u64,
        /// The search.
        scan: Scan,
    },
    /// Stop the search.
    StopScanning,
    /// Stop looking for a place.
    StopFinding,
    /// Read all events of a window, until another survey of this kind begins.
    Survey {
        /// Number of the survey.
        number: u64,
        /// The survey.
        survey: Survey,
    },
    /// Stop the survey of numbers, or else the one that sorts.
    StopSurvey {
        /// It is the one of numbers.
        numbers: bool,
    },
    /// Do work, until other work begins.
    Work {
        /// Number of the work.
        number: u64,
        /// The work.
        work: Work,
    },
    /// Stop the work at the next place where that leaves nothing in doubt. It reports what has come of it.
    StopWork,
    /// Drop the requests for events and counts that wait for an answer.
    StopAsking,
    /// Put a text into the terminal's clipboard.
    Copy(String),
    /// Leave the console.
    Quit,
    /// Stop the console until the shell goes on with it.
    Suspend,
    /// Draw the whole screen again.
    Redraw,
    /// Receive the inputs of the mouse, or leave them to the terminal.
    Mouse(bool),
}

/// A search through a log.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// The logs.
    pub lanes: Lanes,
    /// The pattern to search for.
    pub pattern: Pattern,
    /// The events to search.
    pub selection: Selection,
    /// The part that was searched before.
    pub progress: ScanProgress,
}

/// A request for counts of some logs over time, all on one axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripsRequest {
    /// Its number.
    pub number: u64,
    /// The logs.
    pub logs: Vec<LogId>,
    /// The time that is counted.
    pub axis: Window,
    /// Number of bins.
    pub bins: u32,
}

/// A request to the backend that has one answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// List all logs.
    Logs,
    /// Count the events of some logs over time.
    Strips(StripsRequest),
    /// Load the newest events of a log, and count its events by time.
    Preview {
        /// Its number.
        number: u64,
        /// The log.
        lanes: Lanes,
        /// The request for counts, if they are needed.
        counts: Option<Box<TimelineRequest>>,
    },
    /// Ask all instances of the service about themselves.
    Service {
        /// Its number.
        number: u64,
    },
    /// Load events.
    Load {
        /// Its number.
        number: u64,
        /// The logs.
        lanes: Lanes,
        /// The events to load.
        fetch: Fetch,
        /// The events to select.
        selection: Selection,
    },
    /// Check whether the service takes a selection.
    Check {
        /// Its number.
        number: u64,
        /// The logs.
        lanes: Lanes,
        /// The selection.
        selection: Selection,
    },
    /// Find a place that is not loaded.
    Find {
        /// Its number.
        number: u64,
        /// The logs.
        lanes: Lanes,
        /// The place.
        find: Box<Find>,
    },
    /// Count events by time.
    Count {
        /// Its number.
        number: u64,
        /// The counts that are asked for.
        kind: RequestKind,
        /// The logs.
        lanes: Lanes,
        /// The request.
        request: Box<TimelineRequest>,
    },
    /// Count the events of an excerpt.
    Total {
        /// Its number.
        number: u64,
        /// The excerpt.
        excerpt: Excerpt,
    },
}
