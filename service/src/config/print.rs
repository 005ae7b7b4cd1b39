//! `--print-config` and `--config-template`: the settings in use, and a configuration file to fill in.

use clap::{Arg, ArgAction, ArgMatches, Command};
use hourlog::Result;

use super::{Options, file};

const SETTINGS: &str = "print-config";
const TEMPLATE: &str = "config-template";
/// Columns of a comment in the template.
const COLUMNS: usize = 98;

/// Adds the flags that print something instead of starting the service.
pub(super) fn with_flags(command: Command) -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    command
        .arg(flag(SETTINGS, "Print the settings in use and the source of each, without secrets, and exit"))
        .arg(flag(TEMPLATE, "Print a configuration file with all settings as comments, and exit"))
}

/// Returns the text that the command line asks for, if it does.
pub(super) fn requested(command: &Command, matches: &ArgMatches, options: &Options) -> Result<Option<String>> {
    if matches.get_flag(TEMPLATE) {
        return Ok(Some(template(command)));
    }
    matches.get_flag(SETTINGS).then(|| settings(command, matches, options)).transpose()
}

/// Returns the arguments that are settings.
fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    let others = ["config", "help", "version", SETTINGS, TEMPLATE];
    command.get_arguments().filter(move |argument| !others.contains(&argument.get_id().as_str()))
}

/// Returns the name of a setting in the file.
fn key(argument: &Arg) -> String {
    match argument.get_id().as_str() {
        // In the file, each source is a table: [[source]].
        "sources" => "source".to_owned(),
        id => id.replace('_', "-"),
    }
}

/// Returns a configuration file that has every setting as a comment.
fn template(command: &Command) -> String {
    let mut text = String::from("# Settings of hourlogd. Flags and HOURLOG_* variables override this file.\n");
    for argument in arguments(command) {
        text.push('\n');
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let mut line = String::from("#");
        for word in help.split_whitespace() {
            if line.len() + word.len() >= COLUMNS {
                text.push_str(&std::mem::replace(&mut line, String::from("#")));
                text.push('\n');
            }
            line.push(' ');
            line.push_str(word);
        }
        text.push_str(&line);
        let name = argument.get_value_names().and_then(<[_]>::first).map(ToString::to_string).unwrap_or_default();
        let value = match argument.get_action() {
            _ if key(argument) == "source" => r#"[{ stream = "STREAM", logs = ["PATTERN"] }]"#.to_owned(),
            ArgAction::SetTrue => "true".to_owned(),
            ArgAction::Append => format!("[{name:?}]"),
            _ => format!("{name:?}"),
        };
        text.push_str(&format!("\n#{} = {value}\n", key(argument)));
    }
    text
}

/// Returns a table of the settings in use. The login shows only what is used.
fn settings(command: &Command, matches: &ArgMatches, options: &Options) -> Result<String> {
    let table = options.config.as_deref().map(file::table).transpose()?.unwrap_or_default();
    let complete = options.clone().with_file()?.login();
    let is_unused = |id: &str| match id {
        "user" => complete.user.is_none(),
        "password" => complete.password.is_none(),
        "token" => complete.token.is_none(),
        "creds" => complete.creds.is_none(),
        "nkey" => complete.nkey.is_none(),
        _ => false,
    };
    let mut rows = Vec::new();
    for argument in arguments(command).filter(|argument| !is_unused(argument.get_id().as_str())) {
        let aliases = argument.get_visible_aliases().unwrap_or_default();
        let keys = std::iter::once(key(argument)).chain(aliases.iter().map(ToString::to_string));
        let in_file = keys.into_iter().find_map(|key| table.get(&key));
        let given = arguments::value(argument, matches).zip(arguments::source(argument, matches));
        let (value, source) = match (given, in_file, &options.config) {
            (Some(given), ..) => given,
            (None, Some(value), Some(path)) => (file_value(argument, value), path.display().to_string()),
            _ => (arguments::default_in_help(argument).unwrap_or_else(|| "-".to_owned()), "default".to_owned()),
        };
        rows.push([key(argument), value, source]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths = [width(0), width(1)];
    let lines = rows.iter().map(|[name, value, source]| {
        let (name_width, value_width) = (widths[0], widths[1]);
        format!("{name:name_width$}  {value:value_width$}  {source}\n")
    });
    Ok(lines.collect())
}

fn file_value(argument: &Arg, value: &toml::Value) -> String {
    let text = match value {
        toml::Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    arguments::hide(argument, &text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_template_has_every_setting_of_the_file_under_its_name() {
        let command = Options::command();
        let text = template(&command);
        assert!(text.parse::<toml::Table>().expect("comments are valid").is_empty());
        let set = text.lines().filter_map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' ')));
        let set: Vec<_> = set.collect();
        assert_eq!(set.len(), arguments(&command).count());
        for line in set {
            line.parse::<toml::Table>().unwrap_or_else(|error| panic!("{line}: {error}"));
            // A placeholder such as "BYTES" is not a value, but its key is known.
            if let Err(error) = toml::from_str::<Options>(line) {
                assert!(!error.message().contains("unknown field"), "{error}");
            }
        }
        let longest = text.lines().map(str::len).max();
        assert!(longest <= Some(COLUMNS), "{longest:?}");
    }

    #[test]
    fn the_settings_in_use_are_shown_with_their_sources_and_without_secrets() {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let path = directory.path().join("hourlog.toml");
        let text =
            "nats = \"nats://me:s3cret@host\"\nstore = \"cql://me:s3cret@db/k\"\nidle = \"2m\"\ntoken = \"s3cret\"";
        std::fs::write(&path, text).expect("the file can be written");
        let path = path.to_str().expect("the path is UTF-8");
        let command = with_flags(Options::command());
        let line = ["hourlogd", "--print-config", "--config", path, "--user", "you", "--password", "s3cret"];
        let matches = command.clone().try_get_matches_from(line).expect("the flags are valid");
        let options = <Options as clap::FromArgMatches>::from_arg_matches(&matches).expect("the flags are valid");
        let shown = requested(&command, &matches, &options).expect("the file is valid").expect("it is asked for");
        let rows: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        for row in [
            ["nats", "nats://host", path],
            ["store", "cql://db/k", path],
            ["idle-seconds", "2m", path],
            ["user", "you", "--user"],
            ["password", "***", "--password"],
            ["stream", "HOURLOG", "default"],
        ] {
            assert!(rows.contains(&row.to_vec()), "{row:?} is not in\n{shown}");
        }
        assert!(!shown.contains("s3cret") && !shown.contains("token"), "{shown}");
    }
}
