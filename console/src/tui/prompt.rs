//! Prompts that both `update` and `view` need to understand: the windows to choose from, and times
//! as they are typed.

use hourlog::{Offset, time::MINUTE};
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

/// Explains the time that is being typed, and how far from now it is. The error says why it is not
/// a time.
pub(crate) fn explain_time(text: &str, now: Offset, zone: &TimeZone) -> Result<String, String> {
    if text.trim().is_empty() {
        return Ok("14:05, 2h ago, monday 9:00, feb 4 10:00, 2018-02-04T21:56:42Z, first, last, end".to_owned());
    }
    let moment = when::parse(text, now, zone).map_err(|error| error.to_string())?;
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
