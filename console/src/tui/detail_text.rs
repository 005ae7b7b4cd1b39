//! The text of one event, in rows. Scrolling counts the rows that drawing shows.

use std::{collections::BTreeSet, fmt::Write};

use hourlog::Event;
use jiff::tz::TimeZone;
use serde::de::IgnoredAny;
use textwrap::{WordSplitter, wrap};

use crate::{
    output::{counted, human_count},
    sanitize::{sanitize, sanitize_byte_lines},
    tui::{
        changes::{self, Change},
        layout,
        pretty::{Ink, pretty_lines},
        state::{DetailTab, Log, State},
    },
    when,
};

/// Limit of the shown data; the command line shows all of it.
const BYTES_MAX: usize = 1 << 20;
/// Limit of the indentation. Deeper text is shown at it.
const INDENT_MAX: usize = 40;
/// Width from which the hex tab shows 16 bytes in a row.
const WIDE_HEX_COLUMNS: u16 = 76;
/// Width of the names of headers.
const HEADER_NAME_COLUMNS: usize = 14;

/// A row of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DetailRow {
    /// The text, from left to right.
    pub(crate) runs: Vec<Run>,
    /// A line fills the rest of the row.
    pub(crate) is_rule: bool,
    /// Number of the line of JSON that it is a part of.
    pub(crate) line: Option<usize>,
}

/// A text of one style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) ink: Ink,
    pub(crate) text: String,
}

impl DetailRow {
    fn of(ink: Ink, text: impl Into<String>) -> Self {
        Self { runs: vec![Run { ink, text: text.into() }], ..Self::default() }
    }
}

/// Returns the rows of an event's text, as `log` shows it in a detail with this many columns.
pub(crate) fn rows<'a>(
    log: &Log,
    event: &'a Event,
    zone: &TimeZone,
    columns: u16,
) -> Box<dyn Iterator<Item = DetailRow> + 'a> {
    let shown = &event.record.data[..event.record.data.len().min(BYTES_MAX)];
    let width = log.detail.wraps.then_some(usize::from(columns.max(1)));
    let text: Box<dyn Iterator<Item = DetailRow> + 'a> = match log.detail.tab {
        DetailTab::Pretty => match json(event, shown) {
            Some(json) => Box::new(pretty(json, &log.detail.folded).flat_map(move |row| broken(row, width))),
            None => plain(shown, width),
        },
        DetailTab::Raw => plain(shown, width),
        DetailTab::Changes => Box::new(changed(log, event).into_iter().flat_map(move |row| broken(row, width))),
        DetailTab::Hex => Box::new(hex(shown, if columns >= WIDE_HEX_COLUMNS { 16 } else { 8 })),
    };
    let hidden = event.record.data.len() - shown.len();
    let note = format!("{} more bytes; hourlog read shows them", human_count(hidden as u64));
    let note = (hidden > 0).then(|| DetailRow::of(Ink::Punctuation, note));
    Box::new(text.chain(note).chain(headers(event, zone, width)))
}

/// Returns how far the detail is scrolled down, `by` rows further than it is, or to its end. Reads no more of the text than
/// that takes.
pub(crate) fn scrolled_down(state: &State, by: usize) -> usize {
    let Some((log, event)) = state.log.as_ref().and_then(|log| Some((log, log.detail_event()?))) else { return 0 };
    let area = layout::log_areas(log, state.size).detail;
    if area.width == 0 {
        // The detail is hidden, so there is nothing to scroll.
        return 0;
    }
    // The tabs take the first row.
    let (height, wanted) = (usize::from(area.height.saturating_sub(1)), log.detail_scroll() + by);
    let rows = rows(log, event, state.shown_zone(), area.width).take(wanted + height).count();
    rows.saturating_sub(height).min(wanted)
}

/// Returns the JSON that is shown with lines of values.
pub(crate) fn shown_json<'a>(log: &Log, event: &'a Event) -> Option<&'a str> {
    let shown = &event.record.data[..event.record.data.len().min(BYTES_MAX)];
    (log.detail.tab == DetailTab::Pretty).then(|| json(event, shown)).flatten()
}

/// Returns the shown part of JSON.
fn json<'a>(event: &Event, shown: &'a [u8]) -> Option<&'a str> {
    let is_json = serde_json::from_slice::<IgnoredAny>(&event.record.data).is_ok();
    let text = shown.utf8_chunks().next().filter(|_| is_json)?.valid();
    // A number alone is not worth a form of its own.
    text.trim_start().starts_with(['{', '[', '"']).then_some(text)
}

