//! The adapter for bash, which splits words at colons: `nats://host` and `dev.4c:65` are several to it.
//!
//! So its script passes the line up to the cursor as it is, and what bash takes for the last word.

use std::{
    ffi::OsString,
    io::{self, Write},
    path::Path,
};

use clap::Command;
use clap_complete::{engine, env::EnvCompleter};

use crate::shell::quoted;

/// The line up to the cursor.
const LINE: &str = "HOURLOG_COMPLETE_LINE";
/// The part of its last word that bash replaces by a candidate.
const REPLACED: &str = "HOURLOG_COMPLETE_WORD";

/// The names between `@` are replaced. Bash 3, as on macOS, has no `mapfile` and no `nosort`.
const SCRIPT: &str = r#"_hourlog_complete() {
    COMPREPLY=()
    local candidate
    while IFS= read -r candidate; do
        COMPREPLY+=("$candidate")
    done < <(@VARIABLE@=bash @LINE@="${COMP_LINE:0:COMP_POINT}" @REPLACED@="$2" @PROGRAM@ 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o nosort -o bashdefault -F _hourlog_complete @PROGRAM@ 2>/dev/null ||
    complete -o bashdefault -F _hourlog_complete @PROGRAM@
"#;

/// The adapter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bash;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == self.name()
    }

    fn write_registration(
        &self,
        var: &str,
        _name: &str,
        bin: &str,
        _completer: &str,
        buf: &mut dyn Write,
    ) -> io::Result<()> {
        let names = [("@VARIABLE@", var), ("@REPLACED@", REPLACED), ("@LINE@", LINE), ("@PROGRAM@", bin)];
        let script = names.into_iter().fold(SCRIPT.to_owned(), |script, (name, text)| script.replace(name, text));
        buf.write_all(script.as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        directory: Option<&Path>,
        buf: &mut dyn Write,
    ) -> io::Result<()> {
        let typed = words.last().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
        let replaced = std::env::var(REPLACED).unwrap_or_default();
        let index = words.len() - 1;
        for candidate in engine::complete(command, words, index, directory)? {
            if let Some(text) = candidate.get_value().to_str().and_then(|value| inserted(value, &typed, &replaced)) {
                writeln!(buf, "{text}")?;
            }
        }
        Ok(())
    }
}

/// Returns the words of the line up to the cursor; `None` if a quote is open.
pub(super) fn words() -> Option<Vec<OsString>> {
    split(&std::env::var(LINE).ok()?)
}

fn split(line: &str) -> Option<Vec<OsString>> {
    let mut words = shlex::split(line)?;
    // A word that is not begun yet.
    if line.ends_with(char::is_whitespace) {
        words.push(String::new());
    }
    Some(words.into_iter().map(OsString::from).collect())
}

/// Returns what bash is to insert in place of `replaced`, the end of the word `typed`.
///
/// Bash inserts it as it is, so a text that it would interpret is not offered: an id may hold `$(…)`.
fn inserted<'a>(value: &'a str, typed: &str, replaced: &str) -> Option<&'a str> {
    let kept = typed.strip_suffix(replaced)?;
    Some(value).filter(|value| quoted(value) == *value)?.strip_prefix(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_as_the_shell_would_without_colons() {
        for (line, expected) in [
            (
                "hourlog -s nats://127.0.0.1:4222 read dev.4c:",
                &["hourlog", "-s", "nats://127.0.0.1:4222", "read", "dev.4c:"][..],
            ),
            ("hourlog read ", &["hourlog", "read", ""]),
            ("hourlog read --since '2h ago' o", &["hourlog", "read", "--since", "2h ago", "o"]),
        ] {
            assert_eq!(split(line).expect("no quote is open"), expected, "{line}");
        }
        assert_eq!(split("hourlog read 'o"), None);
    }

    #[test]
    fn bash_gets_what_it_replaces_and_nothing_that_it_interprets() {
        for (value, typed, replaced, expected) in [
            ("orders.eu", "ord", "ord", Some("orders.eu")),
            ("dev.4c:65:a8", "dev.4c:6", "6", Some("65:a8")),
            ("dev.4c:65:a8", "dev.4c:", "", Some("65:a8")),
            ("a$(reboot)", "a", "a", None),
            ("a;b", "a", "a", None),
            ("pay\u{200b}pal", "p", "p", None),
            ("orders.eu", "ord", "'ord", None),
        ] {
            assert_eq!(inserted(value, typed, replaced), expected, "{value}");
        }
    }
}
