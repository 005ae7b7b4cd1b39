//! `completions`: shell completion, with the names of logs and contexts as they are now.
//!
//! The script of a shell runs this program with the words that were typed. `candidates` asks the service,
//! `bash` is the adapter for a shell that splits words at colons.

mod bash;
mod candidates;

use std::{ffi::OsString, io::Write};

use clap::{Args, CommandFactory, FromArgMatches, ValueEnum};
use clap_complete::env::EnvCompleter;

use crate::{connect::Connect, exit::Failure, session::Session};

use super::Cli;

/// Set by the script of a shell, to the name of the shell.
const VARIABLE: &str = "HOURLOG_COMPLETE";
/// The program that a script calls: the one that is found then, also after an update.
const PROGRAM: &str = "hourlog";

/// Print a completion script for a shell
///
/// Completes commands, flags, files, contexts, and the names of logs: it asks the service, for at most 300 ms.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  source <(hourlog completions bash)             in ~/.bashrc
  source <(hourlog completions zsh)              in ~/.zshrc
  hourlog completions fish | source              in ~/.config/fish/config.fish

The server, context and login are those that stand on the line already, or else those of the environment. A name that
a shell would have to quote is not offered in bash. After an update, write a script that
you keep in a file again.")]
pub(super) struct Completions {
    /// Shell
    shell: Shell,
}

/// A shell with completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// Bash
    Bash,
    /// Elvish
    Elvish,
    /// Fish
    Fish,
    /// PowerShell
    Powershell,
    /// Zsh
    Zsh,
}

impl Shell {
    fn completer(self) -> Box<dyn EnvCompleter> {
        use clap_complete::env::{Elvish, Fish, Powershell, Zsh};
        match self {
            Self::Bash => Box::new(bash::Bash),
            Self::Elvish => Box::new(Elvish),
            Self::Fish => Box::new(Fish),
            Self::Powershell => Box::new(Powershell),
            Self::Zsh => Box::new(Zsh),
        }
    }
}

impl Completions {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        let mut script = Vec::new();
        let written = self.shell.completer().write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script);
        written.map_err(Failure::output)?;
        session.out.write(&script)
    }
}

/// Completes a command line if the script of a shell has asked for it. Returns true if it has.
///
/// Prints nothing if there is no candidate: an error would stand in the line that is being typed.
pub(super) fn complete() -> bool {
    let Some(name) = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()) else { return false };
    let shell = name.to_str().and_then(|name| Shell::from_str(name, true).ok());
    let words: Vec<OsString> = std::env::args_os().skip(1).skip_while(|word| word != "--").skip(1).collect();
    let words = if shell == Some(Shell::Bash) { bash::words() } else { Some(words) };
    if let Some((shell, words)) = shell.zip(words).filter(|(_, words)| !words.is_empty()) {
        let mut command = candidates::with_candidates(Cli::command(), connect(&words));
        let mut text = Vec::new();
        let directory = std::env::current_dir().ok();
        // A line that cannot be completed has no candidates.
        if shell.completer().write_complete(&mut command, words, directory.as_deref(), &mut text).is_ok() {
            // If nobody reads the candidates, nobody needs them.
            let _ = std::io::stdout().write_all(&text);
        }
    }
    true
}

/// Returns the connection that the words before the last one and the environment name.
fn connect(words: &[OsString]) -> Option<Connect> {
    let (_, before) = words.split_last()?;
    let matches = arguments::parse(&Cli::command().ignore_errors(true), before).ok()?;
    let mut connect = Connect::from_arg_matches(&matches).ok()?;
    connect.note_typed(&matches);
    Some(connect)
}
