//! A finding: the result of one check.

use hourlog::{Error, ErrorKind};
use serde::Serialize;

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) state: Severity,
    pub(super) found: String,
    /// The remedy; empty if there is no problem.
    pub(super) advice: String,
}

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    Ok,
    Warn,
    Fail,
}

impl Finding {
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, state: Severity::Ok, found: found.into(), advice: String::new() }
    }

    pub(super) fn warn(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, state: Severity::Warn, found: found.into(), advice: advice.into() }
    }

    pub(super) fn fail(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, state: Severity::Fail, found: found.into(), advice: advice.into() }
    }

    /// Returns a warning if the server denies what the check needs; `None` for other errors. The
    /// error names the subject.
    pub(super) fn not_checked(check: &'static str, error: &Error) -> Option<Self> {
        (error.kind() == ErrorKind::NotAllowed)
            .then(|| Self::warn(check, format!("not checked: {error}"), "run doctor as a user with this right"))
    }

    /// Returns the finding as the cells of a table row.
    pub(super) fn cells(&self) -> Vec<String> {
        let state = match self.state {
            Severity::Ok => "ok",
            Severity::Warn => "warn",
            Severity::Fail => "FAIL",
        };
        vec![self.check.to_owned(), state.to_owned(), self.found.clone(), self.advice.clone()]
    }
}
