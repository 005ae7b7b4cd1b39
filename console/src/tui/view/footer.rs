//! The footer: the keys that are possible now, the prompt, and what has just happened.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::tui::{
    keymap::{self, Action, Binding, KeyScope},
    prompt::{COPIES, WINDOWS, explain_time},
    state::{Cover, Mode, Prompt, PromptKind, State, TimeRange},
};

use super::{
    dialog::keys,
    looks::Looks,
    overlay,
    pen::{self, Pen},
};

/// Limit of the rows of an explanation above the prompt.
const EXPLANATION_ROWS: u16 = 3;
/// Width from which pinned keys have words.
const PINNED_WORDS_FROM: u16 = 60;
/// Width from which the keys of the screens are pinned.
const SCREENS_FROM: u16 = 100;
/// Limit of the hints at the left.
const HINTS_MAX: usize = 6;

pub(super) fn draw(state: &State, looks: Looks, buffer: &mut Buffer, area: Rect) {
    overlay::clear(buffer, area);
    if let Some(prompt) = &state.prompt {
        return draw_prompt(state, prompt, looks, buffer, area);
    }
    let scope = state.key_scope();
    let pinned = pinned(scope, state.messages.unseen(), area.width);
    let pinned_width: usize = pinned.iter().map(|(key, word)| pen::width(key) + word.len() + 3).sum();
    let pinned_at = area.right().saturating_sub(pinned_width as u16);
    let mut right = pinned_at;
    if let Some(notice) = state.notice() {
        // A notice takes room from the hints, but not all of it.
        let wanted = right.saturating_sub(pen::width(notice) as u16 + 2);
        right = right.min(wanted.max(area.x + area.width / 5));
        let room = Rect { x: right, width: pinned_at.saturating_sub(right + 1), ..area };
        Pen::new(buffer, room, 0).foreign(&looks.spelled(notice), looks.name());
    }
    let hints = Rect { width: right.saturating_sub(area.x), ..area };
    let mut pen = Pen::new(buffer, hints, 0);
    pen.put(" ", Style::new());
    for (key, word) in hints_of(state).into_iter().take(HINTS_MAX) {
        let key: String = key.iter().map(|key| looks.key(key)).collect::<Vec<_>>().join("");
        if pen.room() < pen::width(&key) + word.len() + 3 {
            break;
        }
        pen.put(&key, looks.name()).put(" ", Style::new()).put(word, Style::new()).put("  ", Style::new());
    }
    let mut pen = Pen::new(buffer, area, 0);
    pen.go_to(pinned_at);
    for (key, word) in pinned {
        pen.put(" ", Style::new()).put(key, looks.name());
        if !word.is_empty() {
            pen.put(" ", Style::new()).put(&word, Style::new());
        }
        pen.put(" ", Style::new());
    }
}

/// Returns the keys that are always there, and that of the messages if there are `unseen` ones.
fn pinned(scope: KeyScope, unseen: usize, width: u16) -> Vec<(&'static str, String)> {
    if width < PINNED_WORDS_FROM {
        return [("?", ""), (":", ""), ("q", "")].map(|(key, word)| (key, word.to_owned())).into();
    }
    let mut pinned = vec![("?", "help".to_owned()), (":", "commands".to_owned())];
    let is_inside = matches!(scope, KeyScope::Log | KeyScope::Detail);
    if unseen > 0 {
        pinned.push(("4", format!("({unseen} new)")));
    } else if !is_inside && width >= SCREENS_FROM {
        pinned.push(("1 2 3 4", "screens".to_owned()));
    }
    pinned.push(("q", if scope == KeyScope::Logs { "quit" } else { "back" }.to_owned()));
    pinned
}

