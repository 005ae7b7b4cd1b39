//! Traces: where they go, and how an error reads in them.

use std::io::{self, IsTerminal, Write};

/// The default filter: the service's own traces.
///
/// The driver of the database traces every warning of the server, and each attempt to reconnect:
/// four lines a second during an outage. What matters of it is an error of a request.
const DEFAULT_FILTER: &str = "info,async_nats=warn,fjall=warn,lsm_tree=warn,scylla=off";

/// Starts tracing to standard error, with colors on a terminal and without them elsewhere.
///
/// Takes the filter from `RUST_LOG` if `filter` is `None`.
pub fn init(filter: Option<&str>) {
    use tracing_subscriber::EnvFilter;
    let from_variable = || std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|value| !value.is_empty());
    let filter = filter.map(str::to_owned).or_else(from_variable);
    let parsed = filter.as_deref().map(EnvFilter::try_new).transpose();
    let is_wrong = parsed.is_err();
    let filter_in_use = parsed.ok().flatten().unwrap_or_else(|| EnvFilter::new(DEFAULT_FILTER));
    let traces = tracing_subscriber::fmt().with_env_filter(filter_in_use).with_writer(|| VisibleText(io::stderr()));
    // A subscriber that is set already (a test's) stays.
    let _ = if io::stderr().is_terminal() { traces.try_init() } else { traces.with_ansi(false).try_init() };
    if is_wrong {
        tracing::warn!(filter, "this filter, of RUST_LOG or the configuration file, cannot be used; using the default");
    }
}

/// Writes lines with invisible characters as `\u{202e}`. The ids of logs and what a message holds may
/// contain some, which would hide or reorder the text of a trace.
///
/// The subscriber has escaped control characters already, except those of its own colors.
struct VisibleText<W>(W);

impl<W: Write> Write for VisibleText<W> {
    /// Writes all of `bytes`, which are whole lines.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(bytes) {
            Ok(line) if !line.is_ascii() => self.0.write_all(visible(line).as_bytes())?,
            _ => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Returns `line` with its invisible characters escaped.
pub(crate) fn visible(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for character in line.chars() {
        match character.is_ascii() {
            true => text.push(character),
            false => text.extend(character.escape_debug()),
        }
    }
    text
}

/// Checks a trace filter.
///
/// # Errors
/// A sentence about the directive that cannot be used.
pub(crate) fn parse_filter(text: &str) -> Result<String, String> {
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}; write a filter such as hourlogd=debug")),
    }
}

/// Returns an error and all of its causes as one sentence.
pub(crate) fn sentence(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    std::iter::once(error.to_string()).chain(causes.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_made_visible() {
        let mut out = Vec::new();
        let line = "\x1b[32mINFO\x1b[0m log created log=gnp\u{202e}.é.日本.pay\u{200b}pal\n";
        VisibleText(&mut out).write_all(line.as_bytes()).expect("memory accepts everything");
        let expected = "\x1b[32mINFO\x1b[0m log created log=gnp\\u{202e}.é.日本.pay\\u{200b}pal\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}
