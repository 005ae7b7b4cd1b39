//! `hist`: a histogram of the events of a log, or of several, over time or by value.
//!
//! - `count`: the requests that it takes, put together.

pub(super) mod count;

use clap::Args;
use hourlog::{
    Offset, Remote,
    time::{HOUR, MINUTE, SECOND},
    wire::{self, LogsRequest, Step, TimelineRequest},
};
use serde::Serialize;

use crate::{
    exit::Failure,
    output::{Align, Format, TableColumn, human_count},
    session::Session,
    when::Moment,
};

use super::{ahead, conditions::Conditions, listing, read::LogName};

use count::{Counts, Logs, count};

/// Count events per time interval, or by what is in them
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog hist orders.eu
  hourlog hist orders.eu --since 2d --step 1h
  hourlog hist 'orders.>' --since 2026-01-01 --step 1mo
  hourlog hist orders.eu --since yesterday --until today --bins 24 -o csv
  hourlog hist 'app.>' --since 14:00 --until 14:10 --where 'json.level == \"error\"' --by json.service
  hourlog hist orders.eu --grep 'timed out' --step 1h
  hourlog hist 'orders.>' --by log")]
pub(super) struct Hist {
    /// Log id, or pattern such as orders.>, whose logs are counted together
    log: LogName,
    /// Start time, inclusive [default: the first event]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// End time, exclusive; end for all events, also those ahead of now [default: just after the newest event up to
    /// now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Interval length: 1s, 5m, 1h, 1d, 1w, 1mo, 1y; from a day on, those of the calendar in the time zone
    /// [default: chosen for up to 40 intervals]
    #[arg(long, value_name = "STEP")]
    step: Option<Step>,
    /// Number of equal intervals, instead of their length
    #[arg(long, value_name = "N", conflicts_with = "step", value_parser = clap::value_parser!(u32).range(1..=i64::from(wire::TIMELINE_BINS_MAX)))]
    bins: Option<u32>,
    /// Count by the values of this expression in CEL instead of by time, such as json.service, metadata.kind or log
    #[arg(long, value_name = "EXPRESSION", conflicts_with_all = ["step", "bins"])]
    by: Option<String>,
    /// Number of values to list, those with most events
    #[arg(long, value_name = "N", requires = "by", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=i64::from(wire::GROUPS_MAX)))]
    top: u32,
    #[command(flatten)]
    conditions: Conditions,
}

const COLUMNS_BY: [TableColumn; 2] = [TableColumn("value", Align::Left), TableColumn("count", Align::Right)];
const COLUMNS_BY_WITH_BARS: [TableColumn; 3] =
    [TableColumn("value", Align::Left), TableColumn("count", Align::Right), TableColumn("", Align::Left)];
const COLUMNS: [TableColumn; 3] =
    [TableColumn("from", Align::Time), TableColumn("to", Align::Time), TableColumn("count", Align::Right)];
const COLUMNS_WITH_BARS: [TableColumn; 4] = [
    TableColumn("from", Align::Time),
    TableColumn("to", Align::Time),
    TableColumn("count", Align::Right),
    TableColumn("", Align::Left),
];
/// Lengths of the longest bar, in characters, on a narrow and on a wide terminal.
const BAR_CHARS: (usize, usize) = (8, 40);
/// Width of the other columns with times to the millisecond and counts of seven digits.
const OTHER_COLUMNS: usize = 61;
/// Limit of intervals when neither `--step` nor `--bins` is given: they fit on one screen.
const INTERVALS_MAX: i64 = 40;
/// Interval lengths to choose from, as people count time.
const STEPS: [Step; 19] = [
    Step::Nanos(SECOND),
    Step::Nanos(5 * SECOND),
    Step::Nanos(10 * SECOND),
    Step::Nanos(30 * SECOND),
    Step::Nanos(MINUTE),
    Step::Nanos(5 * MINUTE),
    Step::Nanos(10 * MINUTE),
    Step::Nanos(15 * MINUTE),
    Step::Nanos(30 * MINUTE),
    Step::Nanos(HOUR),
    Step::Nanos(3 * HOUR),
    Step::Nanos(6 * HOUR),
    Step::Nanos(12 * HOUR),
    Step::Days(1),
    Step::Weeks(1),
    Step::Months(1),
    Step::Months(3),
    Step::Years(1),
    Step::Years(10),
];

