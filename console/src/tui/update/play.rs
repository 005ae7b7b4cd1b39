//! Playing: the playhead moves by itself.

use hourlog::{Offset, Position};

use crate::tui::{
    msg::Effect,
    state::{Log, Mode, State},
    times,
};

use super::travel::{follow, keep_in_window};

/// Playing time to which skipped silence is shortened.
const SILENCE_NANOS: i64 = 2_000_000_000;
/// Slowest and fastest speed.
const SPEEDS: (f64, f64) = (0.1, 1_000.0);

/// Moves the playhead of a playing log.
pub(super) fn tick(state: &mut State, effects: &mut Vec<Effect>) {
    let now = state.now;
    let Some(log) = &mut state.log else { return };
    let Mode::Playing { from, at, speed_from, .. } = log.mode else { return };
    let mut skipped = None;
    let passed = now.nanos().saturating_sub(at.nanos()).max(0);
    let mut target = from.saturating_add_nanos((passed as f64 * log.speed) as i64);
    let buffering = !log.loaded.last_reached() && log.loaded.span().is_none_or(|(_, last)| last.offset < target);
    if buffering {
        // Events that are not loaded cannot be shown: the playhead waits for them.
        log.mode = Mode::Playing { from: log.playhead.offset, at: now, speed_from, buffering };
        return;
    }
    let silence = (SILENCE_NANOS as f64 * log.speed) as i64;
    let events = log.loaded.events();
    let played = events.partition_point(|event| event.position.offset <= target);
    // Playing does not enter the events ahead of now. A playhead that is among them goes on.
    let is_to_come = |offset: Offset| offset <= log.ahead_limit || log.playhead.offset > log.ahead_limit;
    let next = events.range(played..).find(|event| log.shows(event)).filter(|event| is_to_come(event.position.offset));
    match next.map(|event| event.position.offset) {
        None => return follow(log, effects),
        Some(next) if log.skip_silence && next.nanos().saturating_sub(target.nanos()) > silence => {
            let played_to = target;
            target = next.saturating_add_nanos(-silence);
            skipped = Some(target.nanos().saturating_sub(played_to.nanos()));
            log.mode = Mode::Playing { from: target, at: now, speed_from: (target, now), buffering: false };
        }
        Some(_) => log.mode = Mode::Playing { from, at, speed_from, buffering: false },
    }
    // The playhead is on the newest event at exactly this time, or else between two events.
    let played = log.loaded.events().partition_point(|event| event.position.offset <= target);
    let newest = played.checked_sub(1).map(|index| log.loaded.events()[index].position);
    log.playhead = newest.filter(|newest| newest.offset == target).unwrap_or(Position::at(target));
    keep_in_window(log);
    if let Some(skipped) = skipped {
        state.say(format!("{} skipped", times::duration(skipped)));
    }
}

/// Plays from the selected event, or pauses.
pub(super) fn play(log: &mut Log, now: Offset) {
    match log.mode {
        Mode::Playing { .. } => {
            // Pausing must not move the cursor to another event.
            if let Some(event) = log.cursor_event() {
                log.playhead = event.position;
            }
            log.mode = Mode::Paused;
        }
        Mode::Paused | Mode::Live => {
            let cursor = log.cursor_index();
            let is_last = cursor.is_some_and(|index| index + 1 == log.loaded.events().len());
            // If an event after it is loaded, that one lies ahead of now.
            let is_newest = cursor.is_some() && cursor == log.newest_index() && (!is_last || log.loaded.last_reached());
            let from = log.selected().offset;
            log.mode = if is_newest || (log.loaded.last_reached() && is_last) {
                Mode::Live
            } else {
                Mode::Playing { from, at: now, speed_from: (from, now), buffering: false }
            };
        }
    }
}

/// Multiplies the speed.
pub(super) fn change_speed(log: &mut Log, factor: f64, now: Offset) {
    log.speed = (log.speed * factor).clamp(SPEEDS.0, SPEEDS.1);
    if let Mode::Playing { buffering, .. } = log.mode {
        let from = log.playhead.offset;
        log.mode = Mode::Playing { from, at: now, speed_from: (from, now), buffering };
    }
}
