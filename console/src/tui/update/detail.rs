//! The cursor in the text of an event: from value to value, and what can be done with one.

use hourlog::Event;

use crate::tui::{
    detail_text,
    filter::{self, FILTERS_MAX, Filter},
    json::{self, Segment},
    keymap::Action,
    layout,
    msg::Effect,
    pretty::pretty_lines,
    scan::Direction,
    state::{Log, State},
};

use super::{copying, finding, selection};

/// A value, and the number of its line.
struct Value {
    line: usize,
    /// Its path as an expression.
    path: String,
    /// Its path as a column has it, if one can.
    column: Option<String>,
    /// Its text as it was written: a brace or a bracket for an object or an array.
    text: String,
}

/// Performs an action on the value under the cursor. Returns false if it is for the list.
pub(super) fn perform(state: &mut State, action: Action, effects: &mut Vec<Effect>) -> bool {
    let Some(log) = state.log.as_mut().filter(|log| log.detail.is_open) else { return false };
    match action {
        Action::ToList => log.detail.is_open = false,
        Action::Down => step(state, 1),
        Action::Up => step(state, -1),
        Action::Only => only(state, effects),
        Action::Except => {
            if let Some(expression) = here(log).and_then(|value| compared(&value, "!=")) {
                add(state, &expression, effects);
            }
        }
        Action::Fold | Action::Unfold => {
            if let Some(value) = here(log).filter(|value| value.text.starts_with(['{', '['])) {
                if action == Action::Fold {
                    log.detail.folded.insert(value.path);
                } else {
                    log.detail.folded.remove(&value.path);
                }
            }
        }
        Action::Copy => {
            if let Some(value) = here(log) {
                copying::send(state, effects, "the value", json::unquoted(&value.text).into_owned());
            }
        }
        Action::Plot => plot(state),
        Action::AsColumn => as_column(state),
        Action::NextHit => differing(state, Direction::Forward, effects),
        Action::PreviousHit => differing(state, Direction::Backward, effects),
        Action::CopyPath => {
            if let Some(value) = here(log) {
                copying::send(state, effects, "the path", value.path);
            }
        }
        _ => return false,
    }
    true
}

/// Puts the cursor into the text of the event.
pub(super) fn enter(state: &mut State) {
    let Some(log) = &mut state.log else { return };
    log.detail.is_open = true;
    if here(log).is_none() {
        step(state, 1);
    }
}

/// Returns the value under the cursor; of a shorter event, none.
fn here(log: &Log) -> Option<Value> {
    values(log, log.detail_event()?).find(|value| value.line == log.detail.line)
}

/// Returns the values of an event's text, in order.
fn values<'a>(log: &'a Log, event: &'a Event) -> impl Iterator<Item = Value> + 'a {
    let json = detail_text::shown_json(log, event).unwrap_or_default();
    let lines = pretty_lines(json, |path: &str| log.detail.folded.contains(path)).enumerate();
    lines.filter_map(|(line, pretty)| {
        let value = pretty.value.filter(|value| !value.path.is_empty())?;
        Some(Value { line, path: path(&value.path), column: column(&value.path), text: value.text.to_owned() })
    })
}

