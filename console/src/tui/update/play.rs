//! Playing: the playhead moves by itself.

use std::time::Duration;

use hourlog::{Offset, Position, pace::Pace};

use crate::tui::{
    msg::Effect,
    state::{Log, Mode, State},
    times,
};

use super::travel::{follow, keep_in_window};

/// Playing time to which skipped silence is shortened.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// Moves the playhead of a playing log.
pub(super) fn tick(state: &mut State, effects: &mut Vec<Effect>) {
    let now = state.now;
    let Some(log) = &mut state.log else { return };
    let Mode::Playing { pace, speed_from, .. } = log.mode else { return };
    let clock = clock(now);
    let mut pace = pace.with_gap_max(log.skip_silence.then_some(SILENCE_MAX));
    let mut target = pace.playhead(clock);
    let skipped;
    let buffering = !log.loaded.last_reached() && log.loaded.span().is_none_or(|(_, last)| last.offset < target);
    if buffering {
        // Events that are not loaded cannot be shown: the playhead waits for them.
        pace.move_to(log.playhead.offset, clock);
        log.mode = Mode::Playing { pace, speed_from, buffering };
        return;
    }
    let events = log.loaded.events();
    let played = events.partition_point(|event| event.position.offset <= target);
    // Playing does not enter the events ahead of now. A playhead that is among them goes on.
    let is_to_come = |offset: Offset| offset <= log.ahead_limit || log.playhead.offset > log.ahead_limit;
    let next = events.range(played..).find(|event| log.shows(event)).filter(|event| is_to_come(event.position.offset));
    match next.map(|event| event.position.offset) {
        None => return follow(log, effects),
        Some(next) => {
            skipped = pace.shorten_gap(next, clock);
            target = pace.playhead(clock);
            let speed_from = if skipped > 0 { (target, now) } else { speed_from };
            log.mode = Mode::Playing { pace, speed_from, buffering: false };
        }
    }
    // The playhead is on the newest event at exactly this time, or else between two events.
    let played = log.loaded.events().partition_point(|event| event.position.offset <= target);
    let newest = played.checked_sub(1).map(|index| log.loaded.events()[index].position);
    log.playhead = newest.filter(|newest| newest.offset == target).unwrap_or(Position::at(target));
    keep_in_window(log);
    if skipped > 0 {
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
                let pace = Pace::new(from, clock(now), log.speed);
                Mode::Playing { pace, speed_from: (from, now), buffering: false }
            };
        }
    }
}

/// Multiplies the speed.
pub(super) fn change_speed(log: &mut Log, factor: f64, now: Offset) {
    log.speed = log.speed.times(factor);
    if let Mode::Playing { buffering, .. } = log.mode {
        let from = log.playhead.offset;
        log.mode = Mode::Playing { pace: Pace::new(from, clock(now), log.speed), speed_from: (from, now), buffering };
    }
}

/// Returns `now` as the time of a pace.
fn clock(now: Offset) -> Duration {
    Duration::from_nanos(now.nanos().unsigned_abs())
}
