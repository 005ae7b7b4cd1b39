//! Searching a log, in both directions from the playhead. Hits are kept.

use hourlog::{Position, Result};

use crate::tui::{
    msg::{Effect, Scan},
    pattern::Pattern,
    scan::{Direction, ScanPage},
    state::{NearestHit, RequestKind, Search, State},
};

use super::travel::jump;

/// Begins a search at the playhead, and jumps to the next hit; at the end of the log, to the nearest one before. Without a
/// pattern, ends the search.
pub(super) fn begin(state: &mut State, pattern: Option<Pattern>, effects: &mut Vec<Effect>) {
    stop(state, effects);
    let Some(log) = &mut state.log else { return };
    log.search = pattern.map(|pattern| Search::new(pattern, log.playhead));
    if log.search.is_some() {
        find(state, Direction::Forward, effects);
    }
}

/// Begins the search again, because other events are selected.
pub(super) fn restart(state: &mut State, effects: &mut Vec<Effect>) {
    stop(state, effects);
    let Some(log) = &mut state.log else { return };
    let playhead = log.playhead;
    if let Some(search) = &mut log.search {
        search.wanted = None;
        search.restart_at(playhead);
        run(state, effects);
    }
}

/// Jumps to the nearest hit, now or as soon as it is known.
pub(super) fn find(state: &mut State, direction: Direction, effects: &mut Vec<Effect>) {
    let Some(log) = &mut state.log else { return };
    let here = log.playhead;
    let Some(search) = &mut log.search else { return state.say("search with / first") };
    match search.nearest(here, direction) {
        NearestHit::At(hit) => show(state, hit, direction),
        NearestHit::None => wrap(state, direction),
        NearestHit::Unknown => {
            search.wanted = Some(direction);
            let is_near = search.progress().reaches(here);
            if !is_near {
                search.restart_at(here);
            }
            if !search.runs() || !is_near {
                run(state, effects);
            }
        }
    }
}

/// Searches on from where the search is.
fn run(state: &mut State, effects: &mut Vec<Effect>) {
    let number = state.requests.asked(RequestKind::Search, state.now);
    let Some(log) = &mut state.log else { return };
    let selection = log.selection();
    let Some(search) = &mut log.search else { return };
    search.scan_begins();
    let (lanes, pattern, progress) = (log.lanes.clone(), search.pattern().clone(), search.progress().clone());
    effects.push(Effect::Scan { number, scan: Scan { lanes, pattern, selection, progress } });
}

/// Takes in a page of the scan.
pub(super) fn scanned(state: &mut State, number: u64, page: Result<ScanPage>) {
    if !state.requests.waits_for(RequestKind::Search, number) {
        return;
    }
    let Some(log) = &mut state.log else { return };
    let here: Position = log.playhead;
    let Some(search) = &mut log.search else { return };
    match page {
        Ok(page) => {
            search.add_page(page);
            let Some(direction) = search.wanted else { return };
            let nearest = search.nearest(here, direction);
            if nearest == NearestHit::Unknown && search.runs() {
                return;
            }
            search.wanted = None;
            match nearest {
                NearestHit::At(hit) => show(state, hit, direction),
                NearestHit::None if search.progress().is_complete() || !search.hits().is_empty() => {
                    wrap(state, direction);
                }
                // The other direction is not searched yet.
                NearestHit::None => search.wanted = Some(direction),
                NearestHit::Unknown => state.say("search paused; n and N continue it"),
            }
        }
        Err(error) => {
            search.scan_ends();
            state.say(format!("search stopped: {error}"));
        }
    }
}

/// Goes to a hit, and says which of them it is.
fn show(state: &mut State, hit: Position, direction: Direction) {
    jump(state, hit);
    let Some(search) = state.log.as_ref().and_then(|log| log.search.as_ref()) else { return };
    if search.progress().is_complete() {
        let (number, of) = (search.hits().range(..=hit).count(), search.hits().len());
        let side = if direction == Direction::Backward { ", before" } else { "" };
        state.say(format!("hit {number} of {of}{side}"));
    }
}

/// Goes to the hit at the other end, or says that there is none.
fn wrap(state: &mut State, direction: Direction) {
    let Some(log) = &state.log else { return };
    let Some(search) = &log.search else { return };
    let hits = search.hits();
    let (hit, side) = match direction {
        // The nearest one is before.
        Direction::Forward => (hits.range(..log.playhead).next_back(), "before"),
        Direction::Backward => (hits.range(log.playhead.next()..).next(), "behind"),
    };
    let (hit, of, is_complete) = (hit.copied(), hits.len(), search.progress().is_complete());
    match hit {
        Some(hit) => {
            let number = hits.range(..=hit).count();
            jump(state, hit);
            let more = if is_complete { "" } else { " so far" };
            state.say(format!("hit {number} of {of}{more}, {side}"));
        }
        None if of == 0 && is_complete => state.say("no event matches"),
        None if of == 0 => state.say("no hit yet"),
        None => state.say(format!("this is the only hit{}", if is_complete { "" } else { " so far" })),
    }
}

/// Stops the scan. Returns true if one was running.
pub(super) fn stop(state: &mut State, effects: &mut Vec<Effect>) -> bool {
    let Some(log) = &mut state.log else { return false };
    let Some(search) = log.search.as_mut().filter(|search| search.runs()) else { return false };
    search.scan_ends();
    // Pages that are under way belong to no search any more.
    state.requests.forget(RequestKind::Search);
    effects.push(Effect::StopScanning);
    true
}
