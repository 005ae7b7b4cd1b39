//! `describe`: the details of one log.

use clap::Args;
use hourlog::{
    LogId,
    time::SECOND,
    wire::{DescribeReply, Span},
};

use crate::{
    exit::Failure,
    output::{Align, Format, TableColumn, human_bytes, human_count, human_rate},
    session::Session,
};

use super::ahead;

/// Show the details of a log: times, counts, buckets, retention and warnings
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog describe orders.eu
  hourlog describe orders.eu -o json")]
pub(super) struct Describe {
    /// Log id
    log: LogId,
}

const COLUMNS: [TableColumn; 17] = [
    TableColumn("log", Align::Left),
    TableColumn("created", Align::Left),
    TableColumn("first", Align::Left),
    TableColumn("last", Align::Left),
    TableColumn("ahead", Align::Left),
    TableColumn("events", Align::Right),
    TableColumn("bytes", Align::Right),
    TableColumn("buckets", Align::Right),
    TableColumn("fullest_bucket", Align::Right),
    TableColumn("width", Align::Right),
    TableColumn("next_width", Align::Right),
    TableColumn("retention_seconds", Align::Right),
    TableColumn("retention_rule", Align::Left),
    TableColumn("expired", Align::Left),
    TableColumn("rate", Align::Right),
    TableColumn("lag", Align::Right),
    TableColumn("warnings", Align::Left),
];

impl Describe {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let details = session.open().await?.remote.describe(&self.log).await?;
        print(session, details)
    }
}

/// Prints the details of a log.
pub(super) fn print(session: &Session, details: DescribeReply) -> Result<(), Failure> {
    if session.out.format() != Format::Table {
        let mut table = session.out.table(&COLUMNS);
        table.push(&details, Vec::new)?;
        return table.finish();
    }
    let kept = kept(details.retention_seconds, details.retention_rule.as_deref());
    let width = match details.next_width {
        Some(next) => {
            format!("{}, {} from {}", details.width, next.width, session.time_cell(Some(next.from)))
        }
        None => details.width.to_string(),
    };
    let lines = [
        ("log", details.log.to_string()),
        ("zone", session.zone_name()),
        ("created", session.time_cell(Some(details.created))),
        ("first", session.time_cell(details.first)),
        ("last", session.time_cell(details.last)),
        ("events", human_count(details.events)),
        ("bytes", human_bytes(details.bytes)),
        ("buckets", format!("{} of {width}", human_count(details.buckets))),
        ("fullest", format!("{} events", human_count(details.fullest_bucket))),
        ("kept", kept),
        ("rate", human_rate(details.rate)),
        (
            "lag",
            details.lag.map_or_else(
                || "unknown: the stream does not answer".to_owned(),
                |lag| format!("{} stream messages not yet archived", human_count(lag)),
            ),
        ),
    ];
    let expired =
        details.expired.map(|expired| ("removed", format!("events before {}", session.time_cell(Some(expired)))));
    let ahead = details.ahead.map(|ahead| ("ahead", ahead::sentence(session, ahead)));
    let warnings = details.warnings.into_iter().map(|warning| ("warning", warning));
    for (name, value) in lines.into_iter().chain(ahead).chain(expired).chain(warnings) {
        session.out.detail(&format!("{name:>8}"), &value)?;
    }
    Ok(())
}

/// Formats the time for which events are kept, and the rule that says so.
pub(super) fn kept(seconds: Option<i64>, rule: Option<&str>) -> String {
    let time = seconds.map_or_else(|| "forever".to_owned(), |seconds| Span(seconds.saturating_mul(SECOND)).to_string());
    match rule {
        Some(rule) => format!("{time} (rule {rule})"),
        None => time,
    }
}
