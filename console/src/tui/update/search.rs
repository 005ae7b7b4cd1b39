//! Searching a log, in both directions from the selected event. Hits are kept.

use hourlog::{Position, Result};

use crate::tui::{
    msg::Effect,
    pattern::Pattern,
    scan::{Direction, ScanPage},
    state::{Log, NearestHit, Requests, Search, State},
};

use super::travel::jump;

/// Begins a search at the selected event, and jumps to the next hit. Without a pattern, ends the
/// search.
pub(super) fn begin(state: &mut State, pattern: Option<Pattern>, effects: &mut Vec<Effect>) {
    let Some(log) = &mut state.log else { return };
    match pattern {
        Some(pattern) => {
            log.search = Some(Search::new(pattern, log.selected()));
            find(state, Direction::Forward, effects);
        }
        None => {
            stop(log, &mut state.requests, effects);
            log.search = None;
        }
    }
}

/// Jumps to the nearest hit, now or as soon as it is known.
pub(super) fn find(state: &mut State, direction: Direction, effects: &mut Vec<Effect>) {
    let Some(log) = &mut state.log else { return };
    let selected = log.selected();
    let (id, opened) = (&log.id, log.opened());
    let Some(search) = &mut log.search else { return state.say("search with / first") };
    match search.nearest(selected, direction) {
        NearestHit::At(hit) => jump(log, hit),
        NearestHit::None => say_none(state, direction),
        NearestHit::Unknown => {
            search.wanted = Some(direction);
            let is_near = search.progress().reaches(selected);
            if !is_near {
                search.restart_at(selected);
            }
            if !search.runs() || !is_near {
                search.scan_begins();
                effects.push(Effect::Scan {
                    opened,
                    number: state.requests.next_search(),
                    log: id.clone(),
                    pattern: search.pattern().clone(),
                    progress: search.progress().clone(),
                });
            }
        }
    }
}

/// Takes in a page of the scan.
pub(super) fn scanned(state: &mut State, opened: u64, number: u64, page: Result<ScanPage>) {
    let Some((log, _)) = state.opening(opened).filter(|(_, requests)| requests.is_latest_search(number)) else {
        return;
    };
    let selected: Position = log.selected();
    let Some(search) = &mut log.search else { return };
    match page {
        Ok(page) => {
            search.add_page(page);
            let Some(direction) = search.wanted else { return };
            let nearest = search.nearest(selected, direction);
            if nearest == NearestHit::Unknown && search.runs() {
                return;
            }
            search.wanted = None;
            match nearest {
                NearestHit::At(hit) => jump(log, hit),
                NearestHit::None => say_none(state, direction),
                NearestHit::Unknown => state.say("search paused; n and N continue it"),
            }
        }
        Err(error) => {
            search.scan_ends();
            state.say(format!("search stopped: {error}"));
        }
    }
}

/// Says that there is no hit in a direction.
fn say_none(state: &mut State, direction: Direction) {
    let Some(search) = state.log.as_ref().and_then(|log| log.search.as_ref()) else { return };
    let text = match direction {
        _ if search.hits().is_empty() && search.progress().is_complete() => "no event matches",
        Direction::Forward => "no later hit; N goes to earlier ones",
        Direction::Backward => "no earlier hit; n goes to later ones",
    };
    state.say(text);
}

/// Stops the scan. Returns whether one was running.
pub(super) fn stop(log: &mut Log, requests: &mut Requests, effects: &mut Vec<Effect>) -> bool {
    let Some(search) = log.search.as_mut().filter(|search| search.runs()) else { return false };
    search.scan_ends();
    // Pages that are under way belong to no search any more.
    requests.next_search();
    effects.push(Effect::StopScanning);
    true
}
