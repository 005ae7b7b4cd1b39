//! `import`: JSON lines into logs, each event at its own time. Twice adds nothing.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use hourlog::{
    Error, ErrorKind, LogId, Metadata, Offset, Record, Remote, header, remote,
    wire::{self, LogsRequest, json},
};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, de::IgnoredAny};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::{
    exit::Failure,
    output::{counted, human_count},
    session::Session,
};

use super::{
    lines::{Input, without_line_end},
    publisher::{Message, Publisher},
    trailer::{Sum, Summing},
};

/// Read events from JSON lines, such as export writes; importing twice adds nothing
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog import examples/quakes.jsonl
  hourlog export orders.eu | hourlog import - --log orders.copy
  echo '{\"log\":\"weather.bergen\",\"time\":\"2018-02-04T21:56:42Z\",\"data\":\"rain\"}' | hourlog import -

A line has log, time (or offset, in nanoseconds, which wins), and as it needs them metadata and data or data_base64.
What else export writes (seq, position, arrived) is passed over.")]
pub(super) struct Import {
    /// A file of JSON lines; - reads standard input
    file: PathBuf,
    /// The log to write to, whatever the lines say
    #[arg(long, value_name = "ID")]
    log: Option<LogId>,
}

/// How often a progress bar is drawn.
const DRAWN_EACH: Duration = Duration::from_millis(100);
/// How long the archive may make no progress before it is no longer waited for.
const STALLED_AFTER: Duration = Duration::from_secs(30);

impl Import {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let input = Input::from(self.file.as_path());
        let name = input.name();
        let mut lines = input.lines()?;
        let connection = session.open().await?;
        let remote = connection.remote;
        let bar = bar(session, input.bytes());
        let mut publisher = Publisher::new(remote.client().clone(), connection.server, session.connect.timeout);
        let mut run =
            Run { sum: Summing::default(), equal: HashMap::new(), logs: HashSet::new(), exported: false, whole: true };
        let mut number = 0_u64;
        while let Some(line) = lines.next().await? {
            number += 1;
            let checked = check(&line, self.log.as_ref(), session.now(), remote.event_bytes_max());
            let sent = match checked {
                Err(why) => Err(why.into()),
                Ok(Checked::Blank) => Ok(()),
                Ok(Checked::Trailer(sum)) => run.trailer(&sum),
                Ok(Checked::Event(event)) => {
                    run.exported |= event.exported;
                    run.whole = false;
                    let message = run.message(&line, event);
                    publisher.send(message).await.map_err(Failure::from)
                }
            };
            if let Err(failure) = sent {
                bar.finish_and_clear();
                // What stands before the line is sent as it is; what follows is not.
                publisher.finish().await?;
                return Err(at_line(failure, &name, number, publisher.taken()));
            }
            bar.inc(line.len() as u64);
            if number.is_multiple_of(256) {
                bar.set_message(human_count(publisher.taken()));
                session.resume_with(resume(publisher.taken()));
            }
        }
        publisher.finish().await?;
        session.resume_with(resume(publisher.taken()));
        bar.set_message(human_count(publisher.taken()));
        archived(&remote, run.logs.iter().next(), &bar).await?;
        bar.finish_and_clear();
        if run.exported && !run.whole {
            session
                .out
                .note(&format!("{name} has no last line with a sum: the export of it was not finished, perhaps"));
        }
        let (events, logs) = (counted(publisher.taken(), "event"), counted(run.logs.len() as u64, "log"));
        session.out.note(&format!("imported {events} into {logs}"));
        Ok(())
    }
}

fn resume(taken: u64) -> String {
    format!("{} were sent; import again to go on: what is there is not added twice", counted(taken, "event"))
}

/// Where a bad line is, and how far the import has got.
fn at_line(failure: Failure, name: &str, number: u64, taken: u64) -> Failure {
    match failure {
        Failure::Log(error)
            if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::TooLarge | ErrorKind::Integrity) =>
        {
            let (kind, advice) = match error.kind() {
                ErrorKind::Integrity => (ErrorKind::Integrity, "get the file again"),
                _ => (ErrorKind::Invalid, "correct it"),
            };
            let context = format!(
                "{name} line {number}: {error}; {} before it were sent, nothing behind it: {advice} and import again, what is there \
                 is not added twice",
                counted(taken, "event")
            );
            Failure::Log(Error::new(kind, context))
        }
        failure => failure,
    }
}

