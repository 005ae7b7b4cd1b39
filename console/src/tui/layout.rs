//! The layout of the screen. Key handling needs it too: PageDown moves by the number of rows in the list.

use hourlog::Offset;
use ratatui::layout::{Constraint, Layout, Position, Rect};

use crate::{
    tui::state::{Log, State},
    when,
};

/// Smallest terminal in which the console draws.
pub(crate) const SIZE_MIN: (u16, u16) = (40, 10);
/// Width from which the detail is beside the list.
const WIDE_COLUMNS: u16 = 120;
/// Width from which the detail, when it is opened, leaves room for the list.
const MEDIUM_COLUMNS: u16 = 80;
/// Share of the list in that width.
const LIST_PERCENT: u16 = 66;
/// Share of the detail over the list, on a screen without room for both.
const DETAIL_PERCENT: u16 = 60;
/// Rows of a terminal with room for a preview.
const PREVIEW_FROM: u16 = 34;
/// Rows of the spread of a number, and of a detail that has room for it.
const SPREAD_ROWS: u16 = 5;
const SPREAD_FROM: u16 = 14;
/// Width from which logs have strips, and the columns beside them.
const STRIP_FROM: u16 = 80;
const LOG_COLUMNS: u16 = 71;
/// Limit of the columns of a strip.
const STRIP_COLUMNS_MAX: usize = 120;
/// Columns of the scale beside the bars.
pub(crate) const SCALE_COLUMNS: u16 = 5;
/// Columns of the date beside bars in a single row.
pub(crate) const DATE_COLUMNS: u16 = 11;

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
    /// The line with the active search and filters.
    pub(crate) chips: Rect,
    /// The names of the columns.
    pub(crate) head: Rect,
    pub(crate) list: Rect,
    /// The line between list and detail.
    pub(crate) rule: Rect,
    pub(crate) detail: Rect,
    /// The spread of a number, below the detail.
    pub(crate) spread: Rect,
    pub(crate) scrubber: ScrubberAreas,
}

/// The areas of the scrubber. A hidden area has no rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScrubberAreas {
    pub(crate) title: Rect,
    /// A row of bars for each lane.
    pub(crate) lanes: Rect,
    pub(crate) bars: Rect,
    /// Marks and the range.
    pub(crate) marks: Rect,
    pub(crate) axis: Rect,
    /// The whole log.
    pub(crate) overview: Rect,
}

/// Divides the screen.
pub(crate) fn screen_areas(screen: Rect) -> ScreenAreas {
    let [header, body, footer] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(screen);
    ScreenAreas { header, body, footer }
}

/// Returns the rows of bars on a screen.
fn bar_rows((columns, rows): (u16, u16)) -> u16 {
    let by_rows = match rows {
        50.. => 6,
        34.. => 4,
        24.. => 3,
        16.. => 2,
        _ => 1,
    };
    let by_columns = match columns {
        WIDE_COLUMNS.. => 6,
        MEDIUM_COLUMNS.. => 3,
        60.. => 2,
        _ => 1,
    };
    by_rows.min(by_columns)
}

/// Divides the body of a log's screen.
pub(crate) fn log_areas(log: &Log, screen: (u16, u16)) -> LogAreas {
    let body = body(screen);
    let bars = bar_rows(screen);
    // With a single row of bars there is no room for what explains them.
    let around = u16::from(bars > 1);
    let has_marks = !log.marks.is_empty() || log.range.is_some();
    // Lanes take rows of the sum, and of the list only as many as leave it half of the screen.
    let are_shown = around > 0 && log.lanes.are_several() && log.shows_lanes && log.plot.is_none();
    let lanes = if are_shown { (log.lanes.logs().len() as u16).min(body.height / 3) } else { 0 };
    let bars = if are_shown { bars.min(2) } else { bars };
    let scrubber = [around, lanes, bars, around * u16::from(has_marks), around, around];
    let has_chips = log.search.is_some() || !log.filters.is_empty() || log.sorted.is_some();
    let rows =
        [Constraint::Length(u16::from(has_chips)), Constraint::Min(1), Constraint::Length(scrubber.iter().sum())];
    let [chips, middle, scrubber_area] = Layout::vertical(rows).areas(body);
    let [title, lanes, bars, marks, axis, overview] =
        Layout::vertical(scrubber.map(Constraint::Length)).areas(scrubber_area);
    let hidden = Rect { width: 0, ..middle };
    let [list, rule, detail] = if body.width >= WIDE_COLUMNS {
        let columns = [Constraint::Percentage(LIST_PERCENT), Constraint::Length(1), Constraint::Min(1)];
        Layout::horizontal(columns).areas(middle)
    } else if log.detail.is_open && body.width >= MEDIUM_COLUMNS {
        let columns = [Constraint::Min(1), Constraint::Length(1), Constraint::Percentage(DETAIL_PERCENT)];
        Layout::horizontal(columns).areas(middle)
    } else if log.detail.is_open {
        [hidden, hidden, middle]
    } else {
        [middle, hidden, hidden]
    };
    let [head, list] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(list);
    let scrubber = ScrubberAreas { title, lanes, bars, marks, axis, overview };
    let has_spread = log.numbers.is_some() && detail.height >= SPREAD_FROM;
    let rows = [Constraint::Min(1), Constraint::Length(if has_spread { SPREAD_ROWS } else { 0 })];
    let [detail, spread] = Layout::vertical(rows).areas(detail);
    LogAreas { chips, head, list, rule, detail, spread, scrubber }
}