fn pretty<'a>(json: &'a str, folded: &BTreeSet<String>) -> impl Iterator<Item = DetailRow> + use<'a> {
    let folded = folded.clone();
    let lines = pretty_lines(json, move |path| folded.contains(path));
    lines.enumerate().map(|(number, line)| {
        let indent = Run { ink: Ink::Text, text: " ".repeat(line.indent.min(INDENT_MAX)) };
        let parts = line.parts.into_iter().map(|part| Run { ink: part.ink, text: sanitize(&part.text).into_owned() });
        let runs = std::iter::once(indent).chain(parts).collect();
        DetailRow { runs, line: Some(number), is_rule: false }
    })
}

/// Returns the differences from the event before.
fn changed(log: &Log, event: &Event) -> Vec<DetailRow> {
    let Some(before) = log.event_before(event) else {
        return vec![DetailRow::of(Ink::Punctuation, "no event before this one is loaded")];
    };
    let shown = |event: &'_ Event| event.record.data[..event.record.data.len().min(BYTES_MAX)].to_vec();
    let (old, new) = (shown(before), shown(event));
    let changes = match (json(before, &old), json(event, &new)) {
        (Some(old), Some(new)) => changes::of_json(old, new),
        _ => changes::of_lines(&sanitize_byte_lines(&old), &sanitize_byte_lines(&new)),
    };
    let text = |text: &str| sanitize(text).into_owned();
    let mut rows: Vec<DetailRow> = Vec::new();
    for value in changes.values {
        let (sign, ink) = match value.change {
            Change::Changed => ("~ ", Ink::Changed),
            Change::New => ("+ ", Ink::Number),
            Change::Gone => ("- ", Ink::Punctuation),
        };
        let mut runs = vec![Run { ink, text: sign.to_owned() }];
        if !value.path.is_empty() {
            runs.push(Run { ink: Ink::Key, text: format!("{}: ", text(&value.path)) });
        }
        if let Some(before) = &value.before {
            runs.push(Run { ink: Ink::Punctuation, text: text(before) });
        }
        if value.before.is_some() && value.now.is_some() {
            runs.push(Run { ink: Ink::Punctuation, text: " > ".to_owned() });
        }
        if let Some(now) = &value.now {
            runs.push(Run { ink: Ink::Text, text: text(now) });
        }
        rows.push(DetailRow { runs, ..DetailRow::default() });
    }
    let same = match (rows.is_empty(), changes.equal) {
        (true, _) => "the same data as the event before".to_owned(),
        (false, equal) => format!("{} the same", counted(equal as u64, "other value")),
    };
    rows.push(DetailRow::of(Ink::Punctuation, same));
    rows
}

/// Breaks a row of JSON: a text goes on below its own beginning.
fn broken(row: DetailRow, width: Option<usize>) -> Vec<DetailRow> {
    let Some(width) = width else { return vec![row] };
    let columns = |text: &str| crate::tui::view::width(text);
    let whole: usize = row.runs.iter().map(|run| columns(&run.text)).sum();
    if whole <= width {
        return vec![row];
    }
    // The last run but the comma is the value.
    let before: usize = row
        .runs
        .iter()
        .take_while(|run| run.ink != Ink::Text || run.text.trim().is_empty())
        .map(|run| columns(&run.text))
        .sum();
    let hang = if before + 8 <= width { before } else { 0 };
    let begun = DetailRow { line: row.line, ..DetailRow::default() };
    let (mut rows, mut current, mut at) = (Vec::new(), begun.clone(), 0);
    for run in row.runs {
        let mut text = String::new();
        // A comma stays with the letter before it.
        if run.text == ","
            && at == width
            && let Some(last) = current.runs.last_mut().and_then(|last| last.text.pop())
        {
            rows.push(std::mem::replace(&mut current, begun.clone()));
            current.runs.push(Run { ink: Ink::Text, text: format!("{}{last}", " ".repeat(hang)) });
            at = hang + columns(last.encode_utf8(&mut [0; 4]));
        }
        for letter in run.text.chars() {
            let letter_width = columns(letter.encode_utf8(&mut [0; 4]));
            if at + letter_width > width {
                current.runs.push(Run { ink: run.ink, text: std::mem::take(&mut text) });
                rows.push(std::mem::replace(&mut current, begun.clone()));
                current.runs.push(Run { ink: Ink::Text, text: " ".repeat(hang) });
                at = hang;
            }
            text.push(letter);
            at += letter_width;
        }
        current.runs.push(Run { ink: run.ink, text });
    }
    rows.push(current);
    rows
}

