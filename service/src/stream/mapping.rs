//! The mapping of a source: which tokens of a subject name the log of an event.
//!
//! Pure: a pattern such as `orders.*.>` names the log by the tokens before `>`, so that
//! `orders.eu.1234.created` belongs to the log `orders.eu`. A subject that no pattern matches is the
//! log's id as a whole.

use std::{fmt, str::FromStr};

use hourlog::{Error, LogId, Result, wire::log_of_wal_subject};
use serde::{Deserialize, Deserializer, de};

/// The patterns of a source. The first one that matches a subject wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapping(Vec<Pattern>);

/// A pattern of subjects. Its tokens before a final `>` name the log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    tokens: Vec<String>,
    /// True if the pattern ends in `>`: more tokens follow, which do not name the log.
    has_rest: bool,
}

impl Mapping {
    /// Returns the mapping that `patterns` describe.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) if one is not a pattern of subjects.
    pub fn new(patterns: &[String]) -> Result<Self> {
        patterns.iter().map(|pattern| pattern.parse()).collect::<Result<_>>().map(Self)
    }

    /// Returns the log of an event on `subject`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) if the tokens are not the id of a log.
    pub(crate) fn log(&self, subject: &str) -> Result<LogId> {
        log_of_wal_subject(self.0.iter().find_map(|pattern| pattern.named_part(subject)).unwrap_or(subject))
    }

    /// Returns the log that this mapping finds for `log`'s own subjects, if it is not `log`.
    /// `log` was found by `before`.
    pub(crate) fn moved(&self, before: &Self, log: &LogId) -> Option<LogId> {
        // Longer subjects stand for all that a pattern shortens to the log.
        let subjects = [log.to_string(), format!("{log}.x"), format!("{log}.x.x")];
        let with_prefix = subjects.iter().map(|subject| format!("{}{subject}", hourlog::wire::WAL_PREFIX));
        // A subject of each pattern stands for those that only it tells apart.
        let of_patterns = self.0.iter().chain(&before.0).map(|pattern| pattern.example(log));
        subjects.iter().cloned().chain(with_prefix).chain(of_patterns).find_map(|subject| {
            let was = before.log(&subject).ok().filter(|was| was == log)?;
            self.log(&subject).ok().filter(|now| *now != was)
        })
    }
}

impl Pattern {
    /// Returns a subject that the pattern matches, with the tokens of `log` where it takes any.
    fn example(&self, log: &LogId) -> String {
        let has_prefix =
            self.tokens.first().is_some_and(|first| hourlog::wire::WAL_PREFIX.strip_suffix('.') == Some(first));
        let prefix = has_prefix.then_some("x");
        let own: Vec<&str> = prefix.into_iter().chain(log.as_str().split('.')).collect();
        let token = |(at, token): (usize, &String)| match token.as_str() {
            "*" => own.get(at).copied().unwrap_or("x").to_owned(),
            literal => literal.to_owned(),
        };
        let tokens: Vec<String> = self.tokens.iter().enumerate().map(token).collect();
        tokens.join(".") + if self.has_rest { ".x" } else { "" }
    }

    /// Returns the part of `subject` that names the log, if the pattern matches.
    fn named_part<'a>(&self, subject: &'a str) -> Option<&'a str> {
        let mut end = 0;
        let mut tokens = subject.split('.');
        for pattern in &self.tokens {
            let token = tokens.next().filter(|token| pattern == "*" || pattern == token)?;
            end += token.len() + 1;
        }
        (tokens.next().is_some() == self.has_rest).then(|| &subject[..end - 1])
    }
}

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (named, has_rest) = match text.strip_suffix(".>") {
            Some(named) => (named, true),
            None => (text, false),
        };
        let tokens: Vec<String> = named.split('.').map(str::to_owned).collect();
        let is_token = |token: &String| {
            // A comma separates the patterns where they are stored, so a `*` must stand for a token with one.
            token == "*"
                || !(token.is_empty() || token.contains(['*', '>', ',']) || token.contains(char::is_whitespace))
        };
        if !tokens.iter().all(is_token) {
            return Err(Error::invalid(format!(
                "{:?} does not say which tokens name a log; write orders.*.> for one log per second token",
                hourlog::wire::shorten(text)
            )));
        }
        Ok(Self { tokens, has_rest })
    }
}

