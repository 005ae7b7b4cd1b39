//! The list of logs.

use hourlog::wire::LogReply;
use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    text::Line,
    widgets::{Cell, Paragraph, Row, Table, TableState},
};

use crate::{
    output::{human_bytes, human_count},
    sanitize::sanitize,
    tui::state::{RATES_MAX, State},
    when,
};

use super::{Looks, times};

/// From so many columns on, a log's events a second and its bytes are shown.
const RATE: u16 = 60;
/// From so many columns on, also its first event and the last minute.
const WIDE: u16 = 112;
const BARS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const ASCII_BARS: [&str; 9] = [" ", ".", ".", ":", ":", "-", "=", "+", "#"];

pub(super) fn draw(state: &State, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let logs = &state.logs;
    let shown = logs.shown();
    if shown.is_empty() {
        return frame.render_widget(Paragraph::new(nothing(state)), area);
    }
    let columns = columns(area.width);
    // No more rows are made than are seen: there may be a hundred thousand.
    let (at, room) = (logs.at(&shown), usize::from(area.height.saturating_sub(1)));
    let first = at.saturating_sub(logs.stand.row(room)).min(shown.len().saturating_sub(room));
    let rows = shown
        .into_iter()
        .skip(first)
        .take(room)
        .map(|log| Row::new(columns.iter().map(|column| cell(state, log, *column, looks))));
    let table = Table::new(rows, columns.iter().map(|column| column.width()))
        .header(Row::new(columns.iter().map(|column| column.name())).style(looks.title()))
        .row_highlight_style(Looks::cursor());
    frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(at - first));
}

/// A column of the list.
#[derive(Debug, Clone, Copy)]
enum Column {
    Id,
    Rate,
    Last,
    Events,
    Bytes,
    First,
    Minute,
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Self::Id => "log",
            Self::Rate => "events/s",
            Self::Last => "last event",
            Self::Events => "events",
            Self::Bytes => "bytes",
            Self::First => "first event",
            Self::Minute => "the last minute",
        }
    }

    fn width(self) -> Constraint {
        match self {
            Self::Id => Constraint::Min(14),
            Self::Rate | Self::Bytes => Constraint::Length(9),
            Self::Last => Constraint::Length(12),
            Self::Events => Constraint::Length(10),
            Self::First => Constraint::Length(19),
            Self::Minute => Constraint::Length(RATES_MAX as u16),
        }
    }
}

/// The columns that there is room for.
fn columns(width: u16) -> &'static [Column] {
    use Column::{Bytes, Events, First, Id, Last, Minute, Rate};
    match width {
        WIDE.. => &[Id, Rate, Minute, Last, First, Events, Bytes],
        RATE.. => &[Id, Rate, Last, Events, Bytes],
        _ => &[Id, Last, Events],
    }
}

fn cell<'a>(state: &State, log: &'a LogReply, column: Column, looks: Looks) -> Cell<'a> {
    let dash = || "-".to_owned();
    match column {
        Column::Id => Cell::from(sanitize(&log.log)),
        Column::Rate => Cell::from(format!("{:.1}", log.rate)),
        Column::Last => Cell::from(log.last.map_or_else(dash, |last| times::ago(last, state.now))),
        Column::Events => Cell::from(human_count(log.events)),
        Column::Bytes => Cell::from(human_bytes(log.bytes)),
        Column::First => {
            Cell::from(log.first.map_or_else(dash, |first| when::show(first, &state.zone)[..19].to_owned()))
        }
        Column::Minute => Cell::from(minute(state, &log.log, looks)),
    }
}

/// The events a second of the last looks.
fn minute(state: &State, id: &str, looks: Looks) -> String {
    let Some(rates) = state.logs.rates.get(id) else { return String::new() };
    let most = rates.iter().copied().fold(0.0, f64::max);
    // A bar needs whole numbers.
    rates.iter().map(|rate| bar((*rate * 1_000.0) as u64, (most * 1_000.0) as u64, looks)).collect()
}

/// A bar whose height is that of `count` where that of `most` is full.
pub(super) fn bar(count: u64, most: u64, looks: Looks) -> &'static str {
    let eighths = if count == 0 || most == 0 { 0 } else { (count * 8).div_ceil(most).min(8) };
    let bars = if looks.ascii { ASCII_BARS } else { BARS };
    bars[usize::try_from(eighths).unwrap_or(8)]
}

/// What stands there while there is no row.
fn nothing(state: &State) -> Vec<Line<'static>> {
    let logs = &state.logs;
    if let Some(away) = &logs.away {
        let since = times::span(state.since(away.since));
        let what = if away.denied { "you are not allowed to list the logs" } else { "the service does not answer" };
        return vec![
            Line::from(format!("{what}, since {since}")),
            Line::from(sanitize(&away.why).into_owned()),
            Line::from(format!("asked at {}; hourlog doctor looks at everything on the way", sanitize(&state.server))),
        ];
    }
    match &logs.rows {
        None => vec![Line::from("asking which logs there are")],
        Some(rows) if rows.is_empty() => {
            vec![Line::from("no log yet; this makes one:"), Line::from("  hourlog pub orders.eu '{\"id\":7}'")]
        }
        Some(rows) => vec![Line::from(format!("0 of {} logs match; Esc edits", rows.len()))],
    }
}
