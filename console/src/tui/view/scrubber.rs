//! The scrubber: how many events lie when, and where the playhead is among them.

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
        state::{Log, Mode, Part, Range, State, Window},
        ticks::ticks,
    },
    when,
};

use super::{Looks, log::WAITS_NANOS, logs::bar, times};

pub(super) fn draw(state: &State, log: &Log, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let (Some(window), Some(_)) = (log.window, &log.bars) else {
        let why = log.away.get(&Part::Counts).map_or_else(|| "counting".into(), |away| sanitize(&away.why));
        return frame.render_widget(Paragraph::new(why).wrap(Wrap { trim: false }), inner);
    };
    let playhead = log.at();
    let date = when::zoned(playhead, &state.zone).strftime("%Y-%m-%d %Z").to_string();
    if area.height < 3 {
        // Without a row of its own, the playhead is where the bars are reversed.
        let mut spans = vec![Span::raw(format!("{} ", &date[..DATE]))];
        let columns = usize::from(inner.width).saturating_sub(DATE + 1);
        let (at, drawn) = (bars::column(window, columns, playhead), drawn(&bars::bars(log, columns), looks));
        let style = |bar: usize| if Some(bar) == at { Looks::cursor() } else { Style::new() };
        spans.extend(drawn.iter().enumerate().map(|(at, bar)| Span::styled(*bar, style(at))));
        return frame.render_widget(Line::from(spans), inner);
    }
    let columns = usize::from(inner.width);
    let bars = bars::bars(log, columns);
    let mut lines = vec![
        times_line(state, window, columns, &date),
        bars_line(log, window, &bars, looks),
        track(state, log, looks, columns, window, playhead),
    ];
    if area.height >= 5 {
        lines.push(Line::styled(counts(log, &bars, columns, looks), looks.aside()));
        lines.push(chips(state, log, looks, playhead));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

fn drawn(bars: &Bars, looks: Looks) -> Vec<&'static str> {
    let most = bars.counts.iter().copied().max().unwrap_or(0);
    bars.counts.iter().map(|count| bar(*count, most, looks)).collect()
}

/// The columns of a date.
const DATE: usize = 10;

/// The bars, reversed where the range is.
fn bars_line(log: &Log, window: Window, bars: &Bars, looks: Looks) -> Line<'static> {
    let columns = bars.counts.len();
    let range = log.range();
    let is_in_range = |at: usize| {
        range.is_some_and(|(from, to)| {
            bars::time(window, columns, at) <= to && from < bars::time(window, columns, at + 1)
        })
    };
    let bar = |(at, bar): (usize, &'static str)| {
        Span::styled(bar, if is_in_range(at) { Looks::cursor() } else { Style::new() })
    };
    drawn(bars, looks).into_iter().enumerate().map(bar).collect()
}

/// Some times along the window, and the playhead's date.
fn times_line(state: &State, window: Window, columns: usize, date: &str) -> Line<'static> {
    let room = columns.saturating_sub(date.len() + 1);
    let mut text = String::new();
    for (column, tick) in ticks(window, columns, &state.zone) {
        if column + tick.len() <= room {
            text.push_str(&" ".repeat(column.saturating_sub(text.len())));
            text.push_str(&tick);
        }
    }
    let width = columns.saturating_sub(date.len());
    Line::from(format!("{text:width$}{date}"))
}

/// What the bars come to, and what the track's signs mean, as far as there is room.
fn counts(log: &Log, bars: &Bars, columns: usize, looks: Looks) -> String {
    let most = bars.counts.iter().copied().max().unwrap_or(0);
    let mut parts = vec![format!("{} events in window", human_count(bars.counts.iter().sum()))];
    if let (Some(search), Some((from, to))) = (&log.search, log.window) {
        let hits = search.hits.range(Position::at(from)..Position::at(to)).count() as u64;
        parts.push(format!("{} match", human_count(hits)));
    }
    let is_partial = !log.loaded.first_reached || !log.loaded.last_reached;
    if is_partial {
        let spread = if bars.spread { ", spread over its minute" } else { "" };
        parts.push(format!("{} not loaded{spread}", looks.drawn("┄", "-")));
    }
    parts.push(format!("peak {} in {}", human_count(most), times::rounded(log.bin_nanos())));
    for (unicode, ascii, means, is_there) in [
        ("━", "=", "loaded", is_partial),
        ("◆", "*", "mark", !log.marks.is_empty()),
        ("▾", "^", "hit", log.search.is_some()),
    ] {
        if is_there {
            parts.push(format!("{} {means}", looks.drawn(unicode, ascii)));
        }
    }
    let between = looks.drawn(" · ", ", ");
    let mut line = String::new();
    for part in parts {
        let longer = if line.is_empty() { part } else { format!("{line}{between}{part}") };
        if longer.chars().count() <= columns {
            line = longer;
        }
    }
    line
}

/// What is loaded, the playhead, marks, hits and now.
fn track(state: &State, log: &Log, looks: Looks, columns: usize, window: Window, playhead: Offset) -> Line<'static> {
    let column = |offset: Offset| bars::column(window, columns, offset);
    let mut cells: Vec<(&'static str, bool)> = (0..columns)
        .map(|at| {
            let time = bars::time(window, columns, at);
            let is_loaded = log.loaded.holds(time);
            (if is_loaded { looks.drawn("━", "=") } else { looks.drawn("┄", "-") }, false)
        })
        .collect();
    // There may be many hits in a column: the next is looked for behind it.
    let mut next = Position::at(window.0);
    while let Some(hit) = log.search.as_ref().and_then(|search| search.hits.range(next..).next())
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
    if let Some(at) = column(state.now) {
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

/// The mode in a word.
pub(super) fn mode(state: &State, log: &Log, looks: Looks) -> (String, Style) {
    let times = looks.drawn("×", "x");
    let waits = log.asked.is_some_and(|since| state.since(since) > WAITS_NANOS);
    match log.mode {
        Mode::Live => ("LIVE".to_owned(), looks.lively()),
        Mode::Playing { waits: true, .. } => {
            let (arrow, real) = (looks.drawn("→", ">"), log.real_speed(state.now));
            (format!("BUFFERING {times}{}{arrow}{times}{real:.1}", log.speed), looks.wrong())
        }
        Mode::Playing { .. } => (format!("PLAY {times}{}", log.speed), looks.lively()),
        Mode::Paused if waits => ("LOADING".to_owned(), looks.aside()),
        Mode::Paused => ("PAUSED".to_owned(), looks.title()),
    }
}

/// The mode, where the playhead is, and what else moves.
fn chips(state: &State, log: &Log, looks: Looks, playhead: Offset) -> Line<'static> {
    let (text, style) = mode(state, log, looks);
    let mut spans = vec![
        Span::styled(text, style),
        Span::raw(format!(" {} ({})", when::show(playhead, &state.zone), times::ago(playhead, state.now))),
    ];
    if log.new > 0 {
        spans.push(Span::styled(format!("  {} {} new: G", looks.drawn("↓", "v"), human_count(log.new)), looks.found()));
    }
    if let Some((from, to)) = log.range() {
        let long = times::span(to.nanos().saturating_sub(from.nanos()));
        let next = if matches!(log.range, Some(Range::From(_))) { "v ends it" } else { "y copies what reads it" };
        spans.push(Span::styled(format!("  range of {long}: {next}"), looks.found()));
    }
    if log.skip_silence {
        spans.push(Span::raw("  silence is skipped"));
    }
    Line::from(spans)
}
