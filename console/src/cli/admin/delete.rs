//! `admin delete`: removes a log, once the user has confirmed it.

use std::io::IsTerminal;

use clap::Args;
use hourlog::{Error, ErrorKind, LogId, wire::DeleteRequest};

use crate::{exit::Failure, session::Session};

use super::removed;

/// Remove a log with all of its events, settings and cursors
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog admin delete orders.old --dry-run
  hourlog admin delete orders.old
  hourlog admin delete orders.old --yes

On a terminal, the id has to be typed again. The next event of a deleted log creates it again, without
anything of the old one.")]
pub(super) struct Delete {
    /// Log id
    log: LogId,
    /// Count what would be removed, and remove nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

impl Delete {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let asks = !self.dry_run && !self.yes;
        if asks && !std::io::stdin().is_terminal() {
            return Err(refused(format!(
                "deleting {} cannot be undone and there is no terminal to confirm it on; add --yes, or --dry-run to count",
                self.log
            )));
        }
        let remote = session.open().await?.remote;
        if asks {
            let would = remote.delete(&self.log, &DeleteRequest { dry_run: true }).await?;
            session.out.ask(&removed::sentence(session, &would));
            session.out.ask(&format!("type {} to delete it:", self.log));
            let typed = tokio::task::spawn_blocking(|| {
                let mut line = String::new();
                std::io::stdin().read_line(&mut line).map(|_| line)
            });
            let typed = typed.await.map_err(|error| Failure::read("the terminal", std::io::Error::other(error)))?;
            if !confirms(&typed.map_err(|error| Failure::read("the terminal", error))?, &self.log) {
                return Err(refused(format!("{} was not typed; nothing is deleted", self.log)));
            }
        }
        let reply = remote.delete(&self.log, &DeleteRequest { dry_run: self.dry_run }).await?;
        removed::print(session, &reply)
    }
}

/// Returns true if the typed line is the id.
fn confirms(typed: &str, log: &LogId) -> bool {
    typed.trim() == log.as_str()
}

fn refused(context: String) -> Failure {
    Error::new(ErrorKind::Refused, context).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_id_confirms() {
        let log: LogId = "orders.eu".parse().expect("a valid id");
        for (typed, expected) in [("orders.eu\n", true), (" orders.eu \r\n", true), ("y\n", false), ("", false)] {
            assert_eq!(confirms(typed, &log), expected, "{typed:?}");
        }
        assert!(!confirms("orders", &log));
    }
}
