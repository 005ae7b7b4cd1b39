//! Scenarios: cases as text, one step per line.
//!
//! ```text
//! # The claim of the scenario.
//! write  10:59:59.999 a            writes an event with this name and time; `-> error KIND` if it is refused
//! seek   10:59:59                  `-> exact`, `next`, `before_first` or `after_last`: the reason that it returns
//! read   9 -> a b                  reads at most this many events; `nothing` at the end; `error KIND`
//! follow 9 -> b a                  as `read`, in arrival order; continues after the last `follow`
//! handle second                    uses this handle from here on; opens it when it is first named
//! close                            closes the handle; `-> error KIND`
//! ```
//! A time is a time of day on one day in the past, or RFC 3339. All handles are on the same log.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    str::FromStr,
};

use hourlog::{ArrivalCursor, Error, ErrorKind, Events, Log, Offset, Reason, Record, Result};

use crate::{
    guard::{Guard, LogOf, log_id, take, take_arrived},
    kit::{names, time},
};

/// Makes one case of each file in `conformance/scenarios`. All files are listed here.
macro_rules! scenarios {
    ($($name:ident)*) => {
        $(
            #[expect(missing_docs, reason = "the first line of the file is its claim")]
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
    parked_after_the_newest
    quiet_years
    seek_back
    seek_reasons
    ties
    unknown_log
}

/// Runs the scenario `text` of the file `name` on an empty archive.
///
/// # Errors
/// [`ErrorKind::Unexpected`] with the line that is invalid or whose expectation failed.
pub async fn run(name: &str, text: &str, guard: &impl Guard) -> Result<()> {
    let fail = |number: usize, line: &str, why: String| {
        Err(Error::new(ErrorKind::Unexpected, format!("{name}:{}: {}: {why}", number + 1, line.trim())))
    };
    let mut run = ScenarioRun::new(guard);
    for (number, line) in text.lines().enumerate() {
        let code = line.split('#').next().unwrap_or_default().trim();
        if code.is_empty() {
            continue;
        }
        let step: ScenarioStep = match code.parse() {
            Ok(step) => step,
            Err(why) => return fail(number, line, why),
        };
        let found = run.carry_out(&step.action).await?;
        let as_expected = match &step.expected {
            Some(expected) => *expected == found,
            None => !matches!(found, StepOutcome::Error(_)),
        };
        if !as_expected {
            return fail(number, line, format!("it was {found}"));
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq)]
struct ScenarioStep {
    action: StepAction,
    /// Without one, any outcome but an error.
    expected: Option<StepOutcome>,
}

#[derive(Debug, PartialEq)]
enum StepAction {
    Write(Offset, String),
    Seek(Offset),
    Read(usize),
    Follow(usize),
    Handle(String),
    Close,
}

/// The outcome of a step.
#[derive(Debug, PartialEq)]
enum StepOutcome {
    Done,
    Events(Vec<String>),
    Reason(&'static str),
    Error(String),
}

impl fmt::Display for StepOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Events(names) if names.is_empty() => f.write_str(NOTHING),
            Self::Events(names) => f.write_str(&names.join(" ")),
            Self::Reason(reason) => f.write_str(reason),
            Self::Error(kind) => write!(f, "error {kind}"),
        }
    }
}

/// The text for no events.
const NOTHING: &str = "nothing";

const REASONS: [Reason; 5] = [Reason::Exact, Reason::Next, Reason::BeforeFirst, Reason::AfterLast, Reason::Expired];

impl FromStr for ScenarioStep {
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
            ["write", time, name] => StepAction::Write(offset(time)?, name.to_owned()),
            ["seek", time] => StepAction::Seek(offset(time)?),
            ["read", limit] => StepAction::Read(count(limit)?),
            ["follow", limit] => StepAction::Follow(count(limit)?),
            ["handle", name] => StepAction::Handle(name.to_owned()),
            ["close"] => StepAction::Close,
            _ => return Err("unknown step; see the top of conformance/src/scenario.rs".to_owned()),
        };
        let expected = expected.map(|expected| expected_of(&action, expected)).transpose()?;
        if expected.is_none() && matches!(action, StepAction::Read(_) | StepAction::Follow(_)) {
            return Err(format!("an expectation is missing: add -> a b, or -> {NOTHING}"));
        }
        Ok(Self { action, expected })
    }
}

