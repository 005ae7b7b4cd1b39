//! Times as people write them: `2h ago`, `14:05`, `yesterday 9:00`, RFC 3339.
//!
//! The forms are tried in a fixed order: a word, RFC 3339, digits since the epoch, a duration, a
//! time of day, a date. No text fits two of them. A time without a zone is in the session's zone.

use hourlog::{Error, Offset, Result, wire, wire::shorten};
use jiff::{
    Span, Timestamp, Zoned,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};

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
    let forms: [fn(&str, &Zoned) -> Option<Offset>; 6] = [day, rfc3339, epoch, span, time_of_day, date_and_time];
    forms.iter().find_map(|form| form(text, &now)).map(Moment::At).ok_or_else(|| {
        Error::invalid(format!(
            "{:?} is not a time; write 2018-02-04T21:56:42Z, '2h ago' or 'yesterday 9:00'",
            shorten(text)
        ))
    })
}

/// Returns true if `text` means another time at another `now`: `2h ago`, `yesterday`, `14:05`.
pub(crate) fn is_relative(text: &str, now: Offset, zone: &TimeZone) -> bool {
    // Longer than a day, because `14:05` may mean the same time until tomorrow.
    let later = now.saturating_add_nanos(10 * hourlog::time::DAY);
    parse(text, now, zone).ok() != parse(text, later, zone).ok()
}

/// Returns the inclusive lower bound of a read; `first` needs none.
pub(crate) fn lower_bound(since: Option<Moment>) -> Option<wire::When> {
    since.filter(|since| *since != Moment::First).map(wire::When::from)
}

