//! Options that select events by what is in them.

use clap::Args;
use hourlog::wire::ReplayRequest;

/// The events that are wanted: those that pass every condition that is given.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Conditions")]
pub(super) struct Conditions {
    /// Only events for which this expression in CEL is true, such as 'json.level == "error"'; it may use metadata, data,
    /// json, offset, time and log
    #[arg(long = "where", value_name = "EXPRESSION", allow_hyphen_values = true)]
    condition: Option<String>,
    /// Only events with this text in their data, also where JSON writes it with escapes; re:… is a regular expression
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    grep: Option<String>,
    /// Only events with this metadata, whatever its value without one
    #[arg(long, value_name = "NAME[=VALUE]")]
    header: Option<String>,
}

impl Conditions {
    /// Returns true if every event passes.
    pub(super) fn are_empty(&self) -> bool {
        self.condition.is_none() && self.grep.is_none() && self.header.is_none()
    }

    /// Returns a request for the events, of which all else is left open.
    pub(super) fn request(&self) -> ReplayRequest {
        ReplayRequest {
            condition: self.condition.clone(),
            text: self.grep.clone(),
            header: self.header.clone(),
            ..ReplayRequest::default()
        }
    }
}
