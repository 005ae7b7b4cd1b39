//! `pub --lines`: each line is an event, stored once and in order, whatever dies meanwhile.
//!
//! The first line is appended: so the service has accepted one, and its position is known. The others are
//! published over connections that keep their order, each with a message id of its own, and their positions
//! are read back.

use std::{num::NonZeroU32, time::Duration};

use async_nats::HeaderMap;
use hourlog::{
    Error, ErrorKind, Event, LogId, Position, Record, Remote, Sent, header,
    nats::Backoff,
    remote::{Arrivals, header_map},
    wire::{self, AppendReply},
};
use tokio::time::Instant;

use crate::{
    cli::input::FileOrStdin,
    connect::Denials,
    exit::Failure,
    output::{Format, TableWriter, counted},
    publisher::{Message, Publisher},
    rate::Rate,
    session::Session,
};

use super::{
    COLUMNS, MessageId,
    batch::{Batches, Next, NumberedRecord},
    cells,
    outcome::{InStream, LineCounts},
};

/// The longest time in which the service does not answer about lines that the stream has.
const SILENT_MAX: Duration = Duration::from_secs(60);
/// Time in which the stream knows the ids of all lines. It forgets one two minutes after its line.
const REPEATABLE_FOR: Duration = Duration::from_secs(60);
/// The first and the longest pause between two questions.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// The options of `pub --lines`.
#[derive(Debug)]
pub(super) struct LineOptions {
    pub(super) log: LogId,
    pub(super) template: Record,
    /// The id of the input. Each line has its own, made of this and its number.
    pub(super) id: MessageId,
    pub(super) rate: Option<NonZeroU32>,
    pub(super) keep_going: bool,
}

/// Writes each line of `input` as an event. Lines that are ready at the same time are written together.
pub(super) async fn write_lines(session: &Session, input: &FileOrStdin, options: LineOptions) -> Result<(), Failure> {
    let mut batches = Batches::new(input.lines()?, options.template.clone());
    let mut rate = options.rate.map(Rate::new);
    let (keep_going, log) = (options.keep_going, options.log.clone());
    let connection = session.open().await?;
    let remote = connection.remote.clone();
    let mut writer = LineWriter::new(session, connection.remote, connection.server, options);
    let mut bad = 0_u64;
    loop {
        match batches.next(rate.as_mut(), |record| remote.check_size(record)).await? {
            Next::Lines(batch) => writer.write(batch).await?,
            Next::Bad { number, error } => {
                let said = format!("{} line {number}: {error}", input.name());
                if !keep_going {
                    let error = Error::new(error.kind(), said).because(error);
                    return Err(writer.counts.explain(error, repeat_id(writer.begun, &writer.id)).into());
                }
                bad += 1;
                session.out.error(&format!("{said}; passed over"));
            }
            Next::End => break,
        }
    }
    let archived = format!("{} archived in {log}", counted(writer.counts.archived, "event"));
    writer.table.finish()?;
    if bad > 0 {
        let text = format!("{} passed over, {archived}", counted(bad, "bad line"));
        return Err(Error::new(ErrorKind::TooLarge, text).into());
    }
    session.out.note(&archived);
    Ok(())
}

/// Writes batches of lines, and prints the position of each line.
#[derive(Debug)]
struct LineWriter<'a> {
    session: &'a Session,
    remote: Remote,
    log: LogId,
    id: MessageId,
    publisher: Publisher<'a>,
    way: Way,
    counts: LineCounts,
    begun: Instant,
    table: TableWriter<'a>,
}

/// The way to write a line.
#[derive(Debug)]
enum Way {
    /// No line is written yet: append one.
    First,
    /// The event at this position was appended. The next lines need a reader that begins after it.
    After(Position),
    /// Publish, and read the positions back.
    Publish(Box<Arrivals>),
    /// This user may not read the log: append each line.
    Append,
}