impl Hist {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let (since, until) = session.range(self.since.as_deref(), self.until.as_deref()).await?;
        let remote = session.open().await?.remote;
        let logs = Logs::new(&self.log)?;
        let extent = match (since, until) {
            (Some(Moment::At(from)), Some(Moment::At(to))) => Extent { first: Some(from), last: Some(to), end: None },
            _ => self.extent(session, &remote).await?,
        };
        let Some((from, to)) = extent.range(since, until) else {
            session.out.note(&format!("{} has no events up to now", self.log));
            if let LogName::Log(log) = &self.log {
                ahead::tell(session, remote.describe(log).await?.ahead, "--until end");
            }
            return session.out.table(if self.by.is_some() { &COLUMNS_BY } else { &COLUMNS }).finish();
        };
        if from >= to {
            return Err(Failure::usage(format!("--since {from} is not before --until {to}; swap them")));
        }
        let chosen = || (self.bins.is_none() && self.by.is_none()).then(|| fitting_step(from, to));
        let step = self.step.or_else(chosen);
        let zone = step.and_then(|_| session.zone.iana_name().map(str::to_owned));
        if step.is_some() && zone.is_none() {
            session.out.note("intervals begin as in UTC, because the time zone has no name; give --tz Europe/Oslo");
        }
        let conditions = self.conditions.request();
        let request = TimelineRequest {
            from: Some(from.into()),
            to: Some(to.into()),
            bins: self.bins.or(self.by.as_ref().map(|_| 1)),
            step,
            zone,
            exact: true,
            condition: conditions.condition,
            text: conditions.text,
            header: conditions.header,
            by: self.by.clone(),
            groups: self.by.as_ref().map(|_| wire::GROUPS_MAX),
            ..TimelineRequest::default()
        };
        let counts = count(session, &remote, &logs, request).await?;
        if until.is_none() {
            ahead::tell(session, counts.ahead, "--until end");
        }
        if self.by.is_some() { self.print_values(session, counts) } else { print_intervals(session, &counts) }
    }

    /// Prints a line for each value, those with most events first, and one for all others.
    fn print_values(&self, session: &Session, counts: Counts) -> Result<(), Failure> {
        let values = counts.values(self.top as usize);
        if !values.are_exact {
            session
                .out
                .note("there are too many values to tell them all apart: each has at least so many events, and others may have more");
        }
        let with_bars = session.out.format() == Format::Table;
        let highest = values.listed.iter().map(|value| value.count).max().unwrap_or(0);
        let mut table = session.out.table(if with_bars { &COLUMNS_BY_WITH_BARS } else { &COLUMNS_BY });
        for value in &values.listed {
            let name = value.value.clone().unwrap_or_else(|| "(none)".to_owned());
            table
                .push(value, || vec![name, human_count(value.count), bar(value.count, highest, BAR_CHARS.1 as u64)])?;
        }
        if values.others > 0 {
            let others = Others { others: true, count: values.others };
            table.push(&others, || vec!["(others)".to_owned(), human_count(others.count), String::new()])?;
        }
        table.finish()
    }

    /// Returns the times of the first and of the newest events.
    async fn extent(&self, session: &Session, remote: &Remote) -> Result<Extent, Failure> {
        let pattern = match &self.log {
            LogName::Log(log) => {
                let details = remote.describe(log).await?;
                let end = details.ahead.map(|ahead| ahead.last).or(details.last);
                return Ok(Extent { first: details.first, last: details.last, end });
            }
            LogName::Pattern(pattern) => pattern.clone(),
        };
        let request = LogsRequest { pattern: Some(pattern.clone()), ..LogsRequest::default() };
        let mut extent = Extent { first: None, last: None, end: None };
        let mut logs = std::pin::pin!(listing::logs(remote, request));
        let mut is_matched = false;
        while let Some(log) = futures_util::TryStreamExt::try_next(&mut logs).await? {
            is_matched = true;
            extent.first = extent.first.into_iter().chain(log.first).min();
            extent.last = extent.last.max(log.last);
            extent.end = extent.end.max(log.ahead.map(|ahead| ahead.last).or(log.last));
        }
        if !is_matched {
            session.out.note(&format!("no log matches {pattern}"));
        }
        Ok(extent)
    }
}

