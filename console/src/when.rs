//! Times as people write them: `2h ago`, `14:05`, `yesterday 9:00`, `feb 4 10:00`, RFC 3339.
//!
//! The forms are tried in a fixed order: a word, the instants of `instant`, and then the local times
//! of `local`. No text fits two of them. A time without a zone is in the session's zone. One that
//! comes again and again, such as `14:05` or `monday`, is the most recent one; as the end of a range, the
//! first one after its start.

mod instant;
mod local;
mod zone;

use hourlog::{Error, Offset, Result, wire, wire::shorten};
use jiff::{Timestamp, Zoned, tz::TimeZone};

use local::Local;
pub(crate) use zone::{clock, parse as parse_zone, system as system_zone};
pub use zone::{name as zone_name, show, show_with_zone};

/// A point on a log's timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A time.
    At(Offset),
    /// The log's first event.
    First,
    /// The log's newest event that does not lie ahead of now.
    Last,
    /// The end of the log: after its last event, however far ahead of now that lies.
    End,
}

impl From<Moment> for wire::When {
    fn from(moment: Moment) -> Self {
        match moment {
            Moment::At(offset) => Self::At(offset),
            Moment::First => Self::First,
            Moment::Last => Self::Last,
            Moment::End => Self::End,
        }
    }
}

/// Parses a time. `now` and `zone` complete it. A duration without a sign means that long ago.
///
/// # Errors
/// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) with three examples of valid times.
pub fn parse(text: &str, now: Offset, zone: &TimeZone) -> Result<Moment> {
    let text = text.trim();
    match text {
        "first" => return Ok(Moment::First),
        "last" => return Ok(Moment::Last),
        "end" => return Ok(Moment::End),
        "now" => return Ok(Moment::At(now)),
        _ => {}
    }
    let now = zoned(now, zone);
    let at = instant::parse(text, &now).or_else(|| Local::parse(text)?.latest(&now));
    at.map(Moment::At).ok_or_else(|| {
        Error::invalid(format!(
            "{:?} is not a time; write 2018-02-04T21:56:42Z, '2h ago' or 'yesterday 9:00'",
            shorten(text)
        ))
    })
}

/// Returns the time that `text` means as the end of a range that begins at `since`, if that depends on
/// the start: `10:00`, `friday` and `feb 4` are then the first ones after it.
pub(crate) fn end_after(text: &str, since: Option<Moment>, zone: &TimeZone) -> Option<Moment> {
    let Some(Moment::At(since)) = since else { return None };
    let text = text.trim();
    let local = Local::parse(text).filter(|local| local.recurs())?;
    local.first_after(&zoned(since, zone)).map(Moment::At)
}

/// Returns a remark on a local time that the clocks show twice, or never: the time that was taken for
/// it.
pub(crate) fn remark(text: &str, moment: Moment, zone: &TimeZone) -> Option<String> {
    let Moment::At(offset) = moment else { return None };
    Local::parse(text.trim())?.remark(&zoned(offset, zone))
}

/// Returns true if `text` means another time at another `now`: `2h ago`, `yesterday`, `14:05`.
pub(crate) fn is_relative(text: &str, now: Offset, zone: &TimeZone) -> bool {
    let later = now.saturating_add_nanos(10 * hourlog::time::DAY);
    Local::parse(text.trim()).is_some_and(|local| local.recurs())
        || parse(text, now, zone).ok() != parse(text, later, zone).ok()
}

/// Returns the inclusive lower bound of a read; `first` needs none.
pub(crate) fn lower_bound(since: Option<Moment>) -> Option<wire::When> {
    since.filter(|since| *since != Moment::First).map(wire::When::from)
}

/// Converts a time to `zone`.
pub(crate) fn zoned(offset: Offset, zone: &TimeZone) -> Zoned {
    Timestamp::from(offset).to_zoned(zone.clone())
}

