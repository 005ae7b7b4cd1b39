//! The differences between an event's data and that of the event before it.

use std::collections::HashMap;

use crate::tui::{json::expression, pretty::pretty_lines};

/// A difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The value is another one.
    Changed,
    /// The value is new.
    New,
    /// The value is gone.
    Gone,
}

/// A value that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangedValue {
    /// Its difference.
    pub(crate) change: Change,
    /// The way to it; empty for a line of text.
    pub(crate) path: String,
    /// Its text before, if it was there.
    pub(crate) before: Option<String>,
    /// Its text now, if it is there.
    pub(crate) now: Option<String>,
}

/// The differences of two texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The values that differ, in the order of the text.
    pub(crate) values: Vec<ChangedValue>,
    /// Number of values that are equal.
    pub(crate) equal: usize,
}

/// Compares two texts of JSON value by value.
pub(crate) fn of_json(before: &str, now: &str) -> Changes {
    let before = leaves(before);
    let mut left: HashMap<&(String, usize), &str> = before.iter().map(|(key, text)| (key, *text)).collect();
    let mut changes = Changes::default();
    for (key, text) in &leaves(now) {
        let known = left.remove(key);
        if known == Some(text) {
            changes.equal += 1;
            continue;
        }
        changes.values.push(ChangedValue {
            change: if known.is_some() { Change::Changed } else { Change::New },
            path: key.0.clone(),
            before: known.map(str::to_owned),
            now: Some((*text).to_owned()),
        });
    }
    let gone = before.iter().filter(|(key, _)| left.contains_key(key));
    changes.values.extend(gone.map(|(key, text)| ChangedValue {
        change: Change::Gone,
        path: key.0.clone(),
        before: Some((*text).to_owned()),
        now: None,
    }));
    changes
}

/// Compares two texts line by line, from the beginning.
pub(crate) fn of_lines(before: &str, now: &str) -> Changes {
    let mut changes = Changes::default();
    let (mut before, mut now) = (before.lines(), now.lines());
    loop {
        match (before.next(), now.next()) {
            (None, None) => return changes,
            (before, now) if before == now => changes.equal += 1,
            (before, now) => changes.values.push(ChangedValue {
                change: match (before, now) {
                    (None, _) => Change::New,
                    (_, None) => Change::Gone,
                    _ => Change::Changed,
                },
                path: String::new(),
                before: before.map(str::to_owned),
                now: now.map(str::to_owned),
            }),
        }
    }
}

/// Returns the values that have no parts, each with its path, and with the number of the equal paths before it.
fn leaves(json: &str) -> Vec<((String, usize), &str)> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    let lines = pretty_lines(json, |_: &str| false);
    let values = lines.filter_map(|line| line.value).filter(|value| !matches!(value.text, "{" | "["));
    let with_path = values.map(|value| {
        let path = expression(&value.path);
        let path = path.strip_prefix("json.").unwrap_or(&path).to_owned();
        let count = counts.entry(path.clone()).or_default();
        *count += 1;
        ((path, *count), value.text)
    });
    with_path.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(changes: &Changes) -> Vec<String> {
        let sign = |change| match change {
            Change::Changed => '~',
            Change::New => '+',
            Change::Gone => '-',
        };
        let text = |value: &ChangedValue| {
            let (before, now) = (value.before.as_deref().unwrap_or(""), value.now.as_deref().unwrap_or(""));
            format!("{}{} {before}>{now}", sign(value.change), value.path)
        };
        changes.values.iter().map(text).collect()
    }

    #[test]
    fn values_are_compared_by_their_paths_and_as_they_are_written() {
        let before = r#"{"a":1,"b":{"c":"x","d":true},"l":[1,2],"n":1.1,"a":5}"#;
        let now = r#"{"b":{"c":"y","d":true,"e":null},"a":1,"l":[1],"n":1.10,"a":6}"#;
        let changes = of_json(before, now);
        assert_eq!(shown(&changes), ["~b.c \"x\">\"y\"", "+b.e >null", "~n 1.1>1.10", "~a 5>6", "-l[1] 2>"]);
        assert_eq!(changes.equal, 3);
    }

    #[test]
    fn text_is_compared_line_by_line() {
        let changes = of_lines("one\ntwo\nthree", "one\n2");
        assert_eq!((shown(&changes), changes.equal), (vec!["~ two>2".to_owned(), "- three>".to_owned()], 1));
    }
}
