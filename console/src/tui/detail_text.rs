//! The text of one event, in rows. Scrolling counts the rows that drawing shows.

use std::fmt::Write;

use hourlog::Event;
use jiff::tz::TimeZone;
use serde::de::IgnoredAny;
use textwrap::{WordSplitter, wrap};

use crate::{
    output::human_count,
    sanitize::{sanitize, sanitize_byte_lines, sanitize_lines},
    tui::{
        layout,
        pretty::indented,
        state::{DetailTab, Log, State},
    },
    when,
};

/// Limit of the shown data; the command line shows all of it.
const BYTES_MAX: usize = 64 << 10;
/// Width from which the hex tab shows 16 bytes in a row.
const WIDE_HEX_COLUMNS: u16 = 76;

/// The rows of an event's text, wrapped to the width of the detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DetailRows {
    /// The text.
    pub(crate) text: Vec<String>,
    /// A note below the text, if not all of the data is shown.
    pub(crate) note: Vec<String>,
}

/// Returns the rows of an event's text, as `log` shows it in a detail with this many columns.
pub(crate) fn rows(log: &Log, event: &Event, zone: &TimeZone, columns: u16) -> DetailRows {
    let tab = log.detail.tab;
    let text = match tab {
        DetailTab::Pretty => pretty(event),
        DetailTab::Raw => sanitize_byte_lines(shown_data(event)).into_owned(),
        DetailTab::Hex => hex(shown_data(event), if columns >= WIDE_HEX_COLUMNS { 16 } else { 8 }),
        DetailTab::Headers => headers(event, zone),
    };
    let hidden_bytes = event.record.data.len().saturating_sub(BYTES_MAX);
    let note = if hidden_bytes > 0 && tab != DetailTab::Headers {
        format!("{} more bytes; hourlog read shows them", human_count(hidden_bytes as u64))
    } else {
        String::new()
    };
    let width = log.detail.wraps.then_some(usize::from(columns));
    DetailRows { text: wrapped(&text, width), note: wrapped(&note, width) }
}

/// Returns how far the detail of the event under the cursor can be scrolled down before its end is
/// on the screen.
pub(crate) fn scroll_max(state: &State) -> usize {
    let Some((log, event)) = state.log.as_ref().and_then(|log| Some((log, log.cursor_event()?))) else { return 0 };
    let area = layout::log_areas(log, layout::body(state.size)).detail;
    if area.width == 0 {
        // The detail is hidden, so there is nothing to scroll.
        return 0;
    }
    let rows = rows(log, event, state.shown_zone(), area.width);
    // The tabs take the first row.
    (rows.text.len() + rows.note.len()).saturating_sub(usize::from(area.height.saturating_sub(1)))
}

/// Returns the rows of a text, with long lines wrapped at blanks if there is a width.
fn wrapped(text: &str, width: Option<usize>) -> Vec<String> {
    // Tabs have no width of their own on the screen.
    let lines = text.lines().map(|line| line.replace('\t', "    "));
    match width {
        None => lines.collect(),
        Some(width) => {
            let options = textwrap::Options::new(width.max(1)).word_splitter(WordSplitter::NoHyphenation);
            lines.flat_map(|line| wrap(&line, &options).into_iter().map(String::from).collect::<Vec<_>>()).collect()
        }
    }
}

fn shown_data(event: &Event) -> &[u8] {
    &event.record.data[..event.record.data.len().min(BYTES_MAX)]
}

/// Returns JSON indented, and other data as text.
fn pretty(event: &Event) -> String {
    let is_json = serde_json::from_slice::<IgnoredAny>(&event.record.data).is_ok();
    let shown = shown_data(event);
    match shown.utf8_chunks().next().filter(|_| is_json) {
        Some(text) => sanitize_lines(&indented(text.valid())).into_owned(),
        None => sanitize_byte_lines(shown).into_owned(),
    }
}

fn hex(bytes: &[u8], columns: usize) -> String {
    let mut text = String::new();
    for (row, chunk) in bytes.chunks(columns).enumerate() {
        let _ = write!(text, "{:06x} ", row * columns);
        for byte in chunk {
            let _ = write!(text, " {byte:02x}");
        }
        let _ = write!(text, "{:width$}", "", width = 3 * (columns - chunk.len()) + 2);
        text.extend(chunk.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }));
        text.push('\n');
    }
    text
}

fn headers(event: &Event, zone: &TimeZone) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "time      {}", when::show_with_zone(event.position.offset, zone));
    let _ = writeln!(text, "position  {}", event.position);
    if let Some(arrived) = event.arrived {
        let _ = writeln!(text, "arrived   {}", when::show_with_zone(arrived, zone));
    }
    let _ = writeln!(text, "log       {}", sanitize(event.log.as_str()));
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
    fn hex_shows_the_address_and_the_letters_of_bytes() {
        let text = hex(b"a\x00\xff\x1bbcdefgh", 8);
        assert_eq!(text, "000000  61 00 ff 1b 62 63 64 65  a...bcde\n000008  66 67 68                 fgh\n");
    }

    #[test]
    fn rows_fit_the_width_and_lose_no_text() {
        let text = "  \"indented\": 1,\n\na-long-word-without-a-blank 日本語日本語\tend";
        for width in [1, 2, 5, 9, 40] {
            let rows = wrapped(text, Some(width));
            let widest = rows.iter().map(|row| textwrap::core::display_width(row)).max();
            // A wide character does not fit into one column.
            assert!(widest <= Some(width.max(2)), "{rows:?}");
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(letters(&rows.concat()), letters(text), "{width}");
        }
        assert_eq!(wrapped(text, None).len(), 3);
        assert_eq!(wrapped("  \"a\": 1", Some(40)), ["  \"a\": 1"]);
    }
}
