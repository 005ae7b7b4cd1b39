//! The pace of a replay: when each event is due.
//!
//! A pace reads no clock. Its caller tells it the time, as a duration since any moment of its own.

use std::{fmt, str::FromStr, time::Duration};

use crate::{Error, Offset, Result};

/// The seconds of a log that are played in one second: 0.1 to 86,400, which is a day.
///
/// ```
/// use hourlog::pace::Speed;
/// let speed: Speed = "x60".parse()?; // a minute in a second
/// assert_eq!(speed.factor(), 60.0);
/// assert_eq!(speed.to_string(), "x60");
/// assert!("0".parse::<Speed>().is_err());
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Speed(f64);

impl Speed {
    /// As fast as the events were written.
    pub const NORMAL: Self = Self(1.0);
    /// The slowest speed.
    pub const MIN: Self = Self(0.1);
    /// The fastest speed: a day in a second.
    pub const MAX: Self = Self(86_400.0);

    /// Returns the speed of `factor`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it is not between [`Speed::MIN`] and [`Speed::MAX`].
    pub fn new(factor: f64) -> Result<Self> {
        match (Self::MIN.0..=Self::MAX.0).contains(&factor) {
            true => Ok(Self(factor)),
            false => Err(Error::invalid("a speed is a number from 0.1 to 86400, such as 10 for ten seconds in one")),
        }
    }

    /// Returns the number of seconds of a log in one second.
    pub fn factor(self) -> f64 {
        self.0
    }

    /// Returns this speed times `factor`, or the nearest one that there is.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self((self.0 * factor).clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Returns the nanoseconds of a log that are played in `time`.
    fn nanos_in(self, time: Duration) -> i64 {
        (time.as_nanos() as f64 * self.0) as i64
    }

    /// Returns the time in which `nanos` of a log are played.
    fn time_of(self, nanos: i64) -> Duration {
        Duration::from_nanos((nanos.max(0) as f64 / self.0) as u64)
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "x{}", self.0)
    }
}

impl FromStr for Speed {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = text.strip_prefix('x').or_else(|| text.strip_suffix('x')).unwrap_or(text);
        Self::new(number.parse().unwrap_or(f64::NAN))
    }
}

/// The relation between the time of a log and that of its player.
///
/// ```
/// use std::time::Duration;
/// use hourlog::{Offset, pace::{Pace, Speed}};
///
/// let nine: Offset = "2018-02-04T09:00:00Z".parse()?;
/// let ten: Offset = "2018-02-04T10:00:00Z".parse()?;
/// let mut pace = Pace::new(nine, Duration::ZERO, Speed::new(60.0)?);
/// assert_eq!(pace.due(ten), Some(Duration::from_secs(60)));
///
/// // After half a minute, the rest is played twice as fast.
/// pace.set_speed(Speed::new(120.0)?, Duration::from_secs(30));
/// assert_eq!(pace.due(ten), Some(Duration::from_secs(45)));
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    speed: Speed,
    gap_max: Option<Duration>,
    /// A time of the log, and when it was or is due.
    from: (Offset, Duration),
    is_paused: bool,
}

impl Pace {
    /// Plays from the time `from` of a log, at `now`.
    pub fn new(from: Offset, now: Duration, speed: Speed) -> Self {
        Self { speed, gap_max: None, from: (from, now), is_paused: false }
    }

    /// The same pace, on which no gap between two events takes longer than `gap_max` to play.
    #[must_use]
    pub fn with_gap_max(self, gap_max: Option<Duration>) -> Self {
        Self { gap_max, ..self }
    }

    /// Returns the speed.
    pub fn speed(&self) -> Speed {
        self.speed
    }

    /// Returns true while it is paused.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Returns when it was begun, moved or changed last.
    pub fn since(&self) -> Duration {
        self.from.1
    }

    /// Returns the time of the log that is played at `now`.
    pub fn playhead(&self, now: Duration) -> Offset {
        let (from, at) = self.from;
        match self.is_paused {
            true => from,
            false => from.saturating_add_nanos(self.speed.nanos_in(now.saturating_sub(at))),
        }
    }

    /// Returns when an event at `offset` is due; `None` while the pace is paused. An earlier event is due at once.
    pub fn due(&self, offset: Offset) -> Option<Duration> {
        let (from, at) = self.from;
        let nanos = offset.nanos().saturating_sub(from.nanos());
        (!self.is_paused).then(|| at.saturating_add(self.speed.time_of(nanos)))
    }

