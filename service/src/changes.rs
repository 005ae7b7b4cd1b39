//! The logs that have changed lately, so that a list of many logs is brought up to date at the cost of what has changed.
//!
//! Nothing is remembered until somebody asks, and nothing is once nobody has asked for a while.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use hourlog::LogId;

/// The most logs that are remembered. A mark from before older changes is unknown.
const REMEMBERED_MAX: usize = 65_536;
/// The time without a question after which the changes are forgotten.
const ASKED_AGAIN: Duration = Duration::from_secs(300);

/// The changes since somebody began to ask.
#[derive(Debug)]
pub(crate) struct Changes {
    /// The id of this run: another one has other numbers.
    run: String,
    is_watched: AtomicBool,
    newest: Mutex<Newest>,
}

/// The newest change of each log. Changes have numbers.
#[derive(Debug)]
struct Newest {
    number: u64,
    /// The number after which every change is remembered.
    known_after: u64,
    logs: BTreeMap<u64, LogId>,
    numbers: HashMap<LogId, u64>,
    asked: Instant,
}

/// A part of the changes after a mark.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    /// The logs, in the order of their newest changes.
    pub(crate) logs: Vec<LogId>,
    /// The mark after them.
    pub(crate) mark: String,
}

impl Default for Changes {
    fn default() -> Self {
        let newest =
            Newest { number: 0, known_after: 0, logs: BTreeMap::new(), numbers: HashMap::new(), asked: Instant::now() };
        Self { run: nuid::next().to_string(), is_watched: AtomicBool::new(false), newest: Mutex::new(newest) }
    }
}

impl Changes {
    /// Notes that a log has changed.
    pub(crate) fn note(&self, log: &LogId) {
        if !self.is_watched.load(Relaxed) {
            return;
        }
        let mut newest = self.lock();
        if newest.asked.elapsed() > ASKED_AGAIN {
            self.is_watched.store(false, Relaxed);
            newest.forget();
            return;
        }
        newest.note(log);
    }

    /// Returns the mark of now. What changes from now on is remembered.
    pub(crate) fn mark(&self) -> String {
        let mut newest = self.lock();
        newest.asked = Instant::now();
        if !self.is_watched.swap(true, Relaxed) {
            newest.forget();
        }
        self.text(newest.number)
    }

    /// Returns the first `limit` logs that have changed after a mark; `None` if that is not known.
    pub(crate) fn after(&self, mark: &str, limit: usize) -> Option<Changed> {
        let (run, number) = mark.rsplit_once('.')?;
        let number: u64 = number.parse().ok()?;
        let mut newest = self.lock();
        if run != self.run || number < newest.known_after || number > newest.number {
            return None;
        }
        newest.asked = Instant::now();
        let mut changed = newest.logs.range(number + 1..);
        let logs: Vec<(u64, LogId)> = changed.by_ref().take(limit).map(|(at, log)| (*at, log.clone())).collect();
        let is_all = changed.next().is_none();
        let reached = logs.last().filter(|_| !is_all).map_or(newest.number, |(at, _)| *at);
        Some(Changed { logs: logs.into_iter().map(|(_, log)| log).collect(), mark: self.text(reached) })
    }

    fn text(&self, number: u64) -> String {
        format!("{}.{number}", self.run)
    }

    fn lock(&self) -> MutexGuard<'_, Newest> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Newest {
    fn note(&mut self, log: &LogId) {
        self.number += 1;
        match self.numbers.get_mut(log) {
            Some(number) => drop(self.logs.remove(&std::mem::replace(number, self.number))),
            None => drop(self.numbers.insert(log.clone(), self.number)),
        }
        self.logs.insert(self.number, log.clone());
        if self.logs.len() > REMEMBERED_MAX
            && let Some((number, log)) = self.logs.pop_first()
        {
            self.numbers.remove(&log);
            self.known_after = number;
        }
    }

    /// Forgets all changes. What has changed after an earlier mark is then unknown.
    fn forget(&mut self) {
        self.number += 1;
        (self.logs, self.numbers, self.known_after) = (BTreeMap::new(), HashMap::new(), self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> LogId {
        format!("a.{number}").parse().expect("a valid id")
    }

    fn numbers(changed: Option<Changed>) -> Option<Vec<usize>> {
        let number = |log: &LogId| log.as_str()[2..].parse().expect("a number");
        changed.map(|changed| changed.logs.iter().map(number).collect())
    }

    #[test]
    fn each_log_that_has_changed_is_named_once_in_the_order_of_its_newest_change() {
        let changes = Changes::default();
        changes.note(&id(1));
        let first = changes.mark();
        assert_eq!(numbers(changes.after(&first, 10)), Some(vec![]));
        [2, 3, 2, 4].iter().for_each(|number| changes.note(&id(*number)));
        assert_eq!(numbers(changes.after(&first, 10)), Some(vec![3, 2, 4]));
        let part = changes.after(&first, 2).expect("it is known");
        assert_eq!(numbers(changes.after(&part.mark, 10)), Some(vec![4]));
        assert_eq!(numbers(changes.after(&changes.mark(), 10)), Some(vec![]));
    }

    #[test]
    fn a_mark_from_before_nobody_asked_for_a_while_is_unknown() {
        let changes = Changes::default();
        let before = changes.mark();
        let long_ago = Instant::now().checked_sub(ASKED_AGAIN * 2).expect("the system runs for longer");
        changes.lock().asked = long_ago;
        // This one is forgotten, and so is all that follows until somebody asks.
        changes.note(&id(1));
        changes.note(&id(2));
        let now = changes.mark();
        assert_eq!(changes.after(&before, 10), None);
        changes.note(&id(3));
        assert_eq!(numbers(changes.after(&now, 10)), Some(vec![3]));
    }

    #[test]
    fn a_mark_of_another_run_or_from_before_what_is_remembered_is_unknown() {
        let changes = Changes::default();
        let before = changes.mark();
        for mark in [Changes::default().mark(), "x".to_owned(), format!("{before}9"), String::new()] {
            assert_eq!(changes.after(&mark, 10), None, "{mark}");
        }
        (0..=REMEMBERED_MAX).for_each(|number| changes.note(&id(number)));
        assert_eq!(changes.after(&before, 10), None);
        let later = changes.text(changes.lock().known_after);
        assert_eq!(changes.after(&later, usize::MAX).map(|changed| changed.logs.len()), Some(REMEMBERED_MAX));
    }
}