/// Returns data as text.
fn plain(data: &[u8], width: Option<usize>) -> Box<dyn Iterator<Item = DetailRow>> {
    let text = sanitize_byte_lines(data).into_owned();
    let rows = wrapped(&text, width);
    Box::new(rows.into_iter().map(|row| DetailRow::of(Ink::Text, row)))
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

fn hex(bytes: &[u8], columns: usize) -> impl Iterator<Item = DetailRow> {
    bytes.chunks(columns).enumerate().map(move |(row, chunk)| {
        let mut codes = String::new();
        for byte in chunk {
            let _ = write!(codes, " {byte:02x}");
        }
        let letters: String =
            chunk.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect();
        let address = Run { ink: Ink::Punctuation, text: format!("{:06x} ", row * columns) };
        let codes = Run { ink: Ink::Text, text: format!("{codes:width$}", width = 3 * columns + 2) };
        DetailRow { runs: vec![address, codes, Run { ink: Ink::Text, text: letters }], ..DetailRow::default() }
    })
}

/// Returns the metadata, and what the log knows of the event.
fn headers(event: &Event, zone: &TimeZone, width: Option<usize>) -> Vec<DetailRow> {
    let mut rows =
        vec![DetailRow::default(), DetailRow { is_rule: true, ..DetailRow::of(Ink::Punctuation, " headers") }];
    let metadata =
        event.record.metadata.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value.clone())));
    let known = [
        ("time", Some(when::show_with_zone(event.position.offset, zone))),
        ("position", Some(event.position.to_string())),
        ("arrived", event.arrived.map(|arrived| when::show_with_zone(arrived, zone))),
        ("log", Some(event.log.to_string())),
    ];
    let known = known.into_iter().filter_map(|(name, value)| Some((name, value?)));
    for (name, value) in metadata.chain(known) {
        let (name, value) = (sanitize(name).into_owned(), sanitize(&value).into_owned());
        let name = format!(" {name:HEADER_NAME_COLUMNS$} ");
        let row = DetailRow {
            runs: vec![Run { ink: Ink::Key, text: name }, Run { ink: Ink::Text, text: value }],
            ..DetailRow::default()
        };
        rows.extend(broken(row, width));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(row: &DetailRow) -> String {
        row.runs.iter().map(|run| run.text.as_str()).collect()
    }

    #[test]
    fn hex_shows_the_address_and_the_letters_of_bytes() {
        let rows: Vec<String> = hex(b"a\x00\xff\x1bbcdefgh", 8).map(|row| text(&row)).collect();
        assert_eq!(rows, ["000000  61 00 ff 1b 62 63 64 65  a...bcde", "000008  66 67 68                 fgh"]);
    }

    #[test]
    fn rows_fit_the_width_and_lose_no_text() {
        let long = "  \"indented\": 1,\n\na-long-word-without-a-blank 日本語日本語\tend";
        for width in [1, 2, 5, 9, 40] {
            let rows = wrapped(long, Some(width));
            let widest = rows.iter().map(|row| textwrap::core::display_width(row)).max();
            // A wide character does not fit into one column.
            assert!(widest <= Some(width.max(2)), "{rows:?}");
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(letters(&rows.concat()), letters(long), "{width}");
        }
        assert_eq!(wrapped(long, None).len(), 3);
        assert_eq!(wrapped("  \"a\": 1", Some(40)), ["  \"a\": 1"]);
    }

    #[test]
    fn a_long_text_of_json_goes_on_below_its_beginning() {
        let json = r#"{"url":"https://earthquake.example/events/us1000chhc"}"#;
        let rows: Vec<String> =
            pretty(json, &BTreeSet::new()).flat_map(|row| broken(row, Some(30))).map(|row| text(&row)).collect();
        assert_eq!(
            rows,
            ["{", "  \"url\": \"https://earthquake.e", "         xample/events/us1000c", "         hhc\"", "}"]
        );
    }
}
