//! Durations and ages as text for people.

use hourlog::{
    Offset,
    pace::Speed,
    time::{DAY, HOUR, MINUTE, SECOND},
    wire::Step,
};

/// The mean length of a year.
const YEAR: i64 = 31_556_952 * SECOND;

/// Returns how long ago, or how far ahead, `offset` is.
pub(crate) fn age(offset: Offset, now: Offset) -> String {
    let nanos = now.nanos().saturating_sub(offset.nanos());
    if nanos.unsigned_abs() < SECOND.unsigned_abs() {
        return "now".to_owned();
    }
    if nanos >= 0 { format!("{} ago", duration(nanos)) } else { format!("in {}", duration(nanos.saturating_neg())) }
}

/// Returns a duration in its two largest units.
pub(crate) fn duration(nanos: i64) -> String {
    let nanos = nanos.max(0);
    match nanos {
        _ if nanos >= YEAR => format!("{}y {}d", nanos / YEAR, nanos % YEAR / DAY),
        _ if nanos >= DAY => format!("{}d {}h", nanos / DAY, nanos % DAY / HOUR),
        _ if nanos >= HOUR => format!("{}h {}m", nanos / HOUR, nanos % HOUR / MINUTE),
        _ if nanos >= MINUTE => format!("{}m {}s", nanos / MINUTE, nanos % MINUTE / SECOND),
        _ if nanos >= SECOND => format!("{}.{}s", nanos / SECOND, nanos % SECOND / (SECOND / 10)),
        _ => short_duration(nanos),
    }
}

/// Returns how long ago, or how far ahead, `offset` is, in the largest unit.
pub(crate) fn age_in_words(offset: Offset, now: Offset) -> String {
    let nanos = now.nanos().saturating_sub(offset.nanos());
    let length = nanos.unsigned_abs();
    let units = [
        (365 * DAY, "year"),
        (30 * DAY, "month"),
        (DAY, "day"),
        (HOUR, "hour"),
        (MINUTE, "minute"),
        (SECOND, "second"),
    ];
    let Some((unit, name)) = units.into_iter().find(|(unit, _)| length >= unit.unsigned_abs()) else {
        return "now".to_owned();
    };
    let count = length / unit.unsigned_abs();
    let plural = if count == 1 { "" } else { "s" };
    if nanos >= 0 { format!("{count} {name}{plural} ago") } else { format!("in {count} {name}{plural}") }
}

/// Returns the time between two events in its two largest units, aligned for a column.
pub(crate) fn pause(nanos: i64) -> String {
    let nanos = nanos.max(0);
    match nanos {
        0 => "0".to_owned(),
        _ if nanos >= YEAR => format!("{}y {}d", nanos / YEAR, nanos % YEAR / DAY),
        _ if nanos >= DAY => format!("{}d {:02}h", nanos / DAY, nanos % DAY / HOUR),
        _ if nanos >= HOUR => format!("{}h {:02}m", nanos / HOUR, nanos % HOUR / MINUTE),
        _ if nanos >= MINUTE => format!("{}m {:02}s", nanos / MINUTE, nanos % MINUTE / SECOND),
        _ if nanos >= SECOND => format!("{}.{}s", nanos / SECOND, nanos % SECOND / (SECOND / 10)),
        _ if nanos >= 1_000_000 => format!("{}.{}ms", nanos / 1_000_000, nanos % 1_000_000 / 100_000),
        // `us` and not `µs`, because an ASCII terminal has to write it.
        _ if nanos >= 1_000 => format!("{}us", nanos / 1_000),
        _ => format!("{nanos}ns"),
    }
}

/// Returns a step with its unit.
pub(crate) fn step(step: Step) -> String {
    match step {
        Step::Nanos(nanos) => short_duration(nanos),
        other => other.to_string(),
    }
}

/// Returns a length of time that is chosen from a list: the largest unit that it is a multiple of.
pub(crate) fn step_of(nanos: i64) -> String {
    let units = [(DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")];
    let (unit, name) = units.into_iter().find(|(unit, _)| nanos % unit == 0).unwrap_or((SECOND, "second"));
    let count = nanos / unit;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

/// Returns a speed, and how much of a log it plays in a second.
pub(crate) fn speed(speed: Speed) -> String {
    let factor = speed.factor();
    let seconds = factor as i64;
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    match units.into_iter().find(|(unit, _)| seconds >= *unit && seconds % unit == 0) {
        Some((unit, name)) => format!("×{factor} ({} {name}/s)", seconds / unit),
        None => format!("×{factor}"),
    }
}

/// Returns a count in at most four letters.
pub(crate) fn short_count(count: u64) -> String {
    let units = [(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    match units.into_iter().find(|(unit, _)| count >= *unit) {
        None => count.to_string(),
        Some((unit, _)) if count < 10_000 && unit == 1_000 => count.to_string(),
        Some((unit, name)) if count / unit >= 10 => format!("{}{name}", count / unit),
        Some((unit, name)) => format!("{}.{}{name}", count / unit, count % unit / (unit / 10)),
    }
}

/// Returns a duration in one unit.
pub(crate) fn short_duration(nanos: i64) -> String {
    for (unit, name) in [(DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")] {
        if nanos >= unit {
            let tenths = nanos / (unit / 10);
            return if tenths % 10 == 0 {
                format!("{}{name}", tenths / 10)
            } else {
                format!("{}.{}{name}", tenths / 10, tenths % 10)
            };
        }
    }
    // `us` and not `µs`, because an ASCII terminal has to write it.
    let small = [(1_000_000, "ms"), (1_000, "us"), (1, "ns")].into_iter().find(|(unit, _)| nanos >= *unit);
    let (unit, name) = small.unwrap_or((1_000_000, "ms"));
    format!("{}{name}", nanos / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units() {
        let cases = [
            (0, "0ms"),
            (999, "999ns"),
            (100_000, "100us"),
            (20_900_000, "20ms"),
            (1_500_000_000, "1.5s"),
            (90 * SECOND, "1m 30s"),
            (2 * HOUR + 3 * MINUTE, "2h 3m"),
            (400 * DAY, "1y 34d"),
        ];
        for (nanos, text) in cases {
            assert_eq!(duration(nanos), text);
        }
        for (count, text) in [(0, "0"), (9_999, "9999"), (39_000, "39k"), (1_250_000, "1.2M"), (999_999, "999k")] {
            assert_eq!(short_count(count), text);
        }
        for (nanos, text) in [(0, "0"), (1_700_000, "1.7ms"), (3_488 * SECOND, "58m 08s"), (22_140 * SECOND, "6h 09m")]
        {
            assert_eq!(pause(nanos), text);
        }
        let speeds = [1.0, 60.0, 1_000.0, 3_600.0, 86_400.0].map(|factor| speed(Speed::new(factor).expect("a speed")));
        assert_eq!(speeds, ["×1", "×60 (1 min/s)", "×1000", "×3600 (1 h/s)", "×86400 (1 d/s)"]);
        assert_eq!((short_duration(90 * SECOND), short_duration(HOUR)), ("1.5m".to_owned(), "1h".to_owned()));
    }
}
