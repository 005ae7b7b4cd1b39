//! Dates and times of day as they are written in files.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// Decimals of a second that an offset holds. Those after them are cut off.
const DECIMALS_MAX: usize = 9;

/// A time of the form of ISO 8601, and of what people make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WrittenTime {
    pub(super) datetime: DateTime,
    /// The 60th second of a minute. It is the second after [`WrittenTime::datetime`].
    pub(super) leap_second: bool,
    /// Offset of the zone from UTC, if there is one.
    pub(super) zone_seconds: Option<i64>,
}

impl WrittenTime {
    /// Parses a date, with or without a time of day and a zone, at the start of `text`. Returns it with the rest.
    pub(super) fn parse_start(text: &str) -> Option<(Self, &str)> {
        let mut scanner = Scanner(text);
        let year = scanner.digits(4)?;
        let separator = scanner.one_of(&['-', '/'])?;
        let month = scanner.digits(2)?;
        scanner.one_of(&[separator])?;
        let day = scanner.digits(2)?;
        if scanner.0.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let (clock, zone_seconds) = match scanner.clock() {
            Some(clock) => (clock, scanner.zone()),
            None => (Clock::default(), None),
        };
        let leap_second = clock.second == 60;
        let datetime = DateTime::new(
            i16::try_from(year).ok()?,
            i8::try_from(month).ok()?,
            i8::try_from(day).ok()?,
            i8::try_from(clock.hour).ok()?,
            i8::try_from(clock.minute).ok()?,
            i8::try_from(if leap_second { 59 } else { clock.second }).ok()?,
            clock.nanos,
        );
        Some((Self { datetime: datetime.ok()?, leap_second, zone_seconds }, scanner.0))
    }

    pub(super) fn at_utc(self) -> Option<Timestamp> {
        TimeZone::UTC.to_timestamp(self.datetime).ok()
    }
}

/// A time of day.
#[derive(Debug, Default)]
struct Clock {
    hour: u32,
    minute: u32,
    second: u32,
    nanos: i32,
}

/// The text that is still to be read.
struct Scanner<'a>(&'a str);

impl Scanner<'_> {
    fn digits(&mut self, count: usize) -> Option<u32> {
        let digits = self.0.get(..count).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        self.0 = &self.0[count..];
        digits.parse().ok()
    }

    fn one_of(&mut self, expected: &[char]) -> Option<char> {
        let first = self.0.chars().next().filter(|c| expected.contains(c))?;
        self.0 = &self.0[first.len_utf8()..];
        Some(first)
    }

    /// Takes what `parse` takes, or nothing.
    fn optional<T>(&mut self, parse: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let before = self.0;
        let parsed = parse(self);
        if parsed.is_none() {
            self.0 = before;
        }
        parsed
    }

    /// Takes `T10:00`, ` 10:00:00` or ` 10:00:00,123`.
    fn clock(&mut self) -> Option<Clock> {
        self.optional(|scanner| {
            scanner.one_of(&['T', 't', ' '])?;
            let hour = scanner.digits(2)?;
            scanner.one_of(&[':'])?;
            let mut clock = Clock { hour, minute: scanner.digits(2)?, ..Clock::default() };
            let second = scanner.optional(|scanner| {
                scanner.one_of(&[':'])?;
                scanner.digits(2)
            });
            if let Some(second) = second {
                clock.second = second;
                clock.nanos = scanner.decimals().unwrap_or(0);
            }
            Some(clock)
        })
    }

    /// Takes `.123` or `,123`, as nanoseconds.
    fn decimals(&mut self) -> Option<i32> {
        self.optional(|scanner| {
            scanner.one_of(&['.', ','])?;
            let end = scanner.0.bytes().take_while(u8::is_ascii_digit).count();
            let (digits, rest) = scanner.0.split_at(end);
            scanner.0 = rest;
            let kept = &digits[..digits.len().min(DECIMALS_MAX)];
            (!kept.is_empty()).then(|| format!("{kept:0<DECIMALS_MAX$}"))?.parse().ok()
        })
    }

    /// Takes `Z`, ` UTC`, `+02`, `+0200`, ` +02:00`: the seconds that the zone is ahead of UTC.
    fn zone(&mut self) -> Option<i64> {
        self.optional(|scanner| {
            let blank = scanner.one_of(&[' ']).is_some();
            let seconds = match scanner.one_of(&['+', '-']) {
                Some(sign) => {
                    let hours = scanner.digits(2)?;
                    let minutes = scanner.optional(|scanner| {
                        let _ = scanner.one_of(&[':']);
                        scanner.digits(2)
                    });
                    // After a blank, two digits could as well begin the text of a line.
                    let minutes = if blank { minutes? } else { minutes.unwrap_or(0) };
                    if hours > 25 || minutes > 59 {
                        return None;
                    }
                    let seconds = i64::from(hours) * 3_600 + i64::from(minutes) * 60;
                    if sign == '-' { -seconds } else { seconds }
                }
                None => {
                    let name = ["Z", "z", "UTC", "GMT"].into_iter().find(|name| scanner.0.starts_with(name))?;
                    scanner.0 = &scanner.0[name.len()..];
                    0
                }
            };
            (!scanner.0.starts_with(|c: char| c.is_alphanumeric())).then_some(seconds)
        })
    }
}
