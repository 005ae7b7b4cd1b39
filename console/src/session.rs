//! The state of one running command: output, clock, connection settings, and how to resume.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use hourlog::{ErrorKind, Offset, time::Clock, wire::StatusReply};
use jiff::tz::TimeZone;
use tokio::sync::OnceCell;

use crate::{
    connect::{Connect, Connection, Denials},
    exit::Failure,
    output::Output,
    typed::Typed,
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
    /// The same zone, if the user named it. Times of files without one are in it.
    pub named_zone: Option<TimeZone>,
    /// Wall clock.
    pub clock: Clock,
    /// True with `--verbose`: the causes of errors and connection details are printed too.
    pub verbose: bool,
    /// The command line as it was typed.
    pub typed: Typed,
    /// Permissions that the server has denied.
    pub denials: Denials,
    /// How far JetStream's clock is ahead of this machine's, once the service has told it.
    service_ahead_nanos: OnceCell<i64>,
    resume: Mutex<Option<Resume>>,
    /// Locked while the command is in a step that must be complete.
    complete: tokio::sync::Mutex<()>,
}

/// Writes the hint for a user who stops the command.
struct Resume(Box<dyn Fn() -> String + Send>);

impl fmt::Debug for Resume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resume").finish_non_exhaustive()
    }
}

impl Session {
    /// Creates the session of a command that starts now.
    pub fn new(connect: Connect, out: Output, zone: TimeZone, clock: Clock, verbose: bool) -> Self {
        Self {
            connect,
            out: out.with_zone(when::zone_name(&zone)),
            zone,
            named_zone: None,
            clock,
            verbose,
            typed: Typed::default(),
            denials: Denials::default(),
            service_ahead_nanos: OnceCell::new(),
            resume: Mutex::new(None),
            complete: tokio::sync::Mutex::default(),
        }
    }

    /// Sets the zone that the user named.
    #[must_use]
    pub fn with_named_zone(self, zone: Option<TimeZone>) -> Self {
        Self { named_zone: zone, ..self }
    }

    /// The same session with the command line as it was typed.
    pub(crate) fn with_typed(self, typed: Typed) -> Self {
        Self { typed, ..self }
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
        self.tell_moment(flag, text, moment);
        Ok(Some(moment))
    }

    /// Parses the values of --since and --until, as [`moment`](Self::moment) does. An end such as `10:00` is the
    /// first one after the start.
    pub(crate) async fn range(
        &self,
        since: Option<&str>,
        until: Option<&str>,
    ) -> Result<(Option<Moment>, Option<Moment>), Failure> {
        const UNTIL: &str = "--until";
        let since = self.moment("--since", since).await?;
        if let Some(text) = until
            && let Some(end) = when::end_after(text, since, &self.zone)
        {
            self.tell_moment(UNTIL, text, end);
            return in_order(since, Some(end));
        }
        in_order(since, self.moment(UNTIL, until).await?)
    }

    fn tell_moment(&self, flag: &str, text: &str, moment: Moment) {
        if let Moment::At(offset) = moment {
            let remark = when::remark(text, moment, &self.zone).map(|remark| format!("; {remark}")).unwrap_or_default();
            self.out.note(&format!("{flag} {offset} ({}){remark}", when::show_with_zone(offset, &self.zone)));
        }
    }

    /// Returns how far JetStream's clock, by which events and the service go, is ahead of this machine's. Asks
    /// once.
    ///
    /// For a user who may not ask for the status it is 0; the user is told so.
    pub(crate) async fn service_ahead_nanos(&self) -> Result<i64, Failure> {
        let ahead = self.service_ahead_nanos.get_or_try_init(|| async {
            match self.status().await {
                Ok((asked, status)) => {
                    Ok(status.jetstream_now.map_or(0, |now| clock_ahead_nanos(asked, self.now(), now)))
                }
                Err(error) if error.kind() == ErrorKind::NotAllowed => {
                    self.out.note(&format!("relative times go by this machine's clock: {error}"));
                    Ok(0)
                }
                Err(error) => Err(Failure::from(error)),
            }
        });
        ahead.await.copied()
    }

    /// Returns the id of the service's archive; `None` for a user who may not ask for the status.
    pub(crate) async fn archive_id(&self) -> Result<Option<String>, Failure> {
        match self.status().await {
            Ok((_, status)) => Ok(Some(status.archive.id)),
            Err(error) if error.kind() == ErrorKind::NotAllowed => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the status of the service, and when it was asked.
    async fn status(&self) -> hourlog::Result<(Offset, StatusReply)> {
        // A connection of its own, because a denial ends the command on the other one.
        let denials = Denials::default();
        let remote = self.connect.open(denials.clone()).await?.remote;
        let asked = self.now();
        let status = denials.unless(Some(&remote.subjects().status()), remote.status()).await?;
        Ok((asked, status))
    }

    /// Returns the name of the time zone that times are shown in.
    pub(crate) fn zone_name(&self) -> String {
        when::zone_name(&self.zone)
    }

    /// Formats a time for a table cell; `-` if there is none.
    pub(crate) fn time_cell(&self, offset: Option<Offset>) -> String {
        offset.map_or_else(|| "-".to_owned(), |offset| when::show(offset, &self.zone))
    }

    /// Sets the hint for a user who stops the command.
    pub(crate) fn resume_with(&self, hint: impl Into<String>) {
        let hint = hint.into();
        self.resume_by(move || hint.clone());
    }

    /// Sets the hint for a user who stops the command: what `hint` returns then.
    pub(crate) fn resume_by(&self, hint: impl Fn() -> String + Send + 'static) {
        *self.resume.lock().unwrap_or_else(PoisonError::into_inner) = Some(Resume(Box::new(hint)));
    }

    /// Begins a step that a signal must not cut in two; it ends when the guard is dropped. Waits forever if the
    /// command is being stopped.
    pub(crate) async fn uninterrupted(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.complete.lock().await
    }

    /// Returns the hint for a user who has stopped the command.
    pub(crate) fn resume_hint(&self) -> Option<String> {
        let resume = self.resume.lock().unwrap_or_else(PoisonError::into_inner);
        resume.as_ref().map(|Resume(hint)| hint())
    }
}

/// Refuses a range that ends before it begins.
fn in_order(since: Option<Moment>, until: Option<Moment>) -> Result<(Option<Moment>, Option<Moment>), Failure> {
    match (since, until) {
        (Some(Moment::At(from)), Some(Moment::At(to))) if from > to => {
            Err(Failure::usage(format!("--since {from} is later than --until {to}; swap them")))
        }
        range => Ok(range),
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
