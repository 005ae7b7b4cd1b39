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
    let line = text.lines().nth(number - 1).unwrap_or_default().trim_start();
    let command = Options::command();
    let mut secrets = command.get_arguments().filter(|argument| argument.is_hide_env_values_set());
    // The message may quote the value.
    if secrets.any(|argument| line.starts_with(&argument.get_id().as_str().replace('_', "-"))) {
        return format!("line {number}: the value cannot be read; write it as text, in quotes");
    }
    format!("line {number}: {}", error.message())
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
            ("prefix = 53", "line 1: invalid type"),
            ("migrate = true\nstroe = \"memory:\"", "stroe"),
        ] {
            let error = toml::from_str::<Options>(text).expect_err("the text is not valid");
            let shown = explain(text, &error);
            assert!(shown.contains(expected) && !shown.contains("s3cret"), "{text:?}: {shown}");
        }
    }
}
