//! The logs that a read names: ids and patterns.

use std::{fmt, pin::pin, str::FromStr};

use futures_util::TryStreamExt;
use hourlog::{Error, ErrorKind, LogId, Remote, Result, wire::LogsRequest};

use crate::{cli::listing, output::human_count, session::Session};

/// An id, or a pattern such as `orders.>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum LogName {
    /// One log.
    Log(LogId),
    /// All logs that match, but not those of the system, unless the pattern begins with `_`.
    Pattern(String),
}

impl FromStr for LogName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.contains(['*', '>']) { Ok(Self::Pattern(text.to_owned())) } else { text.parse().map(Self::Log) }
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(log) => log.fmt(f),
            Self::Pattern(pattern) => f.write_str(pattern),
        }
    }
}

/// The names of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Names(Vec<LogName>);

/// The logs that names stand for at one moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Found {
    /// Each log once, by id. A log that was named may not exist.
    pub(in crate::cli) logs: Vec<LogId>,
    /// System logs that match a pattern and are left out.
    pub(super) left_out: Vec<LogId>,
    /// Patterns that no log matches.
    pub(super) unmatched: Vec<String>,
}

impl Names {
    pub(in crate::cli) fn new(names: Vec<LogName>) -> Self {
        Self(names)
    }

    /// Returns the log if there is only one, whatever happens.
    pub(in crate::cli) fn only_log(&self) -> Option<&LogId> {
        match self.0.as_slice() {
            [LogName::Log(log)] => Some(log),
            _ => None,
        }
    }

    /// Returns the logs that are named by their id.
    pub(super) fn logs(&self) -> impl Iterator<Item = &LogId> {
        self.0.iter().filter_map(|name| match name {
            LogName::Log(log) => Some(log),
            LogName::Pattern(_) => None,
        })
    }

    /// Returns true if further logs may match later.
    pub(super) fn has_patterns(&self) -> bool {
        self.0.iter().any(|name| matches!(name, LogName::Pattern(_)))
    }

    /// Finds the logs, or more than `logs_max` of them. Asks the service only if there are patterns.
    pub(in crate::cli) async fn find(&self, remote: &Remote, logs_max: usize) -> Result<Found> {
        let mut found = Found::default();
        for name in &self.0 {
            match name {
                LogName::Log(log) => found.logs.push(log.clone()),
                LogName::Pattern(pattern) => {
                    let request = LogsRequest { pattern: Some(pattern.clone()), all: true, ..LogsRequest::default() };
                    let before = found.logs.len();
                    let mut matches = pin!(listing::logs(remote, request));
                    while let Some(log) = matches.try_next().await? {
                        match log.log.is_system() && !listing::names_system(pattern) {
                            true => found.left_out.push(log.log),
                            false => found.logs.push(log.log),
                        }
                        // The logs of the names before may be the same ones.
                        if found.logs.len() - before > logs_max {
                            break;
                        }
                    }
                    if found.logs.len() == before {
                        found.unmatched.push(pattern.clone());
                    }
                }
            }
        }
        for logs in [&mut found.logs, &mut found.left_out] {
            logs.sort_unstable();
            logs.dedup();
        }
        found.left_out.retain(|log| found.logs.binary_search(log).is_err());
        Ok(found)
    }
}

impl Found {
    /// Tells the user of system logs that are left out.
    pub(in crate::cli) fn tell_left_out(&self, session: &Session) {
        if !self.left_out.is_empty() {
            let logs: Vec<&str> = self.left_out.iter().map(LogId::as_str).collect();
            session
                .out
                .note(&format!("system logs are left out of patterns: {}; name them to read them", logs.join(", ")));
        }
    }

    /// Refuses more logs than `logs_max`.
    pub(in crate::cli) fn require_at_most(&self, logs_max: usize) -> Result<()> {
        if self.logs.len() <= logs_max {
            return Ok(());
        }
        let logs_max = human_count(logs_max as u64);
        let context =
            format!("more than {logs_max} logs match, and this read takes at most {logs_max}; narrow the pattern");
        Err(Error::new(ErrorKind::Refused, context))
    }

    /// Refuses patterns that no log matches.
    pub(in crate::cli) fn require_matches(&self) -> Result<()> {
        match self.unmatched.first() {
            None => Ok(()),
            Some(pattern) => {
                let context = format!("no log matches {pattern}; hourlog ls lists the logs");
                Err(Error::new(ErrorKind::NotFound, context))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Names {
        Names::new(names.iter().map(|name| name.parse().expect("a valid name")).collect())
    }

    #[test]
    fn a_name_is_an_id_or_a_pattern() {
        assert!(matches!("a.*".parse(), Ok(LogName::Pattern(pattern)) if pattern == "a.*"));
        assert_eq!(names(&["orders.eu"]).only_log().map(LogId::as_str), Some("orders.eu"));
        assert!(names(&["a", "b"]).only_log().is_none() && names(&["a.>"]).only_log().is_none());
        assert!(names(&["a", "b.>"]).has_patterns() && !names(&["a", "b"]).has_patterns());
        assert!("orders eu".parse::<LogName>().is_err());
    }
}
