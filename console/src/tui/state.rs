//! The whole state of the console. `view` reads it; only [`update`](crate::tui::update::update)
//! changes it.

mod cursor_row;
mod log;
mod logs;
mod prompt;
mod requests;
mod search;

pub use self::{
    cursor_row::CursorRow,
    log::{Detail, DetailTab, Jumps, Log, Mode, Scrubber, TimeRange, Window},
    logs::Logs,
    prompt::{Prompt, PromptKind},
    requests::{CountsQuery, Outage, RequestKind, Requests},
    search::{HITS_MAX, NearestHit, Search},
};

use hourlog::{LogId, Offset, Record};
use jiff::tz::TimeZone;

use crate::tui::keymap::KeyScope;

/// Time that a notice stays on the screen.
const NOTICE_NANOS: i64 = 4_000_000_000;

/// Difference between two clocks that is not worth a correction.
const TIME_TOLERANCE_NANOS: i64 = 1_000_000_000;

/// The state of the console.
#[derive(Debug)]
pub struct State {
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// The time of this machine's clock, as of the last tick.
    pub now: Offset,
    /// How far the service's clock, by which events and typed times go, is ahead of it.
    service_ahead_nanos: i64,
    /// The zone in which times are read and shown.
    pub zone: TimeZone,
    /// Style of times in the list of events.
    pub time_style: TimeStyle,
    /// Address of the service.
    pub server: String,
    /// Flags with which the command line reaches the same service.
    pub flags: String,
    /// The list of logs.
    pub logs: Logs,
    /// The open log.
    pub log: Option<Log>,
    /// The requests to the backend.
    pub requests: Requests,
    /// The open prompt.
    pub prompt: Option<Prompt>,
    /// First visible line of the help, if it is open.
    pub help: Option<usize>,
    notice: Option<Notice>,
}

/// A sentence in the footer.
#[derive(Debug)]
struct Notice {
    text: String,
    until: Offset,
}

/// A way to show times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeStyle {
    /// In the zone.
    Local,
    /// In UTC.
    Utc,
    /// As the age.
    Ago,
    /// As the time since the previous event.
    Since,
}

impl TimeStyle {
    /// Returns the style that follows this one.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Local => Self::Utc,
            Self::Utc => Self::Ago,
            Self::Ago => Self::Since,
            Self::Since => Self::Local,
        }
    }
}

impl State {
    /// Returns the state before the first answer.
    pub fn new(zone: TimeZone, now: Offset, server: String) -> Self {
        Self {
            size: (80, 24),
            now,
            service_ahead_nanos: 0,
            zone,
            time_style: TimeStyle::Local,
            server,
            flags: String::new(),
            logs: Logs::default(),
            log: None,
            requests: Requests::default(),
            prompt: None,
            help: None,
            notice: None,
        }
    }

    /// Returns the nanoseconds that have passed since `then`.
    pub fn nanos_since(&self, then: Offset) -> i64 {
        self.now.nanos().saturating_sub(then.nanos())
    }

    /// Moves the time on, and removes a notice that has been shown long enough.
    pub(crate) fn tick(&mut self, now: Offset) {
        self.now = now;
        self.notice.take_if(|notice| notice.until <= now);
        self.limit_ahead();
    }

    /// Returns the present time of the service.
    pub(crate) fn service_now(&self) -> Offset {
        self.now.saturating_add_nanos(self.service_ahead_nanos)
    }

    /// Notes the present time of the service, as a reply has just told it.
    pub(crate) fn learn_time(&mut self, service_now: Offset) {
        let ahead_nanos = service_now.nanos().saturating_sub(self.now.nanos());
        // A reply is older than its arrival, so its time is not exact.
        if ahead_nanos.saturating_sub(self.service_ahead_nanos).saturating_abs() > TIME_TOLERANCE_NANOS {
            self.service_ahead_nanos = ahead_nanos;
            self.limit_ahead();
        }
    }

    fn limit_ahead(&mut self) {
        let limit = self.service_now().saturating_add_nanos(Record::AHEAD_NANOS_MAX);
        if let Some(log) = &mut self.log {
            log.ahead_limit = limit;
        }
    }

    /// Shows a notice for a few seconds.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), until: self.now.saturating_add_nanos(NOTICE_NANOS) });
    }

    /// Returns the notice on the screen.
    pub(crate) fn notice(&self) -> Option<&str> {
        self.notice.as_ref().map(|notice| notice.text.as_str())
    }

    /// Returns the zone of all times on the screen, in which typed ones are read, too.
    pub(crate) fn shown_zone(&self) -> &TimeZone {
        static UTC: TimeZone = TimeZone::UTC;
        if self.time_style == TimeStyle::Utc { &UTC } else { &self.zone }
    }

    /// Returns true while the playhead moves by itself.
    pub(crate) fn is_playing(&self) -> bool {
        self.log.as_ref().is_some_and(|log| matches!(log.mode, Mode::Playing { .. }))
    }

    /// Returns the scope of the keys on the current screen.
    pub(crate) fn key_scope(&self) -> KeyScope {
        if self.log.is_some() { KeyScope::Log } else { KeyScope::Logs }
    }

    /// Opens a log, and returns the number of this opening.
    pub(crate) fn open(&mut self, id: LogId) -> u64 {
        let opened = self.requests.open();
        self.logs.cursor = Some(id.clone());
        self.log = Some(Log::new(id, opened));
        self.limit_ahead();
        opened
    }

    /// Returns the open log and the requests, unless `opened` is an earlier opening.
    pub(crate) fn opening(&mut self, opened: u64) -> Option<(&mut Log, &mut Requests)> {
        let log = self.log.as_mut().filter(|log| log.opened() == opened)?;
        Some((log, &mut self.requests))
    }
}
