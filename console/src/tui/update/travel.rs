//! Moving through a log by events, bars and jumps, and choosing how much of it the scrubber shows.

use hourlog::{Event, Position};

use crate::tui::{
    layout,
    msg::Effect,
    rows::rows,
    scale::Grid,
    scan::Direction,
    state::{CursorRow, Goal, Log, Mode, Place, State, Tail},
};

use super::following::start_following;

/// Moves by a number of events.
pub(super) fn step(state: &mut State, by: i64) {
    if step_in_sorted(state, by) {
        return;
    }
    let Some(log) = &state.log else { return };
    let steps = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
    let is_back = by < 0;
    let (rule, here) = (log.fold_rule(), log.playhead);
    let to = match is_back {
        true => {
            let own = log.event().and_then(|_| rule.backward(log.pages.before(here.next())).next());
            let first = own.map_or(here, |own| own.first.position);
            rule.backward(log.pages.before(first)).take(steps).last()
        }
        false => {
            // Between two events, the first step goes to the next one.
            let own = log.event().and_then(|_| rule.forward(log.pages.from(here)).next());
            let next = own.map_or(here, |own| own.last.position.next());
            rule.forward(log.pages.from(next)).take(steps).last()
        }
    };
    let Some(to) = to.map(|fold| fold.first.position) else { return };
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

/// Moves the playhead in a sorted list. Returns false if the list is by time.
fn step_in_sorted(state: &mut State, by: i64) -> bool {
    let rows = layout::list_rows(state);
    let Some(log) = &mut state.log else { return false };
    let Some(sorted) = &mut log.sorted else { return false };
    sorted.stays_first = false;
    let Some(last) = sorted.result.events.len().checked_sub(1) else { return true };
    let index = sorted.index(log.playhead).unwrap_or(0);
    let to = index.saturating_add_signed(isize::try_from(by).unwrap_or(isize::MAX)).min(last);
    sorted.cursor = to;
    log.playhead = sorted.result.events[to].position;
    log.cursor_row = log.cursor_row.step(to as i64 - index as i64, rows);
    keep_in_window(state);
    true
}

/// Moves by a number of bars of the scrubber: to the start of a bar.
pub(super) fn scrub(state: &mut State, bars: i64) {
    let zone = state.bars_zone().clone();
    let Some(log) = &mut state.log else { return };
    let (Some(grid), Some((first, last)), Some(here)) = (&log.scrubber.grid, log.scrubber.extent, log.time()) else {
        return;
    };
    let to = grid.moved(here, bars, &zone).clamp(first, first.max(last.saturating_add_nanos(-1)));
    (log.mode, log.sorted) = (Mode::Paused, None);
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
    (log.mode, log.sorted) = (Mode::Paused, None);
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
    log.sorted = None;
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
