//! `hist`: a histogram of a log's events over time.

use clap::Args;
use hourlog::{
    LogId, Offset, Remote,
    time::{HOUR, MINUTE, SECOND},
    wire::{self, AheadReply, BinReply, Step, TimelineRequest},
};

use crate::{
    exit::Failure,
    output::{Align, Format, TableColumn, human_count},
    session::Session,
    when::Moment,
};

use super::ahead;

/// Count a log's events per time interval
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog hist orders.eu
  hourlog hist orders.eu --since 2d --step 1h
  hourlog hist orders.eu --since 2026-01-01 --step 1mo
  hourlog hist orders.eu --since yesterday --until today --bins 24 -o csv")]
pub(super) struct Hist {
    /// Log id
    log: LogId,
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
}

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
        let Some((from, to)) = self.range(&remote, since, until).await? else {
            session.out.note(&format!("{} has no events up to now", self.log));
            ahead::tell(session, remote.describe(&self.log).await?.ahead, "--until end");
            return session.out.table(&COLUMNS).finish();
        };
        if from >= to {
            return Err(Failure::usage(format!("--since {from} is not before --until {to}; swap them")));
        }
        let step = self.step.or_else(|| self.bins.is_none().then(|| fitting_step(from, to)));
        let zone = step.and_then(|_| session.zone.iana_name().map(str::to_owned));
        if step.is_some() && zone.is_none() {
            session.out.note("intervals begin as in UTC, because the time zone has no name; give --tz Europe/Oslo");
        }
        let request = TimelineRequest {
            from: Some(from.into()),
            to: Some(to.into()),
            bins: self.bins,
            step,
            zone,
            exact: true,
            after: None,
        };
        let (bins, ahead) = count(session, &remote, &self.log, request).await?;
        if until.is_none() {
            ahead::tell(session, ahead, "--until end");
        }
        let highest = bins.iter().map(|bin| bin.count).max().unwrap_or(0);
        let with_bars = session.out.format() == Format::Table;
        let room = session.out.columns().map_or(BAR_CHARS.1, |columns| columns.saturating_sub(OTHER_COLUMNS));
        let longest = room.clamp(BAR_CHARS.0, BAR_CHARS.1) as u64;
        let mut table = session.out.table(if with_bars { &COLUMNS_WITH_BARS } else { &COLUMNS });
        for bin in &bins {
            table.push(bin, || {
                let (from, to) = (session.time_cell(Some(bin.from)), session.time_cell(Some(bin.to)));
                vec![from, to, human_count(bin.count), bar(bin.count, highest, longest)]
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
        let after = |offset: Offset| offset.saturating_add_nanos(1);
        let end = details.ahead.map(|ahead| ahead.last).or(details.last);
        let at = |moment: Moment| match moment {
            Moment::At(offset) => Some(offset),
            Moment::First => details.first,
            Moment::Last => details.last,
            Moment::End => end.map(after),
        };
        let from = at(since.unwrap_or(Moment::First));
        // The newest event is part of a range that ends with it.
        let until = until.filter(|until| *until != Moment::Last);
        Ok(from.zip(until.map_or(details.last.map(after), at)))
    }
}

/// Returns the shortest step that makes few intervals.
fn fitting_step(from: Offset, to: Offset) -> Step {
    let length = i128::from(to.nanos()) - i128::from(from.nanos());
    let fits = |step: &Step| length / i128::from(step.about_nanos()) < INTERVALS_MAX.into();
    STEPS.into_iter().find(fits).unwrap_or(Step::Years(10))
}

/// Counts the bins of `request`, in as many requests as it takes. Also returns the events ahead of now.
async fn count(
    session: &Session,
    remote: &Remote,
    log: &LogId,
    mut request: TimelineRequest,
) -> Result<(Vec<BinReply>, Option<AheadReply>), Failure> {
    let mut bins: Vec<BinReply> = Vec::new();
    loop {
        let reply = remote.timeline(log, &request).await?;
        if bins.is_empty() {
            if reply.next.is_some() {
                session
                    .out
                    .note(&format!("counting reads {} events; longer intervals need fewer", human_count(reply.of)));
            }
            bins = reply.bins;
        } else {
            for (bin, more) in bins.iter_mut().zip(reply.bins) {
                bin.count += more.count;
            }
        }
        request.after = reply.next;
        if request.after.is_none() {
            return Ok((bins, reply.ahead));
        }
    }
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
