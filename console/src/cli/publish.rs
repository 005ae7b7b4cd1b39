//! `pub`: writes events and waits until the archive has them.

use std::{ffi::OsString, path::Path};

use clap::Args;
use hourlog::{Error, ErrorKind, Events, Log, LogId, Record, wire::AppendReply};

use crate::{
    exit::Failure,
    output::{Column, Side, counted},
    session::Session,
    when::Moment,
};

use super::lines::{Input, without_line_end};

/// Write an event; print its position once the archive has it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog pub orders.eu '{\"id\":7}' -H kind:paid -H kind:twice
  hourlog pub photos.door @door.jpg -H Content-Type:image/jpeg
  hourlog pub weather.bergen rain --at 'yesterday 9:00'
  tail -F app.log | hourlog pub app.lines - --lines")]
pub(super) struct Publish {
    /// The log; it comes to be with its first event
    log: LogId,
    /// The data; - reads standard input, @FILE a file [default: no data]
    data: Option<OsString>,
    /// Metadata; given again for more names, or for more values of one
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE", value_parser = parse_header)]
    headers: Vec<(String, String)>,
    /// The event's own time [default: its arrival]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<String>,
    /// Each line of the input is an event
    #[arg(long, requires = "data")]
    lines: bool,
}

/// The lines that are written at once: they share one trip to the disk.
const LINES_AT_ONCE: usize = 1_000;

const COLUMNS: [Column; 3] = [Column("position", Side::Left), Column("log", Side::Left), Column("time", Side::Left)];

fn parse_header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err("write NAME:VALUE, such as kind:paid".to_owned()),
    }
}

impl Publish {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut blank = Record::default();
        for (name, value) in &self.headers {
            blank = blank.with(name, value);
        }
        match self.at.as_deref().map(|text| session.moment("--at", text)).transpose()? {
            Some(Moment::At(offset)) => blank = blank.at(offset),
            Some(_) => {
                return Err(Failure::usage(
                    "--at: an event has a time of its own; write 2018-02-04T21:56:42Z or '2h ago'",
                ));
            }
            None => {}
        }
        let input = self.input();
        if self.lines {
            let input = input.ok_or_else(|| Failure::usage("--lines: give - or @FILE to read lines from"))?;
            return write_lines(session, &self.log, &input, &blank).await;
        }
        let remote = session.open().await?.remote;
        let data = match (input, self.data) {
            (Some(input), _) => input.all(remote.event_bytes_max()).await?,
            (None, Some(text)) => text.into_encoded_bytes(),
            (None, None) => Vec::new(),
        };
        let reply = remote.append(&self.log, Record { data: data.into(), ..blank }).await?;
        if reply.duplicate {
            session.out.note("an event with this message id is there already; this is its position");
        }
        let mut rows = session.out.rows(&COLUMNS);
        rows.push(&reply, || vec![reply.position.to_string(), reply.log.clone(), session.time_cell(Some(reply.time))])?;
        rows.finish()
    }

    /// Where the data is to be read, unless it stands on the command line.
    fn input(&self) -> Option<Input> {
        let data = self.data.as_ref()?;
        if data == "-" {
            return Some(Input::Stdin);
        }
        let path = data.to_str()?.strip_prefix('@')?;
        Some(Input::File(Path::new(path).to_owned()))
    }
}

/// Writes each line as an event, as many at once as have come.
async fn write_lines(session: &Session, log: &LogId, input: &Input, blank: &Record) -> Result<(), Failure> {
    let mut lines = input.lines()?;
    let remote = session.open().await?.remote;
    let mut log = remote.log(log).await?;
    let mut rows = session.out.rows(&COLUMNS);
    let mut count = 0_u64;
    while let Some(records) = next_lines(&mut lines, blank).await? {
        let positions = log.write_many(records).await.map_err(|error| after_lines(error, count))?;
        for position in positions {
            count += 1;
            let reply = AppendReply { log: log.id().to_string(), position, time: position.offset, duplicate: false };
            rows.push(&reply, || {
                vec![position.to_string(), reply.log.clone(), session.time_cell(Some(position.offset))]
            })?;
        }
        session.out.flush()?;
        session.resume_with(format!("{} archived", counted(count, "line")));
    }
    rows.finish()?;
    session.out.note(&format!("{} written to {}", counted(count, "event"), log.id()));
    Ok(())
}

/// At least one line, and those behind it that wait already; `None` at the end.
async fn next_lines(lines: &mut super::lines::Lines, blank: &Record) -> Result<Option<Vec<Record>>, Failure> {
    let record = |line: Vec<u8>| Record { data: without_line_end(&line).into(), ..blank.clone() };
    let Some(first) = lines.next().await? else { return Ok(None) };
    let mut records = vec![record(first)];
    while records.len() < LINES_AT_ONCE {
        match lines.waiting()? {
            Some(line) => records.push(record(line)),
            None => break,
        }
    }
    Ok(Some(records))
}

fn after_lines(error: Error, count: u64) -> Error {
    let kind: ErrorKind = error.kind();
    Error::new(kind, format!("{error}; {} before were archived", counted(count, "line"))).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_a_value() {
        let header = |text| parse_header(text).map_err(|_| ());
        assert_eq!(header("kind: paid"), Ok(("kind".to_owned(), "paid".to_owned())));
        assert_eq!(header("at:10:30"), Ok(("at".to_owned(), "10:30".to_owned())));
        assert_eq!(header("empty:"), Ok(("empty".to_owned(), String::new())));
        assert!(header("kind").is_err() && header(":x").is_err());
    }
}
