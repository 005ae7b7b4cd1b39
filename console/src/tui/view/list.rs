//! The list of a log's events, as a table.

use std::{fmt::Write, ops::Range};

use hourlog::Event;
use jiff::tz::TimeZone;
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
};

use crate::{
    sanitize::sanitize,
    shell,
    tui::{
        columns::{self, Column, Level},
        folds::Fold,
        rows::{Row, rows_of},
        state::{Log, RequestKind, State, TimeStyle},
        table::PAUSES_FROM,
        times,
    },
    when,
};

use super::{
    looks::{Looks, Role},
    pen::{self, Pen},
};

/// Waiting time after which the list says that it is loading.
const LOADING_NANOS: i64 = 300_000_000;
/// Waiting time after which the list names the service it waits for.
const LOADING_LONG_NANOS: i64 = 5_000_000_000;
/// Bytes of an event's data that its row looks at.
const LINE_BYTES_MAX: usize = 1 << 10;
/// Least and most columns of the name of a log.
const LOG_COLUMNS: (usize, usize) = (3, 16);
/// Columns of the date of an event in a sorted list.
const DATE_COLUMNS: usize = 11;
/// Columns of the pause since the previous event.
const PAUSE_COLUMNS: usize = 10;

/// The form of all rows on the screen.
struct Form<'a> {
    looks: Looks,
    zone: &'a TimeZone,
    style: TimeStyle,
    /// Digits after the seconds.
    digits: usize,
    has_pauses: bool,
    has_dates: bool,
    has_levels: bool,
    /// Width of the names of logs, if there are several.
    log_width: usize,
    columns: &'a [Column],
    places: Vec<Range<usize>>,
}

pub(super) fn draw(state: &State, log: &Log, looks: Looks, buffer: &mut Buffer, head: Rect, area: Rect) {
    let rows = rows_of(log, usize::from(area.height.max(1)), state.shown_zone());
    if rows.rows.is_empty() {
        for (row, text) in placeholder(state, log).into_iter().take(usize::from(area.height)).enumerate() {
            Pen::new(buffer, area, row as u16).put(" ", Style::new()).foreign(&looks.spelled(&text), Style::new());
        }
        return;
    }
    let columns = &log.table.choice().chosen;
    let mut form = Form {
        looks,
        zone: state.shown_zone(),
        style: state.time_style,
        digits: log.table.digits(),
        has_pauses: area.width >= PAUSES_FROM && state.time_style != TimeStyle::Since && log.sorted.is_none(),
        has_dates: log.sorted.is_some(),
        has_levels: rows.events().any(|event| {
            let level = columns::level(&columns::fields(&event.record.data), &event.record.data);
            level.is_some_and(|level| level <= Level::Warn)
        }),
        log_width: log_width(log),
        columns,
        places: Vec::new(),
    };
    form.places = columns::spans(columns, usize::from(area.width).saturating_sub(before_data(&form)));
    draw_head(state, log, &form, &rows.events().collect::<Vec<_>>(), buffer, head);
    for (index, row) in rows.rows.iter().enumerate().take(usize::from(area.height)) {
        // A log that is not open has no cursor.
        let is_cursor = index == rows.cursor && state.log.is_some();
        let mut pen = Pen::new(buffer, area, index as u16);
        draw_row(state, log, &form, row, is_cursor, &mut pen);
        if is_cursor {
            let y = area.y + index as u16;
            for x in area.left()..area.right() {
                let style = if log.detail.is_open && state.size.0 >= area.width + 2 {
                    Style::reset().add_modifier(Modifier::BOLD)
                } else {
                    Style::reset().add_modifier(Modifier::REVERSED)
                };
                buffer[(x, y)].set_style(style);
            }
        }
    }
}

/// Returns the columns before the data.
fn before_data(form: &Form<'_>) -> usize {
    let pauses = if form.has_pauses { PAUSE_COLUMNS + 1 } else { 0 };
    let logs = if form.log_width > 0 { form.log_width + 2 } else { 0 };
    1 + usize::from(form.has_levels) + time_width(form) + pauses + 2 + logs
}

