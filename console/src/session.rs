//! The state of one running command: output, clock, connection settings, and how to resume.

use std::sync::{Mutex, PoisonError};

use hourlog::{Cursor, Offset, time::Clock};
use jiff::tz::TimeZone;

use crate::{
    connect::{Connect, Connection, Denials},
    exit::Failure,
    output::Output,
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
}

/// The hint for a user who stops the command.
#[derive(Debug, Clone)]
struct Resume {
    /// A sentence. If it ends with a space, the cursor follows.
    hint: String,
    cursor: Option<Cursor>,
}

impl Session {
    /// Creates the session of a command that starts now.
    pub fn new(connect: Connect, out: Output, zone: TimeZone, clock: Clock, verbose: bool) -> Self {
        Self { connect, out, zone, clock, verbose, denials: Denials::default(), resume: Mutex::new(None) }
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

    /// Sets the hint for a user who stops the command. If it ends with a space, the cursor of
    /// [`Session::reached`] is appended.
    pub(crate) fn resume_with(&self, hint: impl Into<String>) {
        *self.resume.lock().unwrap_or_else(PoisonError::into_inner) = Some(Resume { hint: hint.into(), cursor: None });
    }

    /// Records the point that the command has reached.
    pub(crate) fn reached(&self, cursor: Cursor) {
        if let Some(resume) = &mut *self.resume.lock().unwrap_or_else(PoisonError::into_inner) {
            resume.cursor = Some(cursor);
        }
    }

    /// Returns the hint for a user who has stopped the command.
    pub(crate) fn resume_hint(&self) -> Option<String> {
        let resume = self.resume.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        match (resume.hint.ends_with(' '), resume.cursor) {
            (true, Some(cursor)) => Some(format!("{}{cursor}", resume.hint)),
            (true, None) => None,
            (false, _) => Some(resume.hint),
        }
    }
}
