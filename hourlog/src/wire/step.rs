//! Steps: the lengths of a timeline's bins, as clocks and calendars have them.

#[cfg(feature = "jiff")]
mod boundaries;

use std::{fmt, str::FromStr};

use crate::{
    Error, Result,
    time::{DAY, HOUR, MINUTE, SECOND},
};

/// The length of the bins of a timeline: `1s`, `5m`, `1h`, `1d`, `1w`, `1mo`, `1y`.
///
/// Days and longer steps are those of the calendar in a zone: a day may have 23 or 25 hours.
///
/// ```
/// use hourlog::wire::Step;
/// assert_eq!("15m".parse::<Step>()?, Step::Nanos(900_000_000_000));
/// assert_eq!("1d".parse::<Step>()?, Step::Days(1));
/// assert_eq!(Step::Months(3).to_string(), "3mo");
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nanoseconds: a clock's step.
    Nanos(i64),
    /// Calendar days, each from midnight.
    Days(u16),
    /// Weeks, each from Monday.
    Weeks(u16),
    /// Calendar months.
    Months(u16),
    /// Calendar years.
    Years(u16),
}

impl Step {
    /// Returns about how many nanoseconds it has: exactly, for a clock's step.
    pub fn about_nanos(self) -> i64 {
        match self {
            Self::Nanos(nanos) => nanos,
            Self::Days(days) => DAY * i64::from(days),
            Self::Weeks(weeks) => 7 * DAY * i64::from(weeks),
            Self::Months(months) => 30 * DAY * i64::from(months),
            Self::Years(years) => 365 * DAY * i64::from(years),
        }
    }
}

/// The units of a clock. `ms` stands before `m`, so that `1ms` is not read as a minute.
const CLOCK_UNITS: [(&str, i64); 6] =
    [("ms", 1_000_000), ("us", 1_000), ("ns", 1), ("h", HOUR), ("m", MINUTE), ("s", SECOND)];

impl FromStr for Step {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!(
                "{:?} is not a step; write a number and a unit, such as 5m, 1h, 1d, 1w, 1mo or 1y",
                crate::error::shorten(text)
            ))
        };
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let count: i64 = text[..digits].parse().ok().filter(|count| *count > 0).ok_or_else(wrong)?;
        let few = || u16::try_from(count).map_err(|_| wrong());
        match &text[digits..] {
            "d" => Ok(Self::Days(few()?)),
            "w" => Ok(Self::Weeks(few()?)),
            "mo" => Ok(Self::Months(few()?)),
            "y" => Ok(Self::Years(few()?)),
            unit => {
                let (_, nanos) = CLOCK_UNITS.iter().find(|(letters, _)| *letters == unit).ok_or_else(wrong)?;
                Ok(Self::Nanos(count.checked_mul(*nanos).ok_or_else(wrong)?))
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nanos(nanos) => {
                let units = [("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];
                let (letters, unit) =
                    units.into_iter().find(|(_, unit)| nanos % unit == 0).expect("every number is a multiple of one");
                write!(f, "{}{letters}", nanos / unit)
            }
            Self::Days(days) => write!(f, "{days}d"),
            Self::Weeks(weeks) => write!(f, "{weeks}w"),
            Self::Months(months) => write!(f, "{months}mo"),
            Self::Years(years) => write!(f, "{years}y"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_survive_their_text() {
        for text in ["250ms", "1s", "90s", "15m", "1h", "36h", "1d", "2w", "1mo", "10y"] {
            assert_eq!(text.parse::<Step>().expect(text).to_string(), text);
        }
        for text in ["", "0d", "d", "-1h", "1h30m", "1.5h", "70000d", "1 h", "1M", "9999999999999h"] {
            assert!(text.parse::<Step>().is_err(), "{text:?} was taken");
        }
    }
}