/// Returns the width of the column with the names of logs.
fn log_width(log: &Log) -> usize {
    if !log.lanes.are_several() {
        return 0;
    }
    let names = log.lanes.logs().iter().map(|id| pen::width(log.lanes.short(id)));
    names.max().unwrap_or(0).clamp(LOG_COLUMNS.0, LOG_COLUMNS.1)
}

fn time_width(form: &Form<'_>) -> usize {
    match form.style {
        TimeStyle::Local | TimeStyle::Utc => 9 + form.digits + if form.has_dates { DATE_COLUMNS } else { 0 },
        TimeStyle::Ago | TimeStyle::Since => 14,
    }
}

fn draw_head(state: &State, log: &Log, form: &Form<'_>, events: &[&Event], buffer: &mut Buffer, area: Rect) {
    let style = form.looks.name().add_modifier(Modifier::UNDERLINED);
    let mut pen = Pen::new(buffer, area, 0);
    let name = match state.time_style {
        TimeStyle::Local | TimeStyle::Utc => "time",
        TimeStyle::Ago => "age",
        TimeStyle::Since => "since the last",
    };
    pen.put(" ", Style::new());
    if form.has_levels {
        pen.put(" ", Style::new());
    }
    let begin = pen.x();
    pen.put(name, style).go_to(begin + time_width(form) as u16);
    if form.has_pauses {
        let sign = form.looks.drawn("Δ", "gap");
        pen.go_to(begin + (time_width(form) + PAUSE_COLUMNS + 1 - pen::width(sign)) as u16).put(sign, style);
    }
    pen.put("  ", Style::new());
    if form.log_width > 0 {
        let data = pen.x() + form.log_width as u16 + 2;
        pen.put("log", style).go_to(data);
    }
    let data = pen.x();
    for (column, place) in form.columns.iter().zip(&form.places).filter(|(_, place)| !place.is_empty()) {
        let name = columns::cell(column, &sanitize(&column.name), place.len(), form.looks.ellipsis());
        let blanks = name.len() - name.trim_start().len();
        pen.go_to(data + (place.start + blanks) as u16).put(name.trim(), style);
    }
    // Fields that are the same in all events are shown once, here.
    let constant: Vec<String> = log
        .table
        .choice()
        .constant
        .iter()
        .filter(|(name, value)| {
            let has = |event: &&Event| {
                let fields = columns::fields(&event.record.data);
                columns::find(&fields, name).is_some_and(|field| field.text == *value)
            };
            // The sample may not have what is shown.
            pen::width(value) <= 16 && events.iter().all(has)
        })
        .map(|(name, value)| format!("{}={}", sanitize(name), sanitize(value)))
        .collect();
    for (index, text) in constant.iter().enumerate() {
        let before = if index == 0 { "   " } else { form.looks.drawn(" · ", ", ") };
        if pen.room() < pen::width(text) + pen::width(before) + 1 {
            break;
        }
        pen.put(before, form.looks.aside()).put(text, form.looks.aside());
    }
}

fn draw_row(state: &State, log: &Log, form: &Form<'_>, row: &Row<'_>, is_cursor: bool, pen: &mut Pen<'_>) {
    let looks = form.looks;
    let gap = looks.drawn("┄", "-");
    let middle = |text: &str| format!("{:>width$}", format!("{gap} {text} {gap}"), width = time_width(form) + 8);
    match row {
        Row::Day(day) => {
            let rule = looks.drawn("─", "-");
            let date = when::zoned(*day, form.zone).strftime("%Y-%m-%d %a").to_string();
            pen.put(" ", looks.aside()).put(&rule.repeat(2), looks.aside()).put(" ", looks.aside());
            pen.put(&date, looks.aside()).put(" ", looks.aside()).rest(rule, looks.aside());
        }
        Row::Silence(nanos) => drop(pen.put(" ", looks.aside()).put(&middle(&times::pause(*nanos)), looks.aside())),
        Row::ToCome(next) => {
            let text = match next {
                Some(nanos) => {
                    let own = (*nanos as f64 / log.speed().factor()) as i64;
                    format!("to come: next in {} ({} of yours)", times::pause(*nanos), times::pause(own))
                }
                None => "to come".to_owned(),
            };
            pen.put(" ", looks.aside()).put(&format!("{gap}{gap} {text} {gap}{gap}"), looks.aside());
        }
        Row::Playhead(next) => {
            let mark =
                if log.marks.contains(&log.playhead) { looks.drawn("◆", "*") } else { looks.drawn("▸", ">") };
            let time = time_text(form, log.playhead.offset, None, state);
            let text = match next {
                Some(nanos) => format!("{gap} next event in {} {gap}", times::pause(*nanos)),
                None if log.pages.end_of(log.playhead) == Some(hourlog::Position::MAX) => {
                    format!("{gap} no later event {gap}")
                }
                None => format!("{gap} loading {gap}"),
            };
            pen.put(mark, Style::new());
            if form.has_levels {
                pen.put(" ", Style::new());
            }
            pen.put(&time, Style::new()).put("  ", Style::new()).put(&text, Style::new());
        }
        Row::Event(fold, since) => {
            draw_event(state, log, form, *fold, *since, is_cursor, pen);
            draw_count(fold.count, looks, pen);
        }
    }
}

