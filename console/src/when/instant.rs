//! Times that name an instant without a calendar's help: RFC 3339, RFC 2822, time since the epoch, and
//! durations from now.

use hourlog::Offset;
use jiff::{Span, Timestamp, Zoned, fmt::rfc2822};

use super::offset;

/// Parses `text` in the first form that fits.
pub(super) fn parse(text: &str, now: &Zoned) -> Option<Offset> {
    rfc3339(text).or_else(|| rfc_2822(text)).or_else(|| epoch(text)).or_else(|| span(text, now))
}

fn rfc3339(text: &str) -> Option<Offset> {
    if text.starts_with('@') {
        return None;
    }
    // Many tools write a blank before the offset from UTC; so do our own notes.
    let joined = match text.rsplit_once(' ') {
        Some((time, "UTC" | "Z")) => format!("{time}Z"),
        Some((time, zone)) if zone.starts_with(['+', '-']) => format!("{time}{zone}"),
        _ => text.to_owned(),
    };
    if let Ok(offset) = joined.parse() {
        return Some(offset);
    }
    // jiff also accepts times without seconds, and a zone name at the end.
    let timestamp = joined.parse::<Zoned>().map(|zoned| zoned.timestamp()).or_else(|_| joined.parse::<Timestamp>());
    offset(timestamp.ok()?)
}

fn rfc_2822(text: &str) -> Option<Offset> {
    offset(rfc2822::parse(text).ok()?.timestamp())
}

/// Parses `@` and seconds, or bare digits as other tools print them. The number of digits tells
/// seconds, milli-, micro- and nanoseconds apart.
fn epoch(text: &str) -> Option<Offset> {
    if text.starts_with('@') {
        return text.parse().ok();
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos_each = match text.len() {
        10 => 1_000_000_000,
        13 => 1_000_000,
        16 => 1_000,
        19 => 1,
        _ => return None,
    };
    text.parse::<i64>().ok()?.checked_mul(nanos_each).map(Offset::from_nanos)
}

/// Parses a duration: `2h`, `2h ago` and `-30m` are in the past, `+5m` is in the future.
fn span(text: &str, now: &Zoned) -> Option<Offset> {
    if text.contains(':') {
        // jiff reads `9:00:30` as a duration of nine hours; people mean a time of day.
        return None;
    }
    let span: Span = text.parse().ok()?;
    let span = if text.starts_with('+') { span } else { -span.abs() };
    offset(now.checked_add(span).ok()?.timestamp())
}
