//! The dialogs for an export and a replay: the events that they are about, what was chosen, and how far the work is. The
//! text of a dialog, the file or the subject, is that of its prompt.

use std::borrow::Cow;

use hourlog::pace::Speed;

use crate::{
    shell::quoted,
    tui::{
        excerpt::{Excerpt, Total},
        work::{Plan, Progress},
    },
};

/// The speeds of a replay, before the one that is as fast as possible.
const SPEEDS: [f64; 6] = [1.0, 10.0, 60.0, 600.0, 3_600.0, 86_400.0];

/// A dialog about an excerpt of the open log.
#[derive(Debug)]
pub struct Dialog {
    /// The events.
    pub excerpt: Excerpt,
    /// The number of the events, once they were counted; the error says why they were not.
    pub total: Option<Result<Total, String>>,
    /// The cursor is in the text.
    pub is_editing: bool,
    /// A replay sends to a subject that hourlog stores.
    pub is_into_log: bool,
    /// The stage of the work.
    pub stage: Stage,
    /// Number of the speed of a replay; 0 is as fast as possible.
    speed: usize,
}

/// A stage of the work of a dialog.
#[derive(Debug, PartialEq, Eq)]
pub enum Stage {
    /// The user chooses.
    Choosing,
    /// This is in the way of an export. Enter replaces it.
    Blocked(String),
    /// The work is under way.
    Running {
        /// The events so far.
        progress: Progress,
        /// It only finds out what a replay would send.
        is_dry_run: bool,
    },
    /// A replay would send this. Enter sends it.
    Planned(Plan),
    /// The user has stopped the work, which has not ended yet.
    Stopping,
    /// The work is done. The sentence says what has come of it.
    Done(String),
    /// The work has failed, or was stopped. The sentence says why, and what is left of it.
    Failed(String),
}

impl Dialog {
    /// Returns a dialog in which nothing is chosen yet.
    pub(crate) fn new(excerpt: Excerpt, is_editing: bool) -> Self {
        Self { excerpt, total: None, is_editing, is_into_log: false, stage: Stage::Choosing, speed: SPEEDS.len() }
    }

    /// Returns the speed of a replay; `None` for as fast as possible.
    pub(crate) fn speed(&self) -> Option<Speed> {
        Some(Speed::NORMAL.times(*SPEEDS.get(self.speed)?))
    }

    /// Chooses the next faster or slower speed. Nothing is slower than time was, or faster than without pauses.
    pub(crate) fn change_speed(&mut self, by: isize) {
        self.speed = self.speed.saturating_add_signed(by).min(SPEEDS.len());
        self.stage = Stage::Choosing;
    }

    /// Returns true while the work is under way.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.stage, Stage::Running { .. } | Stage::Stopping)
    }

    /// Returns the command that exports to a file. `flags`, if there are any, begin with a blank.
    pub(crate) fn export_command(&self, flags: &str, path: &str) -> String {
        self.excerpt.command("export", flags, &format!(" -O {}", word(path, "FILE")))
    }

    /// Returns the command that sends the events to subjects. `flags`, if there are any, begin with a blank.
    pub(crate) fn replay_command(&self, flags: &str, to: &str) -> String {
        let speed = match self.speed() {
            Some(speed) => format!(" --speed {}", speed.factor()),
            None => " --as-fast-as-possible".to_owned(),
        };
        let into_log = if self.is_into_log { " --into-log" } else { "" };
        self.excerpt.command("replay", flags, &format!(" --to {}{speed}{into_log}", word(to, "SUBJECT")))
    }
}

/// Returns a text as a word for a shell, or a placeholder if it is empty.
fn word<'a>(text: &'a str, placeholder: &'a str) -> Cow<'a, str> {
    match text.trim() {
        "" => Cow::Borrowed(placeholder),
        text => quoted(text),
    }
}
