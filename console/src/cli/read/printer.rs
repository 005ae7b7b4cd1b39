//! The events of a read, as they are printed.

use futures_util::{FutureExt, Stream, StreamExt};
use hourlog::{Event, wire::json::JsonEvent};

use crate::{
    exit::Failure,
    output::{Align, Format, TableColumn, TableWriter},
    sanitize::sanitize_bytes,
    session::Session,
    when,
};

use super::{
    Read,
    delimiter::Delimiter,
    json_data,
    template::{self, Template},
};

/// The columns of an event.
pub(in crate::cli) const COLUMNS: [TableColumn; 7] = [
    TableColumn("log", Align::Left),
    TableColumn("position", Align::Left),
    TableColumn("time", Align::Left),
    TableColumn("arrived", Align::Left),
    TableColumn("metadata", Align::Left),
    TableColumn("data", Align::Left),
    TableColumn("data_base64", Align::Left),
];

/// Events that are printed before others may run. More would delay the answer to Ctrl-C.
const EVENTS_AT_ONCE: u64 = 64;

/// The way in which events are printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Style {
    /// A line with the time, the log if there are several, data and metadata.
    Line,
    /// A row of the output format.
    Row,
    /// JSON with data as a value.
    JsonData,
    /// The data, and a delimiter after it.
    Raw(Delimiter),
    /// A format of the user.
    Template(Template),
    /// Only the number of events, at the end.
    Count,
}

impl Style {
    /// # Errors
    /// [`Failure::usage`] for flags that belong to another format.
    pub(super) fn new(read: &Read, session: &Session, template: Option<Template>) -> Result<Self, Failure> {
        let format = session.out.format();
        let is_raw = format == Format::Raw && template.is_none();
        if (read.delimiter.is_some() || read.no_newline) && !is_raw {
            return Err(Failure::usage("--delimiter and --no-newline belong to the data as it is; add -o raw"));
        }
        if read.json_data && !(matches!(format, Format::Ndjson | Format::Json) && template.is_none()) {
            return Err(Failure::usage("--json-data belongs to JSON; add -o ndjson or -o json"));
        }
        if read.count {
            return Ok(Self::Count);
        }
        if let Some(template) = template {
            return Ok(Self::Template(template));
        }
        Ok(match format {
            Format::Table => Self::Line,
            Format::Raw => Self::Raw(match &read.delimiter {
                Some(delimiter) => delimiter.clone(),
                None if read.no_newline => Delimiter::NONE,
                // The data of a file is exactly the file. A prompt needs a line of its own.
                None if read.is_of_one_event() && !session.out.is_terminal() => Delimiter::NONE,
                None => Delimiter::newline(),
            }),
            Format::Ndjson | Format::Json if read.json_data => Self::JsonData,
            Format::Ndjson | Format::Json | Format::Csv => Self::Row,
        })
    }
}

/// Writer of events to stdout.
pub(super) struct EventPrinter<'a> {
    pub(super) session: &'a Session,
    style: Style,
    table: TableWriter<'a>,
    /// Lines name the log of their event.
    names_logs: bool,
    /// Events so far.
    count: u64,
    /// The memory of one event in the user's format.
    formatted: Vec<u8>,
}

impl<'a> EventPrinter<'a> {
    pub(super) fn new(session: &'a Session, style: Style, names_logs: bool) -> Self {
        Self { session, style, table: session.out.table(&COLUMNS), names_logs, count: 0, formatted: Vec::new() }
    }

    /// Waits for the next event. Flushes the output before a wait.
    ///
    /// Lets others run now and then: pages that are there already would keep a signal from being noticed.
    pub(super) async fn next<E: Into<Failure>>(
        &self,
        events: &mut (impl Stream<Item = Result<Event, E>> + Unpin),
    ) -> Result<Option<Event>, Failure> {
        if self.count.is_multiple_of(EVENTS_AT_ONCE) {
            tokio::task::yield_now().await;
        }
        let event = match events.next().now_or_never() {
            Some(event) => event,
            None => {
                self.session.out.flush()?;
                events.next().await
            }
        };
        event.transpose().map_err(E::into)
    }

    pub(super) fn print(&mut self, event: &Event) -> Result<(), Failure> {
        self.count += 1;
        let out = &self.session.out;
        match &self.style {
            Style::Line => {
                if self.count == 1 {
                    out.time_header(if self.names_logs { "LOG  DATA" } else { "DATA" })?;
                }
                let time = when::show(event.position.offset, &self.session.zone);
                let start = if self.names_logs { format!("{time}  {}", event.log) } else { time };
                out.line(&start, &event_line(event))
            }
            Style::Row => self.table.push(&JsonEvent::from(event), Vec::new),
            Style::JsonData => self.table.push_json(json_data::line(event)),
            Style::Raw(delimiter) => {
                out.bytes(&event.record.data)?;
                out.write(delimiter.as_bytes())
            }
            Style::Template(template) => {
                self.formatted.clear();
                template.write(event, &mut self.formatted);
                out.bytes(&self.formatted)
            }
            Style::Count => Ok(()),
        }
    }

    /// Returns the number of events so far.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Writes the rest and flushes.
    pub(super) fn finish(self) -> Result<(), Failure> {
        match self.style {
            Style::Count => {
                self.session.out.write(format!("{}\n", self.count).as_bytes())?;
                self.session.out.flush()
            }
            _ => self.table.finish(),
        }
    }
}

/// Formats an event as one line: its data, then its metadata.
pub(in crate::cli) fn event_line(event: &Event) -> String {
    let mut line = sanitize_bytes(&event.record.data).into_owned();
    let metadata = template::all_metadata(&event.record.metadata, "  ");
    if !line.is_empty() && !metadata.is_empty() {
        line.push_str("  ");
    }
    line + &metadata
}
