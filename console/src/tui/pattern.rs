//! Patterns for search and filter.

use hourlog::{Error, Event, Result};
use regex::bytes::{Regex, RegexBuilder};

/// Prefix of a regular expression.
const REGEX: &str = "re:";
/// Limit of a compiled regular expression.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// A text or a regular expression to find in an event's data and metadata.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Parses a typed pattern. A text in lowercase matches both cases. After `re:` follows a
    /// regular expression, which is used unchanged.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) for an invalid regular expression.
    pub fn new(text: &str) -> Result<Self> {
        let mut builder = match text.strip_prefix(REGEX) {
            Some(regex) => RegexBuilder::new(regex),
            None => {
                let mut builder = RegexBuilder::new(&regex::escape(text));
                builder.case_insensitive(!text.chars().any(char::is_uppercase));
                builder
            }
        };
        let regex = builder.size_limit(REGEX_BYTES_MAX).build().map_err(|error| {
            // The last line names the problem; the lines before it draw the expression.
            let error = error.to_string();
            let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            Error::invalid(format!("{why}; without {REGEX} the text is searched for literally"))
        })?;
        Ok(Self { text: text.to_owned(), regex })
    }

    /// Returns the pattern as it was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether an event's data or metadata matches.
    pub fn matches(&self, event: &Event) -> bool {
        let is_match = |bytes: &[u8]| self.regex.is_match(bytes);
        is_match(&event.record.data)
            || event.record.metadata.iter().any(|(name, values)| {
                is_match(name.as_bytes()) || values.iter().any(|value| is_match(value.as_bytes()))
            })
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

    fn is_found(text: &str, data: &[u8]) -> bool {
        let position = Position::at(Offset::from_nanos(0));
        let record = Record::new(data.to_vec()).with("place", "Hualian");
        let event = Event { log: "a".parse().expect("a valid id"), position, arrived: None, record };
        Pattern::new(text).expect("a valid pattern").matches(&event)
    }

    #[test]
    fn lowercase_matches_both_cases_and_an_expression_is_used_unchanged() {
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
        for (text, expected) in cases {
            assert_eq!(is_found(text, b"\xff abc"), expected, "{text}");
        }
    }

    #[test]
    fn an_invalid_expression_is_explained_in_one_line() {
        let error = Pattern::new("re:a(").expect_err("the group is not closed").to_string();
        assert!(error.starts_with("unclosed group") && !error.contains('\n'), "{error}");
    }
}
