//! `admin alter`: other settings for a log that exists.

use clap::Args;
use hourlog::{
    LogId,
    store::Width,
    wire::{AlterRequest, Retention},
};

use crate::{cli::describe, exit::Failure, session::Session};

/// Change the bucket width or the retention of a log
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog admin alter orders.eu --width 5m
  hourlog admin alter orders.eu --retention 30d
  hourlog admin alter orders.eu --retention default

A new width applies to later buckets: from the end of the present bucket, and not before ten minutes from
now. Earlier buckets keep theirs. Events that are no longer kept are removed at the next sweep, by whole
buckets.")]
pub(super) struct Alter {
    /// Log id
    log: LogId,
    /// Width of later buckets, from 1s to 1d
    #[arg(long, value_name = "SPAN", required_unless_present = "retention")]
    width: Option<Width>,
    /// Time to keep events: 12h, 7d, forever, or default for the service's rule
    #[arg(long, value_name = "SPAN")]
    retention: Option<Retention>,
}

impl Alter {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let request = AlterRequest { width: self.width, retention: self.retention };
        let details = session.open().await?.remote.alter(&self.log, &request).await?;
        describe::print(session, details)
    }
}
