//! `hist`: a histogram of a log's events over time.

use clap::Args;
use hourlog::{
    LogId, Offset, Remote,
    time::{DAY, HOUR, MINUTE, SECOND},
    wire,
    wire::{Span, TimelineRequest},
};

use crate::{
    exit::Failure,
    output::{Align, Format, TableColumn, human_count},
    session::Session,
    when::Moment,
};

/// Count a log's events per time interval
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog hist orders.eu
  hourlog hist orders.eu --since 2d --step 1h
  hourlog hist orders.eu --since yesterday --until today --bins 24 -o csv")]
pub(super) struct Hist {
    /// Log id
    log: LogId,
    /// Start time, inclusive [default: the first event]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// End time, exclusive [default: just after the newest event]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Interval length, at least 1s: 1m, 1h, 1d [default: chosen for up to 40 intervals]
    #[arg(long, value_name = "SPAN")]
    step: Option<Span>,
    /// Number of equal intervals, instead of their length
    #[arg(long, value_name = "N", conflicts_with = "step", value_parser = clap::value_parser!(u32).range(1..=i64::from(wire::TIMELINE_BINS_MAX)))]
    bins: Option<u32>,
}

const COLUMNS: [TableColumn; 3] =
    [TableColumn("from", Align::Left), TableColumn("to", Align::Left), TableColumn("count", Align::Right)];
const COLUMNS_WITH_BARS: [TableColumn; 4] = [
    TableColumn("from", Align::Left),
    TableColumn("to", Align::Left),
    TableColumn("count", Align::Right),
    TableColumn("", Align::Left),
];
/// Length of the longest bar, in characters.
const BAR_CHARS_MAX: u64 = 40;
/// Limit of intervals when neither `--step` nor `--bins` is given: they fit on one screen.
const INTERVALS_MAX: i64 = 40;
/// Interval lengths to choose from, as people count time.
const STEPS: [i64; 17] = [
    SECOND,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
    MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    7 * DAY,
    30 * DAY,
    365 * DAY,
];

impl Hist {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let since = session.moment("--since", self.since.as_deref())?;
        let until = session.moment("--until", self.until.as_deref())?;
        let remote = session.open().await?.remote;
        let Some((from, to)) = self.range(&remote, since, until).await? else {
            session.out.note(&format!("{} has no events yet", self.log));
            return session.out.table(&COLUMNS).finish();
        };
        if from >= to {
            return Err(Failure::usage(format!("--since {from} is not before --until {to}; swap them")));
        }
        let (from, to, bins) = match self.bins {
            Some(bins) => (from, to, bins),
            None => intervals(from, to, self.step)?,
        };
        let request = TimelineRequest { from: Some(from.into()), to: Some(to.into()), bins: Some(bins) };
        let timeline = remote.timeline(&self.log, &request).await?;
        let highest = timeline.bins.iter().map(|bin| bin.count).max().unwrap_or(0);
        let with_bars = session.out.format() == Format::Table;
        let mut table = session.out.table(if with_bars { &COLUMNS_WITH_BARS } else { &COLUMNS });
        for bin in &timeline.bins {
            table.push(bin, || {
                let (from, to) = (session.time_cell(Some(bin.from)), session.time_cell(Some(bin.to)));
                vec![from, to, human_count(bin.count), bar(bin.count, highest)]
            })?;
        }
        table.finish()
    }

    /// Returns the range to count. The log's own range fills in missing bounds, unless it is empty.
    async fn range(
        &self,
        remote: &Remote,
        since: Option<Moment>,
        until: Option<Moment>,
    ) -> Result<Option<(Offset, Offset)>, Failure> {
        if let (Some(Moment::At(from)), Some(Moment::At(to))) = (since, until) {
            return Ok(Some((from, to)));
        }
        let details = remote.describe(&self.log).await?;
        let (Some(first), Some(last)) = (details.first, details.last) else {
            return Ok(None);
        };
        let at = |moment: Option<Moment>, default: Offset| match moment {
            Some(Moment::At(offset)) => offset,
            Some(Moment::First) => first,
            Some(Moment::Last) => last,
            None => default,
        };
        Ok(Some((at(since, first), at(until, last.saturating_add_nanos(1)))))
    }
}

/// Widens the range to whole intervals. Returns its bounds and the number of intervals.
fn intervals(from: Offset, to: Offset, step: Option<Span>) -> Result<(Offset, Offset, u32), Failure> {
    let length = to.nanos().saturating_sub(from.nanos());
    let step = match step {
        Some(Span(step)) if step < SECOND => {
            return Err(Failure::usage("--step: an interval has at least one second; write 1m, 1h or 1d"));
        }
        Some(Span(step)) => step,
        None => STEPS.into_iter().find(|step| length / step < INTERVALS_MAX).unwrap_or(length / INTERVALS_MAX + 1),
    };
    let start = i128::from(from.nanos()).div_euclid(step.into()) * i128::from(step);
    let bins = (i128::from(to.nanos()) - start + i128::from(step) - 1) / i128::from(step);
    let Some(bins) = u32::try_from(bins).ok().filter(|bins| *bins <= wire::TIMELINE_BINS_MAX) else {
        return Err(Failure::usage(format!(
            "--step: that makes {bins} intervals, more than the limit of {}; choose a longer step",
            wire::TIMELINE_BINS_MAX
        )));
    };
    let nanos = |value: i128| Offset::from_nanos(value.clamp(i64::MIN.into(), i64::MAX.into()) as i64);
    Ok((nanos(start), nanos(start + i128::from(bins) * i128::from(step)), bins))
}

/// Returns a bar in proportion to the count. Every count above zero is visible.
fn bar(count: u64, highest: u64) -> String {
    const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
    if count == 0 {
        return String::new();
    }
    let eighths = (u128::from(count) * u128::from(BAR_CHARS_MAX) * 8 / u128::from(highest)).max(1) as usize;
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
    fn intervals_start_at_round_times() {
        let offset = |text: &str| text.parse::<Offset>().expect("a valid time");
        let (from, to) = (offset("2018-01-31T01:49:59.65Z"), offset("2018-02-07T20:00:00Z"));
        let (start, end, bins) = intervals(from, to, None).expect("the range can be divided");
        assert_eq!((start.to_string().as_str(), bins), ("2018-01-31T00:00:00Z", 32));
        assert_eq!(end.to_string(), "2018-02-08T00:00:00Z");
        let (start, _, bins) = intervals(from, to, Some(Span(DAY))).expect("the range can be divided");
        assert_eq!((start.to_string().as_str(), bins), ("2018-01-31T00:00:00Z", 8));
        assert!(intervals(from, to, Some(Span(SECOND))).is_err());
        assert!(intervals(Offset::MIN, Offset::MAX, None).is_ok());
        let one = Offset::from_nanos(-1);
        assert_eq!(intervals(one, Offset::from_nanos(0), Some(Span(SECOND))).expect("one interval").2, 1);
    }

    #[test]
    fn bars_are_in_proportion_to_their_counts() {
        assert_eq!(bar(0, 10), "");
        assert_eq!(bar(1, 1_000_000), "▏");
        assert_eq!(bar(10, 10).chars().count() as u64, BAR_CHARS_MAX);
        assert_eq!(bar(5, 10), "█".repeat(20));
    }
}
