//! `admin`: creates, changes and removes logs. One file per verb.

mod alter;
mod create;
mod delete;
mod purge;
mod removed;
mod requeue;

use clap::{Args, Subcommand};

use crate::{exit::Failure, session::Session};

/// Create, change and remove logs, and send rejected events to their logs again
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog admin create sensors.roof --width 5m --retention 30d
  hourlog admin alter orders.eu --retention 1d
  hourlog admin purge orders.eu --before 2018-02-01 --dry-run
  hourlog admin delete orders.old
  hourlog admin requeue _rejected --since 1h")]
pub(super) struct Admin {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Create(create::Create),
    Alter(alter::Alter),
    Purge(purge::Purge),
    Delete(delete::Delete),
    Requeue(requeue::Requeue),
}

impl Admin {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self.verb {
            Verb::Create(create) => create.run(session).await,
            Verb::Alter(alter) => alter.run(session).await,
            Verb::Purge(purge) => purge.run(session).await,
            Verb::Delete(delete) => delete.run(session).await,
            Verb::Requeue(requeue) => requeue.run(session).await,
        }
    }
}
