//! A log that is open: where one is in it, what is loaded around that, and how it moves.

use hourlog::{ErrorKind, Event, Offset, Position, Result, wire::TimelineReply};

use crate::tui::{
    keymap::Action,
    layout,
    msg::{Ask, Effect, Fetch, Found},
    state::{Away, Counting, Direction, Mode, Part, Prompt, PromptKind, Range, State, Tab, Times},
    stretch::Stretch,
    view::detail,
};

use super::{
    play::{play, speed},
    say, search,
    travel::{burst, follow, go, jump, scrub, step, to_newest, zoom},
};

/// So much time on the clock is loaded ahead of what plays.
const READ_AHEAD_NANOS: i64 = 3_000_000_000;
/// How often counts are asked for again while what comes is followed.
const COUNT_EVERY_NANOS: i64 = 2_000_000_000;
/// The columns of a step sideways, and of all of them.
const SIDEWAYS: usize = 8;
const SIDEWAYS_MAX: usize = 400;
/// The pause before something that failed is asked for again.
const AGAIN_NANOS: i64 = 1_000_000_000;

/// Asks for what is missing: at most one stretch of events and one set of counts at a time, so that a key that is held down is a few
/// requests, of which the last is for where it ends.
pub(super) fn ask(state: &mut State, effects: &mut Vec<Effect>) {
    let (now, columns) = (state.now, state.size.0);
    let Some(log) = &mut state.log else { return };
    let rests = |part: Part| log.rests.get(&part).is_some_and(|until| now < *until);
    let (rests_events, rests_counts) = (rests(Part::Events), rests(Part::Counts));
    if log.asked.is_none() && !log.empty && !rests_events {
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
            log.loaded.wants(log.playhead, |event| log.shows(event)).or_else(lacks)
        };
        match wants {
            Some(fetch) => {
                log.asked = Some(now);
                effects.push(Effect::Ask(Ask::Load { opened: log.opened, log: log.id.clone(), fetch }));
            }
            // All that is to be seen is there.
            None => drop(log.away.remove(&Part::Events)),
        }
    }
    let bins = u32::from(columns.clamp(20, 400)) - 2;
    let fresh = |(counted, at): &(Counting, Offset)| {
        let old = log.follows && now.nanos().saturating_sub(at.nanos()) >= COUNT_EVERY_NANOS;
        *counted == (log.window, bins) && !old
    };
    if log.bars_of.as_ref().is_some_and(fresh) {
        log.away.remove(&Part::Counts);
    } else if log.bars_asked.is_none() && !log.empty && !rests_counts {
        log.bars_asked = Some((log.window, bins));
        effects.push(Effect::Ask(Ask::Count { opened: log.opened, log: log.id.clone(), span: log.window, bins }));
    }
}

pub(super) fn loaded(state: &mut State, opened: u64, fetch: Fetch, found: Result<Found>) {
    let Some(log) = state.log.as_mut().filter(|log| log.opened == opened) else { return };
    log.asked = None;
    match found {
        Ok(found) => {
            log.away.remove(&Part::Events);
            log.empty = found.events.is_empty() && found.first_reached && found.last_reached;
            log.loaded.take(fetch, found, log.playhead);
            if log.mode == Mode::Live {
                to_newest(log);
            }
        }
        Err(error) => failed(state, Part::Events, &error),
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
            log.away.remove(&Part::Counts);
            log.bars_of = Some(((window.or(log.window), bins), now));
            log.bars = Some(bars);
        }
        Err(error) => failed(state, Part::Counts, &error),
    }
}

/// Something was not answered, or not with what was asked for. It is asked for again a moment later.
fn failed(state: &mut State, part: Part, error: &hourlog::Error) {
    let now = state.now;
    let Some(log) = &mut state.log else { return };
    log.rests.insert(part, now.saturating_add_nanos(AGAIN_NANOS));
    match error.kind() {
        ErrorKind::NotFound => log.empty = true,
        ErrorKind::Unavailable | ErrorKind::Deadline | ErrorKind::NotAllowed => {
            log.away.insert(part, Away::after(error, log.away.get(&part), now));
        }
        // Somebody is there, and does not understand us.
        _ => say(state, error.to_string()),
    }
}

