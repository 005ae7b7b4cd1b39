//! Playing: the playhead moves by itself.

use std::time::Duration;

use hourlog::{
    Offset, Position,
    pace::{Pace, Speed},
};

use crate::tui::{
    msg::Effect,
    state::{CursorRow, Goal, Mode, State},
    times,
};

use super::travel::{follow, is_at_newest, keep_in_window};

/// Playing time to which skipped silence is shortened.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// The speeds to choose from, in seconds of a log in one second.
const SPEEDS: [f64; 13] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1_000.0, 3_600.0, 86_400.0];
/// Time in which the first speed plays the window.
const WINDOW_SECONDS: f64 = 60.0;

/// Moves the playhead of a playing log.
pub(super) fn tick(state: &mut State, effects: &mut Vec<Effect>) {
    let now = state.now;
    let Some(log) = &mut state.log else { return };
    let Mode::Playing { pace, speed_from, .. } = log.mode else { return };
    let clock = clock(now);
    let mut pace = pace.with_gap_max(log.skips_silence().then_some(SILENCE_MAX));
    let target = Position { offset: pace.playhead(clock), seq: hourlog::Seq::MAX };
    // Playing does not enter the events ahead of now. A playhead that is among them goes on.
    let may_be_played = |offset: Offset| offset <= log.ahead_limit || log.playhead.offset > log.ahead_limit;
    let loaded_to = log.pages.end_of(log.playhead);
    let next = log.pages.from(log.playhead.next()).find(|event| event.position > target);
    let next = next.map(|event| event.position.offset);
    match next {
        Some(next) if may_be_played(next) => {
            let skipped = pace.shorten_gap(next, clock);
            let target = pace.playhead(clock);
            let speed_from = if skipped > 0 { (target, now) } else { speed_from };
            log.mode = Mode::Playing { pace, speed_from, buffering: false };
            // The playhead is on the newest event at exactly this time, or else between two events.
            let played = log.pages.before(Position { offset: target, seq: hourlog::Seq::MAX }).next();
            let played = played.map(|event| event.position).filter(|played| played.offset == target);
            log.playhead = played.unwrap_or(Position::at(target)).max(log.playhead);
            keep_in_window(state);
        }
        _ if next.is_some() || loaded_to == Some(Position::MAX) => follow(state, false, effects),
        _ if loaded_to.is_some_and(|end| end > target) => {
            // Nothing is known to come, but the playhead may go on as far as that is known.
            log.mode = Mode::Playing { pace, speed_from, buffering: false };
            log.playhead = Position::at(target.offset).max(log.playhead);
            keep_in_window(state);
        }
        _ => {
            // Events that are not loaded cannot be shown: the playhead waits for them.
            pace.move_to(log.playhead.offset, clock);
            log.mode = Mode::Playing { pace, speed_from, buffering: true };
        }
    }
}

/// Plays as soon as the log is there, at this speed.
pub(super) fn wish(state: &mut State, speed: Option<Speed>) {
    if let Some(log) = state.log.as_mut().filter(|_| speed.is_some()) {
        (log.speed, log.wants_to_play) = (speed, true);
    }
}

/// Plays a log that was opened to be played, once it is there.
pub(super) fn fulfil(state: &mut State) {
    let Some(log) = &mut state.log else { return };
    let is_there = log.time().is_some() && log.scrubber.grid.is_some() && log.pages.covers(log.playhead);
    if log.wants_to_play && is_there {
        log.wants_to_play = false;
        // From the newest event, there is nothing to play but what comes.
        if log.mode == Mode::Paused {
            play(state);
        }
    }
}

/// Plays from the playhead, or pauses.
pub(super) fn play(state: &mut State) {
    let now = state.now;
    let Some(log) = &mut state.log else { return };
    let (Some(here), Some(grid)) = (log.time(), &log.scrubber.grid) else { return };
    // Playing goes through time.
    log.sorted = None;
    match log.mode {
        Mode::Playing { .. } => {
            log.mode = Mode::Paused;
        }
        Mode::Live => (log.mode, log.goal) = (Mode::Paused, None),
        Mode::Paused if is_at_newest(log) => {
            log.mode = Mode::Live;
            log.goal = Some(Goal::Newest);
        }
        Mode::Paused => {
            let window = grid.window();
            let is_first = log.speed.is_none();
            let speed = *log.speed.get_or_insert_with(|| {
                let seconds = window.1.nanos().saturating_sub(window.0.nanos()) as f64 / 1e9;
                nearest((seconds / WINDOW_SECONDS).max(1.0))
            });
            let pace = Pace::new(here, clock(now), speed);
            log.mode = Mode::Playing { pace, speed_from: (here, now), buffering: false };
            (log.goal, log.cursor_row) = (None, CursorRow::Bottom);
            if is_first {
                state.say(format!("plays {}; < and > change the speed", times::speed(speed)));
            }
        }
    }
}

/// Chooses the next or the previous speed.
pub(super) fn change_speed(state: &mut State, by: isize) {
    let Some(log) = &mut state.log else { return };
    let factor = log.speed().factor();
    let index = SPEEDS.iter().position(|speed| *speed >= factor).unwrap_or(SPEEDS.len() - 1);
    let next = index.checked_add_signed(by).filter(|next| *next < SPEEDS.len());
    let Some(factor) = next.map(|next| SPEEDS[next]) else {
        let end = if by > 0 { "fastest" } else { "slowest" };
        return state.say(format!("this is the {end} speed"));
    };
    set_speed(state, Speed::new(factor).expect("all of these are speeds"));
}

/// Plays at a speed from now on.
pub(super) fn set_speed(state: &mut State, speed: Speed) {
    let now = state.now;
    let Some(log) = &mut state.log else { return };
    log.speed = Some(speed);
    if let Mode::Playing { buffering, .. } = log.mode {
        let from = log.playhead.offset;
        log.mode = Mode::Playing { pace: Pace::new(from, clock(now), speed), speed_from: (from, now), buffering };
    } else {
        state.say(format!("space plays {}", times::speed(speed)));
    }
}

/// Returns the nearest speed, by ratio.
fn nearest(factor: f64) -> Speed {
    let distance = |speed: f64| (speed.ln() - factor.max(SPEEDS[0]).ln()).abs();
    let nearest = SPEEDS.into_iter().min_by(|one, other| distance(*one).total_cmp(&distance(*other)));
    nearest.and_then(|speed| Speed::new(speed).ok()).unwrap_or(Speed::NORMAL)
}

/// Returns `now` as the time of a pace.
fn clock(now: Offset) -> Duration {
    Duration::from_nanos(now.nanos().unsigned_abs())
}
