//! `ls`: the list of logs.

use std::pin::pin;

use clap::Args;
use futures_util::{StreamExt, TryStreamExt};
use hourlog::{
    Remote,
    wire::{LOGS_MAX, LogReply, LogsOrder, LogsRequest},
};

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
  hourlog ls --sort rate --limit 10
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
    /// Order: id, or the most first by last (the time of the newest event), rate, events or bytes
    #[arg(long, value_name = "ORDER", default_value = "id", conflicts_with = "ahead")]
    sort: LogsOrder,
    /// Maximum number of logs; another order than by id has at most 1,000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
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
            sort: self.sort,
            limit: self.limit.map(|limit| limit.min(LOGS_MAX)),
            ..LogsRequest::default()
        };
        let limit = self.limit.map_or(usize::MAX, |limit| limit as usize);
        if self.sort != LogsOrder::Id {
            return self.print_sorted(session, &remote, &request).await;
        }
        let mut logs = pin!(listing::logs(&remote, request).take(limit));
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

    /// Prints the first logs in another order than by id. One reply has all of them: the next one could repeat some.
    async fn print_sorted(&self, session: &Session, remote: &Remote, request: &LogsRequest) -> Result<(), Failure> {
        let reply = remote.logs(request).await?;
        let mut table = session.out.table(&COLUMNS).with_optional(&OPTIONAL);
        for log in &reply.logs {
            table.push(log, || cells(session, log))?;
        }
        table.finish()?;
        let (shown, of) = (reply.logs.len() as u64, reply.of.unwrap_or(0));
        if shown == 0 {
            session.out.note(&self.nothing());
        } else if self.limit.is_none() && shown < of {
            session.out.note(&format!(
                "the first {} of {} logs; name fewer with a pattern",
                human_count(shown),
                human_count(of)
            ));
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
