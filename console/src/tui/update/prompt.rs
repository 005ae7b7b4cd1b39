//! What is being typed.

use crossterm::event::{KeyCode, KeyModifiers};
use hourlog::{MINUTE, Offset, Position};

use crate::{
    tui::{
        keymap::Key,
        msg::Effect,
        pattern::Pattern,
        state::{Prompt, PromptKind, State},
    },
    when::{self, Moment},
};

use super::{
    logs,
    palette::{CHOICES_MAX, Does, choices},
    say, search, travel,
};

/// The stretches that a digit chooses, in minutes.
pub(crate) const WINDOWS: [(char, &str, i64); 6] =
    [('1', "1m", 1), ('2', "5m", 5), ('3', "1h", 60), ('4', "6h", 360), ('5', "1d", 1_440), ('6', "7d", 10_080)];

pub(super) fn press(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    let Some(prompt) = &mut state.prompt else { return };
    prompt.wrong = None;
    if !matches!(key.code, KeyCode::Up | KeyCode::Down | KeyCode::Enter) {
        prompt.choice = 0;
    }
    if prompt.kind == PromptKind::Window {
        let chosen = WINDOWS.iter().find(|(digit, _, _)| key.code == KeyCode::Char(*digit));
        if let (Some((_, _, minutes)), Some(log)) = (chosen, &mut state.log) {
            travel::show_about(log, minutes * MINUTE);
        }
        state.prompt = None;
        return;
    }
    match key.code {
        KeyCode::Esc => {
            if prompt.kind == PromptKind::Find {
                state.logs.find.clear();
            }
            state.prompt = None;
        }
        KeyCode::Enter => enter(state, effects),
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
}

/// A log is looked for while one types.
fn find(state: &mut State) {
    if let Some(Prompt { kind: PromptKind::Find, text, .. }) = &state.prompt {
        state.logs.find.clone_from(text);
        state.logs.cursor = None;
    }
}

fn enter(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(Prompt { kind, text, choice, .. }) = state.prompt.take() else { return };
    if kind == PromptKind::Palette {
        match choices(state, &text).into_iter().nth(choice).map(|choice| choice.does) {
            Some(Does::Act(action)) => super::perform(state, action, effects),
            Some(Does::Go(place)) => {
                if let Some(log) = &mut state.log {
                    travel::jump(log, place);
                }
            }
            Some(Does::Open(id)) => logs::open_log(state, id, effects),
            None => {}
        }
        return;
    }
    let Some(log) = &mut state.log else { return };
    let said = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    match kind {
        PromptKind::GoTo => match when::parse(&text, state.now, &state.zone) {
            Ok(moment) => travel::jump(log, place(moment)),
            Err(error) => {
                let wrong = Some(error.to_string());
                state.prompt = Some(Prompt { wrong, ..Prompt::new(kind, text) });
            }
        },
        PromptKind::Search | PromptKind::Filter => match said.map(|said| Pattern::new(&said)).transpose() {
            Ok(pattern) => look_for(state, kind, pattern, effects),
            Err(error) => {
                let wrong = Some(error.to_string());
                state.prompt = Some(Prompt { wrong, ..Prompt::new(kind, text) });
            }
        },
        PromptKind::Find | PromptKind::Window | PromptKind::Palette => {}
    }
}

/// Searches for something, or shows only what has it; without it no longer.
fn look_for(state: &mut State, kind: PromptKind, pattern: Option<Pattern>, effects: &mut Vec<Effect>) {
    let Some(log) = &mut state.log else { return };
    match (kind, pattern) {
        (PromptKind::Search, Some(pattern)) => search::begin(state, pattern, effects),
        (PromptKind::Search, None) => {
            search::stop(log, effects);
            log.search = None;
        }
        (_, pattern) => {
            log.filter = pattern;
            if log.filter.is_none() {
                say(state, "all events are shown");
            }
        }
    }
}

fn place(moment: Moment) -> Position {
    match moment {
        Moment::At(offset) => Position::at(offset),
        Moment::First => Position::MIN,
        Moment::Last => Position::MAX,
    }
}

/// What a text means as a time, and how far that is from now: shown while one types.
pub(crate) fn preview(text: &str, now: Offset, zone: &jiff::tz::TimeZone) -> Result<String, String> {
    if text.trim().is_empty() {
        return Ok("14:05, 2h ago, yesterday 9:00, 2018-02-04T21:56:42Z, first, last".to_owned());
    }
    match when::parse(text, now, zone).map_err(|error| error.to_string())? {
        Moment::First => Ok("the oldest event".to_owned()),
        Moment::Last => Ok("the newest event".to_owned()),
        Moment::At(offset) => {
            Ok(format!("{}, {}", when::show(offset, zone), crate::tui::view::times::ago(offset, now)))
        }
    }
}
