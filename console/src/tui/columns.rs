//! Rows of events as a table: which fields of the data become columns, and the text of a cell.
//!
//! [`fields()`] reads the fields of one event, and [`level()`] finds its severity. [`choose`] finds
//! the columns for many events, [`spans`] places them in a row, and [`cell`] fills them. Texts stay
//! as they were written: `1.10` is never `1.1`.

mod choice;
mod fields;
mod ids;
mod level;
mod level_fields;
mod words;

use std::{iter::repeat_n, ops::Range};

use hourlog::Event;

pub(crate) use choice::choose;
pub(crate) use fields::{Field, fields, find};
pub(crate) use level::{Level, level};
pub(crate) use level_fields::LevelFields;

/// Columns that the flexible column keeps, if its texts are that long.
const FLEXIBLE_WIDTH_MIN: usize = 16;

/// A column of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// Path of the field, such as `mag` or `user.name`.
    pub(crate) path: String,
    /// Name in the head: the last part of the path, or all of it if two fields share that part.
    pub(crate) name: String,
    /// Most texts are numbers. They are right-aligned.
    pub(crate) is_number: bool,
    /// Width that is enough for the name and for nine of ten texts, in columns of the terminal.
    pub(crate) width: usize,
    /// Most frequent number of digits after the point.
    pub(crate) decimals: usize,
    /// The column takes all room that is left. No more than one column does.
    pub(crate) is_flexible: bool,
    /// Share of the sampled events that have the field.
    pub(crate) presence_percent: u8,
    /// Number of different texts in the sample.
    pub(crate) distinct: usize,
    /// Smallest number in the sample, as written.
    pub(crate) least: Option<String>,
    /// Largest number in the sample, as written.
    pub(crate) most: Option<String>,
}

/// The fields of a sample of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Columns that fit into the room, in the order to show them.
    pub(crate) chosen: Vec<Column>,
    /// All other fields with more than one value, in the order of the data.
    pub(crate) others: Vec<Column>,
    /// Paths and values of the fields that are the same in all events.
    pub(crate) constant: Vec<(String, String)>,
}

/// Returns true for an event with the severity of an error.
pub(crate) fn is_error(event: &Event) -> bool {
    let data = &event.record.data;
    level(&fields(data), data) == Some(Level::Error)
}

/// Returns the place of each column in a row that is `room` wide. A column that does not fit has an
/// empty place.
///
/// Two blanks separate the columns; one does if the flexible column would be cramped.
pub(crate) fn spans(columns: &[Column], room: usize) -> Vec<Range<usize>> {
    let flexible = columns.iter().position(|column| column.is_flexible);
    let flexible_width = flexible.map_or(0, |index| columns[index].width);
    let is_fixed = |index: usize| flexible != Some(index);
    let fixed_width: usize =
        (0..columns.len()).filter(|index| is_fixed(*index)).map(|index| columns[index].width).sum();
    let blanks = 2 * columns.len().saturating_sub(1);
    let gap = if fixed_width + blanks + flexible_width.min(comfortable_width(room)) <= room { 2 } else { 1 };

    let kept = flexible.map_or(0, |_| gap + flexible_width.min(FLEXIBLE_WIDTH_MIN));
    let mut widths = vec![0; columns.len()];
    let mut taken = 0;
    for index in (0..columns.len()).filter(|index| is_fixed(*index)) {
        let width = columns[index].width;
        if taken + width + kept <= room {
            widths[index] = width;
            taken += width + gap;
        }
    }
    if let Some(index) = flexible {
        widths[index] = room.saturating_sub(taken);
    }

    let mut start = 0;
    let mut spans = Vec::with_capacity(columns.len());
    for width in widths {
        spans.push(start..start + width);
        start += if width > 0 { width + gap } else { 0 };
    }
    spans
}

/// Returns a text as wide as `width` columns. `ellipsis` ends a text that is cut off.
///
/// Numbers are right-aligned, with blanks for the decimals that they do not have. Control
/// characters are shown as blanks. The caller sanitizes the rest.
pub(crate) fn cell(column: &Column, text: &str, width: usize, ellipsis: char) -> String {
    let (kept, is_cut) = fitting(text, width);
    let mut shown = String::with_capacity(2 * width);
    if is_cut {
        let mut encoded = [0; 4];
        let ellipsis = ellipsis.encode_utf8(&mut encoded);
        let (kept, _) = fitting(text, width.saturating_sub(self::width(ellipsis)));
        push_line(&mut shown, kept);
        push_line(&mut shown, fitting(ellipsis, width).0);
    } else {
        if column.is_number {
            let free = width - self::width(kept);
            // Points are aligned where there is room for it.
            let after = missing_decimals(kept, column.decimals);
            shown.extend(repeat_n(' ', if after <= free { free - after } else { free }));
        }
        push_line(&mut shown, kept);
    }
    let free = width.saturating_sub(self::width(&shown));
    shown.extend(repeat_n(' ', free));
    shown
}

