//! Changes the state when something happens, and returns the effects. Reads no clock, waits for
//! nothing, draws nothing.

mod copying;
mod detail;
mod dialog;
mod finding;
mod following;
mod instances;
mod loading;
mod log;
mod logs;
mod messages;
mod mouse;
mod play;
mod preview;
mod prompt;
mod screens;
mod search;
mod selection;
mod surveys;
mod travel;

use crate::tui::{
    key::Key,
    keymap::{self, Action, KeyScope},
    msg::{Effect, Msg},
    state::{Prompt, PromptKind, RequestKind, State},
};

/// Number of lines in a page of the help.
const HELP_PAGE: usize = 10;

/// Applies a message to the state, and returns the effects to perform.
pub fn update(state: &mut State, msg: Msg) -> Vec<Effect> {
    let mut effects = Vec::new();
    let is_tick = matches!(msg, Msg::Tick(_));
    match msg {
        Msg::Key(key) => press(state, key, &mut effects),
        Msg::Resize(columns, rows) => {
            state.size = (columns, rows);
            travel::resized(state);
        }
        Msg::Mouse(input) => mouse::handle(state, input, &mut effects),
        Msg::Paste(text) => prompt::paste(state, &text),
        Msg::Tick(now) => {
            state.tick(now);
            play::tick(state, &mut effects);
        }
        Msg::Open { lanes, at, filter, speed } => {
            logs::open(state, lanes, &mut effects);
            if let Some(at) = at {
                prompt::go_to_moment(state, at);
            }
            if let Some(filter) = filter {
                selection::check(state, vec![filter], &mut effects);
            }
            play::wish(state, speed);
        }
        Msg::Logs(logs) => logs::answered(state, logs),
        Msg::Strips { request, strips } => logs::stripped(state, &request, strips),
        Msg::Previewed { number, lanes, preview } => preview::previewed(state, number, &lanes, preview),
        Msg::Service { number, report } => instances::answered(state, number, *report),
        Msg::Loaded { number, events } => loading::loaded(state, number, events),
        Msg::Checked { number, result } => selection::checked(state, number, result, &mut effects),
        Msg::Counted { number, kind, counts } => loading::counted(state, number, kind, counts),
        Msg::FollowStarted { number } => following::follow_started(state, number),
        Msg::Arrived { number, events } => following::arrived(state, number, events),
        Msg::Found { number, found } => finding::found(state, number, found),
        Msg::Surveyed { number, page } => surveys::surveyed(state, number, page),
        Msg::Scanned { number, page } => search::scanned(state, number, page),
        Msg::Totalled { number, total } => dialog::counted_total(state, number, total),
        Msg::Worked { number, worked } => dialog::worked(state, number, worked),
    }
    travel::settle(state);
    play::fulfil(state);
    if !is_tick {
        loading::choose_columns(state);
    }
    logs::ask(state, &mut effects);
    // Time alone does not move the cursor, and to find the row under it among many takes time.
    if !is_tick || state.requests.is_due(RequestKind::Preview, state.now) {
        preview::ask(state, &mut effects);
    }
    instances::ask(state, &mut effects);
    loading::ask(state, &mut effects);
    surveys::ask(state, &mut effects);
    messages::note(state);
    effects
}

fn press(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    let playhead = |state: &State| state.log.as_ref().map(|log| log.playhead);
    let before = playhead(state);
    if let Some(action) = handle_key(state, key, effects) {
        perform(state, action, effects);
    }
    if playhead(state) != before {
        // If the user has moved the playhead, what is found later must not move it again.
        finding::forget(state, effects);
        if let Some(search) = state.log.as_mut().and_then(|log| log.search.as_mut()) {
            search.wanted = None;
        }
    }
}

/// Handles a key for the prompt or the help; otherwise returns its action.
fn handle_key(state: &mut State, key: Key, effects: &mut Vec<Effect>) -> Option<Action> {
    if let Some(action) = keymap::action(KeyScope::Always, key) {
        return Some(action);
    }
    if state.prompt.is_some() {
        return prompt::press(state, key, effects);
    }
    let action = keymap::action(state.key_scope(), key)?;
    let Some(line) = state.help else { return Some(action) };
    state.help = match action {
        Action::Down => Some(line + 1),
        Action::PageDown => Some(line + HELP_PAGE),
        Action::Up => Some(line.saturating_sub(1)),
        Action::PageUp => Some(line.saturating_sub(HELP_PAGE)),
        _ => None,
    };
    None
}

/// Performs the action of a key or of the palette.
fn perform(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    match action {
        Action::Quit => effects.push(Effect::Quit),
        Action::Suspend => effects.push(Effect::Suspend),
        Action::Redraw => effects.push(Effect::Redraw),
        Action::Mouse => {
            state.has_mouse = !state.has_mouse;
            effects.push(Effect::Mouse(state.has_mouse));
            state.say(match state.has_mouse {
                true => "the mouse is on; with Shift it selects text",
                false => "the mouse is left to the terminal",
            });
        }
        Action::Palette => state.prompt = Some(Prompt::new(PromptKind::Palette, "")),
        Action::Help => state.help = Some(0),
        Action::ShowLogs | Action::ShowLog | Action::ShowService | Action::ShowMessages => {
            screens::show(state, action, effects);
        }
        action => match (state.covers.top(), &state.log) {
            (Some(cover), _) => screens::perform(state, cover, action, effects),
            (None, Some(_)) => log::perform(state, action, effects),
            (None, None) => logs::perform(state, action, effects),
        },
    }
}