impl<'a> LineWriter<'a> {
    fn new(session: &'a Session, remote: Remote, server: String, options: LineOptions) -> Self {
        let LineOptions { log, id, .. } = options;
        let (publisher, table) =
            (Publisher::new(&session.connect, session.denials.clone(), server), session.out.table(&COLUMNS));
        let (way, counts, begun) = (Way::First, LineCounts::default(), Instant::now());
        Self { session, remote, log, id, publisher, way, counts, begun, table }
    }

    /// Writes the lines in order, and waits until they are archived.
    async fn write(&mut self, batch: Vec<NumberedRecord>) -> Result<(), Failure> {
        self.promise(batch.len());
        let mut rest = Vec::with_capacity(batch.len());
        for line in batch {
            match self.way {
                Way::First | Way::Append => self.append(line).await?,
                Way::After(_) | Way::Publish(_) => rest.push(line),
            }
        }
        self.publish(rest).await?;
        self.session.out.flush()?;
        self.promise(0);
        Ok(())
    }

    /// Tells a user who stops the command what is known, while `sent` lines are under way.
    fn promise(&self, sent: usize) {
        let archived = format!("{} archived in {}", counted(self.counts.archived, "event"), self.log);
        self.session.resume_with(match sent {
            0 => archived,
            sent => format!("{archived}, up to {sent} more may be"),
        });
    }

    async fn append(&mut self, line: NumberedRecord) -> Result<(), Failure> {
        let id = self.id.of_line(line.number);
        let appended = self.remote.append(&self.log, id.record(line.record)).await;
        let mut reply = appended.map_err(|error| {
            let (counts, id) = (&self.counts, repeat_id(self.begun, &self.id));
            match error.sent() {
                Some(Sent::InStream { stream, sequence }) => {
                    let (stream, first) = (stream.to_string(), *sequence);
                    let in_stream = Some(InStream { stream, first, last: first, count: 1 });
                    LineCounts { in_stream, ..counts.clone() }.explain(error, id)
                }
                Some(Sent::Unknown) => LineCounts { in_doubt: 1, ..counts.clone() }.explain(error, id),
                _ => counts.explain(error, id),
            }
        })?;
        // The lines that are published do not tell.
        reply.duplicate = false;
        if matches!(self.way, Way::First) {
            self.way = Way::After(reply.position);
        }
        self.print(&reply)
    }

    async fn publish(&mut self, mut lines: Vec<NumberedRecord>) -> Result<(), Failure> {
        if lines.is_empty() {
            return Ok(());
        }
        if let Way::After(first) = self.way {
            self.way = self.way_after(first).await?;
        }
        let Way::Publish(arrivals) = &mut self.way else {
            for line in lines {
                self.append(line).await?;
            }
            return Ok(());
        };
        let subject = wire::wal_subject(&self.log);
        let mut messages = Vec::with_capacity(lines.len());
        for line in &mut lines {
            let id = self.id.of_line(line.number);
            let headers = id.headers(&self.log, &line.record)?;
            messages.push(Message { subject: subject.clone(), headers, data: line.record.data.clone().into_bytes() });
        }
        let mut sequences = Vec::with_capacity(lines.len());
        let sent = self.publisher.send_all(messages, &mut sequences).await;
        self.counts.in_stream = sequences.iter().min().zip(sequences.iter().max()).map(|(first, last)| {
            let stream = self.publisher.newest().map(|newest| newest.stream.clone()).unwrap_or_default();
            InStream { stream, first: *first, last: *last, count: sequences.len() as u64 }
        });
        self.counts.in_doubt = self.publisher.in_doubt() as u64;
        sent.map_err(|error| self.counts.explain(error, repeat_id(self.begun, &self.id)))?;
        let repeat_id = repeat_id(self.begun, &self.id);
        let events = retried(async || arrivals.events(&sequences).await).await;
        let events = events.map_err(|error| match error.kind() {
            ErrorKind::Rejected => {
                let archived = counted(self.counts.archived, "line");
                let text = format!(
                    "{error}; {archived} archived before, and the other lines of the same batch of {} are in the stream and \
                     will be: read the log to see them",
                    lines.len()
                );
                Error::new(error.kind(), text).with_sent(Sent::Unknown).because(error)
            }
            _ => self.counts.explain(error, repeat_id),
        })?;
        self.counts.in_stream = None;
        for (event, line) in events.iter().zip(&lines) {
            check(event, line)?;
            let (log, position) = (self.log.clone(), event.position);
            self.print(&AppendReply { log, position, time: position.offset, duplicate: false })?;
        }
        Ok(())
    }