/// Returns the width that a long text keeps in a row that is not dense.
fn comfortable_width(room: usize) -> usize {
    (room / 2).max(FLEXIBLE_WIDTH_MIN)
}

/// Returns the width of a text on the screen, in columns.
fn width(text: &str) -> usize {
    text.chars().count()
}

/// Returns the beginning of a text that fits into `width` columns, and true if that cuts it.
fn fitting(text: &str, width: usize) -> (&str, bool) {
    let mut left = width;
    for (at, letter) in text.char_indices() {
        match left.checked_sub(self::width(&text[at..at + letter.len_utf8()])) {
            Some(after) => left = after,
            None => return (&text[..at], true),
        }
    }
    (text, false)
}

/// Returns the number of blanks after a number that align its point with those of numbers with this
/// many decimals.
fn missing_decimals(text: &str, decimals: usize) -> usize {
    match fields::decimals(text) {
        Some(0) if decimals > 0 => decimals + 1,
        Some(own) => decimals.saturating_sub(own),
        None => 0,
    }
}

/// Adds a text without its line breaks and other control characters.
fn push_line(line: &mut String, text: &str) {
    line.extend(text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, width: usize) -> Column {
        Column {
            path: name.to_owned(),
            name: name.to_owned(),
            is_number: false,
            width,
            decimals: 0,
            is_flexible: false,
            presence_percent: 100,
            distinct: 2,
            least: None,
            most: None,
        }
    }

    #[test]
    fn a_cell_is_as_wide_as_asked_and_keeps_the_text_as_written() {
        let text = column("name", 8);
        let number = Column { is_number: true, decimals: 2, ..column("depth_km", 8) };
        for (column, value, width, expected) in [
            (&text, "abc", 5, "abc  "),
            (&text, "abcde", 5, "abcde"),
            (&text, "abcdef", 5, "abcd…"),
            (&text, "abcdef", 1, "…"),
            (&text, "abcdef", 0, ""),
            (&text, "", 3, "   "),
            (&text, "a\nb\tc", 6, "a b c "),
            (&text, "größer als", 7, "größer…"),
            (&text, "1.5", 5, "1.5  "),
            (&number, "1.10", 8, "    1.10"),
            (&number, "10", 8, "   10   "),
            (&number, "-2.5", 8, "   -2.5 "),
            (&number, "3.125", 8, "   3.125"),
            (&number, "1e5", 8, "     1e5"),
            (&number, "123456", 8, "  123456"),
            (&number, "1234567890", 8, "1234567…"),
            (&number, "-", 8, "       -"),
            (&number, "depth_km", 8, "depth_km"),
            (&number, "", 3, "   "),
        ] {
            assert_eq!(cell(column, value, width, '…'), expected, "{value:?} in {width}");
        }
        assert_eq!(cell(&text, "abcdef", 5, '~'), "abcd~");
    }

    #[test]
    fn columns_are_apart_and_the_flexible_one_takes_the_rest() {
        let flexible = |name: &str, width: usize| Column { is_flexible: true, ..column(name, width) };
        let table = [column("level", 5), column("status", 6), flexible("msg", 30)];
        for (columns, room, expected) in [
            (&table[..], 45, &[0..5, 7..13, 15..45][..]),
            (&table, 200, &[0..5, 7..13, 15..200]),
            (&table, 30, &[0..5, 6..12, 13..30]),
            (&table, 28, &[0..5, 6..6, 6..28]),
            (&table, 10, &[0..0, 0..0, 0..10]),
            (&table, 0, &[0..0, 0..0, 0..0]),
            (&table[..2], 40, &[0..5, 7..13]),
            (&table[..2], 12, &[0..5, 6..12]),
            (&table[..2], 11, &[0..5, 6..6]),
            (&[flexible("msg", 30), column("status", 6)], 30, &[0..22, 24..30]),
            (&[], 30, &[]),
        ] {
            assert_eq!(spans(columns, room), expected, "{room}");
        }
    }
}
