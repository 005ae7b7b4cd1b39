//! The state of one running command: output, clock, connection settings, and how to resume.

use std::sync::{Mutex, PoisonError};

use hourlog::{Cursor, ErrorKind, LogId, Offset, time::Clock};
use jiff::tz::TimeZone;
use tokio::sync::OnceCell;

use crate::{
    connect::{Connect, Connection, Denials},
    exit::Failure,
    output::Output,
    shell,
    when::{self, Moment},
};

/// Returns how far another clock is ahead of ours, in nanoseconds. It was read between `before` and
/// `after` by our clock.
pub(crate) fn clock_ahead_nanos(before: Offset, after: Offset, other: Offset) -> i64 {
    let middle = before.nanos() + (after.nanos() - before.nanos()) / 2;
    other.nanos().saturating_sub(middle)
}

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
    /// How far JetStream's clock is ahead of this machine's, once the service has told it.
    service_ahead_nanos: OnceCell<i64>,
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
            service_ahead_nanos: OnceCell::new(),
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

    /// Parses the value of a time flag, and prints what it means to stderr. A relative time goes by the
    /// service's clock.
    pub(crate) async fn moment(&self, flag: &str, text: Option<&str>) -> Result<Option<Moment>, Failure> {
        let Some(text) = text else { return Ok(None) };
        let parse = |now| when::parse(text, now, &self.zone);
        let mut moment = parse(self.now()).map_err(|error| Failure::usage(format!("{flag}: {error}")))?;
        if when::is_relative(text, self.now(), &self.zone) {
            moment = parse(self.now().saturating_add_nanos(self.service_ahead_nanos().await?))?;
        }
        if let Moment::At(offset) = moment {
            self.out.note(&format!("{flag} {offset} ({})", when::show_with_zone(offset, &self.zone)));
        }
        Ok(Some(moment))
    }

    /// Returns how far JetStream's clock, by which events and the service go, is ahead of this machine's. Asks
    /// once.
    ///
    /// For a user who may not ask for the status it is 0; the user is told so.
    pub(crate) async fn service_ahead_nanos(&self) -> Result<i64, Failure> {
        let ahead = self.service_ahead_nanos.get_or_try_init(|| async {
            // A connection of its own, because a denial ends the command on the other one.
            let denials = Denials::default();
            let remote = self.connect.open(denials.clone()).await?.remote;
            let asked = self.now();
            match denials.unless(Some(&remote.subjects().status()), remote.status()).await {
                Ok(status) => Ok(status.jetstream_now.map_or(0, |now| clock_ahead_nanos(asked, self.now(), now))),
                Err(error) if error.kind() == ErrorKind::NotAllowed => {
                    self.out.note(&format!("relative times go by this machine's clock: {error}"));
                    Ok(0)
                }
                Err(error) => Err(Failure::from(error)),
            }
        });
        ahead.await.copied()
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

#[cfg(test)]
mod tests {
    use clap::Parser;
    use hourlog::time::{DAY, HOUR};

    use super::*;
    use crate::output::{ColorMode, Format};

    const NOON: Offset = Offset::from_nanos(1_000 * DAY + DAY / 2);

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        connect: Connect,
    }

    #[tokio::test]
    async fn relative_times_go_by_the_clock_of_the_service() {
        let connect = Line::parse_from(["hourlog"]).connect;
        let out = Output::new(Some(Format::Ndjson), ColorMode::Never, true);
        let session = Session::new(connect, out, TimeZone::UTC, || NOON, false);
        session.service_ahead_nanos.set(-2 * DAY).expect("it is not set yet");
        for (text, expected) in [
            ("now", NOON.saturating_add_nanos(-2 * DAY)),
            ("1h", NOON.saturating_add_nanos(-2 * DAY - HOUR)),
            ("yesterday", NOON.saturating_add_nanos(-3 * DAY - DAY / 2)),
            ("2018-02-04T21:56:42Z", "2018-02-04T21:56:42Z".parse().expect("a valid time")),
        ] {
            let moment = session.moment("--since", Some(text)).await.expect("a valid time");
            assert_eq!(moment, Some(Moment::At(expected)), "{text}");
        }
    }
}
