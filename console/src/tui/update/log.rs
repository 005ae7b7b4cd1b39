//! An open log: asks for what is missing, takes in the answers, and performs actions.

use hourlog::{ErrorKind, Event, Offset, Position, Result, wire::TimelineReply};

use crate::{
    output::{human_bytes, to_json},
    shell,
    tui::{
        detail_text,
        keymap::Action,
        layout,
        loaded::{Fetch, FetchedEvents, LoadedEvents},
        msg::{Effect, Request},
        scan::Direction,
        state::{CountsQuery, Log, Mode, Prompt, PromptKind, RequestKind, State, TimeRange},
    },
    when,
};

use super::{
    play::{change_speed, play},
    search,
    travel::{burst, follow, go, jump, mark, scrub, step, to_newest, zoom},
};

/// Playing time for which events are loaded ahead.
const READ_AHEAD_NANOS: i64 = 3_000_000_000;
/// Fewest and most bins to ask for.
const BINS: (u32, u32) = (18, 398);
/// Columns of the frame around the bars.
const FRAME_COLUMNS: u32 = 2;
/// Columns of one step sideways.
const SIDEWAYS: usize = 8;
/// The most bytes of a text that terminals take for the clipboard.
const CLIPBOARD_BYTES_MAX: usize = 74_994;
/// Limit of all steps sideways.
const SIDEWAYS_MAX: usize = 400;

/// Asks for the events and the counts that are missing.
pub(super) fn ask(state: &mut State, effects: &mut Vec<Effect>) {
    let (now, columns) = (state.now, u32::from(state.size.0));
    let (Some(log), requests) = (&state.log, &mut state.requests) else { return };
    let (opened, id) = (log.opened(), || log.id.clone());
    if !log.empty && requests.is_due(RequestKind::Events, now) {
        match missing_events(log, requests.take_reload()) {
            Some(fetch) => {
                requests.asked(RequestKind::Events, now);
                effects.push(Effect::Ask(Request::Load { opened, log: id(), fetch }));
            }
            None => requests.clear_outage(RequestKind::Events),
        }
    }
    let query =
        CountsQuery { window: log.scrubber.window, bins: columns.saturating_sub(FRAME_COLUMNS).clamp(BINS.0, BINS.1) };
    if requests.are_counts_current(query, log.follows, now) {
        requests.clear_outage(RequestKind::Counts);
    } else if !log.empty && requests.is_due(RequestKind::Counts, now) {
        requests.counts_asked(query, now);
        let CountsQuery { window: span, bins } = query;
        effects.push(Effect::Ask(Request::Count { opened, log: id(), span, bins }));
    }
}

/// Returns the events to load next; with `reload`, the loaded ones are replaced.
fn missing_events(log: &Log, reload: bool) -> Option<Fetch> {
    if reload {
        let is_at_newest = log.mode == Mode::Live || log.playhead == Position::MAX;
        return Some(if is_at_newest { Fetch::Newest } else { Fetch::Around(log.playhead) });
    }
    if log.loaded.events().is_empty() && log.playhead == Position::MAX {
        return (!log.loaded.last_reached()).then_some(Fetch::Newest);
    }
    let ahead = match log.mode {
        Mode::Playing { .. } => (READ_AHEAD_NANOS as f64 * log.speed.factor()) as i64,
        Mode::Paused | Mode::Live => 0,
    };
    let until = log.playhead.offset.saturating_add_nanos(ahead);
    let missing = log.loaded.missing_around(log.playhead, |event| log.shows(event));
    missing.or_else(|| log.loaded.missing_until(until))
}

pub(super) fn loaded(state: &mut State, opened: u64, fetch: Fetch, events: Result<FetchedEvents>) {
    let now = state.now;
    let Some((log, requests)) = state.opening(opened) else { return };
    match events {
        Ok(fetched) => {
            requests.succeeded(RequestKind::Events, now);
            log.empty = fetched.events.is_empty() && fetched.first_reached && fetched.last_reached;
            log.loaded.add_fetched(fetch, fetched, log.playhead);
            if log.mode == Mode::Live || (fetch == Fetch::Newest && log.playhead == Position::MAX) {
                to_newest(log);
            }
        }
        Err(error) => failed(state, RequestKind::Events, &error),
    }
}

pub(super) fn counted(state: &mut State, opened: u64, counts: Result<TimelineReply>) {
    let now = state.now;
    let Some((log, requests)) = state.opening(opened) else { return };
    let Some(query) = requests.take_counts_asked() else { return };
    match counts {
        Ok(counts) => {
            log.ahead = counts.ahead;
            let (service_now, scrubber) = (counts.now, &mut log.scrubber);
            if query.window.is_none() {
                let extent = (counts.from, counts.to);
                scrubber.extent = Some(extent);
                scrubber.window.get_or_insert(extent);
            }
            requests.counts_answered(CountsQuery { window: query.window.or(scrubber.window), ..query }, now);
            scrubber.counts = Some(counts);
            state.learn_time(service_now);
        }
        Err(error) => failed(state, RequestKind::Counts, &error),
    }
}