/// Returns the keys that are possible now, with a word for each.
fn hints_of(state: &State) -> Vec<(Vec<&'static str>, &'static str)> {
    let keys = |action: Action| -> Option<&'static Binding> {
        keymap::bindings(state.key_scope()).find(|binding| binding.action == action)
    };
    let one = |action: Action, word: &'static str| keys(action).map(|binding| (vec![binding.keys[0]], word));
    let two = |first: Action, second: Action, word: &'static str| {
        Some((vec![keys(first)?.keys[0], keys(second)?.keys[0]], word))
    };
    match state.covers.top() {
        Some(Cover::Service) => {
            let hints = [two(Action::Up, Action::Down, "instance"), one(Action::CopyDoctor, "copy doctor")];
            return hints.into_iter().flatten().collect();
        }
        Some(Cover::Messages) => {
            let step = two(Action::Up, Action::Down, "message");
            let hints = [step, one(Action::Search, "find"), one(Action::Copy, "copy")];
            return hints.into_iter().flatten().collect();
        }
        None => {}
    }
    let hints = match &state.log {
        None => vec![
            one(Action::Open, "open"),
            one(Action::Pick, "pick"),
            one(Action::Search, "find"),
            one(Action::NextOrder, "order"),
            one(Action::ChooseWindow, "window"),
            one(Action::Preview, "preview"),
        ],
        Some(log) if log.detail.is_open => vec![
            two(Action::Up, Action::Down, "value"),
            one(Action::Only, "only"),
            one(Action::Except, "not"),
            one(Action::Plot, "plot"),
            one(Action::AsColumn, "column"),
            one(Action::Copy, "copy"),
            one(Action::ToList, "list"),
        ],
        Some(log) if log.sorted.is_some() => vec![
            two(Action::Up, Action::Down, "event"),
            one(Action::Open, "go there in time"),
            one(Action::Back, "by time again"),
            one(Action::Columns, "sort by"),
        ],
        Some(log) => {
            let mut hints = Vec::new();
            if matches!(log.range, Some(TimeRange::Open(_))) {
                hints.push(one(Action::Range, "ends it"));
            } else if log.range.is_some() {
                hints.push(one(Action::Copy, "copy"));
            }
            if log.search.is_some() {
                hints.push(two(Action::NextHit, Action::PreviousHit, "hits"));
            }
            match log.mode {
                Mode::Playing { .. } => hints.extend([
                    one(Action::Play, "pause"),
                    two(Action::Slower, Action::Faster, "speed"),
                    one(Action::SkipSilence, if log.skips_silence() { "play silence" } else { "skip silence" }),
                ]),
                Mode::Live => hints.push(one(Action::Play, "pause")),
                Mode::Paused => {}
            }
            hints.extend([
                two(Action::ScrubBack, Action::ScrubForward, "scrub"),
                two(Action::Up, Action::Down, "event"),
            ]);
            if log.mode == Mode::Paused {
                hints.push(one(Action::Play, "play"));
            }
            if log.table.levels().any() {
                hints.push(one(Action::NextError, "next error"));
            }
            hints.extend([
                one(Action::GoTo, "time"),
                one(Action::Search, "search"),
                one(Action::Filter, "only"),
                one(Action::Open, "event's text"),
            ]);
            hints
        }
    };
    hints.into_iter().flatten().collect()
}

