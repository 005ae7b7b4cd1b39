//! Durations and ages as text for people.

use hourlog::{
    Offset,
    time::{DAY, HOUR, MINUTE, SECOND},
};

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
        _ if nanos >= 365 * DAY => format!("{}y {}d", nanos / (365 * DAY), nanos % (365 * DAY) / DAY),
        _ if nanos >= DAY => format!("{}d {}h", nanos / DAY, nanos % DAY / HOUR),
        _ if nanos >= HOUR => format!("{}h {}m", nanos / HOUR, nanos % HOUR / MINUTE),
        _ if nanos >= MINUTE => format!("{}m {}s", nanos / MINUTE, nanos % MINUTE / SECOND),
        _ if nanos >= SECOND => format!("{}.{}s", nanos / SECOND, nanos % SECOND / (SECOND / 10)),
        _ => short_duration(nanos),
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
            (400 * DAY, "1y 35d"),
        ];
        for (nanos, text) in cases {
            assert_eq!(duration(nanos), text);
        }
        assert_eq!((short_duration(90 * SECOND), short_duration(HOUR)), ("1.5m".to_owned(), "1h".to_owned()));
    }
}
