//! The list of logs.

use hourlog::wire::{LogReply, RECENT_WINDOWS_MAX, RecentReply};
use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    text::Line,
    widgets::{Cell, Paragraph, Row, Table, TableState},
};

use crate::{
    output::{human_bytes, human_count, human_rate},
    sanitize::sanitize,
    tui::{
        state::{RequestKind, State},
        times,
    },
    when,
};

use super::looks::Looks;

/// Width from which the list shows rates and bytes.
const MEDIUM_COLUMNS: u16 = 60;
/// Width from which the list also shows the first event and the last minute.
const WIDE_COLUMNS: u16 = 112;

pub(super) fn draw(state: &State, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let logs = &state.logs;
    let shown = logs.shown();
    if shown.is_empty() {
        return frame.render_widget(Paragraph::new(placeholder(state)), area);
    }
    let columns = columns(area.width);
    // Only the visible rows are made, because there may be a hundred thousand.
    let (index, room) = (logs.cursor_index(&shown), usize::from(area.height.saturating_sub(1)));
    let first = index.saturating_sub(logs.cursor_row.index(room)).min(shown.len().saturating_sub(room));
    let rows = shown
        .into_iter()
        .skip(first)
        .take(room)
        .map(|log| Row::new(columns.iter().map(|column| cell(state, log, *column, looks))));
    let table = Table::new(rows, columns.iter().map(|column| column.width()))
        .header(Row::new(columns.iter().map(|column| column.name())).style(looks.title()))
        .row_highlight_style(Looks::cursor());
    frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(index - first));
}

const MINUTE_NAME: &str = "the last minute";

/// A column of the list.
#[derive(Debug, Clone, Copy)]
enum LogColumn {
    Id,
    Rate,
    Last,
    Events,
    Bytes,
    First,
    Minute,
}

impl LogColumn {
    fn name(self) -> &'static str {
        match self {
            Self::Id => "log",
            Self::Rate => "events/s",
            Self::Last => "last event",
            Self::Events => "events",
            Self::Bytes => "bytes",
            Self::First => "first event",
            Self::Minute => MINUTE_NAME,
        }
    }

    fn width(self) -> Constraint {
        match self {
            Self::Id => Constraint::Min(14),
            Self::Rate | Self::Bytes => Constraint::Length(9),
            Self::Last => Constraint::Length(12),
            Self::Events => Constraint::Length(10),
            Self::First => Constraint::Length(19),
            Self::Minute => Constraint::Length(MINUTE_NAME.len() as u16),
        }
    }
}

/// Returns the columns for a width.
fn columns(width: u16) -> &'static [LogColumn] {
    use LogColumn::{Bytes, Events, First, Id, Last, Minute, Rate};
    match width {
        WIDE_COLUMNS.. => &[Id, Rate, Minute, Last, First, Events, Bytes],
        MEDIUM_COLUMNS.. => &[Id, Rate, Last, Events, Bytes],
        _ => &[Id, Last, Events],
    }
}

fn cell<'a>(state: &State, log: &'a LogReply, column: LogColumn, looks: Looks) -> Cell<'a> {
    let dash = || "-".to_owned();
    match column {
        LogColumn::Id => Cell::from(sanitize(log.log.as_str())),
        LogColumn::Rate => Cell::from(human_rate(log.rate)),
        LogColumn::Last => Cell::from(log.last.map_or_else(dash, |last| times::age(last, state.service_now()))),
        LogColumn::Events => Cell::from(human_count(log.events)),
        LogColumn::Bytes => Cell::from(human_bytes(log.bytes)),
        LogColumn::First => {
            Cell::from(log.first.map_or_else(dash, |first| when::show(first, state.shown_zone())[..19].to_owned()))
        }
        LogColumn::Minute => Cell::from(sparkline(&log.recent, looks)),
    }
}

/// Returns the counts of the last minute as bars, the newest at the right. A dot is a window that is not known.
fn sparkline(recent: &RecentReply, looks: Looks) -> String {
    let most = recent.counts.iter().copied().max().unwrap_or(0);
    let unknown = RECENT_WINDOWS_MAX.saturating_sub(recent.counts.len());
    let bars = recent.counts.iter().map(|count| looks.bar((*count).into(), most.into()));
    std::iter::repeat_n(looks.drawn("·", "?"), unknown).chain(bars).collect()
}

/// Returns the lines that explain why there are no rows.
fn placeholder(state: &State) -> Vec<Line<'static>> {
    if let Some(outage) = state.requests.outage(RequestKind::Logs) {
        let since = times::duration(state.nanos_since(outage.since));
        let what = if outage.denied { "you are not allowed to list the logs" } else { "the service does not answer" };
        return vec![
            Line::from(format!("{what}, since {since}")),
            Line::from(sanitize(&outage.reason).into_owned()),
            Line::from(format!("asked at {}; hourlog doctor checks the whole path", sanitize(&state.server))),
        ];
    }
    match state.logs.rows() {
        None => vec![Line::from("asking for the logs")],
        Some([]) => {
            vec![Line::from("no log yet; this creates one:"), Line::from("  hourlog pub orders.eu '{\"id\":7}'")]
        }
        Some(rows) => vec![Line::from(format!("0 of {} logs match; Esc edits", rows.len()))],
    }
}
