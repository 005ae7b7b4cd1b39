//! The decisions of an import, line by line: what to publish, and whether an export is complete.

use std::collections::{HashMap, HashSet};

use hourlog::{Error, ErrorKind, LogId, header, wire};

use crate::{
    cli::{
        publisher::Message,
        trailer::{Checksum, ChecksumBuilder},
    },
    output::counted,
};

use super::line::{self, ImportedEvent, Limits, ParsedLine};

/// The state of an import between two lines.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The log to write to, if it is not the one that each line names.
    target: Option<LogId>,
    /// Checksum of the event lines since the last trailer.
    checksum: ChecksumBuilder,
    /// Number of times that each event has occurred, by its hash.
    occurrences: HashMap<u128, u64>,
    logs: HashSet<LogId>,
    /// An export wrote at least one of the lines.
    exported: bool,
    /// Events have followed the last trailer.
    open: bool,
}

/// The action for one line.
#[derive(Debug)]
pub(super) enum Step {
    Skip,
    Publish(Message),
}

impl Plan {
    /// Starts an import that writes to `target`, or to the log that each line names.
    pub(super) fn new(target: Option<LogId>) -> Self {
        Self { target, ..Self::default() }
    }

    /// Decides what to do with the next line.
    ///
    /// # Errors
    /// Those of [`line::parse`], and [`ErrorKind::Integrity`] for a trailer that does not match the
    /// lines before it.
    pub(super) fn next_step(&mut self, line: &[u8], limits: Limits) -> Result<Step, Error> {
        match line::parse(line, self.target.as_ref(), limits)? {
            ParsedLine::Blank => Ok(Step::Skip),
            ParsedLine::Trailer(checksum) => self.check_trailer(&checksum).map(|()| Step::Skip),
            ParsedLine::Event(event) => {
                self.checksum.add(line);
                self.exported |= event.exported;
                self.open = true;
                Ok(Step::Publish(self.message(event)))
            }
        }
    }

    /// Returns the logs that have got events.
    pub(super) fn logs(&self) -> impl ExactSizeIterator<Item = &LogId> {
        self.logs.iter()
    }

    /// Returns true for an export without its last line, which may therefore be incomplete.
    pub(super) fn lacks_trailer(&self) -> bool {
        self.exported && self.open
    }

    fn message(&mut self, event: ImportedEvent) -> Message {
        // Equal events are numbered, so that a second import finds each of them again.
        let earlier = self.occurrences.entry(event.hash()).or_default();
        let mut headers = event.headers;
        headers.insert(header::TIME, event.offset.to_string());
        headers.insert(header::ONCE, earlier.to_string());
        *earlier += 1;
        let subject = wire::wal_subject(&event.log);
        self.logs.insert(event.log);
        Message { subject, headers, data: event.data }
    }

    fn check_trailer(&mut self, expected: &Checksum) -> Result<(), Error> {
        let actual = std::mem::take(&mut self.checksum).checksum();
        self.open = false;
        if actual == *expected {
            return Ok(());
        }
        let context = if actual.events == expected.events {
            format!("the {} before it have changed since the export", counted(actual.events, "line"))
        } else {
            format!("the export counted {}, but the file has {}", counted(expected.events, "event"), actual.events)
        };
        Err(Error::new(ErrorKind::Integrity, context))
    }
}

/// Adds the line number and the number of sent events to the error of a bad line. Other errors stay
/// as they are.
pub(super) fn stopped_at_line(error: Error, name: &str, number: u64, sent: u64) -> Error {
    let (kind, advice) = match error.kind() {
        ErrorKind::Integrity => (ErrorKind::Integrity, "get the file again"),
        ErrorKind::Invalid | ErrorKind::TooLarge => (ErrorKind::Invalid, "correct the line"),
        _ => return error,
    };
    let sent = counted(sent, "event");
    let context = format!(
        "{name} line {number}: {error}; sent {sent} before it and none after it: {advice} and import again, \
         nothing is added twice"
    );
    Error::new(kind, context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::Offset;

    const LIMITS: Limits =
        Limits { now: Offset::from_nanos(1_600_000_000 * hourlog::time::SECOND), event_bytes_max: 1_000 };

    fn message(plan: &mut Plan, line: &str) -> Message {
        match plan.next_step(line.as_bytes(), LIMITS) {
            Ok(Step::Publish(message)) => message,
            other => panic!("{line} is not published: {other:?}"),
        }
    }

    #[test]
    fn equal_lines_are_numbered_and_different_lines_are_not() {
        let mut plan = Plan::default();
        let mut once = |line: &str| {
            let message = message(&mut plan, line);
            message.headers.get(header::ONCE).map(|once| once.as_str().to_owned()).expect("every message has a number")
        };
        let line = r#"{"log":"a","time":"@1","data":"x"}"#;
        assert_eq!([once(line), once(line), once(line)], ["0", "1", "2"]);
        for other in [
            r#"{"log":"b","time":"@1","data":"x"}"#,
            r#"{"log":"a","time":"@2","data":"x"}"#,
            r#"{"log":"a","time":"@1","data":"y"}"#,
            r#"{"log":"a","time":"@1","data":"x","metadata":{"k":["1","2"]}}"#,
            r#"{"log":"a","time":"@1","data":"x","metadata":{"k":["2","1"]}}"#,
            r#"{"log":"a","time":"@1","data":"x","metadata":{"k":["12"]}}"#,
        ] {
            assert_eq!(once(other), "0", "{other}");
        }
    }

    #[test]
    fn a_trailer_that_does_not_match_is_an_integrity_error() {
        let mut plan = Plan::default();
        plan.checksum.add(b"{}\n");
        let good = plan.checksum.checksum();
        assert!(plan.check_trailer(&good).is_ok());
        plan.checksum.add(b"{ }\n");
        let changed = plan.check_trailer(&good).expect_err("the line was changed");
        assert_eq!(changed.kind(), ErrorKind::Integrity);
        let missing = plan.check_trailer(&good).expect_err("the line is missing");
        assert_eq!(missing.kind(), ErrorKind::Integrity);
    }

    #[test]
    fn an_export_without_its_trailer_is_noticed() {
        let exported = r#"{"log":"a","time":"@1","position":"1000000000-1"}"#;
        let mut plan = Plan::default();
        assert!(!plan.lacks_trailer(), "an empty file is not an export");
        message(&mut plan, r#"{"log":"a","time":"@1"}"#);
        assert!(!plan.lacks_trailer(), "handwritten lines need no trailer");
        message(&mut plan, exported);
        assert!(plan.lacks_trailer());
        let checksum = plan.checksum.checksum();
        plan.check_trailer(&checksum).expect("it is the checksum of these lines");
        assert!(!plan.lacks_trailer());
    }

    #[test]
    fn a_bad_line_is_reported_with_its_number_and_other_errors_are_unchanged() {
        for (kind, reported) in [
            (ErrorKind::Invalid, ErrorKind::Invalid),
            (ErrorKind::TooLarge, ErrorKind::Invalid),
            (ErrorKind::Integrity, ErrorKind::Integrity),
        ] {
            let error = stopped_at_line(Error::new(kind, "it is bad"), "a.jsonl", 7, 6);
            assert_eq!(error.kind(), reported);
            assert!(error.to_string().starts_with("a.jsonl line 7: it is bad; sent 6 events before it"), "{error}");
        }
        let error = stopped_at_line(Error::new(ErrorKind::Unavailable, "no answer"), "a.jsonl", 7, 6);
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Unavailable, "no answer"));
    }
}
