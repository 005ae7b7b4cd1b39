//! Moving through a log by events, bars and jumps, and choosing how much of it the scrubber shows.

use hourlog::{Event, Offset, Position};

use crate::tui::{
    layout,
    msg::Effect,
    rows::rows,
    scale::Grid,
    scan::Direction,
    state::{CursorRow, Goal, Log, Mode, Place, State, Tail},
};

use super::following::start_following;

/// A bar is a burst if it has this many times the median of the bars before it.
const BURST_MEDIANS: u64 = 5;
/// Bars before a burst that it is compared with.
const BURST_BARS: usize = 30;
/// Bars without an event after which the next one is a burst.
const SILENT_BARS: usize = 3;

/// Moves by a number of events.
pub(super) fn step(state: &mut State, by: i64) {
    let Some(log) = &state.log else { return };
    let steps = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
    let is_back = by < 0;
    let to = match is_back {
        true => log.pages.before(log.playhead).take(steps).last(),
        // Between two events, the first step goes to the next one.
        false => log.pages.from(log.playhead).skip(usize::from(log.event().is_some())).take(steps).last(),
    };
    let Some(to) = to.map(|event| event.position) else { return };
    let drawn = rows(state, log);
    let cursor_row = match drawn.index(to) {
        Some(index) => CursorRow::At(index),
        None if is_back => CursorRow::At(0),
        None => CursorRow::Bottom,
    };
    let Some(log) = &mut state.log else { return };
    if is_back || log.mode != Mode::Live || to.offset > log.ahead_limit {
        log.mode = Mode::Paused;
        log.goal = None;
    }
    (log.playhead, log.cursor_row) = (to, cursor_row);
    keep_in_window(state);
}

/// Moves by a number of bars of the scrubber: to the start of a bar.
pub(super) fn scrub(state: &mut State, bars: i64) {
    let zone = state.bars_zone().clone();
    let Some(log) = &mut state.log else { return };
    let (Some(grid), Some((first, last)), Some(here)) = (&log.scrubber.grid, log.scrubber.extent, log.time()) else {
        return;
    };
    let to = grid.moved(here, bars, &zone).clamp(first, first.max(last.saturating_add_nanos(-1)));
    log.mode = Mode::Paused;
    (log.goal, log.cursor_row) = (None, CursorRow::Middle);
    log.playhead = Position::at(to);
    keep_in_window(state);
}

/// Goes to a position. The jump can be undone.
pub(super) fn jump(state: &mut State, to: Position) {
    let Some(log) = &mut state.log else { return };
    let here = log.place();
    let grid = log.scrubber.grid.clone();
    log.jumps.push(here);
    go(state, Place { playhead: to, goal: None, grid });
}

/// Goes to a place that is known once it is loaded. The jump can be undone.
pub(super) fn jump_to_goal(state: &mut State, goal: Goal) {
    let Some(log) = &mut state.log else { return };
    let (here, grid) = (log.place(), log.scrubber.grid.clone());
    log.jumps.push(here);
    let playhead = if goal == Goal::Oldest { Position::MIN } else { Position::MAX };
    go(state, Place { playhead, goal: Some(goal), grid });
}

/// Goes to a place.
pub(super) fn go(state: &mut State, to: Place) {
    let Some(log) = &mut state.log else { return };
    log.mode = Mode::Paused;
    log.is_stopped_reading = false;
    (log.playhead, log.goal, log.scrubber.grid) = (to.playhead, to.goal, to.grid);
    log.cursor_row = CursorRow::Middle;
    settle(state);
    keep_in_window(state);
}

/// Goes to the newest event, and stays at the newest from now on.
pub(super) fn follow(state: &mut State, is_jump: bool, effects: &mut Vec<Effect>) {
    if is_jump {
        jump_to_goal(state, Goal::Newest);
    }
    let Some(log) = &mut state.log else { return };
    (log.mode, log.goal, log.cursor_row, log.unseen) = (Mode::Live, Some(Goal::Newest), CursorRow::Bottom, 0);
    if log.tail == Tail::Stopped {
        log.tail = Tail::Waiting;
        // The loaded pages may lack events that arrived since.
        log.pages.outdate();
        start_following(state, effects);
    }
    settle(state);
    keep_in_window(state);
}

