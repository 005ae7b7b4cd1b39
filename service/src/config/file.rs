//! The configuration file, and errors that show no secret of it.

use std::path::Path;

use clap::CommandFactory;
use hourlog::{Error, Result};

use super::Options;

/// Reads the options in the file.
pub(super) fn options(path: &Path) -> Result<Options> {
    let text = read(path)?;
    toml::from_str(&text).map_err(|error| unusable(path, &explain(&text, &error)))
}

/// Reads the file as a table.
pub(super) fn table(path: &Path) -> Result<toml::Table> {
    let text = read(path)?;
    text.parse().map_err(|error| unusable(path, &explain(&text, &error)))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| unusable(path, &error.to_string()))
}

fn unusable(path: &Path, cause: &str) -> Error {
    Error::invalid(format!("cannot use the configuration file {}: {cause}", path.display()))
}

/// Explains an error without the line of the file, which may hold a secret.
fn explain(text: &str, error: &toml::de::Error) -> String {
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else {
        return error.message().to_owned();
    };
    let number = before.lines().count().max(1);
    // The message may quote the value.
    if is_secret(text, number) {
        return format!("line {number}: the value cannot be read; write it as text, in quotes");
    }
    format!("line {number}: {}", error.message())
}

/// Returns true if the line `number` of the file belongs to a secret, however broken the line is.
///
/// A value may go on for several lines: the setting is named in the last line before that names any.
fn is_secret(text: &str, number: usize) -> bool {
    let lines: Vec<&str> = text.lines().take(number).collect();
    let first_of_value = lines.iter().rposition(|line| line.contains('=')).unwrap_or_default();
    let command = Options::command();
    let secrets = command.get_arguments().filter(|argument| argument.is_hide_env_values_set());
    let names: Vec<String> = secrets.map(|argument| argument.get_id().as_str().replace('_', "-")).collect();
    let is_secret = |line: &str| {
        let line = line.to_lowercase().replace('_', "-");
        let key = line.split('=').next().unwrap_or_default();
        let word = key.trim_matches(|character: char| !character.is_alphanumeric());
        let is_named = names.iter().any(|name| word.split([' ', ':', '.']).any(|part| part.trim_matches('"') == name));
        // A misspelled name, or another one's setting, names a secret as well.
        is_named || ["pass", "token", "secret", "://"].iter().any(|part| line.contains(part))
    };
    lines.get(first_of_value..).unwrap_or_default().iter().any(|line| is_secret(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_file_is_explained_by_its_line_and_without_a_secret() {
        for (text, expected) in [
            ("prefix = \"a\"\npassword = s3cret", "line 2: the value"),
            ("\n\n  nats = nats://me:s3cret@host", "line 3: the value"),
            ("store-password = \"s3cret", "line 1: the value"),
            ("token = 53", "line 1: the value"),
            ("\"password\" = s3cret", "line 1: the value"),
            ("'password' = [\"s3cret\"]", "line 1: the value"),
            ("password \"s3cret\"", "line 1: the value"),
            ("password: s3cret", "line 1: the value"),
            ("password = \"\"\"\ns3cret\n", "the value"),
            ("password = [\n  \"s3cret\",\n]", "the value"),
            ("store_password = { a = \"s3cret\" }", "line 1: the value"),
            ("passwd = s3cret", "line 1: the value"),
            ("login.password = s3cret", "line 1: the value"),
            ("wal-replicas = 1\nPassword = 's3cret", "line 2: the value"),
            ("prefix = 53", "line 1: invalid type"),
            ("migrate = true\nstroe = \"memory:\"", "stroe"),
        ] {
            let error = toml::from_str::<Options>(text).expect_err("the text is not valid");
            let shown = explain(text, &error);
            assert!(shown.contains(expected) && !shown.contains("s3cret"), "{text:?}: {shown}");
        }
    }
}