fn bar(session: &Session, bytes: Option<u64>) -> ProgressBar {
    if session.out.quiet() {
        return ProgressBar::hidden();
    }
    let bar = match bytes {
        Some(bytes) => {
            let style = "{bar:40} {percent:>3}%  {msg} events  {eta} left";
            ProgressBar::new(bytes)
                .with_style(ProgressStyle::with_template(style).expect("the template is well formed"))
        }
        None => {
            let style = "{spinner} {msg} events";
            ProgressBar::no_length()
                .with_style(ProgressStyle::with_template(style).expect("the template is well formed"))
        }
    };
    bar.set_message("0");
    bar.enable_steady_tick(DRAWN_EACH);
    bar
}

/// Waits until the archive has everything that was published.
async fn archived(remote: &Remote, any_log: Option<&LogId>, bar: &ProgressBar) -> Result<(), Failure> {
    let request = LogsRequest { limit: Some(1), fresh: true, ..LogsRequest::default() };
    let mut lowest = u64::MAX;
    let mut progress = Instant::now();
    loop {
        let error = match remote.logs(&request).await {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Deadline => error,
            Err(error) => return Err(error.into()),
        };
        // It takes its time. Is it getting less?
        let lag = match any_log {
            Some(log) => remote.describe(log).await.map_or(lowest, |known| known.lag),
            None => lowest,
        };
        if lag < lowest {
            (lowest, progress) = (lag, Instant::now());
            bar.set_message(format!("archiving, {} to go of all", human_count(lag)));
        } else if progress.elapsed() > STALLED_AFTER {
            return Err(Error::new(
                ErrorKind::Deadline,
                format!(
                    "all events were sent, but the archive has taken none for {STALLED_AFTER:?}; hourlog doctor says why"
                ),
            )
            .because(error)
            .into());
        }
    }
}

/// What an import remembers from line to line.
struct Run {
    sum: Summing,
    /// How often each event stood in the lines so far, by a hash.
    equal: HashMap<u128, u64>,
    logs: HashSet<LogId>,
    /// Whether the lines are an export's.
    exported: bool,
    /// Whether the last line was a sum.
    whole: bool,
}

impl Run {
    fn message(&mut self, line: &[u8], event: Event) -> Message {
        self.sum.add(line);
        let earlier = self.equal.entry(event.hash()).or_default();
        let mut headers = event.headers;
        headers.insert(header::TIME, event.offset.to_string());
        headers.insert(header::ONCE, earlier.to_string());
        *earlier += 1;
        let subject = wire::wal_subject(&event.log);
        self.logs.insert(event.log);
        Message { subject, headers, data: event.data }
    }

    fn trailer(&mut self, expected: &Sum) -> Result<(), Failure> {
        let found = std::mem::take(&mut self.sum).sum();
        self.whole = true;
        if found == *expected {
            return Ok(());
        }
        let text = if found.events == expected.events {
            format!("the {} lines before it were changed since the export, says their sum", found.events)
        } else {
            format!("{} events stand before it, and {} were exported", found.events, expected.events)
        };
        Err(Error::new(ErrorKind::Integrity, text).into())
    }
}

/// What a line is.
enum Checked {
    Blank,
    Event(Event),
    Trailer(Sum),
}

/// An event that can be published.
struct Event {
    log: LogId,
    offset: Offset,
    headers: async_nats::HeaderMap,
    metadata: Metadata,
    data: Bytes,
    exported: bool,
}

impl Event {
    /// The same for equal events, and for no others.
    fn hash(&self) -> u128 {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(self.log.as_str().as_bytes());
        part(&self.offset.nanos().to_le_bytes());
        part(&self.data);
        for (name, values) in self.metadata.iter() {
            part(name.as_bytes());
            part(&(values.len() as u64).to_le_bytes());
            values.iter().for_each(|value| part(value.as_bytes()));
        }
        let digest = hash.finalize();
        u128::from_le_bytes(std::array::from_fn(|at| digest[at]))
    }
}

