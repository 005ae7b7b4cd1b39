//! Surveys of the window: the list that is sorted by a field, and the numbers of a field.

use hourlog::{Event, Offset, Position};

use crate::tui::survey::{Survey, SurveyKind, Surveyed};

use super::place::Place;

/// A list of events in the order of a field's values.
#[derive(Debug)]
pub struct Sorted {
    /// The survey that fills it.
    pub(crate) survey: Survey,
    /// Its result so far.
    pub(crate) result: Surveyed,
    /// Index of the event under the cursor, as far as that is known.
    pub(crate) cursor: usize,
    /// The playhead stays at the first event, until the user moves it.
    pub(crate) stays_first: bool,
    /// The place from which the user came.
    pub(crate) back: Place,
}

/// The numbers of a field in the window.
#[derive(Debug)]
pub struct Numbers {
    /// The survey that reads them.
    pub(crate) survey: Survey,
    /// Its result so far.
    pub(crate) result: Surveyed,
    /// The numbers in rising order.
    pub(crate) rising: Vec<f64>,
    /// The time at which it began.
    pub(crate) begun: Offset,
}

impl Sorted {
    /// Returns the list before the first answer.
    pub(crate) fn new(survey: Survey, back: Place) -> Self {
        Self { survey, result: Surveyed { goes_on: true, ..Surveyed::default() }, cursor: 0, stays_first: true, back }
    }

    /// Returns the index of the event at a position: the one under the cursor, if several logs have one there.
    pub(crate) fn index(&self, at: Position) -> Option<usize> {
        let is_at = |event: &Event| event.position == at;
        if self.result.events.get(self.cursor).is_some_and(is_at) {
            return Some(self.cursor);
        }
        self.result.events.iter().position(is_at)
    }

    /// Returns the event at a position.
    pub(crate) fn get(&self, at: Position) -> Option<&Event> {
        self.index(at).map(|index| &self.result.events[index])
    }

    /// Returns true if the greatest values are first.
    pub(crate) fn is_falling(&self) -> bool {
        self.survey.kind == SurveyKind::Greatest
    }
}

impl Numbers {
    /// Returns the numbers before the first answer.
    pub(crate) fn new(survey: Survey, begun: Offset) -> Self {
        Self { survey, result: Surveyed { goes_on: true, ..Surveyed::default() }, rising: Vec::new(), begun }
    }

    /// Sorts the numbers, after more were read.
    pub(crate) fn sort(&mut self) {
        self.rising = self.result.numbers.iter().map(|(_, number)| *number).collect();
        self.rising.sort_unstable_by(f64::total_cmp);
    }
}

/// Returns the number below which this many percent of the sorted numbers are: the nearest rank.
pub(crate) fn percentile(rising: &[f64], percent: usize) -> Option<f64> {
    let rank = (rising.len() * percent).div_ceil(100).max(1);
    rising.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_numbers() {
        let numbers: Vec<f64> = (1..=10).map(f64::from).collect();
        assert_eq!([0, 50, 99, 100].map(|percent| percentile(&numbers, percent)), [1.0, 5.0, 10.0, 10.0].map(Some));
        assert_eq!(percentile(&[], 50), None);
    }
}
