//! The messages of this session.

use crate::tui::state::{Cover, State};

/// Notes outages and their ends, and that messages were seen.
pub(super) fn note(state: &mut State) {
    let lists_logs = state.lists_logs();
    state.messages.note(state.requests.outages(lists_logs), state.requests.answers(), state.now);
    if state.covers.top() == Some(Cover::Messages) {
        state.messages.see();
    }
}
