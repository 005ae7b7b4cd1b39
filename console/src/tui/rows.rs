//! The rows of a log's list: events, and between them days, silence and the playhead.

use hourlog::{Event, Offset, Position};
use jiff::{civil::Date, tz::TimeZone};

use crate::when;

use super::{
    folds::Fold,
    layout,
    state::{Log, Mode, State},
};

/// A row of the list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Row<'a> {
    /// A day begins.
    Day(Offset),
    /// No event for this long.
    Silence(i64),
    /// An event, or several equal ones, and the time since the one before.
    Event(Fold<'a>, Option<i64>),
    /// The playhead, where no event is, and the time to the next one.
    Playhead(Option<i64>),
    /// The future of a log that plays: the time to the next event.
    ToCome(Option<i64>),
}

/// The rows on the screen.
#[derive(Debug, Default)]
pub(crate) struct Rows<'a> {
    /// The rows, from the top.
    pub(crate) rows: Vec<Row<'a>>,
    /// Index of the row under the cursor.
    pub(crate) cursor: usize,
}

impl<'a> Rows<'a> {
    /// Returns the events on the screen.
    pub(crate) fn events(&self) -> impl Iterator<Item = &'a Event> {
        self.rows.iter().filter_map(|row| match row {
            Row::Event(fold, _) => Some(fold.first),
            _ => None,
        })
    }

    /// Returns the row of an event.
    pub(crate) fn index(&self, position: Position) -> Option<usize> {
        self.rows.iter().position(|row| matches!(row, Row::Event(fold, _) if fold.contains(position)))
    }
}

/// Returns the rows of the open log's list on this screen.
pub(crate) fn rows<'a>(state: &State, log: &'a Log) -> Rows<'a> {
    rows_of(log, layout::list_rows(state), state.shown_zone())
}

/// Returns the rows of a log's list that is `height` rows high.
pub(crate) fn rows_of<'a>(log: &'a Log, height: usize, zone: &TimeZone) -> Rows<'a> {
    if let Some(sorted) = &log.sorted {
        let events = &sorted.result.events;
        let index = sorted.index(log.playhead).unwrap_or(0);
        let first = log.cursor_row.first(index, height, events.len());
        let rows = events.iter().skip(first).take(height).map(|event| Row::Event(Fold::of(event), None));
        return Rows { rows: rows.collect(), cursor: index - first };
    }
    if !log.pages.covers(log.playhead) || log.goal.is_some() && log.event().is_none() {
        return Rows::default();
    }
    let bar_nanos = log.scrubber.grid.as_ref().map_or(0, |grid| grid.scale.step.about_nanos());
    let between = Between { silence_nanos: log.table.silence_nanos(bar_nanos), zone };
    let is_playing = matches!(log.mode, Mode::Playing { .. });
    let rule = log.fold_rule();
    // A row that has the playhead's event may have equal ones behind it.
    let own = log.event().and_then(|_| rule.forward(log.pages.from(log.playhead)).next());
    let end = own.filter(|_| !is_playing).map_or(log.playhead.next(), |own| own.last.position.next());
    let after = log.pages.from(end).peekable();
    let until = |next: Option<&Event>| {
        next.map(|next| next.position.offset.nanos().saturating_sub(log.playhead.offset.nanos()))
    };
    let before = |at: Position| Upwards::new(rule.backward(log.pages.before(at)), between);
    if is_playing {
        let mut up = Vec::new();
        let mut after = after;
        up.push(Row::ToCome(until(after.peek().copied())));
        up.extend(before(log.playhead.next()).take(height.saturating_sub(1)));
        return finish(
            up,
            Vec::new(),
            usize::from(log.pages.before(log.playhead.next()).next().is_some()),
            height,
            (zone, log.playhead.offset),
        );
    }
    let (mut day_above, mut day_below) = (None, None);
    let (cursor, above, below) = match log.event() {
        Some(event) => {
            let mut above = before(end);
            let cursor = above.next().unwrap_or(Row::Event(Fold::of(event), None));
            let last = own.map_or(event, |own| own.last);
            (cursor, above, Downwards::new(Some(last), rule.forward(after), between))
        }
        None => {
            let mut after = log.pages.from(log.playhead).peekable();
            if after.peek().is_none() && log.pages.before(log.playhead).next().is_none() {
                return Rows::default();
            }
            let cursor = Row::Playhead(until(after.peek().copied()));
            let last = log.pages.before(log.playhead).next();
            let here = log.playhead.offset;
            day_above = last.and_then(|last| between.day(last.position.offset, here));
            day_below = after.peek().and_then(|next| between.day(here, next.position.offset));
            (cursor, before(log.playhead), Downwards::new(last, rule.forward(after), between))
        }
    };
    let anchor = log.cursor_row.index(height);
    let mut below: Vec<Row<'a>> = below.take(height).collect();
    if log.event().is_none() {
        // The playhead's own row tells how long it is to the next event, and it may be on another day.
        if matches!(below.first(), Some(Row::Silence(_) | Row::Day(_))) {
            below.remove(0);
        }
        below.splice(0..0, day_below);
    }
    below.truncate(height.saturating_sub(1));
    let room_above = anchor.max(height.saturating_sub(1).saturating_sub(below.len()));
    let mut up = vec![cursor];
    up.extend(day_above.into_iter().chain(above).take(room_above));
    finish(up, below, 0, height, (zone, log.playhead.offset))
}

