//! The list of logs.

use hourlog::wire::LogReply;
use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    text::Line,
    widgets::{Cell, Paragraph, Row, Table, TableState},
};

use crate::{sanitize::sanitize, tui::state::State, when};

use super::{Looks, times};

/// Under so many columns there is no sparkline and no first time.
const NARROW: u16 = 80;
const BARS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const ASCII_BARS: [&str; 9] = [" ", ".", ".", ":", ":", "-", "=", "+", "#"];

pub(super) fn draw(state: &State, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let logs = &state.logs;
    let shown = logs.shown();
    if shown.is_empty() {
        return frame.render_widget(Paragraph::new(nothing(state)), area);
    }
    let wide = area.width >= NARROW;
    let mut names = vec!["log", "events/s", "last event", "events"];
    let mut widths = vec![Constraint::Min(16), Constraint::Length(9), Constraint::Length(16), Constraint::Length(12)];
    if wide {
        names.extend(["first", "rate"]);
        widths.extend([Constraint::Length(23), Constraint::Length(12)]);
    }
    let rows = shown.iter().map(|log| Row::new(cells(state, log, wide, looks)));
    let table =
        Table::new(rows, widths).header(Row::new(names).style(looks.title())).row_highlight_style(Looks::cursor());
    let mut at = TableState::new().with_selected(logs.at());
    frame.render_stateful_widget(table, area, &mut at);
}

fn cells<'a>(state: &State, log: &'a LogReply, wide: bool, looks: Looks) -> Vec<Cell<'a>> {
    let mut cells = vec![
        Cell::from(sanitize(&log.log)),
        Cell::from(format!("{:.1}", log.rate)),
        Cell::from(log.last.map_or_else(|| "-".to_owned(), |last| times::ago(last, state.now))),
        Cell::from(times::counted(log.events)),
    ];
    if wide {
        cells.push(Cell::from(log.first.map_or_else(|| "-".to_owned(), |first| when::show(first, &state.zone))));
        cells.push(Cell::from(spark(state, &log.log, looks)));
    }
    cells
}

fn spark(state: &State, id: &str, looks: Looks) -> String {
    let Some(rates) = state.logs.rates.get(id) else { return String::new() };
    let most = rates.iter().copied().fold(0.0, f64::max);
    rates
        .iter()
        .rev()
        .take(12)
        .rev()
        .map(|rate| bar((*rate * 1_000.0) as u64, (most * 1_000.0) as u64, looks))
        .collect()
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
    if let Some((why, since)) = &logs.away {
        return vec![
            Line::from(format!(
                "the service does not answer, since {}",
                times::span(state.now.nanos().saturating_sub(since.nanos()))
            )),
            Line::from(sanitize(why).into_owned()),
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
