//! Keys in the prompt.

use crossterm::event::{KeyCode, KeyModifiers};
use hourlog::{Error, Position, wire::AheadReply};

use crate::{
    tui::{
        key::Key,
        keymap::Action,
        msg::Effect,
        palette::{CHOICES_MAX, Target, choices},
        pattern::Pattern,
        prompt::{WINDOWS, moment},
        state::{Prompt, PromptKind, State},
    },
    when::{self, Moment},
};

use super::{logs, search, travel};

/// The most letters of a paste.
const PASTE_MAX: usize = 4_096;

/// Handles a key. Returns the action that was chosen from the palette.
pub(super) fn press(state: &mut State, key: Key, effects: &mut Vec<Effect>) -> Option<Action> {
    let prompt = state.prompt.as_mut()?;
    prompt.error = None;
    if !matches!(key.code, KeyCode::Up | KeyCode::Down | KeyCode::Enter) {
        prompt.choice = 0;
    }
    if prompt.kind == PromptKind::Window {
        state.prompt = None;
        let window = WINDOWS.iter().find(|window| key.code == KeyCode::Char(window.digit))?;
        travel::show_around(state, window.nanos);
        return None;
    }
    match key.code {
        KeyCode::Esc => {
            if prompt.kind == PromptKind::Find {
                state.logs.find.clear();
            }
            state.prompt = None;
        }
        KeyCode::Enter => return enter(state, effects),
        KeyCode::Down => prompt.choice = (prompt.choice + 1).min(CHOICES_MAX - 1),
        KeyCode::Up => prompt.choice = prompt.choice.saturating_sub(1),
        KeyCode::Backspace => {
            prompt.text.pop();
            find(state);
        }
        KeyCode::Char('u') if key.modifiers.contains(KeyModifiers::CONTROL) => {
            prompt.text.clear();
            find(state);
        }
        KeyCode::Char(letter) if (key.modifiers - KeyModifiers::SHIFT).is_empty() => {
            prompt.text.push(letter);
            find(state);
        }
        _ => {}
    }
    None
}

/// Puts a pasted text into the prompt. Without one, opens that which the text is for, and runs nothing: a time to go to, or
/// else a text to search for.
pub(super) fn paste(state: &mut State, text: &str) {
    // Terminals paste line breaks as carriage returns.
    let line = text.split(['\n', '\r']).find(|line| !line.trim().is_empty()).unwrap_or_default();
    let line: String = line.chars().filter(|letter| !letter.is_control()).take(PASTE_MAX).collect();
    if line.is_empty() {
        return;
    }
    match &mut state.prompt {
        // It is chosen by a digit.
        Some(Prompt { kind: PromptKind::Window, .. }) => {}
        Some(prompt) => {
            prompt.error = None;
            prompt.choice = 0;
            prompt.text.push_str(&line);
        }
        None => {
            let line = line.trim();
            let kind = match state.log.is_some() {
                false => PromptKind::Find,
                true if when::parse(line, state.service_now(), state.shown_zone()).is_ok() => PromptKind::GoTo,
                true => PromptKind::Search,
            };
            state.help = None;
            state.prompt = Some(Prompt::new(kind, line));
        }
    }
    find(state);
}

/// Narrows the list of logs while the user types.
fn find(state: &mut State) {
    if let Some(Prompt { kind: PromptKind::Find, text, .. }) = &state.prompt {
        state.logs.find.clone_from(text);
        state.logs.cursor = None;
    }
}

fn enter(state: &mut State, effects: &mut Vec<Effect>) -> Option<Action> {
    let Prompt { kind, text, choice, .. } = state.prompt.take()?;
    if kind == PromptKind::Palette {
        match choices(state, &text).into_iter().nth(choice)?.target {
            Target::Action(action) => return Some(action),
            Target::Position(position) => travel::jump(state.log.as_mut()?, position),
            Target::Log(id) => logs::open(state, id, effects),
        }
        return None;
    }
    let (service_now, zone) = (state.service_now(), state.shown_zone().clone());
    let log = state.log.as_mut()?;
    let done = match kind {
        PromptKind::GoTo => {
            let ahead = log.ahead;
            moment(&text, log.shown_time(), service_now, &zone).map(|moment| travel::jump(log, position(moment, ahead)))
        }
        PromptKind::Search => pattern(&text).map(|pattern| search::begin(state, pattern, effects)),
        PromptKind::Filter => pattern(&text).map(|pattern| filter(state, pattern)),
        PromptKind::Find | PromptKind::Window | PromptKind::Palette => Ok(()),
    };
    if let Err(error) = done {
        state.prompt = Some(Prompt { error: Some(error.to_string()), ..Prompt::new(kind, text) });
    }
    None
}

/// Returns the typed pattern, or `None` for an empty text.
fn pattern(text: &str) -> Result<Option<Pattern>, Error> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(Pattern::new).transpose()
}

fn filter(state: &mut State, pattern: Option<Pattern>) {
    let Some(log) = &mut state.log else { return };
    log.filter = pattern;
    if log.filter.is_none() {
        state.say("all events are shown");
    }
}

/// Returns the position to go to in a log with these events ahead of now.
fn position(moment: Moment, ahead: Option<AheadReply>) -> Position {
    match moment {
        Moment::At(offset) => Position::at(offset),
        Moment::First => Position::MIN,
        Moment::Last => Position::MAX,
        Moment::End => ahead.map_or(Position::MAX, |ahead| Position::at(ahead.last)),
    }
}
