//! `pub`: writes events, and waits until they are archived.

use std::{ffi::OsString, path::Path};

use clap::Args;
use hourlog::{Error, Events, Log, LogId, Record, wire::AppendReply};

use crate::{
    exit::Failure,
    output::{Align, TableColumn, counted},
    session::Session,
    when::Moment,
};

use super::input::{FileOrStdin, Lines, without_line_break};

/// Write an event and print its position once it is archived
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog pub orders.eu '{\"id\":7}' -H kind:paid -H kind:twice
  hourlog pub photos.door @door.jpg -H Content-Type:image/jpeg
  hourlog pub weather.bergen rain --at 'yesterday 9:00'
  tail -F app.log | hourlog pub app.lines - --lines")]
pub(super) struct Publish {
    /// Log id, such as orders.eu or dev.4c:65:a8; the first event creates the log
    log: LogId,
    /// Data of the event; - reads standard input, @FILE reads a file [default: no data]
    data: Option<OsString>,
    /// Metadata, such as kind:paid; repeat it for more names, or for more values of a name
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE", value_parser = parse_header)]
    headers: Vec<(String, String)>,
    /// Time of the event [default: its arrival time]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<String>,
    /// Write each line of the input as one event
    #[arg(long, requires = "data")]
    lines: bool,
}

/// The most lines in one write. They share one disk sync.
const LINES_PER_WRITE_MAX: usize = 1_000;

const COLUMNS: [TableColumn; 3] =
    [TableColumn("position", Align::Left), TableColumn("log", Align::Left), TableColumn("time", Align::Left)];

impl Publish {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut template = Record::default();
        for (name, value) in &self.headers {
            template = template.with(name, value);
        }
        match session.moment("--at", self.at.as_deref()).await? {
            Some(Moment::At(offset)) => template = template.at(offset),
            Some(_) => {
                return Err(Failure::usage(
                    "--at: first, last and end are not the time of an event; write 2018-02-04T21:56:42Z or '2h ago'",
                ));
            }
            None => {}
        }
        let input = self.input();
        if self.lines {
            let input = input
                .ok_or_else(|| Failure::usage("--lines: there is no input to read; give - or @FILE as the data"))?;
            return write_lines(session, &self.log, &input, &template).await;
        }
        let remote = session.open().await?.remote;
        let data = match (input, self.data) {
            (Some(input), _) => input.read_to_end(remote.event_bytes_max()).await?,
            (None, Some(text)) => text.into_encoded_bytes(),
            (None, None) => Vec::new(),
        };
        let reply = remote.append(&self.log, Record { data: data.into(), ..template }).await?;
        if reply.duplicate {
            session.out.note("an event with this message id exists already; this is its position");
        }
        let mut table = session.out.table(&COLUMNS);
        table.push(&reply, || cells(session, &reply))?;
        table.finish()
    }

    /// Returns the input to read, unless the data is on the command line.
    fn input(&self) -> Option<FileOrStdin> {
        let data = self.data.as_ref()?;
        if data == "-" {
            return Some(FileOrStdin::Stdin);
        }
        let path = data.to_str()?.strip_prefix('@')?;
        Some(FileOrStdin::File(Path::new(path).to_owned()))
    }
}

/// Writes each line as an event. Lines that are ready at the same time share a write.
async fn write_lines(session: &Session, log: &LogId, input: &FileOrStdin, template: &Record) -> Result<(), Failure> {
    let mut lines = input.lines()?;
    let remote = session.open().await?.remote;
    let mut log = remote.log(log).await?;
    let mut table = session.out.table(&COLUMNS);
    let mut count = 0_u64;
    while let Some(records) = next_lines(&mut lines, template).await? {
        let positions = log.write_many(records).await.map_err(|error| with_archived_lines(error, count))?;
        for position in positions {
            count += 1;
            let reply = AppendReply { log: log.id().clone(), position, time: position.offset, duplicate: false };
            table.push(&reply, || cells(session, &reply))?;
        }
        session.out.flush()?;
        session.resume_with(format!("{} archived in {}", counted(count, "event"), log.id()));
    }
    table.finish()?;
    session.out.note(&format!("{} archived in {}", counted(count, "event"), log.id()));
    Ok(())
}

/// Waits for a line, and takes those after it that are ready. Returns `None` at the end.
async fn next_lines(lines: &mut Lines, template: &Record) -> Result<Option<Vec<Record>>, Failure> {
    let record = |line: Vec<u8>| Record { data: without_line_break(&line).into(), ..template.clone() };
    let Some(first) = lines.next().await? else { return Ok(None) };
    let mut records = vec![record(first)];
    while records.len() < LINES_PER_WRITE_MAX {
        match lines.try_next()? {
            Some(line) => records.push(record(line)),
            None => break,
        }
    }
    Ok(Some(records))
}

fn cells(session: &Session, reply: &AppendReply) -> Vec<String> {
    vec![reply.position.to_string(), reply.log.to_string(), session.time_cell(Some(reply.time))]
}

fn with_archived_lines(error: Error, count: u64) -> Error {
    Error::new(error.kind(), format!("{error}; {} archived before it", counted(count, "line"))).because(error)
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err("write NAME:VALUE, such as kind:paid".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_parsed_into_name_and_value() {
        let header = |text| parse_header(text).map_err(|_| ());
        assert_eq!(header("kind: paid"), Ok(("kind".to_owned(), "paid".to_owned())));
        assert_eq!(header("at:10:30"), Ok(("at".to_owned(), "10:30".to_owned())));
        assert_eq!(header("empty:"), Ok(("empty".to_owned(), String::new())));
        assert!(header("kind").is_err() && header(":x").is_err());
    }
}
