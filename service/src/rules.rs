//! Settings of logs by their ids: how long events are kept, and how wide the buckets of a new log
//! are.

use std::{str::FromStr, time::Duration};

use hourlog::{
    Error, LogId, Result,
    store::{LogRow, Width},
    wire::Retention,
};
use serde::Deserialize;

use crate::pattern::Pattern;

/// The width of a log of the system, until it fits the rate of its events. A flood of rejected
/// events must not fill an hour before the width changes.
const SYSTEM_WIDTH: Width = Width::MINUTE;

/// The rules of the configuration. The first rule whose pattern matches a log applies to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// How long events are kept.
    pub retention: Vec<RetentionRule>,
    /// The width of new logs.
    pub widths: Vec<WidthRule>,
}

/// Keeps the events of some logs for a time. Written `debug.>=7d`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionRule {
    logs: Pattern,
    keep: Retention,
}

/// Sets the width of some logs when they are created. Written `sensors.>=5m`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WidthRule {
    logs: Pattern,
    width: Width,
}

/// The retention of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The time for which its events are kept; `None` for no limit.
    pub(crate) time: Option<Duration>,
    /// The pattern of the rule that says so; `None` if the log has its own retention, or no rule
    /// applies.
    pub(crate) rule: Option<String>,
}

impl Kept {
    /// Returns the time in seconds, as replies have it.
    pub(crate) fn seconds(&self) -> Option<i64> {
        self.time.map(|time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
    }
}

impl Rules {
    /// Returns the retention of a log: its own, or that of the first rule that matches.
    pub(crate) fn kept(&self, log: &LogId, row: &LogRow) -> Kept {
        let (time, rule) = match row.retention {
            Some(own) => (Some(own), None),
            None => match self.retention.iter().find(|rule| applies(&rule.logs, log)) {
                Some(rule) => (rule.keep.setting(), Some(rule.logs.to_string())),
                None => (None, None),
            },
        };
        Kept { time: time.filter(|time| *time < LogRow::FOREVER), rule }
    }

    /// Returns the width that a rule sets for a log.
    pub(crate) fn width(&self, log: &LogId) -> Option<Width> {
        self.widths.iter().find(|rule| applies(&rule.logs, log)).map(|rule| rule.width)
    }

    /// Returns the width of a log that its first event creates.
    pub(crate) fn width_of_new(&self, log: &LogId) -> Width {
        self.width(log).unwrap_or(if log.is_system() { SYSTEM_WIDTH } else { Width::default() })
    }
}

/// Returns true if a rule for `pattern` applies to `log`. A rule for all logs spares those of the
/// system, which have to be named.
fn applies(pattern: &Pattern, log: &LogId) -> bool {
    pattern.matches(log) && !(log.is_system() && pattern.begins_with_wildcard())
}

/// Splits a rule at its last `=`.
fn split<'a>(text: &'a str, example: &str) -> Result<(Pattern, &'a str)> {
    let Some((pattern, value)) = text.rsplit_once('=') else {
        let text = hourlog::wire::shorten(text);
        return Err(Error::invalid(format!("{text:?} is not a rule; write a pattern, = and a value: {example}")));
    };
    Ok((pattern.parse()?, value))
}

impl FromStr for RetentionRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (logs, keep) = split(text, "debug.>=7d")?;
        Ok(Self { logs, keep: keep.parse()? })
    }
}

impl FromStr for WidthRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (logs, width) = split(text, "sensors.>=5m")?;
        Ok(Self { logs, width: width.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::{Offset, store::Widths};

    const DAY: Duration = Duration::from_secs(86_400);

    fn rules(retention: &[&str], widths: &[&str]) -> Rules {
        Rules {
            retention: retention.iter().map(|rule| rule.parse().expect(rule)).collect(),
            widths: widths.iter().map(|rule| rule.parse().expect(rule)).collect(),
        }
    }

    fn log(id: &str) -> LogId {
        id.parse().expect("a valid id")
    }

    #[test]
    fn the_first_rule_that_matches_applies_and_a_log_s_own_retention_wins() {
        let rules = rules(&["debug.keep=forever", "debug.>=7d", ">=30d", "_rejected=1d"], &[]);
        let row = LogRow::new(Offset::from_nanos(0), Widths::default());
        for (id, time, rule) in [
            ("debug.keep", None, Some("debug.keep")),
            ("debug.a.b", Some(7 * DAY), Some("debug.>")),
            ("orders", Some(30 * DAY), Some(">")),
            ("_rejected", Some(DAY), Some("_rejected")),
            ("_rejected.ORDERS", None, None),
        ] {
            let expected = Kept { time, rule: rule.map(str::to_owned) };
            assert_eq!(rules.kept(&log(id), &row), expected, "{id}");
        }
        let own = |retention| LogRow { retention: Some(retention), ..row.clone() };
        assert_eq!(rules.kept(&log("debug.a"), &own(DAY)), Kept { time: Some(DAY), rule: None });
        assert_eq!(rules.kept(&log("debug.a"), &own(LogRow::FOREVER)), Kept { time: None, rule: None });
    }

    #[test]
    fn a_new_log_gets_the_width_of_its_rule() {
        let rules = rules(&[], &["sensors.>=5m", "a=b=1m"]);
        for (id, width) in [("sensors.roof", "5m"), ("orders", "1h"), ("_rejected", "1m")] {
            assert_eq!(rules.width_of_new(&log(id)).to_string(), width, "{id}");
        }
    }

    #[test]
    fn a_rule_that_is_not_one_is_refused_with_an_example() {
        for (text, reason) in [("debug.>", "debug.>=7d"), ("debug.>=soon", "7d"), ("a..b=7d", "pattern")] {
            let error = text.parse::<RetentionRule>().expect_err(text);
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert!("a=2d".parse::<WidthRule>().is_err());
    }

    #[test]
    fn rules_are_tables_of_the_configuration_file() {
        let rule: RetentionRule = toml::from_str("logs = \"debug.>\"\nkeep = \"7d\"").expect("a valid rule");
        assert_eq!(rule, "debug.>=7d".parse().expect("a valid rule"));
        assert!(toml::from_str::<WidthRule>("logs = \"a\"\nkeep = \"7d\"").is_err());
    }
}
