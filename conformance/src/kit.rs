//! Small helpers for the cases.

use hourlog::{Error, ErrorKind, Event, LogId, Offset, Record, Result, time::DAY};

/// The day of every time of day in the cases. It lies in the past, so no time is rejected as ahead.
const DAY_OF_THE_CASES: &str = "2018-02-04";

/// Parses a time of day on the day of the cases (`10:59:59.999`), or a time in RFC 3339.
///
/// # Panics
/// If `text` is neither.
pub fn at(text: &str) -> Offset {
    time(text).unwrap_or_else(|error| panic!("{error}"))
}

/// As [`at`], but returns an error.
///
/// # Errors
/// [`ErrorKind::Invalid`] if `text` is not a time.
pub fn time(text: &str) -> Result<Offset> {
    if text.contains('T') { text.parse() } else { format!("{DAY_OF_THE_CASES}T{text}Z").parse() }
}

/// Returns the time `days` days after `offset`.
pub fn days_after(offset: Offset, days: i64) -> Offset {
    offset.saturating_add_nanos(days * DAY)
}

/// Creates a record with the data `name` and the time of `text`.
pub fn record(text: &str, name: &str) -> Record {
    Record::new(name).at(at(text))
}

/// Parses the id of a log.
///
/// # Panics
/// If `text` is not a valid id.
pub fn id(text: &str) -> LogId {
    text.parse().expect("a case's own id is valid")
}

/// Returns the data of each event as text.
pub fn names(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| String::from_utf8_lossy(&event.record.data).into_owned()).collect()
}

/// Asserts that `result` is an error of `kind` with a message.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(kind: ErrorKind, result: Result<T>) -> Error {
    let error = result.expect_err("the operation must fail");
    assert_eq!(error.kind(), kind, "failed with another error: {error}");
    assert!(!error.to_string().is_empty());
    error
}

/// Asserts that the positions of `events` increase strictly.
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

/// Asserts that the seqs of `events` increase strictly.
#[track_caller]
pub fn assert_arrival_order(events: &[Event]) {
    for pair in events.windows(2) {
        let (earlier, later) = (pair[0].position.seq, pair[1].position.seq);
        assert!(earlier < later, "seq {earlier} is not below {later}, which follows it");
    }
}
