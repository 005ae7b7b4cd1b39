//! The list of logs.

use hourlog::{LogId, wire::LogReply};

use crate::tui::fuzzy;

use super::cursor_row::CursorRow;

/// The list of logs.
#[derive(Debug, Default)]
pub struct Logs {
    /// Id of the log under the cursor.
    pub cursor: Option<LogId>,
    /// Row of the cursor on the screen.
    pub cursor_row: CursorRow,
    /// Letters that an id must have, in order.
    pub find: String,
    rows: Option<Vec<LogReply>>,
}

impl Logs {
    /// Replaces the list. `rows` are sorted by id.
    pub(crate) fn replace(&mut self, rows: Vec<LogReply>) {
        self.rows = Some(rows);
    }

    /// Returns all logs by id, or `None` before the first answer.
    pub(crate) fn rows(&self) -> Option<&[LogReply]> {
        self.rows.as_deref()
    }

    /// Returns the logs that match [`find`](Self::find), best match first; without a text all, by
    /// id.
    pub(crate) fn shown(&self) -> Vec<&LogReply> {
        let rows = self.rows.iter().flatten().map(ById).collect();
        fuzzy::find(rows, &self.find).into_iter().map(|ById(row)| row).collect()
    }

    /// Returns the index of the cursor among the [shown](Self::shown) logs.
    pub(crate) fn cursor_index(&self, shown: &[&LogReply]) -> usize {
        let Some(id) = &self.cursor else { return 0 };
        let exact = shown.iter().position(|row| row.log == *id);
        let next = || shown.iter().position(|row| row.log >= *id);
        exact.or_else(next).unwrap_or(shown.len().saturating_sub(1))
    }
}

/// A row that the fuzzy matcher compares by id.
struct ById<'a>(&'a LogReply);

impl AsRef<str> for ById<'_> {
    fn as_ref(&self) -> &str {
        self.0.log.as_str()
    }
}