/// A line as it may be written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    log: Option<String>,
    offset: Option<Number>,
    time: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, Values>,
    data: Option<String>,
    data_base64: Option<String>,
    position: Option<IgnoredAny>,
    #[serde(rename = "seq")]
    _seq: Option<IgnoredAny>,
    #[serde(rename = "arrived")]
    _arrived: Option<IgnoredAny>,
    trailer: Option<Sum>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Text(String),
    Number(i64),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Many(Vec<String>),
}

/// Looks at a line before anything of it is sent.
fn check(line: &[u8], log: Option<&LogId>, now: Offset, bytes_max: usize) -> Result<Checked, Error> {
    let text = without_line_end(line);
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(Checked::Blank);
    }
    let line: Line =
        serde_json::from_slice(text).map_err(|error| Error::invalid(format!("it is no event: {error}")))?;
    if let Some(sum) = line.trailer {
        return Ok(Checked::Trailer(sum));
    }
    let log = match (log, &line.log) {
        (Some(log), _) => log.clone(),
        (None, Some(log)) => log.parse()?,
        (None, None) => return Err(Error::invalid("it names no log; add \"log\", or give --log")),
    };
    if log.is_system() {
        return Err(Error::invalid(format!("log {log} is the system's own; give --log ID to write it elsewhere")));
    }
    let offset = match (line.offset, line.time) {
        (Some(Number::Number(nanos)), _) => Offset::from_nanos(nanos),
        (Some(Number::Text(nanos)), _) => Offset::from_nanos(nanos.parse().map_err(|_| {
            Error::invalid(format!("offset {:?} is no number of nanoseconds", hourlog::shorten(&nanos)))
        })?),
        (None, Some(time)) => time.parse()?,
        (None, None) => return Err(Error::invalid("it has no time; add \"time\": \"2018-02-04T21:56:42Z\"")),
    };
    let metadata = line.metadata.into_iter().map(|(name, values)| match values {
        Values::One(value) => (name, vec![value]),
        Values::Many(values) => (name, values),
    });
    let record = json::record(metadata.collect(), line.data, line.data_base64)?;
    record.clone().at(offset).take_offset(now).map_err(|error| Error::invalid(error.to_string()))?;
    let Record { metadata, data } = record;
    let headers = remote::header_map(&as_headers(&metadata)?)?;
    let bytes = data.len() + metadata.bytes();
    if bytes > bytes_max {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("it has {bytes} bytes, and this server's messages hold {bytes_max}"),
        ));
    }
    let data = data.into_bytes();
    Ok(Checked::Event(Event { log, offset, headers, metadata, data, exported: line.position.is_some() }))
}

