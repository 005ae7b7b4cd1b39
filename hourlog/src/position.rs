//! An event's place: by `(offset, seq)` in the timeline, by `seq` in arrival order.

use std::{fmt, str::FromStr};

use crate::{Error, Offset, Result};

/// A record's place in arrival order: the epoch of its source, and the source's own sequence.
///
/// The epoch counts the lives of the source. A stream that was deleted and created again begins
/// another epoch, so a seq never goes back within a log. Stored as one number,
/// `epoch << 40 | sequence`, whose order is the order of arrival.
///
/// ```
/// use hourlog::Seq;
/// let seq = Seq::new(3, 42);
/// assert_eq!((seq.epoch(), seq.sequence()), (3, 42));
/// assert!(seq > Seq::new(2, 1_000_000));
/// assert_eq!(seq.to_string().parse(), Ok(seq.get()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(i64);

impl Seq {
    /// Before every event.
    pub const MIN: Self = Self(i64::MIN);
    /// Before the first event of the first epoch. Every event has a greater seq.
    pub const ZERO: Self = Self(0);
    /// After every event.
    pub const MAX: Self = Self(i64::MAX);
    /// The number of sequences in one epoch, 2⁴⁰.
    pub const PER_EPOCH: u64 = 1 << 40;

    /// The seq of message `sequence` in `epoch`.
    pub const fn new(epoch: u32, sequence: u64) -> Self {
        Self(((epoch as i64) << 40) | (sequence % Self::PER_EPOCH) as i64)
    }

    /// The last seq of `epoch`.
    pub(crate) const fn last_of(epoch: u32) -> Self {
        Self::new(epoch, Self::PER_EPOCH - 1)
    }

    /// The seq that is stored as `number`.
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The number that is stored: `epoch << 40 | sequence`.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The life of the source that it belongs to; the first is 1.
    pub const fn epoch(self) -> u32 {
        (self.0 >> 40) as u32
    }

    /// The source's own sequence within the epoch.
    pub const fn sequence(self) -> u64 {
        (self.0 as u64) % Self::PER_EPOCH
    }

    /// The seq after this one; `None` after [`Seq::MAX`].
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The seq before this one; [`Seq::MIN`] itself before it.
    pub const fn saturating_previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The seq before this one; `None` before [`Seq::MIN`].
    pub const fn previous(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The place of an event in its log: the total order of the timeline.
///
/// As text `<offset>-<seq>`, split at the last `-` because offsets may be negative.
///
/// ```
/// use hourlog::{Offset, Position, Seq};
/// let position: Position = "1795415799411123024-1099511627818".parse()?;
/// assert_eq!(position.offset, Offset::from_nanos(1_795_415_799_411_123_024));
/// assert_eq!(position.seq, Seq::new(1, 42));
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
    /// After every event.
    pub const MAX: Self = Self { offset: Offset::MAX, seq: Seq::MAX };

    /// Before every event at `offset`, after every earlier one.
    pub const fn at(offset: Offset) -> Self {
        Self { offset, seq: Seq::MIN }
    }

    /// The first position after this one.
    pub fn next(self) -> Self {
        match self.seq.next() {
            Some(seq) => Self { seq, ..self },
            None => Self::at(self.offset.saturating_add_nanos(1)),
        }
    }

    /// The last position before this one; `None` before [`Position::MIN`].
    pub fn previous(self) -> Option<Self> {
        match self.seq.previous() {
            Some(seq) => Some(Self { seq, ..self }),
            None if self.offset == Offset::MIN => None,
            None => Some(Self { offset: self.offset.saturating_add_nanos(-1), seq: Seq::MAX }),
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
                "{:?} is not a position; write one as 1795415799411123024-42",
                crate::error::shorten(text)
            ))
        })?;
        Ok(Self { offset, seq })
    }
}

/// The place of a reader in arrival order: a time in the bucket that it reads, and the last seq it
/// received.
///
/// As text `a:<time>-<seq>`, so that it is never taken for a [`Position`] nor the other way round.
///
/// ```
/// use hourlog::{ArrivalCursor, Offset, Seq};
/// let cursor = ArrivalCursor { time: Offset::from_nanos(5), seq: Seq::new(0, 42) };
/// assert_eq!(cursor.to_string(), "a:5-42"); // to be stored, and parsed after a restart
/// assert_eq!("a:5-42".parse::<ArrivalCursor>()?, cursor);
/// assert!("5-42".parse::<ArrivalCursor>().is_err()); // a position
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ArrivalCursor {
    /// A time in the bucket of arrival, at or before the arrival of the next event.
    pub time: Offset,
    /// The last seq that was read; the next event has a greater one.
    pub seq: Seq,
}