/// Puts the rows together: those from the cursor upwards, and those below it.
fn finish<'a>(
    up: Vec<Row<'a>>,
    below: Vec<Row<'a>>,
    cursor: usize,
    height: usize,
    (zone, here): (&TimeZone, Offset),
) -> Rows<'a> {
    let mut cursor = up.len() - 1 - cursor.min(up.len() - 1);
    let mut rows: Vec<Row<'a>> = up.into_iter().rev().chain(below).take(height).collect();
    let first = rows.iter().find_map(|row| match row {
        Row::Event(fold, _) => Some(fold.first.position.offset),
        Row::Playhead(_) => Some(here),
        _ => None,
    });
    // The first row names the day, so that it is always seen: but not in the place of the only event of that day.
    let is_alone = rows.len() >= height && cursor > 0 && matches!(rows.get(1), Some(Row::Day(_)));
    if let Some(first) = first.filter(|_| height > 4 && !is_alone && !matches!(rows[0], Row::Day(_))) {
        let day = start_of_day(first, zone).unwrap_or(first);
        if rows.len() < height || cursor == 0 {
            rows.insert(0, Row::Day(day));
            rows.truncate(height);
            cursor += 1;
        } else {
            rows[0] = Row::Day(day);
        }
    }
    Rows { rows, cursor }
}

/// The rule by which rows stand between two events.
#[derive(Debug, Clone, Copy)]
struct Between<'z> {
    silence_nanos: i64,
    zone: &'z TimeZone,
}

impl Between<'_> {
    fn row<'a>(self, before: &Event, after: &Event) -> Option<Row<'a>> {
        self.day(before.position.offset, after.position.offset).or_else(|| {
            let pause = since(before, after);
            (self.silence_nanos > 0 && pause > self.silence_nanos).then_some(Row::Silence(pause))
        })
    }

    /// Returns the day that begins between two times.
    fn day<'a>(self, from: Offset, to: Offset) -> Option<Row<'a>> {
        if day(from, self.zone) != day(to, self.zone) {
            return Some(Row::Day(start_of_day(to, self.zone).unwrap_or(to)));
        }
        None
    }
}

fn since(before: &Event, after: &Event) -> i64 {
    after.position.offset.nanos().saturating_sub(before.position.offset.nanos())
}

fn day(at: Offset, zone: &TimeZone) -> Date {
    when::zoned(at, zone).date()
}

fn start_of_day(at: Offset, zone: &TimeZone) -> Option<Offset> {
    when::offset(when::zoned(at, zone).start_of_day().ok()?.timestamp())
}

/// Rows from an event upwards.
struct Upwards<'a, 'z, I: Iterator<Item = Fold<'a>>> {
    folds: std::iter::Peekable<I>,
    between: Between<'z>,
    held: Option<Row<'a>>,
}

impl<'a, 'z, I: Iterator<Item = Fold<'a>>> Upwards<'a, 'z, I> {
    fn new(folds: I, between: Between<'z>) -> Self {
        Self { folds: folds.peekable(), between, held: None }
    }
}

impl<'a, I: Iterator<Item = Fold<'a>>> Iterator for Upwards<'a, '_, I> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        if let Some(row) = self.held.take() {
            return Some(row);
        }
        let fold = self.folds.next()?;
        let before = self.folds.peek().map(|before| before.last);
        self.held = before.and_then(|before| self.between.row(before, fold.first));
        Some(Row::Event(fold, before.map(|before| since(before, fold.first))))
    }
}

/// Rows after an event downwards.
struct Downwards<'a, 'z, I: Iterator<Item = Fold<'a>>> {
    last: Option<&'a Event>,
    folds: I,
    between: Between<'z>,
    held: Option<Row<'a>>,
}

impl<'a, 'z, I: Iterator<Item = Fold<'a>>> Downwards<'a, 'z, I> {
    fn new(last: Option<&'a Event>, folds: I, between: Between<'z>) -> Self {
        Self { last, folds, between, held: None }
    }
}

impl<'a, I: Iterator<Item = Fold<'a>>> Iterator for Downwards<'a, '_, I> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        if let Some(row) = self.held.take() {
            return Some(row);
        }
        let fold = self.folds.next()?;
        let last = self.last.replace(fold.last);
        let row = Row::Event(fold, last.map(|last| since(last, fold.first)));
        match last.and_then(|last| self.between.row(last, fold.first)) {
            None => Some(row),
            Some(between) => {
                self.held = Some(row);
                Some(between)
            }
        }
    }
}
