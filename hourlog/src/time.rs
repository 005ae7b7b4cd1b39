//! Times: the type [`Offset`] with its text form, the units, and the clock.
//!
//! Nothing in this file but [`system_clock`] reads a clock; what needs the time takes a [`Clock`].

use std::{
    fmt,
    ops::{Add, AddAssign, Sub, SubAssign},
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{Error, Result};

/// A timestamp: nanoseconds since 1970, UTC, from the year 1677 to 2262.
///
/// Parsed from RFC 3339 (`2018-02-04T21:56:42.123Z`), or from `@` and seconds with up to nine decimals
/// (`@1517781402.5`). Displayed as RFC 3339 in UTC, with as many decimals as the time needs.
///
/// Arithmetic saturates: it stops at [`Offset::MIN`] and [`Offset::MAX`] and never panics.
///
/// ```
/// use std::time::Duration;
/// use hourlog::Offset;
///
/// let offset: Offset = "2018-02-04T22:56:42.5+01:00".parse()?;
/// assert_eq!(offset.to_string(), "2018-02-04T21:56:42.5Z");
/// assert_eq!(offset, "@1517781402.5".parse()?);
///
/// let later = offset + Duration::from_secs(90);
/// assert_eq!(later.to_string(), "2018-02-04T21:58:12.5Z");
/// assert_eq!(later.duration_since(offset), Duration::from_secs(90));
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(i64);

/// A function that returns the current time. Passed as an argument, so that a test can set the time.
///
/// ```
/// use hourlog::{Archive, Memory, Offset, time::Clock};
/// let noon: Clock = || Offset::from_nanos(1_517_745_600_000_000_000);
/// let events = Archive::new(Memory::new(), noon);
/// # let _ = events;
/// ```
pub type Clock = fn() -> Offset;

/// Returns the time of the machine's clock.
///
/// ```
/// use hourlog::time::system_clock;
/// assert!(system_clock() > "2018-02-04T00:00:00Z".parse()?);
/// # Ok::<(), hourlog::Error>(())
/// ```
pub fn system_clock() -> Offset {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
    SystemTime::now().into()
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
    /// The earliest time, in 1677.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest time, in 2262.
    pub const MAX: Self = Self(i64::MAX);

    /// Creates an offset from nanoseconds since the Unix epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Returns the nanoseconds since the Unix epoch; below zero for times before 1970.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Returns the time `nanos` nanoseconds later, or earlier if `nanos` is below zero.
    ///
    /// Stops at [`Offset::MIN`] and [`Offset::MAX`].
    pub const fn saturating_add_nanos(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// Returns the time that has passed since `earlier`; zero if `earlier` is in fact later.
    ///
    /// ```
    /// use std::time::Duration;
    /// use hourlog::Offset;
    /// let (first, second) = (Offset::from_nanos(5), Offset::from_nanos(12));
    /// assert_eq!(second.duration_since(first), Duration::from_nanos(7));
    /// assert_eq!(first.duration_since(second), Duration::ZERO);
    /// ```
    pub const fn duration_since(self, earlier: Self) -> Duration {
        // The distance between two `i64` always fits into a `u64`.
        if self.0 > earlier.0 { Duration::from_nanos(self.0.abs_diff(earlier.0)) } else { Duration::ZERO }
    }
}

/// Returns the time `duration` later, at most [`Offset::MAX`].
impl Add<Duration> for Offset {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        // More than `u64::MAX` nanoseconds lead past the end of time from anywhere.
        Self(self.0.saturating_add_unsigned(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Returns the time `duration` earlier, at least [`Offset::MIN`].
impl Sub<Duration> for Offset {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub_unsigned(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Offset {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl SubAssign<Duration> for Offset {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

/// Converts a system time; one before 1677 or after 2262 becomes [`Offset::MIN`] or [`Offset::MAX`].
impl From<SystemTime> for Offset {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Self(0) + since,
            Err(before) => Self(0) - before.duration(),
        }
    }
}

/// Converts a timestamp of `jiff`.
///
/// ```
/// use hourlog::Offset;
/// let timestamp: jiff::Timestamp = "2018-02-04T21:56:42.5Z".parse().expect("a timestamp");
/// let offset = Offset::try_from(timestamp)?;
/// assert_eq!(offset.to_string(), "2018-02-04T21:56:42.5Z");
/// assert_eq!(jiff::Timestamp::from(offset), timestamp);
/// # Ok::<(), hourlog::Error>(())
/// ```
#[cfg(feature = "jiff")]
impl TryFrom<jiff::Timestamp> for Offset {
    type Error = Error;

    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) before 1677 and after 2262.
    fn try_from(timestamp: jiff::Timestamp) -> Result<Self> {
        i64::try_from(timestamp.as_nanosecond())
            .map(Self)
            .map_err(|_| Error::invalid(format!("the time {timestamp} is out of range; use one from 1678 to 2261")))
    }
}

#[cfg(feature = "jiff")]
impl From<Offset> for jiff::Timestamp {
    fn from(offset: Offset) -> Self {
        Self::from_nanosecond(i128::from(offset.0)).expect("jiff covers the years -9999 to 9999")
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0.div_euclid(SECOND), self.0.rem_euclid(SECOND));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        // An offset has a year of four digits. Without a decimal, the Z takes the place of the point.
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        let fields = [(0, 4, year), (5, 7, month), (8, 10, day), (11, 13, hour), (14, 16, minute), (17, 19, second)];
        for (start, end, number) in fields.into_iter().chain([(20, 29, nanos)]) {
            put_digits(&mut text[start..end], number);
        }
        let end = match nanos {
            0 => 19,
            _ => 1 + text[..29].iter().rposition(|digit| *digit != b'0').unwrap_or(19),
        };
        text[end] = b'Z';
        f.pad(std::str::from_utf8(&text[..=end]).map_err(|_| fmt::Error)?)
    }
}

/// Writes the decimal digits of a number that is not negative, with zeros before them.
fn put_digits(digits: &mut [u8], mut number: i64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
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
                crate::error::shorten(text)
            ))
        })
    }
}

