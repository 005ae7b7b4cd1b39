//! A log that is open: where one is in it, what is loaded around that, and how it moves.

use hourlog::{ErrorKind, Event, Offset, Position, Result, wire::TimelineReply};

use crate::tui::{
    keymap::Action,
    msg::{Ask, Effect, Fetch, Found},
    state::{Away, Counting, Log, Mode, Prompt, PromptKind, State, Tab, Times, has},
    stretch::Stretch,
};

use super::say;

/// The jumps that can be undone.
const UNDO_MAX: usize = 100;
/// The least time that the scrubber shows.
const WINDOW_NANOS_MIN: i64 = 1_000_000;
/// A stretch without events that is longer than this is passed over while playing, where that is wished.
const SILENCE_NANOS: i64 = 2_000_000_000;
/// So much time on the clock is loaded ahead of what plays.
const READ_AHEAD_NANOS: i64 = 3_000_000_000;
/// How often counts are asked for again while what comes is followed.
const COUNT_EVERY_NANOS: i64 = 2_000_000_000;
/// The pause before something that failed is asked for again.
const AGAIN_NANOS: i64 = 1_000_000_000;
/// How slow, and how fast, a log is played.
const SPEEDS: (f64, f64) = (0.1, 1_000.0);

/// Asks for what is missing: at most one stretch of events and one set of counts at a time, so that a key that is held down is a few
/// requests, of which the last is for where it ends.
pub(super) fn ask(state: &mut State, effects: &mut Vec<Effect>) {
    let (now, columns) = (state.now, state.size.0);
    let Some(log) = &mut state.log else { return };
    let rests = now < log.rests_until;
    if log.asked.is_none() && !log.empty && !rests {
        let wants = if std::mem::take(&mut log.stale) {
            Some(if log.mode == Mode::Live { Fetch::Newest } else { Fetch::Around(log.playhead) })
        } else if log.loaded.events().is_empty() && log.playhead == Position::MAX {
            (!log.loaded.last_reached).then_some(Fetch::Newest)
        } else {
            let ahead = match log.mode {
                Mode::Playing { .. } => (READ_AHEAD_NANOS as f64 * log.speed) as i64,
                Mode::Paused | Mode::Live => 0,
            };
            let lacks = || log.loaded.lacks(log.playhead.offset.saturating_add_nanos(ahead));
            log.loaded
                .wants(log.playhead, |event| log.filter.as_deref().is_none_or(|text| has(event, text)))
                .or_else(lacks)
        };
        if let Some(fetch) = wants {
            log.asked = Some(now);
            effects.push(Effect::Ask(Ask::Load { opened: log.opened, log: log.id.clone(), fetch }));
        }
    }
    let bins = u32::from(columns.clamp(20, 400)) - 2;
    let fresh = |(counted, at): &(Counting, Offset)| {
        let old = log.follows && now.nanos().saturating_sub(at.nanos()) >= COUNT_EVERY_NANOS;
        *counted == (log.window, bins) && !old
    };
    if log.bars_asked.is_none() && !log.empty && !rests && !log.bars_of.as_ref().is_some_and(fresh) {
        log.bars_asked = Some((log.window, bins));
        effects.push(Effect::Ask(Ask::Count { opened: log.opened, log: log.id.clone(), span: log.window, bins }));
    }
}

pub(super) fn loaded(state: &mut State, opened: u64, fetch: Fetch, found: Result<Found>) {
    let Some(log) = state.log.as_mut().filter(|log| log.opened == opened) else { return };
    log.asked = None;
    match found {
        Ok(found) => {
            log.away = None;
            log.empty = found.events.is_empty() && found.first_reached && found.last_reached;
            log.loaded.take(fetch, found, log.playhead);
            if log.mode == Mode::Live {
                to_newest(log);
            }
        }
        Err(error) => failed(state, &error),
    }
}

