//! Small words that the cases are written in.

use hourlog::{DAY, Error, ErrorKind, Event, LogId, Offset, Record, Result};

/// The day that the cases play on: long enough ago for every time of it to be in the past.
const DAY_OF_THE_CASES: &str = "2018-02-04";

/// The time that `text` means: a time of day on the day of the cases (`10:59:59.999`), or RFC 3339.
///
/// # Panics
/// Where `text` is neither: it is written by a case.
pub fn at(text: &str) -> Offset {
    time(text).unwrap_or_else(|error| panic!("{error}"))
}

/// As [`at`], for a text that may be wrong.
///
/// # Errors
/// Where `text` is no time.
pub fn time(text: &str) -> Result<Offset> {
    if text.contains('T') { text.parse() } else { format!("{DAY_OF_THE_CASES}T{text}Z").parse() }
}

/// The same time `days` later.
pub fn days_after(offset: Offset, days: i64) -> Offset {
    offset.saturating_add_nanos(days * DAY)
}

/// A record named `name`, to be kept at the time that `text` means.
pub fn record(text: &str, name: &str) -> Record {
    Record::new(name).at(at(text))
}

/// The id that `text` says.
pub fn id(text: &str) -> LogId {
    text.parse().expect("a case's own id")
}

/// The data of each event, as text.
pub fn names(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| String::from_utf8_lossy(&event.record.data).into_owned()).collect()
}

/// Asserts that `result` is an error of `kind`, and that it says something.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(kind: ErrorKind, result: Result<T>) -> Error {
    let error = result.expect_err("this had to be refused");
    assert_eq!(error.kind(), kind, "refused, but as: {error}");
    assert!(!error.to_string().is_empty());
    error
}

/// Asserts that the positions of `events` rise strictly in timeline order.
#[track_caller]
pub fn assert_timeline_order(events: &[Event]) {
    for pair in events.windows(2) {
        assert!(
            pair[0].position < pair[1].position,
            "{} is not before {}, which follows it",
            pair[0].position,
            pair[1].position
        );
    }
}

/// Asserts that the seqs of `events` rise strictly.
#[track_caller]
pub fn assert_arrival_order(events: &[Event]) {
    for pair in events.windows(2) {
        let (earlier, later) = (pair[0].position.seq, pair[1].position.seq);
        assert!(earlier < later, "seq {earlier} is not below {later}, which follows it");
    }
}
