//! A level over the last minutes, as this console has read it.

use std::collections::VecDeque;

use hourlog::{Offset, time::MINUTE};

/// Time that is kept and shown.
pub(crate) const LEVELS_NANOS: i64 = 10 * MINUTE;
/// Limit of the readings. One is made each two seconds.
const READINGS_MAX: usize = 600;

/// The readings of a level, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Levels(VecDeque<(Offset, u64)>);

impl Levels {
    /// Takes a reading in.
    pub(crate) fn read(&mut self, at: Offset, level: u64) {
        let begin = at.saturating_add_nanos(-LEVELS_NANOS);
        // After a clock was set back, the readings ahead of it tell nothing.
        self.0.retain(|(time, _)| (begin..at).contains(time));
        if self.0.len() >= READINGS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((at, level));
    }

    /// Returns the time of the oldest reading.
    pub(crate) fn since(&self) -> Option<Offset> {
        self.0.front().map(|(at, _)| *at)
    }

    /// Returns the greatest level in each of `columns` equal columns, which end with the newest reading. A column without a
    /// reading is unknown.
    pub(crate) fn columns(&self, columns: usize) -> Vec<Option<u64>> {
        let mut levels = vec![None; columns];
        let Some((last, _)) = self.0.back() else { return levels };
        let length = (LEVELS_NANOS / columns.max(1) as i64).max(1);
        // The columns begin at multiples of their length, so that a reading stays in its column until that moves.
        let end = last.nanos().div_euclid(length);
        for (at, level) in &self.0 {
            let back = usize::try_from(end - at.nanos().div_euclid(length)).unwrap_or(usize::MAX);
            if let Some(column) = columns.checked_sub(back.saturating_add(1)) {
                levels[column] = levels[column].max(Some(*level));
            }
        }
        levels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::time::SECOND;

    fn at(seconds: i64) -> Offset {
        Offset::from_nanos(seconds * SECOND)
    }

    #[test]
    fn a_column_has_its_greatest_level_or_none() {
        let mut levels = Levels::default();
        assert_eq!((levels.columns(3), levels.since()), (vec![None; 3], None));
        for (seconds, level) in [(1_000, 5), (1_002, 9), (1_004, 2), (1_190, 0), (1_201, 4)] {
            levels.read(at(seconds), level);
        }
        // Ten minutes in ten columns of a minute: 16, 19 and 20 minutes after the beginning have readings.
        let shown = levels.columns(10);
        assert_eq!(shown, [None, None, None, None, None, Some(9), None, None, Some(0), Some(4)]);
        assert_eq!(levels.since(), Some(at(1_000)));
        levels.read(at(1_601), 1);
        assert_eq!(levels.since(), Some(at(1_002)), "the window has moved on");
    }

    #[test]
    fn a_clock_that_is_set_back_leaves_no_reading_ahead_of_it() {
        let mut levels = Levels::default();
        for seconds in [100, 102, 50] {
            levels.read(at(seconds), seconds as u64);
        }
        assert_eq!(levels.since(), Some(at(50)));
    }
}
