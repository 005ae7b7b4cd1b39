//! The subject to which an event is sent.

use hourlog::{Error, LogId, Result};

/// The end of a subject that stands for the id of a log.
const LOG: &str = ".>";

/// A subject, or a subject for each log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The subject; for several logs, what comes before the id.
    subject: String,
    is_of_each_log: bool,
    /// The first tokens of an id, which are left out.
    strip: Option<LogId>,
}

impl Target {
    /// Reads what follows `--to` and `--strip-prefix`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) for what is not a subject to publish to.
    pub(crate) fn new(to: &str, strip: Option<LogId>) -> Result<Self> {
        let (subject, is_of_each_log) = match to.strip_suffix(LOG) {
            Some(prefix) => (prefix, true),
            None => (to, false),
        };
        let is_token =
            |token: &str| !token.is_empty() && !token.contains(['*', '>']) && !token.contains(char::is_whitespace);
        if !subject.split('.').all(is_token) {
            return Err(Error::invalid(format!(
                "--to {to}: write a subject such as test.orders, or one that ends in .> for the id of each log"
            )));
        }
        if strip.is_some() && !is_of_each_log {
            return Err(Error::invalid(
                "--strip-prefix shortens ids, which are only in a subject that ends in .>; add it",
            ));
        }
        Ok(Self { subject: subject.to_owned(), is_of_each_log, strip })
    }

    /// Returns the subject for the events of a log.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) if nothing is left of the log's id.
    pub fn subject(&self, log: &LogId) -> Result<String> {
        if !self.is_of_each_log {
            return Ok(self.subject.clone());
        }
        let id = match &self.strip {
            None => log.as_str(),
            Some(prefix) => {
                let rest = log.as_str().strip_prefix(prefix.as_str()).and_then(|rest| rest.strip_prefix('.'));
                rest.ok_or_else(|| Error::invalid(format!("--strip-prefix {prefix}: {log} does not lie below it")))?
            }
        };
        Ok(format!("{}.{id}", self.subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(to: &str, strip: Option<&str>, log: &str) -> Result<String> {
        Target::new(to, strip.map(str::parse).transpose()?)?.subject(&log.parse()?)
    }

    #[test]
    fn a_subject_is_one_for_all_or_has_the_id_of_each_log() {
        for (to, strip, log, expected) in [
            ("test", None, "orders.eu", "test"),
            ("test.>", None, "orders.eu", "test.orders.eu"),
            ("test.a.>", Some("orders"), "orders.eu.paid", "test.a.eu.paid"),
        ] {
            assert_eq!(subject(to, strip, log).expect("a subject"), expected);
        }
    }

    #[test]
    fn an_invalid_subject_is_refused() {
        for (to, strip) in
            [("", None), (">", None), ("a.*", None), ("a..b", None), ("a b", None), ("a", Some("orders"))]
        {
            assert!(subject(to, strip, "orders.eu").is_err(), "{to}");
        }
        assert!(subject("test.>", Some("orders.eu"), "orders.eu").is_err(), "nothing is left");
        assert!(subject("test.>", Some("order"), "orders.eu").is_err(), "a prefix ends at a dot");
    }
}
