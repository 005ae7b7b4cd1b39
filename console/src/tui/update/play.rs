//! A log that moves by itself.

use hourlog::{Offset, Position};

use crate::tui::{
    msg::Effect,
    state::{Log, Mode, State},
};

use super::{
    say,
    travel::{follow, keep_in_window},
};

/// A stretch without events that would be played for longer than this is played as long, where that is wished.
const SILENCE_NANOS: i64 = 2_000_000_000;
/// How slow, and how fast, a log is played.
const SPEEDS: (f64, f64) = (0.1, 1_000.0);

/// Lets the playhead move on by itself.
pub(super) fn tick(state: &mut State, effects: &mut Vec<Effect>) {
    let now = state.now;
    let Some(log) = &mut state.log else { return };
    let Mode::Playing { offset, at, begun, .. } = log.mode else { return };
    let mut skipped = None;
    let passed = now.nanos().saturating_sub(at.nanos()).max(0);
    let mut target = offset.saturating_add_nanos((passed as f64 * log.speed) as i64);
    let waits = !log.loaded.last_reached && log.loaded.span().is_none_or(|(_, last)| last.offset < target);
    if waits {
        // What is not loaded cannot be shown: time stands still until it is.
        log.mode = Mode::Playing { offset: log.playhead.offset, at: now, begun, waits };
        return;
    }
    let silence = (SILENCE_NANOS as f64 * log.speed) as i64;
    let events = log.loaded.events();
    let come = events.partition_point(|event| event.position.offset <= target);
    let next = events.range(come..).find(|event| log.shows(event));
    match next.map(|event| event.position.offset) {
        None => return follow(log, effects),
        Some(next) if log.skip_silence && next.nanos().saturating_sub(target.nanos()) > silence => {
            let played_to = target;
            target = next.saturating_add_nanos(-silence);
            skipped = Some(target.nanos().saturating_sub(played_to.nanos()));
            log.mode = Mode::Playing { offset: target, at: now, begun: (target, now), waits: false };
        }
        Some(_) => log.mode = Mode::Playing { offset, at, begun, waits: false },
    }
    // The newest event that has come by then; before the first there is the time alone.
    let come = log.loaded.events().partition_point(|event| event.position.offset <= target);
    let newest = come.checked_sub(1).map(|at| log.loaded.events()[at].position);
    log.playhead = newest.filter(|newest| newest.offset == target).unwrap_or(Position::at(target));
    keep_in_window(log);
    if let Some(skipped) = skipped {
        say(state, format!("{} skipped", crate::tui::view::times::span(skipped)));
    }
}

/// Plays from where one is, or pauses.
pub(super) fn play(log: &mut Log, now: Offset) {
    match log.mode {
        Mode::Playing { .. } => {
            // What is seen stays under the cursor.
            if let Some(event) = log.event() {
                log.playhead = event.position;
            }
            log.mode = Mode::Paused;
        }
        Mode::Paused | Mode::Live => {
            let at_end = log.loaded.last_reached && log.cursor().is_some_and(|at| at + 1 == log.loaded.events().len());
            let offset = log.place().offset;
            log.mode =
                if at_end { Mode::Live } else { Mode::Playing { offset, at: now, begun: (offset, now), waits: false } };
        }
    }
}

/// Plays so many times as fast.
pub(super) fn speed(log: &mut Log, times: f64, now: Offset) {
    log.speed = (log.speed * times).clamp(SPEEDS.0, SPEEDS.1);
    if let Mode::Playing { waits, .. } = log.mode {
        let offset = log.playhead.offset;
        log.mode = Mode::Playing { offset, at: now, begun: (offset, now), waits };
    }
}
