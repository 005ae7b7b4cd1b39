//! The list of logs.

use hourlog::wire::{LogReply, RECENT_WINDOWS_MAX, RecentReply};
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
};

use crate::{
    output::{human_bytes, human_count, human_rate},
    sanitize::sanitize,
    tui::{
        bars,
        state::{Heights, RequestKind, State},
        times,
    },
    when,
};

use super::{
    looks::Looks,
    pen::{self, Pen},
};

/// Width from which the list shows rates and bytes.
const MEDIUM_COLUMNS: u16 = 60;
/// Width from which the list also shows the first event and the last minute.
const WIDE_COLUMNS: u16 = 112;
/// Blanks between two columns.
const GAP: u16 = 2;

pub(super) fn draw(state: &State, looks: Looks, buffer: &mut Buffer, area: Rect) {
    let logs = &state.logs;
    let shown = logs.shown();
    if shown.is_empty() {
        for (row, text) in placeholder(state).into_iter().enumerate() {
            Pen::new(buffer, area, row as u16).put(" ", Style::new()).foreign(&looks.spelled(&text), Style::new());
        }
        return;
    }
    let columns = columns(area.width);
    let fixed: u16 = columns.iter().skip(1).map(|column| column.width() + GAP).sum();
    let id_width = area.width.saturating_sub(fixed + 2);
    let place = |index: usize| -> (u16, u16) {
        let before: u16 = columns[1..index.max(1)].iter().map(|column| column.width() + GAP).sum();
        if index == 0 { (area.x + 1, id_width) } else { (area.x + 1 + id_width + before + GAP, columns[index].width()) }
    };
    let style = looks.name().add_modifier(Modifier::UNDERLINED);
    for (index, column) in columns.iter().enumerate() {
        let (x, width) = place(index);
        put(buffer, area, 0, (x, width), column.name(), column.is_right(), style);
    }
    // Only the visible rows are made, because there may be a hundred thousand.
    let (index, room) = (logs.cursor_index(&shown), usize::from(area.height.saturating_sub(1)));
    let first = index.saturating_sub(logs.cursor_row.index(room)).min(shown.len().saturating_sub(room));
    for (row, log) in shown.into_iter().skip(first).take(room).enumerate() {
        let is_here = first + row == index;
        let y = row as u16 + 1;
        for (number, column) in columns.iter().enumerate() {
            let (x, width) = place(number);
            let text = cell(state, log, *column, looks);
            let text = if number == 0 { with_end(&text, usize::from(width), looks) } else { text };
            put(buffer, area, y, (x, width), &text, column.is_right(), Style::new());
        }
        if is_here {
            let mut pen = Pen::new(buffer, area, y);
            pen.put(looks.drawn("▸", ">"), Style::new());
            for x in area.left()..area.right() {
                buffer[(x, area.y + y)].set_style(Looks::here());
            }
        }
    }
}

/// Writes a text into a column.
fn put(buffer: &mut Buffer, area: Rect, row: u16, (x, width): (u16, u16), text: &str, right: bool, style: Style) {
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

const MINUTE_NAME: &str = "the last minute";

/// A column of the list.
#[derive(Debug, Clone, Copy)]
enum LogColumn {
    Id,
    Rate,
    Last,
    Events,
    Bytes,
    First,
    Minute,
}

impl LogColumn {
    fn name(self) -> &'static str {
        match self {
            Self::Id => "log",
            Self::Rate => "events/s",
            Self::Last => "last event",
            Self::Events => "events",
            Self::Bytes => "bytes",
            Self::First => "first event",
            Self::Minute => MINUTE_NAME,
        }
    }

    fn width(self) -> u16 {
        match self {
            Self::Id => 14,
            Self::Rate | Self::Bytes => 9,
            Self::Last => 12,
            Self::Events => 11,
            Self::First => 19,
            Self::Minute => MINUTE_NAME.len() as u16,
        }
    }

    fn is_right(self) -> bool {
        matches!(self, Self::Rate | Self::Last | Self::Events | Self::Bytes)
    }
}

/// Returns the columns for a width.
fn columns(width: u16) -> &'static [LogColumn] {
    use LogColumn::{Bytes, Events, First, Id, Last, Minute, Rate};
    match width {
        WIDE_COLUMNS.. => &[Id, Rate, Minute, Last, First, Events, Bytes],
        MEDIUM_COLUMNS.. => &[Id, Rate, Last, Events, Bytes],
        _ => &[Id, Last, Events],
    }
}

fn cell(state: &State, log: &LogReply, column: LogColumn, looks: Looks) -> String {
    let dash = || "-".to_owned();
    match column {
        LogColumn::Id => sanitize(log.log.as_str()).into_owned(),
        LogColumn::Rate => human_rate(log.rate),
        LogColumn::Last => log.last.map_or_else(dash, |last| times::age(last, state.service_now())),
        LogColumn::Events => human_count(log.events),
        LogColumn::Bytes => human_bytes(log.bytes),
        LogColumn::First => log.first.map_or_else(dash, |first| when::show(first, state.shown_zone())[..19].to_owned()),
        LogColumn::Minute => sparkline(&log.recent, looks),
    }
}

/// Returns the counts of the last minute as bars, the newest at the right. A dot is a window that is not known.
fn sparkline(recent: &RecentReply, looks: Looks) -> String {
    let most = recent.counts.iter().copied().max().unwrap_or(0);
    let unknown = RECENT_WINDOWS_MAX.saturating_sub(recent.counts.len());
    let counts = recent.counts.iter();
    let bars = counts.map(|count| looks.bar(bars::height((*count).into(), most.into(), 8, Heights::Linear)));
    std::iter::repeat_n(looks.drawn("·", "?"), unknown).chain(bars).collect()
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
