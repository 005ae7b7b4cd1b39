//! The times above the scrubber: round times in the zone, as dense as they can be read.

use hourlog::time::{DAY, HOUR, MINUTE, SECOND};
use jiff::{
    ToSpan,
    civil::{Date, DateTime, date},
    tz::TimeZone,
};

use crate::{
    tui::{bars, state::Window},
    when,
};

/// Smallest distance between two times, in columns.
const GAP_COLUMNS: usize = 3;
const MILLI: i64 = SECOND / 1_000;
/// Approximate length of a month, to choose a step.
const MONTH: i64 = 30 * DAY;

/// The distance between two times.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Nanoseconds; a day is a multiple of them.
    Nanos(i64),
    Days(i64),
    Months(i64),
}

use Step::{Days, Months, Nanos};

/// All steps, shortest first, with the format of their times and its width in columns.
const STEPS: [(&[Step], &str, usize); 6] = [
    (
        &[
            Nanos(MILLI),
            Nanos(2 * MILLI),
            Nanos(5 * MILLI),
            Nanos(10 * MILLI),
            Nanos(20 * MILLI),
            Nanos(50 * MILLI),
            Nanos(100 * MILLI),
            Nanos(200 * MILLI),
            Nanos(500 * MILLI),
        ],
        "%H:%M:%S%.3f",
        12,
    ),
    (
        &[
            Nanos(SECOND),
            Nanos(2 * SECOND),
            Nanos(5 * SECOND),
            Nanos(10 * SECOND),
            Nanos(15 * SECOND),
            Nanos(30 * SECOND),
        ],
        "%H:%M:%S",
        8,
    ),
    (
        &[
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
        ],
        "%H:%M",
        5,
    ),
    (&[Days(1), Days(2), Days(7), Days(14)], "%m-%d", 5),
    (&[Months(1), Months(2), Months(3), Months(6)], "%Y-%m", 7),
    (&[Months(12), Months(24), Months(60), Months(120), Months(240), Months(600)], "%Y", 4),
];

impl Step {
    fn nanos(self) -> i64 {
        match self {
            Nanos(nanos) => nanos,
            Days(days) => days * DAY,
            Months(months) => months * MONTH,
        }
    }

    /// Returns the last round time up to `time`.
    fn before(self, time: DateTime) -> Option<DateTime> {
        let day = time.date();
        match self {
            Nanos(nanos) => {
                let since_midnight = time.duration_since(midnight(day)).as_nanos();
                let back = since_midnight % i128::from(nanos);
                time.checked_sub(i64::try_from(back).ok()?.nanoseconds()).ok()
            }
            Days(days) => {
                // The first Monday of 1970 is the fifth of January.
                let since = day.duration_since(date(1970, 1, 5)).as_hours() / 24;
                Some(midnight(day.checked_sub(since.rem_euclid(days).days()).ok()?))
            }
            Months(months) => {
                let since = i64::from(day.year()) * 12 + i64::from(day.month()) - 1;
                Some(midnight(day.first_of_month().checked_sub(since.rem_euclid(months).months()).ok()?))
            }
        }
    }

    /// Returns the round time after one.
    fn after(self, time: DateTime) -> Option<DateTime> {
        match self {
            Nanos(nanos) => time.checked_add(nanos.nanoseconds()),
            Days(days) => time.checked_add(days.days()),
            Months(months) => time.checked_add(months.months()),
        }
        .ok()
    }
}

fn midnight(day: Date) -> DateTime {
    day.at(0, 0, 0, 0)
}

/// Returns the round times of a window that is `columns` wide, each with its first column.
pub(crate) fn ticks(window: Window, columns: usize, zone: &TimeZone) -> Vec<(usize, String)> {
    let span = i128::from(window.1.nanos()) - i128::from(window.0.nanos());
    let wide_enough = |step: Step, width: usize| {
        i128::from(step.nanos()) * columns as i128 >= span.max(1) * (width + GAP_COLUMNS) as i128
    };
    let mut steps =
        STEPS.iter().flat_map(|(steps, format, width)| steps.iter().map(move |step| (*step, *format, *width)));
    let Some((step, format, width)) = steps.find(|(step, _, width)| wide_enough(*step, *width)) else {
        return Vec::new();
    };
    let mut ticks: Vec<(usize, String)> = Vec::new();
    let mut time = step.before(when::zoned(window.0, zone).datetime());
    while let Some(civil) = time {
        time = step.after(civil);
        // A time that a clock change skips is shown an hour later.
        let Ok(zoned) = zone.to_zoned(civil) else { break };
        if zoned.timestamp().as_nanosecond() >= window.1.nanos().into() {
            break;
        }
        // The first may be too early for an offset.
        let Some(offset) = when::offset(zoned.timestamp()) else { continue };
        let Some(column) = bars::column(window, columns, offset) else { continue };
        // At a clock change two times are closer together.
        let is_free = ticks.last().is_none_or(|(last, _)| last + width < column);
        if is_free && column + width <= columns {
            let is_midnight = matches!(step, Nanos(MINUTE..)) && civil == midnight(civil.date());
            ticks.push((column, zoned.strftime(if is_midnight { "%m-%d" } else { format }).to_string()));
        }
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::Offset;

    fn shown(from: &str, nanos: i64, columns: usize, zone: &str) -> Vec<String> {
        let from: Offset = from.parse().expect("a valid time");
        let zone = TimeZone::posix(zone).expect("a valid zone");
        ticks((from, from.saturating_add_nanos(nanos)), columns, &zone).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn times_are_round_and_as_dense_as_there_is_room() {
        let from = "2018-02-04T21:56:42.123Z";
        assert_eq!(shown(from, 20 * MILLI, 40, "UTC0"), ["21:56:42.130"]);
        assert_eq!(shown(from, MINUTE, 60, "UTC0"), ["21:56:45", "21:57:00", "21:57:15", "21:57:30"]);
        assert_eq!(shown(from, 4 * HOUR, 60, "UTC0"), ["22:00", "23:00", "02-05", "01:00"]);
        assert_eq!(shown(from, 30 * DAY, 60, "UTC0"), ["02-05", "02-12", "02-19", "02-26"]);
        assert_eq!(shown(from, 365 * DAY, 60, "UTC0"), ["2018-04", "2018-07", "2018-10"]);
        assert_eq!(shown(from, 3_000 * DAY, 60, "UTC0"), ["2019", "2020", "2021", "2022", "2023", "2024", "2025"]);
    }

    #[test]
    fn times_are_round_in_the_zone_and_across_clock_changes() {
        assert_eq!(shown("2018-02-04T00:00:00Z", 3 * HOUR, 40, "<+0545>-5:45"), ["06:00", "07:00", "08:00"]);
        let set_forward = shown("2018-03-25T00:00:00Z", 4 * HOUR, 60, "CET-1CEST,M3.5.0,M10.5.0/3");
        assert_eq!(set_forward, ["01:00", "03:00", "04:00", "05:00"]);
    }

    #[test]
    fn every_window_has_times_that_fit() {
        for (from, to) in [(Offset::MIN, Offset::MAX), (Offset::MAX, Offset::MAX), (Offset::MIN, Offset::MIN)] {
            for columns in [1, 20, 300] {
                assert!(ticks((from, to), columns, &TimeZone::UTC).len() <= columns);
            }
        }
    }
}
