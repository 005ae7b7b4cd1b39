//! The messages of the session.

use hourlog::Offset;
use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::{
    output::{counted, human_count},
    tui::{
        cover_areas,
        state::{Cover, Message, MessageKind, State},
    },
    when,
};

use super::{
    looks::{Looks, Role},
    pen::{self, Pen},
    rule,
};

/// Columns of a time.
const TIME_COLUMNS: usize = 11;
/// Width from which a repeated message has the time of the first one.
const SINCE_FROM: u16 = 80;

pub(super) fn draw(state: &State, looks: Looks, buffer: &mut Buffer, area: Rect) {
    let (areas, shown) = (cover_areas::messages_areas(area), state.messages.shown());
    summary(state, shown.len(), looks, &mut Pen::new(buffer, areas.summary, 0));
    let list = cover_areas::list(state, Cover::Messages);
    for (row, message) in shown.iter().skip(list.first).take(list.rows).enumerate() {
        let y = row as u16;
        draw_row(state, message, looks, buffer, areas.list, y);
        if list.first + row == list.index {
            Pen::new(buffer, areas.list, y).put(looks.drawn("▸", ">"), Style::new());
            for x in area.left()..area.right() {
                buffer[(x, areas.list.y + y)].set_style(Style::reset().patch(Looks::here()));
            }
        }
    }
    if shown.is_empty() {
        let text =
            if state.messages.count() == 0 { "nothing has happened yet" } else { "no message matches; Esc shows all" };
        Pen::new(buffer, areas.list, 0).put(" ", Style::new()).put(text, Style::new());
    }
    if let Some(message) = shown.get(list.index).filter(|_| areas.whole.height > 0) {
        rule::draw(looks, buffer, areas.whole, &times(state, message), "");
        let width = usize::from(area.width.saturating_sub(2)).max(1);
        for (row, line) in textwrap::wrap(&looks.spelled(&message.text), width).iter().enumerate() {
            Pen::new(buffer, areas.whole, row as u16 + 1).put(" ", Style::new()).foreign(line, style(looks, message));
        }
    }
}

/// Draws the newest messages below the first row of an area.
pub(super) fn draw_newest(state: &State, looks: Looks, buffer: &mut Buffer, area: Rect) {
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    if state.messages.count() == 0 {
        Pen::new(buffer, below, 0).put(" ", Style::new()).put("nothing has happened yet", looks.aside());
    }
    for (row, message) in state.messages.newest().take(usize::from(below.height)).enumerate() {
        draw_row(state, message, looks, buffer, below, row as u16);
    }
}

/// Draws how many messages there are, and which are shown.
fn summary(state: &State, shown: usize, looks: Looks, pen: &mut Pen<'_>) {
    let all = counted(state.messages.count() as u64, "message");
    pen.put(&format!(" {all} of this session, newest first"), looks.aside());
    if !state.messages.find.is_empty() {
        pen.put("   / ", looks.found()).foreign(&state.messages.find, looks.found());
        pen.put(&format!("   {} shown", human_count(shown as u64)), looks.aside());
    }
}

fn draw_row(state: &State, message: &Message, looks: Looks, buffer: &mut Buffer, area: Rect, y: u16) {
    let sign = match message.kind {
        MessageKind::Notice => " ",
        MessageKind::Error => "!",
        MessageKind::Recovery => looks.drawn("●", "*"),
    };
    let repeats = match message.times {
        1 => String::new(),
        times if area.width >= SINCE_FROM => {
            format!("  ×{} since {} ", human_count(times), time(state, message.first))
        }
        times => format!("  ×{} ", human_count(times)),
    };
    let (repeats, style) = (looks.spelled(&repeats), style(looks, message));
    let repeats_at = area.right().saturating_sub(pen::width(&repeats) as u16);
    let text = Rect { width: repeats_at.saturating_sub(area.x), ..area };
    let mut pen = Pen::new(buffer, text, y);
    pen.put(" ", Style::new()).put(&format!("{:<TIME_COLUMNS$} ", time(state, message.last)), looks.aside());
    pen.put(sign, style).put(" ", Style::new()).foreign(&looks.spelled(&message.text), style);
    Pen::new(buffer, area, y).go_to(repeats_at).put(&repeats, looks.aside());
}

fn style(looks: Looks, message: &Message) -> Style {
    match message.kind {
        MessageKind::Notice => Style::new(),
        MessageKind::Error => looks.bad(),
        MessageKind::Recovery => looks.style(Role::Good),
    }
}

/// Returns when a message came, and how many times.
fn times(state: &State, message: &Message) -> String {
    let last = time(state, message.last);
    match message.times {
        1 => last,
        times => format!("{} times, first {}, last {last}", human_count(times), time(state, message.first)),
    }
}

/// Returns the time of day; for another day, its date and the minute.
fn time(state: &State, at: Offset) -> String {
    let (zone, now) = (state.shown_zone(), state.now);
    let (time, now) = (when::zoned(at, zone), when::zoned(now, zone));
    let format = if time.date() == now.date() { "%H:%M:%S" } else { "%m-%d %H:%M" };
    time.strftime(format).to_string()
}
