//! A log that is open: its events, one of them in detail, and the scrubber.

use hourlog::Event;
use ratatui::{
    Frame,
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Span},
    widgets::Paragraph,
};

use crate::{
    output::{counted, human_count},
    sanitize::{sanitize, sanitize_bytes},
    tui::{
        layout,
        state::{Log, Part, State, Times},
    },
    when,
};

use super::{Looks, detail, scrubber, times};

/// From so many columns on, the time since the event before has a column.
const SINCE: u16 = 80;
/// Under so many columns a time has no date.
const NARROW: u16 = 60;
/// What is drawn of an event's data in its row, at most.
const SUMMARY_BYTES_MAX: usize = 512;
/// After so long it is said that something is waited for.
pub(super) const WAITS_NANOS: i64 = 300_000_000;
/// After so long it is said why that may be.
const WAITS_LONG_NANOS: i64 = 5_000_000_000;

pub(super) fn draw(state: &State, log: &Log, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let parts = layout::parts(log, area);
    frame.render_widget(chips(log, looks), parts.chips);
    if parts.list.width > 0 {
        list(state, log, looks, frame, parts.list);
    }
    if parts.rule.width > 0 {
        let rule = vec![Line::styled(looks.drawn("│", "|"), looks.aside()); usize::from(parts.rule.height)];
        frame.render_widget(Paragraph::new(rule), parts.rule);
    }
    if parts.detail.width > 0 {
        detail::draw(state, log, looks, frame, parts.detail);
    }
    scrubber::draw(state, log, looks, frame, parts.scrubber);
}

/// What is searched for and what is hidden, where something is.
fn chips(log: &Log, looks: Looks) -> Line<'static> {
    let mut spans = Vec::new();
    if let Some(search) = &log.search {
        let dot = looks.drawn(" · ", ", ");
        let hits = counted(search.hits.len() as u64, "hit");
        let scanned = search.scanned.percent().map_or_else(String::new, |percent| format!("scanned {percent} %{dot}"));
        spans.push(Span::styled(format!(" search: {} ", sanitize(search.pattern.text())), looks.found()));
        spans.push(Span::raw(match (search.runs, search.scanned.first_reached && search.scanned.last_reached) {
            (true, _) => format!(" {scanned}{hits}{dot}Esc stops "),
            (false, true) => format!(" {hits} "),
            (false, false) => format!(" {scanned}{hits} so far{dot}n and N go on "),
        }));
    }
    if let Some(filter) = &log.filter {
        spans.push(Span::styled(format!(" only events with: {} ", sanitize(filter.text())), looks.found()));
        spans.push(Span::raw(" & changes it, Ctrl-F shows all "));
    }
    Line::from(spans)
}

fn list(state: &State, log: &Log, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let rows = usize::from(area.height);
    let (events, first) = around(log, rows);
    if events.is_empty() {
        return frame.render_widget(Paragraph::new(nothing(state, log)), area);
    }
    let cursor = log.event().map(|event| event.position);
    let hidden = log.hidden();
    let lines = events.iter().enumerate().map(|(at, event)| {
        let before = if at == 0 { first } else { Some(events[at - 1]) };
        let mut line = row(state, log, looks, event, before);
        if Some(event.position) != cursor {
            return line;
        }
        let Some(hidden) = hidden else { return line.style(Looks::cursor()) };
        let at = &when::show(hidden.position.offset, &state.zone)[11..];
        line.spans.insert(1, Span::styled(format!("{at} hidden by filter {} ", looks.drawn("▸", ">")), looks.found()));
        line.style(Looks::cursor().add_modifier(Modifier::DIM))
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}

/// The events of a list of so many rows, with the cursor where it stands as far as there are enough on both sides; and the one before.
fn around(log: &Log, rows: usize) -> (Vec<&Event>, Option<&Event>) {
    let Some(cursor) = log.cursor() else { return (Vec::new(), None) };
    let events = log.loaded.events();
    let behind: Vec<&Event> = events.range(cursor..).filter(|event| log.shows(event)).take(rows).collect();
    let mut before = events.range(..cursor).rev().filter(|event| log.shows(event));
    let wanted = log.stand.row(rows).max(rows.saturating_sub(behind.len()));
    let mut shown: Vec<&Event> = before.by_ref().take(wanted).collect();
    shown.reverse();
    shown.extend(behind);
    shown.truncate(rows);
    (shown, before.next())
}

fn row<'a>(state: &State, log: &Log, looks: Looks, event: &'a Event, before: Option<&Event>) -> Line<'a> {
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
    if state.size.0 >= SINCE && state.times != Times::Since {
        let since = since.map_or_else(String::new, |since| format!("+{}", times::span(since)));
        spans.push(Span::styled(format!(" {since:>9}"), looks.aside()));
    }
    spans.push(Span::raw(" "));
    let hit = log.search.as_ref().is_some_and(|search| search.pattern.is_in(event));
    let text = sanitize_bytes(start(&event.record.data));
    let text = match text.char_indices().nth(log.sideways) {
        Some((at, _)) if at > 0 => text[at..].to_owned().into(),
        None if log.sideways > 0 => "".into(),
        _ => text,
    };
    spans.push(Span::styled(text, if hit { looks.found() } else { Style::new() }));
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
    if let Some(away) = log.away.get(&Part::Events) {
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