impl ArrivalCursor {
    /// Before the first event that ever arrived.
    pub const FIRST: Self = Self { time: Offset::MIN, seq: Seq::ZERO };
}

impl fmt::Display for ArrivalCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a:{}-{}", self.time.nanos(), self.seq)
    }
}

impl FromStr for ArrivalCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (time, seq) = text.strip_prefix("a:").and_then(split).ok_or_else(|| {
            Error::invalid(format!(
                "{:?} is not a cursor in arrival order; write one as a:1795415799411123024-42",
                crate::error::shorten(text)
            ))
        })?;
        Ok(Self { time, seq })
    }
}

/// Everything that a reader needs to go on, in one of the two orders.
///
/// Its text says which order it belongs to, so a cursor is never used in the other one.
///
/// ```
/// use hourlog::{ArrivalCursor, Cursor};
/// let cursor: Cursor = "a:1795415799411123024-42".parse()?;
/// assert!(matches!(cursor, Cursor::Arrival(ArrivalCursor { seq, .. }) if seq.sequence() == 42));
/// assert_eq!(cursor.to_string(), "a:1795415799411123024-42");
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cursor {
    /// The position of the last event that was read in timeline order.
    Timeline(Position),
    /// The place of the last event that was read in arrival order.
    Arrival(ArrivalCursor),
}

impl From<Position> for Cursor {
    fn from(position: Position) -> Self {
        Self::Timeline(position)
    }
}

impl From<ArrivalCursor> for Cursor {
    fn from(cursor: ArrivalCursor) -> Self {
        Self::Arrival(cursor)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeline(position) => position.fmt(f),
            Self::Arrival(cursor) => cursor.fmt(f),
        }
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.starts_with("a:") { text.parse().map(Self::Arrival) } else { text.parse().map(Self::Timeline) }
    }
}

/// `<offset>-<seq>`; a seq is never negative, an offset may be.
fn split(text: &str) -> Option<(Offset, Seq)> {
    let (offset, seq) = text.rsplit_once('-')?;
    let plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(seq) || !plain(offset.strip_prefix('-').unwrap_or(offset)) {
        return None;
    }
    Some((Offset::from_nanos(offset.parse().ok()?), Seq(seq.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_before_1970_survive_their_text() {
        for (offset, seq) in [(0, 0), (-1, 7), (i64::MIN, i64::MAX), (i64::MAX, 1)] {
            let position = Position { offset: Offset::from_nanos(offset), seq: Seq(seq) };
            assert_eq!(position.to_string().parse::<Position>().expect("its own text"), position);
            let cursor = ArrivalCursor { time: Offset::from_nanos(offset), seq: Seq(seq) };
            assert_eq!(cursor.to_string().parse::<ArrivalCursor>().expect("its own text"), cursor);
        }
    }

    #[test]
    fn the_first_cursor_survives_its_text() {
        let first = ArrivalCursor::FIRST;
        assert_eq!(first.to_string().parse::<ArrivalCursor>().expect("its own text"), first);
    }

    #[test]
    fn the_two_kinds_of_cursor_are_never_mistaken() {
        assert!("a:5-1".parse::<Position>().is_err());
        assert!("5-1".parse::<ArrivalCursor>().is_err());
        for text in ["", "-", "5", "5-", "-5", "+5-1", "5-+1", "5--1", " 5-1", "1e3-4"] {
            assert!(text.parse::<Position>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_seq_is_an_epoch_and_a_sequence() {
        assert_eq!(Seq::new(1, 42).get(), (1 << 40) | 42);
        assert_eq!((Seq::new(3, 42).epoch(), Seq::new(3, 42).sequence()), (3, 42));
        assert!(Seq::new(2, 1) > Seq::last_of(1));
    }

    #[test]
    fn the_neighbours_of_a_position_cross_the_ends_of_its_offset() {
        let last = Position { offset: Offset::from_nanos(4), seq: Seq::MAX };
        assert_eq!(last.next(), Position::at(Offset::from_nanos(5)));
        assert_eq!(last.next().previous(), Some(last));
        assert_eq!(Position::MIN.previous(), None);
    }
}