/// Converts a timestamp, if it fits into an offset.
pub(crate) fn offset(timestamp: Timestamp) -> Option<Offset> {
    Offset::try_from(timestamp).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Sunday in winter, in a zone one hour ahead of UTC.
    const NOW: &str = "2018-02-04T13:00:00Z";

    fn oslo() -> TimeZone {
        TimeZone::get("Europe/Oslo").expect("every time zone database has Oslo")
    }

    fn time(text: &str) -> Offset {
        text.parse().expect("a valid time")
    }

    fn shown(moment: Result<Moment>) -> String {
        match moment {
            Ok(Moment::At(offset)) => offset.to_string(),
            Ok(Moment::First) => "first".to_owned(),
            Ok(Moment::Last) => "last".to_owned(),
            Ok(Moment::End) => "end".to_owned(),
            Err(_) => "error".to_owned(),
        }
    }

    fn at(text: &str) -> String {
        shown(parse(text, time(NOW), &oslo()))
    }

    #[test]
    fn times_are_parsed_as_people_write_them() {
        for (text, expected) in [
            ("now", NOW),
            ("first", "first"),
            ("last", "last"),
            ("end", "end"),
            ("today", "2018-02-03T23:00:00Z"),
            ("yesterday", "2018-02-02T23:00:00Z"),
            // RFC 3339, and as tools write it.
            ("2018-02-04T21:56:42Z", "2018-02-04T21:56:42Z"),
            ("2018-02-04T22:56:42.123+01:00", "2018-02-04T21:56:42.123Z"),
            ("2018-02-04T21:56Z", "2018-02-04T21:56:00Z"),
            ("2018-02-04 22:56:42+0100", "2018-02-04T21:56:42Z"),
            ("2018-02-04 22:56:42.5 +01:00", "2018-02-04T21:56:42.5Z"),
            ("2018-02-04 21:56:42 UTC", "2018-02-04T21:56:42Z"),
            ("2018-02-04T22:56[Europe/Oslo]", "2018-02-04T21:56:00Z"),
            // RFC 2822.
            ("Sun, 04 Feb 2018 22:56:42 +0100", "2018-02-04T21:56:42Z"),
            ("4 Feb 2018 21:56:42 GMT", "2018-02-04T21:56:42Z"),
            // Since the epoch: s, ms, us, ns.
            ("@1517781402.5", "2018-02-04T21:56:42.5Z"),
            ("@-1", "1969-12-31T23:59:59Z"),
            ("1517781402", "2018-02-04T21:56:42Z"),
            ("1517781402123", "2018-02-04T21:56:42.123Z"),
            ("1517781402123456", "2018-02-04T21:56:42.123456Z"),
            ("1517781402123456789", "2018-02-04T21:56:42.123456789Z"),
            // Durations.
            ("2h", "2018-02-04T11:00:00Z"),
            ("2h ago", "2018-02-04T11:00:00Z"),
            ("-30m", "2018-02-04T12:30:00Z"),
            ("+5m", "2018-02-04T13:05:00Z"),
            ("1d 1h", "2018-02-03T12:00:00Z"),
            // Times of day: the most recent.
            ("13:59", "2018-02-04T12:59:00Z"),
            ("14:00", "2018-02-04T13:00:00Z"),
            ("14:05", "2018-02-03T13:05:00Z"),
            ("9:00:30", "2018-02-04T08:00:30Z"),
            ("noon", "2018-02-04T11:00:00Z"),
            ("Midnight", "2018-02-03T23:00:00Z"),
            // Days.
            ("yesterday 9:00", "2018-02-03T08:00:00Z"),
            ("today noon", "2018-02-04T11:00:00Z"),
            ("sunday", "2018-02-03T23:00:00Z"),
            ("Monday", "2018-01-28T23:00:00Z"),
            ("mon 9:00", "2018-01-29T08:00:00Z"),
            ("sunday 15:00", "2018-01-28T14:00:00Z"),
            // Dates.
            ("2018-02-01", "2018-01-31T23:00:00Z"),
            ("2018-02-06 15:50", "2018-02-06T14:50:00Z"),
            ("2018-02-06T15:50", "2018-02-06T14:50:00Z"),
            ("2018-02-06 noon", "2018-02-06T11:00:00Z"),
            ("2018-07-01 12:00", "2018-07-01T10:00:00Z"),
            ("feb 4 10:00", "2018-02-04T09:00:00Z"),
            ("Feb  4 10:00:05", "2018-02-04T09:00:05Z"),
            ("feb 5 10:00", "2017-02-05T09:00:00Z"),
            ("4 february", "2018-02-03T23:00:00Z"),
            ("feb 4, 2016 10:00", "2016-02-04T09:00:00Z"),
            ("4 Feb 2016", "2016-02-03T23:00:00Z"),
            ("feb 29", "2016-02-28T23:00:00Z"),
            ("42", "error"),
            ("next tuesday", "error"),
        ] {
            assert_eq!(at(text), expected, "{text:?}");
        }
    }

    #[test]
    fn text_that_is_not_a_time_is_refused_with_three_examples() {
        for text in [
            "",
            "-",
            "20180204",
            "25:00",
            "2018-02-30",
            "9999-01-01",
            "@",
            "2",
            "today 25:00",
            "99999999y",
            "feb",
            "feb 30",
            "4",
            "9:00+01:00",
            "monday feb 4",
            "9:00 monday",
            "noon noon",
            "feb 4 18",
            "2018 feb",
            "today yesterday",
            "Mon, 04 Feb 2018 22:56:42 +0100",
            "2018-02-04 22:56 CEST",
            "@1517781402123",
        ] {
            assert_eq!(at(text), "error", "{text:?}");
        }
        let (zone, now) = (TimeZone::UTC, time(NOW));
        let error = parse("soon", now, &zone).expect_err("this is not a time").to_string();
        for example in ["2018-02-04T21:56:42Z", "2h ago", "yesterday 9:00"] {
            assert!(error.contains(example) && parse(example, now, &zone).is_ok(), "{error}");
        }
    }

    #[test]
    fn the_end_of_a_range_follows_its_start() {
        // It is 9:56 on a Sunday.
        let (now, zone) = (time("2018-02-04T08:56:00Z"), oslo());
        for (since, until, expected) in [
            ("9:00", "10:00", "2018-02-04T09:00:00Z"),
            ("9:00", "8:00", "2018-02-05T07:00:00Z"),
            ("23:00", "1:00", "2018-02-04T00:00:00Z"),
            ("10:00", "10:00", "2018-02-04T09:00:00Z"),
            ("2016-02-06 9:00", "noon", "2016-02-06T11:00:00Z"),
            ("2016-02-06 9:00", "feb 5", "2017-02-04T23:00:00Z"),
            ("monday", "friday 17:00", "2018-02-02T16:00:00Z"),
            ("monday", "monday", "2018-02-04T23:00:00Z"),
            ("2h", "10:00", "2018-02-04T09:00:00Z"),
            // Without a start in time, the most recent one.
            ("first", "10:00", "2018-02-03T09:00:00Z"),
            ("last", "9:00", "2018-02-04T08:00:00Z"),
            // A date says which day it is.
            ("9:00", "2018-02-01", "2018-01-31T23:00:00Z"),
            ("9:00", "now", "2018-02-04T08:56:00Z"),
            ("9:00", "1h", "2018-02-04T07:56:00Z"),
            ("9:00", "today 9:30", "2018-02-04T08:30:00Z"),
        ] {
            let start = parse(since, now, &zone).expect("a valid time");
            let end = end_after(until, Some(start), &zone).map_or_else(|| parse(until, now, &zone), Ok);
            assert_eq!(shown(end), expected, "--since {since} --until {until}");
        }
    }

    #[test]
    fn a_time_is_relative_if_it_depends_on_now() {
        let (now, zone) = (time(NOW), TimeZone::UTC);
        for text in [
            "now",
            "today",
            "yesterday",
            "2h ago",
            "-30m",
            "+5m",
            "14:05",
            "noon",
            "monday",
            "yesterday 9:00",
            "feb 4",
            "feb 29",
        ] {
            assert!(is_relative(text, now, &zone), "{text}");
        }
        for text in [
            "first",
            "last",
            "end",
            "2018-02-04T21:56:42Z",
            "@1517781402.5",
            "1517781402",
            "2018-02-01",
            "4 feb 2018 10:00",
            "soon",
        ] {
            assert!(!is_relative(text, now, &zone), "{text}");
        }
    }

    #[test]
    fn a_day_across_a_clock_change_has_23_hours() {
        // In the night before 25 March 2018 the clocks skipped an hour.
        let now = time("2018-03-25T10:00:00Z");
        let expected = Moment::At(time("2018-03-24T11:00:00Z"));
        assert_eq!(parse("1d", now, &oslo()).expect("a valid duration"), expected);
        assert_eq!(show(now, &oslo()), "2018-03-25 12:00:00.000");
    }

    #[test]
    fn a_time_that_the_clocks_show_twice_or_never_is_resolved_and_said() {
        let zone = oslo();
        for (text, expected, said) in [
            (
                "2026-10-25 02:30",
                "2026-10-25T00:30:00Z",
                "02:30:00 comes twice on 2026-10-25, and the first is meant; write 2026-10-25T02:30:00+01:00 for the second",
            ),
            (
                "2026-03-29 02:30",
                "2026-03-29T01:30:00Z",
                "the clocks skip 02:30:00 on 2026-03-29, so 03:30:00 is meant",
            ),
            ("2026-10-25 03:00", "2026-10-25T02:00:00Z", ""),
            ("2026-10-25T02:30+01:00", "2026-10-25T01:30:00Z", ""),
        ] {
            let moment = parse(text, time(NOW), &zone).expect("a valid time");
            assert_eq!(moment, Moment::At(time(expected)), "{text}");
            assert_eq!(remark(text, moment, &zone).unwrap_or_default(), said, "{text}");
        }
    }
}
