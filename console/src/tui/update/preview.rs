//! The preview: the newest events of the log, or of the group, under the cursor of the list.

use hourlog::{Position, Result, wire::TimelineReply};

use crate::tui::{
    filter::Selection,
    lanes::{LANES_MAX, Lanes},
    layout,
    msg::{Effect, Request},
    pages::{Fetched, Pages},
    scale::Grid,
    state::{CursorRow, Log, LogRow, RequestKind, State},
    table,
};

/// Asks for the newest events of what is under the cursor, while the preview is on the screen.
pub(super) fn ask(state: &mut State, effects: &mut Vec<Effect>) {
    if layout::logs_areas(state).preview.is_none() {
        state.logs.preview = None;
        return;
    }
    let shown = state.logs.shown();
    let here = match shown.get(state.logs.cursor_index(&shown)) {
        Some(LogRow::Log(log, _)) => Some(Lanes::from(log.log.clone())),
        Some(LogRow::Group(group)) if group.logs <= LANES_MAX => Lanes::new(state.logs.members(&group.name)),
        Some(LogRow::Group(_)) | None => None,
    };
    let Some(here) = here else {
        state.logs.preview = None;
        return;
    };
    if state.logs.preview.as_ref().is_none_or(|preview| preview.lanes != here) {
        state.logs.preview = Some(Log::new(here.clone()));
        state.requests.hasten(RequestKind::Preview);
    }
    if !state.requests.is_due(RequestKind::Preview, state.now) {
        return;
    }
    let (width, zone) = (layout::bars_width(state.size), state.bars_zone().clone());
    let axis = state.logs.strip_axis(state.service_now()).map(|axis| state.logs.axis_of(&here, axis));
    let now = state.now;
    let number = state.requests.asked(RequestKind::Preview, now);
    let Some(log) = &mut state.logs.preview else { return };
    log.scrubber.grid = axis.map(|axis| Grid::fit(axis, width, &zone));
    let query = log.counts_query(Selection::default(), &zone);
    let counts = query.and_then(|query| log.scrubber.counts.request(&query, true, now)).map(Box::new);
    effects.push(Effect::Ask(Request::Preview { number, lanes: log.lanes.clone(), counts }));
}

/// Takes in the newest events.
pub(super) fn previewed(
    state: &mut State,
    number: u64,
    lanes: &Lanes,
    preview: Result<(Fetched, Option<TimelineReply>)>,
) {
    if !state.requests.waits_for(RequestKind::Preview, number) {
        return;
    }
    if state.logs.preview.as_ref().is_none_or(|shown| shown.lanes != *lanes) {
        // The cursor has moved on.
        state.requests.succeeded(RequestKind::Preview, state.now);
        return state.requests.hasten(RequestKind::Preview);
    }
    let (newest, counts) = match preview {
        Ok(preview) => preview,
        Err(error) => {
            state.requests.failed(RequestKind::Preview, &error, state.now);
            return;
        }
    };
    state.requests.succeeded(RequestKind::Preview, state.now);
    let Some(mut log) = state.logs.preview.take() else { return };
    if let Some(counts) = counts {
        log.scrubber.counts.add(counts, state.now);
    }
    log.pages = Pages::default();
    let last = newest.events.last().map(|event| event.position);
    log.pages.add(newest);
    (log.playhead, log.goal, log.cursor_row) = (last.unwrap_or(Position::MAX), None, CursorRow::Bottom);
    let room = table::room(state.size.0);
    let sample = || table::sample(log.pages.before(Position::MAX), std::iter::empty());
    log.table.update(sample, sample(), room);
    state.logs.preview = Some(log);
}
