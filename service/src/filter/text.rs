//! `text`: a plain text or a regular expression, searched in the data and in the strings of JSON.

use hourlog::{Error, Result};
use memchr::{memchr, memmem::Finder};
use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value;

/// Begins a regular expression.
const REGEX_PREFIX: &str = "re:";
/// The most bytes of a compiled regular expression, and of what it keeps while it searches.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// A text to search for.
#[derive(Debug)]
pub(super) enum Text {
    Plain(Box<Finder<'static>>),
    Regex(Regex),
}

impl Text {
    pub(super) fn new(text: &str) -> Result<Self> {
        match text.strip_prefix(REGEX_PREFIX) {
            Some(pattern) => {
                regex(pattern).map(Self::Regex).map_err(|reason| Error::invalid(format!("text: {reason}")))
            }
            None if text.is_empty() => Err(Error::invalid("text is empty, which every event has; leave it out")),
            None => Ok(Self::Plain(Box::new(Finder::new(text).into_owned()))),
        }
    }

    /// Returns true if `data` has the text: as it is written, or in a string that JSON writes with escapes.
    pub(super) fn is_in(&self, data: &[u8]) -> bool {
        self.is_in_bytes(data) || has_escapes(data) && parsed(data).is_some_and(|json| self.is_in_strings(&json))
    }

    /// Returns true if the text is in no data that `bytes` contain, among others.
    pub(super) fn is_ruled_out(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Plain(finder) => finder.find(bytes).is_none() && !has_escapes(bytes),
            Self::Regex(_) => false,
        }
    }

    fn is_in_bytes(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Plain(finder) => finder.find(bytes).is_some(),
            Self::Regex(regex) => regex.is_match(bytes),
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
pub(super) fn regex(pattern: &str) -> std::result::Result<Regex, String> {
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

/// Returns the JSON in `data`, if it is JSON.
pub(super) fn parsed(data: &[u8]) -> Option<Value> {
    serde_json::from_slice(data).ok()
}
