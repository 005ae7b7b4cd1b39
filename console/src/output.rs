//! Output of a command: data to stdout in the chosen format, everything else to stderr.

mod columns;

use std::{
    io::{self, BufWriter, IsTerminal, Write},
    ops::Range,
    sync::{Mutex, PoisonError},
};

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::{
    exit::Failure,
    sanitize::{sanitize, sanitize_byte_lines, sanitize_lines},
};
use columns::Grid;
pub use columns::{Align, TableColumn};

/// Size of the stdout buffer. It is also flushed whenever a command waits for more data.
const BUFFER_BYTES: usize = 64 * 1024;
/// Width of the text of details on the narrowest terminal.
const DETAIL_COLUMNS_MIN: usize = 20;
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const STRIKING: &str = "\x1b[1;31m";
const PLAIN: &str = "\x1b[0m";

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns, with times in --tz
    Table,
    /// One JSON object per line
    Ndjson,
    /// One JSON array
    Json,
    /// Event data as it is, one event per line, or see read --delimiter; of a table, only the first column
    Raw,
    /// CSV with a header line
    Csv,
}

/// When to use colors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorMode {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The output of a command. A table is written at the end, when its column widths are known; other
/// formats stream.
#[derive(Debug)]
pub struct Output {
    format: Format,
    /// Stdout is a terminal, so untrusted text must be sanitized.
    terminal: bool,
    color: bool,
    color_stderr: bool,
    quiet: bool,
    /// The name of the time zone of tables.
    zone: String,
    stdout: Mutex<BufWriter<io::Stdout>>,
}

impl Output {
    /// Creates the output of this process. The default format is a table on a terminal and NDJSON
    /// elsewhere.
    pub fn new(format: Option<Format>, color: ColorMode, quiet: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let format = format.unwrap_or(if terminal { Format::Table } else { Format::Ndjson });
        let choose = |detected: ColorChoice| match color {
            ColorMode::Always => true,
            ColorMode::Never => false,
            ColorMode::Auto => detected != ColorChoice::Never,
        };
        Self {
            format,
            terminal,
            color: choose(AutoStream::choice(&io::stdout())),
            color_stderr: choose(AutoStream::choice(&io::stderr())),
            quiet,
            zone: "UTC".to_owned(),
            stdout: Mutex::new(BufWriter::with_capacity(BUFFER_BYTES, io::stdout())),
        }
    }

    /// Sets the name of the time zone that the tables' times are in.
    pub fn with_zone(self, zone: String) -> Self {
        Self { zone, ..self }
    }

    /// Returns the width of the terminal that tables are printed to, if they are.
    pub(crate) fn columns(&self) -> Option<usize> {
        if !self.terminal {
            return None;
        }
        let size = terminal_size::terminal_size_of(io::stdout());
        size.map(|(columns, _)| usize::from(columns.0)).filter(|columns| *columns > 0)
    }

    /// Output format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// True if stdout is a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// True with `--quiet`: only data and errors are printed.
    pub fn quiet(&self) -> bool {
        self.quiet
    }

