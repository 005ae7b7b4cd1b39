//! The contents of an unfinished export, as its own lines tell them.
//!
//! Events of a log are written in the order of time, except those that had come in behind the place where
//! an export was continued. So every event that is not in the file lies after its last position, or has a
//! greater seq than all of them.

use std::io::{self, BufRead};

use hourlog::{ArrivalCursor, LogId, Offset, Position};
use serde::Deserialize;

use super::trailer::{ChecksumBuilder, ExportedLog, Trailer};

/// The events of an export so far.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Checksum of the lines.
    pub(crate) checksum: ChecksumBuilder,
    /// The logs with events, in the order of the lines.
    logs: Vec<LogContents>,
    /// Size of the lines in bytes.
    pub(crate) bytes: u64,
    /// The last line that was read, with the place of its event.
    pub(crate) last_line: Option<(Vec<u8>, Position)>,
}

/// The events of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogContents {
    /// Its id.
    pub(crate) log: LogId,
    /// Number of events.
    events: u64,
    /// The earliest position.
    pub(crate) first: Position,
    /// The latest position.
    pub(crate) last: Position,
    /// The newest arrival.
    pub(crate) newest: ArrivalCursor,
}

/// The fields of a line that tell where its event is.
#[derive(Deserialize)]
struct LinePosition {
    log: LogId,
    position: Position,
    arrived: Option<Offset>,
}

/// The reason why a file does not hold the lines of an export.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// A line is something else.
    NoEvent {
        /// The number of the line.
        line: u64,
    },
    /// The file cannot be read.
    Io(io::Error),
}

impl Contents {
    /// Reads the complete lines of an unfinished export. A line that was cut short and a trailer are left out:
    /// they are written again.
    pub(crate) fn read(mut reader: impl BufRead) -> Result<Self, Unreadable> {
        let (mut contents, mut line, mut before) = (Self::default(), Vec::new(), None);
        loop {
            line.clear();
            reader.read_until(b'\n', &mut line).map_err(Unreadable::Io)?;
            if !line.ends_with(b"\n") || serde_json::from_slice::<Trailer>(&line).is_ok() {
                contents.last_line = before;
                return Ok(contents);
            }
            let Ok(LinePosition { log, position, arrived }) = serde_json::from_slice(&line) else {
                return Err(Unreadable::NoEvent { line: contents.checksum.events() + 1 });
            };
            contents.add(&line, &log, position, arrived.unwrap_or(position.offset));
            let spare = before.replace((std::mem::take(&mut line), position));
            line = spare.map(|(line, _)| line).unwrap_or_default();
        }
    }

    /// Adds a line.
    pub(crate) fn add(&mut self, line: &[u8], log: &LogId, position: Position, arrived: Offset) {
        self.checksum.add(line);
        self.bytes += line.len() as u64;
        let arrival = ArrivalCursor { time: arrived, seq: position.seq };
        match self.logs.last_mut().filter(|last| last.log == *log) {
            Some(last) => {
                last.events += 1;
                last.first = last.first.min(position);
                last.last = last.last.max(position);
                if last.newest.seq < arrival.seq {
                    last.newest = arrival;
                }
            }
            None => self.logs.push(LogContents {
                log: log.clone(),
                events: 1,
                first: position,
                last: position,
                newest: arrival,
            }),
        }
    }

    /// Returns the logs with events, in the order of the lines.
    pub(crate) fn logs(&self) -> &[LogContents] {
        &self.logs
    }

    /// Returns the logs with events, for the trailer.
    pub(crate) fn exported(&self) -> Vec<ExportedLog> {
        let exported = |contents: &LogContents| ExportedLog {
            log: contents.log.clone(),
            events: contents.events,
            seq: contents.newest.seq.to_string(),
        };
        self.logs.iter().map(exported).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_export_tells_where_to_continue() {
        // The last event of b came in behind the one before it.
        let lines = "{\"log\":\"a\",\"position\":\"5-1\",\"data\":\"\"}\n{\"log\":\"b\",\"position\":\"-7-2\"}\n\
                     {\"log\":\"b\",\"position\":\"9-3\"}\n{\"log\":\"b\",\"position\":\"-8-4\",\"arrived\":\"@1\"}\n";
        let trailer = "{\"trailer\":{\"events\":4,\"sha256\":\"\",\"logs\":[]}}\n";
        for rest in ["", "{\"log\":\"b\",\"posi", trailer, &trailer[..20]] {
            let contents = Contents::read(format!("{lines}{rest}").as_bytes()).expect("the lines are events");
            assert_eq!((contents.bytes, contents.checksum.events()), (lines.len() as u64, 4), "{rest}");
            let [a, b] = contents.logs() else { panic!("there are two logs") };
            assert_eq!((a.log.as_str(), a.last.to_string().as_str()), ("a", "5-1"));
            let places = [b.first.to_string(), b.last.to_string(), b.newest.to_string()];
            assert_eq!(places, ["-8-4", "9-3", "a:1000000000-4"]);
            assert_eq!(contents.exported()[1].seq, "4");
        }
        assert!(Contents::read(&b""[..]).expect("an empty file has no line").logs().is_empty());
    }

    #[test]
    fn another_file_is_not_an_export() {
        let second = Contents::read(&b"{\"log\":\"a\",\"position\":\"5-1\"}\ndear diary\n"[..]);
        assert!(matches!(second, Err(Unreadable::NoEvent { line: 2 })));
        assert!(matches!(Contents::read(&b"SECRET=1\n"[..]), Err(Unreadable::NoEvent { line: 1 })));
    }
}
