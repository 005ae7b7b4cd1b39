//! Going through a log: by events, by bars, by jumps; and how much of it the scrubber shows.

use hourlog::Position;

use crate::tui::{
    msg::Effect,
    state::{Direction, Log, Mode, Stand},
    stretch::Stretch,
};

/// The jumps that can be undone.
const UNDO_MAX: usize = 100;
/// The least time that the scrubber shows.
const WINDOW_NANOS_MIN: i64 = 1_000_000;

/// Moves by so many events that are shown.
pub(super) fn step(log: &mut Log, by: i64, rows: usize) {
    let Some(cursor) = log.cursor() else { return };
    let events = log.loaded.events();
    let steps = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
    let to = if by < 0 {
        (0..cursor).rev().filter(|at| log.shows(&events[*at])).take(steps).last()
    } else {
        (cursor + 1..events.len()).filter(|at| log.shows(&events[*at])).take(steps).last()
    };
    let to = to.map_or(events[cursor].position, |at| events[at].position);
    if by < 0 || log.mode != Mode::Live {
        log.mode = Mode::Paused;
    }
    log.playhead = to;
    log.stand = log.stand.step(by, rows);
    keep_in_window(log);
}

/// Moves by so many bars of the scrubber.
pub(super) fn scrub(log: &mut Log, bins: i64) {
    let offset = log.event().filter(|_| log.playhead == Position::MAX || log.playhead == Position::MIN);
    let offset = offset.map_or(log.playhead.offset, |event| event.position.offset);
    let mut to = offset.saturating_add_nanos(log.bin_nanos().saturating_mul(bins));
    if let Some((first, last)) = log.extent {
        to = to.clamp(first, first.max(last.saturating_add_nanos(-1)));
    }
    log.mode = Mode::Paused;
    log.playhead = Position::at(to);
    log.stand = Stand::Middle;
    keep_in_window(log);
}

/// Goes somewhere, so that it can be undone.
pub(super) fn jump(log: &mut Log, to: Position) {
    log.undo.push(log.playhead);
    if log.undo.len() > UNDO_MAX {
        log.undo.remove(0);
    }
    log.redo.clear();
    go(log, to);
}

/// Goes somewhere.
pub(super) fn go(log: &mut Log, to: Position) {
    log.mode = Mode::Paused;
    log.playhead = to;
    log.stand = Stand::Middle;
    if to == Position::MAX && log.loaded.last_reached {
        to_newest(log);
    } else if to == Position::MAX {
        log.loaded = Stretch::default();
    } else if let (Position::MIN, Some((first, _))) = (to, log.extent) {
        log.playhead = Position::at(first);
    }
    keep_in_window(log);
}

/// Goes to the newest event, whichever that is.
pub(super) fn follow(log: &mut Log, effects: &mut Vec<Effect>) {
    log.mode = Mode::Live;
    if !log.follows {
        log.follows = true;
        effects.push(Effect::Follow { opened: log.opened, log: log.id.clone() });
    }
    if log.loaded.last_reached {
        to_newest(log);
    }
}

/// Puts the playhead on the newest event.
pub(super) fn to_newest(log: &mut Log) {
    if let Some((_, last)) = log.loaded.span() {
        log.playhead = last;
    }
    log.new = 0;
    log.stand = Stand::Bottom;
    keep_in_window(log);
}

/// Shows `nanos` of time about the playhead.
pub(super) fn show_about(log: &mut Log, nanos: i64) {
    let half = nanos.max(WINDOW_NANOS_MIN) / 2;
    let about = log.place().offset;
    log.window = Some((about.saturating_add_nanos(-half), about.saturating_add_nanos(half)));
    log.bars_of = None;
}

/// Changes how much time is shown, and keeps the playhead where it is on the screen.
pub(super) fn zoom(log: &mut Log, times: i64, parts: i64) {
    let Some((from, to)) = log.window else { return };
    let about = log.place().offset.clamp(from, to);
    let scaled = |nanos: i64| (i128::from(nanos) * i128::from(times) / i128::from(parts)).min(i64::MAX.into()) as i64;
    let before = scaled(about.nanos().saturating_sub(from.nanos()));
    let behind = scaled(to.nanos().saturating_sub(about.nanos()));
    if before.saturating_add(behind) < WINDOW_NANOS_MIN {
        return;
    }
    log.window = Some((about.saturating_add_nanos(-before), about.saturating_add_nanos(behind)));
}

/// Moves what the scrubber shows, where the playhead has left it.
pub(super) fn keep_in_window(log: &mut Log) {
    let Some((from, to)) = log.window else { return };
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
    log.window = Some((start, start.saturating_add_nanos(width)));
}

/// To where events begin after a stretch without.
pub(super) fn burst(log: &mut Log, direction: Direction) {
    let Some(bars) = &log.bars else { return };
    let at = log.place().offset;
    let mut begins =
        bars.bins.windows(2).filter(|pair| pair[0].count == 0 && pair[1].count > 0).map(|pair| pair[1].from);
    let to = match direction {
        Direction::Back => begins.rev().find(|from| *from < at),
        Direction::On => begins.find(|from| *from > at),
    };
    if let Some(to) = to {
        jump(log, Position::at(to));
    }
}