/// Formats a time in `zone`, to the millisecond.
pub fn show(offset: Offset, zone: &TimeZone) -> String {
    zoned(offset, zone).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// Formats a time in `zone`, with the zone's offset from UTC.
pub fn show_with_zone(offset: Offset, zone: &TimeZone) -> String {
    zoned(offset, zone).strftime("%Y-%m-%d %H:%M:%S%.f %:z").to_string()
}

/// Converts a time to `zone`.
pub(crate) fn zoned(offset: Offset, zone: &TimeZone) -> Zoned {
    Timestamp::from(offset).to_zoned(zone.clone())
}

/// Converts a timestamp, if it fits into an offset.
pub(crate) fn offset(timestamp: Timestamp) -> Option<Offset> {
    Offset::try_from(timestamp).ok()
}

/// Parses `today` and `yesterday`: the start of that day.
fn day(text: &str, now: &Zoned) -> Option<Offset> {
    offset(day_named(text, now)?.to_zoned(now.time_zone().clone()).ok()?.timestamp())
}

fn day_named(text: &str, now: &Zoned) -> Option<Date> {
    match text {
        "today" => Some(now.date()),
        "yesterday" => now.date().yesterday().ok(),
        _ => None,
    }
}

fn rfc3339(text: &str, _: &Zoned) -> Option<Offset> {
    if let (false, Ok(offset)) = (text.starts_with('@'), text.parse()) {
        return Some(offset);
    }
    // jiff also accepts times without seconds, and a zone name at the end.
    let timestamp = text.parse::<Zoned>().map(|zoned| zoned.timestamp()).or_else(|_| text.parse::<Timestamp>());
    offset(timestamp.ok()?)
}

/// Parses `@` and seconds, or bare digits as other tools print them. The number of digits tells
/// seconds, milli-, micro- and nanoseconds apart.
fn epoch(text: &str, _: &Zoned) -> Option<Offset> {
    if text.starts_with('@') {
        return text.parse().ok();
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos_each = match text.len() {
        10 => 1_000_000_000,
        13 => 1_000_000,
        16 => 1_000,
        19 => 1,
        _ => return None,
    };
    text.parse::<i64>().ok()?.checked_mul(nanos_each).map(Offset::from_nanos)
}

/// Parses a duration: `2h`, `2h ago` and `-30m` are in the past, `+5m` is in the future.
fn span(text: &str, now: &Zoned) -> Option<Offset> {
    if text.contains(':') {
        // jiff reads `9:00:30` as a duration of nine hours; people mean a time of day.
        return None;
    }
    let span: Span = text.parse().ok()?;
    let span = if text.starts_with('+') { span } else { -span.abs() };
    offset(now.checked_add(span).ok()?.timestamp())
}

/// Parses `14:05` or `14:05:30`: the most recent time of day that reads so.
fn time_of_day(text: &str, now: &Zoned) -> Option<Offset> {
    let time = clock_time(text)?;
    let on = |date: Date| date.to_datetime(time).to_zoned(now.time_zone().clone()).ok();
    let today = on(now.date())?;
    let latest = if today.timestamp() <= now.timestamp() { today } else { on(now.date().yesterday().ok()?)? };
    offset(latest.timestamp())
}

/// Parses `2018-02-04`, `2018-02-04 21:56` and `yesterday 9:00`.
fn date_and_time(text: &str, now: &Zoned) -> Option<Offset> {
    let datetime: DateTime = match text.split_once([' ', 'T']) {
        Some((date, time)) => {
            let date = day_named(date, now).or_else(|| date.parse().ok())?;
            date.to_datetime(clock_time(time.trim())?)
        }
        None if text.contains('-') => text.parse::<Date>().ok()?.into(),
        None => return None,
    };
    offset(datetime.to_zoned(now.time_zone().clone()).ok()?.timestamp())
}

/// Parses `9:00`, `09:00` and `09:00:30.5`. jiff requires two digits for the hour; people do not
/// write them.
fn clock_time(text: &str) -> Option<Time> {
    let (hour, _) = text.split_once(':')?;
    match hour.len() {
        1 => format!("0{text}").parse().ok(),
        2 => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Sunday in winter, in a zone one hour ahead of UTC.
    const NOW: &str = "2018-02-04T13:00:00Z";

    fn at(text: &str) -> String {
        let zone = TimeZone::get("Europe/Oslo").expect("every time zone database has Oslo");
        match parse(text, NOW.parse().expect("a valid time"), &zone) {
            Ok(Moment::At(offset)) => offset.to_string(),
            Ok(Moment::First) => "first".to_owned(),
            Ok(Moment::Last) => "last".to_owned(),
            Ok(Moment::End) => "end".to_owned(),
            Err(_) => "error".to_owned(),
        }
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
            ("2018-02-04T21:56:42Z", "2018-02-04T21:56:42Z"),
            ("2018-02-04T22:56:42.123+01:00", "2018-02-04T21:56:42.123Z"),
            ("2018-02-04T21:56Z", "2018-02-04T21:56:00Z"),
            ("@1517781402.5", "2018-02-04T21:56:42.5Z"),
            ("@-1", "1969-12-31T23:59:59Z"),
            ("1517781402123", "2018-02-04T21:56:42.123Z"),
            ("1517781402123456789", "2018-02-04T21:56:42.123456789Z"),
            ("2h", "2018-02-04T11:00:00Z"),
            ("2h ago", "2018-02-04T11:00:00Z"),
            ("-30m", "2018-02-04T12:30:00Z"),
            ("1d 1h", "2018-02-03T12:00:00Z"),
            ("13:59", "2018-02-04T12:59:00Z"),
            ("14:05", "2018-02-03T13:05:00Z"),
            ("9:00:30", "2018-02-04T08:00:30Z"),
            ("yesterday 9:00", "2018-02-03T08:00:00Z"),
            ("2018-02-01", "2018-01-31T23:00:00Z"),
            ("2018-07-01 12:00", "2018-07-01T10:00:00Z"),
            ("42", "error"),
            ("next tuesday", "error"),
        ] {
            assert_eq!(at(text), expected, "{text:?}");
        }
    }

    #[test]
    fn text_that_is_not_a_time_is_refused_with_three_examples() {
        for text in ["", "-", "20180204", "25:00", "2018-02-30", "9999-01-01", "@", "2", "today 25:00", "99999999y"] {
            assert_eq!(at(text), "error", "{text:?}");
        }
        let zone = TimeZone::UTC;
        let now = NOW.parse().expect("a valid time");
        let error = parse("soon", now, &zone).expect_err("this is not a time").to_string();
        for example in ["2018-02-04T21:56:42Z", "2h ago", "yesterday 9:00"] {
            assert!(error.contains(example) && parse(example, now, &zone).is_ok(), "{error}");
        }
    }

    #[test]
    fn a_time_is_relative_if_it_depends_on_now() {
        let (now, zone) = (NOW.parse().expect("a valid time"), TimeZone::UTC);
        for text in ["now", "today", "yesterday", "2h ago", "-30m", "+5m", "14:05", "yesterday 9:00"] {
            assert!(is_relative(text, now, &zone), "{text}");
        }
        for text in
            ["first", "last", "end", "2018-02-04T21:56:42Z", "@1517781402.5", "1517781402", "2018-02-01", "soon"]
        {
            assert!(!is_relative(text, now, &zone), "{text}");
        }
    }

    #[test]
    fn a_day_across_a_clock_change_has_23_hours() {
        // In the night before 25 March 2018 the clocks skipped an hour.
        let zone = TimeZone::get("Europe/Oslo").expect("every time zone database has Oslo");
        let now = "2018-03-25T10:00:00Z".parse().expect("a valid time");
        let expected = Moment::At("2018-03-24T11:00:00Z".parse().expect("a valid time"));
        assert_eq!(parse("1d", now, &zone).expect("a valid duration"), expected);
        assert_eq!(show(now, &zone), "2018-03-25 12:00:00.000");
    }
}
