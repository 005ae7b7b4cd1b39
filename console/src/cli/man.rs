//! `man`: the manual's pages.

use std::path::PathBuf;

use clap::Args;

use crate::{exit::Failure, session::Session};

/// Write manual pages into a directory
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog man ~/.local/share/man/man1")]
pub(super) struct Man {
    /// The directory; it is made if it is not there
    dir: PathBuf,
}

impl Man {
    pub(super) fn run(self, session: &Session, command: clap::Command) -> Result<(), Failure> {
        let failed = |source| Failure::Io { context: format!("{} cannot be written", self.dir.display()), source };
        std::fs::create_dir_all(&self.dir).map_err(failed)?;
        clap_mangen::generate_to(command, &self.dir).map_err(failed)?;
        session.out.note(&format!("manual pages are in {}", self.dir.display()));
        Ok(())
    }
}