/// The patterns, separated by commas.
impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns = self.0.iter().map(|pattern| {
            let named = pattern.tokens.join(".");
            if pattern.has_rest { named + ".>" } else { named }
        });
        f.write_str(&patterns.collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Mapping {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() {
            Ok(Self::default())
        } else {
            Self::new(&text.split(',').map(str::to_owned).collect::<Vec<_>>())
        }
    }
}

/// A list of patterns, as the configuration file has it.
impl<'de> Deserialize<'de> for Mapping {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&Vec::<String>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(text: &str) -> Mapping {
        text.parse().expect("a valid mapping")
    }

    #[test]
    fn the_tokens_before_the_rest_name_the_log() {
        for (patterns, subject, log) in [
            ("", "orders.eu.1", "orders.eu.1"),
            ("orders.*.>", "orders.eu.1234.created", "orders.eu"),
            ("orders.*.>", "orders.eu.1", "orders.eu"),
            // Nothing is left for `>`, so the pattern does not match.
            ("orders.*.>", "orders.eu", "orders.eu"),
            ("orders.*.>", "invoices.eu.1", "invoices.eu.1"),
            ("orders.*", "orders.eu.1", "orders.eu.1"),
            ("orders.us.*.>,orders.*.>", "orders.us.ny.7", "orders.us.ny"),
            ("orders.us.*.>,orders.*.>", "orders.eu.ny.7", "orders.eu"),
            ("log.sensors.*.>", "log.sensors.7.temperature", "sensors.7"),
            ("*.>", "a.b", "a"),
        ] {
            let found = mapping(patterns).log(subject).expect("a valid id");
            assert_eq!(found.as_str(), log, "{patterns} {subject}");
        }
    }

    #[test]
    fn a_mapping_reads_as_it_is_written() {
        for text in ["", "orders.*.>", "a.*,b.>,c"] {
            assert_eq!(mapping(text).to_string(), text);
        }
        for bad in [">", ".", "a..b", "a.>.b", "a*", "a b.>", "a,,b", ","] {
            assert!(bad.parse::<Mapping>().is_err(), "{bad:?} was accepted");
        }
        assert!(Mapping::new(&["a,b.>".to_owned()]).is_err(), "a list would read as two patterns");
    }

    #[test]
    fn a_change_moves_a_log_if_its_subjects_lead_elsewhere() {
        for (before, after, log, moved) in [
            ("", "orders.*.>", "orders.eu.1", Some("orders.eu")),
            ("", "orders.*.>", "orders.eu", None),
            ("", "invoices.*.>", "orders.eu.1", None),
            ("orders.*.>", "", "orders.eu", Some("orders.eu.x")),
            ("orders.*.>", "orders.*.>,a.*.>", "orders.eu", None),
            ("orders.*.>", "orders.>", "orders.eu", Some("orders")),
            ("log.orders.*.>", "", "orders.eu", Some("orders.eu.x")),
            ("orders.>", "orders.eu.>,orders.>", "orders", Some("orders.eu")),
            ("orders.*.>", "orders.*.created.>,orders.*.>", "orders.eu", Some("orders.eu.created")),
            ("log.orders.*.>", "log.orders.*.created.>,log.orders.*.>", "orders.eu", Some("orders.eu.created")),
            ("orders.*.>", "orders.us.*.>,orders.*.>", "orders.eu", None),
        ] {
            let log: LogId = log.parse().expect("a valid id");
            let found = mapping(after).moved(&mapping(before), &log);
            assert_eq!(found.as_ref().map(LogId::as_str), moved, "{before} to {after}");
        }
    }
}
