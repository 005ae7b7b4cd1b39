//! A survey reads all events of a window, page by page, and keeps little of them: those with the greatest values of a field,
//! or the numbers of a field over time.

use std::cmp::Ordering;

use hourlog::{Event, Offset};

use crate::tui::{
    columns::{fields, find},
    filter::Selection,
    lanes::Lanes,
    scale::Window,
};

/// Limit of the events in a list that is sorted by a field.
pub const SORTED_MAX: usize = 500;
/// Limit of the bytes of their data.
const SORTED_BYTES_MAX: usize = 64 << 20;
/// Limit of the events of which numbers are read.
pub const NUMBERS_MAX: u64 = 200_000;

/// A survey of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The logs.
    pub lanes: Lanes,
    /// The time to read.
    pub window: Window,
    /// The events to read.
    pub selection: Selection,
    /// The path of a field, as a column has it.
    pub path: String,
    /// The part that is kept.
    pub kind: SurveyKind,
}

/// The part of the events that a survey keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SurveyKind {
    /// The events with the greatest values, the greatest first.
    Greatest,
    /// The events with the least values, the least first.
    Least,
    /// All numbers with their times.
    Numbers,
}

/// The result of a survey so far.
#[derive(Debug, Clone, Default)]
pub struct Surveyed {
    /// Number of events that were read.
    pub read: u64,
    /// Number of events that have the field; of numbers, that have one.
    pub having: u64,
    /// The kept events, in order.
    pub events: Vec<Event>,
    /// The numbers, by time.
    pub numbers: Vec<(Offset, f64)>,
    /// It goes on.
    pub goes_on: bool,
    /// It has ended before the end of the window.
    pub is_cut: bool,
}

impl Surveyed {
    /// Adds what another page has.
    pub(crate) fn add(&mut self, kind: SurveyKind, path: &str, page: Self) {
        self.read += page.read;
        self.having += page.having;
        self.numbers.extend(page.numbers);
        (self.goes_on, self.is_cut) = (page.goes_on, page.is_cut);
        if !page.events.is_empty() {
            self.events.extend(page.events);
            keep(&mut self.events, kind, path);
        }
    }
}

/// Returns a text as a number, if it is a finite one.
pub(crate) fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// Takes from the events of a page.
pub(super) fn take(survey: &Survey, events: impl Iterator<Item = Event>) -> Surveyed {
    let mut surveyed = Surveyed::default();
    for event in events {
        surveyed.read += 1;
        let number = {
            let fields = fields(&event.record.data);
            let Some(field) = find(&fields, &survey.path) else { continue };
            number(&field.text)
        };
        match (survey.kind, number) {
            (SurveyKind::Numbers, Some(number)) => surveyed.numbers.push((event.position.offset, number)),
            (SurveyKind::Numbers, None) => continue,
            (SurveyKind::Greatest | SurveyKind::Least, _) => surveyed.events.push(event),
        }
        surveyed.having += 1;
    }
    keep(&mut surveyed.events, survey.kind, &survey.path);
    surveyed
}

/// Sorts events by the value of a field, and keeps the first of them.
fn keep(events: &mut Vec<Event>, kind: SurveyKind, path: &str) {
    events.sort_by_cached_key(|event| {
        let fields = fields(&event.record.data);
        let key = find(&fields, path).map(|field| SortKey::of(&field.text));
        (Directed { key, is_least: kind == SurveyKind::Least }, event.position)
    });
    events.truncate(SORTED_MAX);
    let mut bytes = 0;
    let fitting = events.iter().take_while(|event| {
        bytes += event.record.bytes();
        bytes <= SORTED_BYTES_MAX
    });
    let fitting = fitting.count().max(1);
    events.truncate(fitting);
}

/// The value by which events are sorted: numbers, then texts.
#[derive(Debug, Clone, PartialEq)]
enum SortKey {
    Number(f64),
    Text(String),
}

impl SortKey {
    fn of(text: &str) -> Self {
        number(text).map_or_else(|| Self::Text(text.to_owned()), Self::Number)
    }
}

/// A key with the direction of its order.
#[derive(Debug, Clone, PartialEq)]
struct Directed {
    key: Option<SortKey>,
    is_least: bool,
}

impl Eq for Directed {}

impl PartialOrd for Directed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Directed {
    fn cmp(&self, other: &Self) -> Ordering {
        let rising = match (&self.key, &other.key) {
            (Some(SortKey::Number(one)), Some(SortKey::Number(other))) => one.total_cmp(other),
            (Some(SortKey::Text(one)), Some(SortKey::Text(other))) => one.cmp(other),
            // Texts follow the numbers in both directions.
            (Some(SortKey::Number(_)), _) => return Ordering::Less,
            (_, Some(SortKey::Number(_))) => return Ordering::Greater,
            (one, other) => other.is_some().cmp(&one.is_some()),
        };
        if self.is_least { rising } else { rising.reverse() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::{Position, Record, Seq};

    fn event(at: i64, data: &str) -> Event {
        let position = Position { offset: Offset::from_nanos(at), seq: Seq::from_number(at) };
        Event { log: "a".parse().expect("a valid id"), position, arrived: None, record: Record::new(data.to_owned()) }
    }

    fn kept(kind: SurveyKind) -> Surveyed {
        let window = (Offset::from_nanos(0), Offset::from_nanos(99));
        let lanes = Lanes::from("a".parse::<hourlog::LogId>().expect("a valid id"));
        let survey = Survey { lanes, window, selection: Selection::default(), path: "mag".to_owned(), kind };
        let data = [r#"{"mag":2}"#, r#"{"mag":10.5}"#, r#"{"mag":"big"}"#, r#"{"x":1}"#, r#"{"mag":-3}"#];
        take(&survey, data.iter().enumerate().map(|(at, data)| event(at as i64, data)))
    }

    fn order(kind: SurveyKind) -> Vec<i64> {
        kept(kind).events.iter().map(|event| event.position.offset.nanos()).collect()
    }

    #[test]
    fn numbers_are_sorted_as_numbers_and_before_texts() {
        assert_eq!(order(SurveyKind::Greatest), [1, 0, 4, 2]);
        assert_eq!(order(SurveyKind::Least), [4, 0, 1, 2]);
    }

    #[test]
    fn only_numbers_are_kept_with_their_times() {
        let Surveyed { read, having, numbers, events, .. } = kept(SurveyKind::Numbers);
        let numbers: Vec<(i64, f64)> = numbers.into_iter().map(|(at, number)| (at.nanos(), number)).collect();
        assert_eq!((read, having, numbers, events.len()), (5, 3, vec![(0, 2.0), (1, 10.5), (4, -3.0)], 0));
    }

    #[test]
    fn pages_together_keep_the_greatest_of_all() {
        let mut all = Surveyed::default();
        for page in 0..3 {
            let events =
                (0..SORTED_MAX as i64).map(|at| event(page * 1_000 + at, &format!("{{\"mag\":{}}}", at * 3 + page)));
            let page = Surveyed { read: SORTED_MAX as u64, events: events.collect(), ..Surveyed::default() };
            all.add(SurveyKind::Greatest, "mag", page);
        }
        assert_eq!((all.read, all.events.len()), (1_500, SORTED_MAX));
        assert_eq!(all.events[0].position.offset.nanos(), 2_499);
        assert_eq!(all.events[1].position.offset.nanos(), 1_499);
    }
}
