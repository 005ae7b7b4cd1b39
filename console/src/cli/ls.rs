//! `ls`: the logs there are.

use clap::Args;
use hourlog::wire::{LogReply, LogsRequest};

use crate::{
    exit::Failure,
    output::{Column, Side, human_bytes, human_count},
    session::Session,
};

/// List logs with their counts
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog ls
  hourlog ls 'orders.*' -o json
  hourlog ls -o raw | xargs -n1 hourlog describe")]
pub(super) struct Ls {
    /// Which: an id, orders.* for one more token, orders.> for all below
    pattern: Option<String>,
    /// Also the system's own, whose ids begin with _
    #[arg(short, long)]
    all: bool,
}

const COLUMNS: [Column; 6] = [
    Column("log", Side::Left),
    Column("events", Side::Right),
    Column("bytes", Side::Right),
    Column("first", Side::Left),
    Column("last", Side::Left),
    Column("rate", Side::Right),
];

impl Ls {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let remote = session.open().await?.remote;
        let mut rows = session.out.rows(&COLUMNS);
        let mut request = LogsRequest { pattern: self.pattern, all: self.all, ..LogsRequest::default() };
        let mut any = false;
        loop {
            let reply = remote.logs(&request).await?;
            for log in &reply.logs {
                any = true;
                rows.push(log, || cells(session, log))?;
            }
            match reply.next {
                Some(next) => request.after = Some(next),
                None => break,
            }
        }
        rows.finish()?;
        if !any {
            session.out.note("no log; one comes to be with its first event: hourlog pub orders.eu hello");
        }
        Ok(())
    }
}

fn cells(session: &Session, log: &LogReply) -> Vec<String> {
    vec![
        log.log.clone(),
        human_count(log.events),
        human_bytes(log.bytes),
        session.time_cell(log.first),
        session.time_cell(log.last),
        rate(log.rate),
    ]
}

/// Events a second; nothing is said of a log that sleeps.
pub(super) fn rate(rate: f64) -> String {
    if rate > 0.0 { format!("{rate:.1}/s") } else { "-".to_owned() }
}
