//! Where an event stands: in the timeline by `(offset, seq)`, in arrival order by `seq`.

use std::{fmt, str::FromStr};

use crate::{Error, Offset, Result};

/// A record's place in arrival order: `epoch << 40 | sequence`.
///
/// The epoch counts the lives of the source (a stream that was lost and made anew begins
/// another), so a seq never goes back within a log.
pub type Seq = i64;

/// The sequences that one epoch has room for.
pub const SEQUENCES_IN_EPOCH: u64 = 1 << 40;

/// The seq of a source's message.
pub fn seq(epoch: u32, sequence: u64) -> Seq {
    (i64::from(epoch) << 40) | (sequence % SEQUENCES_IN_EPOCH) as i64
}

/// The epoch and the source's own sequence that a seq is made of.
pub fn parts(seq: Seq) -> (u32, u64) {
    ((seq >> 40) as u32, (seq as u64) % SEQUENCES_IN_EPOCH)
}

/// The place of an event in its log: the total order of the timeline.
///
/// As text `<offset>-<seq>`, split at the last `-` because offsets may be negative.
///
/// ```
/// use hourlog::{Offset, Position};
/// let position: Position = "1795415799411123024-42".parse()?;
/// assert_eq!(position.offset, Offset::from_nanos(1_795_415_799_411_123_024));
/// assert_eq!(position.seq, 42);
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The event's time.
    pub offset: Offset,
    /// Its place in arrival order, which settles ties.
    pub seq: Seq,
}

impl Position {
    /// Before every event.
    pub const MIN: Self = Self { offset: Offset::MIN, seq: Seq::MIN };
    /// Behind every event.
    pub const MAX: Self = Self { offset: Offset::MAX, seq: Seq::MAX };

    /// Before every event at `offset`, behind every earlier one.
    pub fn at(offset: Offset) -> Self {
        Self { offset, seq: Seq::MIN }
    }

    /// The first position behind this one.
    pub fn next(self) -> Self {
        match self.seq.checked_add(1) {
            Some(seq) => Self { seq, ..self },
            None => Self::at(self.offset.saturating_add_nanos(1)),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.offset.nanos(), self.seq)
    }
}

impl FromStr for Position {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (offset, seq) = split(text).ok_or_else(|| {
            Error::invalid(format!(
                "{:?} is not a position; one looks like 1795415799411123024-42",
                crate::record::shorten(text)
            ))
        })?;
        Ok(Self { offset, seq })
    }
}

/// How far a reader in arrival order has come: a time within the bucket that it reads, and the
/// last seq that it had.
///
/// As text `a:<time>-<seq>`, so that it is never taken for a [`Position`] nor the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Arrival {
    /// A time in the bucket of arrival, at or before the arrival of what comes next.
    pub time: Offset,
    /// The last seq that was read; what follows has greater ones.
    pub seq: Seq,
}

impl Arrival {
    /// Before the first event that ever arrived.
    pub const FIRST: Self = Self { time: Offset::MIN, seq: 0 };
}

impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a:{}-{}", self.time.nanos(), self.seq)
    }
}

impl FromStr for Arrival {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (time, seq) = text.strip_prefix("a:").and_then(split).ok_or_else(|| {
            Error::invalid(format!(
                "{:?} is not a cursor in arrival order; one looks like a:1795415799411123024-42",
                crate::record::shorten(text)
            ))
        })?;
        Ok(Self { time, seq })
    }
}

/// `<offset>-<seq>`; a seq is never negative, an offset may be.
fn split(text: &str) -> Option<(Offset, Seq)> {
    let (offset, seq) = text.rsplit_once('-')?;
    let plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(seq) || !plain(offset.strip_prefix('-').unwrap_or(offset)) {
        return None;
    }
    Some((Offset::from_nanos(offset.parse().ok()?), seq.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_before_1970_survive_their_text() {
        for (offset, seq) in [(0, 0), (-1, 7), (i64::MIN, i64::MAX), (i64::MAX, 1)] {
            let position = Position { offset: Offset::from_nanos(offset), seq };
            assert_eq!(position.to_string().parse::<Position>().expect("its own text"), position);
            let arrival = Arrival { time: Offset::from_nanos(offset), seq };
            assert_eq!(arrival.to_string().parse::<Arrival>().expect("its own text"), arrival);
        }
    }

    #[test]
    fn the_first_cursor_survives_its_text() {
        assert_eq!(Arrival::FIRST.to_string().parse::<Arrival>().expect("its own text"), Arrival::FIRST);
    }

    #[test]
    fn the_two_kinds_of_cursor_are_never_mistaken() {
        assert!("a:5-1".parse::<Position>().is_err());
        assert!("5-1".parse::<Arrival>().is_err());
        for text in ["", "-", "5", "5-", "-5", "+5-1", "5-+1", "5--1", " 5-1", "1e3-4"] {
            assert!(text.parse::<Position>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_seq_is_an_epoch_and_a_sequence() {
        assert_eq!(seq(1, 42), (1 << 40) | 42);
        assert_eq!(parts(seq(3, 42)), (3, 42));
        assert!(seq(2, 1) > seq(1, SEQUENCES_IN_EPOCH - 1));
    }
}
