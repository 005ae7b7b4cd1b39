//! Tables for people: columns as wide as their cells, two spaces apart. On a terminal that is too narrow
//! for them, they are shortened by fixed rules.
//!
//! In this order, as far as necessary: columns without a value are left out; times lose their fraction of a
//! second; columns that the table can do without are left out; ids are cut in the middle, and text is broken
//! into lines. Numbers and times are never cut.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A column: its name, which is also the JSON field, and its alignment.
#[derive(Debug, Clone, Copy)]
pub struct TableColumn(pub &'static str, pub Align);

/// Alignment of a column, and how it is shortened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// For short text, which is never cut.
    Left,
    /// For numbers.
    Right,
    /// For times. The header of the first such column names their zone.
    Time,
    /// For ids, which are cut in the middle: both ends tell them apart.
    Id,
    /// For sentences, which are broken into lines.
    Text,
}

/// Space between two columns.
const GAP: usize = 2;
/// Width down to which ids are cut, before a column is left out.
const ID_WIDTH_MIN: usize = 20;
/// Width down to which sentences are broken, before a column is left out.
const TEXT_WIDTH_MIN: usize = 24;
/// Length of a time that the clocks show once.
pub(super) const TIME_LENGTH: usize = "2018-02-04 21:56:42.123".len();
/// Length of a time up to the second.
const SECONDS_LENGTH: usize = "2018-02-04 21:56:42".len();

/// A table that is being laid out.
pub(super) struct Grid<'a> {
    columns: Vec<TableColumn>,
    rows: Vec<Vec<String>>,
    /// The name of the time zone.
    zone: &'a str,
}

impl<'a> Grid<'a> {
    pub(super) fn new(columns: &[TableColumn], rows: Vec<Vec<String>>, zone: &'a str) -> Self {
        Self { columns: columns.to_vec(), rows, zone }
    }

    /// Returns the table as text, at its natural width.
    pub(super) fn whole(&self) -> String {
        self.draw(&self.widths())
    }

    /// Returns the table as text that fits into `room`, and the columns of `optional` that are left out for it.
    pub(super) fn fitted(mut self, room: usize, optional: &[&'static str]) -> (String, Vec<&'static str>) {
        if total(&self.widths()) <= room {
            return (self.whole(), Vec::new());
        }
        self.leave_out_empty();
        self.shorten_times(room);
        let mut left_out = Vec::new();
        for name in optional {
            if total(&self.widths_min()) <= room {
                break;
            }
            if let Some(at) = self.columns.iter().position(|column| column.0 == *name) {
                self.leave_out(at);
                left_out.push(*name);
            }
        }
        let widths = self.narrowed(room);
        for row in &mut self.rows {
            for ((cell, column), width) in row.iter_mut().zip(&self.columns).zip(&widths) {
                if column.1 == Align::Id {
                    *cell = cut_in_the_middle(cell, *width);
                }
            }
        }
        (self.draw(&widths), left_out)
    }

    fn leave_out(&mut self, at: usize) {
        self.columns.remove(at);
        for row in &mut self.rows {
            row.remove(at);
        }
    }

    /// Leaves out columns in which no row has a value, but never the first one.
    fn leave_out_empty(&mut self) {
        for at in (1..self.columns.len()).rev() {
            if self.rows.iter().all(|row| matches!(row[at].as_str(), "" | "-")) {
                self.leave_out(at);
            }
        }
    }

    /// Shows times to the second, and only the last part of the zone's name.
    fn shorten_times(&mut self, room: usize) {
        if total(&self.widths_min()) <= room {
            return;
        }
        self.zone = self.zone.rsplit('/').next().unwrap_or(self.zone);
        for row in &mut self.rows {
            for (cell, column) in row.iter_mut().zip(&self.columns) {
                let fraction = SECONDS_LENGTH..TIME_LENGTH;
                if column.1 == Align::Time && cell.get(fraction.clone()).is_some_and(|text| text.starts_with('.')) {
                    cell.replace_range(fraction, "");
                }
            }
        }
    }

    fn names(&self) -> Vec<String> {
        let timed = self.columns.iter().position(|column| column.1 == Align::Time);
        let name = |(at, column): (usize, &TableColumn)| match column.0.to_uppercase() {
            name if Some(at) == timed => format!("{name} ({})", self.zone),
            name => name,
        };
        self.columns.iter().enumerate().map(name).collect()
    }

    /// Returns the widths of the widest cells.
    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.names().iter().map(|name| name.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        widths
    }

    /// Returns the widths down to which the columns can be narrowed.
    fn widths_min(&self) -> Vec<usize> {
        let min = |(column, width): (&TableColumn, usize)| width_min(column.1).map_or(width, |min| width.min(min));
        self.columns.iter().zip(self.widths()).map(min).collect()
    }

    /// Returns widths that fit into `room`, if that is possible: the widest column is narrowed first.
    fn narrowed(&self, room: usize) -> Vec<usize> {
        let (mut widths, widths_min) = (self.widths(), self.widths_min());
        while total(&widths) > room {
            let narrowable = (0..widths.len()).filter(|at| widths[*at] > widths_min[*at]);
            let Some(widest) = narrowable.max_by_key(|at| widths[*at]) else { break };
            widths[widest] -= 1;
        }
        widths
    }

    fn draw(&self, widths: &[usize]) -> String {
        let names = self.names();
        let mut out = String::new();
        for row in std::iter::once(&names).chain(&self.rows) {
            let lines_of = |((cell, column), width): ((&String, &TableColumn), &usize)| match column.1 {
                Align::Text => wrapped(cell, *width),
                _ => vec![cell.clone()],
            };
            let cells: Vec<Vec<String>> = row.iter().zip(&self.columns).zip(widths).map(lines_of).collect();
            for line in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
                let mut text = String::new();
                for ((lines, column), width) in cells.iter().zip(&self.columns).zip(widths) {
                    let cell = lines.get(line).map_or("", String::as_str);
                    let padding = " ".repeat(width.saturating_sub(cell.width()));
                    match column.1 {
                        Align::Right => text.push_str(&format!("{padding}{cell}")),
                        _ => text.push_str(&format!("{cell}{padding}")),
                    }
                    text.push_str(&" ".repeat(GAP));
                }
                out.push_str(text.trim_end());
                out.push('\n');
            }
        }
        out
    }
}