    /// Prints a remark to stderr, unless `--quiet` is set.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.ask(text);
        }
    }

    /// Prints to stderr what the user has to answer, even with `--quiet`.
    pub fn ask(&self, text: &str) {
        let text = sanitize_lines(text);
        let text = if self.color_stderr { format!("{DIM}{text}{PLAIN}\n") } else { format!("{text}\n") };
        stderr(&text);
    }

    /// Prints an error to stderr.
    pub fn error(&self, text: &str) {
        let text = sanitize_lines(text);
        let text = if self.color_stderr { format!("{RED}error:{PLAIN} {text}\n") } else { format!("error: {text}\n") };
        stderr(&text);
    }

    /// Writes the header of lines that begin with a time, which names the zone, and go on with `rest`.
    pub(crate) fn time_header(&self, rest: &str) -> Result<(), Failure> {
        let name = format!("TIME ({})", self.zone);
        let header = format!("{name:<width$}  {rest}", width = columns::TIME_LENGTH);
        let line = if self.color { format!("{BOLD}{header}{PLAIN}\n") } else { format!("{header}\n") };
        self.write(line.as_bytes())
    }

    /// Writes one line: `dim` in a muted color, then `text`.
    pub fn line(&self, dim: &str, text: &str) -> Result<(), Failure> {
        self.marked_line(dim, text, |_| Vec::new())
    }

    /// Writes the same with the parts of the text in a striking color that `parts` finds in it, as it is shown.
    pub(crate) fn marked_line(
        &self,
        dim: &str,
        text: &str,
        parts: impl FnOnce(&str) -> Vec<Range<usize>>,
    ) -> Result<(), Failure> {
        let (dim, shown) = (sanitize(dim), sanitize(text));
        let mut text = String::with_capacity(shown.len());
        let mut at = 0;
        for part in if self.color { parts(&shown) } else { Vec::new() } {
            text.extend([&shown[at..part.start], STRIKING, &shown[part.clone()], PLAIN]);
            at = part.end;
        }
        text.push_str(&shown[at..]);
        let line = match (dim.is_empty(), self.color) {
            (true, _) => format!("{text}\n"),
            (false, true) => format!("{DIM}{dim}{PLAIN}  {text}\n"),
            (false, false) => format!("{dim}  {text}\n"),
        };
        self.write(line.as_bytes())
    }

    /// Writes one line of details: `name` in a muted color, then `text`. A terminal that is too narrow for the text
    /// gets it in several lines.
    pub(crate) fn detail(&self, name: &str, text: &str) -> Result<(), Failure> {
        let Some(columns) = self.columns() else { return self.line(name, text) };
        let indent = name.width() + 2;
        let mut name = name.to_owned();
        for line in columns::wrapped(&sanitize(text), columns.saturating_sub(indent).max(DETAIL_COLUMNS_MIN)) {
            self.line(&name, &line)?;
            name = " ".repeat(name.width());
        }
        Ok(())
    }

    /// Writes `data` and a line break. A terminal gets it sanitized.
    pub fn raw(&self, data: &[u8]) -> Result<(), Failure> {
        self.bytes(data)?;
        self.write(b"\n")
    }

    /// Writes bytes that may be untrusted. A terminal gets them sanitized.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        if self.terminal { self.write(sanitize_byte_lines(bytes).as_bytes()) } else { self.write(bytes) }
    }

    /// Writes text that may be untrusted. A terminal gets it sanitized.
    pub fn text(&self, text: &str) -> Result<(), Failure> {
        if self.terminal { self.write(sanitize_lines(text).as_bytes()) } else { self.write(text.as_bytes()) }
    }

    /// Writes bytes unchanged.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        stdout.write_all(bytes).map_err(Failure::output)
    }

    /// Flushes stdout.
    pub fn flush(&self) -> Result<(), Failure> {
        self.stdout.lock().unwrap_or_else(PoisonError::into_inner).flush().map_err(Failure::output)
    }

    /// Starts a table of `columns`.
    pub fn table(&self, columns: &'static [TableColumn]) -> TableWriter<'_> {
        TableWriter { output: self, columns, optional: &[], cells: Vec::new(), count: 0 }
    }
}

/// Writer of rows in the output format.
#[derive(Debug)]
pub struct TableWriter<'a> {
    output: &'a Output,
    columns: &'static [TableColumn],
    /// Columns that a narrow terminal may leave out, in this order.
    optional: &'static [&'static str],
    /// Rows of [`Format::Table`], kept until the column widths are known.
    cells: Vec<Vec<String>>,
    count: usize,
}

