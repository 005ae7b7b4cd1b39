//! Jumps to the next error and to the next burst, also where they are not loaded.

use hourlog::{
    Event, Offset, Position, Result,
    wire::{Step, TimelineReply},
};

use crate::{
    tui::{
        bursts::bursts,
        columns::{self, Level},
        filter::Selection,
        finding::{Find, Found, Sought},
        msg::{Effect, Request},
        scan::Direction,
        state::{Log, RequestKind, State},
    },
    when,
};

use super::travel::jump;

/// Jumps to the nearest error in a direction.
pub(super) fn error(state: &mut State, direction: Direction, effects: &mut Vec<Effect>) {
    let Some(log) = &state.log else { return };
    let Some(condition) = log.table.levels().perhaps(Level::Error) else {
        return state.say("no event here has a level or a status");
    };
    let is_error = |event: &&Event| columns::is_error(event);
    let loaded = match direction {
        Direction::Forward => log.pages.from(log.playhead.next()).find(is_error),
        Direction::Backward => log.pages.before(log.playhead).find(is_error),
    };
    if let Some(error) = loaded.map(|event| event.position) {
        return jump(state, error);
    }
    let here = log.playhead;
    let from = match direction {
        Direction::Forward => log.pages.end_of(here).unwrap_or(here.next()),
        Direction::Backward => log.pages.start_of(here).unwrap_or(here),
    };
    let selection = narrowed(log, &condition);
    ask(state, Find { direction, sought: Sought::Event { from, selection, is_error: true } }, effects);
}

/// Jumps to the nearest event in a direction for which a condition is true.
pub(super) fn differing(state: &mut State, condition: String, direction: Direction, effects: &mut Vec<Effect>) {
    let Some(log) = &state.log else { return };
    let from = if direction == Direction::Forward { log.playhead.next() } else { log.playhead };
    let selection = narrowed(log, &condition);
    ask(state, Find { direction, sought: Sought::Event { from, selection, is_error: false } }, effects);
}

/// Returns the shown events for which a condition is true.
fn narrowed(log: &Log, condition: &String) -> Selection {
    let known = log.selection();
    let parts: Vec<String> = known.condition.iter().chain([condition]).map(|part| format!("({part})")).collect();
    Selection { condition: Some(parts.join(" && ")), text: known.text }
}

/// Jumps to the start of the nearest burst in a direction: in the window, else in the whole log.
pub(super) fn burst(state: &mut State, direction: Direction, effects: &mut Vec<Effect>) {
    let zone = state.bars_zone().clone();
    let Some(log) = &state.log else { return };
    let scrubber = &log.scrubber;
    let (Some(grid), Some(within), Some(counts)) = (&scrubber.grid, scrubber.extent, scrubber.counts.known()) else {
        return;
    };
    let query = log.counts_query(Selection::default(), &zone);
    // The counts may be those of another window.
    let shown = query.and_then(|query| scrubber.counts.answer(&query));
    if let Some(to) = shown.and_then(|counts| burst_in(log, counts, direction)) {
        return jump(state, Position::at(to));
    }
    let here = log.playhead.offset;
    // Shorter bars than the parts of the index would all begin with one.
    let step = match grid.scale.step {
        step if step.about_nanos() >= counts.grain.0 => step,
        _ => Step::Nanos(counts.grain.0),
    };
    // Without a burst behind the playhead in the window, the search begins at its edge.
    let is_shown = shown.is_some() && grid.bar(here).is_some() && step == grid.scale.step;
    let from = match direction {
        // The first bar behind the window may be one.
        Direction::Forward if is_shown => grid.window().1.saturating_add_nanos(-1),
        Direction::Backward if is_shown => grid.window().0,
        _ => here,
    };
    let zone = zone.iana_name().map(str::to_owned);
    ask(state, Find { direction, sought: Sought::Burst { from, within, step, zone } }, effects);
}

/// Returns the start of the nearest burst in the window.
fn burst_in(log: &Log, counts: &TimelineReply, direction: Direction) -> Option<Offset> {
    let here = log.playhead.offset;
    let counted: Vec<(Offset, u64)> = counts.bins.iter().map(|bin| (bin.from, bin.count)).collect();
    let starts = bursts(&counted);
    match direction {
        Direction::Backward => starts.into_iter().rev().find(|start| *start < here),
        Direction::Forward => starts.into_iter().find(|start| *start > here),
    }
}

fn ask(state: &mut State, find: Find, effects: &mut Vec<Effect>) {
    let number = state.requests.asked(RequestKind::Find, state.now);
    let Some(log) = &mut state.log else { return };
    log.sought = Some(find.clone());
    effects.push(Effect::Ask(Request::Find { number, lanes: log.lanes.clone(), find: Box::new(find) }));
    state.say("looking further; esc stops");
}

/// Goes to the place that was found, or says that there is none.
pub(super) fn found(state: &mut State, number: u64, found: Result<Found>) {
    if !state.requests.waits_for(RequestKind::Find, number) {
        return;
    }
    state.requests.succeeded(RequestKind::Find, state.now);
    let Some(find) = state.log.as_mut().and_then(|log| log.sought.take()) else { return };
    // The fields that tell an error are those of the events around the playhead.
    let (thing, like) = match find.sought {
        Sought::Event { is_error: true, .. } => ("error", " like those of these events"),
        Sought::Event { is_error: false, .. } => ("other value", ""),
        Sought::Burst { .. } => ("burst", ""),
    };
    let side = if find.direction == Direction::Forward { "after" } else { "before" };
    match found {
        Ok(Found::At(position)) => {
            state.hush();
            jump(state, position);
        }
        Ok(Found::Nowhere) => state.say(format!("no {thing}{like} {side} this")),
        Ok(Found::NotUntil(at)) => {
            let at = when::zoned(at, state.shown_zone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
            state.say(format!("no {thing} {side} this up to {at}; longer bars reach further"));
        }
        Err(error) => state.say(format!("looking for the next {thing} failed: {error}")),
    }
}

/// Stops looking, and says so. Returns true if it was under way.
pub(super) fn stop(state: &mut State, effects: &mut Vec<Effect>) -> bool {
    let was_looking = forget(state, effects);
    if was_looking {
        state.say("stopped looking");
    }
    was_looking
}

/// Stops looking, because it is not wanted any more. Returns true if it was under way.
pub(super) fn forget(state: &mut State, effects: &mut Vec<Effect>) -> bool {
    let Some(log) = state.log.as_mut().filter(|log| log.sought.is_some()) else { return false };
    log.sought = None;
    state.requests.forget(RequestKind::Find);
    effects.push(Effect::StopFinding);
    state.hush();
    true
}
