//! An open log: its events, the detail of one of them, and the scrubber.

use hourlog::Event;
use jiff::tz::TimeZone;
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
    shell,
    tui::{
        layout,
        state::{Log, RequestKind, State, TimeStyle},
        times,
    },
    when,
};

use super::{
    detail,
    looks::Looks,
    scrubber::{self, LOADING_NANOS},
};

/// Width from which a column shows the time since the previous event.
const SINCE_COLUMNS: u16 = 80;
/// Width from which times have a date.
const DATE_COLUMNS: u16 = 60;
/// Limit of an event's data in its row.
const SUMMARY_BYTES_MAX: usize = 512;
/// Waiting time after which the list names the service it waits for.
const LOADING_LONG_NANOS: i64 = 5_000_000_000;

pub(super) fn draw(state: &State, log: &Log, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let areas = layout::log_areas(log, area);
    frame.render_widget(filters(log, looks), areas.filters);
    if areas.list.width > 0 {
        draw_list(state, log, looks, frame, areas.list);
    }
    if areas.rule.width > 0 {
        let rule = vec![Line::styled(looks.drawn("│", "|"), looks.aside()); usize::from(areas.rule.height)];
        frame.render_widget(Paragraph::new(rule), areas.rule);
    }
    if areas.detail.width > 0 {
        detail::draw(state, log, looks, frame, areas.detail);
    }
    scrubber::draw(state, log, looks, frame, areas.scrubber);
}

/// Returns the search and the filter.
fn filters(log: &Log, looks: Looks) -> Line<'static> {
    let mut spans = Vec::new();
    if let Some(search) = &log.search {
        let dot = looks.drawn(" · ", ", ");
        let hits = counted(search.hits().len() as u64, "hit");
        let percent = search.progress().percent();
        let scanned = percent.map_or_else(String::new, |percent| format!("scanned {percent} %{dot}"));
        spans.push(Span::styled(format!(" search: {} ", sanitize(search.pattern().text())), looks.found()));
        spans.push(Span::raw(match (search.runs(), search.progress().is_complete()) {
            (true, _) => format!(" {scanned}{hits}{dot}Esc stops "),
            (false, true) => format!(" {hits} "),
            (false, false) => format!(" {scanned}{hits} so far{dot}n and N continue "),
        }));
    }
    if let Some(filter) = &log.filter {
        spans.push(Span::styled(format!(" only events with: {} ", sanitize(filter.text())), looks.found()));
        spans.push(Span::raw(" & changes it, Ctrl-F shows all "));
    }
    Line::from(spans)
}

