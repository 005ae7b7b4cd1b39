//! `describe`: the details of one log.

use clap::Args;
use hourlog::{LogId, time::SECOND, wire::Span};

use crate::{
    exit::Failure,
    output::{Align, Format, TableColumn, human_bytes, human_count, human_rate},
    session::Session,
};

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

const COLUMNS: [TableColumn; 13] = [
    TableColumn("log", Align::Left),
    TableColumn("created", Align::Left),
    TableColumn("first", Align::Left),
    TableColumn("last", Align::Left),
    TableColumn("events", Align::Right),
    TableColumn("bytes", Align::Right),
    TableColumn("buckets", Align::Right),
    TableColumn("fullest_bucket", Align::Right),
    TableColumn("width", Align::Right),
    TableColumn("retention_seconds", Align::Right),
    TableColumn("rate", Align::Right),
    TableColumn("lag", Align::Right),
    TableColumn("warnings", Align::Left),
];

impl Describe {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let details = session.open().await?.remote.describe(&self.log).await?;
        if session.out.format() != Format::Table {
            let mut table = session.out.table(&COLUMNS);
            table.push(&details, Vec::new)?;
            return table.finish();
        }
        let kept = details
            .retention_seconds
            .map_or_else(|| "forever".to_owned(), |seconds| Span(seconds.saturating_mul(SECOND)).to_string());
        let lines = [
            ("log", details.log.to_string()),
            ("created", session.time_cell(Some(details.created))),
            ("first", session.time_cell(details.first)),
            ("last", session.time_cell(details.last)),
            ("events", human_count(details.events)),
            ("bytes", human_bytes(details.bytes)),
            ("buckets", format!("{} of {}", human_count(details.buckets), details.width)),
            ("fullest", format!("{} events", human_count(details.fullest_bucket))),
            ("kept", kept),
            ("rate", human_rate(details.rate)),
            ("lag", format!("{} stream messages not yet archived", human_count(details.lag))),
        ];
        let warnings = details.warnings.into_iter().map(|warning| ("warning", warning));
        for (name, value) in lines.into_iter().chain(warnings) {
            session.out.line(&format!("{name:>8}"), &value)?;
        }
        Ok(())
    }
}
