//! The list of logs.

use hourlog::{LogId, Result, wire::LogsReply};

use crate::tui::{
    keymap::Action,
    layout,
    msg::{Effect, Request},
    state::{CursorRow, Prompt, PromptKind, RequestKind, State, Tail},
};

use super::following::start_following;

/// Asks for the list of logs, while it is on the screen.
pub(super) fn ask(state: &mut State, effects: &mut Vec<Effect>) {
    if state.log.is_none() && state.requests.is_due(RequestKind::Logs, state.now) {
        state.requests.asked(RequestKind::Logs, state.now);
        effects.push(Effect::Ask(Request::Logs));
    }
}

pub(super) fn answered(state: &mut State, answer: Result<LogsReply>) {
    match answer {
        Ok(reply) => {
            state.requests.succeeded(RequestKind::Logs, state.now);
            state.learn_time(reply.now);
            state.logs.replace(reply.logs);
        }
        Err(error) => drop(state.requests.failed(RequestKind::Logs, &error, state.now)),
    }
}

pub(super) fn perform(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    let page = layout::list_rows(state);
    let shown = state.logs.shown();
    let (index, count) = (state.logs.cursor_index(&shown), shown.len());
    let to = match action {
        Action::Down => index + 1,
        Action::Up => index.saturating_sub(1),
        Action::PageDown => index + page,
        Action::PageUp => index.saturating_sub(page),
        Action::First => 0,
        Action::Last => count,
        Action::Open => {
            if let Some(id) = shown.get(index).map(|row| row.log.clone()) {
                open(state, id, effects);
            }
            return;
        }
        Action::Search => {
            let text = state.logs.find.clone();
            state.prompt = Some(Prompt::new(PromptKind::Find, text));
            return;
        }
        Action::Back => return state.logs.find.clear(),
        _ => return,
    };
    let to = to.min(count.saturating_sub(1));
    let cursor = shown.get(to).map(|row| row.log.clone());
    state.logs.cursor = cursor;
    state.logs.cursor_row = match action {
        Action::Down | Action::Up => state.logs.cursor_row.step(to as i64 - index as i64, page),
        Action::First => CursorRow::At(0),
        Action::Last => CursorRow::Bottom,
        _ => state.logs.cursor_row,
    };
}

/// Opens a log as the user left it, and follows it unless they have stopped that.
pub(super) fn open(state: &mut State, id: LogId, effects: &mut Vec<Effect>) {
    state.open(id);
    effects.extend([Effect::StopScanning, Effect::StopFollowing, Effect::StopAsking]);
    if state.log.as_ref().is_some_and(|log| log.tail != Tail::Stopped) {
        start_following(state, effects);
    }
}