    /// Shortens the gap from `now` to the next event, at `next`, if it is too long. Returns the nanoseconds of the log that
    /// are passed over; 0 if there are none.
    pub fn shorten_gap(&mut self, next: Offset, now: Duration) -> i64 {
        let Some((gap_max, due)) = self.gap_max.zip(self.due(next)) else { return 0 };
        if due.saturating_sub(now) <= gap_max {
            return 0;
        }
        let to = next.saturating_add_nanos(-self.speed.nanos_in(gap_max));
        let passed_over = to.nanos().saturating_sub(self.playhead(now).nanos());
        self.move_to(to, now);
        passed_over
    }

    /// Moves to the time `to` of the log.
    pub fn move_to(&mut self, to: Offset, now: Duration) {
        self.from = (to, now);
    }

    /// Goes on at another speed.
    pub fn set_speed(&mut self, speed: Speed, now: Duration) {
        self.move_to(self.playhead(now), now);
        self.speed = speed;
    }

    /// Pauses.
    pub fn pause(&mut self, now: Duration) {
        self.move_to(self.playhead(now), now);
        self.is_paused = true;
    }

    /// Goes on after a pause.
    pub fn play(&mut self, now: Duration) {
        self.move_to(self.playhead(now), now);
        self.is_paused = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> Offset {
        Offset::from_nanos(seconds * 1_000_000_000)
    }

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn pace(speed: f64) -> Pace {
        Pace::new(at(100), secs(7), Speed::new(speed).expect("a speed"))
    }

    #[test]
    fn a_speed_is_a_number_with_bounds() {
        for text in ["0.1", "1", "x10", "10x", "86400"] {
            assert!(text.parse::<Speed>().is_ok(), "{text}");
        }
        for text in ["", "x", "0", "-1", "0.09", "86401", "inf", "nan", "fast"] {
            assert!(text.parse::<Speed>().is_err(), "{text}");
        }
        assert_eq!(Speed::MAX.times(2.0), Speed::MAX);
        assert_eq!(Speed::NORMAL.times(0.01), Speed::MIN);
    }

    #[test]
    fn events_are_due_in_the_proportion_of_their_gaps() {
        for speed in [0.1, 0.5, 1.0, 60.0, 86_400.0] {
            let pace = pace(speed);
            for seconds in [0, 1, 59, 3_600, 1_000_000] {
                let due = pace.due(at(100 + seconds)).expect("it plays") - secs(7);
                let exact = seconds as f64 / speed;
                assert!((due.as_secs_f64() - exact).abs() < 1e-6, "{seconds} s at {speed}");
                // The playhead reaches an event when it is due.
                let reached = pace.playhead(due + secs(7)).nanos();
                assert!((reached - at(100 + seconds).nanos()).abs() < 100_000, "{seconds} s at {speed}");
            }
        }
        assert_eq!(pace(1.0).due(at(90)), Some(secs(7)), "an earlier event is due at once");
    }

    #[test]
    fn a_player_that_moves_from_event_to_event_does_not_drift() {
        let mut pace = pace(3.0);
        for number in 1..=100_000 {
            let event = Offset::from_nanos(at(100).nanos() + number * 1_000_003);
            let due = pace.due(event).expect("it plays");
            pace.move_to(event, due);
        }
        let exact = secs(7) + Duration::from_nanos(100_000 * 1_000_003 / 3);
        let (_, reached) = pace.from;
        assert!(reached.abs_diff(exact) < Duration::from_millis(1), "{reached:?} instead of {exact:?}");
    }

    #[test]
    fn long_gaps_are_shortened_and_short_ones_are_not() {
        let mut pace = pace(10.0).with_gap_max(Some(secs(2)));
        assert_eq!(pace.shorten_gap(at(120), secs(7)), 0);
        assert_eq!(pace.due(at(120)), Some(secs(9)));
        // An hour becomes two seconds, after the second that was played.
        assert_eq!(pace.shorten_gap(at(3_700), secs(8)), (3_700 - 20 - 110) * 1_000_000_000);
        assert_eq!(pace.due(at(3_700)), Some(secs(10)));
        assert_eq!(pace.playhead(secs(9)), at(3_690));
    }

    #[test]
    fn nothing_is_due_in_a_pause_and_its_time_does_not_count() {
        let mut pace = pace(1.0);
        pace.pause(secs(10));
        assert_eq!((pace.due(at(101)), pace.playhead(secs(99))), (None, at(103)));
        assert_eq!(pace.shorten_gap(at(9_999), secs(99)), 0);
        pace.play(secs(99));
        assert_eq!((pace.due(at(105)), pace.playhead(secs(100))), (Some(secs(101)), at(104)));
        pace.set_speed(Speed::MAX, secs(100));
        assert_eq!(pace.due(at(104 + 86_400)), Some(secs(101)));
    }
}
