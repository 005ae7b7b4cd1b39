//! Times as files have them: text with or without a zone, and numbers of seconds or of smaller units.

mod decimal;
mod written;

use clap::ValueEnum;
use hourlog::{Error, Offset, wire::shorten};
use jiff::{
    Timestamp, Zoned,
    fmt::rfc2822,
    tz::{AmbiguousOffset, TimeZone},
};

use self::{decimal::Decimal, written::WrittenTime};

/// The unit of times that are numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum TimeUnit {
    /// Seconds
    #[value(name = "s")]
    Seconds,
    /// Milliseconds
    #[value(name = "ms")]
    Milliseconds,
    /// Microseconds
    #[value(name = "us")]
    Microseconds,
    /// Nanoseconds
    #[value(name = "ns")]
    Nanoseconds,
    /// Seconds, milli-, micro- or nanoseconds for 10, 13, 16 or 19 digits; others are refused
    #[default]
    Auto,
}

/// The rules for reading times.
#[derive(Debug, Clone, Default)]
pub(super) struct TimeRules {
    /// The unit of numbers.
    pub(super) unit: TimeUnit,
    /// The zone of times without one. Without it, such times are refused.
    pub(super) zone: Option<TimeZone>,
}

impl TimeRules {
    /// Parses a time that is the whole of `text`: a JSON number, or any of the documented forms.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid), with the form or the flag that helps.
    pub(super) fn parse(&self, text: &str) -> Result<Offset, Error> {
        let text = text.trim();
        if let Some(number) = Decimal::parse(text) {
            return self.number(text, number);
        }
        if let Ok(offset) = text.parse() {
            return Ok(offset);
        }
        if let Some((time, "")) = WrittenTime::parse_start(text) {
            return self.written(time, text);
        }
        // A time with the name of its zone, such as 2024-05-01T10:00+02:00[Europe/Oslo].
        let timestamp = text.parse::<Zoned>().map(|zoned| zoned.timestamp()).ok().or_else(|| rfc_2822(text));
        timestamp.ok_or_else(|| not_a_time(text))?.try_into()
    }

    /// Parses the time at the start of a line. Returns it with the text after it. The time may be in
    /// square brackets.
    ///
    /// # Errors
    /// Those of [`TimeRules::parse`].
    pub(super) fn parse_start<'a>(&self, line: &'a str) -> Result<(Offset, &'a str), Error> {
        let line = line.trim_start();
        match line.strip_prefix('[') {
            Some(inner) => {
                let (offset, rest) = self.bare_start(inner)?;
                let rest = rest.trim_start().strip_prefix(']').ok_or_else(|| no_time_before(line))?;
                Ok((offset, rest.trim_start()))
            }
            None => self.bare_start(line).map(|(offset, rest)| (offset, rest.trim_start())),
        }
    }

    fn bare_start<'a>(&self, line: &'a str) -> Result<(Offset, &'a str), Error> {
        if let Some((time, rest)) = WrittenTime::parse_start(line) {
            return Ok((self.written(time, &line[..line.len() - rest.len()])?, rest));
        }
        // Before numbers, because a day of the month may come first.
        if let Some((timestamp, rest)) = rfc_2822_start(line) {
            return Ok((timestamp.try_into()?, rest));
        }
        let token = line.split([' ', '\t', ']']).next().unwrap_or_default();
        let number = Decimal::parse(token).ok_or_else(|| no_time_before(line))?;
        Ok((self.number(token, number)?, &line[token.len()..]))
    }

    fn number(&self, text: &str, number: Decimal) -> Result<Offset, Error> {
        let exponent = match self.unit {
            TimeUnit::Seconds => 9,
            TimeUnit::Milliseconds => 6,
            TimeUnit::Microseconds => 3,
            TimeUnit::Nanoseconds => 0,
            TimeUnit::Auto => match number.whole_digits() {
                Some(10) => 9,
                Some(13) => 6,
                Some(16) => 3,
                Some(19) => 0,
                _ => {
                    return Err(Error::invalid(format!(
                        "the number {} does not show its unit; give --time-unit s, ms, us or ns",
                        shorten(text)
                    )));
                }
            },
        };
        let nanos = number.scaled(exponent).and_then(|nanos| i64::try_from(nanos).ok());
        nanos.map(Offset::from_nanos).ok_or_else(|| {
            Error::invalid(format!(
                "the number {} is a time out of range; use one from 1678 to 2261, or another --time-unit",
                shorten(text)
            ))
        })
    }

    fn written(&self, time: WrittenTime, text: &str) -> Result<Offset, Error> {
        let timestamp = match time.zone_seconds {
            Some(seconds) => time.at_utc().and_then(|at| at.checked_sub(jiff::SignedDuration::from_secs(seconds)).ok()),
            None => {
                let zone = self.zone.as_ref().ok_or_else(|| {
                    Error::invalid(format!(
                        "the time {:?} has no zone; say which it is in, such as --tz Europe/Oslo or --tz UTC",
                        shorten(text)
                    ))
                })?;
                let local = zone.to_ambiguous_timestamp(time.datetime);
                if matches!(local.offset(), AmbiguousOffset::Gap { .. }) {
                    return Err(Error::invalid(format!(
                        "the time {:?} does not exist in {}, where clocks were set forward then; check --tz",
                        shorten(text),
                        zone.iana_name().unwrap_or("this zone")
                    )));
                }
                // If an hour comes twice, take the first one.
                local.compatible().ok()
            }
        };
        let leap = jiff::SignedDuration::from_secs(i64::from(time.leap_second));
        let timestamp = timestamp.and_then(|at| at.checked_add(leap).ok()).ok_or_else(|| not_a_time(text))?;
        timestamp.try_into()
    }
}

