//! What a command prints: data to stdout in the format that was asked for, everything else to stderr.

use std::{
    io::{self, BufWriter, IsTerminal, Write},
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

/// The output is written at so many bytes, and when nothing follows.
const BUFFER_BYTES: usize = 64 * 1024;
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

/// How data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: columns, times in --tz
    Table,
    /// One JSON object a line
    Ndjson,
    /// One JSON array
    Json,
    /// Only the data, as it is, each followed by a line end; of rows the first column
    Raw,
    /// With a line of names
    Csv,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Where a command's output goes. Rows are written as they come, but for a table, whose columns wait for the widest.
#[derive(Debug)]
pub struct Output {
    format: Format,
    /// Text from outside must not reach a terminal as it is.
    terminal: bool,
    color: bool,
    color_stderr: bool,
    quiet: bool,
    stdout: Mutex<BufWriter<io::Stdout>>,
}

impl Output {
    /// The output of this process. Without a format, a table on a terminal and a line of JSON a row elsewhere.
    pub fn new(format: Option<Format>, color: Color, quiet: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let format = format.unwrap_or(if terminal { Format::Table } else { Format::Ndjson });
        let choose = |detected: ColorChoice| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => detected != ColorChoice::Never,
        };
        Self {
            format,
            terminal,
            color: choose(AutoStream::choice(&io::stdout())),
            color_stderr: choose(AutoStream::choice(&io::stderr())),
            quiet,
            stdout: Mutex::new(BufWriter::with_capacity(BUFFER_BYTES, io::stdout())),
        }
    }

    /// How data is written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether there is no talk beside the data.
    pub fn quiet(&self) -> bool {
        self.quiet
    }

    /// Something to know beside the data, to stderr; not with `-q`.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            let text = sanitize_lines(text);
            let text = if self.color_stderr { format!("{DIM}{text}{PLAIN}\n") } else { format!("{text}\n") };
            stderr(&text);
        }
    }

    /// What went wrong, to stderr.
    pub fn error(&self, text: &str) {
        let text = sanitize_lines(text);
        let text = if self.color_stderr { format!("{RED}error:{PLAIN} {text}\n") } else { format!("error: {text}\n") };
        stderr(&text);
    }

    /// Writes one line, with `dim` before it in another colour.
    pub fn line(&self, dim: &str, text: &str) -> Result<(), Failure> {
        let (dim, text) = (sanitize(dim), sanitize(text));
        let line = match (dim.is_empty(), self.color) {
            (true, _) => format!("{text}\n"),
            (false, true) => format!("{DIM}{dim}{PLAIN}  {text}\n"),
            (false, false) => format!("{dim}  {text}\n"),
        };
        self.write(line.as_bytes())
    }

    /// Writes one line of JSON.
    pub fn json_line(&self, value: &impl Serialize) -> Result<(), Failure> {
        let mut line = to_json(value);
        line.push('\n');
        self.text(&line)
    }

    /// Writes `data` and a line end.
    pub fn raw(&self, data: &[u8]) -> Result<(), Failure> {
        if self.terminal {
            self.write(sanitize_byte_lines(data).as_bytes())?;
        } else {
            self.write(data)?;
        }
        self.write(b"\n")
    }

    /// Writes text that may hold what came from outside; a terminal gets it safe.
    pub fn text(&self, text: &str) -> Result<(), Failure> {
        if self.terminal { self.write(sanitize_lines(text).as_bytes()) } else { self.write(text.as_bytes()) }
    }

    /// Writes bytes as they are.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        stdout.write_all(bytes).map_err(Failure::output)
    }

    /// Hands over what was written so far.
    pub fn flush(&self) -> Result<(), Failure> {
        self.stdout.lock().unwrap_or_else(PoisonError::into_inner).flush().map_err(Failure::output)
    }

    /// Rows with these columns.
    pub fn rows(&self, columns: &'static [Column]) -> Rows<'_> {
        Rows { output: self, columns, cells: Vec::new(), count: 0 }
    }
}

/// A column of rows: its name, which is the field of the JSON too, and whether it holds numbers.
#[derive(Debug, Clone, Copy)]
pub struct Column(pub &'static str, pub Side);

/// On which side of a column its cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows on their way out.
#[derive(Debug)]
pub struct Rows<'a> {
    output: &'a Output,
    columns: &'static [Column],
    /// Of a table, until its widths are known.
    cells: Vec<Vec<String>>,
    count: usize,
}

