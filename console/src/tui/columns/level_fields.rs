//! The fields that tell the severity of a log's events, and the expressions with which the service finds a severity.

use std::collections::BTreeSet;

use crate::tui::json::{self, Segment};

use super::{
    Level, fields,
    level::{is_json_object, level},
    words,
};

/// Limit of the fields in an expression. Objects with more of them are maps with data for keys.
const FIELDS_MAX: usize = 4;
/// Words of each severity, as a regular expression.
const WORDS: [(Level, &str); 4] = [
    (Level::Error, "error|err|fatal|critical|crit|panic|dpanic|alert|emerg|emergency|severe"),
    (Level::Warn, "warn|warning"),
    (Level::Info, "info|information|informational|notice"),
    (Level::Debug, "debug|trace|verbose"),
];

/// The fields of a sample that tell the severity of its events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LevelFields {
    /// Paths of the fields that are named after a severity.
    named: BTreeSet<String>,
    /// Paths of the statuses of HTTP.
    statuses: BTreeSet<String>,
    /// In some events, which are not JSON, a word or a field of logfmt tells it.
    has_text: bool,
    /// An event of the sample has a severity.
    any: bool,
}

impl LevelFields {
    /// Returns the fields of a sample of events.
    pub(crate) fn of<'a>(sample: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut known = Self::default();
        for data in sample {
            let fields = fields(data);
            if level(&fields, data).is_none() {
                continue;
            }
            known.any = true;
            if !is_json_object(data) {
                known.has_text = true;
                continue;
            }
            for field in &fields {
                let (is_level, is_status) = (words::is_level(&field.path), words::is_status(&field.path));
                let is_odd = || access(&field.path).contains('[') || is_one_key(&field.path, data);
                if (is_level || is_status) && is_odd() {
                    // An expression cannot ask whether a field with such a name is there.
                    known.has_text = true;
                } else if is_level {
                    known.named.insert(field.path.to_string());
                } else if is_status {
                    known.statuses.insert(field.path.to_string());
                }
            }
        }
        known
    }

    /// Returns true if an event of the sample has a severity.
    pub(crate) fn any(&self) -> bool {
        self.any
    }

    /// Returns an expression that is true for exactly the events with this severity; `None` if an expression cannot tell.
    pub(crate) fn exactly(&self, wanted: Level) -> Option<String> {
        // The first name in the data decides, and an expression does not know which one that is.
        if self.has_text || self.named.len() > 1 || self.statuses.len() > FIELDS_MAX {
            return None;
        }
        let statuses = |hundreds| either(self.statuses.iter().map(|path| status(path, hundreds)));
        let by_status = match wanted {
            Level::Error => statuses(5),
            Level::Warn => statuses(4).map(|warn| format!("{warn} && !{}", statuses(5).unwrap_or_default())),
            Level::Info | Level::Debug => None,
        };
        let by_name = self.named.first().map(|path| named(path, &[wanted]));
        match (by_name, by_status) {
            (Some(name), Some(status)) => {
                let any = self.named.first().map(|path| named(path, &WORDS.map(|(level, _)| level)));
                Some(format!("{name} || !{} && {status}", any.unwrap_or_default()))
            }
            (name, status) => name.or(status),
        }
    }

    /// Returns an expression that is true for all events with this severity, and perhaps for others.
    pub(crate) fn perhaps(&self, wanted: Level) -> Option<String> {
        if !self.any {
            return None;
        }
        let hundreds = if wanted == Level::Error { 5 } else { 4 };
        if self.has_text || self.named.len() + self.statuses.len() > FIELDS_MAX {
            let words = words_of(wanted);
            return Some(format!(
                "data.matches(\"(?i)({words}|{hundreds}[0-9][0-9]|(level|severity|lvl|priority).?=)\")"
            ));
        }
        let names = self.named.iter().map(|path| named(path, &[wanted]));
        either(names.chain(self.statuses.iter().map(|path| status(path, hundreds))))
    }
}

/// Returns true if a path with a dot is the name of a single field in the data.
fn is_one_key(path: &str, data: &[u8]) -> bool {
    path.contains('.') && hourlog::text::Text::new(&format!("\"{path}\"")).is_ok_and(|key| key.is_in(data))
}

