//! The header: the open log, the mode, the playhead's time, and the connection.

use hourlog::Offset;
use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::{
    output::human_count,
    tui::{
        state::{Cover, Log, Mode, Outage, RequestKind, State},
        times,
    },
    when,
};

use super::{
    looks::{Looks, Role},
    pen::{self, Pen},
};

/// Width from which the header shows the address of the service, and words beside signs.
const WIDE_COLUMNS: u16 = 100;
/// Width from which times have a weekday and a zone.
const YEAR_COLUMNS: u16 = 74;
/// Width from which times have a date.
const DATE_COLUMNS: u16 = 60;
/// Waiting time after which the header says that events are loading.
const LOADING_NANOS: i64 = 300_000_000;

pub(super) fn draw(state: &State, looks: Looks, buffer: &mut Buffer, area: Rect) {
    let arrow = looks.drawn(" ▸ ", " > ");
    let cover = state.covers.top();
    let log = state.log.as_ref().filter(|_| cover.is_none());
    let outage = match (cover, &state.log) {
        (Some(Cover::Service), _) => state.requests.outage(RequestKind::Service),
        (_, Some(_)) => state.requests.log_outage(),
        (_, None) => state.requests.outage(RequestKind::Logs),
    };
    let (sign, word, style) = match outage {
        Some(outage) if outage.denied => (looks.drawn("✗", "x"), "not allowed", looks.bad()),
        Some(_) => (looks.drawn("○", "o"), "offline", looks.bad()),
        None => (looks.drawn("●", "*"), "online", looks.style(Role::Good)),
    };
    let mouse = if state.has_mouse { "mouse " } else { "" };
    let connection = match area.width {
        WIDE_COLUMNS.. => format!("{mouse}{sign} {word}"),
        _ => format!("{mouse}{sign}"),
    };
    let time = match cover {
        Some(Cover::Service) => answering(state),
        Some(Cover::Messages) => None,
        None => log.and_then(|log| Some(time_text(state, log.time()?, area.width))),
    };
    let time = time.map_or_else(String::new, |time| looks.spelled(&time));
    let mode = match log {
        Some(log) => Some(mode(state, log, looks)),
        None => outage.map(|outage| (outage_text(state, outage), looks.bad().patch(Looks::here()))),
    };
    let mode = mode.map(|(text, style)| (format!(" {text} "), style));
    let mode_width = mode.as_ref().map_or(0, |(text, _)| pen::width(text));
    // The connection is at the right edge, the time before it, and the mode before that.
    let right = area.right().saturating_sub(pen::width(&connection) as u16 + 1);
    let time_at = right.saturating_sub(pen::width(&time) as u16 + if time.is_empty() { 0 } else { 2 });
    let mode_at = time_at.saturating_sub(mode_width as u16 + u16::from(mode_width > 0));
    let crumbs = Rect { width: mode_at.saturating_sub(area.x), ..area };
    let mut pen = Pen::new(buffer, crumbs, 0);
    pen.put(" ", Style::new());
    match log {
        Some(log) if area.width >= DATE_COLUMNS => {
            pen.put("hourlog", looks.name());
            let logs = pen::width(&log.lanes.to_string());
            // The names of several logs may leave no room for that of the service.
            if area.width >= WIDE_COLUMNS && pen.room() >= logs + pen::width(&state.label) + 2 * pen::width(arrow) {
                pen.put(arrow, looks.aside()).foreign(&state.label, Style::new());
            }
            pen.put(arrow, looks.aside()).foreign(&log.lanes.to_string(), looks.name());
        }
        Some(log) => drop(pen.foreign(&log.lanes.to_string(), looks.name())),
        None => {
            let name = if cover.is_some() { &state.label } else { &state.server };
            pen.put("hourlog", looks.name());
            if cover.is_none() || area.width >= WIDE_COLUMNS {
                pen.put(arrow, looks.aside()).foreign(name, Style::new());
            }
        }
    }
    match cover {
        Some(Cover::Service) => drop(pen.put(arrow, looks.aside()).put("service", looks.name())),
        Some(Cover::Messages) => drop(pen.put(arrow, looks.aside()).put("messages", looks.name())),
        None => {}
    }
    let mut pen = Pen::new(buffer, area, 0);
    if let Some((text, style)) = mode {
        pen.go_to(mode_at).put(&text, style);
    }
    pen.go_to(time_at).put(&time, Style::new());
    pen.go_to(right).put(&connection, style);
}

/// Returns how many of the known instances have answered the last time.
fn answering(state: &State) -> Option<String> {
    let all = state.instances.all().len();
    let answering = state.instances.all().filter(|instance| instance.answers).count();
    let verb = if all == 1 { "answers" } else { "answer" };
    (all > 0).then(|| format!("{answering} of {all} {verb}"))
}

/// Returns a time with its weekday, zone and distance, as far as there is room.
fn time_text(state: &State, at: Offset, columns: u16) -> String {
    let zoned = when::zoned(at, state.shown_zone());
    let zone = zoned.strftime("%Z");
    let ago = times::age_in_words(at, state.service_now());
    match columns {
        WIDE_COLUMNS.. => format!("{} {zone} · {ago}", zoned.strftime("%Y-%m-%d %a %H:%M:%S%.3f")),
        YEAR_COLUMNS.. => format!("{} {zone}", zoned.strftime("%Y-%m-%d %a %H:%M:%S%.3f")),
        DATE_COLUMNS.. => zoned.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        _ => zoned.strftime("%H:%M:%S%.3f").to_string(),
    }
}

fn outage_text(state: &State, outage: &Outage) -> String {
    let since = when::zoned(outage.since, state.shown_zone()).strftime("%H:%M:%S");
    if outage.denied { "NOT ALLOWED".to_owned() } else { format!("OFFLINE since {since}") }
}

/// Returns the mode as words, and its style. There is only one at a time.
pub(super) fn mode(state: &State, log: &Log, looks: Looks) -> (String, Style) {
    let here = Looks::here();
    if let Some(outage) = state.requests.log_outage() {
        return (outage_text(state, outage), looks.bad().patch(here));
    }
    let asked_at = state.requests.asked_at(RequestKind::Events);
    let is_loading = asked_at.is_some_and(|asked_at| state.nanos_since(asked_at) > LOADING_NANOS);
    let good = looks.style(Role::Good).patch(here);
    let unseen = match log.unseen {
        0 => String::new(),
        unseen if state.size.0 >= WIDE_COLUMNS => format!(" {} {} new: G", looks.drawn("↓", "v"), human_count(unseen)),
        unseen => format!(" {}{}", looks.drawn("↓", "v"), human_count(unseen)),
    };
    match log.mode {
        Mode::Live if log.is_live(state.service_now()) => ("LIVE".to_owned(), good),
        Mode::Live => ("END".to_owned(), here),
        Mode::Playing { buffering: true, .. } => {
            let real = log.real_speed(state.now);
            (
                looks.spelled(&format!("BUFFERING {}, reached ×{real:.1}", times::speed(log.speed()))),
                looks.bad().patch(here),
            )
        }
        Mode::Playing { .. } => (looks.spelled(&format!("PLAY {}", times::speed(log.speed()))), good),
        Mode::Paused if is_loading => (format!("LOADING{unseen}"), here),
        Mode::Paused => (format!("PAUSED{unseen}"), here),
    }
}
