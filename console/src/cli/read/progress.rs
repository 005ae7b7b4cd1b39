//! How far a read has come, and the command that goes on there.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hourlog::{ArrivalCursor, Cursor, Event, LogId, Offset, wire::MergedPosition};

use crate::{session::Session, typed::Typed};

use super::place::Place;

/// How far a read has come. Clones share it: one is with the hint for a user who stops the command.
#[derive(Debug, Clone)]
pub(super) struct Progress(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    resume: Resume,
    /// Events that were printed.
    printed: u64,
    /// The last event that was printed in time order.
    position: Option<MergedPosition>,
    /// The last arrival of each log, once a follower has begun.
    arrivals: Option<BTreeMap<LogId, ArrivalCursor>>,
}

/// The command as it was typed, and what of it depends on how far it has come.
#[derive(Debug, Clone, Default)]
pub(super) struct Resume {
    /// The command, with its times as they were understood: a relative one would mean another time later.
    pub(super) typed: Typed,
    /// The most events that it prints.
    pub(super) limit: Option<u32>,
    /// It reads one log, so that a place needs no name.
    pub(super) is_one_log: bool,
    /// Its `--since` still bounds the rest: it reads backwards, or begins there in logs without a place of their own.
    pub(super) keeps_since: bool,
    /// Its output has a line break after each event only because there are several. One that is left needs it too.
    pub(super) needs_newline: bool,
}

impl Progress {
    /// Begins a read, and tells the user how to resume it when it is stopped.
    pub(super) fn begin(session: &Session, resume: Resume) -> Self {
        let progress = Self(Arc::new(Mutex::new(State { resume, ..State::default() })));
        let shared = progress.clone();
        session.resume_by(move || shared.lock().hint());
        progress
    }

    /// Records the time before which the read ends. A word such as `last` would mean another time later.
    pub(super) fn ends_at(&self, time: Offset) {
        let mut state = self.lock();
        let typed = std::mem::take(&mut state.resume.typed);
        state.resume.typed = typed.without(&["until"]).with("--until", time.to_string());
    }

    /// Records an event that was printed in time order.
    pub(super) fn printed(&self, event: &Event) {
        let mut state = self.lock();
        state.printed += 1;
        state.position = Some(MergedPosition { position: event.position, log: event.log.clone() });
    }

    /// Records an event that has arrived, and was printed or belongs to no output.
    pub(super) fn arrived(&self, log: &LogId, cursor: ArrivalCursor, is_printed: bool) {
        let mut state = self.lock();
        state.printed += u64::from(is_printed);
        let arrivals = state.arrivals.get_or_insert_default();
        match arrivals.get_mut(log) {
            Some(reached) => *reached = cursor,
            None => drop(arrivals.insert(log.clone(), cursor)),
        }
    }