impl Rows<'_> {
    /// One row: as data, and as people read it, a cell a column.
    pub fn push(&mut self, row: &impl Serialize, cells: impl FnOnce() -> Vec<String>) -> Result<(), Failure> {
        let first = self.count == 0;
        self.count += 1;
        match self.output.format {
            Format::Table => {
                self.cells.push(cells().iter().map(|cell| sanitize(cell).into_owned()).collect());
                Ok(())
            }
            Format::Ndjson => self.output.json_line(row),
            Format::Json => {
                self.output.text(if first { "[\n  " } else { ",\n  " })?;
                self.output.text(&to_json(row))
            }
            Format::Raw => {
                let value = to_value(row);
                self.output.raw(field(&value, self.columns[0].0).as_bytes())
            }
            Format::Csv => {
                if first {
                    self.csv(self.columns.iter().map(|column| column.0.to_owned()))?;
                }
                let value = to_value(row);
                self.csv(self.columns.iter().map(|column| field(&value, column.0)))
            }
        }
    }

    fn csv(&self, fields: impl Iterator<Item = String>) -> Result<(), Failure> {
        let line: Vec<String> = fields.map(|field| quote_csv(&field)).collect();
        self.output.text(&(line.join(",") + "\r\n"))
    }

    /// Writes what was kept back.
    pub fn finish(self) -> Result<(), Failure> {
        match self.output.format {
            Format::Json if self.count == 0 => self.output.write(b"[]\n")?,
            Format::Json => self.output.write(b"\n]\n")?,
            Format::Csv if self.count == 0 => self.csv(self.columns.iter().map(|column| column.0.to_owned()))?,
            Format::Table if self.count > 0 => {
                let text = table(self.columns, &self.cells);
                let (header, rest) = text.split_once('\n').unwrap_or((&text, ""));
                let header = if self.output.color { format!("{BOLD}{header}{PLAIN}") } else { header.to_owned() };
                self.output.write(format!("{header}\n{rest}").as_bytes())?;
            }
            _ => {}
        }
        self.output.flush()
    }
}

/// Columns as wide as their widest cell, two blanks apart.
fn table(columns: &[Column], cells: &[Vec<String>]) -> String {
    let names = columns.iter().map(|column| column.0.to_uppercase()).collect();
    let lines: Vec<&Vec<String>> = std::iter::once(&names).chain(cells).collect();
    let width = |at: usize| lines.iter().map(|line| line[at].width()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut out = String::new();
    for line in lines {
        let mut text = String::new();
        for ((cell, column), width) in line.iter().zip(columns).zip(&widths) {
            let blanks = " ".repeat(width - cell.width());
            match column.1 {
                Side::Left => text.push_str(&format!("{cell}{blanks}  ")),
                Side::Right => text.push_str(&format!("{blanks}{cell}  ")),
            }
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("rows are maps with text for names")
}

fn to_value(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("rows are maps with text for names")
}

/// A field as text: what is text stays as it is, what is not there is empty.
fn field(row: &Value, name: &str) -> String {
    match row.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// By RFC 4180.
fn quote_csv(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// A count of bytes as people read it.
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

/// A count with a thin mark at the thousands.
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

/// So many of something that takes an s.
pub fn counted(count: u64, one: &str) -> String {
    format!("{} {one}{}", human_count(count), if count == 1 { "" } else { "s" })
}

/// Where nobody listens any more, nothing can be said either.
fn stderr(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        for (bytes, text) in [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (999_949, "999.9 KB"), (999_950, "1.0 MB")]
        {
            assert_eq!(human_bytes(bytes), text);
        }
        for (count, text) in [(0, "0"), (999, "999"), (1707, "1,707"), (1_234_567, "1,234,567")] {
            assert_eq!(human_count(count), text);
        }
    }

    #[test]
    fn csv_quotes_what_would_be_read_wrongly() {
        assert_eq!(quote_csv("plain"), "plain");
        assert_eq!(quote_csv("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let columns = [Column("log", Side::Left), Column("events", Side::Right)];
        let cells = [vec!["orders.日本".to_owned(), "7".to_owned()], vec!["a".to_owned(), "1,707".to_owned()]];
        let shown = table(&columns, &cells);
        assert_eq!(shown, "LOG          EVENTS\norders.日本       7\na             1,707\n");
    }
}
