//! The scrubber: bars of event counts over time, and the playhead below them.

use hourlog::{Offset, Position};
use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::{Paragraph, Wrap},
};

use crate::{
    output::human_count,
    sanitize::sanitize,
    tui::{
        bars::{self, Bars},
        state::{Log, Mode, RequestKind, State, TimeRange, Window},
        ticks::ticks,
        times,
    },
    when,
};

use super::looks::Looks;

/// Waiting time after which the screen says that it is loading.
pub(super) const LOADING_NANOS: i64 = 300_000_000;
/// Width of a date.
const DATE_COLUMNS: usize = 10;

pub(super) fn draw(state: &State, log: &Log, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let (Some(window), Some(_)) = (log.scrubber.window, &log.scrubber.counts) else {
        let outage = state.requests.outage(RequestKind::Counts);
        let text = outage.map_or_else(|| "counting".into(), |outage| sanitize(&outage.reason));
        return frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }), inner);
    };
    let playhead = log.shown_time();
    let date = when::zoned(playhead, state.shown_zone()).strftime("%Y-%m-%d %Z").to_string();
    // Events ahead of now are drawn at the right edge, behind now.
    let ahead = log.ahead.map(|ahead| format!("+{} ahead", human_count(ahead.events)));
    let ahead_and_date = ahead.iter().map(String::as_str).chain([date.as_str()]).collect::<Vec<_>>().join("  ");
    if area.height < 3 {
        // There is no row for the playhead, so its bar is reversed.
        let mut spans = vec![Span::raw(format!("{} ", &date[..DATE_COLUMNS]))];
        let columns = usize::from(inner.width).saturating_sub(DATE_COLUMNS + 1);
        let cursor = bars::column(window, columns, playhead);
        let style = |column: usize| if Some(column) == cursor { Looks::cursor() } else { Style::new() };
        let drawn = drawn(&bars::bars(log, columns), looks);
        spans.extend(drawn.iter().enumerate().map(|(column, bar)| Span::styled(*bar, style(column))));
        return frame.render_widget(Line::from(spans), inner);
    }
    let columns = usize::from(inner.width);
    let bars = bars::bars(log, columns);
    let mut lines = vec![
        ticks_line(state, window, columns, &ahead_and_date),
        bars_line(log, window, &bars, looks),
        track_line(state, log, looks, columns, window, playhead),
    ];
    if area.height >= 5 {
        lines.push(Line::styled(legend(log, &bars, columns, looks), looks.aside()));
        lines.push(status_line(state, log, looks, playhead));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

fn drawn(bars: &Bars, looks: Looks) -> Vec<&'static str> {
    let most = bars.counts.iter().copied().max().unwrap_or(0);
    bars.counts.iter().map(|count| looks.bar(*count, most)).collect()
}

/// Returns the bars. Those in the range are reversed.
fn bars_line(log: &Log, window: Window, bars: &Bars, looks: Looks) -> Line<'static> {
    let columns = bars.counts.len();
    let range = log.range_times();
    let is_in_range = |column: usize| {
        range.is_some_and(|(from, to)| {
            bars::time(window, columns, column) <= to && from < bars::time(window, columns, column + 1)
        })
    };
    let bar = |(column, bar): (usize, &'static str)| {
        Span::styled(bar, if is_in_range(column) { Looks::cursor() } else { Style::new() })
    };
    drawn(bars, looks).into_iter().enumerate().map(bar).collect()
}

/// Returns times along the window, and at the right edge the playhead's date.
fn ticks_line(state: &State, window: Window, columns: usize, date: &str) -> Line<'static> {
    let room = columns.saturating_sub(date.len() + 1);
    let mut text = String::new();
    for (column, tick) in ticks(window, columns, state.shown_zone()) {
        if column + tick.len() <= room {
            text.push_str(&" ".repeat(column.saturating_sub(text.len())));
            text.push_str(&tick);
        }
    }
    let width = columns.saturating_sub(date.len());
    Line::from(format!("{text:width$}{date}"))
}

