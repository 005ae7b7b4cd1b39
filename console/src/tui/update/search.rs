//! Searching a log: it is looked through in both directions from where one is, and what is found is kept.

use std::collections::BTreeSet;

use hourlog::{Event, Position, Result};

use crate::tui::{
    msg::{Effect, Scan},
    pattern::Pattern,
    state::{Direction, HITS_MAX, Log, Nearest, Scanned, Search, State},
};

use super::{say, travel::jump};

/// Begins to look for something, from where one is, and goes to the next place that has it.
pub(super) fn begin(state: &mut State, pattern: Pattern, effects: &mut Vec<Effect>) {
    let Some(log) = &mut state.log else { return };
    let scanned = Scanned::nothing(log.place());
    log.search = Some(Search { pattern, hits: BTreeSet::new(), scanned, runs: false, missed: false, wanted: None });
    find(state, Direction::On, effects);
}

/// Goes to the nearest hit, now or as soon as it is known.
pub(super) fn find(state: &mut State, direction: Direction, effects: &mut Vec<Effect>) {
    let Some(log) = &mut state.log else { return };
    let place = log.place();
    let Some(search) = &mut log.search else { return say(state, "search with / first") };
    match search.nearest(place, direction) {
        Nearest::At(hit) => jump(log, hit),
        Nearest::Nowhere => nowhere(state, direction),
        Nearest::Unknown => {
            search.wanted = Some(direction);
            let is_near = search.scanned.reaches(place);
            if !is_near {
                (search.hits, search.scanned) = (BTreeSet::new(), Scanned::nothing(place));
            }
            if !search.runs || !is_near {
                (search.runs, search.missed) = (true, false);
                log.searches += 1;
                effects.push(Effect::Scan {
                    opened: log.opened,
                    number: log.searches,
                    log: log.id.clone(),
                    pattern: search.pattern.clone(),
                    scanned: search.scanned.clone(),
                });
            }
        }
    }
}

/// More was looked through.
pub(super) fn scanned(state: &mut State, opened: u64, number: u64, scan: Result<Scan>) {
    let Some(log) = state.log.as_mut().filter(|log| (log.opened, log.searches) == (opened, number)) else { return };
    let place = log.place();
    let Some(search) = &mut log.search else { return };
    match scan {
        Ok(scan) => {
            search.hits.extend(scan.hits);
            // What was told since this was looked through is known too; what was not, is not.
            let told = if search.scanned.last_reached { search.scanned.to } else { Position::MIN };
            let last_reached = scan.scanned.last_reached && !search.missed;
            search.scanned = Scanned { to: scan.scanned.to.max(told), last_reached, ..scan.scanned };
            search.runs = scan.goes_on;
            let Some(direction) = search.wanted else { return };
            let nearest = search.nearest(place, direction);
            if nearest != Nearest::Unknown {
                search.wanted = None;
            }
            match nearest {
                Nearest::At(hit) => jump(log, hit),
                Nearest::Nowhere => nowhere(state, direction),
                Nearest::Unknown if search.runs => {}
                Nearest::Unknown => {
                    search.wanted = None;
                    say(state, "the search rests; n and N go on");
                }
            }
        }
        Err(error) => {
            (search.runs, search.wanted) = (false, None);
            say(state, format!("the search has stopped: {error}"));
        }
    }
}

/// Says that nothing was found that way.
fn nowhere(state: &mut State, direction: Direction) {
    let Some(search) = state.log.as_ref().and_then(|log| log.search.as_ref()) else { return };
    let is_through = search.scanned.first_reached && search.scanned.last_reached;
    let says = match direction {
        _ if search.hits.is_empty() && is_through => "no event has it",
        Direction::On => "none behind this; N goes to earlier ones",
        Direction::Back => "none before this; n goes to later ones",
    };
    say(state, says);
}

/// Looks no further. Answers whether it did.
pub(super) fn stop(log: &mut Log, effects: &mut Vec<Effect>) -> bool {
    let Some(search) = log.search.as_mut().filter(|search| search.runs) else { return false };
    (search.runs, search.wanted) = (false, None);
    // What is under way is not for this search any more.
    log.searches += 1;
    effects.push(Effect::StopScanning);
    true
}

/// An event has come that may be a hit.
pub(super) fn arrived(log: &mut Log, event: &Event) {
    let Some(search) = &mut log.search else { return };
    let is_hit = search.pattern.is_in(event);
    if is_hit && search.hits.len() >= HITS_MAX {
        return misses(log);
    }
    if is_hit {
        search.hits.insert(event.position);
    }
    if search.scanned.last_reached {
        search.scanned.to = search.scanned.to.max(event.position.next());
    }
}

/// Events may come from here on that are not told.
pub(super) fn misses(log: &mut Log) {
    if let Some(search) = &mut log.search {
        (search.scanned.last_reached, search.missed) = (false, true);
    }
}