/// The events of all values that are not listed.
#[derive(Debug, Serialize)]
struct Others {
    others: bool,
    count: u64,
}

/// The times of the events of the logs that are counted.
struct Extent {
    first: Option<Offset>,
    /// The newest one that does not lie ahead of now.
    last: Option<Offset>,
    end: Option<Offset>,
}

impl Extent {
    /// Returns the range to count; `None` if there are no events that say where it begins or ends.
    fn range(&self, since: Option<Moment>, until: Option<Moment>) -> Option<(Offset, Offset)> {
        let after = |offset: Offset| offset.saturating_add_nanos(1);
        let at = |moment: Moment| match moment {
            Moment::At(offset) => Some(offset),
            Moment::First => self.first,
            Moment::Last => self.last,
            Moment::End => self.end.map(after),
        };
        let from = at(since.unwrap_or(Moment::First));
        // The newest event is part of a range that ends with it.
        let until = until.filter(|until| *until != Moment::Last);
        from.zip(until.map_or(self.last.map(after), at))
    }
}

/// Prints a line for each interval.
fn print_intervals(session: &Session, counts: &Counts) -> Result<(), Failure> {
    let highest = counts.bins.iter().map(|bin| bin.count).max().unwrap_or(0);
    let with_bars = session.out.format() == Format::Table;
    let room = session.out.columns().map_or(BAR_CHARS.1, |columns| columns.saturating_sub(OTHER_COLUMNS));
    let longest = room.clamp(BAR_CHARS.0, BAR_CHARS.1) as u64;
    let mut table = session.out.table(if with_bars { &COLUMNS_WITH_BARS } else { &COLUMNS });
    for bin in &counts.bins {
        table.push(bin, || {
            let (from, to) = (session.time_cell(Some(bin.from)), session.time_cell(Some(bin.to)));
            vec![from, to, human_count(bin.count), bar(bin.count, highest, longest)]
        })?;
    }
    table.finish()
}

/// Returns the shortest step that makes few intervals.
fn fitting_step(from: Offset, to: Offset) -> Step {
    let length = i128::from(to.nanos()) - i128::from(from.nanos());
    let fits = |step: &Step| length / i128::from(step.about_nanos()) < INTERVALS_MAX.into();
    STEPS.into_iter().find(fits).unwrap_or(Step::Years(10))
}

/// Returns a bar in proportion to the count: `longest` characters for the highest one. Every count above zero is
/// visible.
fn bar(count: u64, highest: u64, longest: u64) -> String {
    const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
    if count == 0 {
        return String::new();
    }
    let eighths = (u128::from(count) * u128::from(longest) * 8 / u128::from(highest)).max(1) as usize;
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8 - 1]);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_step_makes_at_most_forty_intervals() {
        let offset = |text: &str| text.parse::<Offset>().expect("a valid time");
        for (from, to, step) in [
            ("2018-01-31T01:49:59.65Z", "2018-02-07T20:00:00Z", "6h"),
            ("2018-01-31T10:00:00Z", "2018-01-31T10:00:39Z", "1s"),
            ("1995-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "1y"),
        ] {
            assert_eq!(fitting_step(offset(from), offset(to)).to_string(), step);
        }
        assert_eq!(fitting_step(Offset::MIN, Offset::MAX), Step::Years(10));
    }

    #[test]
    fn bars_are_in_proportion_to_their_counts() {
        assert_eq!(bar(0, 10, 40), "");
        assert_eq!(bar(1, 1_000_000, 40), "▏");
        assert_eq!(bar(10, 10, 40), "█".repeat(40));
        assert_eq!(bar(5, 10, 8), "█".repeat(4));
    }
}
