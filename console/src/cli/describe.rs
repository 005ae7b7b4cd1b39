//! `describe`: what is known of a log.

use clap::Args;
use hourlog::{LogId, SECOND, wire::Span};

use crate::{
    exit::Failure,
    output::{Column, Format, Side, human_bytes, human_count},
    session::Session,
};

use super::ls::rate;

/// Show what is known of a log: its times, counts, buckets and warnings
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog describe orders.eu
  hourlog describe orders.eu -o json")]
pub(super) struct Describe {
    /// The log
    log: LogId,
}

const COLUMNS: [Column; 13] = [
    Column("log", Side::Left),
    Column("created", Side::Left),
    Column("first", Side::Left),
    Column("last", Side::Left),
    Column("events", Side::Right),
    Column("bytes", Side::Right),
    Column("buckets", Side::Right),
    Column("fullest_bucket", Side::Right),
    Column("width", Side::Right),
    Column("retention_seconds", Side::Right),
    Column("rate", Side::Right),
    Column("lag", Side::Right),
    Column("warnings", Side::Left),
];

impl Describe {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let known = session.open().await?.remote.describe(&self.log).await?;
        if session.out.format() != Format::Table {
            let mut rows = session.out.rows(&COLUMNS);
            rows.push(&known, Vec::new)?;
            return rows.finish();
        }
        let kept = known
            .retention_seconds
            .map_or_else(|| "for ever".to_owned(), |seconds| Span(seconds.saturating_mul(SECOND)).to_string());
        let lines = [
            ("log", known.log),
            ("created", session.time_cell(Some(known.created))),
            ("first", session.time_cell(known.first)),
            ("last", session.time_cell(known.last)),
            ("events", human_count(known.events)),
            ("bytes", human_bytes(known.bytes)),
            ("buckets", format!("{} of {}", human_count(known.buckets), known.width)),
            ("fullest", format!("{} events", human_count(known.fullest_bucket))),
            ("kept", kept),
            ("rate", rate(known.rate)),
            ("lag", format!("{} messages of the stream to archive", human_count(known.lag))),
        ];
        let warnings = known.warnings.into_iter().map(|warning| ("warning", warning));
        for (name, value) in lines.into_iter().chain(warnings) {
            session.out.line(&format!("{name:>8}"), &value)?;
        }
        Ok(())
    }
}