fn time_text(form: &Form<'_>, offset: hourlog::Offset, since: Option<i64>, state: &State) -> String {
    match form.style {
        TimeStyle::Ago => format!("{:>14}", times::age(offset, state.service_now())),
        TimeStyle::Since => {
            format!("{:>14}", since.map_or_else(String::new, |since| format!("+{}", times::pause(since))))
        }
        TimeStyle::Local | TimeStyle::Utc if form.has_dates => {
            let date = when::zoned(offset, form.zone).strftime("%Y-%m-%d").to_string();
            format!("{date} {}", when::clock(offset, form.zone, form.digits))
        }
        TimeStyle::Local | TimeStyle::Utc => when::clock(offset, form.zone, form.digits),
    }
}

fn draw_event(
    state: &State,
    log: &Log,
    form: &Form<'_>,
    fold: Fold<'_>,
    since: Option<i64>,
    is_cursor: bool,
    pen: &mut Pen<'_>,
) {
    let (looks, event) = (form.looks, fold.first);
    let fields = columns::fields(&event.record.data);
    let level = columns::level(&fields, &event.record.data);
    let is_marked = log.marks.range(event.position..=fold.last.position).next().is_some();
    let (mark, style) = match (is_marked, is_cursor) {
        (true, _) => (looks.drawn("◆", "*"), looks.style(Role::Mine)),
        (false, true) => (looks.drawn("▸", ">"), Style::new()),
        (false, false) => (" ", Style::new()),
    };
    pen.put(mark, style);
    if form.has_levels {
        match level {
            Some(Level::Error) => pen.put(looks.drawn("▌", "!"), looks.bad()),
            Some(Level::Warn) => pen.put(looks.drawn("▏", "|"), looks.found()),
            _ => pen.put(" ", Style::new()),
        };
    }
    pen.put(&time_text(form, event.position.offset, since, state), Style::new());
    if form.has_pauses {
        let text = since.map_or_else(String::new, |since| format!("+{}", times::pause(since)));
        // A pause that is shorter than usual is dimmed.
        let is_short = since.is_none_or(|since| since < log.table.median_nanos());
        let style = if is_short { looks.aside() } else { Style::new() };
        pen.put(&format!(" {text:>PAUSE_COLUMNS$}"), style);
    }
    pen.put("  ", Style::new());
    if form.log_width > 0 {
        let data = pen.x() + form.log_width as u16 + 2;
        let name: String = log.lanes.short(&event.log).chars().take(form.log_width).collect();
        pen.foreign(&name, looks.name()).go_to(data);
    }
    let data = pen.x();
    let fills = |column: &Column| columns::find(&fields, &column.path).is_some();
    if !form.columns.iter().any(fills) {
        let text = line(&event.record.data, looks);
        let shown: String = text.chars().skip(log.sideways).collect();
        return put_found(log, looks, &shown, level_style(looks, level), pen);
    }
    for (column, place) in form.columns.iter().zip(&form.places).filter(|(_, place)| !place.is_empty()) {
        let text = columns::find(&fields, &column.path).map_or("", |field| &field.text);
        let text = sanitize(text);
        let text: String =
            if column.is_flexible { text.chars().skip(log.sideways).collect() } else { text.into_owned() };
        let cell = columns::cell(column, &text, place.len(), looks.ellipsis());
        pen.go_to(data + place.start as u16);
        let style = if is_level(column) { level_style(looks, level) } else { Style::new() };
        put_found(log, looks, &cell, style, pen);
    }
}

