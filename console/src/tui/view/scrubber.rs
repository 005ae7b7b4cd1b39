//! The scrubber: how many events lie when, and where the playhead is among them.

use hourlog::Offset;
use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use crate::{
    output::human_count,
    tui::bars,
    tui::state::{Log, Mode, State, Window},
    when,
};

use super::{Looks, log::WAITS_NANOS, logs::bar, times};

/// The rows that it takes, where there is room, and where there is little.
pub(super) fn rows(area: Rect) -> u16 {
    match (area.width, area.height) {
        (80.., 16..) => 5,
        (60.., 12..) => 3,
        _ => 1,
    }
}

pub(super) fn draw(state: &State, log: &Log, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let (Some(window), Some(_)) = (log.window, &log.bars) else {
        return frame.render_widget(Paragraph::new("counting"), inner);
    };
    let columns = usize::from(inner.width);
    let column = |offset: Offset| bars::column(window, columns, offset);
    let bars = bars::bars(log, columns);
    let most = bars.counts.iter().copied().max().unwrap_or(0);
    let drawn: Vec<&str> = bars.counts.iter().map(|count| bar(*count, most, looks)).collect();
    let playhead = log.at();
    let playhead_column = column(playhead);
    let mut lines = Vec::new();
    if area.height >= 3 {
        lines.push(dates(state, window, columns));
        lines.push(Line::from(drawn.concat()));
        lines.push(track(state, log, looks, columns, playhead_column, &column));
    } else {
        // Without a row of its own, the playhead is where the bars are reversed.
        let style = |at: usize| if Some(at) == playhead_column { Looks::cursor() } else { Style::new() };
        lines.push(drawn.iter().enumerate().map(|(at, bar)| Span::styled(*bar, style(at))).collect());
    }
    if area.height >= 5 {
        let bin = times::rounded(log.bin_nanos());
        let peak = human_count(most);
        let about = if bars.spread { ", spread over the minute where it is not loaded" } else { "" };
        let count = human_count(bars.counts.iter().sum());
        lines.push(Line::styled(format!("{count} events in window, peak {peak} in {bin}{about}"), looks.aside()));
        lines.push(chips(state, log, looks, playhead));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

/// Some times along the window, and its date.
fn dates(state: &State, window: Window, columns: usize) -> Line<'static> {
    const EACH: usize = 22;
    let ticks = (columns / EACH).max(1);
    let tick = |tick: usize| {
        let shown = when::show(bars::time(window, ticks, tick), &state.zone);
        format!("{:<width$}", &shown[..19.min(shown.len())], width = columns / ticks)
    };
    Line::from((0..ticks).map(tick).collect::<String>())
}

/// What is loaded, the playhead, marks and now.
fn track(
    state: &State,
    log: &Log,
    looks: Looks,
    columns: usize,
    playhead: Option<usize>,
    column: &impl Fn(Offset) -> Option<usize>,
) -> Line<'static> {
    let window = log.window.unwrap_or((Offset::MIN, Offset::MAX));
    let mut cells: Vec<(&'static str, bool)> = (0..columns)
        .map(|at| {
            let time = bars::time(window, columns, at);
            let is_loaded = log.loaded.holds(time);
            (if is_loaded { looks.drawn("━", "=") } else { looks.drawn("┄", "-") }, false)
        })
        .collect();
    for mark in &log.marks {
        if let Some(at) = column(mark.offset) {
            cells[at] = (looks.drawn("◆", "*"), true);
        }
    }
    if let Some(at) = column(state.now) {
        cells[at] = (looks.drawn("│", "|"), true);
    }
    if let Some(at) = playhead {
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
    if log.skip_silence {
        spans.push(Span::raw("  silence is skipped"));
    }
    Line::from(spans)
}