    /// Returns the way to write the lines after the first one.
    async fn way_after(&self, first: Position) -> Result<Way, Failure> {
        // A connection of its own, because a denial ends the command on the other one.
        let denials = Denials::default();
        let reader = self.session.connect.open(denials.clone()).await?.remote;
        let subject = reader.subjects().replay(&self.log);
        let begun = retried(async || denials.unless(Some(&subject), Arrivals::after(&reader, &self.log, first)).await);
        match begun.await {
            Ok(arrivals) => Ok(Way::Publish(Box::new(arrivals))),
            Err(error) if error.kind() == ErrorKind::NotAllowed => {
                self.session.out.note(&format!("each line is sent alone, which is slower: {error}"));
                Ok(Way::Append)
            }
            Err(error) => Err(self.counts.explain(error, repeat_id(self.begun, &self.id)).into()),
        }
    }

    fn print(&mut self, reply: &AppendReply) -> Result<(), Failure> {
        self.counts.archived += 1;
        // A table is kept in memory until its end, and lines may have none.
        if self.session.out.format() == Format::Table {
            let time = self.session.time_cell(Some(reply.time));
            return self.session.out.line(&time, &reply.position.to_string());
        }
        self.table.push(reply, || cells(self.session, reply))
    }
}

/// Returns the id with which the whole input may be written again, while the stream knows every line by it.
fn repeat_id(begun: Instant, id: &MessageId) -> Option<&str> {
    (begun.elapsed() < REPEATABLE_FOR).then(|| id.text())
}

impl MessageId {
    /// Returns the id of a line.
    fn of_line(&self, number: u64) -> Self {
        match self {
            Self::Own(id) => Self::Own(format!("{id}-{number}")),
            Self::New(id) => Self::New(format!("{id}-{number}")),
        }
    }

    /// Returns the headers with which a record is published to the stream: those that an append would publish.
    fn headers(&self, log: &LogId, record: &Record) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        for (name, values) in header_map(record)?.iter() {
            let name_text: &str = name.as_ref();
            let is_left_out =
                [header::ONCE, header::RECEIPT, wire::WAIT].iter().any(|own| name_text.eq_ignore_ascii_case(own));
            if !is_left_out && !header::is_nats(name_text) {
                values.iter().for_each(|value| headers.append(name.clone(), value.clone()));
            }
        }
        // The stream compares the ids of all logs.
        headers.insert(header::MSG_ID, format!("{log}:{}", self.text()));
        if record.metadata.get_any_case(header::STORED_MSG_ID).next().is_none() {
            headers.insert(header::STORED_MSG_ID, if let Self::Own(id) = self { id.as_str() } else { "" });
        }
        Ok(headers)
    }
}

/// Repeats a question during an outage.
async fn retried<T>(mut question: impl AsyncFnMut() -> Result<T, Error>) -> Result<T, Error> {
    let (begun, mut backoff) = (Instant::now(), Backoff::new(RETRY.0, RETRY.1));
    loop {
        match question().await {
            Err(error) if is_passing(&error) && begun.elapsed() < SILENT_MAX => {
                tokio::time::sleep(backoff.next_pause()).await;
            }
            outcome => return outcome,
        }
    }
}

fn is_passing(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Deadline | ErrorKind::Refused)
}

/// Checks that the stream has not used a sequence for another message meanwhile, as a restored one may.
fn check(event: &Event, line: &NumberedRecord) -> Result<(), Error> {
    if event.record.data == line.record.data {
        return Ok(());
    }
    let context = format!(
        "line {} was stored as message {}, but event {} is another one: the stream was restored meanwhile; read the log \
         before you write again",
        line.number,
        event.position.seq.sequence(),
        event.position
    );
    Err(Error::new(ErrorKind::Integrity, context))
}
