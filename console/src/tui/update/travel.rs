//! Moving through a log by events, bars and jumps, and choosing how much of it the scrubber shows.

use hourlog::Position;

use crate::tui::{
    loaded::LoadedEvents,
    msg::Effect,
    scan::Direction,
    state::{CursorRow, Log, Mode, State},
};

/// Shortest time that the scrubber shows.
const WINDOW_NANOS_MIN: i64 = 1_000_000;

/// Moves by a number of shown events.
pub(super) fn step(log: &mut Log, by: i64, rows: usize) {
    let Some(cursor) = log.cursor_index() else { return };
    let events = log.loaded.events();
    let steps = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
    let to = if by < 0 {
        (0..cursor).rev().filter(|index| log.shows(&events[*index])).take(steps).last()
    } else {
        (cursor + 1..events.len()).filter(|index| log.shows(&events[*index])).take(steps).last()
    };
    let to = to.map_or(events[cursor].position, |index| events[index].position);
    if by < 0 || log.mode != Mode::Live || to.offset > log.ahead_limit {
        log.mode = Mode::Paused;
    }
    log.playhead = to;
    log.cursor_row = log.cursor_row.step(by, rows);
    keep_in_window(log);
}

/// Moves by a number of bars of the scrubber.
pub(super) fn scrub(log: &mut Log, bars: i64) {
    let event = log.cursor_event().filter(|_| log.playhead == Position::MAX || log.playhead == Position::MIN);
    let offset = event.map_or(log.playhead.offset, |event| event.position.offset);
    let mut to = offset.saturating_add_nanos(log.bin_nanos().saturating_mul(bars));
    if let Some((first, last)) = log.scrubber.extent {
        to = to.clamp(first, first.max(last.saturating_add_nanos(-1)));
    }
    log.mode = Mode::Paused;
    log.playhead = Position::at(to);
    log.cursor_row = CursorRow::Middle;
    keep_in_window(log);
}

/// Goes to a position. The jump can be undone.
pub(super) fn jump(log: &mut Log, to: Position) {
    log.jumps.push(log.playhead);
    go(log, to);
}

/// Goes to a position.
pub(super) fn go(log: &mut Log, to: Position) {
    log.mode = Mode::Paused;
    log.playhead = to;
    log.cursor_row = CursorRow::Middle;
    if to == Position::MAX && log.loaded.last_reached() {
        to_newest(log);
    } else if to == Position::MAX {
        log.loaded = LoadedEvents::default();
    } else if let (Position::MIN, Some((first, _))) = (to, log.scrubber.extent) {
        log.playhead = Position::at(first);
    }
    keep_in_window(log);
}

/// Goes to the newest event, and stays at the newest from now on.
pub(super) fn follow(log: &mut Log, effects: &mut Vec<Effect>) {
    log.mode = Mode::Live;
    if !log.follows {
        log.follows = true;
        effects.push(Effect::Follow { opened: log.opened(), log: log.id.clone() });
    }
    if log.loaded.last_reached() {
        to_newest(log);
    }
}

/// Puts the playhead on the newest loaded event that does not lie ahead of now.
pub(super) fn to_newest(log: &mut Log) {
    if let Some(newest) = log.newest_index() {
        log.playhead = log.loaded.events()[newest].position;
    }
    log.unseen = 0;
    log.cursor_row = CursorRow::Bottom;
    keep_in_window(log);
}

/// Shows `nanos` of time around the selected event.
pub(super) fn show_around(state: &mut State, nanos: i64) {
    let Some(log) = &mut state.log else { return };
    let half = nanos.max(WINDOW_NANOS_MIN) / 2;
    let center = log.selected().offset;
    log.scrubber.window = Some((center.saturating_add_nanos(-half), center.saturating_add_nanos(half)));
    state.requests.recount();
}

/// Multiplies the shown time by `numerator / denominator`. The selected event stays where it is on
/// the screen.
pub(super) fn zoom(log: &mut Log, numerator: i64, denominator: i64) {
    let Some((from, to)) = log.scrubber.window else { return };
    let center = log.selected().offset.clamp(from, to);
    let scaled = |nanos: i64| {
        let nanos = i128::from(nanos) * i128::from(numerator) / i128::from(denominator);
        nanos.min(i64::MAX.into()) as i64
    };
    let before = scaled(center.nanos().saturating_sub(from.nanos()));
    let after = scaled(to.nanos().saturating_sub(center.nanos()));
    if before.saturating_add(after) >= WINDOW_NANOS_MIN {
        log.scrubber.window = Some((center.saturating_add_nanos(-before), center.saturating_add_nanos(after)));
    }
}

/// Moves the window of the scrubber if the playhead has left it.
pub(super) fn keep_in_window(log: &mut Log) {
    let Some((from, to)) = log.scrubber.window else { return };
    let offset = match log.playhead {
        Position::MAX | Position::MIN => return,
        playhead => playhead.offset,
    };
    let width = to.nanos().saturating_sub(from.nanos());
    let start = if offset < from {
        offset.saturating_add_nanos(-width / 4)
    } else if offset >= to {
        offset.saturating_add_nanos(-(width - width / 4))
    } else {
        return;
    };
    log.scrubber.window = Some((start, start.saturating_add_nanos(width)));
}

/// Jumps to the start of the next burst: the first bin with events after one without.
pub(super) fn burst(log: &mut Log, direction: Direction) {
    let Some(counts) = &log.scrubber.counts else { return };
    let here = log.selected().offset;
    let mut starts =
        counts.bins.windows(2).filter(|pair| pair[0].count == 0 && pair[1].count > 0).map(|pair| pair[1].from);
    let to = match direction {
        Direction::Backward => starts.rev().find(|start| *start < here),
        Direction::Forward => starts.find(|start| *start > here),
    };
    if let Some(to) = to {
        jump(log, Position::at(to));
    }
}

/// Jumps to the nearest mark in a direction.
pub(super) fn mark(log: &mut Log, direction: Direction) {
    let mark = match direction {
        Direction::Backward => log.marks.range(..log.playhead).next_back(),
        Direction::Forward => log.marks.range(log.playhead.next()..).next(),
    };
    if let Some(mark) = mark.copied() {
        jump(log, mark);
    }
}
