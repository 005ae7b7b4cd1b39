//! Patterns of log ids.

use std::{fmt, str::FromStr};

use hourlog::{Error, LogId, Result};
use serde::{Deserialize, Deserializer, de::Error as _};

/// A pattern of log ids in the syntax of NATS subjects: `*` matches one token, and a final `>`
/// matches one or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<String>);

impl Pattern {
    /// Returns true if `id` matches.
    pub(crate) fn matches(&self, id: &LogId) -> bool {
        let mut tokens = id.as_str().split('.');
        for pattern in &self.0 {
            match (pattern.as_str(), tokens.next()) {
                (_, None) => return false,
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (literal, Some(token)) if literal == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }

    /// Returns the tokens before the first wildcard.
    pub(crate) fn literal(&self) -> String {
        let literals = self.0.iter().take_while(|token| !matches!(token.as_str(), "*" | ">"));
        literals.map(String::as_str).collect::<Vec<_>>().join(".")
    }

    /// Returns the only id that matches, if there is no wildcard.
    pub(crate) fn id(&self) -> Option<LogId> {
        self.to_string().parse().ok()
    }

    /// Returns true if it matches nothing but `prefix` and what is below it.
    pub(crate) fn is_below(&self, prefix: &LogId) -> bool {
        let mut tokens = self.0.iter();
        prefix.as_str().split('.').all(|token| tokens.next().is_some_and(|own| own == token))
    }

    /// Returns true if the first token is a wildcard.
    pub(crate) fn begins_with_wildcard(&self) -> bool {
        matches!(self.0[0].as_str(), "*" | ">")
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl From<&LogId> for Pattern {
    /// The pattern that only this id matches.
    fn from(id: &LogId) -> Self {
        Self(id.as_str().split('.').map(str::to_owned).collect())
    }
}

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let tokens: Vec<String> = text.split('.').map(str::to_owned).collect();
        let last = tokens.len() - 1;
        let valid = |(at, token): (usize, &String)| match token.as_str() {
            "" => false,
            ">" => at == last,
            token => token == "*" || !token.contains(['*', '>']),
        };
        if !tokens.iter().enumerate().all(valid) {
            return Err(Error::invalid(format!(
                "{:?} is not a pattern; write orders.*, orders.> or an id",
                hourlog::wire::shorten(text)
            )));
        }
        Ok(Self(tokens))
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        String::deserialize(source)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_log_ids_like_nats_subjects() {
        for (pattern, id, expected) in [
            (">", "a.b", true),
            ("a", "a", true),
            ("a", "a.b", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            ("*.b", "a.b", true),
        ] {
            let id: LogId = id.parse().expect("a valid id");
            let pattern: Pattern = pattern.parse().expect("a valid pattern");
            assert_eq!(pattern.matches(&id), expected);
        }
        for bad in ["", "a..b", ">.a", "a*", "a.>b"] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_pattern_is_below_a_prefix_only_if_it_begins_with_its_tokens() {
        for (pattern, is_below) in [
            ("orders.eu", true),
            ("orders.eu.>", true),
            ("orders.eu.*.x", true),
            ("orders.*", false),
            ("orders.>", false),
            ("orders.europe", false),
            (">", false),
            ("*.eu", false),
        ] {
            let pattern: Pattern = pattern.parse().expect("a valid pattern");
            assert_eq!(pattern.is_below(&"orders.eu".parse().expect("a valid id")), is_below, "{pattern}");
        }
    }

    #[test]
    fn the_literal_part_of_a_pattern_ends_before_its_first_wildcard() {
        for (pattern, literal, is_id) in
            [(">", "", false), ("a.b", "a.b", true), ("a.b.>", "a.b", false), ("a.*.c", "a", false)]
        {
            let pattern: Pattern = pattern.parse().expect("a valid pattern");
            assert_eq!((pattern.literal().as_str(), pattern.id().is_some()), (literal, is_id));
        }
    }
}
