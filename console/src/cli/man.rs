//! `man`: manual pages.

use std::path::PathBuf;

use arguments::manual::{self, Section};
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

/// Variables that no flag has.
const VARIABLES: [(&str, &str); 3] = [
    ("NO_COLOR", "No colors, unless --color asks for them."),
    ("TZ", "The system's time zone, if --tz is not given."),
    ("XDG_CONFIG_HOME", "The directory in which nats/context has the contexts; $HOME/.config by default."),
];

impl Man {
    pub(super) fn run(self, session: &Session, command: clap::Command) -> Result<(), Failure> {
        let dir = self.dir.display();
        let written = manual::write(command, &self.dir, Section::Commands, &VARIABLES);
        written.map_err(|source| Failure::write(&dir, source))?;
        session.out.note(&format!("manual pages written to {dir}"));
        Ok(())
    }
}
