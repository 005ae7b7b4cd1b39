//! The columns of a log's list, and the pauses that count as silence: both from a sample of its events.

use hourlog::Event;

use super::columns::{Choice, Column, LevelFields, choose, fields, find};

/// Columns of a row beside its data: the gutter, the time and the pause.
const BESIDE_COLUMNS: u16 = 26;
/// Columns of the pause, and the width of the list from which it is shown.
const PAUSE_COLUMNS: u16 = 11;
pub(crate) const PAUSES_FROM: u16 = 60;
/// Number of events in a sample.
const SAMPLE: usize = 200;
/// A pause that is longer than this many medians is silence.
const SILENCE_MEDIANS: i64 = 10;
/// Share of the shown rows that must fill the columns.
const FILLED_PERCENT_MIN: usize = 50;
/// Number of events from which a sample is not taken again when more are there.
const ENOUGH: usize = 50;

/// The columns of a list.
#[derive(Debug, Default)]
pub struct Table {
    choice: Choice,
    levels: LevelFields,
    /// The paths of the columns, in order, if the user has chosen them.
    picked: Option<Vec<String>>,
    room: usize,
    sampled: usize,
    median_nanos: i64,
    /// Digits after the seconds that tell the times of the sample apart.
    digits: usize,
}

impl Table {
    /// Returns the columns.
    pub(crate) fn choice(&self) -> &Choice {
        &self.choice
    }

    /// Returns the fields that tell the severity of an event.
    pub(crate) fn levels(&self) -> &LevelFields {
        &self.levels
    }

    /// Returns a table with columns that the user has chosen before.
    pub(crate) fn with_columns(picked: Option<Vec<String>>) -> Self {
        Self { picked, ..Self::default() }
    }

    /// Returns the paths of the columns that the user has chosen.
    pub(crate) fn chosen(&self) -> Option<&Vec<String>> {
        self.picked.as_ref()
    }

    /// Shows or hides a column.
    pub(crate) fn toggle(&mut self, path: &str) {
        let mut picked = self.picked();
        match picked.iter().position(|picked| picked == path) {
            Some(index) => drop(picked.remove(index)),
            None => picked.push(path.to_owned()),
        }
        self.pick(Some(picked));
    }

    /// Shows exactly these columns, as far as the sample has them.
    pub(crate) fn show(&mut self, paths: Vec<String>) {
        self.pick(Some(paths));
    }

    /// Moves a shown column to the left or to the right.
    pub(crate) fn shift(&mut self, path: &str, by: isize) {
        let mut picked = self.picked();
        if let Some(index) = picked.iter().position(|picked| picked == path) {
            let to = index.saturating_add_signed(by).min(picked.len() - 1);
            picked.swap(index, to);
            self.pick(Some(picked));
        }
    }

    /// Shows the columns that are chosen by themselves.
    pub(crate) fn reset(&mut self) {
        self.picked = None;
        self.sampled = 0;
    }

    /// Returns the paths of the shown columns.
    fn picked(&self) -> Vec<String> {
        self.choice.chosen.iter().map(|column| column.path.clone()).collect()
    }

    /// Shows these columns, as far as the sample has them.
    fn pick(&mut self, picked: Option<Vec<String>>) {
        self.picked = picked;
        let Some(picked) = &self.picked else { return };
        let mut all: Vec<Column> = std::mem::take(&mut self.choice.chosen);
        all.append(&mut self.choice.others);
        for path in picked {
            if let Some(index) = all.iter().position(|column| column.path == *path) {
                self.choice.chosen.push(Column { is_flexible: false, ..all.remove(index) });
            }
        }
        // The last text takes what is left.
        if let Some(last) = self.choice.chosen.last_mut() {
            last.is_flexible = !last.is_number;
        }
        self.choice.others = all;
    }

    /// Returns the median of the pauses between two events.
    pub(crate) fn median_nanos(&self) -> i64 {
        self.median_nanos
    }

    /// Returns the digits after the seconds that tell the times of neighbours apart: 3, 6 or 9.
    pub(crate) fn digits(&self) -> usize {
        self.digits.max(3)
    }

    /// Returns the number of events in the sample.
    pub(crate) fn sampled(&self) -> usize {
        self.sampled
    }

    /// Forgets the sample, because other events are shown.
    pub(crate) fn resample(&mut self) {
        self.sampled = 0;
    }

    /// Returns the shortest pause that counts as silence, if a bar stands for `bar_nanos`.
    pub(crate) fn silence_nanos(&self, bar_nanos: i64) -> i64 {
        self.median_nanos.saturating_mul(SILENCE_MEDIANS).max(bar_nanos)
    }

    /// Takes another sample if it is needed: there is none, the room is another, more events are there than the few that
    /// there were, or the shown rows do not fill the columns.
    pub(crate) fn update<'a>(
        &mut self,
        around: impl Fn() -> Vec<&'a Event>,
        shown: impl IntoIterator<Item = &'a Event>,
        room: usize,
    ) {
        let is_stale = self.room != room || self.sampled < ENOUGH || !self.fits(shown);
        if !is_stale {
            return;
        }
        let sample = around();
        if sample.is_empty() || self.room == room && sample.len() <= self.sampled && self.sampled < ENOUGH {
            return;
        }
        self.choice = choose(sample.iter().map(|event| &event.record.data[..]), room);
        self.levels = LevelFields::of(sample.iter().map(|event| &event.record.data[..]));
        self.pick(self.picked.clone());
        let mut pauses: Vec<i64> = sample
            .windows(2)
            .map(|pair| pair[1].position.offset.nanos().saturating_sub(pair[0].position.offset.nanos()))
            .collect();
        pauses.sort_unstable();
        (self.room, self.sampled) = (room, sample.len());
        let tie = |unit: i64| {
            let times =
                sample.windows(2).map(|pair| (pair[0].position.offset.nanos(), pair[1].position.offset.nanos()));
            times.into_iter().any(|(one, next)| one != next && one.div_euclid(unit) == next.div_euclid(unit))
        };
        self.digits = match (tie(1_000_000), tie(1_000)) {
            (false, _) => 3,
            (true, false) => 6,
            (true, true) => 9,
        };
        self.median_nanos = pauses.get(pauses.len() / 2).copied().unwrap_or(0);
    }

    /// Returns true if at least half of the events have a value in at least half of the columns.
    fn fits<'a>(&self, shown: impl IntoIterator<Item = &'a Event>) -> bool {
        let chosen = &self.choice.chosen;
        let (mut filled, mut all) = (0, 0);
        for event in shown {
            let fields = fields(&event.record.data);
            let values = chosen.iter().filter(|column| find(&fields, &column.path).is_some()).count();
            filled += usize::from(if chosen.is_empty() { fields.is_empty() } else { values * 2 >= chosen.len() });
            all += 1;
        }
        filled * 100 >= all * FILLED_PERCENT_MIN
    }
}

/// Returns the events of a sample: those before and after a place, in order.
pub(crate) fn sample<'a>(
    before: impl Iterator<Item = &'a Event>,
    from: impl Iterator<Item = &'a Event>,
) -> Vec<&'a Event> {
    let mut sample: Vec<&Event> = before.take(SAMPLE / 2).collect();
    sample.reverse();
    sample.extend(from.take(SAMPLE - sample.len()));
    sample
}

/// Returns the room for columns in a list of this width.
pub(crate) fn room(list: u16) -> usize {
    let beside = if list < PAUSES_FROM { BESIDE_COLUMNS - PAUSE_COLUMNS } else { BESIDE_COLUMNS };
    usize::from(list.saturating_sub(beside))
}