/// Returns the path of a value as a column has it. Columns are two levels deep, and have no elements of arrays.
fn column(segments: &[Segment<'_>]) -> Option<String> {
    let keys: Option<Vec<&str>> = segments
        .iter()
        .map(|segment| match segment {
            Segment::Key(key) => Some(&**key),
            Segment::Index(_) => None,
        })
        .collect();
    keys.filter(|keys| keys.len() <= 2).map(|keys| keys.join("."))
}

/// Returns the path of the number under the cursor, if a column can have it.
pub(super) fn number_path(log: &Log) -> Option<String> {
    let value = log.detail.is_open.then(|| here(log)).flatten()?;
    let is_number = value.text.starts_with(|letter: char| letter.is_ascii_digit() || letter == '-');
    value.column.filter(|_| is_number)
}

/// Plots the number under the detail's cursor over time, or no longer.
fn plot(state: &mut State) {
    let path = state.log.as_ref().and_then(number_path);
    let Some(log) = &mut state.log else { return };
    match (path, log.plot.take()) {
        (None, Some(_)) => {}
        (None, None) => state.say("the cursor is not on a number that a column can have"),
        (Some(path), Some(plotted)) if path == plotted => {}
        (Some(path), _) => log.plot = Some(path),
    }
}

/// Shows the value under the cursor as a column of the list, or no longer.
fn as_column(state: &mut State) {
    let Some(log) = &mut state.log else { return };
    let Some(path) = here(log).and_then(|value| value.column) else {
        return state.say("columns are fields of two levels, without elements of arrays");
    };
    log.table.toggle(&path);
    let is_shown = log.table.choice().chosen.iter().any(|column| column.path == path);
    state.say(if is_shown { format!("{path} is a column") } else { format!("{path} is not a column any more") });
}

/// Goes to the next event in which the value under the cursor is another one.
fn differing(state: &mut State, direction: Direction, effects: &mut Vec<Effect>) {
    let Some(log) = &state.log else { return };
    if let Some(condition) = here(log).and_then(|value| compared(&value, "!=")) {
        finding::differing(state, condition, direction, effects);
    }
}

fn path(segments: &[Segment<'_>]) -> String {
    json::expression(segments)
}

/// Moves the cursor by a number of values, or scrolls a text that has none.
fn step(state: &mut State, by: isize) {
    let scrolled = detail_text::scrolled_down(state, 1);
    let (size, zone) = (state.size, state.shown_zone().clone());
    let Some(log) = &mut state.log else { return };
    let Some(event) = log.detail_event() else { return };
    let lines: Vec<usize> = values(log, event).map(|value| value.line).collect();
    if lines.is_empty() {
        let scroll = if by > 0 { scrolled } else { log.detail_scroll().saturating_sub(1) };
        return log.scroll_detail(scroll);
    }
    let at = lines.partition_point(|line| *line < log.detail.line);
    let is_on = lines.get(at) == Some(&log.detail.line);
    let to = match by {
        0.. => at + usize::from(is_on),
        _ => at.saturating_sub(1),
    };
    let line = lines[to.min(lines.len() - 1)];
    // Scrolls as far as the line needs it.
    let area = layout::log_areas(log, size).detail;
    let rows = detail_text::rows(log, event, &zone, area.width);
    let row = rows.take_while(|row| row.line != Some(line)).count();
    let height = usize::from(area.height.saturating_sub(1)).max(1);
    let scroll = log.detail_scroll().clamp((row + 1).saturating_sub(height), row);
    log.detail.line = line;
    log.scroll_detail(scroll);
}

/// Shows only events with the value under the cursor. Asked again, a number is a bound: the least, then the greatest.
fn only(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(log) = &state.log else { return };
    let Some(value) = here(log) else { return };
    let is_number = value.text.starts_with(|letter: char| letter.is_ascii_digit() || letter == '-');
    let newest = log.filters.last().map(|filter| filter.typed.clone());
    let next = ["==", ">=", "<="].into_iter().map(|sign| compared(&value, sign));
    let known = next.clone().position(|typed| typed.is_some() && typed == newest).filter(|_| is_number);
    let Some(expression) = next.cycle().nth(known.map_or(0, |known| known + 1)).flatten() else { return };
    if known.is_some() {
        let filters = log.filters[..log.filters.len() - 1].to_vec();
        return add_to(state, filters, &expression, effects);
    }
    add(state, &expression, effects);
}

/// Returns an expression that compares a value; for an object or an array, that it is there.
fn compared(value: &Value, sign: &str) -> Option<String> {
    let Value { path, text, .. } = value;
    match text.chars().next()? {
        '{' | '[' if sign == "!=" => Some(format!("!has({path})")),
        '{' | '[' => Some(format!("has({path})")),
        '"' => Some(format!("{path} {sign} {}", filter::quoted(&json::unquoted(text)))),
        _ => Some(format!("{path} {sign} {text}")),
    }
}

/// Adds a filter to the ones that there are.
fn add(state: &mut State, expression: &str, effects: &mut Vec<Effect>) {
    let Some(log) = &state.log else { return };
    let filters = log.filters.clone();
    add_to(state, filters, expression, effects);
}

fn add_to(state: &mut State, mut filters: Vec<Filter>, expression: &str, effects: &mut Vec<Effect>) {
    if filters.len() >= FILTERS_MAX {
        return state.say(format!("there are {FILTERS_MAX} filters; ctrl-f clears them"));
    }
    match Filter::new(expression) {
        Ok(filter) => {
            filters.retain(|known| *known != filter);
            filters.push(filter);
            selection::check(state, filters, effects);
        }
        Err(error) => state.say_error(&error),
    }
}
