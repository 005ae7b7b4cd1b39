//! `pub`: writes events, and waits until they are archived.

mod batch;
mod lines;
mod outcome;

use std::{
    ffi::OsString,
    fs::File,
    io::{self, IsTerminal},
    num::NonZeroU32,
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, MetadataExt},
    },
    path::Path,
    time::Duration,
};

use clap::Args;
use hourlog::{Error, LogId, Record, header, remote::new_message_id, wire::AppendReply};

use crate::{
    exit::Failure,
    output::{Align, TableColumn},
    session::Session,
    shell::quoted,
    when::Moment,
};

use self::lines::LineOptions;
use super::input::{FileOrStdin, without_line_break};

/// Write an event and print its position once it is archived
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog pub orders.eu '{\"id\":7}' -H kind:paid -H kind:twice
  echo hello | hourlog pub greetings
  hourlog pub photos.door @door.jpg -H Content-Type:image/jpeg
  hourlog pub weather.bergen rain --at 'yesterday 9:00'
  hourlog pub orders.eu '{\"id\":8}' --id order-8
  hourlog pub backup.done ''
  tail -F app.log | hourlog pub app.lines --lines --keep-going
  hourlog pub load.test @requests.txt --lines --rate 200

Without DATA, standard input is read unless it is a terminal. One line of text loses its line break; anything
else, and everything that - and @FILE read, is kept byte for byte. An empty input is refused: '' writes an event
without data, and so does /dev/null as the input.

The command sends the event again if it does not know what has become of it, with one message id, so it is stored
once. If it ends without knowing, it says so, and gives the id with which it can be run again.")]
pub(super) struct Publish {
    /// Log id, such as orders.eu or dev.4c:65:a8; the first event creates the log
    log: LogId,
    /// Data of the event; - reads standard input, @FILE reads a file [default: standard input, unless it is a
    /// terminal]
    data: Option<OsString>,
    /// Metadata, such as kind:paid; repeat it for more names, or for more values of a name
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE", value_parser = parse_header)]
    headers: Vec<(String, String)>,
    /// Time of the event [default: its arrival time]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<String>,
    /// Message id: within 2 minutes, the same event with the same id is stored once. With --lines, each line has
    /// ID-1, ID-2 and so on [default: a new one]
    #[arg(long, value_name = "ID", value_parser = parse_id)]
    id: Option<String>,
    /// Write each line of the input as one event, in order
    #[arg(long)]
    lines: bool,
    /// Pass over lines that are too large, name them on stderr, and exit with 8 at the end
    #[arg(long, requires = "lines")]
    keep_going: bool,
    /// Write at most this many events a second
    #[arg(long, value_name = "N", requires = "lines")]
    rate: Option<NonZeroU32>,
}

/// Time after which a user is told that standard input is awaited.
const INPUT_NOTE_AFTER: Duration = Duration::from_secs(2);

const COLUMNS: [TableColumn; 3] =
    [TableColumn("position", Align::Left), TableColumn("log", Align::Id), TableColumn("time", Align::Time)];

/// The message id of an event: the same for all attempts to write it.
#[derive(Debug, Clone)]
enum MessageId {
    /// The user's own, which is stored with the event.
    Own(String),
    /// A new one, which is not.
    New(String),
}

impl MessageId {
    fn text(&self) -> &str {
        match self {
            Self::Own(id) | Self::New(id) => id,
        }
    }

    /// Returns `record` with this id.
    fn record(&self, record: Record) -> Record {
        let has_stored_id = record.metadata.get_any_case(header::STORED_MSG_ID).next().is_some();
        let record = record.with(header::MSG_ID, self.text());
        match self {
            Self::New(_) if !has_stored_id => record.with(header::STORED_MSG_ID, ""),
            _ => record,
        }
    }
}

/// The source of the data.
#[derive(Debug)]
enum Source {
    /// The command line.
    Text(Vec<u8>),
    /// An input that the user named.
    Named(FileOrStdin),
    /// Standard input, because there is nothing else.
    Piped,
    /// Nothing: an event without data.
    Nothing,
}

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
        let source = source(self.data);
        if self.lines {
            let input = match source {
                Source::Named(input) => input,
                Source::Piped => FileOrStdin::Stdin,
                Source::Text(_) | Source::Nothing => {
                    return Err(Failure::usage(
                        "--lines: there is no input to read; pipe one in, or give - or @FILE as the data",
                    ));
                }
            };
            let Some(id) = message_id(self.id, &template)? else {
                return Err(Failure::usage("-H Nats-Msg-Id: each line needs an id of its own; give --id"));
            };
            let (log, rate, keep_going) = (self.log, self.rate, self.keep_going);
            return lines::write_lines(session, &input, LineOptions { log, template, id, rate, keep_going }).await;
        }
        let id = message_id(self.id, &template)?;
        let remote = session.open().await?.remote;
        let data = match source {
            Source::Text(text) => text,
            Source::Named(input) => input.read_to_end(remote.event_bytes_max()).await?,
            Source::Piped => piped(session, remote.event_bytes_max()).await?,
            Source::Nothing => Vec::new(),
        };
        let again = again(&id, &template);
        let record = Record { data: data.into(), ..template };
        let record = match &id {
            Some(id) => id.record(record),
            None => record,
        };
        let appended = remote.append(&self.log, record).await;
        let mut reply = appended.map_err(|error| outcome::of_event(error, &again))?;
        // Then it is an earlier attempt of this command.
        reply.duplicate &= !matches!(id, Some(MessageId::New(_)));
        if reply.duplicate {
            session.out.note("an event with this message id exists already; this is its position");
        }
        let mut table = session.out.table(&COLUMNS);
        table.push(&reply, || cells(session, &reply))?;
        table.finish()
    }
}

