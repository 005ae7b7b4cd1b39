//! Commands for people to paste into a shell.
//!
//! A log id may hold characters that a shell interprets, and invisible ones that a terminal would
//! hide or reorder.

use std::{borrow::Cow, fmt::Write};

use hourlog::LogId;

use crate::sanitize::sanitize;

/// Returns `text` as one word for a POSIX shell. Invisible characters are written `$'\u202e'`, as
/// bash, zsh and ksh read them, so that a pasted command does what the screen shows.
pub(crate) fn quoted(text: &str) -> Cow<'_, str> {
    if let Cow::Borrowed(visible) = sanitize(text)
        && let Ok(word) = shlex::try_quote(visible)
    {
        return word;
    }
    let mut word = "$'".to_owned();
    for character in text.chars() {
        match character {
            '\'' | '\\' => word.extend(['\\', character]),
            ' '..='~' => word.push(character),
            _ => write!(word, "\\U{:08x}", u32::from(character)).expect("writing to a String never fails"),
        }
    }
    word.push('\'');
    word.into()
}

/// Returns the command `hourlog VERB LOG`. `options` and `arguments`, if there are any, begin with a
/// blank.
pub(crate) fn command(verb: &str, options: &str, log: &LogId, arguments: &str) -> String {
    let id = quoted(log.as_str());
    if id.starts_with('-') {
        // Only what follows two dashes is certainly not an option.
        format!("hourlog {verb}{options} -- {id}{arguments}")
    } else {
        format!("hourlog {verb} {id}{options}{arguments}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_a_quoted_text_unchanged() {
        for text in [
            "orders.eu",
            "dev.4c:65:a8",
            "a'b",
            "a\"b$HOME`id`",
            "a;b&c|d<e(f)",
            "a\\b!c#d~e{f}?[g]",
            "log.é",
            "日本.🌋",
            "pay\u{200b}pal.\u{202e}it's\\",
            "e\u{301}",
            "-rf",
        ] {
            let word = quoted(text);
            assert_eq!(sanitize(&word), word, "{word} would be shown in another way");
            let script = format!("printf %s {word}");
            let bash = std::process::Command::new("bash").env("LC_ALL", "C.UTF-8").args(["-c", &script]).output();
            assert_eq!(String::from_utf8_lossy(&bash.expect("bash can be started").stdout), text, "{word}");
        }
    }

    #[test]
    fn a_command_is_readable_and_an_id_is_never_an_option() {
        let command = |id: &str| command("read", " --limit 1", &id.parse().expect("a valid id"), " x");
        assert_eq!(command("orders.eu"), "hourlog read orders.eu --limit 1 x");
        assert_eq!(command("a;b"), "hourlog read 'a;b' --limit 1 x");
        assert_eq!(command("-f"), "hourlog read --limit 1 -- -f x");
        assert_eq!(command("a\u{202e}"), "hourlog read $'a\\U0000202e' --limit 1 x");
    }
}