pub(super) fn counted(state: &mut State, opened: u64, bars: Result<TimelineReply>) {
    let now = state.now;
    let Some(log) = state.log.as_mut().filter(|log| log.opened == opened) else { return };
    let Some((window, bins)) = log.bars_asked.take() else { return };
    match bars {
        Ok(bars) => {
            if window.is_none() {
                let extent = (bars.from, bars.to);
                log.extent = Some(extent);
                log.window.get_or_insert(extent);
            }
            log.away = None;
            log.bars_of = Some(((window.or(log.window), bins), now));
            log.bars = Some(bars);
        }
        Err(error) => failed(state, &error),
    }
}

/// Something was not answered, or not with what was asked for. It is asked for again a moment later.
fn failed(state: &mut State, error: &hourlog::Error) {
    let now = state.now;
    let Some(log) = &mut state.log else { return };
    log.rests_until = now.saturating_add_nanos(AGAIN_NANOS);
    match error.kind() {
        ErrorKind::NotFound => log.empty = true,
        ErrorKind::Unavailable | ErrorKind::Deadline | ErrorKind::NotAllowed => {
            log.away = Some(Away::after(error, log.away.as_ref(), now));
        }
        // Somebody is there, and does not understand us.
        _ => say(state, error.to_string()),
    }
}

/// What came between the first page and now was not told.
pub(super) fn follows(state: &mut State, opened: u64) {
    if let Some(log) = state.log.as_mut().filter(|log| log.opened == opened) {
        log.stale = true;
        log.empty = false;
    }
}

pub(super) fn arrived(state: &mut State, opened: u64, events: Result<Vec<Event>>) {
    let Some(log) = state.log.as_mut().filter(|log| log.opened == opened) else { return };
    match events {
        Ok(events) => {
            log.away = None;
            if log.empty && !events.is_empty() {
                log.empty = false;
                log.loaded = Stretch::whole();
            }
            for event in events {
                let offset = event.position.offset;
                if let Some((first, last)) = &mut log.extent {
                    (*first, *last) = ((*first).min(offset), (*last).max(offset.saturating_add_nanos(1)));
                }
                log.new += u64::from(log.mode != Mode::Live);
                log.loaded.arrived(event, log.playhead);
            }
            if log.mode == Mode::Live {
                to_newest(log);
            }
        }
        Err(error) => failed(state, &error),
    }
}

