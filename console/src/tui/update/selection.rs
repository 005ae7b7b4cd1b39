//! The filters of the open log: the service checks them, and everything is loaded again.

use hourlog::{ErrorKind, Result};

use crate::tui::{
    filter::{self, Filter},
    msg::{Effect, Request},
    pages::Pages,
    state::{Mode, Prompt, PromptKind, RequestKind, State, Tail},
};

use super::{finding, following::start_following, search};

/// Asks whether the service takes these filters. Until it answers, what is shown stays.
pub(super) fn check(state: &mut State, filters: Vec<Filter>, effects: &mut Vec<Effect>) {
    let number = state.requests.asked(RequestKind::Check, state.now);
    let Some(log) = &mut state.log else { return };
    let selection = filter::selection(&filters);
    log.filters_wanted = Some(filters);
    effects.push(Effect::Ask(Request::Check { number, lanes: log.lanes.clone(), selection }));
}

/// Shows what the checked filters pass, or says in the prompt why they are refused.
pub(super) fn checked(state: &mut State, number: u64, result: Result<()>, effects: &mut Vec<Effect>) {
    if !state.requests.waits_for(RequestKind::Check, number) {
        return;
    }
    let Some(log) = &mut state.log else { return };
    let Some(filters) = log.filters_wanted.take() else { return };
    match result {
        Err(error) if error.kind() == ErrorKind::Invalid => {
            state.requests.succeeded(RequestKind::Check, state.now);
            let typed = filters.last().map_or("", |filter| &filter.typed);
            let hint = if filter::assigns(typed) { "; to compare, write ==" } else { "" };
            state.prompt = Some(Prompt::refused(PromptKind::Filter, typed, format!("{error}{hint}")));
        }
        // The check says nothing about an outage: the requests for events report it. A log without events has nothing to check.
        _ => {
            state.requests.succeeded(RequestKind::Check, state.now);
            let Some(log) = &mut state.log else { return };
            log.filters = filters;
            selection_changed(state, effects);
        }
    }
}

/// Loads and follows the events that pass the filters, which have changed.
pub(super) fn selection_changed(state: &mut State, effects: &mut Vec<Effect>) {
    let now = state.service_now();
    if let Some(log) =
        state.log.as_mut().filter(|log| log.mode == Mode::Live && !log.is_live(now) && log.event().is_some())
    {
        // At the end of an old log, the playhead stays at what is found or shown.
        (log.mode, log.goal) = (Mode::Paused, None);
    }
    search::restart(state, effects);
    finding::forget(state, effects);
    let Some(log) = &mut state.log else { return };
    log.sorted = None;
    (log.pages, log.looked_at, log.is_stopped_reading, log.unseen) = (Pages::default(), 0, false, 0);
    log.scrubber.matches.clear();
    log.table.resample();
    state.requests.forget(RequestKind::Events);
    state.requests.forget(RequestKind::Matches);
    if log.tail != Tail::Stopped {
        start_following(state, effects);
    }
}

/// Stops looking for events that pass the filters. Returns true if it was under way.
pub(super) fn stop_reading(state: &mut State, effects: &mut Vec<Effect>) -> bool {
    let Some(log) = &mut state.log else { return false };
    let counts = log.scrubber.matches.progress().is_some();
    let looks = log.is_filtered() && state.requests.asked_at(RequestKind::Events).is_some() && log.looked_at > 0;
    if !counts && !looks {
        return false;
    }
    log.scrubber.matches.stop();
    log.is_stopped_reading = looks;
    effects.push(Effect::StopAsking);
    // Those that are still needed are sent again.
    for kind in RequestKind::OF_LOG_ONCE {
        state.requests.forget(kind);
    }
    state.say("looking for matches was stopped");
    true
}
