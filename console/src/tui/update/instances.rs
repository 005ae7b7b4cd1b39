//! The instances of the service: asks for them while they are seen, and takes in what they report.

use hourlog::Error;

use crate::tui::{
    msg::{Effect, Request},
    report::ServiceReport,
    state::{Cover, MessageKind, RequestKind, State},
};

/// Asks for a report of the service, while its screen is seen.
pub(super) fn ask(state: &mut State, effects: &mut Vec<Effect>) {
    if state.covers.top() != Some(Cover::Service) {
        // An outage that nobody looks at any more does not last.
        state.requests.is_well(RequestKind::Service);
    } else if state.requests.is_due(RequestKind::Service, state.now) {
        let number = state.requests.asked(RequestKind::Service, state.now);
        effects.push(Effect::Ask(Request::Service { number }));
    }
}

/// Takes in a report. The service is there if one of the questions was answered.
pub(super) fn answered(state: &mut State, number: u64, report: ServiceReport) {
    if !state.requests.waits_for(RequestKind::Service, number) {
        return;
    }
    let known = state.instances.unread.clone();
    let outage = match (&report.statuses, &report.stats) {
        (Err(error), Err(_)) => Some(Error::new(error.kind(), error.to_string())),
        _ => None,
    };
    state.instances.add(report, state.now);
    if let Some(error) = outage {
        state.requests.failed(RequestKind::Service, &error, state.now);
        return;
    }
    state.requests.succeeded(RequestKind::Service, state.now);
    for sentence in state.instances.unread.iter().filter(|sentence| !known.contains(sentence)) {
        state.messages.add(MessageKind::Error, sentence, state.now);
    }
}
