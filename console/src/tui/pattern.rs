//! What is searched for, and what events must have to be shown.

use hourlog::{Error, Event, Result};
use regex::bytes::{Regex, RegexBuilder};

/// What begins a regular expression.
const REGEX: &str = "re:";
/// The bytes that a regular expression may take once it is compiled.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// A text, or a regular expression, that is looked for in an event's data and metadata.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// What somebody typed: small letters match both cases, and behind `re:` stands a regular expression, which is taken as it is.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) for what is no regular expression.
    pub fn new(text: &str) -> Result<Self> {
        let builder = match text.strip_prefix(REGEX) {
            Some(regex) => RegexBuilder::new(regex),
            None => {
                let mut builder = RegexBuilder::new(&regex::escape(text));
                builder.case_insensitive(!text.chars().any(char::is_uppercase));
                builder
            }
        };
        let mut builder = builder;
        let regex = builder.size_limit(REGEX_BYTES_MAX).build().map_err(|error| {
            // The last line says what is wrong; those before draw the expression.
            let error = error.to_string();
            let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            Error::invalid(format!("{why}; without {REGEX} the text itself is looked for"))
        })?;
        Ok(Self { text: text.to_owned(), regex })
    }

    /// As it was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether an event has it in its data or its metadata.
    pub fn is_in(&self, event: &Event) -> bool {
        let within = |bytes: &[u8]| self.regex.is_match(bytes);
        within(&event.record.data)
            || event
                .record
                .metadata
                .iter()
                .any(|(name, values)| within(name.as_bytes()) || values.iter().any(|value| within(value.as_bytes())))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::{Offset, Position, Record};

    fn found(text: &str, data: &[u8]) -> bool {
        let position = Position::at(Offset::from_nanos(0));
        let record = Record::new(data.to_vec()).with("place", "Hualian");
        let event = Event { log: "a".parse().expect("a good id"), position, arrived: None, record };
        Pattern::new(text).expect("a good pattern").is_in(&event)
    }

    #[test]
    fn small_letters_match_both_cases_and_an_expression_is_taken_as_it_is() {
        let cases = [
            ("hualian", true),
            ("Hualian", true),
            ("HUALIAN", false),
            ("a.c", false),
            ("re:a.c", true),
            ("re:A.C", false),
            ("re:(?i)A.C", true),
            ("\u{fffd}", false),
        ];
        for (text, is_found) in cases {
            assert_eq!(found(text, b"\xff abc"), is_found, "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_said_in_a_line() {
        let error = Pattern::new("re:a(").expect_err("it does not end").to_string();
        assert!(error.starts_with("unclosed group") && !error.contains('\n'), "{error}");
    }
}