    /// Records that a follower has printed `printed` events, and goes on after `cursors` in arrival order.
    pub(super) fn follows(&self, printed: usize, cursors: impl IntoIterator<Item = (LogId, ArrivalCursor)>) {
        let mut state = self.lock();
        state.printed += printed as u64;
        state.arrivals.get_or_insert_default().extend(cursors);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns the hint for a user who stops the command.
    fn hint(&self) -> String {
        match self.resume.limit {
            Some(limit) if self.printed >= u64::from(limit) => "all events were printed".to_owned(),
            _ => self.command().resume(),
        }
    }

    /// Returns the command that prints the rest.
    fn command(&self) -> Typed {
        let Resume { typed, limit, is_one_log, keeps_since, needs_newline } = self.resume.clone();
        let place = |cursor: Cursor, log: &LogId| {
            let place = Place { cursor, log: (!is_one_log).then(|| log.clone()) };
            place.to_string()
        };
        let replaced: &[&str] = if keeps_since { &["after", "tail"] } else { &["after", "tail", "since"] };
        let mut next = match (&self.arrivals, &self.position) {
            (None, None) => return typed,
            (None, Some(at)) => typed.without(replaced).with("--after", place(at.position.into(), &at.log)),
            (Some(cursors), _) => cursors.iter().fold(typed.without(replaced), |typed, (log, cursor)| {
                typed.with("--after", place((*cursor).into(), log))
            }),
        };
        if let Some(limit) = limit {
            let left = u64::from(limit).saturating_sub(self.printed);
            next = next.without(&["limit"]).with("--limit", left.to_string());
            if needs_newline && left == 1 {
                next = next.with("--delimiter", "newline");
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction, Command};
    use hourlog::{Position, Record, Seq};

    use super::*;

    fn typed(line: &str) -> Typed {
        let option = |name: &'static str| Arg::new(name).long(name);
        let read = Command::new("read")
            .args(["since", "until", "limit", "tail"].map(option))
            .arg(option("after").action(ArgAction::Append))
            .arg(Arg::new("follow").short('f').action(ArgAction::SetTrue))
            .arg(Arg::new("logs").num_args(1..));
        let command = Command::new("hourlog").subcommand(read);
        let matches = command.clone().try_get_matches_from(line.split(' ')).expect("a valid line");
        Typed::new(&command, &matches)
    }

    fn progress(resume: Resume) -> Progress {
        Progress(Arc::new(Mutex::new(State { resume, ..State::default() })))
    }

    fn line(progress: &Progress) -> String {
        progress.lock().command().resume().trim_start_matches("resume with: ").to_owned()
    }

    fn event(log: &str, number: i64) -> Event {
        let position = Position { offset: Offset::from_nanos(number), seq: Seq::from_number(number) };
        Event { log: log.parse().expect("a valid id"), position, arrived: None, record: Record::new("x") }
    }

    fn cursor(number: i64) -> ArrivalCursor {
        ArrivalCursor { time: Offset::from_nanos(number), seq: Seq::from_number(number) }
    }

    #[test]
    fn a_read_goes_on_after_the_last_event_with_the_rest_of_its_limit() {
        let command = typed("hourlog read a --since 2h --until now --limit 3");
        let resume =
            Resume { typed: command, limit: Some(3), is_one_log: true, needs_newline: true, ..Resume::default() };
        let one = progress(resume.clone());
        assert_eq!(line(&one), "hourlog read a --since 2h --until now --limit 3");
        one.printed(&event("a", 5));
        assert_eq!(line(&one), "hourlog read a --until now --after 5-5 --limit 2");
        one.printed(&event("a", 6));
        assert_eq!(line(&one), "hourlog read a --until now --after 6-6 --limit 1 --delimiter newline");

        let several = progress(Resume { is_one_log: false, needs_newline: false, ..resume });
        several.printed(&event("b", 5));
        assert_eq!(line(&several), "hourlog read a --until now --after 5-5@b --limit 2");
        let reverse = progress(Resume { keeps_since: true, is_one_log: true, ..Resume::default() });
        reverse.lock().resume.typed = typed("hourlog read a --since 2h");
        reverse.printed(&event("a", 5));
        assert_eq!(line(&reverse), "hourlog read a --since 2h --after 5-5");
        several.ends_at(Offset::from_nanos(0));
        assert_eq!(line(&several), "hourlog read a --until 1970-01-01T00:00:00Z --after 5-5@b --limit 2");
    }

    #[test]
    fn a_follower_goes_on_after_the_last_arrival_of_each_log() {
        let resume = Resume { typed: typed("hourlog read a.> -f --tail 9"), ..Resume::default() };
        let several = progress(resume.clone());
        let log = |name: &str| name.parse::<LogId>().expect("a valid id");
        several.follows(0, [(log("a.y"), cursor(3)), (log("a.x"), cursor(2))]);
        several.arrived(&log("a.y"), cursor(4), true);
        assert_eq!(line(&several), "hourlog read a.> -f --after a:2-2@a.x --after a:4-4@a.y".replace("a.>", "'a.>'"));

        let typed = typed("hourlog read a -f --since 2h");
        let since = progress(Resume { typed: typed.clone(), keeps_since: true, ..resume.clone() });
        since.arrived(&log("a"), cursor(4), true);
        assert_eq!(line(&since), "hourlog read a --since 2h -f --after a:4-4@a");
        let one = progress(Resume { typed, is_one_log: true, ..resume });
        one.arrived(&log("a"), cursor(4), true);
        assert_eq!(line(&one), "hourlog read a -f --after a:4-4");
    }
}
