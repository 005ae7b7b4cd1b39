//! Time zones: the one of the session, and times as tables show them in it.

use hourlog::{Offset, wire::shorten};
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::{local, zoned};

/// Parses the name of a time zone.
///
/// # Errors
/// A sentence with two names that are valid.
pub(crate) fn parse(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| "unknown time zone; write a name such as Europe/Oslo, or UTC".to_owned())
}

/// Returns the system's time zone: that of the variable TZ, or else of the machine; UTC on a machine
/// that has none.
///
/// # Errors
/// A sentence, if TZ is set to something that is no time zone. The system would take it for UTC.
pub(crate) fn system() -> Result<TimeZone, String> {
    match TimeZone::try_system() {
        Ok(zone) => Ok(zone),
        Err(_) => match std::env::var_os("TZ") {
            None => Ok(TimeZone::UTC),
            Some(name) => Err(format!(
                "TZ is {:?}, which is not a time zone; set it to a name such as Europe/Oslo or UTC, or give --tz",
                shorten(&name.to_string_lossy())
            )),
        },
    }
}

/// Returns the name of a zone for people: `Europe/Oslo`, an offset from UTC such as `+05:30`, or
/// `local time` for rules without a name.
pub fn name(zone: &TimeZone) -> String {
    match (zone.iana_name(), zone.to_fixed_offset()) {
        (Some(name), _) => name.to_owned(),
        (None, Ok(offset)) => offset.to_string(),
        (None, Err(_)) => "local time".to_owned(),
    }
}

/// Formats a time in `zone`, to the millisecond. If the clocks show it twice, the zone's offset from UTC
/// follows.
pub fn show(offset: Offset, zone: &TimeZone) -> String {
    let zoned = zoned(offset, zone);
    let is_shown_twice = matches!(local::offsets(&zoned), AmbiguousOffset::Fold { .. });
    zoned.strftime(if is_shown_twice { "%Y-%m-%d %H:%M:%S%.3f%:z" } else { "%Y-%m-%d %H:%M:%S%.3f" }).to_string()
}

/// Formats the time of day in `zone`, with 3, 6 or 9 digits after the seconds. If the clocks show it twice, the zone's offset
/// from UTC follows.
pub(crate) fn clock(offset: Offset, zone: &TimeZone, digits: usize) -> String {
    let zoned = zoned(offset, zone);
    let is_shown_twice = matches!(local::offsets(&zoned), AmbiguousOffset::Fold { .. });
    let format = match digits {
        ..=3 => "%H:%M:%S%.3f",
        4..=6 => "%H:%M:%S%.6f",
        _ => "%H:%M:%S%.9f",
    };
    let mut text = zoned.strftime(format).to_string();
    if is_shown_twice {
        text.push_str(&zoned.strftime("%:z").to_string());
    }
    text
}

/// Formats a time in `zone`, with the zone's offset from UTC.
pub fn show_with_zone(offset: Offset, zone: &TimeZone) -> String {
    zoned(offset, zone).strftime("%Y-%m-%d %H:%M:%S%.f %:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_that_comes_twice_is_told_apart() {
        let zone = TimeZone::get("Europe/Oslo").expect("every time zone database has Oslo");
        for (time, shown) in [
            ("2026-10-24T23:59:59Z", "2026-10-25 01:59:59.000"),
            ("2026-10-25T00:30:00Z", "2026-10-25 02:30:00.000+02:00"),
            ("2026-10-25T01:30:00Z", "2026-10-25 02:30:00.000+01:00"),
            ("2026-10-25T02:00:00Z", "2026-10-25 03:00:00.000"),
            ("2026-03-29T01:30:00Z", "2026-03-29 03:30:00.000"),
        ] {
            let offset: Offset = time.parse().expect("a valid time");
            assert_eq!(show(offset, &zone), shown);
            let read = super::super::parse(&show(offset, &zone), offset, &zone);
            assert_eq!(read.expect("a table's time can be given back"), super::super::Moment::At(offset));
        }
    }

    #[test]
    fn every_zone_has_a_name_for_people() {
        let posix = |text: &str| TimeZone::posix(text).expect("a valid rule");
        for (zone, expected) in [
            (TimeZone::UTC, "UTC"),
            (TimeZone::get("europe/oslo").expect("every database has it"), "Europe/Oslo"),
            (TimeZone::fixed(jiff::tz::offset(-3)), "-03"),
            (posix("CET-1CEST,M3.5.0,M10.5.0/3"), "local time"),
        ] {
            assert_eq!(name(&zone), expected);
        }
        for unknown in ["Europe/Olso", "", "CEST+", "oslo"] {
            assert!(parse(unknown).is_err(), "{unknown}");
        }
    }
}
