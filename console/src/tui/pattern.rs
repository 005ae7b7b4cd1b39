//! The text that the user searches for.

use hourlog::{Event, Result, text::Text};

/// Prefix of a regular expression.
const REGEX: &str = "re:";

/// A text or a regular expression, as it was typed and as the service takes it.
#[derive(Debug, Clone)]
pub struct Pattern {
    typed: String,
    wire: String,
    text: Text,
}

impl Pattern {
    /// Parses a typed pattern. A text in lowercase matches both cases. After `re:` follows a
    /// regular expression, which is used unchanged.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) for an invalid regular expression.
    pub fn new(typed: &str) -> Result<Self> {
        let wire = match typed.strip_prefix(REGEX) {
            None if !typed.chars().any(char::is_uppercase) => format!("{REGEX}(?i){}", regex::escape(typed)),
            _ => typed.to_owned(),
        };
        Ok(Self { typed: typed.to_owned(), text: Text::new(&wire)?, wire })
    }

    /// Returns the pattern as it was typed.
    pub fn typed(&self) -> &str {
        &self.typed
    }

    /// Returns the pattern as a request has it.
    pub fn wire(&self) -> &str {
        &self.wire
    }

    /// Returns true if an event's data has it.
    pub fn matches(&self, event: &Event) -> bool {
        self.text.is_in(&event.record.data)
    }

    /// Returns the places in a text on the screen that have it.
    pub(crate) fn places<'a>(&'a self, text: &'a str) -> impl Iterator<Item = std::ops::Range<usize>> + 'a {
        self.text.places(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.typed == other.typed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::{Offset, Position, Record};

    fn is_found(typed: &str, data: &[u8]) -> bool {
        let position = Position::at(Offset::from_nanos(0));
        let event = Event {
            log: "a".parse().expect("a valid id"),
            position,
            arrived: None,
            record: Record::new(data.to_vec()),
        };
        Pattern::new(typed).expect("a valid pattern").matches(&event)
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
            assert_eq!(is_found(text, b"\xff abc Hualian"), expected, "{text}");
        }
        assert!(is_found("münchen", br#"{"city":"M\u00fcnchen"}"#), "strings of JSON are read as they are meant");
    }

    #[test]
    fn the_places_of_a_pattern_are_in_the_text() {
        let pattern = Pattern::new("ab").expect("a valid pattern");
        assert_eq!(pattern.places("xAB ab").collect::<Vec<_>>(), [1..3, 4..6]);
    }
}
