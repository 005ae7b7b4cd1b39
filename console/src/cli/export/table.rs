//! An export as a table, for other programs: rows of chosen columns. It is not imported again, and not continued.
//!
//! `csv`, `jsonl` and `parquet` are its formats.

mod csv;
mod jsonl;
#[cfg(feature = "parquet")]
mod parquet;

use std::{collections::HashSet, io::Write, pin::pin};

use clap::ValueEnum;
use futures_util::TryStreamExt;
use hourlog::{Event, Remote, wire::ReplayRequest};

use crate::{
    exit::Failure,
    export::{NewFile, Output, Target, up_to_newest},
    output::counted,
    progress::progress_bar,
    session::Session,
};

use super::{PROGRESS, columns::Column, names::Names};

/// The format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Format {
    /// A JSON object a line; without --columns, import reads it
    #[default]
    Jsonl,
    /// Comma-separated values with a header line
    Csv,
    /// A file for DuckDB, pandas, Spark and the like
    Parquet,
}

/// The columns of a table for which none are chosen.
const COLUMNS_DEFAULT: [&str; 5] = ["time", "log", "position", "metadata", "data"];

/// Writes the rows of a table.
trait Rows {
    /// Writes an event.
    fn event(&mut self, event: &Event) -> Result<(), Failure>;

    /// Writes what is left, and returns what did not fit: sentences for the user.
    fn finish(self: Box<Self>) -> Result<(Box<dyn Output>, Vec<String>), Failure>;
}

/// A table to export.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) format: Format,
    /// The chosen columns; without any, JSON lines are whole events, and other formats have the usual ones.
    pub(super) columns: Vec<Column>,
    /// The range and the conditions.
    pub(super) request: ReplayRequest,
}

impl Table {
    /// Exports the events of the logs, log by log, each in the order of time.
    pub(super) async fn export(
        &self,
        session: &Session,
        remote: &Remote,
        names: &Names,
        target: Target,
    ) -> Result<(), Failure> {
        let mut names_seen = HashSet::new();
        if let Some(twice) = self.columns.iter().find(|column| !names_seen.insert(&column.name)) {
            return Err(Failure::usage(format!("--columns names {} twice; leave one out", twice.name)));
        }
        let output = NewFile::open(target, self.format == Format::Parquet).await?;
        let mut rows = self.rows(output)?;
        let is_whole = self.request.from.is_none() && self.request.to.is_none() && !has_conditions(&self.request);
        let length = if is_whole { Some(names.count_events(remote).await?) } else { None };
        let bar = progress_bar(&session.out, length, PROGRESS);
        let mut count = 0;
        for named in &names.logs {
            let Some(request) = up_to_newest(remote, &named.log, &self.request).await? else { continue };
            let mut events = pin!(remote.events(named.log.clone(), request));
            while let Some(event) = events.try_next().await? {
                rows.event(&event)?;
                count += 1;
                bar.inc(1);
            }
        }
        let (output, misfits) = rows.finish()?;
        output.complete()?;
        bar.finish_and_clear();
        let logs = counted(names.logs.len() as u64, "log");
        session.out.note(&format!("exported {} from {logs}", counted(count, "event")));
        match misfits.is_empty() {
            true => Ok(()),
            false => Err(hourlog::Error::new(hourlog::ErrorKind::Rejected, misfits.join("; ")).into()),
        }
    }

    fn rows(&self, output: Box<dyn Output>) -> Result<Box<dyn Rows>, Failure> {
        let columns = match self.columns.is_empty() {
            true => COLUMNS_DEFAULT.iter().map(|name| name.parse()).collect::<hourlog::Result<_>>()?,
            false => self.columns.clone(),
        };
        Ok(match self.format {
            Format::Jsonl => Box::new(jsonl::JsonLines::new(self.columns.clone(), output)),
            Format::Csv => Box::new(csv::Csv::begin(columns, output)?),
            #[cfg(feature = "parquet")]
            Format::Parquet => Box::new(parquet::Parquet::new(columns, output)),
            #[cfg(not(feature = "parquet"))]
            Format::Parquet => {
                return Err(Failure::usage(
                    "this hourlog was built without Parquet; build it with the feature parquet",
                ));
            }
        })
    }
}

fn has_conditions(request: &ReplayRequest) -> bool {
    request.condition.is_some() || request.text.is_some() || request.header.is_some()
}

/// Writes a line.
fn write_line(output: &mut dyn Write, line: &str) -> Result<(), Failure> {
    output.write_all(line.as_bytes()).map_err(Failure::output)
}
