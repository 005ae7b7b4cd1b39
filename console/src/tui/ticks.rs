//! The times below the bars: on the edges of bars, round in the zone, as dense as they can be read.

use hourlog::time::{DAY, HOUR, MINUTE, SECOND};
use jiff::{Zoned, tz::TimeZone};

use crate::{tui::scale::Grid, when};

/// Smallest distance between two times, in columns.
const GAP_COLUMNS: usize = 2;

/// A time below the bars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tick {
    /// Its bar.
    pub(crate) bar: usize,
    /// Its text.
    pub(crate) text: String,
}

/// The lengths between two ticks, shortest first. A tick is an edge whose time is a multiple of it.
const SPACINGS: [Spacing; 33] = {
    use Spacing::{Days, Months, Nanos};
    [
        Nanos(SECOND / 1_000),
        Nanos(SECOND / 200),
        Nanos(SECOND / 100),
        Nanos(SECOND / 20),
        Nanos(SECOND / 10),
        Nanos(SECOND / 2),
        Nanos(SECOND),
        Nanos(5 * SECOND),
        Nanos(10 * SECOND),
        Nanos(15 * SECOND),
        Nanos(30 * SECOND),
        Nanos(MINUTE),
        Nanos(2 * MINUTE),
        Nanos(5 * MINUTE),
        Nanos(10 * MINUTE),
        Nanos(15 * MINUTE),
        Nanos(30 * MINUTE),
        Nanos(HOUR),
        Nanos(2 * HOUR),
        Nanos(3 * HOUR),
        Nanos(6 * HOUR),
        Nanos(12 * HOUR),
        Days(1),
        Days(2),
        Days(7),
        Days(14),
        Months(1),
        Months(3),
        Months(6),
        Months(12),
        Months(60),
        Months(120),
        Months(1_200),
    ]
};

#[derive(Debug, Clone, Copy)]
enum Spacing {
    /// Nanoseconds of the clock.
    Nanos(i64),
    /// Days; of seven, the Mondays.
    Days(i64),
    Months(i64),
}

impl Spacing {
    fn about_nanos(self) -> i64 {
        match self {
            Self::Nanos(nanos) => nanos,
            Self::Days(days) => days * DAY,
            Self::Months(months) => months * 30 * DAY,
        }
    }

    /// Returns true if a tick stands at a time: it is a multiple of the spacing, or the first one after such a time.
    fn has(self, at: &Zoned, before: Option<&Zoned>) -> bool {
        match before {
            Some(before) => self.number(at) != self.number(before),
            None => self.is_multiple(at),
        }
    }

    /// Returns the number of the spacing that a time lies in.
    fn number(self, at: &Zoned) -> (i64, i64) {
        let day = days_since_a_monday(at);
        match self {
            Self::Nanos(nanos) => (day, since_midnight(at).div_euclid(nanos)),
            Self::Days(days) => (day.div_euclid(days), 0),
            Self::Months(months) => (month(at).div_euclid(months), 0),
        }
    }

    fn is_multiple(self, at: &Zoned) -> bool {
        let into_day = since_midnight(at);
        match self {
            Self::Nanos(nanos) => into_day % nanos == 0,
            Self::Days(days) => into_day == 0 && days_since_a_monday(at) % days == 0,
            Self::Months(months) => into_day == 0 && at.day() == 1 && month(at).rem_euclid(months) == 0,
        }
    }

    /// Returns the text of a tick, and the width of the widest.
    fn text(self, at: &Zoned, has_weekdays: bool) -> String {
        let is_midnight = Self::Days(1).is_multiple(at);
        let format = match self {
            Self::Months(12..) => "%Y",
            Self::Months(_) => "%Y-%m",
            Self::Days(_) | Self::Nanos(_) if is_midnight && has_weekdays => "%m-%d %a",
            Self::Days(_) | Self::Nanos(_) if is_midnight => "%m-%d",
            Self::Days(_) => "%m-%d",
            Self::Nanos(nanos) if nanos >= MINUTE => "%H:%M",
            Self::Nanos(nanos) if nanos >= SECOND => "%H:%M:%S",
            Self::Nanos(_) => "%H:%M:%S%.3f",
        };
        at.strftime(format).to_string()
    }
}

