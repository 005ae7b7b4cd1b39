//! The help: the whole keymap, in groups.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::tui::{
    keymap::{self, Binding, Group},
    state::State,
};

use super::{
    looks::{Looks, Role},
    overlay,
    pen::{self, Pen},
};

/// Width from which the help has two columns.
const TWO_COLUMNS: u16 = 100;

/// Limit of the keys of a binding that are listed one by one.
const KEYS_MAX: usize = 4;

/// A line of the help.
enum Line {
    Title(&'static str),
    Key(String, String),
    Sign(&'static str, &'static str, Role),
    Text(&'static str),
    Blank,
}

pub(super) fn draw(state: &State, line: usize, looks: Looks, buffer: &mut Buffer, area: Rect) {
    overlay::clear(buffer, area);
    let columns = if area.width >= TWO_COLUMNS { 2 } else { 1 };
    let width = area.width / columns;
    let groups = keymap::groups(state.key_scope());
    let keys_width =
        groups.iter().flat_map(|(_, bindings)| bindings).map(|binding| pen::width(&keys_of(binding, looks)));
    let keys_width = keys_width.max().unwrap_or(0);
    let blocks = groups.iter().map(|(group, bindings)| block(*group, bindings, looks, width, keys_width));
    let mut blocks: Vec<Vec<Line>> = blocks.collect();
    blocks.push(legend(looks));
    let all: usize = blocks.iter().map(Vec::len).sum();
    let mut sides: Vec<Vec<Line>> = Vec::new();
    for block in blocks {
        let is_full = sides.last().is_none_or(|side| columns == 2 && sides.len() < 2 && side.len() * 2 >= all);
        if is_full {
            sides.push(Vec::new());
        }
        if let Some(side) = sides.last_mut() {
            side.extend(block);
        }
    }
    let longest = sides.iter().map(Vec::len).max().unwrap_or(0);
    let body = Rect { height: area.height.saturating_sub(1), ..area };
    let first = line.min(longest.saturating_sub(usize::from(body.height)));
    for (number, side) in sides.iter().enumerate() {
        let place = Rect { x: area.x + number as u16 * width, width, ..body };
        for (row, line) in side.iter().skip(first).take(usize::from(body.height)).enumerate() {
            draw_line(line, keys_width, looks, &mut Pen::new(buffer, place, row as u16));
        }
    }
    let foot = Rect { y: area.bottom().saturating_sub(1), height: 1, ..area };
    let more =
        if longest > usize::from(body.height) { "up and down scroll, any other key closes" } else { "any key closes" };
    Pen::new(buffer, foot, 0).put(" ", Style::new()).put(more, looks.aside());
}

fn draw_line(line: &Line, keys_width: usize, looks: Looks, pen: &mut Pen<'_>) {
    let begin = pen.x();
    match line {
        Line::Title(title) => drop(pen.put(" ", Style::new()).put(title, looks.name())),
        Line::Key(keys, text) => {
            pen.put("   ", Style::new()).put(keys, looks.found());
            pen.go_to(begin + 5 + keys_width as u16).put(text, Style::new());
        }
        Line::Sign(sign, text, role) => {
            pen.put("   ", Style::new()).put(sign, looks.style(*role));
            pen.go_to(begin + 12).put(text, Style::new());
        }
        Line::Text(text) => drop(pen.put("   ", Style::new()).put(text, Style::new())),
        Line::Blank => {}
    }
}

/// Returns the keys of a binding as they are drawn.
fn keys_of(binding: &Binding, looks: Looks) -> String {
    match binding.keys {
        [first, .., last] if binding.keys.len() > KEYS_MAX => format!("{first} to {last}"),
        keys => keys.iter().map(|key| looks.key(key)).collect::<Vec<_>>().join(" "),
    }
}

/// Returns the lines of a group, with long sentences wrapped.
fn block(group: Group, bindings: &[&Binding], looks: Looks, width: u16, keys_width: usize) -> Vec<Line> {
    let mut lines = vec![Line::Title(group.name())];
    for binding in bindings {
        let room = usize::from(width).saturating_sub(keys_width + 8).max(16);
        for (index, text) in textwrap::wrap(binding.help, room).into_iter().enumerate() {
            lines.push(Line::Key(if index == 0 { keys_of(binding, looks) } else { String::new() }, text.into_owned()));
        }
    }
    lines.push(Line::Blank);
    lines
}

/// Returns the meaning of all signs.
fn legend(looks: Looks) -> Vec<Line> {
    vec![
        Line::Title("Signs"),
        Line::Sign(looks.drawn("▸", ">"), "the playhead, in the list", Role::Text),
        Line::Sign(looks.drawn("▲ ╎", "^ |"), "the playhead, in the scrubber", Role::Text),
        Line::Sign(looks.drawn("◆ ├┤", "* ||"), "your marks, your range of time", Role::Mine),
        Line::Sign(looks.drawn("┄ 5h ┄", "- 5h -"), "no event for this long", Role::Aside),
        Line::Sign(looks.drawn("▌ ▏", "! |"), "an error, a warning", Role::Bad),
        Line::Sign(looks.drawn("█", "#"), "events, or those that match", Role::Match),
        Line::Sign(looks.drawn("▒", ":"), "a mean of the index, or a bar that still grows", Role::Aside),
        Line::Sign(looks.drawn("▐ ▌", "[ ]"), "the window, in the whole log", Role::Aside),
        Line::Text("Δ is the time since the event before."),
        Line::Text("LIVE: the newest event, and events come in. END: the"),
        Line::Text("newest event, older than a minute, and none came."),
    ]
}
