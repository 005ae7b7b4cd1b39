//! Loads the events and the counts of the open log: asks for what is missing, and takes in the answers.

use hourlog::{
    Error, ErrorKind, Position, Result,
    wire::{TimelineReply, TimelineRequest},
};

use crate::tui::{
    columns::Level,
    filter::Selection,
    folds::Fold,
    layout,
    msg::{Effect, Request},
    pages::{Fetch, Fetched},
    scale,
    state::{Goal, Log, Mode, RequestKind, State, Tail},
    table,
};

/// Screens of events that are kept loaded on each side of the playhead.
const MARGIN_SCREENS: usize = 3;
/// Events on each side of the playhead that must fill the columns.
const SHOWN: usize = 10;
/// Playing time for which events are loaded ahead.
const READ_AHEAD_NANOS: i64 = 3_000_000_000;

/// Asks for the events and the counts that are missing.
pub(super) fn ask(state: &mut State, effects: &mut Vec<Effect>) {
    ask_for_events(state, effects);
    let Some(log) = &mut state.log else { return };
    if log.empty {
        return;
    }
    let (now, follows, bins) = (state.now, log.tail != Tail::Stopped, layout::bars_width(state.size));
    if state.requests.is_due(RequestKind::Overview, now)
        && let Some(request) = log.scrubber.overview.request(bins, follows, now)
    {
        count(state, RequestKind::Overview, request, effects);
    }
    let zone = state.bars_zone().clone();
    let Some(log) = &mut state.log else { return };
    let selection = log.selection();
    if let Some(query) = log.counts_query(Selection::default(), &zone)
        && state.requests.is_due(RequestKind::Counts, now)
        && let Some(request) = log.scrubber.counts.request(&query, follows, now)
    {
        count(state, RequestKind::Counts, request, effects);
    }
    let Some(log) = &mut state.log else { return };
    if !selection.is_all()
        && let Some(query) = log.counts_query(selection, &zone)
        && state.requests.is_due(RequestKind::Matches, now)
        && let Some(request) = log.scrubber.matches.request(&query, follows, now)
    {
        count(state, RequestKind::Matches, request, effects);
    }
    for (kind, level) in [(RequestKind::Errors, Level::Error), (RequestKind::Warnings, Level::Warn)] {
        let Some(log) = &mut state.log else { return };
        let Some(query) = log.levels_query(level, &zone) else { continue };
        let counting = if level == Level::Error { &mut log.scrubber.errors } else { &mut log.scrubber.warnings };
        if state.requests.is_due(kind, now)
            && let Some(request) = counting.request(&query, follows, now)
        {
            count(state, kind, request, effects);
        }
    }
}

fn count(state: &mut State, kind: RequestKind, request: TimelineRequest, effects: &mut Vec<Effect>) {
    let Some(log) = &state.log else { return };
    let number = state.requests.asked(kind, state.now);
    let (lanes, request) = (log.lanes.clone(), Box::new(request));
    effects.push(Effect::Ask(Request::Count { number, kind, lanes, request }));
}

fn ask_for_events(state: &mut State, effects: &mut Vec<Effect>) {
    let (now, rows) = (state.now, layout::list_rows(state));
    let Some(log) = &mut state.log else { return };
    if log.empty || !state.requests.is_due(RequestKind::Events, now) {
        return;
    }
    match missing_events(log, rows) {
        Some(fetch) => {
            let number = state.requests.asked(RequestKind::Events, now);
            log.pages.asked();
            let (lanes, selection) = (log.lanes.clone(), log.selection());
            effects.push(Effect::Ask(Request::Load { number, lanes, fetch, selection }));
        }
        None => state.requests.is_well(RequestKind::Events),
    }
}

/// Returns the events to load next for a list of this many rows.
fn missing_events(log: &mut Log, rows: usize) -> Option<Fetch> {
    let margin = rows * MARGIN_SCREENS;
    // A sorted list has its events.
    if log.is_stopped_reading || log.sorted.is_some() {
        return None;
    }
    let at = match log.goal {
        Some(Goal::Newest) => Position::at(log.ahead_limit.saturating_add_nanos(1)),
        Some(Goal::Oldest) => Position::MIN,
        None => log.playhead,
    };
    let missing = match log.pages.missing_around(at, margin) {
        Some(Fetch::Around(_)) if log.goal == Some(Goal::Newest) => Some(Fetch::Newest),
        missing => missing,
    };
    let missing = missing.or_else(|| missing_for_folds(log, at, rows));
    let Mode::Playing { .. } = log.mode else { return missing };
    let ahead = (READ_AHEAD_NANOS as f64 * log.speed().factor()) as i64;
    let until = Position::at(log.playhead.offset.saturating_add_nanos(ahead));
    missing.or_else(|| log.pages.missing_until(log.playhead, until))
}

