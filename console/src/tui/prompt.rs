//! Prompts that both `update` and `view` need to understand: the windows to choose from, and times
//! as they are typed.

use hourlog::{Offset, Result, time::MINUTE};
use jiff::tz::TimeZone;

use crate::{
    tui::times,
    when::{self, Moment},
};

/// A length of time that the scrubber can show.
pub(crate) struct WindowChoice {
    /// The digit that chooses it.
    pub(crate) digit: char,
    /// Its name on the screen.
    pub(crate) name: &'static str,
    /// Its length.
    pub(crate) nanos: i64,
}

const fn window(digit: char, name: &'static str, minutes: i64) -> WindowChoice {
    WindowChoice { digit, name, nanos: minutes * MINUTE }
}

/// The lengths of time to choose from.
pub(crate) const WINDOWS: [WindowChoice; 6] = [
    window('1', "1m", 1),
    window('2', "5m", 5),
    window('3', "1h", 60),
    window('4', "6h", 360),
    window('5', "1d", 1_440),
    window('6', "7d", 10_080),
];

/// A text that can be copied.
pub(crate) struct CopyChoice {
    /// The letter that chooses it.
    pub(crate) key: char,
    /// Its name on the screen.
    pub(crate) name: &'static str,
    /// The text.
    pub(crate) what: Copied,
}

/// The kinds of text that can be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copied {
    /// The data of the event.
    Data,
    /// The event as JSON.
    Event,
    /// The time of the playhead.
    Time,
    /// The command that opens this view.
    View,
    /// The command that reads the range.
    Range,
}

/// The texts to choose from.
pub(crate) const COPIES: [CopyChoice; 5] = [
    CopyChoice { key: 'y', name: "data", what: Copied::Data },
    CopyChoice { key: 'e', name: "event as JSON", what: Copied::Event },
    CopyChoice { key: 't', name: "time", what: Copied::Time },
    CopyChoice { key: 'l', name: "line that opens this view", what: Copied::View },
    CopyChoice { key: 'r', name: "command that reads the range", what: Copied::Range },
];

/// Reads a time to go to. With a sign before it, it counts from the playhead, and a time of day is that of the playhead's day.
///
/// # Errors
/// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) for what is not a time.
pub(crate) fn moment(text: &str, playhead: Offset, now: Offset, zone: &TimeZone) -> Result<Moment> {
    let text = text.trim();
    if text.starts_with(['+', '-']) {
        return when::parse(text, playhead, zone);
    }
    let is_time_of_day =
        text.split(':').count() > 1 && text.chars().all(|letter| matches!(letter, '0'..='9' | ':' | '.'));
    if is_time_of_day || ["noon", "midnight"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        let day = when::zoned(playhead, zone).strftime("%Y-%m-%d").to_string();
        return when::parse(&format!("{day} {text}"), now, zone);
    }
    when::parse(text, now, zone)
}

/// Explains the time that is being typed, and how far from now it is. The error says why it is not
/// a time.
pub(crate) fn explain_time(text: &str, playhead: Offset, now: Offset, zone: &TimeZone) -> Result<String, String> {
    if text.trim().is_empty() {
        return Ok(
            "14:05 (that day), +1h, -1d, 2h ago, monday 9:00, feb 4 10:00, 2018-02-04T21:56:42Z, first, last, end"
                .to_owned(),
        );
    }
    let moment = moment(text, playhead, now, zone).map_err(|error| error.to_string())?;
    match moment {
        Moment::First => Ok("the oldest event".to_owned()),
        Moment::Last => Ok("the newest event".to_owned()),
        Moment::End => Ok("the last event, also if it lies ahead of now".to_owned()),
        Moment::At(offset) => {
            let remark = when::remark(text, moment, zone).map(|remark| format!("; {remark}")).unwrap_or_default();
            Ok(format!("{}, {}{remark}", when::show(offset, zone), times::age(offset, now)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_go_to_is_read_from_the_playhead() {
        let zone = TimeZone::get("Europe/Oslo").expect("every time zone database has Oslo");
        let time = |text: &str| text.parse::<Offset>().expect("a valid time");
        let (playhead, now) = (time("2018-02-04T13:00:00Z"), time("2026-11-27T12:00:00Z"));
        for (text, expected) in [
            ("10:00", "2018-02-04T09:00:00Z"),
            ("23:59:30.5", "2018-02-04T22:59:30.5Z"),
            ("Noon", "2018-02-04T11:00:00Z"),
            ("+1h", "2018-02-04T14:00:00Z"),
            ("-1d", "2018-02-03T13:00:00Z"),
            ("2h ago", "2026-11-27T10:00:00Z"),
            ("now", "2026-11-27T12:00:00Z"),
            ("2018-02-01 10:00", "2018-02-01T09:00:00Z"),
        ] {
            assert_eq!(moment(text, playhead, now, &zone).expect(text), Moment::At(time(expected)), "{text}");
        }
        assert!(moment("25:00", playhead, now, &zone).is_err());
    }
}
