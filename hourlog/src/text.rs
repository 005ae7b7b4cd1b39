//! The text that a search looks for: plain or a regular expression, in the data and in the strings of JSON.

use std::ops::Range;

use memchr::{memchr, memmem::Finder};
use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value;

use crate::{Error, Result};

/// Begins a regular expression.
const REGEX_PREFIX: &str = "re:";
/// The most bytes of a compiled regular expression, and of what it keeps while it searches.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// A text to search for, as requests have it: a plain one, or `re:` and a regular expression.
///
/// ```
/// use hourlog::text::Text;
/// let text = Text::new("München")?;
/// assert!(text.is_in("{\"city\":\"München\"}".as_bytes()));
/// assert!(text.is_in(br#"{"city":"M\u00fcnchen"}"#));
/// assert!(!Text::new("re:^[0-9]+$")?.is_in(b"12a"));
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Text(Needle);

#[derive(Debug, Clone)]
enum Needle {
    Plain(Box<Finder<'static>>),
    Regex(Regex),
}

impl Text {
    /// Reads a text to search for.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for an empty text, and for a regular expression that cannot be read
    /// or becomes too large.
    pub fn new(text: &str) -> Result<Self> {
        match text.strip_prefix(REGEX_PREFIX) {
            Some(pattern) => regex(pattern)
                .map(|regex| Self(Needle::Regex(regex)))
                .map_err(|reason| Error::invalid(format!("text: {reason}"))),
            None if text.is_empty() => Err(Error::invalid("text is empty, which every event has; leave it out")),
            None => Ok(Self(Needle::Plain(Box::new(Finder::new(text).into_owned())))),
        }
    }

    /// Returns true if `data` has the text: as it is written, or in a string that JSON writes with escapes.
    pub fn is_in(&self, data: &[u8]) -> bool {
        self.is_in_bytes(data)
            || has_escapes(data) && serde_json::from_slice(data).is_ok_and(|json| self.is_in_strings(&json))
    }

    /// Returns true if the text is in no data that `bytes` contain, among others.
    pub fn is_ruled_out(&self, bytes: &[u8]) -> bool {
        match &self.0 {
            Needle::Plain(finder) => finder.find(bytes).is_none() && !has_escapes(bytes),
            Needle::Regex(_) => false,
        }
    }

    /// Returns the places of it in a text that is shown, which do not overlap.
    pub fn places<'a>(&'a self, shown: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
        let (plain, regex) = match &self.0 {
            Needle::Plain(finder) => (Some(finder), None),
            Needle::Regex(regex) => (None, Some(regex)),
        };
        let plain = plain.into_iter().flat_map(|finder| {
            let length = finder.needle().len();
            finder.find_iter(shown.as_bytes()).map(move |start| start..start + length)
        });
        let matched = regex.into_iter().flat_map(|regex| regex.find_iter(shown.as_bytes()).map(|found| found.range()));
        plain.chain(matched).filter(|place| !place.is_empty() && shown.get(place.clone()).is_some())
    }

    fn is_in_bytes(&self, bytes: &[u8]) -> bool {
        match &self.0 {
            Needle::Plain(finder) => finder.find(bytes).is_some(),
            Needle::Regex(regex) => regex.is_match(bytes),
        }
    }

    fn is_in_strings(&self, json: &Value) -> bool {
        match json {
            Value::String(text) => self.is_in_bytes(text.as_bytes()),
            Value::Array(items) => items.iter().any(|item| self.is_in_strings(item)),
            Value::Object(members) => {
                members.iter().any(|(name, value)| self.is_in_bytes(name.as_bytes()) || self.is_in_strings(value))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
}

/// Compiles a regular expression, which must not become large. Its search takes a time that the length of what it is
/// searched in bounds.
///
/// # Errors
/// A sentence that says why it cannot be read, or that it becomes too large.
pub fn regex(pattern: &str) -> std::result::Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).build().map_err(|error| {
        match error {
            regex::Error::CompiledTooBig(_) => {
                format!("the regular expression {pattern:?} becomes too large; repeat less in it")
            }
            // The message shows the pattern and the place in it, on lines of their own.
            error => format!("the regular expression {pattern:?} cannot be read: {}", last_line(&error.to_string())),
        }
    })
}

fn last_line(message: &str) -> &str {
    message.lines().last().unwrap_or(message).trim_start_matches("error: ")
}

/// Returns true if strings in `data` may be written otherwise than they are.
fn has_escapes(data: &[u8]) -> bool {
    memchr(b'\\', data).is_some()
}
