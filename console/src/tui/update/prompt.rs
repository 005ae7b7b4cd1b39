//! Keys in the prompt.

use crossterm::event::KeyCode;
use hourlog::{Error, Position, wire::AheadReply};

use crate::{
    tui::{
        filter::{FILTERS_MAX, Filter},
        key::Key,
        keymap::Action,
        msg::Effect,
        palette::{CHOICES_MAX, Target, choices},
        pattern::Pattern,
        prompt::{COPIES, WINDOWS, moment},
        state::{Cover, Goal, Prompt, PromptKind, State, prompt::LETTERS_MAX},
        typed_command::{self, TypedCommand},
    },
    when::{self, Moment},
};

use super::{copying, dialog, logs, play, search, selection, surveys, travel};

/// Handles a key. Returns the action that was chosen from the palette.
pub(super) fn press(state: &mut State, key: Key, effects: &mut Vec<Effect>) -> Option<Action> {
    let prompt = state.prompt.as_mut()?;
    if matches!(prompt.kind, PromptKind::Export | PromptKind::Replay) {
        dialog::press(state, key, effects);
        return None;
    }
    prompt.error = None;
    if !matches!(key.code, KeyCode::Up | KeyCode::Down | KeyCode::Enter) {
        prompt.choice = 0;
    }
    if prompt.kind == PromptKind::Columns {
        choose_columns(state, key, effects);
        return None;
    }
    if prompt.kind == PromptKind::Copy {
        state.prompt = None;
        let choice = COPIES.iter().find(|choice| key.code == KeyCode::Char(choice.key))?;
        copying::copy(state, choice.what, effects);
        return None;
    }
    if prompt.kind == PromptKind::Window {
        state.prompt = None;
        let window = WINDOWS.iter().find(|window| key.code == KeyCode::Char(window.digit))?;
        match state.log {
            Some(_) => travel::show_around(state, window.nanos),
            None => logs::show_around(state, window.nanos),
        }
        return None;
    }
    let is_palette = prompt.kind == PromptKind::Palette;
    match key.code {
        KeyCode::Esc => {
            match prompt.kind {
                PromptKind::Find => state.logs.find.clear(),
                PromptKind::FindMessage => state.messages.find.clear(),
                _ => {}
            }
            state.prompt = None;
        }
        KeyCode::Enter => return enter(state, effects),
        KeyCode::Down if is_palette => prompt.choice = (prompt.choice + 1).min(CHOICES_MAX - 1),
        KeyCode::Up if is_palette => prompt.choice = prompt.choice.saturating_sub(1),
        KeyCode::Up => recall(state, 1),
        KeyCode::Down => recall(state, -1),
        _ => {
            prompt.edit(key);
            find(state);
        }
    }
    None
}

