//! Buckets: the stretches of time that a log is stored in, and their widths.

use std::{fmt, str::FromStr};

use crate::{
    Error, Offset, Result,
    time::{DAY, HOUR, MINUTE, SECOND},
};

/// The widths in an era. The index of a log is stored in pieces of at most this many rows.
pub const ERA_BUCKETS: i64 = 10_000;
/// The equal parts into which the count of a bucket is split, for finer counts without reading events.
pub const BINS: usize = 60;
/// The shortest notice for a new width. An owner that missed the change has lost its ownership by then.
const WIDTH_NOTICE_NANOS: i64 = 10 * MINUTE;

/// The length of a bucket: whole seconds, from one second to a day. An hour by default.
///
/// ```
/// use hourlog::store::Width;
/// let width: Width = "15m".parse()?;
/// assert_eq!(width.nanos(), 900_000_000_000);
/// assert_eq!(Width::default().to_string(), "1h");
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Width(i64);

impl Width {
    /// A second, the shortest width.
    pub const SECOND: Self = Self(SECOND);
    /// A minute.
    pub const MINUTE: Self = Self(MINUTE);
    /// An hour, the default.
    pub const HOUR: Self = Self(HOUR);
    /// A day, the longest width.
    pub const DAY: Self = Self(DAY);

    /// Creates a width from whole seconds.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) outside 1 to 86,400.
    pub fn from_seconds(seconds: i64) -> Result<Self> {
        if !(1..=86_400).contains(&seconds) {
            return Err(Error::invalid(format!("a width of {seconds}s is out of range; use one from 1s to 1d")));
        }
        Ok(Self(seconds * SECOND))
    }

    /// Returns the width in nanoseconds.
    pub fn nanos(self) -> i64 {
        self.0
    }

    /// Returns true if buckets of this width count by [`BINS`].
    ///
    /// Below a minute the parts would be too small to help.
    pub fn has_bins(self) -> bool {
        self.0 >= MINUTE
    }
}

impl Default for Width {
    fn default() -> Self {
        Self::HOUR
    }
}

impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, letter) in [(DAY, 'd'), (HOUR, 'h'), (MINUTE, 'm')] {
            if self.0 % unit == 0 {
                return write!(f, "{}{letter}", self.0 / unit);
            }
        }
        write!(f, "{}s", self.0 / SECOND)
    }
}

impl FromStr for Width {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || {
            Error::invalid(format!(
                "{:?} is not a width; write a number and s, m, h or d, such as 10s, 15m or 1h, at most 1d",
                crate::error::shorten(text)
            ))
        };
        let unit = match text.as_bytes().last() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3600,
            Some(b'd') => 86_400,
            _ => return Err(invalid()),
        };
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid());
        }
        let count: i64 = digits.parse().map_err(|_| invalid())?;
        Self::from_seconds(count * unit).map_err(|_| invalid())
    }
}

/// One stretch of a log: the unit of storage.
///
/// ```
/// use hourlog::store::{BINS, Widths};
/// let bucket = Widths::default().bucket("2018-02-04T10:59:59.999Z".parse()?);
/// assert_eq!(bucket.to_string(), "2018-02-04T10:00:00Z+1h");
/// assert!(!bucket.contains("2018-02-04T11:00:00Z".parse()?));
/// assert_eq!(bucket.bin(bucket.last()), BINS - 1);
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket {
    /// The start, inclusive.
    pub start: Offset,
    /// The length.
    pub width: Width,
}

impl Bucket {
    /// Returns the last nanosecond. The exclusive end may lie beyond the end of time.
    pub fn last(self) -> Offset {
        if self.start == Offset::MIN {
            // This bucket begins before the earliest offset, which is not a whole second: only its end
            // exists. The first width is counted from 1970.
            let index = self.start.nanos().div_euclid(self.width.0);
            return Offset::from_nanos((index + 1) * self.width.0 - 1);
        }
        self.start.saturating_add_nanos(self.width.0 - 1)
    }

    /// Returns true if `offset` lies in the bucket.
    pub fn contains(self, offset: Offset) -> bool {
        self.start <= offset && offset <= self.last()
    }

