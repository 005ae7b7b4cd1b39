//! The logs that are open together: one, or several as lanes under one playhead.

use std::fmt;

use hourlog::LogId;

/// Limit of the lanes.
pub(crate) const LANES_MAX: usize = 12;

/// One log or several, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lanes(Vec<LogId>);

impl Lanes {
    /// Returns the lanes of some logs, at most twelve; `None` if there are none.
    pub fn new(logs: impl IntoIterator<Item = LogId>) -> Option<Self> {
        let mut logs: Vec<LogId> = logs.into_iter().take(LANES_MAX).collect();
        logs.sort();
        logs.dedup();
        (!logs.is_empty()).then_some(Self(logs))
    }

    /// Returns the first log.
    pub fn first(&self) -> &LogId {
        &self.0[0]
    }

    /// Returns the logs.
    pub fn logs(&self) -> &[LogId] {
        &self.0
    }

    /// Returns true for several logs.
    pub fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    /// Returns an id without the parts that all of them begin with.
    pub(crate) fn short<'a>(&self, log: &'a LogId) -> &'a str {
        &log.as_str()[self.prefix().min(log.as_str().len())..]
    }

    /// Returns the length of the parts that all ids begin with. None of them becomes empty.
    fn prefix(&self) -> usize {
        let first = self.first().as_str();
        let dots = first.match_indices('.').map(|(at, _)| at + 1);
        let is_common = |end: &usize| self.0.iter().all(|log| log.as_str().starts_with(&first[..*end]));
        if self.are_several() { dots.filter(is_common).max().unwrap_or(0) } else { 0 }
    }
}

impl From<LogId> for Lanes {
    fn from(log: LogId) -> Self {
        Self(vec![log])
    }
}

impl fmt::Display for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.are_several() {
            return write!(f, "{}", self.first());
        }
        let short: Vec<&str> = self.0.iter().map(|log| self.short(log)).collect();
        let prefix = &self.first().as_str()[..self.prefix()];
        write!(f, "{} logs: {prefix}{{{}}}", self.0.len(), short.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(ids: &[&str]) -> Lanes {
        Lanes::new(ids.iter().map(|id| id.parse().expect("a valid id"))).expect("there are logs")
    }

    #[test]
    fn several_logs_are_named_by_where_their_ids_differ() {
        for (ids, name) in [
            (&["quakes.us"][..], "quakes.us"),
            (&["quakes.us", "quakes.ci"], "2 logs: quakes.{ci us}"),
            (&["a.b.c", "a.b.d", "a.b.c.d"], "3 logs: a.b.{c c.d d}"),
            (&["app", "app.web"], "2 logs: {app app.web}"),
            (&["app", "orders"], "2 logs: {app orders}"),
        ] {
            assert_eq!(lanes(ids).to_string(), name);
        }
        let many: Vec<String> = (10..40).map(|number| format!("a.{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(lanes(&many).logs().len(), LANES_MAX);
    }
}