/// The areas of the list of logs, without header and footer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogsAreas {
    pub(crate) list: Rect,
    /// The newest events of the log under the cursor.
    pub(crate) preview: Option<PreviewAreas>,
}

/// The areas of a preview.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PreviewAreas {
    pub(crate) title: Rect,
    pub(crate) bars: Rect,
    pub(crate) axis: Rect,
    pub(crate) head: Rect,
    pub(crate) list: Rect,
}

/// Divides the body of the list of logs.
pub(crate) fn logs_areas(state: &State) -> LogsAreas {
    let body = body(state.size);
    let has_rows = state.logs.rows().is_some_and(|rows| !rows.is_empty());
    let has_preview = state.logs.shows_preview && has_rows && state.size.1 >= PREVIEW_FROM && state.lists_logs();
    if !has_preview {
        return LogsAreas { list: body, preview: None };
    }
    let [list, rest] = Layout::vertical([Constraint::Min(1), Constraint::Percentage(50)]).areas(body);
    let rows = [1, 2, 1, 1].map(Constraint::Length).into_iter().chain([Constraint::Min(1)]);
    let [title, bars, axis, head, events] = Layout::vertical(rows).areas(rest);
    LogsAreas { list, preview: Some(PreviewAreas { title, bars, axis, head, list: events }) }
}

/// Returns the number of columns for the strip of a log in the list.
pub(crate) fn strip_columns((columns, _): (u16, u16)) -> usize {
    if columns < STRIP_FROM { 0 } else { usize::from(columns - LOG_COLUMNS).min(STRIP_COLUMNS_MAX) }
}

/// Returns the area of the screen between header and footer.
pub(crate) fn body((columns, rows): (u16, u16)) -> Rect {
    screen_areas(Rect::new(0, 0, columns, rows)).body
}

/// Returns the number of columns for bars.
pub(crate) fn bars_width(screen: (u16, u16)) -> usize {
    let beside = if bar_rows(screen) > 1 { SCALE_COLUMNS } else { DATE_COLUMNS };
    usize::from(screen.0.saturating_sub(beside + 1).max(1))
}

/// A place on the screen of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spot {
    /// A row of the list.
    Row(usize),
    /// The event's text.
    Detail,
    /// A column of the bars.
    Bars(usize),
    /// A column of the overview, of how many.
    Overview(u16, u16),
}

/// Returns the place at a cell of the screen.
pub(crate) fn spot(state: &State, log: &Log, column: u16, row: u16) -> Option<Spot> {
    let areas = log_areas(log, state.size);
    let at = Position::new(column, row);
    let is_in = |area: Rect| area.contains(at);
    if is_in(areas.list) {
        Some(Spot::Row(usize::from(row - areas.list.y)))
    } else if is_in(areas.detail) {
        Some(Spot::Detail)
    } else if is_in(areas.scrubber.bars) || is_in(areas.scrubber.lanes) {
        Some(Spot::Bars(usize::from(column.checked_sub(SCALE_COLUMNS)?)))
    } else if is_in(areas.scrubber.overview) {
        let (begin, columns) = overview_columns(state, log, areas.scrubber.overview)?;
        Some(Spot::Overview(column.saturating_sub(begin).min(columns - 1), columns))
    } else {
        None
    }
}

/// Returns the first column of the bars of the overview, and their number.
pub(crate) fn overview_columns(state: &State, log: &Log, area: Rect) -> Option<(u16, u16)> {
    let texts = overview_texts(state, log, area.width)?;
    let begin = area.x + texts.begin.chars().count() as u16 + 1;
    let after = texts.end.chars().count() + texts.place.chars().count() + 2;
    let end = area.right().saturating_sub(after as u16);
    end.checked_sub(begin + 1).filter(|columns| *columns > 0).map(|columns| (begin, columns))
}

/// The texts around the overview.
#[derive(Debug)]
pub(crate) struct OverviewTexts {
    /// The first day.
    pub(crate) begin: String,
    /// The last day, or now.
    pub(crate) end: String,
    /// How much of the log the window shows.
    pub(crate) place: String,
}

/// Returns the texts around the overview; `None` before the log was counted.
pub(crate) fn overview_texts(state: &State, log: &Log, width: u16) -> Option<OverviewTexts> {
    let ((first, last), grid) = log.scrubber.extent.zip(log.scrubber.grid.as_ref())?;
    let date = |at: Offset, format: &str| when::zoned(at, state.shown_zone()).strftime(format).to_string();
    let is_live = log.is_live(state.service_now());
    let (from, to) = grid.window();
    let place = match (from <= first, to >= last) {
        (true, true) => "all of it".to_owned(),
        _ => {
            let share = (to.nanos().min(last.nanos()) - from.nanos().max(first.nanos())).max(0) as f64
                / (last.nanos() - first.nanos()).max(1) as f64;
            match share {
                0.0 => "outside of it".to_owned(),
                ..0.001 => "a part of it".to_owned(),
                _ => format!("{:.1} % of it", share * 100.0),
            }
        }
    };
    Some(OverviewTexts {
        begin: format!(" {} ", date(first, "%Y-%m-%d")),
        end: if is_live { " now".to_owned() } else { format!(" {}", date(last, "%m-%d")) },
        place: if width >= 60 { format!("   {place} ") } else { String::new() },
    })
}

/// Returns the number of rows of the list on the screen.
pub(crate) fn list_rows(state: &State) -> usize {
    let rows = match &state.log {
        Some(log) => log_areas(log, state.size).list.height,
        // Above the logs are a summary and the names of the columns.
        None => logs_areas(state).list.height.saturating_sub(2),
    };
    usize::from(rows.max(1))
}