fn width_min(align: Align) -> Option<usize> {
    match align {
        Align::Left | Align::Right | Align::Time => None,
        Align::Id => Some(ID_WIDTH_MIN),
        Align::Text => Some(TEXT_WIDTH_MIN),
    }
}

/// Returns the width of a table with columns of these widths.
fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

/// Cuts `text` to `width`, with `…` in the middle. The end, which tells ids apart more often, gets the odd
/// column.
pub(super) fn cut_in_the_middle(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    let start: String = taken(text.chars(), room / 2).collect();
    let mut end: Vec<char> = taken(text.chars().rev(), room - room / 2).collect();
    end.reverse();
    format!("{start}…{}", String::from_iter(end))
}

/// Returns as many characters as fit into `width`.
fn taken(characters: impl Iterator<Item = char>, width: usize) -> impl Iterator<Item = char> {
    let mut used = 0;
    characters.take_while(move |character| {
        used += character.width().unwrap_or(0);
        used <= width
    })
}

/// Breaks `text` into lines of at most `width`, between words where that is possible.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    textwrap::wrap(text, width).into_iter().map(Cow::into_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGS: [TableColumn; 6] = [
        TableColumn("log", Align::Id),
        TableColumn("events", Align::Right),
        TableColumn("first", Align::Time),
        TableColumn("last", Align::Time),
        TableColumn("ahead", Align::Right),
        TableColumn("kept", Align::Left),
    ];

    fn row(id: &str, events: &str) -> Vec<String> {
        let time = "2026-11-26 18:42:39.123";
        [id, events, time, time, "-", "forever"].map(str::to_owned).to_vec()
    }

    fn fitted(rows: Vec<Vec<String>>, room: usize) -> (String, Vec<&'static str>) {
        Grid::new(&LOGS, rows, "Europe/Oslo").fitted(room, &["first", "kept"])
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let columns = [TableColumn("log", Align::Id), TableColumn("events", Align::Right)];
        let cells = [vec!["orders.日本".to_owned(), "7".to_owned()], vec!["a".to_owned(), "1,707".to_owned()]];
        let text = Grid::new(&columns, cells.to_vec(), "UTC").whole();
        assert_eq!(text, "LOG          EVENTS\norders.日本       7\na             1,707\n");
    }

    #[test]
    fn the_first_time_names_the_zone() {
        let text = Grid::new(&LOGS, vec![row("a", "7")], "Europe/Oslo").whole();
        let header = "LOG  EVENTS  FIRST (Europe/Oslo)      LAST                     AHEAD  KEPT\n";
        assert!(text.starts_with(header), "{text}");
    }

    #[test]
    fn a_narrow_terminal_gets_less_in_a_fixed_order() {
        let rows = || vec![row("a", "7")];
        let header = |room| fitted(rows(), room).0.lines().next().unwrap_or_default().to_owned();
        assert_eq!(header(79), "LOG  EVENTS  FIRST (Europe/Oslo)      LAST                     AHEAD  KEPT");
        assert_eq!(header(74), "LOG  EVENTS  FIRST (Europe/Oslo)      LAST                     KEPT");
        assert_eq!(header(66), "LOG  EVENTS  FIRST (Oslo)         LAST                 KEPT");
        assert_eq!(header(50), "LOG  EVENTS  LAST (Oslo)          KEPT");
        assert_eq!(fitted(rows(), 36).1, ["first", "kept"]);
        assert!(fitted(rows(), 36).0.ends_with("\na         7  2026-11-26 18:42:39\n"));
    }

    #[test]
    fn tables_fit_eighty_columns_whatever_is_in_them() {
        let long = "devices.".repeat(20) + "sensor.temperature";
        let wide = "注文.".repeat(30) + "日本";
        for id in ["a", &long, &wide] {
            for events in ["7", "999,999,999,999,999"] {
                let (text, _) = fitted(vec![row(id, events), row("b", "1")], 80);
                assert!(text.lines().all(|line| line.width() <= 80), "{text}");
                assert!(text.contains(events) && text.contains("2026-11-26 18:42:39"), "{text}");
            }
        }
    }

    #[test]
    fn ids_are_cut_in_the_middle() {
        for (text, width, expected) in [
            ("orders.eu", 9, "orders.eu"),
            ("orders.eu.west", 9, "orde…west"),
            ("orders.eu.west", 10, "orde….west"),
            ("注文.日本.大阪", 9, "注文…大阪"),
            ("orders", 1, "…"),
        ] {
            assert_eq!(cut_in_the_middle(text, width), expected);
        }
    }

    #[test]
    fn sentences_are_broken_into_lines() {
        let columns = [TableColumn("check", Align::Left), TableColumn("found", Align::Text)];
        let row = ["clocks", "the clock of this machine is far behind"].map(str::to_owned).to_vec();
        let (text, left_out) = Grid::new(&columns, vec![row], "UTC").fitted(32, &[]);
        assert_eq!(text, "CHECK   FOUND\nclocks  the clock of this\n        machine is far behind\n");
        assert!(left_out.is_empty());
        assert_eq!(wrapped("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrapped("日本語", 1), ["日", "本", "語"]);
    }
}
