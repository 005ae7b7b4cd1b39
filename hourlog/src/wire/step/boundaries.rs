//! The boundaries of steps: the moments at which the bins of a timeline begin, by the clock and the calendar of a zone.

use jiff::{
    Timestamp, ToSpan, Zoned,
    civil::{Date, date},
    tz::TimeZone,
};

use crate::{
    Error, Offset, Result,
    time::{DAY, HOUR},
    wire::TIMELINE_BINS_MAX,
};

use super::Step;

/// A Monday. Steps of several days or weeks are counted from it.
const MONDAY: Date = date(1970, 1, 5);

impl Step {
    /// Returns the boundaries of this step in `zone`, in order. The first one is at or before `from`, unless there is none.
    ///
    /// ```
    /// use hourlog::{Offset, wire::Step};
    /// let oslo = jiff::tz::TimeZone::get("Europe/Oslo").expect("every time zone database has Oslo");
    /// let from: Offset = "2018-02-04T10:30:00Z".parse()?;
    /// let days: Vec<String> = Step::Days(1).boundaries(from, &oslo).take(2).map(|day| day.to_string()).collect();
    /// assert_eq!(days, ["2018-02-03T23:00:00Z", "2018-02-04T23:00:00Z"]);
    /// # Ok::<(), hourlog::Error>(())
    /// ```
    pub fn boundaries(self, from: Offset, zone: &TimeZone) -> impl Iterator<Item = Offset> {
        let mut walk = Walk::new(from, self, zone);
        let mut next = walk.next();
        let mut first = next;
        while let Some(boundary) = next.filter(|boundary| *boundary <= from) {
            first = Some(boundary);
            next = walk.next();
        }
        let rest = if first == next { None } else { next };
        first.into_iter().chain(rest).chain(std::iter::from_fn(move || walk.next()))
    }

    /// Returns the edges of the bins of this step in `zone`: its boundaries between `from` and `to`, and these two.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if that makes too many bins.
    pub fn edges(self, from: Offset, to: Offset, zone: &TimeZone) -> Result<Vec<Offset>> {
        let length = i128::from(to.nanos()) - i128::from(from.nanos());
        let about = length / i128::from(self.about_nanos());
        if about >= i128::from(TIMELINE_BINS_MAX) {
            return Err(Error::invalid(format!(
                "steps of {self} make {about} bins, more than the limit of {TIMELINE_BINS_MAX}; choose a longer step"
            )));
        }
        let inside = self.boundaries(from, zone).skip_while(|boundary| *boundary <= from);
        let inside = inside.take_while(|boundary| *boundary < to);
        Ok(std::iter::once(from).chain(inside).chain([to]).collect())
    }
}

/// A walk over the boundaries of a step. It begins at or before a time, and ends with the calendar.
struct Walk {
    step: Step,
    zone: TimeZone,
    /// The day, or the first day of the step, that the next boundary lies in.
    day: Option<Date>,
    /// The number of the next boundary in its day; of all, for a step that no day is a multiple of.
    number: i64,
}

impl Walk {
    fn new(from: Offset, step: Step, zone: &TimeZone) -> Self {
        let day = Timestamp::from(from).to_zoned(zone.clone()).date();
        let months = |count: u16| {
            let month = i64::from(day.year()) * 12 + i64::from(day.month()) - 1;
            let first = month - month.rem_euclid(i64::from(count));
            Date::new(first.div_euclid(12) as i16, first.rem_euclid(12) as i8 + 1, 1).ok()
        };
        let days = |count: i64| {
            let since = i64::from((day - MONDAY).get_days());
            day.checked_sub(since.rem_euclid(count).days()).ok()
        };
        let first = match step {
            Step::Nanos(_) => Some(day),
            Step::Days(count) => days(count.into()),
            Step::Weeks(count) => days(7 * i64::from(count)),
            Step::Months(count) => months(count),
            Step::Years(count) => months(count.saturating_mul(12)),
        };
        let number = match step {
            Step::Nanos(nanos) if DAY % nanos != 0 => from.nanos().div_euclid(nanos),
            Step::Nanos(nanos) if nanos <= HOUR => {
                let midnight = first.and_then(|day| start_of(day, zone)).and_then(offset).unwrap_or(Offset::MIN);
                (from.nanos().saturating_sub(midnight.nanos())).div_euclid(nanos)
            }
            _ => 0,
        };
        Self { step, zone: zone.clone(), day: first, number }
    }

    fn next(&mut self) -> Option<Offset> {
        let Step::Nanos(nanos) = self.step else {
            let day = self.day?;
            self.day = match self.step {
                Step::Nanos(_) | Step::Days(_) => day.checked_add(self.days()),
                Step::Weeks(count) => day.checked_add(i64::from(count).weeks()),
                Step::Months(count) => day.checked_add(i64::from(count).months()),
                Step::Years(count) => day.checked_add(i64::from(count).years()),
            }
            .ok();
            return start_of(day, &self.zone).and_then(offset);
        };
        if DAY % nanos != 0 {
            let edge = self.number.checked_mul(nanos)?;
            self.number += 1;
            return Some(Offset::from_nanos(edge));
        }
        loop {
            let day = self.day?;
            let (start, into) = (start_of(day, &self.zone)?, self.number.checked_mul(nanos)?);
            let end = day.tomorrow().ok().and_then(|tomorrow| start_of(tomorrow, &self.zone));
            // Up to an hour, a step is one of the clock. A longer one is one of the day: it begins at
            // 6:00 also on a day of 23 hours.
            let at = if nanos <= HOUR {
                start.checked_add(into.nanoseconds()).ok()
            } else {
                day.at(0, 0, 0, 0).checked_add(into.nanoseconds()).ok()?.to_zoned(self.zone.clone()).ok()
            };
            let at = at.filter(|at| end.as_ref().is_none_or(|end| at < end));
            match at {
                Some(at) => {
                    self.number += 1;
                    return offset(at);
                }
                None => {
                    self.day = day.tomorrow().ok();
                    self.number = 0;
                }
            }
        }
    }