/// Parses `[-]seconds[.decimals]` with at most nine decimals.
fn parse_seconds(text: &str) -> Option<Offset> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (seconds, decimals) = match text.split_once('.') {
        Some((seconds, decimals)) => (seconds, fraction(decimals)?),
        None => (text, 0),
    };
    let nanos = i128::from(number(seconds)?) * i128::from(SECOND) + i128::from(decimals);
    i64::try_from(if negative { -nanos } else { nanos }).ok().map(Offset)
}

/// Parses `date T time [.decimals] zone` of RFC 3339. A leap second becomes the second after it.
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

/// Parses digits; refuses signs and blanks.
fn number(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Returns the nanoseconds of up to nine decimals of a second.
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

/// Returns the days from 1970-01-01 to a date of the Gregorian calendar.
///
/// Counts years from March, which makes the leap day the last day of a year (Howard Hinnant,
/// "chrono-compatible low-level date algorithms").
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
    fn text_and_nanoseconds_convert_both_ways() {
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
    fn other_spellings_of_a_time_are_accepted() {
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
    fn text_that_is_not_a_time_is_refused() {
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
            assert!(text.parse::<Offset>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn arithmetic_stops_at_the_ends_of_time() {
        let (second, forever) = (Duration::from_secs(1), Duration::MAX);
        let mut offset = Offset::from_nanos(-5);
        offset += second;
        assert_eq!(offset, Offset::from_nanos(999_999_995));
        offset -= second;
        assert_eq!(offset, Offset::from_nanos(-5));
        assert_eq!(offset + forever, Offset::MAX);
        assert_eq!(offset - forever, Offset::MIN);
        assert_eq!(Offset::MIN + Duration::from_nanos(u64::MAX), Offset::MAX);
        assert_eq!(Offset::MAX - Duration::from_nanos(u64::MAX), Offset::MIN);
    }

    #[test]
    fn a_duration_between_offsets_is_never_negative() {
        let (earlier, later) = (Offset::from_nanos(-3), Offset::from_nanos(4));
        assert_eq!(later.duration_since(earlier), Duration::from_nanos(7));
        assert_eq!(earlier.duration_since(later), Duration::ZERO);
        assert_eq!(Offset::MAX.duration_since(Offset::MIN), Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn a_system_time_keeps_its_nanoseconds() {
        assert_eq!(Offset::from(UNIX_EPOCH + Duration::new(1, 5)), Offset::from_nanos(SECOND + 5));
        assert_eq!(Offset::from(UNIX_EPOCH - Duration::new(1, 5)), Offset::from_nanos(-SECOND - 5));
        assert_eq!(Offset::from(UNIX_EPOCH + Duration::from_secs(1 << 40)), Offset::MAX);
    }

    #[cfg(feature = "jiff")]
    #[test]
    fn offsets_convert_to_jiff_and_back() {
        for offset in [Offset::MIN, Offset::from_nanos(-1), Offset::MAX] {
            assert_eq!(Offset::try_from(jiff::Timestamp::from(offset)).expect("in range"), offset);
        }
        assert!(Offset::try_from(jiff::Timestamp::MAX).is_err());
    }

    #[test]
    fn every_day_of_eight_centuries_round_trips() {
        for days in -250_000..250_000 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }
}