/// Handles a key of the columns.
fn choose_columns(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    let (Some(prompt), Some(log)) = (&mut state.prompt, &mut state.log) else { return };
    let choice = log.table.choice();
    let count = choice.chosen.len() + choice.others.len();
    let path = choice.chosen.iter().chain(&choice.others).nth(prompt.choice).map(|column| column.path.clone());
    let shown = choice.chosen.len();
    match (key.code, path) {
        (KeyCode::Down | KeyCode::Char('j'), _) => prompt.choice = (prompt.choice + 1).min(count.saturating_sub(1)),
        (KeyCode::Up | KeyCode::Char('k'), _) => prompt.choice = prompt.choice.saturating_sub(1),
        (KeyCode::Char(' '), Some(path)) => {
            log.table.toggle(&path);
            let choice = log.table.choice();
            let now = choice.chosen.iter().chain(&choice.others).position(|column| column.path == path);
            prompt.choice = now.unwrap_or(0);
        }
        (KeyCode::Char('J'), Some(path)) if prompt.choice + 1 < shown => {
            log.table.shift(&path, 1);
            prompt.choice += 1;
        }
        (KeyCode::Char('K'), Some(path)) if prompt.choice > 0 && prompt.choice < shown => {
            log.table.shift(&path, -1);
            prompt.choice -= 1;
        }
        (KeyCode::Char('s'), Some(path)) => {
            state.prompt = None;
            surveys::sort(state, path, effects);
        }
        (KeyCode::Char('r'), _) => {
            log.table.reset();
            prompt.choice = 0;
        }
        (KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q' | 'c'), _) => state.prompt = None,
        _ => {}
    }
}

/// Shows an earlier text of this kind again, or a later one.
fn recall(state: &mut State, by: isize) {
    let Some(prompt) = &mut state.prompt else { return };
    let Some(texts) = state.history.get(&prompt.kind).filter(|texts| !texts.is_empty()) else { return };
    let number = match (prompt.recalled, by) {
        (None, 1..) => Some(0),
        (None, _) => None,
        (Some(number), _) => number.checked_add_signed(by).map(|number| number.min(texts.len() - 1)),
    };
    prompt.recalled = number;
    let text = number.map_or_else(String::new, |number| texts[texts.len() - 1 - number].clone());
    prompt.set(text);
    find(state);
}

/// Puts a pasted text into the prompt. Without one, opens that which the text is for, and runs nothing: a time to go to, or
/// else a text to search for.
pub(super) fn paste(state: &mut State, text: &str) {
    // Terminals paste line breaks as carriage returns.
    let line = text.split(['\n', '\r']).find(|line| !line.trim().is_empty()).unwrap_or_default();
    let line: String = line.chars().filter(|letter| !letter.is_control()).take(LETTERS_MAX).collect();
    if line.is_empty() {
        return;
    }
    match &mut state.prompt {
        // A key chooses.
        Some(Prompt { kind: PromptKind::Window | PromptKind::Copy | PromptKind::Columns, .. }) => {}
        Some(Prompt { kind: PromptKind::Export | PromptKind::Replay, .. }) => dialog::paste(state, &line),
        Some(prompt) => {
            prompt.error = None;
            prompt.choice = 0;
            prompt.insert(&line);
        }
        None => {
            let line = line.trim();
            let kind = match state.log.is_some() {
                _ if state.covers.top() == Some(Cover::Service) => return,
                _ if state.covers.top() == Some(Cover::Messages) => PromptKind::FindMessage,
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

/// Narrows the list of logs, or of messages, while the user types.
fn find(state: &mut State) {
    match &state.prompt {
        Some(Prompt { kind: PromptKind::Find, text, .. }) => {
            state.logs.find.clone_from(text);
            state.logs.cursor = None;
        }
        Some(Prompt { kind: PromptKind::FindMessage, text, .. }) => state.messages.find.clone_from(text),
        _ => {}
    }
}

fn enter(state: &mut State, effects: &mut Vec<Effect>) -> Option<Action> {
    let Prompt { kind, text, choice, .. } = state.prompt.take()?;
    state.remember(kind, &text);
    let typed = (kind == PromptKind::Palette)
        .then(|| typed_command::read(&text, state.logs.rows().into_iter().flatten().map(|row| &row.log)))
        .flatten();
    if let Some(command) = typed {
        if let Err(error) = command.and_then(|command| run(state, command, effects)) {
            state.prompt = Some(Prompt::refused(kind, text, error));
        }
        return None;
    }
    if kind == PromptKind::Palette {
        match choices(state, &text).into_iter().nth(choice)?.target {
            Target::Action(action) => return Some(action),
            Target::Position(position) => {
                state.covers.clear();
                travel::jump(state, position);
            }
            Target::Log(id) => logs::open(state, id.into(), effects),
        }
        return None;
    }
    let done = match kind {
        PromptKind::GoTo => go_to(state, &text),
        PromptKind::Search => pattern(&text).map(|pattern| search::begin(state, pattern, effects)),
        PromptKind::Filter => filter(state, &text, effects),
        PromptKind::Find
        | PromptKind::FindMessage
        | PromptKind::Window
        | PromptKind::Copy
        | PromptKind::Columns
        | PromptKind::Palette
        | PromptKind::Export
        | PromptKind::Replay => Ok(()),
    };
    if let Err(error) = done {
        state.prompt = Some(Prompt::refused(kind, text, error));
    }
    None
}

/// Runs a command that was typed into the palette.
fn run(state: &mut State, command: TypedCommand, effects: &mut Vec<Effect>) -> Result<(), String> {
    match command {
        TypedCommand::Open(lanes) => logs::open(state, lanes, effects),
        _ if state.log.is_none() => return Err("open a log first".to_owned()),
        TypedCommand::GoTo(text) => go_to(state, &text).map_err(|error| error.to_string())?,
        TypedCommand::Speed(speed) => play::set_speed(state, speed),
        TypedCommand::Columns(paths) => {
            if let Some(log) = &mut state.log {
                log.table.show(paths);
            }
        }
    }
    Ok(())
}

fn go_to(state: &mut State, text: &str) -> Result<(), Error> {
    let (service_now, zone) = (state.service_now(), state.shown_zone().clone());
    let Some(log) = &state.log else { return Ok(()) };
    let moment = moment(text, log.time().unwrap_or(service_now), service_now, &zone)?;
    go_to_moment(state, moment);
    Ok(())
}

/// Goes to a time, or to an end of the log.
pub(super) fn go_to_moment(state: &mut State, moment: Moment) {
    let ahead = state.log.as_ref().and_then(|log| log.ahead);
    match moment {
        Moment::At(offset) => travel::jump(state, Position::at(offset)),
        Moment::First => travel::jump_to_goal(state, Goal::Oldest),
        Moment::Last => travel::jump_to_goal(state, Goal::Newest),
        Moment::End => end(state, ahead),
    }
}

/// Goes to the last event, also if it lies ahead of now.
fn end(state: &mut State, ahead: Option<AheadReply>) {
    match ahead {
        Some(ahead) => travel::jump(state, Position::at(ahead.last)),
        None => travel::jump_to_goal(state, Goal::Newest),
    }
}

/// Returns the typed pattern, or `None` for an empty text.
fn pattern(text: &str) -> Result<Option<Pattern>, Error> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(Pattern::new).transpose()
}

/// Puts a filter in the place of the newest one. An empty text takes that away.
fn filter(state: &mut State, text: &str, effects: &mut Vec<Effect>) -> Result<(), Error> {
    let filter = Some(text.trim()).filter(|text| !text.is_empty()).map(Filter::new).transpose()?;
    let Some(log) = &mut state.log else { return Ok(()) };
    let mut filters = log.filters.clone();
    filters.pop();
    if filters.len() >= FILTERS_MAX {
        return Err(Error::invalid(format!("there are {FILTERS_MAX} filters, and no room for another")));
    }
    filters.extend(filter);
    if filters == log.filters {
        return Ok(());
    }
    if filters.is_empty() {
        log.filters.clear();
        selection::selection_changed(state, effects);
        state.say("all events are shown");
    } else {
        selection::check(state, filters, effects);
    }
    Ok(())
}
