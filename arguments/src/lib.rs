//! Flags and environment variables, the same way in both programs.
//!
//! - [`parse`]: an empty variable counts as unset, and an error names the variable that caused it.
//! - [`manual`]: the manual pages.
//! - [`value`], [`source`] and [`default_in_help`]: a setting in use, where it comes from, and without its secrets.

pub mod manual;

use std::ffi::OsString;

use clap::{
    Arg, ArgMatches, Command, Error,
    builder::{Resettable, StyledStr},
    error::{ContextKind, ContextValue},
    parser::ValueSource,
};
use hourlog::nats::without_secrets;

/// The text that stands for a secret.
pub const HIDDEN: &str = "***";

/// Parses a command line and the environment.
///
/// An empty variable counts as unset: compose files and unit files often set one.
///
/// # Errors
/// The errors of clap, including help and version. A mistake in a variable names the variable, since
/// clap names only the flag.
pub fn parse(command: &Command, line: &[OsString]) -> Result<ArgMatches, Error> {
    let command = without_variables(command.clone(), &|variable| {
        variable.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty())
    });
    let mut error = match command.clone().try_get_matches_from(line) {
        Ok(matches) => return Ok(matches),
        Err(error) => error,
    };
    if error.use_stderr()
        && let Some(variable) = cause(&command, line, &error)
    {
        let tip = StyledStr::from(format!("the environment variable {variable} causes this; correct it or unset it"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    Err(error)
}

/// Returns the variable that causes `error`: without it, parsing succeeds or fails differently.
fn cause(command: &Command, line: &[OsString], error: &Error) -> Option<String> {
    variables(command).into_iter().find(|variable| {
        let without = without_variables(command.clone(), &|argument| {
            argument.get_env().is_some_and(|name| name.to_string_lossy() == *variable)
        });
        let what = |error: &Error| (error.kind(), error.get(ContextKind::InvalidArg).map(ToString::to_string));
        without.try_get_matches_from(line).err().as_ref().map(what) != Some(what(error))
    })
}

/// Returns the names of the variables that are set, of a command and its subcommands.
fn variables(command: &Command) -> Vec<String> {
    let own = command.get_arguments().filter_map(Arg::get_env).filter(|name| std::env::var_os(name).is_some());
    let own = own.map(|name| name.to_string_lossy().into_owned());
    own.chain(command.get_subcommands().flat_map(variables)).collect()
}

/// Returns the command and its subcommands without the variables of the arguments that `is_left_out` selects.
fn without_variables(command: Command, is_left_out: &dyn Fn(&Arg) -> bool) -> Command {
    command
        .mut_args(|argument| if is_left_out(&argument) { argument.env(Resettable::Reset) } else { argument })
        .mut_subcommands(|subcommand| without_variables(subcommand, is_left_out))
}

/// Returns the given value of an argument, without secrets. `None` if neither the command line nor
/// the environment gives one.
pub fn value(argument: &Arg, matches: &ArgMatches) -> Option<String> {
    let id = argument.get_id().as_str();
    source(argument, matches)?;
    let values = matches.try_get_raw(id).ok()??;
    let text: Vec<_> = values.map(|value| value.to_string_lossy().into_owned()).collect();
    Some(hide(argument, &text.join(",")))
}

/// Returns the source of an argument's value: its flag or its variable. `None` if it has neither.
pub fn source(argument: &Arg, matches: &ArgMatches) -> Option<String> {
    match matches.value_source(argument.get_id().as_str())? {
        ValueSource::CommandLine => argument.get_long().map(|long| format!("--{long}")),
        ValueSource::EnvVariable => argument.get_env().map(|name| name.to_string_lossy().into_owned()),
        _ => None,
    }
}

/// Returns the value `text` of an argument without its secrets.
///
/// A value that `--help` hides is a secret, except for an address, which may contain one.
pub fn hide(argument: &Arg, text: &str) -> String {
    let is_address = argument.get_value_names().is_some_and(|names| names.iter().any(|name| *name == "URL"));
    match argument.is_hide_env_values_set() {
        true if is_address || text.contains("://") => without_secrets(text),
        true if text.starts_with("file:") || text.starts_with("memory:") => text.to_owned(),
        true => HIDDEN.to_owned(),
        false => text.to_owned(),
    }
}

/// Returns the default of an argument: its own, or the one that its help names as `[default: …]`.
pub fn default_in_help(argument: &Arg) -> Option<String> {
    if let Some(value) = argument.get_default_values().first() {
        return Some(value.to_string_lossy().into_owned());
    }
    let help = argument.get_help()?.to_string();
    let (_, rest) = help.split_once("[default: ")?;
    Some(rest.split_once(']')?.0.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        let secret = Arg::new("password").long("password").env("ARGUMENTS_PASSWORD").hide_env_values(true);
        let server = Arg::new("server").long("server").value_name("URL").hide_env_values(true).help("The server");
        // `PATH` is a variable that every process has.
        let number = Arg::new("number").long("number").env("PATH").value_parser(clap::value_parser!(u16));
        let sub = Command::new("sub").arg(number.clone().help("A number [default: 7 or\n8]."));
        Command::new("test").args([secret, server]).subcommand(sub)
    }

    fn line(text: &str) -> Vec<OsString> {
        std::iter::once("test").chain(text.split_whitespace()).map(OsString::from).collect()
    }

    #[test]
    fn an_error_names_the_variable_that_causes_it() {
        let error = parse(&command(), &line("sub")).expect_err("PATH is not a number").to_string();
        assert!(error.contains("--number") && error.contains("the environment variable PATH"), "{error}");
        assert!(parse(&command(), &line("sub --number 5")).is_ok(), "the variable is not read");
        for typed in ["sub --number x", "sub --unknown"] {
            let error = parse(&command(), &line(typed)).expect_err("the flag is wrong").to_string();
            assert!(!error.contains("the environment variable"), "{typed}: {error}");
        }
    }

    #[test]
    fn a_secret_is_hidden_and_an_address_loses_its_login() {
        let command = command();
        let typed = line("--password s3cret --server nats://me:s3cret@host");
        let matches = parse(&command, &typed).expect("the flags are valid");
        let shown: Vec<_> = command.get_arguments().map(|argument| value(argument, &matches)).collect();
        assert_eq!(shown, [Some(HIDDEN.to_owned()), Some("nats://host".to_owned())]);
        let sources: Vec<_> = command.get_arguments().map(|argument| source(argument, &matches)).collect();
        assert_eq!(sources, [Some("--password".to_owned()), Some("--server".to_owned())]);
        let matches = parse(&command, &line("")).expect("nothing is required");
        assert!(command.get_arguments().all(|argument| value(argument, &matches).is_none()));
    }

    #[test]
    fn a_default_is_found_in_the_help() {
        let command = command();
        let number = command.get_subcommands().flat_map(Command::get_arguments).next().expect("there is one");
        assert_eq!(default_in_help(number).as_deref(), Some("7 or 8"));
        assert_eq!(default_in_help(&Arg::new("x").default_value("5s")).as_deref(), Some("5s"));
    }
}