impl TableWriter<'_> {
    /// Names the columns that a narrow terminal may leave out, in this order.
    pub(crate) fn with_optional(self, optional: &'static [&'static str]) -> Self {
        Self { optional, ..self }
    }

    /// Writes one row. [`Format::Table`] shows `cells`, one per column; the other formats serialize
    /// `row`.
    pub fn push(&mut self, row: &impl Serialize, cells: impl FnOnce() -> Vec<String>) -> Result<(), Failure> {
        match self.output.format {
            Format::Ndjson | Format::Json => return self.push_json(to_json(row)),
            Format::Table => self.cells.push(cells().iter().map(|cell| sanitize(cell).into_owned()).collect()),
            Format::Raw => self.output.raw(field(&to_value(row), self.columns[0].0).as_bytes())?,
            Format::Csv => {
                if self.count == 0 {
                    self.csv(self.columns.iter().map(|column| column.0.to_owned()))?;
                }
                let value = to_value(row);
                self.csv(self.columns.iter().map(|column| field(&value, column.0)))?;
            }
        }
        self.count += 1;
        Ok(())
    }

    /// Writes one row that is JSON already, in [`Format::Ndjson`] or [`Format::Json`].
    pub(crate) fn push_json(&mut self, mut json: String) -> Result<(), Failure> {
        let first = self.count == 0;
        self.count += 1;
        if self.output.format == Format::Json {
            self.output.text(if first { "[\n  " } else { ",\n  " })?;
        } else {
            json.push('\n');
        }
        self.output.text(&json)
    }

    fn csv(&self, fields: impl Iterator<Item = String>) -> Result<(), Failure> {
        let line: Vec<String> = fields.map(|field| quote_csv(&field)).collect();
        self.output.text(&(line.join(",") + "\r\n"))
    }

    /// Writes the rest and flushes.
    pub fn finish(mut self) -> Result<(), Failure> {
        match self.output.format {
            Format::Json if self.count == 0 => self.output.write(b"[]\n")?,
            Format::Json => self.output.write(b"\n]\n")?,
            Format::Csv if self.count == 0 => self.csv(self.columns.iter().map(|column| column.0.to_owned()))?,
            Format::Table if self.count > 0 => {
                let grid = Grid::new(self.columns, std::mem::take(&mut self.cells), &self.output.zone);
                let (text, left_out) = match self.output.columns() {
                    Some(columns) => grid.fitted(columns, self.optional),
                    None => (grid.whole(), Vec::new()),
                };
                if !left_out.is_empty() {
                    let names = left_out.join(", ");
                    self.output.note(&format!("the terminal is too narrow for: {names}; -o json shows all"));
                }
                let (header, rest) = text.split_once('\n').unwrap_or((&text, ""));
                let header = if self.output.color { format!("{BOLD}{header}{PLAIN}") } else { header.to_owned() };
                self.output.write(format!("{header}\n{rest}").as_bytes())?;
            }
            _ => {}
        }
        self.output.flush()
    }
}

/// Returns `value` as JSON.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("rows are maps with string keys")
}

fn to_value(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("rows are maps with string keys")
}

/// Returns a field as text: strings unquoted, a missing field as an empty string.
fn field(row: &Value, name: &str) -> String {
    match row.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Quotes a field as RFC 4180 says.
pub(crate) fn quote_csv(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// Formats a number of bytes with a decimal unit: `1.5 MB`.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Formats a count with thousands separators: `1,707`.
pub fn human_count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Formats a rate in events per second; `-` if it is unknown.
pub(crate) fn human_rate(per_second: Option<f64>) -> String {
    match per_second {
        None => "-".to_owned(),
        Some(0.0) => "0/s".to_owned(),
        // One event a minute is 0.02 a second.
        Some(rate) if rate < 1.0 => format!("{rate:.2}/s"),
        Some(rate) if rate < 1_000.0 => format!("{rate:.1}/s"),
        Some(rate) => format!("{}/s", human_count(rate.round() as u64)),
    }
}

/// Formats a count with its noun, which takes an s in the plural.
pub fn counted(count: u64, one: &str) -> String {
    format!("{} {one}{}", human_count(count), if count == 1 { "" } else { "s" })
}

fn stderr(text: &str) {
    // If stderr is closed, there is nowhere to report it.
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_formatted_for_people() {
        for (bytes, text) in [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (999_949, "999.9 KB"), (999_950, "1.0 MB")]
        {
            assert_eq!(human_bytes(bytes), text);
        }
        for (count, text) in [(0, "0"), (999, "999"), (1707, "1,707"), (1_234_567, "1,234,567")] {
            assert_eq!(human_count(count), text);
        }
    }

    #[test]
    fn a_rate_of_nothing_is_not_an_unknown_one() {
        for (rate, text) in [
            (None, "-"),
            (Some(0.0), "0/s"),
            (Some(1.0 / 60.0), "0.02/s"),
            (Some(50.0), "50.0/s"),
            (Some(12_345.6), "12,346/s"),
        ] {
            assert_eq!(human_rate(rate), text);
        }
    }

    #[test]
    fn csv_quotes_fields_with_special_characters() {
        assert_eq!(quote_csv("plain"), "plain");
        assert_eq!(quote_csv("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
    }
}