/// Moves the playhead to its goal as soon as that is known, and from a time to the event that is there.
pub(super) fn settle(state: &mut State) {
    let Some(log) = &mut state.log else { return };
    let to = match log.goal {
        Some(Goal::Newest) => log.newest().map(|event| event.position),
        Some(Goal::Oldest) => log.pages.from(Position::MIN).next().map(|event| event.position),
        None if log.mode == Mode::Paused && log.playhead == Position::at(log.playhead.offset) => {
            let next = log.pages.from(log.playhead).next();
            next.filter(|next| next.position.offset == log.playhead.offset).map(|next| next.position)
        }
        None => None,
    };
    let Some(to) = to.filter(|to| *to != log.playhead) else {
        if log.mode != Mode::Live && log.event().is_some() {
            log.goal = None;
        }
        return;
    };
    log.playhead = to;
    if log.mode == Mode::Live {
        log.cursor_row = CursorRow::Bottom;
    } else {
        log.goal = None;
    }
    keep_in_window(state);
}

/// Shows `nanos` of time around the playhead.
pub(super) fn show_around(state: &mut State, nanos: i64) {
    let (width, zone) = (layout::bars_width(state.size), state.bars_zone().clone());
    let Some(log) = &mut state.log else { return };
    if let (Some(here), Some(_)) = (log.time(), &log.scrubber.grid) {
        log.scrubber.grid = Some(Grid::of_length(nanos, here, width, &zone));
        keep_in_window(state);
    }
}

/// Shows shorter or longer bars. The playhead stays where it is on the screen.
pub(super) fn zoom(state: &mut State, by: isize) {
    let (width, zone) = (layout::bars_width(state.size), state.bars_zone().clone());
    let Some(log) = &mut state.log else { return };
    let (Some(here), Some(grid), Some((first, last))) = (log.time(), &log.scrubber.grid, log.scrubber.extent) else {
        return;
    };
    let zoomed = grid.zoomed(by, here, width, &zone);
    let (from, to) = zoomed.window();
    let shows_all = by > 0 && from <= first && last <= to && (first..last).contains(&here);
    log.scrubber.grid = Some(if shows_all { Grid::fit((first, last), width, &zone) } else { zoomed });
}

/// Shows the whole log.
pub(super) fn zoom_all(state: &mut State) {
    let (width, zone) = (layout::bars_width(state.size), state.bars_zone().clone());
    let Some(log) = &mut state.log else { return };
    if let Some(extent) = log.scrubber.extent {
        log.scrubber.grid = Some(Grid::fit(extent, width, &zone));
    }
}

/// Shows the range.
pub(super) fn zoom_range(state: &mut State) {
    let (width, zone) = (layout::bars_width(state.size), state.bars_zone().clone());
    let Some(log) = &mut state.log else { return };
    match log.range_times() {
        Some((from, to)) if from < to => {
            log.scrubber.grid = Some(Grid::fit((from, to.saturating_add_nanos(1)), width, &zone));
        }
        _ => state.say("v begins a range"),
    }
}

/// Moves the window of the scrubber if the playhead has left it.
pub(super) fn keep_in_window(state: &mut State) {
    let zone = state.bars_zone().clone();
    let Some(log) = &mut state.log else { return };
    let (Some(here), Some(grid)) = (log.time(), &log.scrubber.grid) else { return };
    if grid.bar(here).is_none() {
        let moved = if log.mode == Mode::Live { grid.ending_with(here, &zone) } else { grid.with(here, &zone) };
        log.scrubber.grid = Some(moved);
    }
}