    /// Returns the index of the part, below [`BINS`], that `offset` falls into.
    pub fn bin(self, offset: Offset) -> usize {
        let into = i128::from(offset.nanos()) - i128::from(self.start.nanos());
        (into * BINS as i128 / i128::from(self.width.0)).clamp(0, BINS as i128 - 1) as usize
    }

    /// Returns the start of the part `bin`.
    pub fn bin_start(self, bin: usize) -> Offset {
        let into = i128::from(self.width.0) * bin as i128;
        self.start.saturating_add_nanos(
            (into.div_euclid(BINS as i128) + i128::from(into.rem_euclid(BINS as i128) != 0)) as i64,
        )
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.start, self.width)
    }
}

/// The widths of a log through time: the first one, and every change since.
///
/// Writers compute an event's bucket from it. Pages take buckets from the index, because older buckets may
/// have another width. Only lookups of one event by its position compute its bucket.
///
/// ```
/// use hourlog::store::{Width, Widths};
/// let mut widths = Widths::default();
/// let from = widths.change(Width::MINUTE, "2018-02-04T10:20:00Z".parse()?);
/// assert_eq!(from, "2018-02-04T11:00:00Z".parse()?);
/// assert_eq!(widths.bucket("2018-02-04T10:59:00Z".parse()?).width, Width::HOUR);
/// assert_eq!(widths.bucket("2018-02-04T11:59:00Z".parse()?).width, Width::MINUTE);
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Widths {
    first: Width,
    changes: Vec<(Offset, Width)>,
}

impl Default for Widths {
    fn default() -> Self {
        Self::new(Width::default())
    }
}

impl Widths {
    /// Creates one width for all time.
    pub fn new(width: Width) -> Self {
        Self { first: width, changes: Vec::new() }
    }

    /// Creates the widths from the first one and the changes, each with the time it takes effect, in order.
    ///
    /// # Errors
    /// [`ErrorKind::Integrity`](crate::ErrorKind::Integrity) if the changes are out of order.
    pub fn from_parts(first: Width, changes: Vec<(Offset, Width)>) -> Result<Self> {
        if !changes.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(Error::new(crate::ErrorKind::Integrity, "the widths of a log are out of order"));
        }
        Ok(Self { first, changes })
    }

    /// Returns the first width.
    pub fn first(&self) -> Width {
        self.first
    }

    /// Returns the changes: the time each takes effect, and the width.
    pub fn changes(&self) -> &[(Offset, Width)] {
        &self.changes
    }

    /// Returns the newest width.
    pub fn current(&self) -> Width {
        self.changes.last().map_or(self.first, |(_, width)| *width)
    }

    /// Returns the bucket of `offset`.
    pub fn bucket(&self, offset: Offset) -> Bucket {
        let (from, width) = self.stretch(offset);
        Bucket { start: floor(offset, from, width.0), width }
    }

    /// Returns the start of the era of the index that lists the bucket of `offset`.
    pub fn era(&self, offset: Offset) -> Offset {
        let (from, width) = self.stretch(offset);
        floor(offset, from, width.0 * ERA_BUCKETS)
    }

    /// Changes the width at the first boundary at least ten minutes after `now`. Returns that boundary.
    pub fn change(&mut self, width: Width, now: Offset) -> Offset {
        let notice = now.saturating_add_nanos(WIDTH_NOTICE_NANOS);
        self.changes.retain(|(from, _)| *from < notice);
        let bucket = self.bucket(notice.saturating_add_nanos(-1));
        let from = bucket.last().saturating_add_nanos(1);
        self.changes.push((from, width));
        from
    }

    /// Returns the width in effect at `offset`, and the time from which its buckets are counted.
    fn stretch(&self, offset: Offset) -> (Offset, Width) {
        match self.changes.iter().rev().find(|(from, _)| *from <= offset) {
            Some(&(from, width)) => (from, width),
            None => (Offset::from_nanos(0), self.first),
        }
    }
}