/// The metadata as it has to be sent, to be stored as it stands: the message id under a name by which the stream
/// does not know it.
fn as_headers(metadata: &Metadata) -> Result<Metadata, Error> {
    let mut headers = metadata.clone();
    for value in headers.remove(header::MSG_ID).unwrap_or_default() {
        headers.push(header::STORED_MSG_ID, value);
    }
    let reserved = |name: &str| {
        name.starts_with("Nats-")
            || [header::TIME, header::ONCE].contains(&name)
            || (name == header::STORED_MSG_ID && !metadata.get(name).is_empty())
    };
    if let Some((name, _)) = headers.iter().find(|(name, _)| reserved(name)) {
        return Err(Error::invalid(format!("metadata {name} has a meaning of its own to the server; rename it")));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Offset = Offset::from_nanos(1_600_000_000 * hourlog::SECOND);

    fn checked(line: &str) -> Result<Checked, Error> {
        check(line.as_bytes(), None, NOW, 1_000)
    }

    fn event(line: &str) -> Event {
        match checked(line) {
            Ok(Checked::Event(event)) => event,
            Ok(_) => panic!("{line} is no event"),
            Err(error) => panic!("{line}: {error}"),
        }
    }

    #[test]
    fn lines_of_both_forms_are_taken() {
        let offset_wins = r#"{"log":"a.b","offset":"1517781402123000000","time":"2001-01-01T00:00:00Z","data":"x"}"#;
        assert_eq!(event(offset_wins).offset.to_string(), "2018-02-04T21:56:42.123Z");
        let exported = r#"{"log":"a","position":"-1-5","offset":"-1","seq":"5","time":"1969-12-31T23:59:59.999999999Z","arrived":"2018-02-04T21:56:42Z","metadata":{"k":["1","2"]},"data_base64":"/w=="}"#;
        let exported = event(exported);
        assert_eq!((exported.offset.nanos(), &exported.data[..], exported.exported), (-1, &b"\xff"[..], true));
        assert_eq!(exported.metadata.get("k"), ["1", "2"]);
        let with_id = event(r#"{"log":"a","time":"@1.5","metadata":{"Nats-Msg-Id":"id"}}"#);
        assert!(with_id.headers.get(header::MSG_ID).is_none());
        assert_eq!(with_id.headers.get(header::STORED_MSG_ID).map(|id| id.as_str()), Some("id"));
        assert!(matches!(checked(" \r\n"), Ok(Checked::Blank)));
        assert!(matches!(checked(r#"{"trailer":{"events":1,"sha256":"00"}}"#), Ok(Checked::Trailer(_))));
    }

    #[test]
    fn bad_lines_say_what_is_wrong_with_them() {
        let long = format!(r#"{{"log":"a","time":"@1","data":"{}"}}"#, "x".repeat(1_001));
        for (line, reason) in [
            ("dear diary", "no event"),
            (r#"{"time":"@1","data":""}"#, "--log"),
            (r#"{"log":"a b","time":"@1"}"#, "log id"),
            (r#"{"log":"_rejected","time":"@1"}"#, "--log"),
            (r#"{"log":"a","data":"x"}"#, "no time"),
            (r#"{"log":"a","time":"soon"}"#, "not a time"),
            (r#"{"log":"a","offset":"1e9"}"#, "nanoseconds"),
            (r#"{"log":"a","time":"2100-01-01T00:00:00Z"}"#, "5 minutes"),
            (r#"{"log":"a","time":"@1","data":"x","data_base64":""}"#, "not both"),
            (r#"{"log":"a","time":"@1","data_base64":"?"}"#, "base64"),
            (r#"{"log":"a","time":"@1","datum":"x"}"#, "datum"),
            (r#"{"log":"a","time":"@1","metadata":{"Nats-TTL":"1s"}}"#, "Nats-TTL"),
            (r#"{"log":"a","time":"@1","metadata":{"Hourlog-Once":"1"}}"#, "Hourlog-Once"),
            (r#"{"log":"a","time":"@1","metadata":{"two words":"1"}}"#, "two words"),
            (&long, "1001 bytes"),
        ] {
            let error = checked(line).err().expect(line).to_string();
            assert!(error.contains(reason), "{line}: {error}");
        }
    }

    #[test]
    fn equal_lines_are_numbered_and_different_ones_are_not() {
        let mut run =
            Run { sum: Summing::default(), equal: HashMap::new(), logs: HashSet::new(), exported: false, whole: true };
        let mut once = |line: &str| {
            let message = run.message(b"", event(line));
            message.headers.get(header::ONCE).map(|once| once.as_str().to_owned()).expect("it is always there")
        };
        let line = r#"{"log":"a","time":"@1","data":"x"}"#;
        assert_eq!([once(line), once(line), once(line)], ["0", "1", "2"]);
        for other in [
            r#"{"log":"b","time":"@1","data":"x"}"#,
            r#"{"log":"a","time":"@2","data":"x"}"#,
            r#"{"log":"a","time":"@1","data":"y"}"#,
            r#"{"log":"a","time":"@1","data":"x","metadata":{"k":["1","2"]}}"#,
            r#"{"log":"a","time":"@1","data":"x","metadata":{"k":["2","1"]}}"#,
            r#"{"log":"a","time":"@1","data":"x","metadata":{"k":["12"]}}"#,
        ] {
            assert_eq!(once(other), "0", "{other}");
        }
    }

    #[test]
    fn a_sum_that_does_not_fit_is_an_error() {
        let mut run =
            Run { sum: Summing::default(), equal: HashMap::new(), logs: HashSet::new(), exported: true, whole: false };
        run.sum.add(b"{}\n");
        let good = run.sum.sum();
        assert!(run.trailer(&good).is_ok());
        run.sum.add(b"{ }\n");
        assert_eq!(run.trailer(&good).expect_err("the line was changed").code(), 7);
        assert_eq!(run.trailer(&good).expect_err("the line is missing").code(), 7);
    }
}