pub(super) fn hit(state: &mut State, opened: u64, hit: Result<Option<Position>>) {
    let Some(log) = state.log.as_mut().filter(|log| log.opened == opened) else { return };
    log.finding = false;
    match hit {
        Ok(Some(position)) => jump(log, position),
        Ok(None) => say(state, "no further hit"),
        Err(error) => say(state, error.to_string()),
    }
}

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
    let events = log.loaded.events();
    let come = events.partition_point(|event| event.position.offset <= target);
    let next = events.range(come..).find(|event| log.shows(event));
    match next.map(|event| event.position.offset) {
        None => return follow(log, effects),
        Some(next) if log.skip_silence && next.nanos().saturating_sub(target.nanos()) > SILENCE_NANOS => {
            let played_to = target;
            target = next.saturating_add_nanos(-SILENCE_NANOS);
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

pub(super) fn act(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    let rows = usize::from(state.size.1.saturating_sub(10)).max(1);
    let (now, zone) = (state.now, state.zone.clone());
    let Some(log) = &mut state.log else { return };
    match action {
        Action::Back if log.finding => {
            log.finding = false;
            effects.push(Effect::StopFinding);
        }
        Action::Back if log.detail => log.detail = false,
        Action::AllOff => {
            (log.filter, log.search) = (None, None);
            say(state, "neither searched nor filtered");
        }
        Action::Back => {
            state.log = None;
            effects.push(Effect::StopFollowing);
        }
        Action::Open => log.detail = !log.detail,
        Action::Down => step(log, 1),
        Action::Up => step(log, -1),
        Action::PageDown => step(log, rows as i64),
        Action::PageUp => step(log, -(rows as i64)),
        Action::BinBack => scrub(log, -1),
        Action::BinOn => scrub(log, 1),
        Action::TenBinsBack => scrub(log, -10),
        Action::TenBinsOn => scrub(log, 10),
        Action::First => jump(log, Position::MIN),
        Action::Last => {
            jump(log, Position::MAX);
            follow(log, effects);
        }
        Action::ZoomIn => zoom(log, 1, 2),
        Action::ZoomOut => zoom(log, 2, 1),
        Action::ZoomAll => {
            log.window = log.extent;
            log.bars_of = None;
        }
        Action::Window => prompt(state, PromptKind::Window, ""),
        Action::GoTo => prompt(state, PromptKind::GoTo, ""),
        Action::Search => {
            let text = log.search.clone().unwrap_or_default();
            prompt(state, PromptKind::Search, &text);
        }
        Action::Filter => {
            let text = log.filter.clone().unwrap_or_default();
            prompt(state, PromptKind::Filter, &text);
        }
        Action::HitOn => find(state, false, effects),
        Action::HitBack => find(state, true, effects),
        Action::Follow if log.follows => {
            log.follows = false;
            log.mode = Mode::Paused;
            effects.push(Effect::StopFollowing);
        }
        Action::Follow => {
            jump(log, Position::MAX);
            follow(log, effects);
        }
        Action::Play => play(log, now),
        Action::Faster => speed(log, 2.0, now),
        Action::Slower => speed(log, 0.5, now),
        Action::SkipSilence => {
            log.skip_silence = !log.skip_silence;
            let says = if log.skip_silence { "silence is skipped" } else { "silence is played" };
            say(state, says);
        }
        Action::Mark => {
            let place = log.event().map_or(log.playhead, |event| event.position);
            if !log.marks.remove(&place) {
                log.marks.insert(place);
            }
        }
        Action::MarkBack => {
            if let Some(place) = log.marks.range(..log.playhead).next_back().copied() {
                jump(log, place);
            }
        }
        Action::MarkOn => {
            if let Some(place) = log.marks.range(log.playhead.next()..).next().copied() {
                jump(log, place);
            }
        }
        Action::Marks => state.prompt = Some(Prompt::new(PromptKind::Palette, "mark ")),
        Action::GapBack => burst(log, true),
        Action::GapOn => burst(log, false),
        Action::Undo => {
            if let Some(place) = log.undo.pop() {
                log.redo.push(log.playhead);
                go(log, place);
            }
        }
        Action::Redo => {
            if let Some(place) = log.redo.pop() {
                log.undo.push(log.playhead);
                go(log, place);
            }
        }
        Action::TimeStyle => {
            state.times = match state.times {
                Times::Local => Times::Utc,
                Times::Utc => Times::Ago,
                Times::Ago => Times::Since,
                Times::Since => Times::Local,
            };
        }
        Action::Tab => {
            let at = Tab::ALL.iter().position(|tab| *tab == log.tab).unwrap_or(0);
            log.tab = Tab::ALL[(at + 1) % Tab::ALL.len()];
        }
        Action::Copy => {
            if let Some(event) = log.event() {
                let json = serde_json::to_string(&hourlog::wire::json::JsonEvent::from(event));
                let at = crate::when::show(event.position.offset, &zone);
                effects.push(Effect::Copy(json.unwrap_or_default()));
                say(state, format!("the event of {at} is copied, by OSC 52"));
            }
        }
        Action::Quit | Action::Help | Action::Palette => {}
    }
}

fn prompt(state: &mut State, kind: PromptKind, text: &str) {
    state.prompt = Some(Prompt::new(kind, text));
}

/// Moves by so many events that are shown.
fn step(log: &mut Log, by: i64) {
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
    keep_in_window(log);
}

/// Moves by so many bars of the scrubber.
fn scrub(log: &mut Log, bins: i64) {
    let offset = log.event().filter(|_| log.playhead == Position::MAX || log.playhead == Position::MIN);
    let offset = offset.map_or(log.playhead.offset, |event| event.position.offset);
    let mut to = offset.saturating_add_nanos(log.bin_nanos().saturating_mul(bins));
    if let Some((first, last)) = log.extent {
        to = to.clamp(first, first.max(last.saturating_add_nanos(-1)));
    }
    log.mode = Mode::Paused;
    log.playhead = Position::at(to);
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

fn go(log: &mut Log, to: Position) {
    log.mode = Mode::Paused;
    log.playhead = to;
    if to == Position::MAX && log.loaded.last_reached {
        to_newest(log);
    } else if to == Position::MAX {
        log.loaded = Stretch::default();
    } else if let (Position::MIN, Some((first, _))) = (to, log.extent) {
        log.playhead = Position::at(first);
    }
    keep_in_window(log);
}

fn follow(log: &mut Log, effects: &mut Vec<Effect>) {
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
fn to_newest(log: &mut Log) {
    if let Some((_, last)) = log.loaded.span() {
        log.playhead = last;
    }
    log.new = 0;
    keep_in_window(log);
}

/// Shows `nanos` of time about the playhead.
pub(super) fn show_about(log: &mut Log, nanos: i64) {
    let half = nanos.max(WINDOW_NANOS_MIN) / 2;
    let about = log.cursor_offset();
    log.window = Some((about.saturating_add_nanos(-half), about.saturating_add_nanos(half)));
    log.bars_of = None;
}

/// Changes how much time is shown, and keeps the playhead where it is on the screen.
fn zoom(log: &mut Log, times: i64, parts: i64) {
    let Some((from, to)) = log.window else { return };
    let about = log.cursor_offset().clamp(from, to);
    let scaled = |nanos: i64| (i128::from(nanos) * i128::from(times) / i128::from(parts)).min(i64::MAX.into()) as i64;
    let before = scaled(about.nanos().saturating_sub(from.nanos()));
    let behind = scaled(to.nanos().saturating_sub(about.nanos()));
    if before.saturating_add(behind) < WINDOW_NANOS_MIN {
        return;
    }
    log.window = Some((about.saturating_add_nanos(-before), about.saturating_add_nanos(behind)));
}

/// Moves what the scrubber shows, where the playhead has left it.
fn keep_in_window(log: &mut Log) {
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

fn play(log: &mut Log, now: Offset) {
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
            let offset = log.cursor_offset();
            log.mode =
                if at_end { Mode::Live } else { Mode::Playing { offset, at: now, begun: (offset, now), waits: false } };
        }
    }
}

fn speed(log: &mut Log, times: f64, now: Offset) {
    log.speed = (log.speed * times).clamp(SPEEDS.0, SPEEDS.1);
    if let Mode::Playing { waits, .. } = log.mode {
        let offset = log.playhead.offset;
        log.mode = Mode::Playing { offset, at: now, begun: (offset, now), waits };
    }
}

/// Looks for what is searched for.
pub(super) fn find(state: &mut State, backwards: bool, effects: &mut Vec<Effect>) {
    let Some(log) = &mut state.log else { return };
    let Some(text) = log.search.clone() else { return say(state, "search with / first") };
    let from = log.event().map_or(log.playhead, |event| event.position);
    log.finding = true;
    effects.push(Effect::Ask(Ask::Find { opened: log.opened, log: log.id.clone(), text, from, backwards }));
}

/// To where events begin after a stretch without.
fn burst(log: &mut Log, backwards: bool) {
    let Some(bars) = &log.bars else { return };
    let at = log.cursor_offset();
    let begins = bars.bins.windows(2).filter(|pair| pair[0].count == 0 && pair[1].count > 0).map(|pair| pair[1].from);
    let to = if backwards { begins.rev().find(|from| *from < at) } else { begins.clone().find(|from| *from > at) };
    if let Some(to) = to {
        jump(log, Position::at(to));
    }
}