fn days_since_a_monday(at: &Zoned) -> i64 {
    i64::from((at.date() - jiff::civil::date(1970, 1, 5)).get_days())
}

fn since_midnight(at: &Zoned) -> i64 {
    let time = at.time();
    i64::from(time.hour()) * HOUR
        + i64::from(time.minute()) * MINUTE
        + i64::from(time.second()) * SECOND
        + i64::from(time.subsec_nanosecond())
}

fn month(at: &Zoned) -> i64 {
    i64::from(at.year()) * 12 + i64::from(at.month()) - 1
}

/// Returns the times below the bars, from left to right.
pub(crate) fn ticks(grid: &Grid, zone: &TimeZone) -> Vec<Tick> {
    let edges: Vec<Zoned> = grid.edges()[..grid.bars()].iter().map(|edge| when::zoned(*edge, zone)).collect();
    let columns = grid.scale.columns;
    let step = grid.scale.step.about_nanos();
    for has_weekdays in [true, false] {
        for spacing in SPACINGS.into_iter().filter(|spacing| spacing.about_nanos() >= step) {
            let before = |bar: usize| bar.checked_sub(1).map(|before| &edges[before]);
            let at: Vec<usize> = (0..edges.len()).filter(|bar| spacing.has(&edges[*bar], before(*bar))).collect();
            let texts: Vec<String> = at.iter().map(|bar| spacing.text(&edges[*bar], has_weekdays)).collect();
            // The sign at a tick takes a column, too.
            let fits = |index: usize| {
                let room = (at[index + 1] - at[index]) * columns;
                texts[index].len() + 1 + GAP_COLUMNS <= room
            };
            let is_denser_with_days_only = has_weekdays && matches!(spacing, Spacing::Days(7..) | Spacing::Months(_));
            if !at.is_empty() && !is_denser_with_days_only && (0..at.len() - 1).all(fits) {
                return at.into_iter().zip(texts).map(|(bar, text)| Tick { bar, text }).collect();
            }
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::Offset;

    fn shown(from: &str, to: &str, columns: usize, zone: &str) -> Vec<String> {
        let at = |text: &str| text.parse::<Offset>().expect("a valid time");
        let zone = TimeZone::get(zone).expect("the zone is known");
        let grid = Grid::fit((at(from), at(to)), columns, &zone);
        ticks(&grid, &zone).into_iter().map(|tick| tick.text).collect()
    }

    #[test]
    fn times_are_round_and_as_dense_as_there_is_room() {
        let week = shown("2018-01-31T02:00:31Z", "2018-02-06T23:43:52Z", 115, "UTC");
        assert_eq!(week, ["01-31 Wed", "02-01 Thu", "02-02 Fri", "02-03 Sat", "02-04 Sun", "02-05 Mon", "02-06 Tue"]);
        let day = shown("2018-02-04T00:00:00Z", "2018-02-05T00:00:00Z", 96, "UTC");
        assert_eq!(day, ["02-04 Sun", "03:00", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00"]);
        let narrow = shown("2018-02-04T00:00:00Z", "2018-02-05T00:00:00Z", 48, "Asia/Kathmandu");
        assert!(narrow.len() >= 3 && narrow.iter().all(|text| text.ends_with(":00") || text.len() > 5), "{narrow:?}");
        let years = shown("1993-08-16T00:00:00Z", "2024-03-01T00:00:00Z", 115, "UTC");
        assert_eq!(years, ["1995", "2000", "2005", "2010", "2015", "2020"]);
        let seconds = shown("2018-02-04T21:56:42Z", "2018-02-04T21:57:42Z", 60, "UTC");
        assert_eq!(seconds, ["21:56:45", "21:57:00", "21:57:15", "21:57:30"]);
    }

    #[test]
    fn every_window_has_times_that_do_not_overlap() {
        for (from, to) in [(Offset::MIN, Offset::MAX), (Offset::MAX, Offset::MAX), (Offset::MIN, Offset::MIN)] {
            for columns in [1, 20, 300] {
                let grid = Grid::fit((from, to), columns, &TimeZone::UTC);
                let ticks = ticks(&grid, &TimeZone::UTC);
                assert!(ticks.windows(2).all(|pair| {
                    pair[0].bar * grid.scale.columns + pair[0].text.len() < pair[1].bar * grid.scale.columns
                }));
            }
        }
    }
}
