//! Times and spans as requests write them.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{DAY, Error, HOUR, MINUTE, Offset, SECOND};

/// A time in a request: RFC 3339, `@` seconds, `-1h`, `first`, `last` or `now`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// A time.
    At(Offset),
    /// The log's first event.
    First,
    /// The log's newest event.
    Last,
    /// When the request came.
    Now,
    /// So many nanoseconds before the request came.
    Ago(i64),
}

impl When {
    /// The time it stands for, where that does not depend on the log.
    pub fn offset(self, now: Offset) -> Option<Offset> {
        match self {
            Self::At(offset) => Some(offset),
            Self::Now => Some(now),
            Self::Ago(nanos) => Some(now.saturating_add_nanos(-nanos)),
            Self::First | Self::Last => None,
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
            "now" => return Ok(Self::Now),
            _ => {}
        }
        if let Some(Ok(span)) = text.strip_prefix('-').map(str::parse::<Span>) {
            return Ok(Self::Ago(span.0));
        }
        text.parse().map(Self::At).map_err(|_| {
            Error::invalid(format!(
                "{:?} is not a time; write 2018-02-04T21:56:42Z, @1517781402.5, -1h, first, last or now",
                crate::shorten(text)
            ))
        })
    }
}

/// A length of time in nanoseconds, written `90s`, `1h30m`, `250ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub i64);

/// Units, the largest first, so that `1m` and `1ms` are told apart by trying the longer text first.
const UNITS: [(&str, i64); 7] =
    [("d", DAY), ("h", HOUR), ("ms", 1_000_000), ("m", MINUTE), ("s", SECOND), ("us", 1_000), ("ns", 1)];

impl Span {
    /// The same as a [`Duration`]; below zero is none.
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
            Error::invalid(format!("{:?} is not a length of time; write 30s, 250ms, 1h30m or 7d", crate::shorten(text)))
        };
        let (mut rest, mut total) = (text, 0_i64);
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let count: i64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let (letters, nanos) = UNITS.iter().find(|(letters, _)| rest.starts_with(letters)).ok_or_else(wrong)?;
            rest = &rest[letters.len()..];
            total = count.checked_mul(*nanos).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
        }
        Ok(Self(total))
    }
}

macro_rules! serde_as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

serde_as_text!(When, Span, Offset, crate::Position, crate::Arrival, crate::LogId, crate::Width);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_survive_their_text() {
        for text in ["30s", "250ms", "1h30m", "7d", "1m5us", "0s"] {
            assert_eq!(text.parse::<Span>().expect(text).to_string(), text);
        }
        for text in ["", "30", "s", "1.5h", "-1h", "1w", "1h-3m", "99999999999d"] {
            assert!(text.parse::<Span>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn nothing_made_of_digits_alone_is_a_time() {
        for text in ["1517781402", "1517781402000", "20180204", "-1", "+1h", "1h", "yesterday", ""] {
            assert!(text.parse::<When>().is_err(), "{text:?} was taken");
        }
        assert_eq!("-1h30m".parse::<When>().expect("a span ago"), When::Ago(HOUR + 30 * MINUTE));
    }
}