/// Takes in a failure. The request is retried after a pause.
fn failed(state: &mut State, kind: RequestKind, error: &hourlog::Error) {
    let Some(log) = &mut state.log else { return };
    let is_outage = state.requests.failed(kind, error, state.now);
    if error.kind() == ErrorKind::NotFound {
        log.empty = true;
    } else if !is_outage {
        state.say(error.to_string());
    }
}

/// Takes in that the log is followed. Events between the last answer and now were not reported, so
/// they are reloaded.
pub(super) fn follow_started(state: &mut State, opened: u64) {
    let now = state.now;
    let Some((log, requests)) = state.opening(opened) else { return };
    requests.succeeded(RequestKind::Arrivals, now);
    requests.reload_events();
    log.empty = false;
    miss_events(log);
}

pub(super) fn arrived(state: &mut State, opened: u64, events: Result<Vec<Event>>) {
    let now = state.now;
    let Some((log, requests)) = state.opening(opened) else { return };
    match events {
        Ok(events) => {
            requests.succeeded(RequestKind::Arrivals, now);
            if log.empty && !events.is_empty() {
                log.empty = false;
                log.loaded = LoadedEvents::empty_log();
            }
            log.has_arrivals |= !events.is_empty();
            for event in events {
                add_arrived(log, event);
            }
            if log.mode == Mode::Live {
                to_newest(log);
            }
        }
        Err(error) => failed(state, RequestKind::Arrivals, &error),
    }
}

fn add_arrived(log: &mut Log, event: Event) {
    let offset = event.position.offset;
    if let Some((first, last)) = log.scrubber.extent.as_mut().filter(|_| offset <= log.ahead_limit) {
        (*first, *last) = ((*first).min(offset), (*last).max(offset.saturating_add_nanos(1)));
    }
    log.unseen += u64::from(log.mode != Mode::Live);
    if let Some(search) = &mut log.search {
        search.add_arrived(&event);
    }
    log.loaded.add_arrived(event, log.playhead);
}

fn miss_events(log: &mut Log) {
    if let Some(search) = &mut log.search {
        search.miss_events();
    }
}

pub(super) fn perform(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    let rows = layout::list_rows(state);
    let now = state.now;
    let scroll_max = if action == Action::DetailDown { detail_text::scroll_max(state) } else { 0 };
    let (Some(log), requests) = (&mut state.log, &mut state.requests) else { return };
    match action {
        Action::Back => back(state, effects),
        Action::Leave => leave(state, effects),
        Action::ClearPatterns => {
            search::stop(log, requests, effects);
            (log.filter, log.search) = (None, None);
            state.say("search and filter ended");
        }
        Action::Open => log.detail.covers_list = !log.detail.covers_list,
        Action::Down => step(log, 1, rows),
        Action::Up => step(log, -1, rows),
        Action::PageDown => step(log, rows as i64, rows),
        Action::PageUp => step(log, -(rows as i64), rows),
        Action::ScrubBack => scrub(log, -1),
        Action::ScrubForward => scrub(log, 1),
        Action::ScrubBackTen => scrub(log, -10),
        Action::ScrubForwardTen => scrub(log, 10),
        Action::First => jump(log, Position::MIN),
        Action::Follow if log.mode == Mode::Live => stop_following(state, effects),
        Action::Last | Action::Follow => {
            jump(log, Position::MAX);
            follow(log, effects);
        }
        Action::ZoomIn => zoom(log, 1, 2),
        Action::ZoomOut => zoom(log, 2, 1),
        Action::ZoomAll => {
            log.scrubber.window = log.scrubber.extent;
            requests.recount();
        }
        Action::ChooseWindow => state.prompt = Some(Prompt::new(PromptKind::Window, "")),
        Action::GoTo => state.prompt = Some(Prompt::new(PromptKind::GoTo, "")),
        Action::Search => {
            let text = log.search.as_ref().map_or("", |search| search.pattern().text());
            state.prompt = Some(Prompt::new(PromptKind::Search, text));
        }
        Action::Filter => {
            let text = log.filter.as_ref().map_or("", |filter| filter.text());
            state.prompt = Some(Prompt::new(PromptKind::Filter, text));
        }
        Action::NextHit => search::find(state, Direction::Forward, effects),
        Action::PreviousHit => search::find(state, Direction::Backward, effects),
        Action::Play => play(log, now),
        Action::Faster => change_speed(log, 2.0, now),
        Action::Slower => change_speed(log, 0.5, now),
        Action::SkipSilence => {
            log.skip_silence = !log.skip_silence;
            let text = if log.skip_silence { "silence is skipped" } else { "silence is played" };
            state.say(text);
        }
        Action::Mark => {
            let selected = log.selected();
            if !log.marks.remove(&selected) {
                log.marks.insert(selected);
            }
        }
        Action::PreviousMark => mark(log, Direction::Backward),
        Action::NextMark => mark(log, Direction::Forward),
        Action::Marks => state.prompt = Some(Prompt::new(PromptKind::Palette, "mark ")),
        Action::PreviousBurst => burst(log, Direction::Backward),
        Action::NextBurst => burst(log, Direction::Forward),
        Action::Undo => {
            if let Some(to) = log.jumps.undo(log.playhead) {
                go(log, to);
            }
        }
        Action::Redo => {
            if let Some(to) = log.jumps.redo(log.playhead) {
                go(log, to);
            }
        }
        Action::NextTimeStyle => state.time_style = state.time_style.next(),
        Action::NextTab => log.detail.next_tab(),
        Action::Range => {
            let here = log.shown_time();
            log.range = match log.range {
                None => Some(TimeRange::Open(here)),
                Some(TimeRange::Open(from)) => Some(TimeRange::Closed(from.min(here), from.max(here))),
                Some(TimeRange::Closed(..)) => None,
            };
        }
        Action::Right => log.sideways = (log.sideways + SIDEWAYS).min(SIDEWAYS_MAX),
        Action::Left => log.sideways = log.sideways.saturating_sub(SIDEWAYS),
        Action::DetailDown => log.scroll_detail((log.detail_scroll() + rows / 2).min(scroll_max)),
        Action::DetailUp => log.scroll_detail(log.detail_scroll().saturating_sub(rows / 2)),
        Action::Wrap => log.detail.wraps = !log.detail.wraps,
        Action::Copy => copy(state, effects),
        Action::Quit | Action::Suspend | Action::Redraw | Action::Help | Action::Palette => {}
    }
}

