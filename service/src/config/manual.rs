//! `man`: writes the manual pages.

use std::{io, path::PathBuf};

use arguments::manual::{self, Section};
use clap::{Arg, ArgMatches, Command, builder::PathBufValueParser};

const NAME: &str = "man";
const DIRECTORY: &str = "dir";
/// Variables that no flag has.
const VARIABLES: [(&str, &str); 1] =
    [("RUST_LOG", "Trace filter, such as hourlogd=debug, if HOURLOG_TRACE is not set.")];

/// Adds the subcommand.
pub(super) fn with_subcommand(command: Command) -> Command {
    let directory = Arg::new(DIRECTORY).value_name("DIR").required(true).value_parser(PathBufValueParser::new());
    let man = Command::new(NAME).about("Write the manual pages to a directory.");
    command.subcommand(man.arg(directory.help("Directory, created if missing.")))
}

/// Writes the manual pages if the command line asks for them.
pub(super) fn requested(command: &Command, matches: &ArgMatches) -> Option<io::Result<()>> {
    let directory: &PathBuf = matches.subcommand_matches(NAME)?.get_one(DIRECTORY)?;
    Some(manual::write(command.clone(), directory, Section::Daemons, &VARIABLES))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::Options;

    #[test]
    fn the_manual_pages_name_every_variable() {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let command = with_subcommand(Options::command());
        let path = directory.path().join("pages");
        let line = ["hourlogd", "man", path.to_str().expect("the path is UTF-8")];
        let matches = command.clone().try_get_matches_from(line).expect("the line is valid");
        requested(&command, &matches).expect("it is asked for").expect("the pages can be written");
        let page = std::fs::read_to_string(path.join("hourlogd.8")).expect("the page was written");
        let (_, section) = page.split_once(".SH ENVIRONMENT").expect("there is the section");
        for variable in command.get_arguments().filter_map(Arg::get_env).map(|name| name.to_string_lossy()) {
            assert!(section.contains(&*variable), "{variable} is missing");
        }
        assert!(section.contains("RUST_LOG"), "{section}");
        assert!(path.join("hourlogd-man.8").exists());
    }
}
