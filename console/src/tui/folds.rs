//! Folds: equal events that follow each other at the same shown time are one row.

use hourlog::{Event, Position};

/// Limit of the events in one row.
const FOLDED_MAX: usize = 999;

/// Events that are one row; mostly a single one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fold<'a> {
    /// The first of them.
    pub(crate) first: &'a Event,
    /// The last of them.
    pub(crate) last: &'a Event,
    /// Number of events.
    pub(crate) count: usize,
}

/// The rule by which two events that follow each other are in one row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FoldRule<'a> {
    /// The shortest time that is told apart on the screen; `None` if nothing is folded.
    pub(crate) unit_nanos: Option<i64>,
    /// Stretches, from their first to their last event, that the user has opened.
    pub(crate) opened: &'a [(Position, Position)],
}

impl<'a> Fold<'a> {
    /// Returns the row of a single event.
    pub(crate) fn of(event: &'a Event) -> Self {
        Self { first: event, last: event, count: 1 }
    }

    /// Returns true if it has the event at a position.
    pub(crate) fn contains(&self, at: Position) -> bool {
        (self.first.position..=self.last.position).contains(&at)
    }
}

impl FoldRule<'_> {
    fn joins(&self, one: &Event, next: &Event) -> bool {
        let Some(unit) = self.unit_nanos else { return false };
        let time = |event: &Event| event.position.offset.nanos().div_euclid(unit);
        let is_opened = |at: Position| self.opened.iter().any(|(first, last)| (*first..=*last).contains(&at));
        time(one) == time(next)
            && one.log == next.log
            && one.record.data == next.record.data
            && !is_opened(one.position)
            && !is_opened(next.position)
    }

    /// Returns the rows of events that come in rising order.
    pub(crate) fn forward<'e>(self, events: impl Iterator<Item = &'e Event>) -> impl Iterator<Item = Fold<'e>> {
        self.rows(events, |fold, event| Fold { last: event, count: fold.count + 1, ..fold })
    }

    /// Returns the rows of events that come in falling order.
    pub(crate) fn backward<'e>(self, events: impl Iterator<Item = &'e Event>) -> impl Iterator<Item = Fold<'e>> {
        self.rows(events, |fold, event| Fold { first: event, count: fold.count + 1, ..fold })
    }

    fn rows<'e>(
        self,
        events: impl Iterator<Item = &'e Event>,
        add: impl Fn(Fold<'e>, &'e Event) -> Fold<'e>,
    ) -> impl Iterator<Item = Fold<'e>> {
        let mut events = events.peekable();
        std::iter::from_fn(move || {
            let mut fold = Fold::of(events.next()?);
            let (mut newest, first) = (fold.first, fold.first.position);
            while let Some(event) = events.next_if(|event| {
                let (one, next) = if event.position < first { (*event, newest) } else { (newest, *event) };
                fold.count < FOLDED_MAX && self.joins(one, next)
            }) {
                fold = add(fold, event);
                newest = event;
            }
            Some(fold)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::{Offset, Record, Seq};

    fn events(texts: &[(i64, &'static str)]) -> Vec<Event> {
        let event = |(number, (at, text)): (usize, &(i64, &'static str))| Event {
            log: "a".parse().expect("a valid id"),
            position: Position { offset: Offset::from_nanos(*at), seq: Seq::from_number(number as i64 + 1) },
            arrived: None,
            record: Record::new(*text),
        };
        texts.iter().enumerate().map(event).collect()
    }

    #[test]
    fn equal_events_at_one_shown_time_are_one_row_in_both_directions() {
        let events = events(&[(1, "x"), (2, "x"), (9, "x"), (10, "x"), (11, "y"), (12, "y")]);
        let rule = FoldRule { unit_nanos: Some(10), opened: &[] };
        let forward: Vec<usize> = rule.forward(events.iter()).map(|fold| fold.count).collect();
        let mut backward: Vec<usize> = rule.backward(events.iter().rev()).map(|fold| fold.count).collect();
        backward.reverse();
        assert_eq!((forward, backward), (vec![3, 1, 2], vec![3, 1, 2]));
        let last = rule.backward(events.iter().rev()).last().map(|fold| (fold.first.position, fold.last.position));
        assert_eq!(last, Some((events[0].position, events[2].position)));
    }

    #[test]
    fn rows_that_the_user_has_opened_stay_open() {
        let events = events(&[(1, "x"), (2, "x"), (3, "x")]);
        let opened = [(events[0].position, events[2].position)];
        for rule in [FoldRule { unit_nanos: Some(10), opened: &opened }, FoldRule { unit_nanos: None, opened: &[] }] {
            assert_eq!(rule.forward(events.iter()).count(), 3);
        }
    }
}