/// Returns an expression that is true if one of these is.
fn either(expressions: impl Iterator<Item = String>) -> Option<String> {
    let all: Vec<String> = expressions.collect();
    (!all.is_empty()).then(|| format!("({})", all.join(" || ")))
}

fn words_of(wanted: Level) -> &'static str {
    WORDS.iter().find(|(level, _)| *level == wanted).map_or("", |(_, words)| words)
}

/// Returns an expression that is true if the field at `path`, which is named after a severity, has one of these.
fn named(path: &str, wanted: &[Level]) -> String {
    let name = words::last_segment(path);
    let numbers = |level: Level| match (name.eq_ignore_ascii_case("priority"), level) {
        (true, Level::Error) => "|[0-3]",
        (true, Level::Warn) => "|4",
        (true, Level::Info) => "|[56]",
        (true, Level::Debug) => "|7",
        _ if words::last_word(name) != name => "",
        (false, Level::Error) => "|5[0-9]|60",
        (false, Level::Warn) => "|4[0-9]",
        (false, Level::Info) => "|3[0-9]",
        (false, Level::Debug) => "|[12][0-9]",
    };
    let texts: Vec<String> = wanted.iter().map(|level| format!("{}{}", words_of(*level), numbers(*level))).collect();
    is_text(path, &format!("(?i)^({})$", texts.join("|")))
}

/// Returns an expression that is true if the field at `path` has a status of these hundreds.
fn status(path: &str, hundreds: u8) -> String {
    is_text(path, &format!("^{hundreds}[0-9][0-9]$"))
}

/// Returns an expression that is true if the field at `path` is there, and its text matches. It never fails, so that its
/// negation is true in all other events.
fn is_text(path: &str, regex: &str) -> String {
    let ends = path.match_indices('.').map(|(end, _)| end).chain([path.len()]);
    let mut parts: Vec<String> = ends.map(|end| format!("has({})", access(&path[..end]))).collect();
    parts.push(format!("string({}).matches(\"{regex}\")", access(path)));
    format!("({})", parts.join(" && "))
}

/// Returns the value at a path as an expression.
fn access(path: &str) -> String {
    let keys: Vec<Segment<'_>> = path.split('.').map(|key| Segment::Key(key.into())).collect();
    json::expression(&keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sample: &[&str]) -> LevelFields {
        LevelFields::of(sample.iter().map(|data| data.as_bytes()))
    }

    #[test]
    fn a_name_tells_the_severity_and_a_status_only_without_it() {
        let known = of(&[r#"{"level":"info","status":200}"#]);
        let error = known.exactly(Level::Error).expect("one name and one status tell it");
        assert!(error.starts_with("(has(json.level) && string(json.level).matches(\"(?i)^(error|"), "{error}");
        assert!(
            error.contains(" || !(has(json.level)") && error.contains("string(json.status).matches(\"^5[0-9][0-9]$\")")
        );
        let known = of(&[r#"{"http":{"status":404}}"#]);
        let status = |hundreds| {
            format!(
                "((has(json.http) && has(json.http.status) && string(json.http.status).matches(\"^{hundreds}[0-9][0-9]$\")))"
            )
        };
        assert_eq!(known.exactly(Level::Error), Some(status(5)));
        assert_eq!(known.exactly(Level::Warn), Some(format!("{} && !{}", status(4), status(5))));
    }

    #[test]
    fn a_word_in_a_text_is_found_but_not_told_exactly() {
        let known = of(&["2026-01-01 ERROR disk full", r#"{"level":"info"}"#]);
        assert_eq!(known.exactly(Level::Error), None);
        assert!(known.perhaps(Level::Error).is_some_and(|text| text.starts_with("data.matches(\"(?i)(error|")));
        let flat = of(&[r#"{"log.level":"error"}"#]);
        assert_eq!(flat.exactly(Level::Error), None, "the path is not that of an object in an object");
        assert!(flat.perhaps(Level::Error).is_some_and(|text| text.starts_with("data.matches")));
        let nothing = of(&[r#"{"mag":5.1}"#, "plain"]);
        assert_eq!((nothing.exactly(Level::Error), nothing.perhaps(Level::Error)), (None, None));
    }
}