/// Returns the message id of `--id`, or a new one. A header of the template has one already: then `None`.
fn message_id(own: Option<String>, template: &Record) -> Result<Option<MessageId>, Failure> {
    let has_id = template.metadata.get_any_case(header::MSG_ID).next().is_some();
    match (own, has_id) {
        (Some(_), true) => Err(Failure::usage("--id and -H Nats-Msg-Id are the same; give one of them")),
        (Some(id), false) => Ok(Some(MessageId::Own(id))),
        (None, true) => Ok(None),
        (None, false) => Ok(Some(MessageId::New(new_message_id()))),
    }
}

/// Returns the arguments that make the same command store the same event once.
fn again(id: &Option<MessageId>, template: &Record) -> String {
    let id = id.as_ref().map_or_else(|| "the same Nats-Msg-Id".to_owned(), |id| format!("--id {}", quoted(id.text())));
    // A time such as `1h ago` would be another one by then.
    template.time.map_or_else(|| id.clone(), |time| format!("{id} --at {time}"))
}

/// Returns the source of the data that the user gave, or did not give.
fn source(data: Option<OsString>) -> Source {
    match data {
        Some(data) if data == "-" => Source::Named(FileOrStdin::Stdin),
        Some(data) => match data.to_str().and_then(|data| data.strip_prefix('@')) {
            Some(path) => Source::Named(FileOrStdin::File(Path::new(path).to_owned())),
            None => Source::Text(data.into_encoded_bytes()),
        },
        None if io::stdin().is_terminal() || is_null(&io::stdin()) => Source::Nothing,
        None => Source::Piped,
    }
}

/// True if `input` is `/dev/null`, which services, `ssh -n` and `nohup` give to a process without input.
fn is_null(input: &impl AsFd) -> bool {
    let input = input.as_fd().try_clone_to_owned().and_then(|input| File::from(input).metadata());
    let null = std::fs::metadata("/dev/null");
    match (input, null) {
        (Ok(input), Ok(null)) => input.file_type().is_char_device() && input.rdev() == null.rdev(),
        _ => false,
    }
}

/// Reads standard input, which the user has not named.
async fn piped(session: &Session, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let mut read = std::pin::pin!(FileOrStdin::Stdin.read_to_end(bytes_max));
    let bytes = tokio::select! {
        biased;
        bytes = &mut read => bytes?,
        () = tokio::time::sleep(INPUT_NOTE_AFTER) => {
            session.out.note("reading the data from standard input until its end; to write an event without data, give ''");
            read.await?
        }
    };
    match bytes.is_empty() {
        true => Err(Failure::usage("standard input is empty; to write an event without data, give '' as the data")),
        false => Ok(line_or_bytes(bytes)),
    }
}

/// Returns one line of text without its line break, and any other input as it is.
fn line_or_bytes(mut bytes: Vec<u8>) -> Vec<u8> {
    let line = without_line_break(&bytes);
    if !line.contains(&b'\n') && std::str::from_utf8(line).is_ok() {
        bytes.truncate(line.len());
    }
    bytes
}

fn cells(session: &Session, reply: &AppendReply) -> Vec<String> {
    vec![reply.position.to_string(), reply.log.to_string(), session.time_cell(Some(reply.time))]
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err("write NAME:VALUE, such as kind:paid".to_owned()),
    }
}

fn parse_id(text: &str) -> Result<String, Error> {
    if text.is_empty() || text.trim() != text || text.contains(['\r', '\n']) {
        return Err(Error::invalid("an id is one line of text without blanks around it, such as order-8"));
    }
    Ok(text.to_owned())
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

    #[test]
    fn one_line_of_text_loses_its_line_break_and_nothing_else_changes() {
        for (input, data) in [
            (&b"hello\n"[..], &b"hello"[..]),
            (b"hello\r\n", b"hello"),
            (b"hello", b"hello"),
            (b"a\nb\n", b"a\nb\n"),
            (b"\n", b""),
            (b"\n\n", b"\n\n"),
            (b"\xff\xd8 photo \n", b"\xff\xd8 photo \n"),
            (b" indented \n", b" indented "),
        ] {
            assert_eq!(line_or_bytes(input.to_vec()), data, "{input:?}");
        }
    }

    #[test]
    fn the_device_without_data_is_recognised() {
        assert!(is_null(&File::open("/dev/null").expect("every system has it")));
        assert!(!is_null(&File::open("/dev/zero").expect("every system has it")));
        assert!(!is_null(&tempfile::tempfile().expect("a file can be created")));
    }
}
