//! The tables of an archive while they are read side by side, log by log.

use std::{collections::BTreeMap, io};

use bytes::Bytes;

use crate::{
    Offset, Result,
    store::{Bucket, LogRow, Totals, Widths},
};

use crate::embedded::{
    files::{database::Rows, disk_failed},
    keys::{self, LogNumber},
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

    /// Returns the number of the log at the head.
    pub(super) fn log(&self) -> Option<LogNumber> {
        self.head.as_ref().and_then(|(key, _)| keys::read_log_number(key).ok())
    }

    /// Returns the bucket in the key at the head; `None` if it is of another log.
    pub(super) fn bucket(&self, log: LogNumber) -> Option<Offset> {
        let (key, _) = self.head.as_ref()?;
        let (of_log, bucket) = keys::read_bucket_of_log(key).ok()?;
        (of_log == log).then_some(bucket)
    }
}

/// The tables whose rows belong to buckets.
pub(super) struct Parts {
    pub(super) buckets: Table,
    pub(super) events: Table,
    pub(super) late: Table,
}

impl Parts {
    /// Returns the first log that any of the tables has a row of.
    pub(super) fn next_log(&self) -> Option<LogNumber> {
        [&self.buckets, &self.events, &self.late].into_iter().filter_map(Table::log).min()
    }

    /// Returns the next bucket of a log that any of the tables has a row of.
    pub(super) fn next_bucket(&self, log: LogNumber) -> Option<Offset> {
        let starts = [self.buckets.bucket(log), self.events.bucket(log), self.late.bucket(log)];
        starts.into_iter().flatten().min()
    }

    /// Skips a row whose key cannot be read, of `log` or of none. Returns its table; `None` if there is no such row.
    pub(super) fn skip(&mut self, log: Option<LogNumber>) -> Result<Option<&'static str>> {
        let tables = [&mut self.buckets, &mut self.events, &mut self.late];
        let Some(table) = tables.into_iter().find(|table| table.head.is_some() && table.log() == log) else {
            return Ok(None);
        };
        table.advance().map_err(disk_failed)?;
        Ok(Some(table.name))
    }
}

/// The sums of the index, by era.
pub(super) struct Eras {
    /// Those that are stored, by their keys.
    pub(super) stored: BTreeMap<Vec<u8>, Bytes>,
    /// The era whose buckets are being read.
    pub(super) open: Option<OpenEra>,
}

/// An era of which not all buckets have been read.
pub(super) struct OpenEra {
    pub(super) start: Offset,
    /// The sums of those that have been read.
    pub(super) totals: Totals,
    /// False if one of them is damaged.
    pub(super) is_whole: bool,
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
