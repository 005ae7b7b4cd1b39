//! `ls`: the list of logs.

use std::pin::pin;

use clap::Args;
use futures_util::TryStreamExt;
use hourlog::wire::{LogReply, LogsRequest};

use crate::{
    exit::Failure,
    output::{Align, TableColumn, human_bytes, human_count, human_rate},
    session::Session,
};

use super::{describe, listing};

/// List logs with their event counts, sizes and times
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog ls
  hourlog ls 'orders.*' -o json
  hourlog ls -o raw | tr '\\n' '\\0' | xargs -0 -n1 hourlog describe")]
pub(super) struct Ls {
    /// Log id, or pattern: * stands for one token, a final > for one or more, as in orders.* [default: all logs]
    pattern: Option<String>,
    /// Also list system logs, whose ids start with _
    #[arg(short, long)]
    all: bool,
    /// Only logs with events that lie ahead of now
    #[arg(long)]
    ahead: bool,
}

const COLUMNS: [TableColumn; 8] = [
    TableColumn("log", Align::Id),
    TableColumn("events", Align::Right),
    TableColumn("bytes", Align::Right),
    TableColumn("first", Align::Time),
    TableColumn("last", Align::Time),
    TableColumn("ahead", Align::Right),
    TableColumn("rate", Align::Right),
    TableColumn("kept", Align::Left),
];

/// Columns that a narrow terminal leaves out.
const OPTIONAL: [&str; 3] = ["first", "kept", "bytes"];

impl Ls {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let remote = session.open().await?.remote;
        let request = LogsRequest {
            pattern: self.pattern.clone(),
            all: self.all || self.pattern.as_deref().is_some_and(listing::names_system),
            ahead: self.ahead,
            ..LogsRequest::default()
        };
        let mut logs = pin!(listing::logs(&remote, request));
        let mut table = session.out.table(&COLUMNS).with_optional(&OPTIONAL);
        let mut is_empty = true;
        while let Some(log) = logs.try_next().await? {
            is_empty = false;
            table.push(&log, || cells(session, &log))?;
        }
        table.finish()?;
        if is_empty {
            session.out.note(&self.nothing());
        }
        Ok(())
    }

    /// Returns the reason for an empty list.
    fn nothing(&self) -> String {
        let hint = if self.all { "" } else { "; hourlog ls --all lists system logs, too" };
        match &self.pattern {
            Some(pattern) if self.ahead => format!("no log with events ahead of now matches {pattern}{hint}"),
            Some(pattern) => format!("no log matches {pattern}; hourlog ls --all lists all logs"),
            None if self.ahead => format!("no log has events that lie ahead of now{hint}"),
            None => "no logs found; the first event creates a log: hourlog pub orders.eu hello".to_owned(),
        }
    }
}

fn cells(session: &Session, log: &LogReply) -> Vec<String> {
    vec![
        log.log.to_string(),
        human_count(log.events),
        human_bytes(log.bytes),
        session.time_cell(log.first),
        session.time_cell(log.last),
        log.ahead.map_or_else(|| "-".to_owned(), |ahead| human_count(ahead.events)),
        human_rate(log.rate),
        describe::kept(log.retention_seconds, log.retention_rule.as_deref()),
    ]
}