fn draw_list(state: &State, log: &Log, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let (events, previous) = visible_events(log, usize::from(area.height));
    if events.is_empty() {
        return frame.render_widget(Paragraph::new(placeholder(state, log)), area);
    }
    let cursor = log.cursor_event().map(|event| event.position);
    let hidden = log.hidden_event();
    let lines = events.iter().enumerate().map(|(index, event)| {
        let previous = if index == 0 { previous } else { Some(events[index - 1]) };
        let mut line = row(state, log, looks, event, previous);
        if Some(event.position) != cursor {
            return line;
        }
        let Some(hidden) = hidden else { return line.style(Looks::cursor()) };
        let time = &when::show(hidden.position.offset, state.shown_zone())[11..];
        line.spans
            .insert(1, Span::styled(format!("{time} hidden by filter {} ", looks.drawn("▸", ">")), looks.found()));
        line.style(Looks::cursor().add_modifier(Modifier::DIM))
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}

/// Returns the events of a list with this many rows, and the event before them.
fn visible_events(log: &Log, rows: usize) -> (Vec<&Event>, Option<&Event>) {
    let Some(cursor) = log.cursor_index() else { return (Vec::new(), None) };
    let events = log.loaded.events();
    let from_cursor: Vec<&Event> = events.range(cursor..).filter(|event| log.shows(event)).take(rows).collect();
    let mut before = events.range(..cursor).rev().filter(|event| log.shows(event));
    let wanted = log.cursor_row.index(rows).max(rows.saturating_sub(from_cursor.len()));
    let mut visible: Vec<&Event> = before.by_ref().take(wanted).collect();
    visible.reverse();
    visible.extend(from_cursor);
    visible.truncate(rows);
    (visible, before.next())
}

fn row<'a>(state: &State, log: &Log, looks: Looks, event: &'a Event, previous: Option<&Event>) -> Line<'a> {
    let offset = event.position.offset;
    let since = previous.map_or_else(String::new, |previous| {
        format!("+{}", times::duration(offset.nanos().saturating_sub(previous.position.offset.nanos())))
    });
    let time = match state.time_style {
        TimeStyle::Ago => format!("{:>15}", times::age(offset, state.service_now())),
        TimeStyle::Since => format!("{since:>15}"),
        // On a narrow screen, only the scrubber shows the date.
        TimeStyle::Local if state.size.0 < DATE_COLUMNS => when::show(offset, state.shown_zone())[11..].to_owned(),
        TimeStyle::Local => when::show(offset, state.shown_zone()),
        TimeStyle::Utc => format!("{}Z", when::show(offset, &TimeZone::UTC)),
    };
    let mark = if log.marks.contains(&event.position) { looks.drawn("◆", "*") } else { " " };
    let mut spans = vec![Span::styled(mark, looks.found()), Span::styled(time, Style::new())];
    if state.size.0 >= SINCE_COLUMNS && state.time_style != TimeStyle::Since {
        spans.push(Span::styled(format!(" {since:>9}"), looks.aside()));
    }
    spans.push(Span::raw(" "));
    let is_hit = log.search.as_ref().is_some_and(|search| search.pattern().matches(event));
    let text = sanitize_bytes(summary(&event.record.data));
    let text = match text.char_indices().nth(log.sideways) {
        Some((start, _)) if start > 0 => text[start..].to_owned().into(),
        None if log.sideways > 0 => "".into(),
        _ => text,
    };
    spans.push(Span::styled(text, if is_hit { looks.found() } else { Style::new() }));
    Line::from(spans)
}

/// Returns the start of an event's data, as much as a row may need. Does not cut a UTF-8 letter.
fn summary(bytes: &[u8]) -> &[u8] {
    let mut end = bytes.len().min(SUMMARY_BYTES_MAX);
    while end < bytes.len() && end > SUMMARY_BYTES_MAX - 4 && bytes[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    &bytes[..end]
}

/// Returns the lines that explain why there is no event to show.
fn placeholder(state: &State, log: &Log) -> Vec<Line<'static>> {
    const BACK: &str = "q goes back to the logs";
    if log.empty {
        return vec![
            Line::from("no event yet; this publishes one:"),
            Line::from(format!("  {}", shell::command("pub", "", &log.id, " '{\"id\":7}'"))),
        ];
    }
    if let Some(outage) = state.requests.outage(RequestKind::Events) {
        let since = times::duration(state.nanos_since(outage.since));
        let what = if outage.denied { "not allowed" } else { "no answer" };
        return vec![
            Line::from(format!("{what}, since {since}; retried every second")),
            Line::from(sanitize(&outage.reason).into_owned()),
            Line::from(BACK),
        ];
    }
    if !log.loaded.events().is_empty() {
        let searched = human_count(log.loaded.events().len() as u64);
        let more = if log.loaded.is_complete() {
            String::new()
        } else {
            let in_window = log.scrubber.counts.as_ref().map_or(0, |counts| counts.count);
            format!(", {} in the window", human_count(in_window))
        };
        return vec![Line::from(format!(
            "0 of {searched} loaded events match{more}; & and an empty text show all again"
        ))];
    }
    let Some(asked_at) = state.requests.asked_at(RequestKind::Events) else { return Vec::new() };
    let waited = state.nanos_since(asked_at);
    let loading = format!("loading, {}", times::duration(waited));
    match waited {
        ..LOADING_NANOS => Vec::new(),
        LOADING_NANOS..LOADING_LONG_NANOS => vec![Line::from(loading)],
        _ => vec![
            Line::from(format!("{loading}: the service at {} has not answered yet", sanitize(&state.server))),
            Line::from(BACK),
        ],
    }
}
