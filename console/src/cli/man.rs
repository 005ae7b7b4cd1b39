//! `man`: manual pages.

use std::path::PathBuf;

use clap::Args;

use crate::{exit::Failure, session::Session};

/// Write the manual pages to a directory
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog man ~/.local/share/man/man1
  hourlog man pages && man -l pages/hourlog-read.1")]
pub(super) struct Man {
    /// Directory, created if missing
    dir: PathBuf,
}

impl Man {
    pub(super) fn run(self, session: &Session, command: clap::Command) -> Result<(), Failure> {
        let dir = self.dir.display();
        std::fs::create_dir_all(&self.dir).map_err(|source| Failure::write(&dir, source))?;
        clap_mangen::generate_to(command, &self.dir).map_err(|source| Failure::write(&dir, source))?;
        session.out.note(&format!("manual pages written to {dir}"));
        Ok(())
    }
}
