//! An excerpt of the open logs: the events of a range that pass the filters, for other places.

use hourlog::{
    Offset,
    wire::{ReplayRequest, TimelineRequest, When},
};
use jiff::tz::TimeZone;

use crate::{
    export::Scope,
    shell,
    tui::{filter::Selection, lanes::Lanes},
    when::{self, Moment},
};

/// Limit of the letters of a file's name before its ending.
const NAME_LETTERS_MAX: usize = 80;

/// An excerpt of the open logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The logs.
    pub lanes: Lanes,
    /// The earliest time, inclusive; `None` for the first event.
    pub from: Option<Offset>,
    /// The latest time, exclusive; `None` for the end of the log.
    pub until: Option<Offset>,
    /// The events that it has.
    pub selection: Selection,
}

/// The number of events of an excerpt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// The number of events.
    pub events: u64,
    /// It is known exactly.
    pub is_exact: bool,
}

impl Excerpt {
    /// Returns the request for its events.
    pub(crate) fn request(&self) -> ReplayRequest {
        ReplayRequest {
            from: self.from.map(When::At),
            to: self.until.map(When::At),
            condition: self.selection.condition.clone(),
            text: self.selection.text.clone(),
            ..ReplayRequest::default()
        }
    }

    /// Returns the request for the number of its events.
    pub(crate) fn counting(&self) -> TimelineRequest {
        TimelineRequest {
            from: self.from.map(When::At),
            to: Some(self.until.map_or(When::End, When::At)),
            bins: Some(1),
            exact: true,
            condition: self.selection.condition.clone(),
            text: self.selection.text.clone(),
            ..TimelineRequest::default()
        }
    }

    /// Returns what an export of it is of, as the command line has it.
    pub(crate) fn scope(&self) -> Scope {
        let logs = self.lanes.logs().iter().map(ToString::to_string).collect();
        Scope::new(None, logs, self.from.map(Moment::At), self.until.map(Moment::At))
    }

    /// Returns the command that does the same. `flags` and `options`, if there are any, begin with a blank.
    pub(crate) fn command(&self, verb: &str, flags: &str, options: &str) -> String {
        let option = |name: &str, value: Option<String>| {
            value.map_or_else(String::new, |value| format!(" {name} {}", shell::quoted(&value)))
        };
        let times = [("--since", self.from), ("--until", self.until)];
        let range: String =
            times.into_iter().map(|(name, time)| option(name, time.map(|time| time.to_string()))).collect();
        let Selection { condition, text } = self.selection.clone();
        let conditions = option("--where", condition) + &option("--grep", text);
        let others = self.lanes.logs().iter().skip(1).map(|log| format!(" {}", shell::quoted(log.as_str())));
        let options = format!("{flags}{range}{conditions}{options}");
        shell::command(verb, &options, self.lanes.first(), &others.collect::<String>())
    }

    /// Returns a name for a file of it: the logs, and the start of the range.
    pub(crate) fn file_name(&self, zone: &TimeZone) -> String {
        let (first, count) = (self.lanes.first(), self.lanes.logs().len());
        let logs = if self.lanes.are_several() {
            // The ids of several logs are named by what they have in common.
            let common = first.as_str().strip_suffix(self.lanes.short(first)).unwrap_or_default();
            let common = Some(common.trim_end_matches('.')).filter(|common| !common.is_empty());
            format!("{}-{count}-logs", common.unwrap_or("hourlog"))
        } else {
            first.to_string()
        };
        let plain = |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '_' };
        let mut name: String = logs.chars().map(plain).take(NAME_LETTERS_MAX).collect();
        if name.starts_with(['.', '-']) {
            // Such a file would be hidden, or taken for an option.
            name.insert(0, '_');
        }
        if let Some(from) = self.from {
            name += &when::zoned(from, zone).strftime("-%Y-%m-%dT%H%M").to_string();
        }
        name + ".jsonl"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(logs: &[&str], range: Option<(&str, &str)>) -> Excerpt {
        let time = |text: &str| text.parse::<Offset>().expect("a valid time");
        let lanes = Lanes::new(logs.iter().map(|log| log.parse().expect("a valid id"))).expect("there are logs");
        let selection = Selection::default();
        Excerpt {
            lanes,
            from: range.map(|(from, _)| time(from)),
            until: range.map(|(_, until)| time(until)),
            selection,
        }
    }

    #[test]
    fn a_file_is_named_after_its_logs_and_the_start_of_the_range() {
        let range = Some(("2018-02-06T15:50:42Z", "2018-02-06T16:00:00Z"));
        for (logs, range, name) in [
            (&["quakes.us"][..], range, "quakes.us-2018-02-06T1550.jsonl"),
            (&["quakes.us"], None, "quakes.us.jsonl"),
            (&["quakes.us", "quakes.ci"], None, "quakes-2-logs.jsonl"),
            (&["app", "orders"], range, "hourlog-2-logs-2018-02-06T1550.jsonl"),
            (&["a/x/b;c"], None, "a_x_b_c.jsonl"),
            (&["-rf"], None, "_-rf.jsonl"),
            (&["日本"], None, "__.jsonl"),
        ] {
            assert_eq!(excerpt(logs, range).file_name(&TimeZone::UTC), name);
        }
    }

    #[test]
    fn the_command_has_the_range_and_the_filters() {
        let range = Some(("2018-02-06T15:50:00Z", "2018-02-06T16:00:00Z"));
        assert_eq!(
            excerpt(&["quakes.us", "quakes.ci"], range).command("export", " -s here", " -O x.jsonl"),
            "hourlog export quakes.ci -s here --since 2018-02-06T15:50:00Z --until 2018-02-06T16:00:00Z -O x.jsonl \
             quakes.us"
        );
        let selection =
            Selection { condition: Some("json.mag >= 5".to_owned()), text: Some("re:(?i)hualian".to_owned()) };
        assert_eq!(
            Excerpt { selection, ..excerpt(&["quakes.us"], None) }.command("export", "", ""),
            "hourlog export quakes.us --where 'json.mag >= 5' --grep 're:(?i)hualian'"
        );
    }
}
