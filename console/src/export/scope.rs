//! The scope of an export: what it is of. Only an export of the same scope is continued.

use std::path::Path;

use hourlog::{
    Offset, Position,
    wire::{ReplayRequest, When},
};
use serde::{Deserialize, Serialize};

use crate::{
    shell::quoted,
    when::{self, Moment},
};

/// The format of the lines. Another one will get another name.
const FORMAT: &str = "jsonl/1";

/// The scope of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scope {
    /// The format of the lines.
    format: String,
    /// The id of the archive; absent if the user may not ask for it.
    pub(crate) archive: Option<String>,
    /// Ids and patterns, as typed.
    pub(crate) logs: Vec<String>,
    /// Start time, inclusive; absent for the first event.
    pub(crate) since: Option<When>,
    /// End time, exclusive; absent for the end of the log.
    pub(crate) until: Option<When>,
}

impl Scope {
    /// Returns the scope of a command line. Times are fixed: `2h ago` means another time later.
    pub(crate) fn new(
        archive: Option<String>,
        logs: Vec<String>,
        since: Option<Moment>,
        until: Option<Moment>,
    ) -> Self {
        let until = until.filter(|until| *until != Moment::End).map(When::from);
        Self { format: FORMAT.to_owned(), archive, logs, since: when::lower_bound(since), until }
    }

    /// Returns true if both may be one export: everything is equal that is known of both.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        let archive = if other.archive.is_none() { None } else { self.archive.clone() };
        let other_archive = if self.archive.is_none() { None } else { other.archive.clone() };
        Self { archive, ..self.clone() } == Self { archive: other_archive, ..other.clone() }
    }

    /// Returns the request for the events of one log.
    pub(crate) fn request(&self) -> ReplayRequest {
        ReplayRequest { from: self.since, to: self.until, ..ReplayRequest::default() }
    }

    /// Returns true if the event at `position` does not lie before the range. `first` is the earliest one of its
    /// log that the export has: what `last` or `end` meant as the start.
    pub(crate) fn is_after_start(&self, position: Position, first: Position) -> bool {
        match self.since {
            None => true,
            // The words of a command line were made times.
            Some(since) => since.offset(Offset::MAX).map_or(first <= position, |since| since <= position.offset),
        }
    }

    /// Returns the command that exports this scope to `path`. `flags`, if there are any, begin with a blank.
    pub(crate) fn command(&self, flags: &str, path: &Path) -> String {
        let time = |flag: &str, when: Option<When>| when.map_or_else(String::new, |when| format!(" {flag} {when}"));
        let (since, until) = (time("--since", self.since), time("--until", self.until));
        let logs: String = self.logs.iter().map(|log| format!(" {}", quoted(log))).collect();
        // Only what follows two dashes is certainly not an option.
        let dashes = if self.logs.iter().any(|log| log.starts_with('-')) { " --" } else { "" };
        format!("hourlog export{flags}{since}{until} -O {}{dashes}{logs}", quoted(&path.display().to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(archive: Option<&str>, log: &str, since: Option<&str>) -> Scope {
        let since = since.map(|since| Moment::At(since.parse().expect("a valid time")));
        Scope::new(archive.map(str::to_owned), vec![log.to_owned()], since, Some(Moment::Last))
    }

    #[test]
    fn exports_match_if_everything_is_equal_that_is_known() {
        let one = scope(Some("x7"), "a", None);
        assert!(one.matches(&one) && one.matches(&scope(None, "a", None)) && scope(None, "a", None).matches(&one));
        for other in [
            scope(Some("x8"), "a", None),
            scope(Some("x7"), "b", None),
            scope(Some("x7"), "a", Some("2018-02-04T00:00:00Z")),
            Scope { until: None, ..one.clone() },
            Scope { format: "csv".to_owned(), ..one.clone() },
        ] {
            assert!(!one.matches(&other) && !other.matches(&one), "{other:?}");
        }
    }

    #[test]
    fn the_ends_of_a_log_are_the_default_range() {
        let (none, ends) = (None, (Some(Moment::First), Some(Moment::End)));
        assert_eq!(Scope::new(none.clone(), vec![], ends.0, ends.1), Scope::new(none, vec![], None, None));
    }

    #[test]
    fn the_command_repeats_the_range_as_times() {
        let scope = scope(None, "orders.>", Some("2018-02-04T21:56:42.5Z"));
        assert_eq!(
            scope.command(" --context prod", Path::new("a b.jsonl")),
            "hourlog export --context prod --since 2018-02-04T21:56:42.5Z --until last -O 'a b.jsonl' 'orders.>'"
        );
        let dashed = Scope { logs: vec!["-f".to_owned()], since: None, until: None, ..scope };
        assert_eq!(dashed.command("", Path::new("x")), "hourlog export -O x -- -f");
    }
}