    fn days(&self) -> jiff::Span {
        match self.step {
            Step::Days(count) => i64::from(count).days(),
            _ => 1.days(),
        }
    }
}

/// Returns the first moment of a day: midnight, unless the clock jumps over it.
fn start_of(day: Date, zone: &TimeZone) -> Option<Zoned> {
    day.to_zoned(zone.clone()).ok()
}

/// Returns the offset of a moment. Earlier ones than all offsets are the first one, and later ones are none.
fn offset(at: Zoned) -> Option<Offset> {
    let nanos = at.timestamp().as_nanosecond().max(i64::MIN.into());
    i64::try_from(nanos).ok().map(Offset::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).expect("the zone is known")
    }

    /// Returns the hours between the edges.
    fn hours(from: &str, to: &str, step: &str, name: &str) -> Vec<f64> {
        let at = |text: &str| text.parse().expect("the time is valid");
        let step: Step = step.parse().expect("the step is valid");
        let edges = step.edges(at(from), at(to), &zone(name));
        let hours = |pair: &[Offset]| pair[1].duration_since(pair[0]).as_secs_f64() / 3600.0;
        edges.expect("few bins").windows(2).map(hours).collect()
    }

    #[test]
    fn days_begin_at_local_midnight_and_have_23_or_25_hours() {
        let spring = hours("2026-03-27T23:00:00Z", "2026-03-30T22:00:00Z", "1d", "Europe/Oslo");
        assert_eq!(spring, [24.0, 23.0, 24.0]);
        let autumn = hours("2026-10-23T22:00:00Z", "2026-10-26T23:00:00Z", "1d", "Europe/Oslo");
        assert_eq!(autumn, [24.0, 25.0, 24.0]);
    }

    #[test]
    fn an_hour_that_comes_twice_has_two_bins() {
        assert_eq!(hours("2026-10-24T22:00:00Z", "2026-10-25T03:00:00Z", "1h", "Europe/Oslo"), [1.0; 5]);
        let six = hours("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "6h", "Europe/Oslo");
        assert_eq!(six, [7.0, 6.0, 6.0, 6.0]);
    }

    #[test]
    fn the_first_and_the_last_bin_are_cut() {
        assert_eq!(hours("2026-11-01T10:30:00Z", "2026-11-01T12:15:00Z", "1h", "UTC"), [0.5, 1.0, 0.25]);
        assert_eq!(hours("2026-11-01T10:30:00Z", "2026-11-01T12:15:00Z", "1h", "Asia/Kolkata"), [1.0, 0.75]);
        assert_eq!(hours("2026-11-01T10:30:00Z", "2026-11-01T10:45:00Z", "7h", "UTC"), [0.25]);
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        let weeks = hours("2026-11-26T00:00:00Z", "2026-12-08T00:00:00Z", "1w", "UTC");
        assert_eq!(weeks, [4.0 * 24.0, 7.0 * 24.0, 24.0]);
        let months = hours("2026-01-31T00:00:00Z", "2026-04-01T00:00:00Z", "1mo", "UTC");
        assert_eq!(months, [24.0, 28.0 * 24.0, 31.0 * 24.0]);
        let years = hours("2024-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "1y", "UTC");
        assert_eq!(years, [366.0 * 24.0, 365.0 * 24.0]);
    }

    #[test]
    fn the_first_boundary_is_at_or_before_the_start() {
        let at = |text: &str| text.parse::<Offset>().expect("the time is valid");
        for (step, from, first) in [
            ("2h", "2018-02-04T11:59:59Z", "2018-02-04T10:00:00Z"),
            ("15s", "2018-02-04T11:59:45Z", "2018-02-04T11:59:45Z"),
            ("1y", "2018-02-04T11:59:45Z", "2018-01-01T00:00:00Z"),
        ] {
            let step: Step = step.parse().expect("the step is valid");
            assert_eq!(step.boundaries(at(from), &TimeZone::UTC).next(), Some(at(first)), "{step}");
        }
        let last: Vec<Offset> = Step::Nanos(DAY / 4).boundaries(Offset::MAX, &TimeZone::UTC).collect();
        assert_eq!(last.len(), 1, "offsets end");
    }

    #[test]
    fn all_of_time_has_steps_and_too_many_are_refused() {
        let edges = Step::Years(1).edges(Offset::MIN, Offset::MAX, &TimeZone::UTC).expect("few bins");
        assert!(edges.is_sorted_by(|one, other| one < other) && edges.len() == 587, "{}", edges.len());
        let error = Step::Days(1).edges(Offset::MIN, Offset::MAX, &TimeZone::UTC).expect_err("too many bins");
        assert!(error.to_string().contains("choose a longer step"), "{error}");
        let (from, to) = (Offset::from_nanos(DAY - 5), Offset::from_nanos(DAY + 5));
        assert_eq!(Step::Nanos(1_000_000).edges(from, to, &TimeZone::UTC).expect("few bins").len(), 3);
    }
}
