//! The table of the service's instances.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
};

use crate::{
    output::human_count,
    sanitize::sanitize,
    tui::{
        cover_areas,
        state::{Cover, Instance, RequestKind, State, Trouble},
        times,
    },
};

use super::{
    logs::put,
    looks::Looks,
    pen::{self, Pen},
};

/// Columns of the signs before an id.
const SIGN_COLUMNS: u16 = 3;
/// Blanks between two columns.
const GAP: u16 = 2;

/// A column of the table, right-aligned.
#[derive(Debug, Clone, Copy)]
enum Column {
    Version,
    Up,
    Rate,
    Errors,
    Mean,
    Awake,
    Slots,
    Archive,
    Lag,
}

use Column::{Archive, Awake, Errors, Lag, Mean, Rate, Slots, Up, Version};

/// Returns the columns for a width, and for instances that share their archive or do not.
fn columns(width: u16, is_shared: bool) -> &'static [Column] {
    match (width, is_shared) {
        (110.., true) => &[Version, Up, Rate, Errors, Mean, Awake, Slots, Archive, Lag],
        (110.., false) => &[Version, Up, Rate, Errors, Mean, Awake, Archive, Lag],
        (80.., true) => &[Up, Rate, Errors, Slots, Archive, Lag],
        (80.., false) => &[Up, Rate, Errors, Mean, Archive, Lag],
        (60.., true) => &[Up, Rate, Errors, Slots, Lag],
        (60.., false) => &[Up, Rate, Errors, Lag],
        _ => &[Rate, Errors, Lag],
    }
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Version => "version",
            Up => "up",
            Rate => "req/s",
            Errors => "errors",
            Mean => "mean",
            Awake => "awake",
            Slots => "slots",
            Archive => "archive",
            Lag => "lag",
        }
    }

    fn width(self) -> u16 {
        match self {
            Version | Lag => 8,
            Up | Rate | Mean => 7,
            Errors | Awake | Slots => 6,
            Archive => 16,
        }
    }
}

pub(super) fn draw(state: &State, looks: Looks, buffer: &mut Buffer, area: Rect) {
    let columns = columns(area.width, state.instances.all().any(|instance| instance.share().is_some()));
    let fixed: u16 = columns.iter().map(|column| column.width() + GAP).sum();
    let id_at = area.x + SIGN_COLUMNS;
    let id_width = area.right().saturating_sub(fixed + id_at + 1);
    let place = |index: usize| -> (u16, u16) {
        let before: u16 = columns[..index].iter().map(|column| column.width() + GAP).sum();
        (id_at + id_width + before + GAP, columns[index].width())
    };
    let style = looks.name().add_modifier(Modifier::UNDERLINED);
    put(buffer, area, 0, (id_at, id_width), "instance", false, style);
    for (index, column) in columns.iter().enumerate() {
        put(buffer, area, 0, place(index), column.name(), true, style);
    }
    let list = cover_areas::list(state, Cover::Service);
    if list.count == 0 {
        let is_denied = state.requests.outage(RequestKind::Service).is_some_and(|outage| outage.denied);
        let text = if is_denied { "not allowed" } else { "none answers" };
        put(buffer, area, 1, (id_at, id_width), text, false, looks.bad());
    }
    for (row, instance) in state.instances.all().skip(list.first).take(list.rows).enumerate() {
        let (y, is_unwell) = (row as u16 + 1, instance.trouble().is_some());
        let style = if is_unwell { looks.bad() } else { Style::new() };
        if is_unwell {
            Pen::new(buffer, area, y).go_to(id_at - 2).put("!", style);
        }
        put(buffer, area, y, (id_at, id_width), &cut(&instance.id, id_width, looks), false, style);
        for (number, column) in columns.iter().enumerate() {
            let text = cell(state, instance, *column).map(|text| cut(&text, column.width(), looks));
            put(buffer, area, y, place(number), text.as_deref().unwrap_or(looks.unknown()), true, style);
        }
        if list.first + row == list.index {
            Pen::new(buffer, area, y).put(looks.drawn("▸", ">"), Style::new());
            for x in area.left()..area.right() {
                buffer[(x, area.y + y)].set_style(Style::reset().patch(style).patch(Looks::here()));
            }
        }
    }
}

/// Returns the beginning of a text from outside, as wide as there is room.
pub(super) fn cut(text: &str, room: u16, looks: Looks) -> String {
    let text = sanitize(text);
    if pen::width(&text) <= usize::from(room) {
        return text.into_owned();
    }
    let mut cut = String::new();
    for letter in text.chars() {
        if pen::width(&cut) + pen::width(letter.encode_utf8(&mut [0; 4])) + 1 > usize::from(room) {
            break;
        }
        cut.push(letter);
    }
    cut.push(looks.ellipsis());
    cut
}

/// Returns the text of a cell; `None` for what is not known.
fn cell(state: &State, instance: &Instance, column: Column) -> Option<String> {
    if !instance.answers && !matches!(column, Version | Archive) {
        return None;
    }
    match column {
        Version => Some(instance.version.clone()),
        Up => {
            let now = instance.status.as_ref().map_or_else(|| state.service_now(), |status| status.now);
            instance.started.map(|started| times::pause(now.nanos().saturating_sub(started.nanos())))
        }
        Rate => instance.rate().map(rate),
        Errors => instance.errors().map(human_count),
        Mean => instance.mean_nanos().map(mean),
        Awake => instance.status.as_ref().map(|status| human_count(status.counters.logs_awake)),
        Slots => instance.share().map(|share| share.slots.to_string()),
        Archive => archive(state, instance),
        Lag => instance.lag().map(human_count),
    }
}

/// Returns the state of an instance's archive, or how long the instance has been silent.
fn archive(state: &State, instance: &Instance) -> Option<String> {
    let lasting = |nanos: i64| times::short_duration(nanos.max(0));
    if instance.trouble() == Some(Trouble::Silent) {
        return Some(format!("silent {}", lasting(state.nanos_since(instance.answered))));
    }
    let status = instance.status.as_ref()?;
    Some(match (status.archive.state.ok, status.archive.state.since) {
        (true, _) => "ok".to_owned(),
        (false, None) => "degraded".to_owned(),
        (false, Some(since)) => {
            format!("degraded {}", lasting(status.now.nanos().saturating_sub(since.nanos())))
        }
    })
}

/// Returns requests per second.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        0.0 => "0".to_owned(),
        ..1_000.0 => format!("{per_second:.1}"),
        _ => human_count(per_second.round() as u64),
    }
}

/// Returns a mean time.
pub(super) fn mean(nanos: u64) -> String {
    times::pause(i64::try_from(nanos).unwrap_or(i64::MAX))
}