/// Shows the playhead in the window, after the screen has another width.
pub(super) fn resized(state: &mut State) {
    let (width, zone) = (layout::bars_width(state.size), state.bars_zone().clone());
    if let Some(log) = &mut state.log
        && let (Some(grid), Some((first, last))) = (&mut log.scrubber.grid, log.scrubber.extent)
    {
        let (from, to) = grid.window();
        *grid = match from <= first && last <= to {
            true => Grid::fit((first, last), width, &zone),
            false => grid.of_width(log.playhead.offset, width, &zone),
        };
    }
    keep_in_window(state);
}

/// Jumps to the start of the next burst among the bars of the window.
pub(super) fn burst(state: &mut State, direction: Direction) {
    let Some(log) = &state.log else { return };
    let Some(counts) = log.scrubber.counts.known() else { return };
    let here = log.playhead.offset;
    let counted: Vec<(Offset, u64)> = counts.bins.iter().map(|bin| (bin.from, bin.count)).collect();
    let starts = bursts(&counted);
    let to = match direction {
        Direction::Backward => starts.into_iter().rev().find(|start| *start < here),
        Direction::Forward => starts.into_iter().find(|start| *start > here),
    };
    match (to, direction) {
        (Some(to), _) => jump(state, Position::at(to)),
        (None, Direction::Backward) => state.say("no burst before this in the window"),
        (None, Direction::Forward) => state.say("no burst behind this in the window"),
    }
}

/// Returns the starts of the bars that are bursts.
fn bursts(bars: &[(Offset, u64)]) -> Vec<Offset> {
    let is_burst = |index: usize| {
        let count = bars[index].1;
        let before = &bars[index.saturating_sub(BURST_BARS)..index];
        let mut sorted: Vec<u64> = before.iter().map(|(_, count)| *count).collect();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
        let silent = before.iter().rev().take_while(|(_, count)| *count == 0).count();
        count > 0 && (silent >= SILENT_BARS || (median > 0 && count >= median.saturating_mul(BURST_MEDIANS)))
    };
    (1..bars.len()).filter(|index| is_burst(*index)).map(|index| bars[index].0).collect()
}

/// Jumps to the nearest mark in a direction.
pub(super) fn mark(state: &mut State, direction: Direction) {
    let Some(log) = &state.log else { return };
    let mark = match direction {
        Direction::Backward => log.marks.range(..log.playhead).next_back(),
        Direction::Forward => log.marks.range(log.playhead.next()..).next(),
    };
    if let Some(mark) = mark.copied() {
        jump(state, mark);
    }
}

/// Jumps to the nearest event of another log than that of the playhead's event.
pub(super) fn other(state: &mut State, direction: Direction) {
    let Some(log) = &state.log else { return };
    let here = log.detail_event().map(|event| event.log.clone());
    let is_other = |event: &&Event| Some(&event.log) != here.as_ref();
    let to = match direction {
        Direction::Forward => log.pages.from(log.playhead.next()).find(is_other),
        Direction::Backward => log.pages.before(log.playhead).find(is_other),
    };
    match to.map(|event| event.position) {
        Some(to) => jump(state, to),
        None => state.say("no event of another log is near"),
    }
}

/// Returns true if the playhead is at the newest event.
pub(super) fn is_at_newest(log: &Log) -> bool {
    log.newest().is_some_and(|newest| newest.position <= log.playhead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_much_more_than_before_or_comes_after_silence() {
        let bars = |counts: &[u64]| {
            let bars: Vec<(Offset, u64)> =
                counts.iter().enumerate().map(|(at, count)| (Offset::from_nanos(at as i64), *count)).collect();
            bursts(&bars).into_iter().map(Offset::nanos).collect::<Vec<_>>()
        };
        assert_eq!(bars(&[2, 2, 2, 10, 2, 9, 2]), [3]);
        assert_eq!(bars(&[1, 0, 0, 0, 1, 1, 0, 0, 1]), [4]);
        assert!(bars(&[0, 0, 0]).is_empty() && bars(&[]).is_empty());
    }
}
