//! One event: as text by its parts, as it came, as bytes, or what stands beside its data.

use std::fmt::Write;

use hourlog::Event;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::{Paragraph, Wrap},
};

use crate::{
    output::human_count,
    sanitize::{sanitize, sanitize_byte_lines, sanitize_lines},
    tui::{
        layout,
        state::{Log, State, Tab},
    },
    when,
};

use super::Looks;

/// The most bytes of an event's data that are shown; the command line has all of them.
const BYTES_MAX: usize = 64 << 10;

pub(super) fn draw(state: &State, log: &Log, looks: Looks, frame: &mut Frame<'_>, area: Rect) {
    let [head, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let tabs = Tab::ALL.iter().flat_map(|tab| {
        let style = if *tab == log.tab { Looks::cursor() } else { looks.aside() };
        [Span::styled(format!(" {} ", name(*tab)), style), Span::raw(" ")]
    });
    frame.render_widget(Line::from(tabs.collect::<Vec<_>>()), head);
    let Some(event) = log.event() else { return };
    let text = text(state, log, event, looks, body);
    let down = u16::try_from(log.down()).unwrap_or(u16::MAX);
    let sideways = if log.wraps { 0 } else { u16::try_from(log.sideways).unwrap_or(u16::MAX) };
    frame.render_widget(text.scroll((down, sideways)), body);
}

/// The most rows that can be passed over of the text of the event under the cursor, so that its end is seen.
pub(crate) fn down_max(state: &State) -> usize {
    let (columns, rows) = state.size;
    let Some((log, event)) = state.log.as_ref().and_then(|log| Some((log, log.event()?))) else { return 0 };
    let area = layout::parts(log, layout::frame(Rect::new(0, 0, columns, rows)).body).detail;
    // How it looks does not matter to how long it is.
    text(state, log, event, Looks { mono: true, ascii: true }, area)
        .line_count(area.width)
        // The first row has the tabs.
        .saturating_sub(usize::from(area.height.saturating_sub(1)))
}

fn text(state: &State, log: &Log, event: &Event, looks: Looks, body: Rect) -> Paragraph<'static> {
    let text = match log.tab {
        Tab::Pretty => pretty(event),
        Tab::Raw => sanitize_byte_lines(shown(event)).into_owned(),
        Tab::Hex => hex(shown(event), if body.width >= 76 { 16 } else { 8 }),
        Tab::Headers => headers(state, event),
    };
    let mut lines: Vec<Line<'static>> = text.lines().map(|line| Line::from(line.replace('\t', "    "))).collect();
    let left = event.record.data.len().saturating_sub(BYTES_MAX);
    if left > 0 && log.tab != Tab::Headers {
        let left = format!("{} more bytes; hourlog read shows them", human_count(left as u64));
        lines.push(Line::styled(left, looks.aside()));
    }
    let text = Paragraph::new(lines);
    if log.wraps { text.wrap(Wrap { trim: false }) } else { text }
}

fn name(tab: Tab) -> &'static str {
    match tab {
        Tab::Pretty => "Pretty",
        Tab::Raw => "Raw",
        Tab::Hex => "Hex",
        Tab::Headers => "Headers",
    }
}

fn shown(event: &Event) -> &[u8] {
    &event.record.data[..event.record.data.len().min(BYTES_MAX)]
}

/// JSON with a line for each of its parts; anything else as it came.
fn pretty(event: &Event) -> String {
    let data = &event.record.data[..];
    let json = (data.len() <= BYTES_MAX).then(|| serde_json::from_slice::<serde_json::Value>(data).ok()).flatten();
    match json.and_then(|json| serde_json::to_string_pretty(&json).ok()) {
        Some(text) => sanitize_lines(&text).into_owned(),
        None => sanitize_byte_lines(shown(event)).into_owned(),
    }
}

fn hex(bytes: &[u8], columns: usize) -> String {
    let mut text = String::new();
    for (row, some) in bytes.chunks(columns).enumerate() {
        let _ = write!(text, "{:06x} ", row * columns);
        for byte in some {
            let _ = write!(text, " {byte:02x}");
        }
        let _ = write!(text, "{:width$}", "", width = 3 * (columns - some.len()) + 2);
        text.extend(some.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }));
        text.push('\n');
    }
    text
}

fn headers(state: &State, event: &Event) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "time      {}", when::show_with_zone(event.position.offset, &state.zone));
    let _ = writeln!(text, "position  {}", event.position);
    if let Some(arrived) = event.arrived {
        let _ = writeln!(text, "arrived   {}", when::show_with_zone(arrived, &state.zone));
    }
    let _ = writeln!(text, "log       {}", event.log);
    let _ = writeln!(text, "data      {} bytes\n", human_count(event.record.data.len() as u64));
    for (name, values) in event.record.metadata.iter() {
        for value in values {
            let _ = writeln!(text, "{}: {}", sanitize(name), sanitize(value));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_their_place_and_their_letters() {
        let text = hex(b"a\x00\xff\x1bbcdefgh", 8);
        assert_eq!(text, "000000  61 00 ff 1b 62 63 64 65  a...bcde\n000008  66 67 68                 fgh\n");
    }
}
