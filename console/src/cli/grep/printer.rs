//! The events that were found, with those around them.

use std::collections::HashMap;

use hourlog::{Cursor, Event, LogId, Position, Remote, wire::ReplayRequest, wire::json::JsonEvent};

use crate::{
    exit::Failure,
    output::{Format, TableWriter},
    session::Session,
    when,
};

use super::{
    super::read::{EVENT_COLUMNS, event_line},
    needle::Needle,
};

/// Prints what is found.
pub(super) struct Printer<'a> {
    session: &'a Session,
    remote: &'a Remote,
    needle: &'a Needle,
    /// The number of events before and after each.
    context: u32,
    table: TableWriter<'a>,
    /// The last event that was printed, and the one after which the next line of its log would follow.
    last: Option<(LogId, Position)>,
    /// The last event of each log that was printed, if there is a context.
    printed: HashMap<LogId, Position>,
    count: u64,
}

impl<'a> Printer<'a> {
    pub(super) fn new(session: &'a Session, remote: &'a Remote, needle: &'a Needle, context: u32) -> Self {
        let table = session.out.table(&EVENT_COLUMNS);
        Self { session, remote, needle, context, table, last: None, printed: HashMap::new(), count: 0 }
    }

    /// Prints events that were found, in their order.
    pub(super) async fn print(&mut self, events: &[Event]) -> Result<(), Failure> {
        if self.count == 0 && self.session.out.format() == Format::Table {
            self.session.out.time_header("LOG  DATA")?;
        }
        for (index, event) in events.iter().enumerate() {
            self.count += 1;
            if self.context == 0 {
                self.line(event, true)?;
                continue;
            }
            let next = events[index + 1..].iter().find(|next| next.log == event.log).map(|next| next.position);
            self.with_context(event, next).await?;
        }
        self.session.out.flush()
    }

    /// Prints an event with those around it in its log, up to the `next` one that was found there.
    async fn with_context(&mut self, event: &Event, next: Option<Position>) -> Result<(), Failure> {
        let around = |reverse| ReplayRequest {
            after: Some(Cursor::Timeline(event.position)),
            limit: Some(self.context),
            reverse,
            ..ReplayRequest::default()
        };
        let (before, after) = (around(true), around(false));
        let mut before = self.remote.replay(&event.log, &before).await?.events;
        before.reverse();
        let found = before.len();
        let printed = self.printed.get(&event.log).copied();
        before.retain(|other| printed.is_none_or(|printed| other.position > printed));
        // Some of those before were printed: this event goes on with them.
        let follows = self.last.as_ref() == printed.map(|printed| (event.log.clone(), printed)).as_ref();
        if self.last.is_some() && !(follows && before.len() < found) && self.session.out.format() == Format::Table {
            self.session.out.write(b"--\n")?;
        }
        for other in &before {
            self.line(other, false)?;
        }
        let is_new = |position| printed.is_none_or(|printed| position > printed);
        // The page before may have ended with an event whose context has this one.
        if is_new(event.position) {
            self.line(event, true)?;
        }
        let mut last = printed.map_or(event.position, |printed| printed.max(event.position));
        for other in self.remote.replay(&event.log, &after).await?.events {
            if next.is_some_and(|next| other.position >= next) {
                break;
            }
            if is_new(other.position) {
                self.line(&other, false)?;
                last = last.max(other.position);
            }
        }
        self.printed.insert(event.log.clone(), last);
        self.last = Some((event.log.clone(), last));
        Ok(())
    }

    fn line(&mut self, event: &Event, is_found: bool) -> Result<(), Failure> {
        let out = &self.session.out;
        match out.format() {
            Format::Table => {}
            Format::Raw => return out.raw(&event.record.data),
            Format::Ndjson | Format::Json | Format::Csv => {
                return self.table.push(&JsonEvent::from(event), Vec::new);
            }
        }
        let time = when::show(event.position.offset, &self.session.zone);
        let places = |text: &str| if is_found { self.needle.places(text) } else { Vec::new() };
        out.marked_line(&format!("{time}  {}", event.log), &event_line(event), places)
    }

    /// Writes the rest.
    ///
    /// # Errors
    /// [`Failure::NothingFound`] if there was nothing.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let count = self.count;
        self.table.finish()?;
        if count == 0 { Err(Failure::NothingFound) } else { Ok(()) }
    }
}
