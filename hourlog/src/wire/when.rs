//! Times and spans as requests write them.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    Error, Offset,
    read::Ahead,
    time::{DAY, HOUR, MINUTE, SECOND},
};

/// A time in a request: RFC 3339, `@` seconds, `-1h`, `first`, `last`, `end` or `now`.
///
/// ```
/// use hourlog::{time::HOUR, wire::When};
/// let when: When = "-1h".parse()?;
/// assert_eq!(when, When::Ago(HOUR));
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// A fixed time.
    At(Offset),
    /// The log's first event.
    First,
    /// The log's newest event that does not lie [ahead](AheadReply) of now. A range that ends with it
    /// includes it.
    Last,
    /// The end of the log: after its last event, however far ahead of now that lies.
    End,
    /// The time of the request, by JetStream's clock.
    Now,
    /// Nanoseconds before the request, by JetStream's clock.
    Ago(i64),
}

impl When {
    /// Returns the time, unless it depends on the log.
    pub fn offset(self, now: Offset) -> Option<Offset> {
        match self {
            Self::At(offset) => Some(offset),
            Self::Now => Some(now),
            Self::Ago(nanos) => Some(now.saturating_add_nanos(-nanos)),
            Self::First | Self::Last | Self::End => None,
        }
    }
}

impl From<Offset> for When {
    fn from(offset: Offset) -> Self {
        Self::At(offset)
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(offset) => offset.fmt(f),
            Self::First => f.write_str("first"),
            Self::Last => f.write_str("last"),
            Self::End => f.write_str("end"),
            Self::Now => f.write_str("now"),
            Self::Ago(nanos) => write!(f, "-{}", Span(*nanos)),
        }
    }
}

impl FromStr for When {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "first" => return Ok(Self::First),
            "last" => return Ok(Self::Last),
            "end" => return Ok(Self::End),
            "now" => return Ok(Self::Now),
            _ => {}
        }
        if let Some(Ok(span)) = text.strip_prefix('-').map(str::parse::<Span>) {
            return Ok(Self::Ago(span.0));
        }
        text.parse().map(Self::At).map_err(|_| {
            Error::invalid(format!(
                "{:?} is not a time; write 2018-02-04T21:56:42Z, @1517781402.5, -1h, first, last, end or now",
                crate::error::shorten(text)
            ))
        })
    }
}

/// The events of a log that lie ahead of now: later than
/// [`Record::AHEAD_NANOS_MAX`](crate::Record::AHEAD_NANOS_MAX) after the time of the request.
///
/// ```
/// use hourlog::wire::AheadReply;
/// let text = r#"{"events":3,"first":"2099-01-01T00:00:00Z","last":"2099-01-02T00:00:00Z"}"#;
/// let ahead: AheadReply = serde_json::from_str(text)?;
/// assert_eq!((ahead.events, ahead.at_least), (3, false));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AheadReply {
    /// The number of events.
    pub events: u64,
    /// The offset of the earliest of them.
    pub first: Offset,
    /// The offset of the latest of them.
    pub last: Offset,
    /// True if there are more: only so many were counted.
    #[serde(skip_serializing_if = "super::request::is_default", default)]
    pub at_least: bool,
}

impl From<Ahead> for AheadReply {
    fn from(ahead: Ahead) -> Self {
        Self { events: ahead.count, first: ahead.first, last: ahead.last, at_least: !ahead.is_exact }
    }
}

/// A length of time in nanoseconds, written `90s`, `1h30m`, `1.5s`, `250ms`.
///
/// ```
/// use hourlog::wire::Span;
/// let span: Span = "1h30m".parse()?;
/// assert_eq!(span.duration().as_secs(), 5_400);
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub i64);

/// Units. `ms` stands before `m`, so that `1ms` is not read as a minute.
const UNITS: [(&str, i64); 7] =
    [("d", DAY), ("h", HOUR), ("ms", 1_000_000), ("m", MINUTE), ("s", SECOND), ("us", 1_000), ("ns", 1)];

impl Span {
    /// The span as a [`Duration`]; zero if it is negative.
    pub fn duration(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let largest_first =
            [("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];
        if rest == 0 {
            return f.write_str("0s");
        }
        for (letters, nanos) in largest_first {
            if rest / nanos > 0 {
                write!(f, "{}{letters}", rest / nanos)?;
                rest %= nanos;
            }
        }
        Ok(())
    }
}

impl FromStr for Span {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::invalid(format!(
                "{:?} is not a length of time; write 30s, 250ms, 1h30m or 7d",
                crate::error::shorten(text)
            ))
        };
        let (mut rest, mut total) = (text, 0_i64);
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let count: i64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let mut fraction = 0;
            if let Some(decimals) = rest.strip_prefix('.') {
                let digits = decimals.bytes().take_while(u8::is_ascii_digit).count();
                fraction = billionths(&decimals[..digits]).ok_or_else(wrong)?;
                rest = &decimals[digits..];
            }
            let (letters, nanos) = UNITS.iter().find(|(letters, _)| rest.starts_with(letters)).ok_or_else(wrong)?;
            rest = &rest[letters.len()..];
            let whole = count.checked_mul(*nanos).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
            let part = i128::from(fraction) * i128::from(*nanos) / i128::from(SECOND);
            let part = i64::try_from(part).expect("a part of a unit is shorter than the unit");
            total = whole.checked_add(part).ok_or_else(wrong)?;
        }
        Ok(Self(total))
    }
}

/// Returns the decimals of a number in billionths: `5` is 500,000,000. `None` if there are none or
/// more than nine.
fn billionths(decimals: &str) -> Option<i64> {
    if !(1..=9).contains(&decimals.len()) {
        return None;
    }
    format!("{decimals:0<9}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_survive_their_text() {
        for text in ["30s", "250ms", "1h30m", "7d", "1m5us", "0s"] {
            assert_eq!(text.parse::<Span>().expect(text).to_string(), text);
        }
        for (text, shown) in [("1.5s", "1s500ms"), ("2m0.25s", "2m250ms"), ("1500ms", "1s500ms"), ("0.1ns", "0s")] {
            assert_eq!(text.parse::<Span>().expect(text).to_string(), shown);
        }
        for text in [
            "",
            "30",
            "s",
            "1.h",
            ".5h",
            "1.5",
            "1.-5s",
            "1.0000000001s",
            "9223372036854775807.9ns5s",
            "-1h",
            "1w",
            "1h-3m",
            "99999999999d",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn nothing_made_of_digits_alone_is_a_time() {
        for text in ["1517781402", "1517781402000", "20180204", "-1", "+1h", "1h", "yesterday", ""] {
            assert!(text.parse::<When>().is_err(), "{text:?} was taken");
        }
        for word in ["first", "last", "end", "now"] {
            assert_eq!(word.parse::<When>().expect(word).to_string(), word);
        }
        assert_eq!("-1h30m".parse::<When>().expect("a span ago"), When::Ago(HOUR + 30 * MINUTE));
    }
}