/// Draws the prompt, the text so far, and what it means or why it is refused.
fn draw_prompt(state: &State, prompt: &Prompt, looks: Looks, buffer: &mut Buffer, area: Rect) {
    let label = match prompt.kind {
        PromptKind::Find | PromptKind::FindMessage => " find: ",
        PromptKind::GoTo => " go to: ",
        PromptKind::Search => " search: ",
        PromptKind::Filter => " only events with: ",
        PromptKind::Palette => " : ",
        PromptKind::Window => " show",
        PromptKind::Copy => " copy",
        PromptKind::Columns => " columns:",
        PromptKind::Export => " export:",
        PromptKind::Replay => " replay:",
    };
    let mut pen = Pen::new(buffer, area, 0);
    pen.put(label, looks.name());
    if prompt.kind == PromptKind::Window {
        for window in WINDOWS {
            let digit = window.digit.to_string();
            pen.put("  ", Style::new()).put(&digit, looks.name()).put(" ", Style::new()).put(window.name, Style::new());
        }
        return;
    }
    if prompt.kind == PromptKind::Columns {
        for (key, word) in [("space", "show"), ("J K", "move"), ("s", "sort by"), ("r", "as it was"), ("esc", "done")] {
            pen.put("  ", Style::new()).put(key, looks.name()).put(" ", Style::new()).put(word, Style::new());
        }
        return;
    }
    if let Some(dialog) = &state.dialog {
        for (key, word) in keys::possible(dialog, prompt, looks) {
            if pen.room() < pen::width(&key) + word.len() + 3 {
                break;
            }
            pen.put("  ", Style::new()).put(&key, looks.name()).put(" ", Style::new()).put(word, Style::new());
        }
        if let Some(notice) = state.notice() {
            pen.put("  ", Style::new()).foreign(&looks.spelled(notice), looks.name());
        }
        return;
    }
    if prompt.kind == PromptKind::Copy {
        for choice in COPIES {
            let key = choice.key.to_string();
            pen.put("  ", Style::new()).put(&key, looks.name()).put(" ", Style::new()).put(choice.name, Style::new());
        }
        return;
    }
    draw_text(prompt, looks, &mut pen);
    let explanation = match (&prompt.error, prompt.kind) {
        (Some(error), _) => Err(error.clone()),
        (None, PromptKind::GoTo) => {
            let (now, playhead) = (state.service_now(), state.log.as_ref().and_then(|log| log.time()));
            explain_time(&prompt.text, playhead.unwrap_or(now), now, state.shown_zone())
        }
        (None, PromptKind::Filter) if prompt.text.is_empty() => {
            Ok("json.mag >= 4.5, json.place.contains(\"Taiwan\"), or a text".to_owned())
        }
        (None, PromptKind::Search) if prompt.text.is_empty() => {
            Ok("a text in the data; lowercase matches both cases, re: begins a regular expression".to_owned())
        }
        (None, _) => Ok(String::new()),
    };
    let (text, style) = match explanation {
        Ok(text) => (text, looks.aside()),
        Err(error) => (error, looks.bad()),
    };
    let text = looks.spelled(&text);
    if pen.room() > pen::width(&text) + 2 {
        pen.put("  ", Style::new()).foreign(&text, style);
    } else if !text.is_empty() && area.y > 0 {
        // A text that does not fit here goes into the rows above.
        let width = usize::from(area.width.saturating_sub(2)).max(1);
        let rows = textwrap::wrap(&text, width);
        let height = (rows.len() as u16).min(EXPLANATION_ROWS).min(area.y);
        let above = Rect { y: area.y - height, height, ..area };
        overlay::clear(buffer, above);
        for (row, text) in rows.iter().enumerate() {
            Pen::new(buffer, above, row as u16).put(" ", Style::new()).foreign(text, style);
        }
    }
}

/// Draws the text of a prompt with its cursor: as much around it as there is room for.
pub(super) fn draw_text(prompt: &Prompt, looks: Looks, pen: &mut Pen<'_>) {
    let (before, rest) = prompt.split();
    let room = pen.room().saturating_sub(2);
    let mut start = before.len();
    let mut taken = 0;
    for (at, letter) in before.char_indices().rev() {
        taken += pen::width(letter.encode_utf8(&mut [0; 4]));
        if taken > room {
            break;
        }
        start = at;
    }
    if start > 0 {
        pen.put(&looks.ellipsis().to_string(), looks.aside());
    }
    let mut letters = rest.chars();
    let under: String = letters.next().map_or_else(|| " ".to_owned(), String::from);
    pen.foreign(&before[start..], Style::new()).foreign(&under, Looks::here()).foreign(letters.as_str(), Style::new());
}
