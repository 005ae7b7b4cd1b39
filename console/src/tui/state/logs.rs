//! The list of logs: in groups by the first part of their ids, in one of several orders.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use hourlog::{
    LogId, Offset,
    time::DAY,
    wire::{LogReply, LogsOrder, StripReply},
};

use crate::tui::{fuzzy, lanes::Lanes, scale::Window};

use super::{cursor_row::CursorRow, log::Log};

/// Number of logs from which a group is folded at first.
const FOLDED_FROM: usize = 20;
/// Time that strips show at first.
const STRIP_NANOS: i64 = 7 * DAY;

/// The list of logs.
#[derive(Debug)]
pub struct Logs {
    /// The row under the cursor.
    pub cursor: Option<RowKey>,
    /// Row of the cursor on the screen.
    pub cursor_row: CursorRow,
    /// Letters that an id must have, in order.
    pub find: String,
    /// The order of logs and groups.
    pub order: LogsOrder,
    /// The order is turned around.
    pub is_turned: bool,
    /// Time that strips show.
    pub strip_nanos: i64,
    /// The logs that are picked to be opened as one.
    pub picked: BTreeSet<LogId>,
    /// The newest events of the log under the cursor are shown, where there is room.
    pub shows_preview: bool,
    /// The log of which the newest events are shown.
    pub(crate) preview: Option<Log>,
    rows: Option<Vec<LogReply>>,
    /// The groups that the user has folded or unfolded.
    folded: BTreeMap<String, bool>,
    strips: BTreeMap<LogId, StripReply>,
    strip_window: Option<Window>,
}

/// A row of the list, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowKey {
    /// A group.
    Group(String),
    /// A log.
    Log(LogId),
}

/// A row of the list.
#[derive(Debug, Clone)]
pub(crate) enum LogRow<'a> {
    /// The logs whose ids begin alike.
    Group(Group),
    /// A log, and the letters of its id that the group's row shows already.
    Log(&'a LogReply, usize),
}

/// The sums of a group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) logs: usize,
    pub(crate) is_folded: bool,
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    pub(crate) last: Option<Offset>,
    pub(crate) rate: Option<f64>,
    pub(crate) strip: Option<Vec<u64>>,
}

impl LogRow<'_> {
    /// Returns its name.
    pub(crate) fn key(&self) -> RowKey {
        match self {
            Self::Group(group) => RowKey::Group(group.name.clone()),
            Self::Log(log, _) => RowKey::Log(log.log.clone()),
        }
    }
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            cursor: None,
            cursor_row: CursorRow::default(),
            find: String::new(),
            order: LogsOrder::Last,
            is_turned: false,
            strip_nanos: STRIP_NANOS,
            picked: BTreeSet::new(),
            shows_preview: true,
            preview: None,
            rows: None,
            folded: BTreeMap::new(),
            strips: BTreeMap::new(),
            strip_window: None,
        }
    }
}

impl Logs {
    /// Replaces the list. `rows` are sorted by id.
    pub(crate) fn replace(&mut self, rows: Vec<LogReply>) {
        self.rows = Some(rows);
    }

    /// Returns all logs by id, or `None` before the first answer.
    pub(crate) fn rows(&self) -> Option<&[LogReply]> {
        self.rows.as_deref()
    }

    /// Returns the number of groups.
    pub(crate) fn groups(&self) -> usize {
        self.runs().map(|(name, _)| name).collect::<BTreeSet<_>>().len()
    }

    /// Returns the logs by id, in runs of one group. A group may have several runs: `a-b` is between `a` and `a.b`.
    fn runs(&self) -> impl Iterator<Item = (&str, &[LogReply])> {
        let rows = self.rows.as_deref().unwrap_or_default();
        let runs = rows.chunk_by(|one, next| group_of(&one.log) == group_of(&next.log));
        runs.map(|run| (group_of(&run[0].log), run))
    }

    /// Returns the time of all strips: it ends with the newest event of all logs.
    pub(crate) fn strip_axis(&self, now: Offset) -> Option<Window> {
        let last = self.rows.iter().flatten().filter_map(|row| row.last).max()?.min(now);
        let to = last.saturating_add_nanos(1);
        Some((to.saturating_add_nanos(-self.strip_nanos), to))
    }

