//! Going from screen to screen: the list of logs, the open log, the service, the messages; and the keys of the last two.

use crate::tui::{
    cover_areas,
    keymap::Action,
    mouse::{MouseInput, MouseKind},
    msg::Effect,
    state::{Cover, Prompt, PromptKind, State},
};

use super::{copying, log, logs};

/// Rows of one turn of the wheel.
const WHEEL: usize = 3;

/// Shows a screen.
pub(super) fn show(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    match action {
        Action::ShowLogs => {
            state.covers.clear();
            if state.log.is_some() {
                log::leave(state, effects);
            }
        }
        Action::ShowLog => match (&state.log, state.last_open.clone()) {
            (Some(_), _) => state.covers.clear(),
            (None, Some(lanes)) => logs::open(state, lanes, effects),
            (None, None) => state.say("no log was open yet; enter opens the one under the cursor of the list"),
        },
        Action::ShowService if state.covers.top() != Some(Cover::Service) => {
            state.covers.open(Cover::Service);
            state.instances.pause();
        }
        Action::ShowMessages => state.covers.open(Cover::Messages),
        _ => {}
    }
}

/// Performs an action on a screen over that of the logs.
pub(super) fn perform(state: &mut State, cover: Cover, action: Action, effects: &mut Vec<Effect>) {
    let list = cover_areas::list(state, cover);
    match action {
        Action::Down => go_to(state, cover, list.index + 1),
        Action::Up => go_to(state, cover, list.index.saturating_sub(1)),
        Action::PageDown => go_to(state, cover, list.index + list.rows),
        Action::PageUp => go_to(state, cover, list.index.saturating_sub(list.rows)),
        Action::First => go_to(state, cover, 0),
        Action::Last => go_to(state, cover, list.count),
        Action::Leave => {
            state.covers.close();
            // The service below was not asked meanwhile.
            state.instances.pause();
        }
        Action::CopyDoctor => {
            let command = format!("hourlog doctor{}", state.flags);
            copying::send(state, effects, "the command", command);
        }
        Action::Search => {
            let text = state.messages.find.clone();
            state.prompt = Some(Prompt::new(PromptKind::FindMessage, text));
        }
        Action::Copy => copy(state, list.index, effects),
        Action::Back if cover == Cover::Messages && !state.messages.find.is_empty() => state.messages.find.clear(),
        Action::Back => state.say("q goes back"),
        _ => {}
    }
}

/// Moves the cursor of a list, and its row on the screen.
fn go_to(state: &mut State, cover: Cover, index: usize) {
    let list = cover_areas::list(state, cover);
    let index = index.min(list.count.saturating_sub(1));
    let steps = index as i64 - list.index as i64;
    let cursor_row = match cover {
        Cover::Service => {
            state.instances.go_to(index);
            &mut state.instances.cursor_row
        }
        Cover::Messages => {
            state.messages.go_to(index);
            &mut state.messages.cursor_row
        }
    };
    *cursor_row = cursor_row.step(steps, list.rows);
}

/// Copies the message under the cursor.
fn copy(state: &mut State, index: usize, effects: &mut Vec<Effect>) {
    let text = state.messages.shown().get(index).map(|message| format!("{} {}", message.last, message.text));
    match text {
        Some(text) => copying::send(state, effects, "the message", text),
        None => state.say("no message is here"),
    }
}

/// Handles an input of the mouse on a screen over that of the logs.
pub(super) fn handle_mouse(state: &mut State, cover: Cover, input: MouseInput) {
    let list = cover_areas::list(state, cover);
    match input.kind {
        MouseKind::WheelUp => go_to(state, cover, list.index.saturating_sub(WHEEL)),
        MouseKind::WheelDown => go_to(state, cover, list.index + WHEEL),
        MouseKind::Press => {
            let row = usize::from(input.row).checked_sub(list.top).filter(|row| *row < list.rows);
            if let Some(row) = row.filter(|row| list.first + row < list.count) {
                go_to(state, cover, list.first + row);
            }
        }
        MouseKind::Drag => {}
    }
}
