//! The lines of an export: events, then the trailer.

use std::fmt;

use hourlog::{ArrivalCursor, Event, LogId, wire::json::JsonEvent};

use crate::{exit::Failure, output::to_json};

use super::{
    contents::Contents,
    destination::Destination,
    scope::Scope,
    trailer::{Summary, Trailer},
};

/// Writer of an export.
pub struct Writer<'a> {
    pub(crate) destination: Destination<'a>,
    /// The events so far.
    pub(crate) contents: Contents,
    /// Called after each event.
    pub(crate) observe: Box<dyn FnMut(&Contents) + Send + 'a>,
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("destination", &self.destination).finish_non_exhaustive()
    }
}

impl Writer<'_> {
    /// Notes that the events of `log` that follow are those up to the cursor's seq.
    ///
    /// # Errors
    /// [`Failure::Io`] if the file cannot be written.
    pub fn begin(&mut self, log: &LogId, whole_to: ArrivalCursor) -> Result<(), Failure> {
        self.destination.begin(log, whole_to)
    }

    /// Writes an event.
    ///
    /// # Errors
    /// [`Failure::Io`] if the file cannot be written.
    pub fn event(&mut self, event: &Event) -> Result<(), Failure> {
        let line = event_line(event);
        self.contents.add(line.as_bytes(), &event.log, event.position, event.arrival_time());
        self.destination.line(&line)?;
        (self.observe)(&self.contents);
        Ok(())
    }

    /// Writes the trailer, if the export is continued when it was stopped, and makes a file complete. Returns what was
    /// written.
    pub(crate) fn finish(mut self, scope: &Scope) -> Result<Contents, Failure> {
        if let Destination::File(_) = self.destination {
            self.destination.finish()?;
            return Ok(self.contents);
        }
        let trailer = Summary {
            checksum: self.contents.checksum.checksum(),
            archive: scope.archive.clone(),
            since: scope.since.map(|since| since.to_string()),
            until: scope.until.map(|until| until.to_string()),
            logs: self.contents.exported(),
        };
        self.destination.line(&(to_json(&Trailer { trailer }) + "\n"))?;
        self.destination.finish()?;
        Ok(self.contents)
    }
}

/// Returns an event as a line.
pub(crate) fn event_line(event: &Event) -> String {
    to_json(&JsonEvent::from(event)) + "\n"
}
