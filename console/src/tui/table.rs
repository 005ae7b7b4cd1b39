//! The columns of a log's list, and the pauses that count as silence: both from a sample of its events.

use hourlog::Event;

use super::columns::{Choice, choose, fields, find};

/// Columns of a row beside its data: the gutter, the time and the pause.
const BESIDE_COLUMNS: u16 = 26;
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
    room: usize,
    sampled: usize,
    median_nanos: i64,
}

impl Table {
    /// Returns the columns.
    pub(crate) fn choice(&self) -> &Choice {
        &self.choice
    }

    /// Returns the median of the pauses between two events.
    pub(crate) fn median_nanos(&self) -> i64 {
        self.median_nanos
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
        let mut pauses: Vec<i64> = sample
            .windows(2)
            .map(|pair| pair[1].position.offset.nanos().saturating_sub(pair[0].position.offset.nanos()))
            .collect();
        pauses.sort_unstable();
        (self.room, self.sampled) = (room, sample.len());
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
    usize::from(list.saturating_sub(BESIDE_COLUMNS))
}