/// Returns the events to load next where equal events fill so few rows that the loaded ones do not fill the screen.
fn missing_for_folds(log: &Log, at: Position, rows: usize) -> Option<Fetch> {
    let rule = log.fold_rule();
    let end = log.pages.end_of(at).filter(|end| *end < Position::MAX);
    let start = log.pages.start_of(at).filter(|start| *start > Position::MIN);
    let lacks = |folds: Vec<Fold<'_>>| folds.len() < rows && folds.iter().any(|fold| fold.count > 1);
    if let Some(end) = end
        && lacks(rule.forward(log.pages.from(at)).take(rows).collect())
    {
        return Some(Fetch::From(end));
    }
    start.filter(|_| lacks(rule.backward(log.pages.before(at)).take(rows).collect())).map(Fetch::Before)
}

/// Takes in the answer to a request for events.
pub(super) fn loaded(state: &mut State, number: u64, events: Result<Fetched>) {
    if !state.requests.waits_for(RequestKind::Events, number) {
        return;
    }
    let Some(log) = &mut state.log else { return };
    match events {
        Ok(fetched) => {
            state.requests.succeeded(RequestKind::Events, state.now);
            let is_whole = fetched.from == Position::MIN && fetched.to == Position::MAX;
            log.empty = is_whole && fetched.events.is_empty() && !log.is_filtered();
            log.looked_at = if fetched.events.is_empty() { log.looked_at + fetched.scanned } else { 0 };
            log.pages.add(fetched);
        }
        Err(error) => failed(state, RequestKind::Events, &error),
    }
}

/// Takes in counts.
pub(super) fn counted(state: &mut State, number: u64, kind: RequestKind, counts: Result<TimelineReply>) {
    if !state.requests.waits_for(kind, number) {
        return;
    }
    let counts = match counts {
        Ok(counts) => counts,
        Err(error) => return failed(state, kind, &error),
    };
    let (now, width, zone) = (state.now, layout::bars_width(state.size), state.bars_zone().clone());
    let Some(log) = &mut state.log else { return };
    state.requests.succeeded(kind, now);
    let service_now = counts.now;
    log.ahead = counts.ahead;
    match kind {
        RequestKind::Overview => {
            let extent = (counts.from, counts.to);
            if !counts.bins.is_empty() {
                log.scrubber.extent = Some(extent);
                let shown = log.scrubber.wanted.take().unwrap_or(extent);
                log.scrubber.grid.get_or_insert_with(|| scale::Grid::fit(shown, width, &zone));
            }
            log.scrubber.overview.set(counts, now);
        }
        RequestKind::Counts => log.scrubber.counts.add(counts, now),
        RequestKind::Matches => log.scrubber.matches.add(counts, now),
        RequestKind::Errors => log.scrubber.errors.add(counts, now),
        RequestKind::Warnings => log.scrubber.warnings.add(counts, now),
        _ => {}
    }
    state.learn_time(service_now);
}

/// Takes in a failure. The request is retried after a pause.
pub(super) fn failed(state: &mut State, kind: RequestKind, error: &Error) {
    let Some(log) = &mut state.log else { return };
    let is_outage = state.requests.failed(kind, error, state.now);
    if error.kind() == ErrorKind::NotFound {
        log.empty = true;
    } else if !is_outage && error.kind() != ErrorKind::Refused {
        // A limit of the service is waited for.
        state.say_error(error);
    }
}

/// Chooses the columns of the list, if the events ask for others.
pub(super) fn choose_columns(state: &mut State) {
    let room = state.log.as_ref().map(|log| table::room(layout::log_areas(log, state.size).list.width));
    let Some((room, mut log)) = room.zip(state.log.take()) else { return };
    let mut columns = std::mem::take(&mut log.table);
    let at = log.playhead;
    let shown = || table::sample(log.pages.before(at).take(SHOWN), log.pages.from(at).take(SHOWN));
    columns.update(|| table::sample(log.pages.before(at), log.pages.from(at)), shown(), room);
    log.table = columns;
    state.log = Some(log);
}
