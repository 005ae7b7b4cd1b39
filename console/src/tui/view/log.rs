//! A log that is open: its events, one of them in detail, and the scrubber.

use hourlog::Event;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use crate::{
    output::human_count,
    sanitize::{sanitize, sanitize_bytes},
    tui::state::{Log, State, Times, has},
    when,
};

use super::{Looks, detail, scrubber, times};

/// From so many columns on, the detail stands beside the list.
const WIDE: u16 = 120;
/// From so many columns on, the time since the event before has a column.
const SINCE: u16 = 80;
/// Under so many columns a time has no date.
const NARROW: u16 = 60;
/// The share of the width that the list has.
const LIST_PERCENT: u16 = 62;
/// What is drawn of an event's data in its row, at most.
const SUMMARY_BYTES_MAX: usize = 512;
/// After so long it is said that something is waited for.
pub(super) const WAITS_NANOS: i64 = 300_000_000;
/// After so long it is said why that may be.
const WAITS_LONG_NANOS: i64 = 5_000_000_000;

pub(super) fn draw(state: &State, log: &Log, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let chips = chips(log, looks);
    let [above, middle, below] = Layout::vertical([
        Constraint::Length(u16::from(chips.is_some())),
        Constraint::Min(1),
        Constraint::Length(scrubber::rows(area)),
    ])
    .areas(area);
    if let Some(chips) = chips {
        frame.render_widget(chips, above);
    }
    if area.width >= WIDE {
        let [left, line, right] =
            Layout::horizontal([Constraint::Percentage(LIST_PERCENT), Constraint::Length(1), Constraint::Min(1)])
                .areas(middle);
        list(state, log, looks, frame, left);
        let rule = vec![Line::styled(looks.drawn("│", "|"), looks.aside()); usize::from(line.height)];
        frame.render_widget(Paragraph::new(rule), line);
        detail::draw(state, log, looks, frame, right);
    } else if log.detail {
        detail::draw(state, log, looks, frame, middle);
    } else {
        list(state, log, looks, frame, middle);
    }
    scrubber::draw(state, log, looks, frame, below);
}

/// What is searched for and what is hidden, where something is.
fn chips(log: &Log, looks: Looks) -> Option<Line<'static>> {
    let mut spans = Vec::new();
    if let Some(text) = &log.search {
        spans.push(Span::styled(format!(" search: {} ", sanitize(text)), looks.found()));
        if log.finding {
            spans.push(Span::raw("looking; Esc stops "));
        }
    }
    if let Some(text) = &log.filter {
        spans.push(Span::styled(format!(" only events with: {} ", sanitize(text)), looks.found()));
        spans.push(Span::raw("(& changes it, Ctrl-F shows all) "));
        if log.hides_playhead() {
            spans.push(Span::styled("the event here is hidden", looks.wrong()));
        }
    }
    (!spans.is_empty()).then(|| Line::from(spans))
}

