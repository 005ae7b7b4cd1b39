//! The text to search for: as the service takes it, and where it is in a text that is shown.

use std::ops::Range;

use regex::Regex;

use crate::exit::Failure;

/// Begins a regular expression.
const REGEX_PREFIX: &str = "re:";

/// A text or a regular expression.
#[derive(Debug)]
pub(super) struct Needle {
    /// The pattern that finds it in what is shown.
    shown: Regex,
    /// The text of a request.
    text: String,
    /// The condition on a field, if it is searched in one.
    of_field: Option<String>,
}

impl Needle {
    pub(super) fn new(text: &str, ignore_case: bool, json_path: Option<&str>) -> Result<Self, Failure> {
        let flags = if ignore_case { "(?i)" } else { "" };
        let pattern = match text.strip_prefix(REGEX_PREFIX) {
            Some(pattern) => format!("{flags}{pattern}"),
            None => format!("{flags}{}", regex::escape(text)),
        };
        let shown = Regex::new(&pattern)
            .map_err(|error| Failure::usage(format!("{text} is not a regular expression: {error}")))?;
        let is_plain = !text.starts_with(REGEX_PREFIX) && !ignore_case;
        let text = if is_plain { text.to_owned() } else { format!("{REGEX_PREFIX}{pattern}") };
        let of_field = json_path.map(|path| format!("string(json.{path}).matches({})", literal(&pattern)));
        Ok(Self { shown, text, of_field })
    }

    /// Returns the text of a request; none if a condition searches in one field.
    pub(super) fn text(&self) -> Option<String> {
        self.of_field.is_none().then(|| self.text.clone())
    }

    /// Returns the condition of a request, together with that of the user.
    pub(super) fn condition(&self, users: Option<&str>) -> Option<String> {
        match (&self.of_field, users) {
            (Some(field), Some(users)) => Some(format!("{field} && ({users})")),
            (Some(condition), None) => Some(condition.clone()),
            (None, users) => users.map(str::to_owned),
        }
    }

    /// Returns where it is in a text.
    pub(super) fn places(&self, text: &str) -> Vec<Range<usize>> {
        self.shown.find_iter(text).map(|found| found.range()).filter(|found| !found.is_empty()).collect()
    }
}

/// Returns a text as CEL writes it.
fn literal(text: &str) -> String {
    let mut literal = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => literal.extend(['\\', character]),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            other => literal.push(other),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needle(text: &str, ignore_case: bool, path: Option<&str>) -> Needle {
        Needle::new(text, ignore_case, path).expect("it is one")
    }

    #[test]
    fn it_is_a_text_or_a_condition_on_a_field() {
        let plain = needle("a.b", false, None);
        assert_eq!((plain.text().as_deref(), plain.condition(None)), (Some("a.b"), None));
        assert_eq!(plain.condition(Some("x")).as_deref(), Some("x"));
        assert_eq!(needle("a.b", true, None).text().as_deref(), Some(r"re:(?i)a\.b"));
        let field = needle("re:\"[0-9]\\d", false, Some("user.name"));
        let condition = r#"string(json.user.name).matches("\"[0-9]\\d") && (json.n > 1 || true)"#;
        assert_eq!((field.text(), field.condition(Some("json.n > 1 || true")).as_deref()), (None, Some(condition)));
        assert!(Needle::new("re:(", false, None).is_err());
    }

    #[test]
    fn each_place_is_found() {
        assert_eq!(needle("to", true, None).places("To be or not to be"), [0..2, 13..15]);
        assert_eq!(needle("re:x*", false, None).places("axxbx"), [1..3, 4..5]);
    }
}
