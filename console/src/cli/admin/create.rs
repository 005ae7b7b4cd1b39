//! `admin create`: a log before its first event.

use clap::Args;
use hourlog::{
    LogId,
    store::Width,
    wire::{CreateRequest, Retention},
};

use crate::{cli::describe, exit::Failure, session::Session};

/// Create a log before its first event, with its own bucket width and retention
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog admin create sensors.roof --width 5m
  hourlog admin create debug.trace --retention 7d")]
pub(super) struct Create {
    /// Log id
    log: LogId,
    /// Width of its buckets, from 1s to 1d [default: the service's rule, or 1h]
    #[arg(long, value_name = "SPAN")]
    width: Option<Width>,
    /// Time to keep events: 12h, 7d, forever, or default for the service's rule [default: default]
    #[arg(long, value_name = "SPAN")]
    retention: Option<Retention>,
}

impl Create {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let request = CreateRequest { width: self.width, retention: self.retention };
        let details = session.open().await?.remote.create(&self.log, &request).await?;
        describe::print(session, details)
    }
}