fn no_time_before(line: &str) -> Error {
    Error::invalid(format!(
        "the line {:?} does not begin with a time, such as 2018-02-04T21:56:42Z, '2018-02-04 21:56:42' or 'Sun, 04 Feb \
         2018 21:56:42 +0000'",
        shorten(line)
    ))
}

fn not_a_time(text: &str) -> Error {
    Error::invalid(format!(
        "{:?} is not a time; write 2018-02-04T21:56:42Z, '2018-02-04 21:56:42' or 'Sun, 04 Feb 2018 21:56:42 +0000'",
        shorten(text)
    ))
}

/// Parses the form of mails: `Sun, 04 Feb 2018 21:56:42 +0000`. Its day of the week is often wrong in texts
/// that were typed, and says nothing that the date does not.
fn rfc_2822(text: &str) -> Option<Timestamp> {
    const PARSER: rfc2822::DateTimeParser = rfc2822::DateTimeParser::new().relaxed_weekday(true);
    PARSER.parse_timestamp(text).ok()
}

/// Parses the form of mails at the start of `line`. Returns the time with the rest.
fn rfc_2822_start(line: &str) -> Option<(Timestamp, &str)> {
    // Day of the week, day, month, year, time, zone.
    let words = if line.starts_with(|c: char| c.is_ascii_digit()) { 5 } else { 6 };
    let mut end = 0;
    for _ in 0..words {
        let rest = &line[end..];
        let word = rest.trim_start();
        let length = word.find([' ', '\t', ']']).unwrap_or(word.len());
        end += rest.len() - word.len() + length;
    }
    Some((rfc_2822(&line[..end])?, &line[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(unit: TimeUnit, zone: Option<&str>) -> TimeRules {
        let zone = zone.map(|zone| TimeZone::get(zone).expect("the zone is in every database"));
        TimeRules { unit, zone }
    }

    fn shown(parsed: Result<Offset, Error>) -> String {
        parsed.map_or_else(|error| format!("error: {error}"), |offset| offset.to_string())
    }

    #[test]
    fn times_are_read_in_the_forms_that_files_have() {
        for (text, expected) in [
            ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00Z"),
            ("2024-05-01T10:00Z", "2024-05-01T10:00:00Z"),
            ("2024-05-01 10:00:00Z", "2024-05-01T10:00:00Z"),
            ("2024-05-01T10:00:00+0000", "2024-05-01T10:00:00Z"),
            ("2024-05-01T10:00:00+0530", "2024-05-01T04:30:00Z"),
            ("2024-05-01 10:00:00 -0700", "2024-05-01T17:00:00Z"),
            ("2024-05-01 10:00:00.5+02", "2024-05-01T08:00:00.5Z"),
            ("2024-05-01 10:00:00,123 +02:00", "2024-05-01T08:00:00.123Z"),
            ("2024-05-01 10:00:00 UTC", "2024-05-01T10:00:00Z"),
            ("2024/05/01 10:00:00 GMT", "2024-05-01T10:00:00Z"),
            ("2024-05-01T10:00:00.123456789123Z", "2024-05-01T10:00:00.123456789Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
            ("2024-05-01T10:00:00+02:00[Europe/Oslo]", "2024-05-01T08:00:00Z"),
            ("Wed, 01 May 2024 10:00:00 +0200", "2024-05-01T08:00:00Z"),
            ("Wed,  1 May 1996 10:00:00 -0800", "1996-05-01T18:00:00Z"),
            ("Tue, 01 May 2024 10:00:00 +0200", "2024-05-01T08:00:00Z"),
            ("1 May 2024 10:00:00 GMT", "2024-05-01T10:00:00Z"),
            ("@1.5", "1970-01-01T00:00:01.5Z"),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            // Without a zone: Oslo is two hours ahead in May, and one in January.
            ("2024-05-01 10:00:00", "2024-05-01T08:00:00Z"),
            ("2024-01-01T10:00:00,5", "2024-01-01T09:00:00.5Z"),
            ("2024-05-01 10:00", "2024-05-01T08:00:00Z"),
            ("2024-05-01", "2024-04-30T22:00:00Z"),
            // The first of an hour that comes twice.
            ("2024-10-27 02:30:00", "2024-10-27T00:30:00Z"),
        ] {
            assert_eq!(shown(rules(TimeUnit::Auto, Some("Europe/Oslo")).parse(text)), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_read_in_their_unit_to_the_last_digit() {
        for (unit, text, expected) in [
            (TimeUnit::Auto, "1517781402", "2018-02-04T21:56:42Z"),
            (TimeUnit::Auto, "1517781402.123456789", "2018-02-04T21:56:42.123456789Z"),
            (TimeUnit::Auto, "1517781402123", "2018-02-04T21:56:42.123Z"),
            (TimeUnit::Auto, "1517781402123456", "2018-02-04T21:56:42.123456Z"),
            (TimeUnit::Auto, "1517781402123456789", "2018-02-04T21:56:42.123456789Z"),
            (TimeUnit::Auto, "1.517781402e9", "2018-02-04T21:56:42Z"),
            (TimeUnit::Seconds, "0", "1970-01-01T00:00:00Z"),
            (TimeUnit::Seconds, "-1.5", "1969-12-31T23:59:58.5Z"),
            (TimeUnit::Seconds, "815000000", "1995-10-29T20:53:20Z"),
            (TimeUnit::Milliseconds, "4711", "1970-01-01T00:00:04.711Z"),
            (TimeUnit::Milliseconds, "1517781402123.25", "2018-02-04T21:56:42.12325Z"),
            (TimeUnit::Microseconds, "1.5e6", "1970-01-01T00:00:01.5Z"),
            (TimeUnit::Nanoseconds, "1517781402123456789.9", "2018-02-04T21:56:42.123456789Z"),
        ] {
            assert_eq!(shown(rules(unit, None).parse(text)), expected, "{unit:?} {text}");
        }
    }

    #[test]
    fn bad_times_are_refused_with_what_helps() {
        for (unit, zone, text, expected) in [
            (TimeUnit::Auto, None, "2024-05-01 10:00:00", "--tz Europe/Oslo"),
            (TimeUnit::Auto, Some("Europe/Oslo"), "2024-03-31 02:30:00", "does not exist in Europe/Oslo"),
            (TimeUnit::Auto, None, "4711", "--time-unit"),
            (TimeUnit::Auto, None, "20240501100000", "--time-unit"),
            (TimeUnit::Auto, None, "9999999999999999999", "out of range"),
            (TimeUnit::Seconds, None, "1517781402123", "another --time-unit"),
            (TimeUnit::Seconds, None, "1e99", "another --time-unit"),
            (TimeUnit::Auto, None, "2024-02-30T10:00:00Z", "not a time"),
            (TimeUnit::Auto, None, "2024-05-01T25:00:00Z", "not a time"),
            (TimeUnit::Auto, None, "2024-05-01T10:00:00+99:00", "not a time"),
            (TimeUnit::Auto, Some("UTC"), "2024-05-01 10:00:00 CEST", "not a time"),
            (TimeUnit::Auto, None, "soon", "not a time"),
            (TimeUnit::Auto, None, "", "not a time"),
            (TimeUnit::Auto, None, "1.", "not a time"),
            (TimeUnit::Auto, None, "æ", "not a time"),
        ] {
            let error = shown(rules(unit, zone).parse(text));
            assert!(error.starts_with("error: ") && error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn the_time_at_the_start_of_a_line_is_taken_off() {
        for (line, time, rest) in [
            ("2024-05-01 10:00:00 install foo:amd64", "2024-05-01T10:00:00Z", "install foo:amd64"),
            ("2024-05-01T10:00:00.5Z hello", "2024-05-01T10:00:00.5Z", "hello"),
            ("2024-05-01 10:00:00,123 - root - INFO", "2024-05-01T10:00:00.123Z", "- root - INFO"),
            ("2024-05-01 10:00:00 -10 degrees", "2024-05-01T10:00:00Z", "-10 degrees"),
            ("2024-05-01 10:00:00, done", "2024-05-01T10:00:00Z", ", done"),
            ("2024-05-01 10:00:00 UTC [7] LOG", "2024-05-01T10:00:00Z", "[7] LOG"),
            ("[2024/05/01 10:00:00] started", "2024-05-01T10:00:00Z", "started"),
            ("[1517781402.5] usb 1-1", "2018-02-04T21:56:42.5Z", "usb 1-1"),
            ("1517781402.123 TCP_MISS/200", "2018-02-04T21:56:42.123Z", "TCP_MISS/200"),
            ("Wed, 01 May 2024 10:00:00 +0200 bash 5.2", "2024-05-01T08:00:00Z", "bash 5.2"),
            ("1 May 2024 10:00:00 +0200 bash", "2024-05-01T08:00:00Z", "bash"),
            ("2024-05-01 10:00:00", "2024-05-01T10:00:00Z", ""),
        ] {
            let (offset, text) = rules(TimeUnit::Auto, Some("UTC")).parse_start(line).expect(line);
            assert_eq!((offset.to_string().as_str(), text), (time, rest), "{line}");
        }
        for line in ["", "  at main.rs:7", "[2024-05-01 10:00:00 no end", "May  1 10:00:00 host"] {
            assert!(rules(TimeUnit::Auto, Some("UTC")).parse_start(line).is_err(), "{line}");
        }
    }
}
