//! Scenarios: cases as text, one step a line.
//!
//! ```text
//! # What the scenario claims.
//! write  10:59:59.999 a            an event of this name and time; `-> error KIND` where it is refused
//! seek   10:59:59                  `-> exact`, `next`, `before_first`, `after_last`: how the place relates to the time
//! read   9 -> a b                  the next events, at most so many; `nothing` at the end; `error KIND`
//! follow 9 -> b a                  the next ones in arrival order, from where the last `follow` ended
//! handle second                    the steps below use this handle, which is opened when it is first named
//! close                            the handle; `-> error KIND`
//! ```
//! Times are times of day on one day of the past, or RFC 3339. A handle is on one log, the same for all.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    str::FromStr,
};

use hourlog::{Arrival, Error, ErrorKind, Events, Log, Offset, Reason, Record, Result};

use crate::{
    guard::{Guard, LogOf, log_id, take, take_arrived},
    kit::{names, time},
};

/// Makes a case of each file in `conformance/scenarios`: all are named here.
macro_rules! scenarios {
    ($($name:ident)*) => {
        $(
            #[expect(missing_docs, reason = "the file's first line says what it claims")]
            pub async fn $name(guard: impl Guard) -> crate::Outcome {
                let text = include_str!(concat!("../scenarios/", stringify!($name), ".txt"));
                run(concat!(stringify!($name), ".txt"), text, &guard).await
            }
        )*

        #[cfg(test)]
        pub(crate) const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

scenarios! {
    ahead_of_time
    before_1970
    beginning_of_time
    closed_handle
    end_of_the_log
    follow_late_events
    hour_boundary
    independent_handles
    late_event
    own_writes_ahead
    parked_behind_the_newest
    quiet_years
    seek_back
    seek_reasons
    ties
    unknown_log
}

/// Runs the scenario `text`, of the file `name`, over a fresh archive.
///
/// # Errors
/// [`ErrorKind::Unexpected`] naming the line that is wrong, or that did not come true.
pub async fn run(name: &str, text: &str, guard: &impl Guard) -> Result<()> {
    let fail = |number: usize, line: &str, why: String| {
        Err(Error::new(ErrorKind::Unexpected, format!("{name}:{}: {}: {why}", number + 1, line.trim())))
    };
    let mut stage = Stage::new(guard);
    for (number, line) in text.lines().enumerate() {
        let code = line.split('#').next().unwrap_or_default().trim();
        if code.is_empty() {
            continue;
        }
        let step: Step = match code.parse() {
            Ok(step) => step,
            Err(why) => return fail(number, line, why),
        };
        let found = stage.carry_out(&step.action).await?;
        let as_expected = match &step.expected {
            Some(expected) => *expected == found,
            None => !matches!(found, Found::Error(_)),
        };
        if !as_expected {
            return fail(number, line, format!("it was {found}"));
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq)]
struct Step {
    action: Action,
    /// Without one, anything but an error.
    expected: Option<Found>,
}

#[derive(Debug, PartialEq)]
enum Action {
    Write(Offset, String),
    Seek(Offset),
    Read(usize),
    Follow(usize),
    Handle(String),
    Close,
}

/// What a step has led to.
#[derive(Debug, PartialEq)]
enum Found {
    Done,
    Events(Vec<String>),
    Place(&'static str),
    Error(String),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Events(names) if names.is_empty() => f.write_str(NOTHING),
            Self::Events(names) => f.write_str(&names.join(" ")),
            Self::Place(reason) => f.write_str(reason),
            Self::Error(kind) => write!(f, "error {kind}"),
        }
    }
}

/// What stands for no events.
const NOTHING: &str = "nothing";

const REASONS: [Reason; 5] = [Reason::Exact, Reason::Next, Reason::BeforeFirst, Reason::AfterLast, Reason::Expired];

impl FromStr for Step {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let (action, expected) = match line.split_once("->") {
            Some((action, expected)) => (action, Some(expected.trim())),
            None => (line, None),
        };
        let words: Vec<&str> = action.split_whitespace().collect();
        let offset = |text: &str| time(text).map_err(|error| error.to_string());
        let count = |text: &str| text.parse::<usize>().map_err(|_| format!("{text:?} is not a count"));
        let action = match *words {
            ["write", time, name] => Action::Write(offset(time)?, name.to_owned()),
            ["seek", time] => Action::Seek(offset(time)?),
            ["read", limit] => Action::Read(count(limit)?),
            ["follow", limit] => Action::Follow(count(limit)?),
            ["handle", name] => Action::Handle(name.to_owned()),
            ["close"] => Action::Close,
            _ => return Err("not a step; see the top of conformance/src/scenario.rs".to_owned()),
        };
        let expected = expected.map(|expected| expected_of(&action, expected)).transpose()?;
        if expected.is_none() && matches!(action, Action::Read(_) | Action::Follow(_)) {
            return Err(format!("say what is there: -> a b, or -> {NOTHING}"));
        }
        Ok(Self { action, expected })
    }
}

fn expected_of(action: &Action, text: &str) -> Result<Found, String> {
    if let Some(kind) = text.strip_prefix("error ") {
        return Ok(Found::Error(kind.trim().to_owned()));
    }
    match action {
        Action::Read(_) | Action::Follow(_) if text == NOTHING => Ok(Found::Events(Vec::new())),
        Action::Read(_) | Action::Follow(_) if !text.is_empty() => {
            Ok(Found::Events(text.split_whitespace().map(str::to_owned).collect()))
        }
        Action::Seek(_) => match REASONS.iter().find(|reason| reason.as_str() == text) {
            Some(reason) => Ok(Found::Place(reason.as_str())),
            None => Err(format!("{text:?} is not exact, next, before_first or after_last")),
        },
        _ => Err(format!("{text:?} cannot come of this")),
    }
}

/// The handles of a running scenario.
struct Stage<'a, G: Guard> {
    guard: &'a G,
    handles: BTreeMap<String, LogOf<G>>,
    current: String,
    followed: Arrival,
}

