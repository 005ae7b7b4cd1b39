//! The whole state of the console. `view` reads it; only [`update`](crate::tui::update::update)
//! changes it.

pub(crate) mod counting;
mod cover;
mod cursor_row;
mod dialog;
mod instances;
mod levels;
mod log;
mod logs;
mod messages;
mod meter;
mod place;
pub(crate) mod prompt;
mod requests;
mod search;
pub(crate) mod surveys;

pub use self::{
    cursor_row::CursorRow,
    dialog::{Dialog, Stage},
    instances::Instances,
    log::{Detail, DetailTab, Heights, Log, Mode, Scrubber, Tail, TimeRange},
    logs::{Logs, RowKey},
    messages::Messages,
    place::{Goal, Jumps},
    prompt::{Prompt, PromptKind},
    requests::{Outage, RequestKind, Requests},
    search::{HITS_MAX, NearestHit, Search},
    surveys::{Numbers, Sorted},
};

pub(crate) use self::{
    cover::{Cover, Covers},
    instances::{Instance, StreamFacts, Trouble},
    levels::LEVELS_NANOS,
    logs::{Group, LogRow},
    messages::{Message, MessageKind},
    meter::Meter,
    place::Place,
};

use std::collections::BTreeMap;

use hourlog::{Error, Offset, Record};
use jiff::tz::TimeZone;

use crate::tui::{keymap::KeyScope, lanes::Lanes, memory::Memory};

/// Time that a notice stays on the screen.
const NOTICE_NANOS: i64 = 4_000_000_000;

/// Limit of the texts of a kind that can be shown again.
const HISTORY_MAX: usize = 100;

/// Limit of the logs whose state is kept.
const CLOSED_MAX: usize = 1_000;

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
    /// Short name of the service.
    pub label: String,
    /// Flags with which the command line reaches the same service.
    pub flags: String,
    /// The list of logs.
    pub logs: Logs,
    /// The open log.
    pub log: Option<Log>,
    /// The logs that were open before, as the user left them.
    closed: BTreeMap<Lanes, Log>,
    /// The log that was open last.
    pub(crate) last_open: Option<Lanes>,
    /// The screens over that of the logs.
    pub(crate) covers: Covers,
    /// The instances of the service.
    pub instances: Instances,
    /// The messages of this session.
    pub messages: Messages,
    /// The requests to the backend.
    pub requests: Requests,
    /// The open prompt.
    pub prompt: Option<Prompt>,
    /// The open dialog. Its text is in the prompt.
    pub dialog: Option<Dialog>,
    /// The texts that were entered, by the kind of the prompt, the newest last.
    pub(crate) history: BTreeMap<PromptKind, Vec<String>>,
    /// The console receives the inputs of the mouse.
    pub has_mouse: bool,
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
            label: server.clone(),
            server,
            flags: String::new(),
            logs: Logs::default(),
            log: None,
            closed: BTreeMap::new(),
            last_open: None,
            covers: Covers::default(),
            instances: Instances::default(),
            messages: Messages::default(),
            requests: Requests::default(),
            prompt: None,
            dialog: None,
            history: BTreeMap::new(),
            has_mouse: false,
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

    /// Shows a notice for a few seconds, and keeps it as a message.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.show(MessageKind::Notice, text.into());
    }

    /// Shows an error for a few seconds, and keeps it as a message.
    pub(crate) fn say_error(&mut self, error: &Error) {
        self.show(MessageKind::Error, error.to_string());
    }

    fn show(&mut self, kind: MessageKind, text: String) {
        self.messages.add(kind, &text, self.now);
        self.notice = Some(Notice { text, until: self.now.saturating_add_nanos(NOTICE_NANOS) });
    }

    /// Takes the notice away, because it is not true any more.
    pub(crate) fn hush(&mut self) {
        self.notice = None;
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

    /// Returns true while the list of logs is asked for: it is seen, or below the messages, which tell of its outages.
    pub(crate) fn lists_logs(&self) -> bool {
        self.log.is_none() && self.covers.top() != Some(Cover::Service)
    }

    /// Returns the scope of the keys on the current screen.
    pub(crate) fn key_scope(&self) -> KeyScope {
        match (self.covers.top(), &self.log) {
            (Some(Cover::Service), _) => KeyScope::Service,
            (Some(Cover::Messages), _) => KeyScope::Messages,
            (None, Some(log)) if log.detail.is_open => KeyScope::Detail,
            (None, Some(_)) => KeyScope::Log,
            (None, None) => KeyScope::Logs,
        }
    }

    /// Returns the zone of the bars: the one of the times, if the service knows it by its name.
    pub(crate) fn bars_zone(&self) -> &TimeZone {
        static UTC: TimeZone = TimeZone::UTC;
        let shown = self.shown_zone();
        if shown.iana_name().is_some() { shown } else { &UTC }
    }

    /// Keeps a text that was entered, so that it can be shown again.
    pub(crate) fn remember(&mut self, kind: PromptKind, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        let texts = self.history.entry(kind).or_default();
        texts.retain(|known| known != text);
        texts.push(text.to_owned());
        if texts.len() > HISTORY_MAX {
            texts.remove(0);
        }
    }

    /// Opens a log as the user left it.
    pub(crate) fn open(&mut self, lanes: Lanes) {
        self.close();
        self.covers.clear();
        self.logs.cursor = Some(RowKey::Log(lanes.first().clone()));
        self.log = Some(self.closed.remove(&lanes).unwrap_or_else(|| Log::new(lanes)));
        self.limit_ahead();
    }

    /// Returns what is kept after the console is left.
    pub(crate) fn memory(&self) -> Memory {
        let logs = self.closed.values().chain(&self.log).map(Log::memory).collect();
        let kinds = [PromptKind::GoTo, PromptKind::Search, PromptKind::Filter, PromptKind::Palette];
        let texts = |kind: PromptKind| Some((format!("{kind:?}"), self.history.get(&kind)?.clone()));
        Memory { logs, history: kinds.into_iter().filter_map(texts).collect() }
    }

    /// Takes what was kept when the console was left.
    pub(crate) fn remember_logs(&mut self, memory: Memory) {
        for log in memory.logs {
            if let Some(log) = Log::remembered(log) {
                self.closed.insert(log.lanes.clone(), log);
            }
        }
        for kind in [PromptKind::GoTo, PromptKind::Search, PromptKind::Filter, PromptKind::Palette] {
            let name = format!("{kind:?}");
            if let Some((_, texts)) = memory.history.iter().find(|(known, _)| *known == name) {
                self.history.insert(kind, texts.clone());
            }
        }
    }

    /// Closes the open log, and keeps what the user has made of it.
    pub(crate) fn close(&mut self) {
        self.requests.close_log();
        let Some(log) = self.log.take() else { return };
        self.last_open = Some(log.lanes.clone());
        if self.closed.len() >= CLOSED_MAX {
            self.closed.pop_first();
        }
        self.closed.insert(log.lanes.clone(), log.closed());
    }
}
