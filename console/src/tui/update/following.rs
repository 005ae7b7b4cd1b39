//! Following the open log: events are reported as they arrive.

use hourlog::{Event, Result};

use crate::tui::{
    msg::Effect,
    pages::Pages,
    state::{Log, Mode, RequestKind, State, Tail},
};

use super::loading::failed;

/// Follows the open log from now on.
pub(super) fn start_following(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(log) = &mut state.log else { return };
    log.tail = match log.tail {
        Tail::Reported { any: true } => Tail::Reported { any: true },
        _ => Tail::Waiting,
    };
    let number = state.requests.asked(RequestKind::Arrivals, state.now);
    effects.push(Effect::Follow { number, lanes: log.lanes.clone(), selection: log.selection() });
}

/// Takes in that the log is followed. Events between the last answer and now were not reported, so
/// they are loaded again.
pub(super) fn follow_started(state: &mut State, number: u64) {
    if !state.requests.waits_for(RequestKind::Arrivals, number) {
        return;
    }
    state.requests.is_well(RequestKind::Arrivals);
    let Some(log) = &mut state.log else { return };
    if !log.is_reported() {
        log.tail = Tail::Reported { any: false };
    }
    log.empty = false;
    log.pages.outdate();
    state.requests.forget(RequestKind::Events);
    log.scrubber.overview.recount();
    let scrubber = &mut log.scrubber;
    for counting in [&mut scrubber.counts, &mut scrubber.matches, &mut scrubber.errors, &mut scrubber.warnings] {
        counting.recount();
    }
    if let Some(search) = &mut log.search {
        search.miss_events();
    }
}

/// Takes in events that have arrived.
pub(super) fn arrived(state: &mut State, number: u64, events: Result<Vec<Event>>) {
    if !state.requests.waits_for(RequestKind::Arrivals, number) {
        return;
    }
    let Some(log) = &mut state.log else { return };
    match events {
        Ok(events) => {
            state.requests.is_well(RequestKind::Arrivals);
            if log.empty && !events.is_empty() {
                log.empty = false;
                log.pages = Pages::empty_log();
            }
            if !events.is_empty() {
                log.tail = Tail::Reported { any: true };
            }
            for event in events {
                add_arrived(log, &event);
            }
        }
        Err(error) => {
            log.tail = Tail::Waiting;
            if let Some(search) = &mut log.search {
                search.miss_events();
            }
            failed(state, RequestKind::Arrivals, &error);
        }
    }
}

fn add_arrived(log: &mut Log, event: &Event) {
    let offset = event.position.offset;
    if let Some((first, last)) = log.scrubber.extent.as_mut().filter(|_| offset <= log.ahead_limit) {
        (*first, *last) = ((*first).min(offset), (*last).max(offset.saturating_add_nanos(1)));
    }
    log.unseen += u64::from(log.mode != Mode::Live);
    if let Some(search) = &mut log.search {
        search.add_arrived(event);
    }
    log.pages.add_arrived(event);
}