    /// Returns the time in which logs are previewed: that of the strips, or all of their time if it lies before.
    pub(crate) fn axis_of(&self, lanes: &Lanes, axis: Window) -> Window {
        let rows = || self.rows.iter().flatten().filter(|row| lanes.logs().contains(&row.log));
        let (first, last) = (rows().filter_map(|row| row.first).min(), rows().filter_map(|row| row.last).max());
        match (first, last) {
            (Some(first), Some(last)) if last < axis.0 => (first, last.saturating_add_nanos(1)),
            _ => axis,
        }
    }

    /// Takes the strips of some logs on an axis. Those on another one are forgotten.
    pub(crate) fn add_strips(&mut self, axis: Window, strips: Vec<(LogId, StripReply)>) {
        if self.strip_window != Some(axis) {
            self.strips.clear();
            self.strip_window = Some(axis);
        }
        self.strips.extend(strips);
    }

    /// Returns the counts of a log's strip.
    pub(crate) fn strip(&self, log: &LogId) -> Option<&[u64]> {
        self.strips.get(log).map(|strip| &strip.counts[..])
    }

    /// Returns the logs of a group.
    pub(crate) fn members(&self, group: &str) -> Vec<LogId> {
        let rows = self.rows.iter().flatten().map(|row| &row.log);
        rows.filter(|log| group_of(log) == group).cloned().collect()
    }

    /// Folds or unfolds a group.
    pub(crate) fn fold(&mut self, group: &str, is_folded: bool) {
        self.folded.insert(group.to_owned(), is_folded);
    }

    /// Returns the group of a row.
    pub(crate) fn group(&self, key: &RowKey) -> String {
        match key {
            RowKey::Group(name) => name.clone(),
            RowKey::Log(log) => group_of(log).to_owned(),
        }
    }

    /// Returns the rows of the list. With a text to [find](Self::find), the logs that match, best match first; else all in
    /// their order, in groups.
    pub(crate) fn shown(&self) -> Vec<LogRow<'_>> {
        let all = self.rows.iter().flatten();
        if !self.find.trim().is_empty() {
            let found = fuzzy::find(all.map(ById).collect(), &self.find);
            return found.into_iter().map(|ById(row)| LogRow::Log(row, 0)).collect();
        }
        let mut groups: BTreeMap<&str, Vec<&LogReply>> = BTreeMap::new();
        for (name, logs) in self.runs() {
            groups.entry(name).or_default().extend(logs);
        }
        let mut sorted: Vec<(&str, Vec<&LogReply>)> = groups.into_iter().collect();
        self.sort(&mut sorted, |(_, logs)| Facts::of_all(logs));
        let mut rows = Vec::new();
        for (name, mut logs) in sorted {
            if logs.len() == 1 {
                rows.push(LogRow::Log(logs[0], 0));
                continue;
            }
            let is_folded = self.folded.get(name).copied().unwrap_or(logs.len() > FOLDED_FROM);
            let facts = Facts::of_all(&logs);
            let strips: Option<Vec<&[u64]>> = logs.iter().map(|log| self.strip(&log.log)).collect();
            let strip = strips.map(|strips| sum(&strips));
            rows.push(LogRow::Group(Group {
                name: name.to_owned(),
                logs: logs.len(),
                is_folded,
                events: facts.events,
                bytes: facts.bytes,
                last: facts.last,
                rate: facts.rate,
                strip,
            }));
            if !is_folded {
                self.sort(&mut logs, |log| Facts::of_log(log));
                rows.extend(logs.into_iter().map(|log| LogRow::Log(log, name.len() + 1)));
            }
        }
        rows
    }

    /// Sorts by the order of the list. What is equal stays in the order of ids.
    fn sort<T>(&self, items: &mut [T], facts: impl Fn(&T) -> Facts) {
        // The greatest number comes first, and the first name.
        let bits = |number: f64| number.max(0.0).to_bits();
        let key = |item: &T| {
            let facts = facts(item);
            match self.order {
                LogsOrder::Id => 0,
                LogsOrder::Last => {
                    facts.last.map_or(0, |last| (i128::from(last.nanos()) - i128::from(i64::MIN)) as u64)
                }
                LogsOrder::Rate => bits(facts.rate.unwrap_or(0.0)),
                LogsOrder::Events => facts.events,
                LogsOrder::Bytes => facts.bytes,
            }
        };
        items.sort_by_cached_key(|item| Reverse(key(item)));
        if self.is_turned {
            items.reverse();
        }
    }

    /// Returns the index of the cursor among the [shown](Self::shown) rows.
    pub(crate) fn cursor_index(&self, shown: &[LogRow<'_>]) -> usize {
        let Some(cursor) = &self.cursor else { return 0 };
        let exact = shown.iter().position(|row| row.key() == *cursor);
        // A log in a folded group is under the cursor of the group, and a deleted one gives way to the next.
        let group = self.group(cursor);
        let of_group = || shown.iter().position(|row| matches!(row, LogRow::Group(shown) if shown.name == group));
        exact.or_else(of_group).unwrap_or(0)
    }
}

