//! How the screen is divided. Moving needs to know it as drawing does: a page is as many rows as are seen.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::tui::state::{Log, State};

/// The least terminal that something is drawn in.
pub(crate) const SIZE_MIN: (u16, u16) = (40, 10);
/// From so many columns on, the detail stands beside the list.
const WIDE: u16 = 120;
/// The share of the width that the list has then.
const LIST_PERCENT: u16 = 62;

/// The parts of the screen, whatever is open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) header: Rect,
    pub(crate) body: Rect,
    pub(crate) footer: Rect,
}

/// The parts of a log's screen. What is not shown has no columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts {
    /// What is searched for and hidden.
    pub(crate) chips: Rect,
    pub(crate) list: Rect,
    /// Between list and detail.
    pub(crate) rule: Rect,
    pub(crate) detail: Rect,
    pub(crate) scrubber: Rect,
}

/// Divides a screen.
pub(crate) fn frame(screen: Rect) -> Frame {
    let [header, body, footer] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(screen);
    Frame { header, body, footer }
}

/// Divides what a log's screen has between header and footer.
pub(crate) fn parts(log: &Log, body: Rect) -> Parts {
    let scrubber_rows = match (body.width, body.height) {
        (80.., 16..) => 5,
        (60.., 12..) => 3,
        _ => 1,
    };
    let has_chips = log.search.is_some() || log.filter.is_some();
    let rows = [Constraint::Length(u16::from(has_chips)), Constraint::Min(1), Constraint::Length(scrubber_rows)];
    let [chips, middle, scrubber] = Layout::vertical(rows).areas(body);
    let nothing = Rect { width: 0, ..middle };
    let [list, rule, detail] = if body.width >= WIDE {
        let columns = [Constraint::Percentage(LIST_PERCENT), Constraint::Length(1), Constraint::Min(1)];
        Layout::horizontal(columns).areas(middle)
    } else if log.detail {
        [nothing, nothing, middle]
    } else {
        [middle, nothing, nothing]
    };
    Parts { chips, list, rule, detail, scrubber }
}

/// The rows of the list that is shown.
pub(crate) fn list_rows(state: &State) -> usize {
    let (columns, rows) = state.size;
    let body = frame(Rect::new(0, 0, columns, rows)).body;
    let rows = match &state.log {
        Some(log) => parts(log, body).list.height,
        // The first row has the names of the columns.
        None => body.height.saturating_sub(1),
    };
    usize::from(rows.max(1))
}
