//! Offsets: what a time is here, and its text forms. No clock is read in this file but by
//! [`system_clock`], which is handed in where one is needed.

use std::{fmt, str::FromStr};

use crate::{Error, Result};

/// A point in time: nanoseconds since the Unix epoch, UTC; 1677 to 2262.
///
/// Parsed from RFC 3339 (`2018-02-04T21:56:42.123Z`) or `@` and seconds with up to nine
/// decimals (`@1517781402.5`); shown as RFC 3339 in UTC with as many decimals as it needs.
///
/// ```
/// use hourlog::Offset;
/// let offset: Offset = "2018-02-04T22:56:42.5+01:00".parse()?;
/// assert_eq!(offset.to_string(), "2018-02-04T21:56:42.5Z");
/// assert_eq!(offset, "@1517781402.5".parse()?);
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(i64);

/// Says what time it is. Handed to whatever needs to know, so that tests can say it themselves.
pub type Clock = fn() -> Offset;

/// The machine's own clock.
pub fn system_clock() -> Offset {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
    let now = std::time::SystemTime::now();
    match now.duration_since(std::time::UNIX_EPOCH) {
        Ok(since) => Offset(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)),
        Err(before) => Offset(-i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX)),
    }
}

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;
/// Nanoseconds in a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Nanoseconds in an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Nanoseconds in a day.
pub const DAY: i64 = 24 * HOUR;

impl Offset {
    /// The earliest time there is, in 1677.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest time there is, in 2262.
    pub const MAX: Self = Self(i64::MAX);

    /// From nanoseconds since the Unix epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// `nanos` later (or earlier, below zero), stopping at the ends of time.
    pub const fn saturating_add_nanos(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0.div_euclid(SECOND), self.0.rem_euclid(SECOND));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        if nanos != 0 {
            text.push_str(format!(".{nanos:09}").trim_end_matches('0'));
        }
        text.push('Z');
        f.pad(&text)
    }
}

impl FromStr for Offset {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = match text.strip_prefix('@') {
            Some(seconds) => parse_seconds(seconds),
            None => parse_rfc3339(text),
        };
        parsed.ok_or_else(|| {
            Error::invalid(format!(
                "{:?} is not a time; write 2018-02-04T21:56:42Z, 2018-02-04T21:56:42.123+01:00 or @1517781402.5",
                crate::record::shorten(text)
            ))
        })
    }
}

/// `[-]seconds[.decimals]`, at most nine decimals.
fn parse_seconds(text: &str) -> Option<Offset> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, decimals) = match text.split_once('.') {
        Some((whole, decimals)) => (whole, fraction(decimals)?),
        None => (text, 0),
    };
    let nanos = i128::from(number(whole)?) * i128::from(SECOND) + i128::from(decimals);
    i64::try_from(if negative { -nanos } else { nanos }).ok().map(Offset)
}

/// `date T time [.decimals] zone`, as RFC 3339 has it; a leap second is the second after it.
fn parse_rfc3339(text: &str) -> Option<Offset> {
    let bytes = text.as_bytes();
    if !text.is_ascii() || bytes.len() < 20 {
        return None;
    }
    let separators = bytes[4] == b'-'
        && bytes[7] == b'-'
        && matches!(bytes[10], b'T' | b't' | b' ')
        && bytes[13] == b':'
        && bytes[16] == b':';
    if !separators {
        return None;
    }
    let field = |from: usize, to: usize, max: i64| number(&text[from..to]).filter(|value| *value <= max);
    let (year, month, day) = (field(0, 4, 9999)?, field(5, 7, 12)?, field(8, 10, 31)?);
    let (hour, minute, second) = (field(11, 13, 23)?, field(14, 16, 59)?, field(17, 19, 60)?);
    if month == 0 || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    let rest = &text[19..];
    let (decimals, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            (fraction(&rest[..end])?, &rest[end..])
        }
        None => (0, rest),
    };
    let zone_seconds = match zone {
        "Z" | "z" => 0,
        _ => {
            let sign = match zone.as_bytes().first()? {
                b'+' => 1,
                b'-' => -1,
                _ => return None,
            };
            let (hours, minutes) = zone[1..].split_once(':')?;
            if hours.len() != 2 || minutes.len() != 2 {
                return None;
            }
            let (hours, minutes) = (number(hours)?, number(minutes)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            sign * (hours * 3600 + minutes * 60)
        }
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - zone_seconds;
    let nanos = i128::from(seconds) * i128::from(SECOND) + i128::from(decimals);
    i64::try_from(nanos).ok().map(Offset)
}

/// Digits only: no sign, no blank.
fn number(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// The nanoseconds that up to nine decimals stand for.
fn fraction(decimals: &str) -> Option<i64> {
    if decimals.len() > 9 {
        return None;
    }
    Some(number(decimals)? * 10_i64.pow(9 - decimals.len() as u32))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar. Years are counted from March, so
/// that the leap day is the last one (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_offset_agree() {
        for (text, nanos) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.999999999Z", -1),
            ("2018-02-04T21:56:42.123Z", 1_517_781_402_123_000_000),
            ("2000-02-29T00:00:00Z", 951_782_400_000_000_000),
            ("1677-09-21T00:12:43.145224192Z", i64::MIN),
            ("2262-04-11T23:47:16.854775807Z", i64::MAX),
        ] {
            assert_eq!(text.parse::<Offset>().expect(text).nanos(), nanos);
            assert_eq!(Offset::from_nanos(nanos).to_string(), text);
        }
    }

    #[test]
    fn other_spellings_of_a_time_are_taken() {
        let expected = Offset::from_nanos(1_517_781_402_500_000_000);
        for text in [
            "2018-02-04T22:56:42.5+01:00",
            "2018-02-04t21:56:42.500000000z",
            "2018-02-04 16:26:42.50-05:30",
            "@1517781402.5",
            "@1517781402.500000000",
        ] {
            assert_eq!(text.parse::<Offset>().expect(text), expected);
        }
        assert_eq!("@-1.5".parse::<Offset>().expect("negative"), Offset::from_nanos(-1_500_000_000));
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for text in [
            "",
            "@",
            "@1.",
            "@.5",
            "@1.0000000001",
            "@1e9",
            "1517781402",
            "2018-02-04",
            "2018-02-30T00:00:00Z",
            "2018-13-01T00:00:00Z",
            "2018-02-04T24:00:00Z",
            "2018-02-04T21:56:42",
            "2018-02-04T21:56:42.Z",
            "2018-02-04T21:56:42.1234567890Z",
            "2018-02-04T21:56:42+1:00",
            "2018-02-04T21:56:42Zx",
            "1600-01-01T00:00:00Z",
            "2300-01-01T00:00:00Z",
            "２018-02-04T21:56:42Z",
            "@99999999999999999999",
        ] {
            assert!(text.parse::<Offset>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn every_day_of_eight_centuries_round_trips() {
        for days in -250_000..250_000 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }
}