fn list(state: &State, log: &Log, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let rows = usize::from(area.height);
    let (events, first) = around(log, rows);
    if events.is_empty() {
        return frame.render_widget(Paragraph::new(nothing(state, log)), area);
    }
    let cursor = log.event().map(|event| event.position);
    let lines = events.iter().enumerate().map(|(at, event)| {
        let before = if at == 0 { first } else { Some(events[at - 1]) };
        let style = if Some(event.position) == cursor { Looks::cursor() } else { Style::new() };
        row(state, log, looks, event, before, area.width).style(style)
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}

/// The events of a list of so many rows, with the cursor in the middle where there are enough on both sides; and the one before.
fn around(log: &Log, rows: usize) -> (Vec<&Event>, Option<&Event>) {
    let Some(cursor) = log.cursor() else { return (Vec::new(), None) };
    let events = log.loaded.events();
    let behind: Vec<&Event> = events.range(cursor..).filter(|event| log.shows(event)).take(rows).collect();
    let mut before = events.range(..cursor).rev().filter(|event| log.shows(event));
    let wanted = (rows / 2).max(rows.saturating_sub(behind.len()));
    let mut shown: Vec<&Event> = before.by_ref().take(wanted).collect();
    shown.reverse();
    shown.extend(behind);
    shown.truncate(rows);
    (shown, before.next())
}

fn row<'a>(state: &State, log: &Log, looks: Looks, event: &'a Event, before: Option<&Event>, width: u16) -> Line<'a> {
    let offset = event.position.offset;
    let since = before.map(|before| offset.nanos().saturating_sub(before.position.offset.nanos()));
    let time = match state.times {
        Times::Ago => format!("{:>15}", times::ago(offset, state.now)),
        Times::Since => format!("{:>15}", since.map_or_else(String::new, |since| format!("+{}", times::span(since)))),
        // Where there is little room, the scrubber says the date.
        Times::Local if state.size.0 < NARROW => when::show(offset, &state.zone)[11..].to_owned(),
        Times::Local => when::show(offset, &state.zone),
        Times::Utc => format!("{}Z", when::show(offset, &jiff::tz::TimeZone::UTC)),
    };
    let mark = if log.marks.contains(&event.position) { looks.drawn("◆", "*") } else { " " };
    let mut spans = vec![Span::styled(mark, looks.found()), Span::styled(time, Style::new())];
    if width >= SINCE * LIST_PERCENT / 100 && state.size.0 >= SINCE && state.times != Times::Since {
        let since = since.map_or_else(String::new, |since| format!("+{}", times::span(since)));
        spans.push(Span::styled(format!(" {since:>9}"), looks.aside()));
    }
    spans.push(Span::raw(" "));
    let hit = log.search.as_deref().is_some_and(|text| has(event, text));
    spans.push(Span::styled(sanitize_bytes(start(&event.record.data)), if hit { looks.found() } else { Style::new() }));
    Line::from(spans)
}

/// As much of some bytes as a row may need, cut between two letters where they are text.
fn start(bytes: &[u8]) -> &[u8] {
    let mut end = bytes.len().min(SUMMARY_BYTES_MAX);
    while end < bytes.len() && end > SUMMARY_BYTES_MAX - 4 && bytes[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    &bytes[..end]
}

/// What stands there while there is no event to show.
fn nothing(state: &State, log: &Log) -> Vec<Line<'static>> {
    let line = |text: String| Line::from(text);
    if log.empty {
        return vec![
            line("no event yet; this publishes one:".to_owned()),
            line(format!("  hourlog pub {} '{{\"id\":7}}'", log.id)),
        ];
    }
    if let Some(away) = &log.away {
        let since = times::span(state.since(away.since));
        let what = if away.denied { "not allowed" } else { "not answered" };
        return vec![
            line(format!("{what}, since {since}; asked again every second")),
            line(sanitize(&away.why).into_owned()),
            line("Esc goes back to the logs".to_owned()),
        ];
    }
    if !log.loaded.events().is_empty() {
        let (seen, of) = (log.loaded.events().len() as u64, log.bars.as_ref().map_or(0, |bars| bars.count));
        let seen = format!("0 of {} looked at match", human_count(seen));
        let more = if log.loaded.first_reached && log.loaded.last_reached {
            String::new()
        } else {
            format!(", {} in the window", human_count(of))
        };
        return vec![line(format!("{seen}{more}; & and an empty text show all again"))];
    }
    let Some(since) = log.asked else { return Vec::new() };
    let waited = state.since(since);
    match waited {
        ..WAITS_NANOS => Vec::new(),
        WAITS_NANOS..WAITS_LONG_NANOS => vec![line(format!("loading, {}", times::span(waited)))],
        _ => vec![
            line(format!(
                "loading, {}: the service at {} has not answered yet",
                times::span(waited),
                sanitize(&state.server)
            )),
            line("Esc goes back to the logs".to_owned()),
        ],
    }
}
