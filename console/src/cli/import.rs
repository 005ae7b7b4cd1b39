//! `import`: writes the events of files to logs. Importing the same lines twice adds nothing.
//!
//! `items` reads the lines of a file (`compression`, `values`), `reading` makes events of a line by its `format`, `line`
//! checks them, `source` tells the files apart, `plan` numbers them, and `rejects` keeps bad lines. `archiving` decides how
//! long to wait for the archive, `service` asks it, and `report` says what has become of the events. This file publishes
//! and shows progress.

mod archiving;
mod compression;
mod draft;
mod format;
mod items;
mod kafka;
mod line;
mod mapping;
mod native;
mod object;
mod otlp;
mod plan;
mod reading;
mod rejects;
mod report;
mod service;
mod source;
mod time;
mod values;

use std::path::PathBuf;

use clap::Args;
use hourlog::{Error, ErrorKind, LogId, header, wire::ReceiptToken};
use indicatif::ProgressBar;

use crate::{
    cli::input::FileOrStdin,
    exit::Failure,
    output::{Align, Format, TableColumn, counted, human_count},
    progress::{Templates, progress_bar},
    publisher::{Message, Publisher, StreamMessage},
    session::Session,
};

use self::{
    items::Items,
    line::Limits,
    plan::{Plan, is_bad_line, stopped_at_line},
    reading::ReadingFlags,
    rejects::Rejects,
    report::{MessageLines, Report},
    service::Service,
    source::{Source, SourceName},
};

/// Import events from files: JSON lines such as those that export writes, or other formats
///
/// Importing the same lines twice adds nothing. Files may be compressed (gzip, zstd). An array or indented JSON is
/// read value by value.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog import examples/quakes.jsonl
  hourlog export orders.eu | hourlog import - --log orders.copy
  echo '{\"log\":\"weather.bergen\",\"time\":\"2018-02-04T21:56:42Z\",\"data\":\"rain\"}' | hourlog import -
  hourlog import app.jsonl --log app --time-field ts --data msg --metadata level
  journalctl -o json | hourlog import - --log journal --format journald
  hourlog import /var/log/dpkg.log --log dpkg --format text --tz Europe/Oslo

Fields of a line: log, time, and optionally metadata and data (or data_base64). offset, in nanoseconds,
may replace time, or must agree with it. The other fields that export writes (seq, position, arrived)
are ignored. docs/import.md has a line for each other format.

At the end, the service says how many events were new, how many were there already, and how many it has rejected. In a
pipe, or with -o json, these numbers also go to standard output. The exit code is 8 if one was rejected, and 6 if the
service has lost count of some. A user who may only publish gets 0 and is told what could not be asked.

Equal lines of two sources are two events, and each source twice adds nothing. A line that was stored without a source,
such as one of an earlier version, counts for every source. An export keeps the sources of its events.")]
pub(super) struct Import {
    /// File to read; - reads standard input
    file: PathBuf,
    /// Log to write to [default: the log that each line names]
    #[arg(long, value_name = "ID")]
    log: Option<LogId>,
    /// Name of the source, kept as Hourlog-Source: equal lines of two sources are two events [default: the
    /// file's name; none for standard input]
    #[arg(long, value_name = "NAME")]
    source: Option<SourceName>,
    #[command(flatten)]
    reading: ReadingFlags,
    /// Pass over lines that cannot be imported, write them to a file with their reasons, and exit with 8
    #[arg(long)]
    keep_going: bool,
    /// File for the lines that --keep-going passes over [default: FILE.rejects.jsonl]
    #[arg(long, value_name = "FILE", requires = "keep_going")]
    rejects: Option<PathBuf>,
}

const PROGRESS: Templates =
    Templates { bar: "{bar:40} {percent:>3}%  {msg} events  {eta} left", spinner: "{spinner} {msg} events" };
/// Lines between two updates of the event count on the progress bar.
const LINES_PER_UPDATE: u64 = 256;

const COLUMNS: [TableColumn; 6] = [
    TableColumn("events", Align::Right),
    TableColumn("logs", Align::Right),
    TableColumn("new", Align::Right),
    TableColumn("known", Align::Right),
    TableColumn("rejected", Align::Right),
    TableColumn("unknown", Align::Right),
];

