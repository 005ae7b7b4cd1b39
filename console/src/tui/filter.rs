//! Filters as the user types them, and as the service takes them.

use hourlog::{Error, Event, Result};

use super::pattern::Pattern;

/// Limit of the filters on a log.
pub(crate) const FILTERS_MAX: usize = 9;
/// Beginnings of an expression: names that it may use.
const NAMES: [&str; 7] = ["json.", "json[", "metadata.", "metadata[", "data.", "has(", "!"];
/// Operators that a text rarely has, with the blanks around them.
const OPERATORS: [&str; 9] = ["==", "!=", ">=", "<=", "&&", "||", " > ", " < ", " in "];

/// The events to read: those for which all parts are true.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// An expression in CEL.
    pub condition: Option<String>,
    /// A text, or `re:` and a regular expression.
    pub text: Option<String>,
}

/// A filter on the events of a log.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// The filter as it was typed.
    pub typed: String,
    /// It is turned on.
    pub is_on: bool,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Expression,
    Text(Pattern),
}

impl Filter {
    /// Reads a filter: an expression in CEL, or else a text. The service checks an expression.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) for an invalid regular expression.
    pub fn new(typed: &str) -> Result<Self> {
        let typed = typed.trim();
        if typed.is_empty() {
            return Err(Error::invalid("a filter needs an expression or a text"));
        }
        let kind = if is_expression(typed) { Kind::Expression } else { Kind::Text(Pattern::new(typed)?) };
        Ok(Self { typed: typed.to_owned(), is_on: true, kind })
    }

    /// Returns the filter turned on or off.
    pub(crate) fn turned(self, is_on: bool) -> Self {
        Self { is_on, ..self }
    }

    /// Returns the filter as an expression.
    pub(crate) fn expression(&self) -> String {
        match &self.kind {
            Kind::Expression => self.typed.clone(),
            Kind::Text(pattern) => match pattern.wire().strip_prefix("re:") {
                Some(regex) => format!("data.matches({})", quoted(regex)),
                None => format!("data.contains({})", quoted(pattern.wire())),
            },
        }
    }

    /// Returns the text that it looks for, if it is one.
    pub(crate) fn pattern(&self) -> Option<&Pattern> {
        match &self.kind {
            Kind::Text(pattern) if self.is_on => Some(pattern),
            _ => None,
        }
    }
}

/// Returns the selection of all filters that are on.
pub(crate) fn selection(filters: &[Filter]) -> Selection {
    let on: Vec<&Filter> = filters.iter().filter(|filter| filter.is_on).collect();
    // A request has one text. It is also found in the strings of JSON, which an expression does not look into.
    let text = on.iter().position(|filter| matches!(filter.kind, Kind::Text(_)));
    let others = on.iter().enumerate().filter(|(index, _)| Some(*index) != text).map(|(_, filter)| filter.expression());
    let others: Vec<String> = others.collect();
    let condition = match &others[..] {
        [] => None,
        [only] => Some(only.clone()),
        several => Some(several.iter().map(|expression| format!("({expression})")).collect::<Vec<_>>().join(" && ")),
    };
    let text = text.and_then(|index| on[index].pattern()).map(|pattern| pattern.wire().to_owned());
    Selection { condition, text }
}

impl Selection {
    /// Returns true if it lets every event through.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Returns this selection with a text that the service looks for, unless it has one already. Then the caller looks at
    /// what is selected.
    pub fn searching(&self, pattern: &Pattern) -> (Self, bool) {
        match &self.text {
            None => (Self { text: Some(pattern.wire().to_owned()), ..self.clone() }, true),
            Some(_) => (self.clone(), false),
        }
    }

    /// Returns the events of a page that a search finds.
    pub fn hits<'a>(
        events: &'a [Event],
        pattern: &'a Pattern,
        is_searched: bool,
    ) -> impl Iterator<Item = &'a Event> + 'a {
        events.iter().filter(move |event| is_searched || pattern.matches(event))
    }
}

/// Returns true for what is meant as an expression.
fn is_expression(typed: &str) -> bool {
    if typed.starts_with("re:") {
        return false;
    }
    let begins = NAMES.iter().any(|name| typed.starts_with(name)) || typed.starts_with('(');
    begins || OPERATORS.iter().any(|operator| typed.contains(operator))
}

/// Returns true if there is one equals sign alone in an expression.
pub(crate) fn assigns(typed: &str) -> bool {
    let bytes = typed.as_bytes();
    let is_sign = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(|byte| b"=!<>".contains(byte));
    bytes.iter().enumerate().any(|(at, byte)| *byte == b'=' && !is_sign(at.checked_sub(1)) && !is_sign(Some(at + 1)))
}

/// Returns a text as a string of CEL.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        if matches!(letter, '"' | '\\') {
            quoted.push('\\');
        }
        match letter {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_word_is_a_text_and_a_comparison_is_an_expression() {
        for (typed, is_an_expression) in [
            ("hualian", false),
            ("timed out", false),
            ("re:a==b", false),
            ("POST /export?a=1", false),
            ("{\"id\":7}", false),
            ("json.mag >= 4.5", true),
            ("json.place.matches(\"Taiwan\")", true),
            ("metadata.kind == \"paid\"", true),
            ("!has(json.id)", true),
            ("4 < json.mag", true),
            ("(json.a || json.b)", true),
            ("json.mag = 6", true),
        ] {
            assert_eq!(is_expression(typed), is_an_expression, "{typed}");
        }
    }

    #[test]
    fn filters_are_all_asked_of_the_service() {
        let filters =
            |texts: &[&str]| texts.iter().map(|text| Filter::new(text).expect("a valid filter")).collect::<Vec<_>>();
        let selected = |texts: &[&str]| {
            let Selection { condition, text } = selection(&filters(texts));
            (condition.unwrap_or_default(), text.unwrap_or_default())
        };
        assert_eq!(selected(&["json.mag >= 5"]), ("json.mag >= 5".to_owned(), String::new()));
        assert_eq!(selected(&["Hualian"]), (String::new(), "Hualian".to_owned()));
        let (condition, text) = selected(&["json.mag >= 5", "hualian", "Taiwan \"x\""]);
        assert_eq!(condition, "(json.mag >= 5) && (data.contains(\"Taiwan \\\"x\\\"\"))");
        assert_eq!(text, "re:(?i)hualian");
        assert!(assigns("json.mag = 6") && !assigns("json.mag >= 6 && json.a == 1 && json.b != 2"));
        let mut off = filters(&["json.mag >= 5"]);
        off[0].is_on = false;
        assert!(selection(&off).is_all());
    }
}
