//! Local times: a time of day, a day, or both, as the clocks and calendars of a zone show them.

use hourlog::Offset;
use jiff::{
    ToSpan, Zoned,
    civil::{Date, DateTime, Time, Weekday, time},
    tz::AmbiguousOffset,
};

use super::offset;

/// Number of days among which every day of a calendar comes: 29 February may be left out once in a century.
const DAYS_MAX: i64 = 8 * 366;
const NOON: Time = time(12, 0, 0, 0);
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];
/// Letters of the short name of a month or weekday.
const SHORT_NAME_LETTERS: usize = 3;

/// A local time as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Local {
    day: Day,
    time: Time,
}

/// The day of a local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Day {
    On(Date),
    /// So many days before today.
    DaysAgo(i64),
    /// Every day.
    Any,
    /// This day of each week.
    Weekday(Weekday),
    /// This day of each year.
    OfYear {
        month: i8,
        day: i8,
    },
}

impl Local {
    /// Parses `14:05`, `noon`, `yesterday 9:00`, `monday`, `2018-02-04 21:56`, `feb 4 10:00`, `4 feb 2018`.
    /// A day without a time of day is its midnight.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let words: Vec<&str> = match text.split_once('t') {
            Some((date, time)) if date.parse::<Date>().is_ok() => vec![date, time],
            _ => text.split_whitespace().collect(),
        };
        let (last, others) = words.split_last()?;
        match time_of_day(last) {
            Some(time) if others.is_empty() => Some(Self { day: Day::Any, time }),
            Some(time) => Some(Self { day: Day::parse(others)?, time }),
            None => Some(Self { day: Day::parse(&words)?, time: Time::midnight() }),
        }
    }

    /// Returns true if it comes again and again.
    pub(super) fn recurs(&self) -> bool {
        matches!(self.day, Day::Any | Day::Weekday(_) | Day::OfYear { .. })
    }

    /// Returns the time; of one that recurs, the latest one up to `now`.
    pub(super) fn latest(&self, now: &Zoned) -> Option<Offset> {
        let date = match self.day {
            Day::On(date) => return self.on(date, now),
            Day::DaysAgo(days) => return self.on(now.date().checked_sub(days.days()).ok()?, now),
            Day::Any | Day::Weekday(_) | Day::OfYear { .. } => now.date(),
        };
        let limit = offset(now.timestamp())?;
        let dates = (0..DAYS_MAX).map_while(|back| date.checked_sub(back.days()).ok());
        dates.filter(|date| self.day.is(*date)).find_map(|date| self.on(date, now).filter(|at| *at <= limit))
    }

    /// Returns the first one after `start`, of a time that recurs.
    pub(super) fn first_after(&self, start: &Zoned) -> Option<Offset> {
        let limit = offset(start.timestamp())?;
        let dates = (0..DAYS_MAX).map_while(|days| start.date().checked_add(days.days()).ok());
        dates.filter(|date| self.day.is(*date)).find_map(|date| self.on(date, start).filter(|at| *at > limit))
    }

    /// Returns the time on `date`, in the zone of `now`. Of a time that comes twice, it is the first; one that
    /// the clocks skip is as much later as they skip.
    fn on(&self, date: Date, now: &Zoned) -> Option<Offset> {
        offset(date.to_datetime(self.time).to_zoned(now.time_zone().clone()).ok()?.timestamp())
    }

    /// Returns a remark if the clocks show this time twice, or never. `taken` is what was taken for it.
    pub(super) fn remark(&self, taken: &Zoned) -> Option<String> {
        let (date, time) = (taken.date(), taken.time());
        if time != self.time {
            return Some(format!("the clocks skip {} on {date}, so {time} is meant", self.time));
        }
        let AmbiguousOffset::Fold { after, .. } = offsets(taken) else { return None };
        let second =
            taken.datetime().to_zoned(after.to_time_zone()).ok()?.strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string();
        Some(format!("{time} comes twice on {date}, and the first is meant; write {second} for the second"))
    }
}

impl Day {
    fn parse(words: &[&str]) -> Option<Self> {
        match words {
            ["today"] => Some(Self::DaysAgo(0)),
            ["yesterday"] => Some(Self::DaysAgo(1)),
            [name] => weekday(name).map(Self::Weekday).or_else(|| iso_date(name).map(Self::On)),
            [one, other] => {
                let (month, day) = month_and_day(one, other)?;
                // In a leap year, to allow 29 February.
                Date::new(2000, month, day).ok().map(|_| Self::OfYear { month, day })
            }
            [one, other, year] if year.len() == 4 => {
                let (month, day) = month_and_day(one, other)?;
                Date::new(year.parse().ok()?, month, day).ok().map(Self::On)
            }
            _ => None,
        }
    }

    /// Returns true if `date` is such a day.
    fn is(self, date: Date) -> bool {
        match self {
            Self::On(day) => day == date,
            Self::DaysAgo(_) => false,
            Self::Any => true,
            Self::Weekday(weekday) => weekday == date.weekday(),
            Self::OfYear { month, day } => (month, day) == (date.month(), date.day()),
        }
    }
}

/// Returns the offsets from UTC that the clocks may have when they show this time.
pub(super) fn offsets(zoned: &Zoned) -> AmbiguousOffset {
    let shown: DateTime = zoned.datetime();
    zoned.time_zone().to_ambiguous_timestamp(shown).offset()
}

fn iso_date(text: &str) -> Option<Date> {
    text.contains('-').then(|| text.parse().ok()).flatten()
}

/// Parses a month and a day, in either order. A comma may follow the second.
fn month_and_day(one: &str, other: &str) -> Option<(i8, i8)> {
    let other = other.strip_suffix(',').unwrap_or(other);
    let number = |text: &str| text.parse::<i8>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    month(one).zip(number(other)).or_else(|| month(other).zip(number(one)))
}

fn month(name: &str) -> Option<i8> {
    let at = MONTHS.iter().position(|month| is_name(name, month))?;
    Some(at as i8 + 1)
}

fn weekday(name: &str) -> Option<Weekday> {
    WEEKDAYS.iter().find(|(weekday, _)| is_name(name, weekday)).map(|(_, weekday)| *weekday)
}

/// Returns true for the whole name, and for its first three letters.
fn is_name(text: &str, name: &str) -> bool {
    text == name || text == &name[..SHORT_NAME_LETTERS]
}

/// Parses `noon`, `midnight`, `9:00`, `09:00` and `09:00:30.5`. jiff requires two digits for the hour; people
/// do not write them.
fn time_of_day(text: &str) -> Option<Time> {
    match text {
        "noon" => return Some(NOON),
        "midnight" => return Some(Time::midnight()),
        _ => {}
    }
    // jiff passes over an offset from UTC, and the time would be another one.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'));
    let (hour, _) = text.split_once(':').filter(|_| is_plain)?;
    match hour.len() {
        1 => format!("0{text}").parse().ok(),
        2 => text.parse().ok(),
        _ => None,
    }
}