/// What came between the first page, or the last answer, and now was not told.
pub(super) fn follows(state: &mut State, opened: u64) {
    if let Some(log) = state.log.as_mut().filter(|log| log.opened == opened) {
        log.away.remove(&Part::Arrivals);
        log.stale = true;
        log.empty = false;
        search::misses(log);
    }
}

pub(super) fn arrived(state: &mut State, opened: u64, events: Result<Vec<Event>>) {
    let Some(log) = state.log.as_mut().filter(|log| log.opened == opened) else { return };
    match events {
        Ok(events) => {
            log.away.remove(&Part::Arrivals);
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
                search::arrived(log, &event);
                log.loaded.arrived(event, log.playhead);
            }
            if log.mode == Mode::Live {
                to_newest(log);
            }
        }
        Err(error) => failed(state, Part::Arrivals, &error),
    }
}

pub(super) fn act(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    let rows = layout::list_rows(state);
    let (now, zone) = (state.now, state.zone.clone());
    let down_max = if action == Action::TextDown { detail::down_max(state) } else { 0 };
    let Some(log) = &mut state.log else { return };
    match action {
        Action::Back if search::stop(log, effects) => {}
        Action::Back if log.range.is_some() => log.range = None,
        Action::Back if log.detail => log.detail = false,
        Action::AllOff => {
            search::stop(log, effects);
            (log.filter, log.search) = (None, None);
            say(state, "neither searched nor filtered");
        }
        Action::Back => {
            state.log = None;
            effects.push(Effect::StopFollowing);
        }
        Action::Open => log.detail = !log.detail,
        Action::Down => step(log, 1, rows),
        Action::Up => step(log, -1, rows),
        Action::PageDown => step(log, rows as i64, rows),
        Action::PageUp => step(log, -(rows as i64), rows),
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
            let text = log.search.as_ref().map_or_else(String::new, |search| search.pattern.text().to_owned());
            prompt(state, PromptKind::Search, &text);
        }
        Action::Filter => {
            let text = log.filter.as_ref().map_or_else(String::new, |filter| filter.text().to_owned());
            prompt(state, PromptKind::Filter, &text);
        }
        Action::HitOn => search::find(state, Direction::On, effects),
        Action::HitBack => search::find(state, Direction::Back, effects),
        Action::Follow if log.mode == Mode::Live => {
            log.follows = false;
            log.mode = Mode::Paused;
            log.away.remove(&Part::Arrivals);
            search::misses(log);
            effects.push(Effect::StopFollowing);
            say(state, "what comes is not followed any more; f follows it");
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
            let place = log.place();
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
        Action::GapBack => burst(log, Direction::Back),
        Action::GapOn => burst(log, Direction::On),
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
            log.down = (Position::MIN, 0);
        }
        Action::Range => {
            let here = log.at();
            log.range = match log.range {
                None => Some(Range::From(here)),
                Some(Range::From(from)) => Some(Range::Of(from.min(here), from.max(here))),
                Some(Range::Of(..)) => None,
            };
        }
        Action::Right => log.sideways = (log.sideways + SIDEWAYS).min(SIDEWAYS_MAX),
        Action::Left => log.sideways = log.sideways.saturating_sub(SIDEWAYS),
        Action::TextDown => log.down = (log.place(), (log.down() + rows / 2).min(down_max)),
        Action::TextUp => log.down = (log.place(), log.down().saturating_sub(rows / 2)),
        Action::Wrap => log.wraps = !log.wraps,
        Action::Copy if log.range.is_some() => {
            let (from, last) = log.range().unwrap_or((Offset::MIN, Offset::MIN));
            // A range has its last event, and --until ends before a time.
            let until = last.saturating_add_nanos(1);
            effects
                .push(Effect::Copy(format!("hourlog read {}{} --since {from} --until {until}", log.id, state.flags)));
            say(state, "the command that reads the range is copied, by OSC 52");
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