/// Returns the number of events, and the meaning of the signs on the track, as far as there is
/// room.
fn legend(log: &Log, bars: &Bars, columns: usize, looks: Looks) -> String {
    let most = bars.counts.iter().copied().max().unwrap_or(0);
    let mut parts = vec![format!("{} events in window", human_count(bars.counts.iter().sum()))];
    if let (Some(search), Some((from, to))) = (&log.search, log.scrubber.window) {
        let hits = search.hits().range(Position::at(from)..Position::at(to)).count() as u64;
        parts.push(format!("{} match", human_count(hits)));
    }
    let is_partial = !log.loaded.is_complete();
    if is_partial {
        let spread = if bars.spread { ", spread over its minute" } else { "" };
        parts.push(format!("{} not loaded{spread}", looks.drawn("┄", "-")));
    }
    parts.push(format!("peak {} in {}", human_count(most), times::short_duration(log.bin_nanos())));
    for (unicode, ascii, meaning, is_used) in [
        ("━", "=", "loaded", is_partial),
        ("◆", "*", "mark", !log.marks.is_empty()),
        ("▾", "^", "hit", log.search.is_some()),
    ] {
        if is_used {
            parts.push(format!("{} {meaning}", looks.drawn(unicode, ascii)));
        }
    }
    let separator = looks.drawn(" · ", ", ");
    let mut line = String::new();
    for part in parts {
        let longer = if line.is_empty() { part } else { format!("{line}{separator}{part}") };
        if longer.chars().count() <= columns {
            line = longer;
        }
    }
    line
}

/// Returns the track: loaded time, hits, marks, the current time and the playhead.
fn track_line(
    state: &State,
    log: &Log,
    looks: Looks,
    columns: usize,
    window: Window,
    playhead: Offset,
) -> Line<'static> {
    let column = |offset: Offset| bars::column(window, columns, offset);
    let mut cells: Vec<(&'static str, bool)> = (0..columns)
        .map(|column| {
            let time = bars::time(window, columns, column);
            let is_loaded = log.loaded.holds(time);
            (if is_loaded { looks.drawn("━", "=") } else { looks.drawn("┄", "-") }, false)
        })
        .collect();
    // A column may have many hits, so the search for the next one starts at the next column.
    let mut next = Position::at(window.0);
    while let Some(hit) = log.search.as_ref().and_then(|search| search.hits().range(next..).next())
        && let Some(at) = column(hit.offset)
    {
        cells[at] = (looks.drawn("▾", "^"), true);
        next = hit.next().max(Position::at(bars::time(window, columns, at + 1)));
    }
    for mark in &log.marks {
        if let Some(at) = column(mark.offset) {
            cells[at] = (looks.drawn("◆", "*"), true);
        }
    }
    if let Some(at) = column(state.service_now()) {
        cells[at] = (looks.drawn("│", "|"), true);
    }
    if let Some(at) = column(playhead) {
        cells[at] = (looks.drawn("┯", "#"), true);
    }
    Line::from(
        cells
            .into_iter()
            .map(|(text, strong)| Span::styled(text, if strong { looks.found() } else { looks.aside() }))
            .collect::<Vec<_>>(),
    )
}

/// Returns the mode as a word, and its style.
pub(super) fn mode(state: &State, log: &Log, looks: Looks) -> (String, Style) {
    let times = looks.drawn("×", "x");
    let asked_at = state.requests.asked_at(RequestKind::Events);
    let is_loading = asked_at.is_some_and(|asked_at| state.nanos_since(asked_at) > LOADING_NANOS);
    match log.mode {
        Mode::Live if log.is_live(state.service_now()) => ("LIVE".to_owned(), looks.lively()),
        Mode::Live => ("END".to_owned(), looks.title()),
        Mode::Playing { buffering: true, .. } => {
            let (arrow, real) = (looks.drawn("→", ">"), log.real_speed(state.now));
            (format!("BUFFERING {times}{}{arrow}{times}{real:.1}", log.speed.factor()), looks.wrong())
        }
        Mode::Playing { .. } => (format!("PLAY {times}{}", log.speed.factor()), looks.lively()),
        Mode::Paused if is_loading => ("LOADING".to_owned(), looks.aside()),
        Mode::Paused => ("PAUSED".to_owned(), looks.title()),
    }
}

/// Returns the mode, the playhead's time, unseen events and the range.
fn status_line(state: &State, log: &Log, looks: Looks, playhead: Offset) -> Line<'static> {
    let (text, style) = mode(state, log, looks);
    let mut spans = vec![
        Span::styled(text, style),
        Span::raw(format!(
            " {} ({})",
            when::show(playhead, state.shown_zone()),
            times::age(playhead, state.service_now())
        )),
    ];
    if log.unseen > 0 {
        spans.push(Span::styled(
            format!("  {} {} new: G", looks.drawn("↓", "v"), human_count(log.unseen)),
            looks.found(),
        ));
    }
    if let Some((from, to)) = log.range_times() {
        let duration = times::duration(to.nanos().saturating_sub(from.nanos()));
        let next = if matches!(log.range, Some(TimeRange::Open(_))) { "v ends it" } else { "y copies the command" };
        spans.push(Span::styled(format!("  range of {duration}: {next}"), looks.found()));
    }
    if log.skip_silence {
        spans.push(Span::raw("  silence is skipped"));
    }
    Line::from(spans)
}
