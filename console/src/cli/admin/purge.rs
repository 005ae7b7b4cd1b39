//! `admin purge`: removes old events.

use clap::Args;
use hourlog::{LogId, wire::PurgeRequest};

use crate::{exit::Failure, session::Session};

use super::removed;

/// Remove the events of a log before a time, by whole buckets
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog admin purge orders.eu --before 2018-02-01 --dry-run
  hourlog admin purge orders.eu --before 30d
  hourlog admin purge _rejected --before now

Only buckets that end at or before the time are removed. The bucket that the time lies in is kept with all
of its events, also the earlier ones; the answer says from when events are kept. What is imported later
is kept.")]
pub(super) struct Purge {
    /// Log id
    log: LogId,
    /// Time before which events are removed
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    before: String,
    /// Count what would be removed, and remove nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl Purge {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let before = session.moment("--before", Some(&self.before)).await?;
        let before = before.ok_or_else(|| Failure::usage("--before: give a time"))?.into();
        let request = PurgeRequest { before, dry_run: self.dry_run };
        let reply = session.open().await?.remote.purge(&self.log, &request).await?;
        removed::print(session, &reply)
    }
}
