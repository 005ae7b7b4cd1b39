//! The list of logs.

use hourlog::{LogId, Offset};
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
};

use crate::{
    output::{counted, human_bytes, human_count, human_rate},
    sanitize::sanitize,
    tui::{
        bars, layout,
        state::{Group, Heights, LogRow, RequestKind, State},
        times,
    },
    when,
};

use super::{
    looks::Looks,
    pen::{self, Pen},
};

/// Width from which the list shows rates and bytes.
const MEDIUM_COLUMNS: u16 = 74;
/// Blanks between two columns.
const GAP: u16 = 2;
/// Columns of the signs before a name.
const SIGN_COLUMNS: u16 = 3;
/// Eighths of a row.
const EIGHTHS: usize = 8;

pub(super) fn draw(state: &State, looks: Looks, buffer: &mut Buffer, area: Rect) {
    let shown = state.logs.shown();
    if shown.is_empty() {
        for (row, text) in placeholder(state).into_iter().enumerate() {
            Pen::new(buffer, area, row as u16).put(" ", Style::new()).foreign(&looks.spelled(&text), Style::new());
        }
        return;
    }
    summary(state, shown.len(), looks, &mut Pen::new(buffer, area, 0));
    let columns = columns(area.width);
    let strip = layout::strip_columns(state.size) as u16;
    let strip_at = area.right().saturating_sub(strip + u16::from(strip > 0));
    // Only the visible rows are made, because there may be a hundred thousand.
    let logs = &state.logs;
    let (index, room) = (logs.cursor_index(&shown), usize::from(area.height.saturating_sub(2)));
    let first = logs.cursor_row.first(index, room, shown.len());
    let visible: Vec<&LogRow<'_>> = shown.iter().skip(first).take(room).collect();
    let fixed: u16 = columns.iter().map(|column| column.width() + GAP).sum();
    let id_at = area.x + SIGN_COLUMNS;
    let id_width = strip_at.saturating_sub(fixed + id_at + GAP);
    let place = |index: usize| -> (u16, u16) {
        let before: u16 = columns[..index].iter().map(|column| column.width() + GAP).sum();
        (id_at + id_width + before + GAP, columns[index].width())
    };
    let style = looks.name().add_modifier(Modifier::UNDERLINED);
    put(buffer, area, 1, (id_at, id_width), "log", false, style);
    for (index, column) in columns.iter().enumerate() {
        put(buffer, area, 1, place(index), column.name(), true, style);
    }
    if strip > 0 {
        let title = format!("{}, one scale for all rows", times::step_of(logs.strip_nanos));
        Pen::new(buffer, area, 1).go_to(strip_at).put(&title, style);
    }
    let peak = visible.iter().filter_map(|row| strip_of(state, row)).flat_map(|(counts, is_sum)| {
        // A sum has a scale of its own.
        if is_sum { None } else { counts.iter().copied().max() }
    });
    let peak = peak.max().unwrap_or(0);
    for (row, shown) in visible.into_iter().enumerate() {
        let y = row as u16 + 2;
        draw_row(state, shown, looks, buffer, area, y, (id_at, id_width));
        for (number, column) in columns.iter().enumerate() {
            put(buffer, area, y, place(number), &cell(state, shown, *column), true, Style::new());
        }
        if let Some((counts, is_sum)) = strip_of(state, shown).filter(|_| strip > 0) {
            let peak = if is_sum { counts.iter().copied().max().unwrap_or(0) } else { peak };
            let mut pen = Pen::new(buffer, area, y);
            pen.go_to(strip_at);
            for count in counts.iter().take(usize::from(strip)) {
                let eighths = bars::height(*count, peak, EIGHTHS, Heights::Root);
                pen.put(looks.bar(eighths), if is_sum { looks.aside() } else { Style::new() });
            }
        }
        if first + row == index {
            Pen::new(buffer, area, y).put(looks.drawn("▸", ">"), Style::new());
            for x in area.left()..area.right() {
                buffer[(x, area.y + y)].set_style(Style::reset().patch(Looks::here()));
            }
        }
    }
}

