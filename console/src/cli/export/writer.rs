//! The lines of an export: events, then the trailer.

use hourlog::{ArrivalCursor, Event, LogId, wire::json::JsonEvent};
use indicatif::ProgressBar;

use crate::{
    cli::trailer::{Summary, Trailer},
    exit::Failure,
    output::to_json,
};

use super::{contents::Contents, destination::Destination, scope::Scope};

/// Writer of an export.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    pub(super) destination: Destination<'a>,
    /// The events so far.
    pub(super) contents: Contents,
    pub(super) bar: ProgressBar,
}

impl Writer<'_> {
    /// Notes that the events of `log` that follow are those up to the cursor's seq.
    pub(super) fn begin(&mut self, log: &LogId, whole_to: ArrivalCursor) -> Result<(), Failure> {
        self.destination.begin(log, whole_to)
    }

    /// Writes an event.
    pub(super) fn event(&mut self, event: &Event) -> Result<(), Failure> {
        let line = event_line(event);
        self.contents.add(line.as_bytes(), &event.log, event.position, event.arrival_time());
        self.bar.inc(1);
        self.destination.line(&line)
    }

    /// Writes the trailer, and makes a file complete. Returns the number of events.
    pub(super) fn finish(mut self, scope: &Scope) -> Result<u64, Failure> {
        let trailer = Summary {
            checksum: self.contents.checksum.checksum(),
            archive: scope.archive.clone(),
            since: scope.since.map(|since| since.to_string()),
            until: scope.until.map(|until| until.to_string()),
            logs: self.contents.exported(),
        };
        self.destination.line(&(to_json(&Trailer { trailer }) + "\n"))?;
        self.bar.finish_and_clear();
        self.destination.finish()?;
        Ok(self.contents.checksum.events())
    }
}

/// Returns an event as a line.
pub(super) fn event_line(event: &Event) -> String {
    to_json(&JsonEvent::from(event)) + "\n"
}
