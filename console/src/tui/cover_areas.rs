//! The layout of the screens over that of the logs: the service and the messages.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::tui::{
    layout,
    state::{Cover, CursorRow, State},
};

/// Rows of the body from which the messages have the one under the cursor below them.
const WHOLE_FROM: u16 = 12;
/// Rows for the message under the cursor: a rule, and its text.
const WHOLE_ROWS: u16 = 5;
/// Rows of the newest messages below the service.
const NEWEST_ROWS: u16 = 4;

/// The rows of the list on a screen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListRows {
    /// Row of the screen on which the list begins.
    pub(crate) top: usize,
    /// Number of its rows on the screen.
    pub(crate) rows: usize,
    /// Index of the item in its first row.
    pub(crate) first: usize,
    /// Index of the item under the cursor.
    pub(crate) index: usize,
    /// Number of all items.
    pub(crate) count: usize,
}

/// The areas of the service's screen. A hidden area has no rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServiceAreas {
    /// The names of the columns, and the instances.
    pub(crate) instances: Rect,
    /// Sentences about what is wrong.
    pub(crate) sentences: Rect,
    /// The endpoints of the instance under the cursor.
    pub(crate) endpoints: Rect,
    /// The messages that wait for the archive: a title, bars and an axis.
    pub(crate) lag: Rect,
    /// The newest messages of the session.
    pub(crate) messages: Rect,
}

/// The areas of the messages' screen. A hidden area has no rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessagesAreas {
    /// The number of messages, and the text to find.
    pub(crate) summary: Rect,
    pub(crate) list: Rect,
    /// The message under the cursor, whole.
    pub(crate) whole: Rect,
}

/// Returns the rows of the list on a screen.
pub(crate) fn list(state: &State, cover: Cover) -> ListRows {
    let body = layout::body(state.size);
    match cover {
        Cover::Service => {
            let (index, count) = (state.instances.cursor_index(), state.instances.all().len());
            let rows = instance_rows(body.height, count);
            // The names of the columns are above.
            list_rows(body.y + 1, rows, index, state.instances.cursor_row, count)
        }
        Cover::Messages => {
            let shown = state.messages.shown();
            let area = messages_areas(body).list;
            let index = state.messages.cursor_index(&shown);
            list_rows(area.y, area.height, index, state.messages.cursor_row, shown.len())
        }
    }
}

fn list_rows(top: u16, rows: u16, index: usize, cursor_row: CursorRow, count: usize) -> ListRows {
    let rows = usize::from(rows);
    let first = cursor_row.first(index, rows, count);
    ListRows { top: usize::from(top), rows, first, index, count }
}

/// Returns the rows for instances: as many as there are, but at most a third of the body.
fn instance_rows(height: u16, count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX).clamp(1, (height / 3).max(1))
}

/// Divides the body of the service's screen, which has this many instances and sentences.
pub(crate) fn service_areas(body: Rect, instances: usize, sentences: usize) -> ServiceAreas {
    let bars = match body.height {
        36.. => 4,
        30.. => 3,
        20.. => 2,
        16.. => 1,
        _ => 0,
    };
    // A title is above the bars, and an axis below. Without room for bars, the title has the numbers.
    let lag = if bars > 0 { bars + 2 } else { u16::from(body.height >= 8) };
    let instances = 1 + instance_rows(body.height, instances);
    let sentences = u16::try_from(sentences).unwrap_or(u16::MAX).min(body.height.saturating_sub(instances + lag) / 2);
    let messages = if body.height >= 30 { NEWEST_ROWS + 1 } else { 0 };
    let rows = [instances, sentences].map(Constraint::Length);
    let [instances, sentences, endpoints, lag, messages] =
        Layout::vertical(rows.into_iter().chain([Constraint::Min(0)]).chain([lag, messages].map(Constraint::Length)))
            .areas(body);
    ServiceAreas { instances, sentences, endpoints, lag, messages }
}

/// Divides the body of the messages' screen.
pub(crate) fn messages_areas(body: Rect) -> MessagesAreas {
    let whole = if body.height >= WHOLE_FROM { WHOLE_ROWS } else { 0 };
    let [summary, list, whole] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(whole)]).areas(body);
    MessagesAreas { summary, list, whole }
}
