//! `hist`: how a log's events are spread over time.

use clap::Args;
use hourlog::{
    DAY, HOUR, LogId, MINUTE, Offset, Remote, SECOND, wire,
    wire::{Span, TimelineRequest},
};

use crate::{
    exit::Failure,
    output::{Column, Side, human_count},
    session::Session,
    when::Moment,
};

/// Count a log's events by time
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog hist orders.eu
  hourlog hist orders.eu --since 2d --step 1h
  hourlog hist orders.eu --since yesterday --until today --bins 24 -o csv")]
pub(super) struct Hist {
    /// The log
    log: LogId,
    /// From when on [default: the first event]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Until when, exclusive [default: behind the newest event]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// How long one part is: 1m, 1h, 1d [default: so that there are up to 40]
    #[arg(long, value_name = "SPAN")]
    step: Option<Span>,
    /// Into how many equal parts, whatever their length
    #[arg(long, value_name = "N", conflicts_with = "step", value_parser = clap::value_parser!(u32).range(1..=i64::from(wire::TIMELINE_BINS_MAX)))]
    bins: Option<u32>,
}

const COLUMNS: [Column; 3] = [Column("from", Side::Left), Column("to", Side::Left), Column("count", Side::Right)];
const COLUMNS_WITH_BARS: [Column; 4] =
    [Column("from", Side::Left), Column("to", Side::Left), Column("count", Side::Right), Column("", Side::Left)];
/// The longest bar, in characters.
const BAR_CHARS_MAX: u64 = 40;
/// How many parts there are at most when nobody says how long they are.
const PARTS_GUIDE: i64 = 40;
/// Lengths that people count in.
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
        let since = session.moment_of("--since", self.since.as_deref())?;
        let until = session.moment_of("--until", self.until.as_deref())?;
        let remote = session.open().await?.remote;
        let Some((from, to)) = self.range(&remote, since, until).await? else {
            session.out.note(&format!("{} holds no event yet", self.log));
            return session.out.rows(&COLUMNS).finish();
        };
        if from >= to {
            return Err(Failure::usage(format!("--since {from} is not before --until {to}; turn them round")));
        }
        let (from, to, bins) = match self.bins {
            Some(bins) => (from, to, bins),
            None => parts(from, to, self.step)?,
        };
        let request = TimelineRequest { from: Some(from.into()), to: Some(to.into()), bins: Some(bins) };
        let timeline = remote.timeline(&self.log, &request).await?;
        let highest = timeline.bins.iter().map(|bin| bin.count).max().unwrap_or(0);
        let table = session.out.format() == crate::output::Format::Table;
        let mut rows = session.out.rows(if table { &COLUMNS_WITH_BARS } else { &COLUMNS });
        for bin in &timeline.bins {
            rows.push(bin, || {
                let (from, to) = (session.time_cell(Some(bin.from)), session.time_cell(Some(bin.to)));
                vec![from, to, human_count(bin.count), bar(bin.count, highest)]
            })?;
        }
        rows.finish()
    }

    /// The times that were asked for, and otherwise those of the log; none where it is empty.
    async fn range(
        &self,
        remote: &Remote,
        since: Option<Moment>,
        until: Option<Moment>,
    ) -> Result<Option<(Offset, Offset)>, Failure> {
        if let (Some(Moment::At(from)), Some(Moment::At(to))) = (since, until) {
            return Ok(Some((from, to)));
        }
        let known = remote.describe(&self.log).await?;
        let (Some(first), Some(last)) = (known.first, known.last) else {
            return Ok(None);
        };
        let at = |moment: Option<Moment>, otherwise: Offset| match moment {
            Some(Moment::At(offset)) => offset,
            Some(Moment::First) => first,
            Some(Moment::Last) => last,
            None => otherwise,
        };
        Ok(Some((at(since, first), at(until, last.saturating_add_nanos(1)))))
    }
}

/// The range in whole steps, and how many there are.
fn parts(from: Offset, to: Offset, step: Option<Span>) -> Result<(Offset, Offset, u32), Failure> {
    let length = to.nanos().saturating_sub(from.nanos());
    let step = match step {
        Some(Span(step)) if step < SECOND => {
            return Err(Failure::usage("--step: parts are at least a second long; write 1m, 1h or 1d"));
        }
        Some(Span(step)) => step,
        None => STEPS.into_iter().find(|step| length / step < PARTS_GUIDE).unwrap_or(length / PARTS_GUIDE + 1),
    };
    let start = i128::from(from.nanos()).div_euclid(step.into()) * i128::from(step);
    let bins = (i128::from(to.nanos()) - start + i128::from(step) - 1) / i128::from(step);
    let Some(bins) = u32::try_from(bins).ok().filter(|bins| *bins <= wire::TIMELINE_BINS_MAX) else {
        return Err(Failure::usage(format!(
            "--step: that makes {bins} parts, and {} is the most; make them longer",
            wire::TIMELINE_BINS_MAX
        )));
    };
    let nanos = |value: i128| Offset::from_nanos(value.clamp(i64::MIN.into(), i64::MAX.into()) as i64);
    Ok((nanos(start), nanos(start + i128::from(bins) * i128::from(step)), bins))
}

/// A bar as long as the count, in eighths of a character; what is not nothing can be seen.
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
    fn parts_begin_at_round_times() {
        let offset = |text: &str| text.parse::<Offset>().expect("a time");
        let (from, to) = (offset("2018-01-31T01:49:59.65Z"), offset("2018-02-07T20:00:00Z"));
        let (start, end, bins) = parts(from, to, None).expect("it can be parted");
        assert_eq!((start.to_string().as_str(), bins), ("2018-01-31T00:00:00Z", 32));
        assert_eq!(end.to_string(), "2018-02-08T00:00:00Z");
        let (start, _, bins) = parts(from, to, Some(Span(DAY))).expect("it can be parted");
        assert_eq!((start.to_string().as_str(), bins), ("2018-01-31T00:00:00Z", 8));
        assert!(parts(from, to, Some(Span(SECOND))).is_err());
        assert!(parts(Offset::MIN, Offset::MAX, None).is_ok());
        let one = Offset::from_nanos(-1);
        assert_eq!(parts(one, Offset::from_nanos(0), Some(Span(SECOND))).expect("one part").2, 1);
    }

    #[test]
    fn bars_are_as_long_as_their_counts() {
        assert_eq!(bar(0, 10), "");
        assert_eq!(bar(1, 1_000_000), "▏");
        assert_eq!(bar(10, 10).chars().count() as u64, BAR_CHARS_MAX);
        assert_eq!(bar(5, 10), "█".repeat(20));
    }
}
