//! What becomes of the state when something happens, and what is to be done then. No clock, no waiting, no drawing.

mod log;
mod logs;
mod palette;
mod play;
mod prompt;
mod search;
mod travel;

pub(crate) use self::{
    palette::{CHOICES_MAX, choices},
    prompt::{WINDOWS, preview},
};

use hourlog::Offset;

use crate::tui::{
    keymap::{self, Action, Key, Place},
    msg::{Effect, Msg},
    state::{Prompt, PromptKind, State},
};

/// How long what was said stays.
const SAID_NANOS: i64 = 4_000_000_000;

/// Takes in what has happened.
pub fn update(state: &mut State, msg: Msg) -> Vec<Effect> {
    let mut effects = Vec::new();
    match msg {
        Msg::Key(key) => press(state, key, &mut effects),
        Msg::Resize(columns, rows) => state.size = (columns, rows),
        Msg::Tick(now) => tick(state, now, &mut effects),
        Msg::Logs(logs) => logs::answered(state, logs),
        Msg::Loaded { opened, fetch, found } => log::loaded(state, opened, fetch, found),
        Msg::Bars { opened, bars } => log::counted(state, opened, bars),
        Msg::Follows { opened } => log::follows(state, opened),
        Msg::Arrived { opened, events } => log::arrived(state, opened, events),
        Msg::Scanned { opened, number, scan } => search::scanned(state, opened, number, scan),
    }
    logs::ask(state, &mut effects);
    log::ask(state, &mut effects);
    effects
}

fn press(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    let playhead = |state: &State| state.log.as_ref().map(|log| log.playhead);
    let before = playhead(state);
    press_key(state, key, effects);
    if playhead(state) != before
        && let Some(search) = state.log.as_mut().and_then(|log| log.search.as_mut())
    {
        // Who has gone on is not taken away by a hit that is found only now.
        search.wanted = None;
    }
}

fn press_key(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    if let Some(action) = keymap::action(Place::Always, key) {
        return perform(state, action, effects);
    }
    if state.prompt.is_some() {
        return prompt::press(state, key, effects);
    }
    let Some(action) = keymap::action(Place::of(state), key) else { return };
    if let Some(line) = state.help {
        state.help = match action {
            Action::Down => Some(line + 1),
            Action::PageDown => Some(line + 10),
            Action::Up => Some(line.saturating_sub(1)),
            Action::PageUp => Some(line.saturating_sub(10)),
            Action::Quit => return effects.push(Effect::Quit),
            _ => None,
        };
        return;
    }
    perform(state, action, effects);
}

/// Does what a key, or a choice, asks for.
fn perform(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    match action {
        Action::Quit => effects.push(Effect::Quit),
        Action::Palette => state.prompt = Some(Prompt::new(PromptKind::Palette, "")),
        Action::Help => state.help = Some(0),
        action if state.log.is_some() => log::act(state, action, effects),
        action => logs::act(state, action, effects),
    }
}

fn tick(state: &mut State, now: Offset, effects: &mut Vec<Effect>) {
    state.now = now;
    if state.said.as_ref().is_some_and(|(_, until)| *until <= now) {
        state.said = None;
    }
    play::tick(state, effects);
}

/// Says something for a while.
fn say(state: &mut State, text: impl Into<String>) {
    state.said = Some((text.into(), state.now.saturating_add_nanos(SAID_NANOS)));
}
