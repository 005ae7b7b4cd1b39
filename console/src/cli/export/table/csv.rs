//! A table as CSV.

use base64::{Engine, prelude::BASE64_STANDARD};
use hourlog::Event;

use crate::{exit::Failure, output::quote_csv};

use super::{
    super::columns::{Cell, Column, cells, text},
    Output, Rows, write_line,
};

/// A header line, and a line for each event. What an event does not have is empty.
pub(super) struct Csv {
    columns: Vec<Column>,
    output: Box<dyn Output>,
}

impl Csv {
    /// Writes the header.
    pub(super) fn begin(columns: Vec<Column>, mut output: Box<dyn Output>) -> Result<Self, Failure> {
        write_line(&mut output, &line(columns.iter().map(|column| quote_csv(&column.name))))?;
        Ok(Self { columns, output })
    }
}

impl Rows for Csv {
    fn event(&mut self, event: &Event) -> Result<(), Failure> {
        let fields = cells(&self.columns, event).into_iter().map(|cell| match cell {
            Cell::Nothing => String::new(),
            Cell::Int(number) => number.to_string(),
            Cell::Time(time) => time.to_string(),
            Cell::Text(text) => quote_csv(&text),
            Cell::Bytes(bytes) => BASE64_STANDARD.encode(bytes),
            Cell::Json(json) => quote_csv(&text(json)),
        });
        write_line(&mut self.output, &line(fields))
    }

    fn finish(self: Box<Self>) -> Result<(Box<dyn Output>, Vec<String>), Failure> {
        Ok((self.output, Vec::new()))
    }
}

fn line(fields: impl Iterator<Item = String>) -> String {
    let line = fields.collect::<Vec<_>>().join(",");
    // Many readers pass over an empty line.
    if line.is_empty() { "\"\"\n".to_owned() } else { line + "\n" }
}
