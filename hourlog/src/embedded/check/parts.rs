//! The tables of an archive while they are read side by side, log by log.

use std::io;

use bytes::Bytes;

use crate::{
    Offset, Result,
    store::{Bucket, LogRow, Widths},
};

use crate::embedded::{
    files::{database::Rows, disk_failed},
    keys,
};

/// A table that is being read, and its next row.
pub(super) struct Table {
    pub(super) name: &'static str,
    rows: Rows,
    pub(super) head: Option<(Vec<u8>, Bytes)>,
}

impl Table {
    /// Begins to read the table.
    pub(super) fn new(name: &'static str, rows: Rows) -> io::Result<Self> {
        let mut table = Self { name, rows, head: None };
        table.advance()?;
        Ok(table)
    }

    /// Returns the row at the head, and goes to the next one.
    pub(super) fn advance(&mut self) -> io::Result<Option<(Vec<u8>, Bytes)>> {
        let next = self.rows.next()?;
        Ok(std::mem::replace(&mut self.head, next))
    }

    /// Returns the id of the log at the head.
    pub(super) fn log(&self) -> Option<&[u8]> {
        self.head.as_ref().map(|(key, _)| log_of(key))
    }

    /// Returns the number that follows the id of `log` in the key at the head; `None` if another log is there.
    pub(super) fn number(&self, log: &[u8], at: usize) -> Option<Offset> {
        let (key, _) = self.head.as_ref().filter(|(key, _)| log_of(key) == log)?;
        let from = log.len() + 1 + at * 8;
        keys::last_offset(key.get(from..from + 8)?).ok()
    }
}

/// Returns the id in a key: the bytes up to the first 0.
fn log_of(key: &[u8]) -> &[u8] {
    let end = key.iter().position(|byte| *byte == 0).unwrap_or(key.len());
    &key[..end]
}

/// The tables whose rows belong to buckets.
pub(super) struct Parts {
    pub(super) buckets: Table,
    pub(super) events: Table,
    pub(super) late: Table,
}

impl Parts {
    /// Returns the next bucket of a log that any of the tables has a row of.
    pub(super) fn next_bucket(&self, log: &[u8]) -> Option<Offset> {
        let starts = [self.buckets.number(log, 1), self.events.number(log, 0), self.late.number(log, 0)];
        starts.into_iter().flatten().min()
    }

    pub(super) fn any_of(&self, log: &[u8]) -> bool {
        [&self.buckets, &self.events, &self.late].into_iter().any(|table| table.log() == Some(log))
    }

    /// Skips a row of a log whose key cannot be read. Returns its table.
    pub(super) fn skip(&mut self, log: &[u8]) -> Result<&'static str> {
        let tables = [&mut self.buckets, &mut self.events, &mut self.late];
        let Some(table) = tables.into_iter().find(|table| table.log() == Some(log)) else { return Ok("events") };
        table.advance().map_err(disk_failed)?;
        Ok(table.name)
    }
}

/// The settings of a log whose row is gone, from what is found of it.
#[derive(Default)]
pub(super) struct Guess {
    widths: Option<Widths>,
    created: Option<Offset>,
}

impl Guess {
    pub(super) fn see(&mut self, bucket: Bucket) {
        let widths = match self.widths.take() {
            None => Widths::new(bucket.width),
            Some(widths) if widths.current() == bucket.width => widths,
            Some(widths) => {
                let changes = widths.changes().iter().copied().chain([(bucket.start, bucket.width)]).collect();
                Widths::from_parts(widths.first(), changes).unwrap_or(widths)
            }
        };
        self.widths = Some(widths);
    }

    pub(super) fn see_time(&mut self, time: Offset) {
        self.created = Some(self.created.map_or(time, |created| created.min(time)));
    }

    pub(super) fn widths(&self) -> Widths {
        self.widths.clone().unwrap_or_default()
    }

    pub(super) fn log(&self) -> LogRow {
        LogRow::new(self.created.unwrap_or(Offset::from_nanos(0)), self.widths())
    }
}