/// Draws the name of a row.
fn draw_row(
    state: &State,
    row: &LogRow<'_>,
    looks: Looks,
    buffer: &mut Buffer,
    area: Rect,
    y: u16,
    (x, width): (u16, u16),
) {
    match row {
        LogRow::Group(group) => {
            let sign = if group.is_folded { looks.drawn("▸", "+") } else { looks.drawn("▾", "-") };
            let name = format!("{}  ({})", sanitize(&group.name), group.logs);
            Pen::new(buffer, area, y).go_to(x - 2).put(sign, looks.name());
            put(buffer, area, y, (x, width), &with_end(&name, usize::from(width), looks), false, looks.name());
        }
        LogRow::Log(log, hidden) => {
            let indent = u16::from(*hidden > 0) * 2;
            let id: &str = &log.log.as_str()[*hidden..];
            let is_moving = log.recent.counts.last().is_some_and(|count| *count > 0)
                && state.requests.outage(RequestKind::Logs).is_none();
            if is_moving {
                Pen::new(buffer, area, y).go_to(x - 2).put(looks.drawn("●", "*"), looks.style(super::Role::Good));
            }
            if state.logs.picked.contains(&log.log) {
                Pen::new(buffer, area, y).go_to(x - 2).put(looks.drawn("◆", "+"), looks.style(super::Role::Mine));
            }
            let room = usize::from(width.saturating_sub(indent));
            let id = with_end(&sanitize(id), room, looks);
            put(buffer, area, y, (x + indent, width.saturating_sub(indent)), &id, false, Style::new());
        }
    }
}

/// Returns the counts of a row's strip, and true for a sum of several.
fn strip_of<'a>(state: &'a State, row: &'a LogRow<'_>) -> Option<(&'a [u64], bool)> {
    match row {
        LogRow::Group(group) => group.strip.as_deref().map(|strip| (strip, true)),
        LogRow::Log(log, _) => strip_of_log(state, &log.log).map(|strip| (strip, false)),
    }
}

fn strip_of_log<'a>(state: &'a State, log: &LogId) -> Option<&'a [u64]> {
    state.logs.strip(log)
}

/// Draws how many logs there are, which are shown, and in what order.
fn summary(state: &State, shown: usize, looks: Looks, pen: &mut Pen<'_>) {
    let logs = &state.logs;
    let all = logs.rows().map_or(0, <[_]>::len);
    let mut text = format!(" {} in {}", counted(all as u64, "log"), counted(logs.groups() as u64, "group"));
    pen.put(&text, looks.aside());
    if !logs.find.is_empty() {
        pen.put("   / ", looks.found()).foreign(&logs.find, looks.found());
        pen.put(&format!("   {} shown, best match first", human_count(shown as u64)), looks.aside());
    } else {
        let order = match logs.order {
            hourlog::wire::LogsOrder::Id => "name",
            hourlog::wire::LogsOrder::Last => "last event",
            hourlog::wire::LogsOrder::Rate => "rate",
            hourlog::wire::LogsOrder::Events => "events",
            hourlog::wire::LogsOrder::Bytes => "bytes",
        };
        let sign = if logs.is_turned { looks.drawn("↑", "^") } else { looks.drawn("↓", "v") };
        pen.put(&format!("   ordered by {order} {sign}"), looks.aside());
    }
    if !logs.picked.is_empty() {
        let text = format!("   {} picked, enter opens them as one", logs.picked.len());
        pen.put(&text, looks.style(super::Role::Mine));
        return;
    }
    if let Some((_, to)) = logs.strip_axis(state.service_now()).filter(|_| layout::strip_columns(state.size) > 0) {
        let to = when::zoned(to, state.shown_zone()).strftime("%Y-%m-%d %H:%M").to_string();
        text = format!("   window {} to {to}", times::step_of(logs.strip_nanos));
        if pen.room() > pen::width(&text) {
            pen.put(&text, looks.aside());
        }
    }
}