/// Takes away the newest thing: the running scan, the range, the detail, the search, the filter. Never leaves the log.
fn back(state: &mut State, effects: &mut Vec<Effect>) {
    let (Some(log), requests) = (&mut state.log, &mut state.requests) else { return };
    if search::stop(log, requests, effects) {
        return;
    }
    if log.range.is_some() {
        log.range = None;
    } else if log.detail.covers_list {
        log.detail.covers_list = false;
    } else if log.search.is_some() {
        log.search = None;
    } else if log.filter.is_some() {
        log.filter = None;
        state.say("all events are shown");
    } else {
        state.say("q goes back");
    }
}

/// Goes back to the list of logs.
fn leave(state: &mut State, effects: &mut Vec<Effect>) {
    if let (Some(log), requests) = (&mut state.log, &mut state.requests) {
        search::stop(log, requests, effects);
    }
    state.log = None;
    effects.push(Effect::StopFollowing);
}

fn stop_following(state: &mut State, effects: &mut Vec<Effect>) {
    let (Some(log), requests) = (&mut state.log, &mut state.requests) else { return };
    log.follows = false;
    log.mode = Mode::Paused;
    requests.clear_outage(RequestKind::Arrivals);
    miss_events(log);
    effects.push(Effect::StopFollowing);
    state.say("incoming events are not followed any more; f follows them");
}

/// Copies the command that reads the range, or else the event.
fn copy(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(log) = &state.log else { return };
    if let Some((from, last)) = log.range_times() {
        // `--until` is exclusive, and a range includes its last event.
        let until: Offset = last.saturating_add_nanos(1);
        let options = format!("{} --since {from} --until {until}", state.flags);
        let command = shell::command("read", &options, &log.id, "");
        send(state, effects, "the command that reads the range", command);
    } else if let Some(event) = log.cursor_event() {
        let json = to_json(&hourlog::wire::json::JsonEvent::from(event));
        let time = when::show(event.position.offset, state.shown_zone());
        if json.len() <= CLIPBOARD_BYTES_MAX {
            return send(state, effects, &format!("the event of {time}"), json);
        }
        let options = format!("{} --position {}", state.flags, event.position);
        let command = shell::command("read", &options, &log.id, "");
        send(state, effects, "the event is too large for the terminal: the command that reads it", command);
    }
}

/// Sends a text to the terminal, which may put it into the clipboard. It does not say if it has.
fn send(state: &mut State, effects: &mut Vec<Effect>, name: &str, text: String) {
    let bytes = human_bytes(text.len() as u64);
    effects.push(Effect::Copy(text));
    state.say(format!("{name} was sent to the terminal ({bytes}, OSC 52)"));
}
