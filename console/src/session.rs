//! What a running command has at hand: its output, the clock, the connection, and where it could be gone on from.

use std::{
    fmt::Display,
    sync::{Mutex, PoisonError},
};

use hourlog::{Arrival, Clock, Offset, Position};
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
    /// How to reach the service.
    pub connect: Connect,
    /// Where everything is printed.
    pub out: Output,
    /// In which zone times are read and shown.
    pub zone: TimeZone,
    /// Says what time it is.
    pub clock: Clock,
    /// Whether to say more.
    pub verbose: bool,
    /// What the server has refused.
    pub denials: Denials,
    /// What to say to somebody who stops the command.
    resume: Mutex<Option<Resume>>,
}

/// How a stopped command can be gone on with.
#[derive(Debug, Clone)]
struct Resume {
    /// A sentence, or the beginning of one that a place ends.
    how: String,
    place: Option<Place>,
}

/// How far a reader has come.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// In the timeline.
    Timeline(Position),
    /// In the order of arrival.
    Arrival(Arrival),
}

impl Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Timeline(position) => position.fmt(f),
            Self::Arrival(arrival) => arrival.fmt(f),
        }
    }
}

impl Session {
    /// A session that has done nothing yet.
    pub fn new(connect: Connect, out: Output, zone: TimeZone, clock: Clock, verbose: bool) -> Self {
        Self { connect, out, zone, clock, verbose, denials: Denials::default(), resume: Mutex::new(None) }
    }

    /// The time.
    pub fn now(&self) -> Offset {
        (self.clock)()
    }

    /// Connects; what the server refuses from now on ends the command.
    pub async fn open(&self) -> Result<Connection, Failure> {
        let connection = self.connect.open(self.denials.clone()).await?;
        if self.verbose {
            let version = connection.remote.client().server_info().version;
            self.out.note(&format!("connected to {}, nats-server {version}", connection.server));
        }
        Ok(connection)
    }

    /// The time that `text`, the value of `flag`, means; said on stderr, so that nobody is led elsewhere silently.
    pub fn moment(&self, flag: &str, text: &str) -> Result<Moment, Failure> {
        let moment =
            when::parse(text, self.now(), &self.zone).map_err(|error| Failure::usage(format!("{flag}: {error}")))?;
        if let Moment::At(offset) = moment {
            self.out.note(&format!("{flag} {offset} ({})", when::show_with_zone(offset, &self.zone)));
        }
        Ok(moment)
    }

    /// As [`Session::moment`], where there may be no text.
    pub fn moment_of(&self, flag: &str, text: Option<&str>) -> Result<Option<Moment>, Failure> {
        text.map(|text| self.moment(flag, text)).transpose()
    }

    /// A time as a cell of a table.
    pub fn time_cell(&self, offset: Option<Offset>) -> String {
        offset.map_or_else(|| "-".to_owned(), |offset| when::show(offset, &self.zone))
    }

    /// What to say to whoever stops the command; a place that [`Session::reached`] reports is put behind it.
    pub fn resume_with(&self, how: impl Into<String>) {
        *self.resume.lock().unwrap_or_else(PoisonError::into_inner) = Some(Resume { how: how.into(), place: None });
    }

    /// How far a reading command has come.
    pub fn reached(&self, place: Place) {
        if let Some(resume) = &mut *self.resume.lock().unwrap_or_else(PoisonError::into_inner) {
            resume.place = Some(place);
        }
    }

    /// The sentence for whoever has stopped the command.
    pub fn resume_hint(&self) -> Option<String> {
        let resume = self.resume.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        match (resume.how.ends_with(' '), resume.place) {
            (true, Some(place)) => Some(format!("{}{place}", resume.how)),
            (true, None) => None,
            (false, _) => Some(resume.how),
        }
    }
}