fn expected_of(action: &StepAction, text: &str) -> Result<StepOutcome, String> {
    if let Some(kind) = text.strip_prefix("error ") {
        return Ok(StepOutcome::Error(kind.trim().to_owned()));
    }
    match action {
        StepAction::Read(_) | StepAction::Follow(_) if text == NOTHING => Ok(StepOutcome::Events(Vec::new())),
        StepAction::Read(_) | StepAction::Follow(_) if !text.is_empty() => {
            Ok(StepOutcome::Events(text.split_whitespace().map(str::to_owned).collect()))
        }
        StepAction::Seek(_) => match REASONS.iter().find(|reason| reason.as_str() == text) {
            Some(reason) => Ok(StepOutcome::Reason(reason.as_str())),
            None => Err(format!("{text:?} is not exact, next, before_first or after_last")),
        },
        _ => Err(format!("{text:?} is not an outcome of this step")),
    }
}

/// The handles of a running scenario.
struct ScenarioRun<'a, G: Guard> {
    guard: &'a G,
    handles: BTreeMap<String, LogOf<G>>,
    current: String,
    followed: ArrivalCursor,
}

impl<'a, G: Guard> ScenarioRun<'a, G> {
    fn new(guard: &'a G) -> Self {
        Self { guard, handles: BTreeMap::new(), current: "first".to_owned(), followed: ArrivalCursor::FIRST }
    }

    async fn carry_out(&mut self, action: &StepAction) -> Result<StepOutcome> {
        let log = match self.handles.entry(self.current.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(self.guard.events().log(&log_id()).await?),
        };
        let found = match action {
            StepAction::Write(offset, name) => {
                log.write(Record::new(name.as_str()).at(*offset)).await.map(|_| StepOutcome::Done)
            }
            StepAction::Seek(offset) => {
                log.seek(*offset).await.map(|seeked| StepOutcome::Reason(seeked.reason.as_str()))
            }
            StepAction::Read(limit) => take(log, *limit).await.map(|events| StepOutcome::Events(names(&events))),
            StepAction::Follow(limit) => match take_arrived(log, self.followed, *limit).await {
                Ok((events, next)) => {
                    self.followed = next;
                    Ok(StepOutcome::Events(names(&events)))
                }
                Err(error) => Err(error),
            },
            StepAction::Handle(name) => {
                self.current.clone_from(name);
                Ok(StepOutcome::Done)
            }
            StepAction::Close => log.close().await.map(|()| StepOutcome::Done),
        };
        match found {
            Ok(found) => Ok(found),
            // Only these can be expected by a scenario; any other error fails it.
            Err(error) if matches!(error.kind(), ErrorKind::Closed | ErrorKind::NotFound | ErrorKind::Rejected) => {
                Ok(StepOutcome::Error(error.kind().to_string()))
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
    fn every_scenario_file_runs_and_opens_with_its_claim() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let mut found = Vec::new();
        for entry in std::fs::read_dir(directory).expect("the directory is part of the repository") {
            let path = entry.expect("the directory can be read").path();
            let text = std::fs::read_to_string(&path).expect("the file can be read");
            assert!(text.starts_with("# "), "{} does not open with its claim", path.display());
            found.push(path.file_stem().expect("a file has a name").to_string_lossy().into_owned());
        }
        found.sort_unstable();
        assert_eq!(found, NAMES);
    }

    #[tokio::test]
    async fn a_failing_scenario_names_its_line() {
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
    fn an_invalid_step_is_refused() {
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
            assert!(line.parse::<ScenarioStep>().is_err(), "{line:?} was accepted");
        }
    }
}