/// Returns the greatest `from + n * step` at or before `offset`, at least [`Offset::MIN`].
fn floor(offset: Offset, from: Offset, step: i64) -> Offset {
    let (offset, from, step) = (i128::from(offset.nanos()), i128::from(from.nanos()), i128::from(step));
    let start = from + (offset - from).div_euclid(step) * step;
    Offset::from_nanos(i64::try_from(start).unwrap_or(i64::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Offset {
        text.parse().expect(text)
    }

    #[test]
    fn buckets_start_on_the_hour_even_before_1970() {
        let widths = Widths::default();
        for (offset, start) in [
            ("2018-02-04T10:59:59.999Z", "2018-02-04T10:00:00Z"),
            ("2018-02-04T11:00:00Z", "2018-02-04T11:00:00Z"),
            ("1969-12-31T23:59:59.999999999Z", "1969-12-31T23:00:00Z"),
        ] {
            assert_eq!(widths.bucket(at(offset)).start, at(start));
        }
    }

    #[test]
    fn the_ends_of_time_have_buckets() {
        for width in [Width::SECOND, Width::HOUR, Width::DAY] {
            let widths = Widths::new(width);
            for offset in [Offset::MIN, Offset::MAX] {
                assert!(widths.bucket(offset).contains(offset));
                assert!(widths.era(offset) <= offset);
            }
            let first = widths.bucket(Offset::MIN);
            let second = widths.bucket(first.last().saturating_add_nanos(1));
            assert_eq!((first.start, second.start), (Offset::MIN, first.last().saturating_add_nanos(1)));
            assert_eq!(second.last().nanos() - second.start.nanos(), width.nanos() - 1);
        }
    }

    #[test]
    fn a_new_width_takes_effect_at_a_boundary_at_least_ten_minutes_ahead() {
        let mut widths = Widths::default();
        let from = widths.change("13m".parse().expect("a width"), at("2018-02-04T10:50:01Z"));
        assert_eq!(from, at("2018-02-04T12:00:00Z"));
        assert_eq!(widths.bucket(at("2018-02-04T11:59:59Z")).start, at("2018-02-04T11:00:00Z"));
        assert_eq!(widths.bucket(at("2018-02-04T12:12:59Z")).start, at("2018-02-04T12:00:00Z"));
        assert_eq!(widths.bucket(at("2018-02-04T12:13:00Z")).start, at("2018-02-04T12:13:00Z"));
        assert_eq!(widths.era(at("2018-02-04T12:13:00Z")), from);
        assert!(widths.era(at("2018-02-04T11:59:59Z")) < from);
        let mut exact = Widths::default();
        assert_eq!(exact.change(Width::MINUTE, at("2018-02-04T10:50:00Z")), at("2018-02-04T11:00:00Z"));
    }

    #[test]
    fn a_pending_change_is_replaced_by_the_next() {
        let mut widths = Widths::default();
        widths.change(Width::MINUTE, at("2018-02-04T10:00:00Z"));
        widths.change(Width::DAY, at("2018-02-04T10:01:00Z"));
        assert_eq!(widths.changes(), [(at("2018-02-04T11:00:00Z"), Width::DAY)]);
    }

    #[test]
    fn bin_edges_fall_into_the_right_bin() {
        for width in ["1m", "13m", "1h", "1d"] {
            let bucket = Widths::new(width.parse().expect(width)).bucket(at("2018-02-04T10:59:59.999Z"));
            for bin in 0..BINS {
                assert_eq!(bucket.bin(bucket.bin_start(bin)), bin);
                assert_eq!(bucket.bin(bucket.bin_start(bin).saturating_add_nanos(-1)), bin.saturating_sub(1));
            }
            assert_eq!(bucket.bin(bucket.last()), BINS - 1);
        }
    }

    #[test]
    fn widths_are_displayed_in_their_largest_whole_unit() {
        for text in ["1s", "10s", "90s", "13m", "1h", "1d"] {
            assert_eq!(text.parse::<Width>().expect(text).to_string(), text);
        }
        assert_eq!("3600s".parse::<Width>().expect("an hour").to_string(), "1h");
        for text in ["", "0s", "2d", "1.5h", "h", "-1s", "1 h", "1w", "1000000s"] {
            assert!(text.parse::<Width>().is_err(), "{text:?} was accepted");
        }
    }
}
