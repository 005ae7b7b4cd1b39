//! The mouse: a click goes to a row, a bar or a place in the whole log; dragging over bars makes a range.

use hourlog::{Offset, Position};

use crate::tui::{
    keymap::Action,
    layout::{self, Spot},
    mouse::{MouseInput, MouseKind},
    msg::Effect,
    rows::{Row, rows},
    state::{CursorRow, LogRow, Mode, State, TimeRange},
};

use super::{
    logs, screens,
    travel::{jump, keep_in_window, step},
};

/// Events of one turn of the wheel.
const WHEEL: i64 = 3;

/// Handles an input of the mouse.
pub(super) fn handle(state: &mut State, input: MouseInput, effects: &mut Vec<Effect>) {
    if state.prompt.is_some() || state.help.take().is_some() {
        return;
    }
    if let Some(cover) = state.covers.top() {
        return screens::handle_mouse(state, cover, input);
    }
    if state.log.is_none() {
        return handle_in_list(state, input, effects);
    }
    let Some(log) = &state.log else { return };
    let spot = layout::spot(state, log, input.column, input.row);
    match (input.kind, spot) {
        (MouseKind::WheelUp, _) => step(state, -WHEEL),
        (MouseKind::WheelDown, _) => step(state, WHEEL),
        (MouseKind::Press, Some(Spot::Row(row))) => go_to_row(state, row),
        (MouseKind::Press, Some(Spot::Detail)) => {
            if let Some(log) = &mut state.log {
                log.detail.is_open = true;
            }
        }
        (MouseKind::Press, Some(Spot::Bars(column))) => {
            if let Some((from, _)) = bar_at(state, column) {
                jump(state, Position::at(from));
            }
        }
        (MouseKind::Press, Some(Spot::Overview(column, columns))) => go_in_overview(state, column, columns),
        (MouseKind::Drag, Some(Spot::Bars(column))) => {
            if let Some((from, to)) = bar_at(state, column) {
                drag(state, from, to);
            }
        }
        _ => {}
    }
}

/// Puts the cursor on a row of the list.
fn go_to_row(state: &mut State, row: usize) {
    let Some(log) = &state.log else { return };
    let drawn = rows(state, log);
    let Some(Row::Event(fold, _)) = drawn.rows.get(row) else { return };
    let (to, of) = (fold.first.position, fold.first.log.clone());
    let Some(log) = &mut state.log else { return };
    if let Some(sorted) = &mut log.sorted {
        let index = sorted.result.events.iter().position(|event| event.position == to && event.log == of);
        (sorted.cursor, sorted.stays_first) = (index.unwrap_or(0), false);
    }
    (log.playhead, log.goal, log.mode) = (to, None, Mode::Paused);
    log.cursor_row = CursorRow::At(row);
    keep_in_window(state);
}

/// Returns the time of the bar at a column of the bars.
fn bar_at(state: &State, column: usize) -> Option<(Offset, Offset)> {
    let grid = state.log.as_ref()?.scrubber.grid.as_ref()?;
    let bar = column / grid.scale.columns;
    Some((*grid.edges().get(bar)?, *grid.edges().get(bar + 1)?))
}

/// Goes to the time at a column of the overview.
fn go_in_overview(state: &mut State, column: u16, columns: u16) {
    let Some((first, last)) = state.log.as_ref().and_then(|log| log.scrubber.extent) else { return };
    let span = i128::from(last.nanos()) - i128::from(first.nanos());
    let to = first.saturating_add_nanos((span * i128::from(column) / i128::from(columns.max(1))) as i64);
    jump(state, Position::at(to));
}

/// Makes a range from where the button was pressed, or the other end of it.
fn drag(state: &mut State, from: Offset, to: Offset) {
    let Some(log) = &mut state.log else { return };
    let start = log.playhead.offset;
    let last = to.saturating_add_nanos(-1);
    log.range = Some(TimeRange::Closed(start.min(from), start.max(last)));
}

/// Handles an input of the mouse over the list of logs.
fn handle_in_list(state: &mut State, input: MouseInput, effects: &mut Vec<Effect>) {
    let shown = state.logs.shown();
    let (index, room) = (state.logs.cursor_index(&shown), layout::list_rows(state));
    let first = state.logs.cursor_row.first(index, room, shown.len());
    // The header, the summary and the names of the columns are above.
    let row = usize::from(input.row).checked_sub(3).map(|row| first + row);
    let to = match input.kind {
        MouseKind::WheelUp => index.saturating_sub(WHEEL as usize),
        MouseKind::WheelDown => (index + WHEEL as usize).min(shown.len().saturating_sub(1)),
        MouseKind::Press => match row.filter(|row| *row < shown.len()) {
            Some(row) => row,
            None => return,
        },
        MouseKind::Drag => return,
    };
    let Some(key) = shown.get(to).map(LogRow::key) else { return };
    if input.kind == MouseKind::Press && to == index {
        // A second click opens.
        return logs::perform(state, Action::Open, effects);
    }
    state.logs.cursor = Some(key);
    state.logs.cursor_row = CursorRow::At(to.saturating_sub(first));
}