impl Import {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let input = FileOrStdin::from(self.file.as_path());
        let name = input.name();
        let source = Source::new(self.source, &input)?;
        let are_lines = self.reading.is_text();
        let reading = self.reading.reading(session.named_zone.clone())?;
        let mut rejects = match self.keep_going {
            true => Some(Rejects::new(self.rejects, &input)?),
            false => None,
        };
        let mut items = Items::open(&input, are_lines)?;
        let connection = session.open().await?;
        let remote = connection.remote;
        let bar = progress_bar(&session.out, input.bytes(), PROGRESS).with_message("0");
        let publisher = Publisher::new(&session.connect, session.denials.clone(), connection.server);
        let mut plan = Plan::new(reading, self.log, source);
        let mut number = 0_u64;
        let (service, ahead_nanos) = Service::open(session).await?;
        let mut sender = Sender { publisher, token: nuid::next().parse()?, lines: MessageLines::default() };
        loop {
            let item = match items.next().await {
                Ok(Some(item)) => item,
                Ok(None) => break,
                Err(failure) => {
                    bar.finish_and_clear();
                    tell_rejects(session, &mut rejects);
                    sender.publisher.finish().await?;
                    return Err(failure);
                }
            };
            number += 1;
            let now = session.now().saturating_add_nanos(ahead_nanos);
            let limits = Limits { now, event_bytes_max: remote.event_bytes_max() };
            let sent = match (plan.messages(&item, limits), &mut rejects) {
                (Ok(messages), _) => sender.send_all(messages, item.line).await,
                (Err(error), Some(rejects)) if is_bad_line(&error) => {
                    rejects.add(&item, &error)?;
                    Ok(())
                }
                (Err(error), _) => Err(error),
            };
            if let Err(error) = sent {
                bar.finish_and_clear();
                tell_rejects(session, &mut rejects);
                // The lines before a bad one are imported, the lines after it are not.
                sender.publisher.finish().await?;
                return Err(stopped_at_line(error, &name, item.line, sender.publisher.acked()).into());
            }
            bar.set_position(items.bytes_read());
            if number.is_multiple_of(LINES_PER_UPDATE) {
                bar.set_message(human_count(sender.publisher.acked()));
                session.resume_with(resume_hint(sender.publisher.acked()));
            }
        }
        sender.publisher.finish().await?;
        session.resume_with(resume_hint(sender.publisher.acked()));
        bar.set_message(human_count(sender.publisher.acked()));
        let mut report = Report::sent(&sender.lines, plan.logs().len() as u64);
        if let Some(last) = sender.publisher.newest() {
            ask(&service, &sender, last, &bar, &mut report).await?;
        }
        bar.finish_and_clear();
        if plan.lacks_trailer() {
            session.out.note(&format!("{name} has no trailer line; the export may be incomplete"));
        }
        session.out.note(&report.sentence());
        // On a terminal, the sentence says it all.
        if session.out.format() != Format::Table {
            let mut table = session.out.table(&COLUMNS);
            table.push(&report, Vec::new)?;
            table.finish()?;
        }
        let bad_lines = rejects.map_or(Ok(()), |mut rejects| rejects.finish());
        let Some(error) = report.error(&name) else { return bad_lines };
        if let Err(Failure::Log(bad_lines)) = bad_lines {
            session.out.error(&bad_lines.to_string());
        }
        Err(error.into())
    }
}

/// Publishes the messages of a receipt.
struct Sender<'a> {
    publisher: Publisher<'a>,
    token: ReceiptToken,
    lines: MessageLines,
}

impl Sender<'_> {
    /// Publishes the messages of a line.
    async fn send_all(&mut self, messages: Vec<Message>, line: u64) -> Result<(), Error> {
        for mut message in messages {
            message.headers.insert(header::RECEIPT, self.token.header(self.lines.add(line)));
            self.publisher.send(message).await?;
        }
        Ok(())
    }
}

/// Asks the service what has become of the events, once the stream's message `last` is archived.
async fn ask(
    service: &Service,
    sender: &Sender<'_>,
    last: &StreamMessage,
    bar: &ProgressBar,
    report: &mut Report,
) -> Result<(), Failure> {
    match service.wait_until_archived(last, bar).await {
        Ok(()) => report.archived = true,
        Err(error) if error.kind() == ErrorKind::NotAllowed => {
            report.could_not_ask(&error);
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    }
    match service.receipt(&sender.token).await {
        Ok(receipt) => report.add(receipt, &sender.lines),
        // The service has forgotten it: nothing is known.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) if error.kind() == ErrorKind::NotAllowed => report.could_not_ask(&error),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Tells the user of the rejected lines so far, because the import ends early.
fn tell_rejects(session: &Session, rejects: &mut Option<Rejects>) {
    if let Some(Err(Failure::Log(so_far))) = rejects.as_mut().map(Rejects::finish) {
        session.out.note(&so_far.to_string());
    }
}

fn resume_hint(sent: u64) -> String {
    format!("{} sent; import again to continue, nothing is added twice", counted(sent, "event"))
}
