//! The decisions of an import, line by line: what to publish, and whether an export is complete.

use std::collections::{HashMap, HashSet};

use hourlog::{Error, ErrorKind, LogId, header, wire};

use crate::{
    cli::input::without_line_break,
    export::{Checksum, ChecksumBuilder},
    output::counted,
    publisher::Message,
};

use super::{
    items::Item,
    line::{self, ImportedEvent, Limits},
    reading::{Content, Reading},
    source::Source,
};

/// The state of an import between two lines.
#[derive(Debug)]
pub(super) struct Plan {
    reading: Reading,
    /// The log to write to, if it is not the one that each line names.
    target: Option<LogId>,
    source: Source,
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

impl Plan {
    /// Starts an import from `source` that reads lines by `reading`, and writes to `target`, or to the log that each line names.
    pub(super) fn new(reading: Reading, target: Option<LogId>, source: Source) -> Self {
        Self {
            reading,
            target,
            source,
            checksum: ChecksumBuilder::default(),
            occurrences: HashMap::new(),
            logs: HashSet::new(),
            exported: false,
            open: false,
        }
    }

    /// Returns the messages to publish for the next line: none for a blank one or a trailer, many for a line that
    /// holds many events. A line with one bad event has none.
    ///
    /// # Errors
    /// Those of [`Reading::content`], [`line::checked`] and [`Source::apply`], and [`ErrorKind::Integrity`] for a
    /// trailer that does not match the lines before it.
    pub(super) fn messages(&mut self, item: &Item, limits: Limits) -> Result<Vec<Message>, Error> {
        let content = self.reading.content(&item.bytes);
        // A bad line belongs to the export, too.
        if !matches!(content, Ok(Content::Blank | Content::Trailer(_))) {
            self.checksum.add_line(without_line_break(&item.bytes));
        }
        let drafts = match content? {
            Content::Blank => return Ok(Vec::new()),
            Content::Trailer(checksum) => return self.check_trailer(&checksum, item.is_line).map(|()| Vec::new()),
            Content::Events(drafts) => drafts,
        };
        let events = drafts.into_iter().map(|draft| {
            let mut event = line::checked(draft, self.target.as_ref(), limits)?;
            let is_lenient = self.source.apply(&mut event, limits)?;
            Ok((event, is_lenient))
        });
        let events = events.collect::<Result<Vec<_>, Error>>()?;
        Ok(events.into_iter().map(|(event, is_lenient)| self.message(event, is_lenient)).collect())
    }

    /// Returns the logs that have got events.
    pub(super) fn logs(&self) -> impl ExactSizeIterator<Item = &LogId> {
        self.logs.iter()
    }

    /// Returns true for an export without its last line, which may therefore be incomplete.
    pub(super) fn lacks_trailer(&self) -> bool {
        self.exported && self.open
    }

    fn message(&mut self, event: ImportedEvent, is_lenient: bool) -> Message {
        self.exported |= event.exported;
        self.open = true;
        // Equal events are numbered, so that a second import finds each of them again.
        let earlier = self.occurrences.entry(event.hash()).or_default();
        let mut headers = event.headers;
        headers.insert(header::TIME, event.offset.to_string());
        let lenient = if is_lenient { " lenient" } else { "" };
        headers.insert(header::ONCE, format!("{earlier}{lenient}"));
        *earlier += 1;
        let subject = wire::wal_subject(&event.log);
        self.logs.insert(event.log);
        Message { subject, headers, data: event.data }
    }

    /// Compares the lines before a trailer with it. Of values that are not lines, only the number is known.
    fn check_trailer(&mut self, expected: &Checksum, are_lines: bool) -> Result<(), Error> {
        let actual = std::mem::take(&mut self.checksum).checksum();
        self.open = false;
        if actual == *expected || (!are_lines && actual.events == expected.events) {
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

/// Returns true for an error of the line, and not of what is around it.
pub(super) fn is_bad_line(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Invalid | ErrorKind::TooLarge)
}

/// Adds the line number and the number of sent events to the error of a bad line. Other errors stay
/// as they are.
pub(super) fn stopped_at_line(error: Error, name: &str, number: u64, sent: u64) -> Error {
    let (kind, advice) = match error.kind() {
        ErrorKind::Integrity => (ErrorKind::Integrity, "get the file again"),
        _ if is_bad_line(&error) => (ErrorKind::Invalid, "correct the line, or give --keep-going,"),
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
    use crate::cli::import::reading::ReadingFlags;
    use hourlog::Offset;

    const LIMITS: Limits =
        Limits { now: Offset::from_nanos(1_600_000_000 * hourlog::time::SECOND), event_bytes_max: 1_000 };

    fn plan() -> Plan {
        let reading = ReadingFlags::default().reading(None);
        Plan::new(reading.expect("no flag is a valid combination of flags"), None, Source::default())
    }

    fn item(line: &str) -> Item {
        Item { bytes: line.as_bytes().to_vec(), line: 1, is_line: true }
    }

    fn message(plan: &mut Plan, line: &str) -> Message {
        let mut messages = plan.messages(&item(line), LIMITS).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(messages.len(), 1, "{line}");
        messages.remove(0)
    }

    #[test]
    fn equal_lines_are_numbered_and_different_lines_are_not() {
        let mut plan = plan();
        let mut once = |line: &str| {
            let message = message(&mut plan, line);
            message.headers.get(header::ONCE).map(|once| once.as_str().to_owned()).expect("every message has a number")
        };
        let line = r#"{"log":"a","time":"@1","data":"x"}"#;
        assert_eq!([once(line), once(line), once(line)], ["0 lenient", "1 lenient", "2 lenient"]);
        for other in [
            r#"{"log":"b","time":"@1","data":"x"}"#,
            r#"{"log":"a","time":"@2","data":"x"}"#,
            r#"{"log":"a","time":"@1","data":"y"}"#,
            r#"{"log":"a","time":"@1","data":"x","metadata":{"k":["1","2"]}}"#,
            r#"{"log":"a","time":"@1","data":"x","metadata":{"k":["2","1"]}}"#,
            r#"{"log":"a","time":"@1","data":"x","metadata":{"k":["12"]}}"#,
        ] {
            assert_eq!(once(other), "0 lenient", "{other}");
        }
    }

    #[test]
    fn a_trailer_that_does_not_match_is_an_integrity_error() {
        let mut plan = plan();
        plan.checksum.add_line(b"{}");
        let good = plan.checksum.checksum();
        assert!(plan.check_trailer(&good, true).is_ok());
        plan.checksum.add_line(b"{ }");
        let changed = plan.check_trailer(&good, true).expect_err("the line was changed");
        assert_eq!(changed.kind(), ErrorKind::Integrity);
        plan.checksum.add_line(b"{ }");
        assert!(plan.check_trailer(&good, false).is_ok(), "an export that was indented has no lines to compare");
        let missing = plan.check_trailer(&good, true).expect_err("the line is missing");
        assert_eq!(missing.kind(), ErrorKind::Integrity);
    }

    #[test]
    fn an_export_without_its_trailer_is_noticed() {
        let exported = r#"{"log":"a","time":"@1","position":"1000000000-1"}"#;
        let mut plan = plan();
        assert!(!plan.lacks_trailer(), "an empty file is not an export");
        message(&mut plan, r#"{"log":"a","time":"@1"}"#);
        assert!(!plan.lacks_trailer(), "handwritten lines need no trailer");
        message(&mut plan, exported);
        assert!(plan.lacks_trailer());
        let checksum = plan.checksum.checksum();
        plan.check_trailer(&checksum, true).expect("it is the checksum of these lines");
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