/// Draws the number of events in one row at its right edge.
fn draw_count(count: usize, looks: Looks, pen: &mut Pen<'_>) {
    if count > 1 {
        let text = looks.spelled(&format!(" ×{count} "));
        pen.at_end(pen::width(&text)).put(&text, looks.name());
    }
}

/// Returns true for the column of an event's severity.
fn is_level(column: &Column) -> bool {
    ["level", "severity", "lvl", "priority", "status", "code"].iter().any(|name| column.name.eq_ignore_ascii_case(name))
}

fn level_style(looks: Looks, level: Option<Level>) -> Style {
    match level {
        Some(Level::Error) => looks.bad(),
        Some(Level::Warn) => looks.found(),
        Some(Level::Debug) => looks.aside(),
        Some(Level::Info) | None => Style::new(),
    }
}

/// Writes a text with what the search and the filters look for.
fn put_found(log: &Log, looks: Looks, text: &str, style: Style, pen: &mut Pen<'_>) {
    let searched = log.search.as_ref().map(|search| search.pattern());
    let patterns = searched.into_iter().chain(log.filters.iter().filter_map(|filter| filter.pattern()));
    let mut places: Vec<Range<usize>> = patterns.flat_map(|pattern| pattern.places(text)).collect();
    places.sort_by_key(|place| place.start);
    let mut at = 0;
    for place in places {
        if place.start < at {
            continue;
        }
        pen.foreign(&text[at..place.start], style).foreign(&text[place.clone()], style.patch(looks.found()));
        at = place.end;
    }
    pen.foreign(&text[at..], style);
}

/// Returns the first line of an event's data, and how many follow.
fn line(data: &[u8], looks: Looks) -> String {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (first, rest) = (&data[..end], &data[end..]);
    let mut shown = first.len().min(LINE_BYTES_MAX);
    // A letter of UTF-8 is not cut.
    while shown < first.len() && shown > LINE_BYTES_MAX - 4 && first[shown] & 0xc0 == 0x80 {
        shown -= 1;
    }
    let mut text = crate::sanitize::sanitize_bytes(&first[..shown]).into_owned();
    let more = rest.iter().filter(|byte| **byte == b'\n').count().saturating_sub(usize::from(rest.ends_with(b"\n")));
    if more > 0 {
        let _ = write!(text, " {} +{more}", looks.drawn("⏎", "\\n"));
    }
    text
}

/// Returns the lines that explain why there are no events.
fn placeholder(state: &State, log: &Log) -> Vec<String> {
    const BACK: &str = "q goes back to the logs";
    if log.empty {
        return vec![
            "no event yet; this publishes one:".to_owned(),
            format!("  {}", shell::command("pub", &state.flags, log.lanes.first(), " '{\"id\":7}'")),
        ];
    }
    if let Some(outage) = state.requests.outage(RequestKind::Events).or(state.requests.log_outage()) {
        let since = times::duration(state.nanos_since(outage.since));
        let what = if outage.denied { "not allowed" } else { "no answer" };
        return vec![format!("{what}, since {since}; retried every second"), outage.reason.clone(), BACK.to_owned()];
    }
    if log.is_filtered() {
        let all = log.scrubber.overview.known().map_or(0, |known| known.count);
        let all = crate::output::human_count(all);
        if log.pages.is_known_empty() {
            return vec![format!("0 of {all} match; & changes the filter, esc takes it away")];
        }
        let looked_at = crate::output::human_count(log.looked_at);
        let then = if log.is_stopped_reading { "stopped; & looks again" } else { "esc stops" };
        return vec![format!("no match yet, looked at {looked_at} of {all} · {then}")];
    }
    let Some(asked_at) = state.requests.asked_at(RequestKind::Events) else { return Vec::new() };
    let waited = state.nanos_since(asked_at);
    let loading = format!("loading, {}", times::duration(waited));
    match waited {
        ..LOADING_NANOS => Vec::new(),
        LOADING_NANOS..LOADING_LONG_NANOS => vec![loading],
        _ => vec![format!("{loading}: the service at {} has not answered yet", state.server), BACK.to_owned()],
    }
}