/// Writes a text into a column.
pub(super) fn put(
    buffer: &mut Buffer,
    area: Rect,
    row: u16,
    (x, width): (u16, u16),
    text: &str,
    right: bool,
    style: Style,
) {
    let area = Rect { width: (x + width).saturating_sub(area.x).min(area.width), ..area };
    let mut pen = Pen::new(buffer, area, row);
    let blanks = if right { usize::from(width).saturating_sub(pen::width(text)) as u16 } else { 0 };
    pen.go_to(x + blanks).put(text, style);
}

/// Returns an id as wide as there is room: the end of a long one tells more.
fn with_end(id: &str, room: usize, looks: Looks) -> String {
    if pen::width(id) <= room {
        return id.to_owned();
    }
    let letters: Vec<char> = id.chars().collect();
    let mut end = letters.len();
    let mut taken = 1;
    while end > 0 && taken + pen::width(letters[end - 1].encode_utf8(&mut [0; 4])) <= room {
        end -= 1;
        taken += pen::width(letters[end].encode_utf8(&mut [0; 4]));
    }
    std::iter::once(looks.ellipsis()).chain(letters[end..].iter().copied()).collect()
}

/// A column of the list, right-aligned.
#[derive(Debug, Clone, Copy)]
enum LogColumn {
    Rate,
    Last,
    Events,
    Bytes,
}

impl LogColumn {
    fn name(self) -> &'static str {
        match self {
            Self::Rate => "events/s",
            Self::Last => "last event",
            Self::Events => "events",
            Self::Bytes => "bytes",
        }
    }

    fn width(self) -> u16 {
        match self {
            Self::Rate => 8,
            Self::Last => 11,
            Self::Events => 10,
            Self::Bytes => 8,
        }
    }
}

/// Returns the columns for a width.
fn columns(width: u16) -> &'static [LogColumn] {
    use LogColumn::{Bytes, Events, Last, Rate};
    if width >= MEDIUM_COLUMNS { &[Rate, Last, Events, Bytes] } else { &[Last, Events] }
}

fn cell(state: &State, row: &LogRow<'_>, column: LogColumn) -> String {
    let (rate, last, events, bytes): (Option<f64>, Option<Offset>, u64, u64) = match row {
        LogRow::Group(Group { rate, last, events, bytes, .. }) => (*rate, *last, *events, *bytes),
        LogRow::Log(log, _) => (log.rate, log.last, log.events, log.bytes),
    };
    match column {
        LogColumn::Rate => human_rate(rate),
        LogColumn::Last => last.map_or_else(|| "-".to_owned(), |last| times::age(last, state.service_now())),
        LogColumn::Events => human_count(events),
        LogColumn::Bytes => human_bytes(bytes),
    }
}

/// Returns the lines that explain why there are no rows.
fn placeholder(state: &State) -> Vec<String> {
    if let Some(outage) = state.requests.outage(RequestKind::Logs) {
        let since = times::duration(state.nanos_since(outage.since));
        let what = if outage.denied { "you are not allowed to list the logs" } else { "the service does not answer" };
        return vec![
            format!("{what}, since {since}"),
            outage.reason.clone(),
            format!("asked at {}; hourlog doctor checks the whole path", state.server),
        ];
    }
    match state.logs.rows() {
        None => vec!["asking for the logs".to_owned()],
        Some([]) => vec![
            "no log yet; this creates one:".to_owned(),
            format!("  hourlog pub {} orders.eu '{{\"id\":7}}'", state.flags.trim()).replace("  orders", " orders"),
            "and this imports a file: hourlog import FILE".to_owned(),
        ],
        Some(rows) => vec![format!("0 of {} logs match; Esc edits", rows.len())],
    }
}