/// The facts by which logs and groups are sorted.
#[derive(Debug, Default)]
struct Facts {
    events: u64,
    bytes: u64,
    last: Option<Offset>,
    rate: Option<f64>,
}

impl Facts {
    fn of_log(log: &LogReply) -> Self {
        Self { events: log.events, bytes: log.bytes, last: log.last, rate: log.rate }
    }

    fn of_all(logs: &[&LogReply]) -> Self {
        let mut all = Self::default();
        for log in logs {
            all.events += log.events;
            all.bytes += log.bytes;
            all.last = all.last.max(log.last);
            all.rate = log.rate.map(|rate| rate + all.rate.unwrap_or(0.0)).or(all.rate);
        }
        all
    }
}

/// Returns the first part of an id.
fn group_of(log: &LogId) -> &str {
    log.as_str().split('.').next().unwrap_or_default()
}

fn sum(strips: &[&[u64]]) -> Vec<u64> {
    let bins = strips.iter().map(|strip| strip.len()).max().unwrap_or(0);
    (0..bins).map(|bin| strips.iter().filter_map(|strip| strip.get(bin)).sum()).collect()
}

/// A row that the fuzzy matcher compares by id.
struct ById<'a>(&'a LogReply);

impl AsRef<str> for ById<'_> {
    fn as_ref(&self) -> &str {
        self.0.log.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::wire::RecentReply;

    fn log(id: &str, events: u64, last: i64) -> LogReply {
        LogReply {
            log: id.parse().expect("a valid id"),
            events,
            bytes: events * 10,
            first: None,
            last: Some(Offset::from_nanos(last)),
            ahead: None,
            recent: RecentReply { to: Offset::from_nanos(0), counts: Vec::new() },
            rate: None,
            retention_seconds: None,
            retention_rule: None,
            strip: None,
        }
    }

    fn names(logs: &Logs) -> Vec<String> {
        let name = |row: &LogRow<'_>| match row {
            LogRow::Group(group) => format!("{} ({}) {}", group.name, group.logs, group.events),
            LogRow::Log(log, hidden) => log.log.as_str()[*hidden..].to_owned(),
        };
        logs.shown().iter().map(name).collect()
    }

    fn logs() -> Logs {
        let mut logs = Logs::default();
        logs.replace(vec![log("alone", 5, 50), log("app.a", 1, 90), log("app.b", 2, 10), log("quakes.us", 9, 20)]);
        logs
    }

    #[test]
    fn logs_are_in_groups_and_the_newest_come_first() {
        let mut logs = logs();
        assert_eq!(names(&logs), ["app (2) 3", "a", "b", "alone", "quakes.us"]);
        logs.order = LogsOrder::Events;
        assert_eq!(names(&logs), ["quakes.us", "alone", "app (2) 3", "b", "a"]);
        logs.is_turned = true;
        assert_eq!(names(&logs), ["app (2) 3", "a", "b", "alone", "quakes.us"]);
        logs.find = "us".to_owned();
        assert_eq!(names(&logs), ["quakes.us"]);
    }

    #[test]
    fn a_folded_group_has_the_cursor_of_its_logs() {
        let mut logs = logs();
        logs.cursor = Some(RowKey::Log("app.b".parse().expect("a valid id")));
        assert_eq!(logs.cursor_index(&logs.shown()), 2);
        logs.fold("app", true);
        assert_eq!((names(&logs).len(), logs.cursor_index(&logs.shown())), (3, 0));
    }

    #[test]
    fn strips_end_with_the_newest_event_and_a_group_has_their_sum() {
        let mut logs = logs();
        let axis = logs.strip_axis(Offset::from_nanos(1_000)).expect("there are events");
        assert_eq!(axis.1, Offset::from_nanos(91));
        let strip = |counts: &[u64]| StripReply { counts: counts.to_vec(), exact: true };
        let id = |id: &str| id.parse::<LogId>().expect("a valid id");
        logs.add_strips(axis, vec![(id("app.a"), strip(&[1, 0])), (id("app.b"), strip(&[2, 3]))]);
        let rows = logs.shown();
        assert!(matches!(&rows[0], LogRow::Group(group) if group.strip.as_deref() == Some(&[3, 3][..])));
    }
}
