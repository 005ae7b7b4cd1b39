//! The severity of an event.

use super::{Field, fields::is_number, words};

/// Limit of the text that is searched for a word such as `ERROR`.
const BYTES_MAX: usize = 4 << 10;

/// A severity, the worst one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Level {
    /// Something failed.
    Error,
    /// Something may fail.
    Warn,
    /// Something happened.
    Info,
    /// Only developers want to know.
    Debug,
}

/// Returns the severity of an event, from its data and the [`fields()`](super::fields()) of it.
///
/// A field such as `level` says it; else a status such as 404; else a word such as `ERROR` in data
/// that is not JSON.
pub(crate) fn level(fields: &[Field<'_>], data: &[u8]) -> Option<Level> {
    let named = || fields.iter().filter(|field| words::is_level(&field.path)).find_map(of_named);
    let status = || fields.iter().filter(|field| words::is_status(&field.path)).filter_map(of_status).min();
    let word = || if is_json_object(data) { None } else { of_text(data) };
    named().or_else(status).or_else(word)
}

fn of_named(field: &Field<'_>) -> Option<Level> {
    if is_number(&field.text) { of_number(field) } else { of_word(&field.text) }
}

fn of_word(word: &str) -> Option<Level> {
    // The longest word is `informational`.
    let mut lower = [0; 13];
    let lower = lower.get_mut(..word.len())?;
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    match &*lower {
        b"error" | b"err" | b"fatal" | b"critical" | b"crit" | b"panic" | b"dpanic" | b"alert" | b"emerg"
        | b"emergency" | b"severe" => Some(Level::Error),
        b"warn" | b"warning" => Some(Level::Warn),
        b"info" | b"information" | b"informational" | b"notice" => Some(Level::Info),
        b"debug" | b"trace" | b"verbose" => Some(Level::Debug),
        _ => None,
    }
}

/// Returns the level of a number: syslog's for a priority, else that of pino and bunyan.
///
/// Numbers have many meanings, so the name must be exact: a `water_level` of 50 is not an error.
fn of_number(field: &Field<'_>) -> Option<Level> {
    let name = words::last_segment(&field.path);
    let number: u8 = field.text.parse().ok()?;
    match (name.eq_ignore_ascii_case("priority"), number) {
        (true, 0..=3) => Some(Level::Error),
        (true, 4) => Some(Level::Warn),
        (true, 5..=6) => Some(Level::Info),
        (true, 7) => Some(Level::Debug),
        (true, _) => None,
        _ if words::last_word(name) != name => None,
        (false, 10..=29) => Some(Level::Debug),
        (false, 30..=39) => Some(Level::Info),
        (false, 40..=49) => Some(Level::Warn),
        (false, 50..=60) => Some(Level::Error),
        (false, _) => None,
    }
}

/// Returns the level of a status of HTTP. Larger codes mean something else.
fn of_status(field: &Field<'_>) -> Option<Level> {
    match field.text.parse::<u16>().ok()? {
        400..=499 => Some(Level::Warn),
        500..=599 => Some(Level::Error),
        _ => None,
    }
}

/// Returns the level of the first word that names one.
fn of_text(data: &[u8]) -> Option<Level> {
    let is_end = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b'_' && byte.is_ascii();
    data[..data.len().min(BYTES_MAX)].split(is_end).find_map(|word| match word {
        b"ERROR" | b"FATAL" | b"panic" | b"panicked" => Some(Level::Error),
        b"WARN" | b"WARNING" => Some(Level::Warn),
        _ => None,
    })
}

pub(super) fn is_json_object(data: &[u8]) -> bool {
    let inside = data.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    inside.is_some_and(|inside| matches!(inside.first(), Some(b'"' | b'}')))
}

#[cfg(test)]
mod tests {
    use super::{super::fields, Level::*, *};

    fn check(cases: &[(&str, Option<Level>)]) {
        for (data, expected) in cases {
            assert_eq!(level(&fields(data.as_bytes()), data.as_bytes()), *expected, "{data}");
        }
    }

    #[test]
    fn a_named_level_is_read_in_every_spelling() {
        check(&[
            (r#"{"level":"error"}"#, Some(Error)),
            (r#"{"Level":"FATAL"}"#, Some(Error)),
            (r#"{"severity":"Critical"}"#, Some(Error)),
            (r#"{"lvl":"crit"}"#, Some(Error)),
            (r#"{"log":{"level":"panic"}}"#, Some(Error)),
            (r#"{"severity":"EMERGENCY"}"#, Some(Error)),
            (r#"{"log_level":"warning"}"#, Some(Warn)),
            (r#"{"level":"notice"}"#, Some(Info)),
            (r#"{"level":"Informational"}"#, Some(Info)),
            (r#"{"level":"trace"}"#, Some(Debug)),
            (r#"{"level":"loud"}"#, None),
            (r#"{"level":"a text that is too long"}"#, None),
            (r#"{"level":"ünfo"}"#, None),
            ("level=warn msg=x", Some(Warn)),
            ("level=\"err\" msg=x", Some(Error)),
        ]);
    }

    #[test]
    fn a_number_is_a_level_only_under_the_exact_name() {
        check(&[
            (r#"{"level":10}"#, Some(Debug)),
            (r#"{"level":20}"#, Some(Debug)),
            (r#"{"level":30}"#, Some(Info)),
            (r#"{"level":40}"#, Some(Warn)),
            (r#"{"level":50}"#, Some(Error)),
            (r#"{"level":60}"#, Some(Error)),
            (r#"{"level":3}"#, None),
            (r#"{"level":70}"#, None),
            (r#"{"level":30.5}"#, None),
            (r#"{"water_level":50}"#, None),
            (r#"{"PRIORITY":"3"}"#, Some(Error)),
            (r#"{"priority":4}"#, Some(Warn)),
            (r#"{"priority":6}"#, Some(Info)),
            (r#"{"priority":7}"#, Some(Debug)),
            (r#"{"priority":30}"#, None),
        ]);
    }

    #[test]
    fn a_status_counts_if_no_level_is_named() {
        check(&[
            (r#"{"status":500}"#, Some(Error)),
            (r#"{"http":{"status_code":"404"}}"#, Some(Warn)),
            (r#"{"statusCode":503,"status":404}"#, Some(Error)),
            (r#"{"status":200}"#, None),
            (r#"{"status":"reviewed"}"#, None),
            (r#"{"zip_code":94000}"#, None),
            (r#"{"exit_code":1}"#, None),
            (r#"{"level":"info","status":500}"#, Some(Info)),
            (r#"{"level":"odd","status":500}"#, Some(Error)),
            ("method=GET status=404", Some(Warn)),
        ]);
    }

    #[test]
    fn a_word_counts_in_data_that_is_not_json() {
        check(&[
            ("10:00 ERROR disk full", Some(Error)),
            ("[FATAL]: disk full", Some(Error)),
            ("panic: runtime error", Some(Error)),
            ("thread 'main' panicked at src/main.rs", Some(Error)),
            ("WARN low on disk, may end in an ERROR", Some(Warn)),
            ("<WARNING>", Some(Warn)),
            ("ERRORS: 0, NO_ERROR, ERROR_COUNT=0, no error", None),
            ("ÜERROR", None),
            ("all is well", None),
            ("", None),
            (r#"{"msg":"ERROR"}"#, None),
            (r#" { "msg" : "ERROR" "#, None),
            ("{ERROR}", Some(Error)),
            ("a=ERROR b=2", Some(Error)),
        ]);
        let late = format!("{}ERROR", "x ".repeat(BYTES_MAX));
        check(&[(&late, None)]);
    }
}
