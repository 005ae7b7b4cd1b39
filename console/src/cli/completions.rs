//! `completions`: shell completion scripts.

use clap::Args;
use clap_complete::Shell;

use crate::{exit::Failure, session::Session};

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog completions bash > ~/.local/share/bash-completion/completions/hourlog
  hourlog completions fish > ~/.config/fish/completions/hourlog.fish")]
pub(super) struct Completions {
    /// Shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, session: &Session, command: &mut clap::Command) -> Result<(), Failure> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, command, "hourlog", &mut text);
        session.out.write(&text)
    }
}
