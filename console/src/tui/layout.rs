//! The layout of the screen. Key handling needs it too: PageDown moves by the number of rows in the list.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::tui::state::{Log, State};

/// Smallest terminal in which the console draws.
pub(crate) const SIZE_MIN: (u16, u16) = (40, 10);
/// Width from which the detail is beside the list.
const WIDE_COLUMNS: u16 = 120;
/// Share of the list in that width.
const LIST_PERCENT: u16 = 62;

/// The areas of every screen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScreenAreas {
    pub(crate) header: Rect,
    pub(crate) body: Rect,
    pub(crate) footer: Rect,
}

/// The areas of a log's screen. A hidden area has no columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogAreas {
    /// The line with the active search and filter.
    pub(crate) filters: Rect,
    pub(crate) list: Rect,
    /// The line between list and detail.
    pub(crate) rule: Rect,
    pub(crate) detail: Rect,
    pub(crate) scrubber: Rect,
}

/// Divides the screen.
pub(crate) fn screen_areas(screen: Rect) -> ScreenAreas {
    let [header, body, footer] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(screen);
    ScreenAreas { header, body, footer }
}

/// Divides the body of a log's screen.
pub(crate) fn log_areas(log: &Log, body: Rect) -> LogAreas {
    let scrubber_rows = match (body.width, body.height) {
        (80.., 16..) => 5,
        (60.., 12..) => 3,
        _ => 1,
    };
    let has_filters = log.search.is_some() || log.filter.is_some();
    let rows = [Constraint::Length(u16::from(has_filters)), Constraint::Min(1), Constraint::Length(scrubber_rows)];
    let [filters, middle, scrubber] = Layout::vertical(rows).areas(body);
    let hidden = Rect { width: 0, ..middle };
    let [list, rule, detail] = if body.width >= WIDE_COLUMNS {
        let columns = [Constraint::Percentage(LIST_PERCENT), Constraint::Length(1), Constraint::Min(1)];
        Layout::horizontal(columns).areas(middle)
    } else if log.detail.covers_list {
        [hidden, hidden, middle]
    } else {
        [middle, hidden, hidden]
    };
    LogAreas { filters, list, rule, detail, scrubber }
}

/// Returns the area of the screen between header and footer.
pub(crate) fn body((columns, rows): (u16, u16)) -> Rect {
    screen_areas(Rect::new(0, 0, columns, rows)).body
}

/// Returns the number of rows of the list on the screen.
pub(crate) fn list_rows(state: &State) -> usize {
    let body = body(state.size);
    let rows = match &state.log {
        Some(log) => log_areas(log, body).list.height,
        // The first row holds the column names.
        None => body.height.saturating_sub(1),
    };
    usize::from(rows.max(1))
}
