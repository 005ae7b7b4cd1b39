//! The state of one running command: output, clock, connection settings, and how to resume.

use std::sync::{Mutex, PoisonError};

use hourlog::{Cursor, LogId, Offset, time::Clock};
use jiff::tz::TimeZone;

use crate::{
    connect::{Connect, Connection, Denials},
    exit::Failure,
    output::Output,
    shell,
    when::{self, Moment},
};

/// One run of one command.
#[derive(Debug)]
pub struct Session {
    /// Connection settings.
    pub connect: Connect,
    /// Output of the command.
    pub out: Output,
    /// Time zone of times without one, and of tables.
    pub zone: TimeZone,
    /// Wall clock.
    pub clock: Clock,
    /// True with `--verbose`: the causes of errors and connection details are printed too.
    pub verbose: bool,
    /// Permissions that the server has denied.
    pub denials: Denials,
    resume: Mutex<Option<Resume>>,
    /// Locked while the command is in a step that must be complete.
    complete: tokio::sync::Mutex<()>,
}

/// The hint for a user who stops the command.
#[derive(Debug, Clone)]
enum Resume {
    /// A sentence.
    Sentence(String),
    /// The command that continues to read, once the command has reached a point.
    Read { log: LogId, options: String, reached: Option<Cursor> },
}

impl Session {
    /// Creates the session of a command that starts now.
    pub fn new(connect: Connect, out: Output, zone: TimeZone, clock: Clock, verbose: bool) -> Self {
        Self {
            connect,
            out,
            zone,
            clock,
            verbose,
            denials: Denials::default(),
            resume: Mutex::new(None),
            complete: tokio::sync::Mutex::default(),
        }
    }

    /// Returns the current time.
    pub fn now(&self) -> Offset {
        (self.clock)()
    }

    /// Connects. Permissions that the server denies later end the command.
    pub(crate) async fn open(&self) -> Result<Connection, Failure> {
        let connection = self.connect.open(self.denials.clone()).await?;
        if self.verbose {
            let version = connection.remote.client().server_info().version;
            self.out.note(&format!("connected to {}, nats-server {version}", connection.server));
        }
        Ok(connection)
    }

    /// Parses the value of a time flag, and prints what it means to stderr.
    pub(crate) fn moment(&self, flag: &str, text: Option<&str>) -> Result<Option<Moment>, Failure> {
        let Some(text) = text else { return Ok(None) };
        let moment =
            when::parse(text, self.now(), &self.zone).map_err(|error| Failure::usage(format!("{flag}: {error}")))?;
        if let Moment::At(offset) = moment {
            self.out.note(&format!("{flag} {offset} ({})", when::show_with_zone(offset, &self.zone)));
        }
        Ok(Some(moment))
    }

    /// Formats a time for a table cell; `-` if there is none.
    pub(crate) fn time_cell(&self, offset: Option<Offset>) -> String {
        offset.map_or_else(|| "-".to_owned(), |offset| when::show(offset, &self.zone))
    }

    /// Sets the hint for a user who stops the command.
    pub(crate) fn resume_with(&self, hint: impl Into<String>) {
        self.set_resume(Resume::Sentence(hint.into()));
    }

    /// Sets the hint for a user who stops reading `log`: the command that continues after the point
    /// of [`Session::reached`]. `options`, if there are any, begin with a blank.
    pub(crate) fn resume_reading(&self, log: &LogId, options: &str) {
        self.set_resume(Resume::Read { log: log.clone(), options: options.to_owned(), reached: None });
    }

    fn set_resume(&self, resume: Resume) {
        *self.resume.lock().unwrap_or_else(PoisonError::into_inner) = Some(resume);
    }

    /// Records the point that reading has reached.
    pub(crate) fn reached(&self, cursor: Cursor) {
        if let Some(Resume::Read { reached, .. }) = &mut *self.resume.lock().unwrap_or_else(PoisonError::into_inner) {
            *reached = Some(cursor);
        }
    }

    /// Begins a step that a signal must not cut in two; it ends when the guard is dropped. Waits forever if the
    /// command is being stopped.
    pub(crate) async fn uninterrupted(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.complete.lock().await
    }

    /// Returns the hint for a user who has stopped the command.
    pub(crate) fn resume_hint(&self) -> Option<String> {
        match self.resume.lock().unwrap_or_else(PoisonError::into_inner).clone()? {
            Resume::Sentence(sentence) => Some(sentence),
            Resume::Read { log, options, reached } => {
                let options = format!("{options} --after {}", reached?);
                Some(format!("resume with: {}", shell::command("read", &options, &log, "")))
            }
        }
    }
}
