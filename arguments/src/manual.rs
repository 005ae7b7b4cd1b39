//! Manual pages: those of clap, and a section with the environment variables.

use std::{fs, io, path::Path};

use clap::{Arg, Command};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

/// A section of the manual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Programs that people run.
    Commands,
    /// Services, and what their operators run.
    Daemons,
}

impl Section {
    fn number(self) -> &'static str {
        match self {
            Self::Commands => "1",
            Self::Daemons => "8",
        }
    }
}

/// Writes the pages of a command and its subcommands to `directory`, which is created if it is missing.
/// `variables` are names that no argument has, each with what it does.
///
/// # Errors
/// Those of the file system.
pub fn write(command: Command, directory: &Path, section: Section, variables: &[(&str, &str)]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    write_pages(&command, directory, section, variables)
}

fn write_pages(command: &Command, directory: &Path, section: Section, variables: &[(&str, &str)]) -> io::Result<()> {
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        write_pages(subcommand, directory, section, variables)?;
    }
    let man = Man::new(command.clone()).section(section.number());
    let mut page = Vec::new();
    man.render(&mut page)?;
    environment(command, variables).to_writer(&mut page)?;
    fs::write(directory.join(man.get_filename()), page)
}

/// Returns the section with the variables of a command.
fn environment(command: &Command, others: &[(&str, &str)]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["ENVIRONMENT"]);
    roff.text([roman("A flag wins over its variable. An empty variable counts as unset.")]);
    let mut entry = |name: &str, text: &str| {
        roff.control("TP", []);
        roff.text([bold(name)]);
        roff.text([roman(text)]);
    };
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        if let Some(name) = argument.get_env() {
            entry(&name.to_string_lossy(), &format!("The same as {}.", flag(argument)));
        }
    }
    for (name, text) in others {
        entry(name, text);
    }
    roff
}

/// Returns the flag of an argument, or the name of its value.
fn flag(argument: &Arg) -> String {
    match argument.get_long() {
        Some(long) => format!("--{long}"),
        None => argument.get_id().as_str().to_uppercase(),
    }
}
