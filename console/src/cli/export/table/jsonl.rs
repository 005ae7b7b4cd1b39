//! A table as JSON lines.

use base64::{Engine, prelude::BASE64_STANDARD};
use hourlog::Event;

use crate::{exit::Failure, export::event_line, output::to_json};

use super::{
    super::columns::{Cell, Column, cells},
    Output, Rows, write_line,
};

/// An object a line. What an event does not have is `null`.
pub(super) struct JsonLines {
    /// Without any, the lines are whole events.
    columns: Vec<Column>,
    output: Box<dyn Output>,
}

impl JsonLines {
    pub(super) fn new(columns: Vec<Column>, output: Box<dyn Output>) -> Self {
        Self { columns, output }
    }
}

impl Rows for JsonLines {
    fn event(&mut self, event: &Event) -> Result<(), Failure> {
        if self.columns.is_empty() {
            return write_line(&mut self.output, &event_line(event));
        }
        let cells = cells(&self.columns, event);
        let fields =
            self.columns.iter().zip(cells).map(|(column, cell)| format!("{}:{}", to_json(&column.name), json(cell)));
        write_line(&mut self.output, &format!("{{{}}}\n", fields.collect::<Vec<_>>().join(",")))
    }

    fn finish(self: Box<Self>) -> Result<(Box<dyn Output>, Vec<String>), Failure> {
        Ok((self.output, Vec::new()))
    }
}

/// Returns a cell as JSON.
fn json(cell: Cell<'_>) -> String {
    match cell {
        Cell::Nothing => "null".to_owned(),
        Cell::Int(number) => number.to_string(),
        Cell::Time(time) => to_json(&time.to_string()),
        Cell::Text(text) => to_json(&text),
        Cell::Bytes(bytes) => to_json(&BASE64_STANDARD.encode(bytes)),
        // Line breaks between its parts would end the line.
        Cell::Json(json) if json.contains('\n') => compact(json),
        Cell::Json(json) => json.to_owned(),
    }
}

/// Returns a value of JSON on one line.
fn compact(json: &str) -> String {
    // A line break inside of a string is written as an escape, so each one that is seen stands between two parts.
    json.lines().map(str::trim).collect()
}