impl<'a, G: Guard> Stage<'a, G> {
    fn new(guard: &'a G) -> Self {
        Self { guard, handles: BTreeMap::new(), current: "first".to_owned(), followed: Arrival::FIRST }
    }

    async fn carry_out(&mut self, action: &Action) -> Result<Found> {
        let log = match self.handles.entry(self.current.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(self.guard.events().log(&log_id()).await?),
        };
        let found = match action {
            Action::Write(offset, name) => log.write(Record::new(name.as_str()).at(*offset)).await.map(|_| Found::Done),
            Action::Seek(offset) => log.seek(*offset).await.map(|seeked| Found::Place(seeked.reason.as_str())),
            Action::Read(limit) => take(log, *limit).await.map(|events| Found::Events(names(&events))),
            Action::Follow(limit) => match take_arrived(log, self.followed, *limit).await {
                Ok((events, next)) => {
                    self.followed = next;
                    Ok(Found::Events(names(&events)))
                }
                Err(error) => Err(error),
            },
            Action::Handle(name) => {
                self.current.clone_from(name);
                Ok(Found::Done)
            }
            Action::Close => log.close().await.map(|()| Found::Done),
        };
        match found {
            Ok(found) => Ok(found),
            // These are what a scenario may be about; the others are the machine's.
            Err(error) if matches!(error.kind(), ErrorKind::Closed | ErrorKind::NotFound | ErrorKind::Rejected) => {
                Ok(Found::Error(error.kind().to_string()))
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guards::memory;

    #[test]
    fn every_file_of_scenarios_is_run_and_opens_with_its_claim() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let mut found = Vec::new();
        for entry in std::fs::read_dir(directory).expect("the directory is part of the source") {
            let path = entry.expect("it can be read").path();
            let text = std::fs::read_to_string(&path).expect("it can be read");
            assert!(text.starts_with("# "), "{} does not say what it claims", path.display());
            found.push(path.file_stem().expect("it has a name").to_string_lossy().into_owned());
        }
        found.sort_unstable();
        assert_eq!(found, NAMES);
    }

    #[tokio::test]
    async fn a_scenario_that_does_not_come_true_names_its_line() {
        for (text, complaint) in [
            ("write 10:00:00 a\nread 9 -> b", "x.txt:2: read 9 -> b: it was a"),
            ("write 10:00:00 a\n\nread 9 -> nothing", "x.txt:3: read 9 -> nothing: it was a"),
            ("read 1 -> a", "x.txt:1: read 1 -> a: it was error not found"),
            ("write 10:00:00 a\nread 1 -> a\nread 1 -> a", "x.txt:3: read 1 -> a: it was nothing"),
            ("write 10:00:00 a\nseek 11:00:00 -> next", "x.txt:2: seek 11:00:00 -> next: it was after_last"),
            ("write 10:00:00 a\nfollow 2 -> a a", "x.txt:2: follow 2 -> a a: it was a"),
            ("close\nclose", "x.txt:2: close: it was error closed"),
            ("write 2200-01-01T00:00:00Z a", "x.txt:1: write 2200-01-01T00:00:00Z a: it was error rejected"),
        ] {
            let error = run("x.txt", text, &memory().await).await.expect_err(text);
            assert_eq!(error.to_string(), complaint);
        }
    }

    #[test]
    fn what_is_not_a_step_is_refused() {
        for line in [
            "wait 5",
            "write a",
            "write 25:00:00 a",
            "read",
            "read 1",
            "read x -> a",
            "seek 10:00:00 -> soon",
            "read 1 ->",
            "close -> a",
            "write 10:00:00 a -> b",
            "follow 3",
            "handle",
        ] {
            assert!(line.parse::<Step>().is_err(), "{line:?} was taken");
        }
    }
}
