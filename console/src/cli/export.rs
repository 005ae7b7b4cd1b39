//! `export`: writes logs as JSON lines. A last line with a checksum marks a complete export.

use std::{
    collections::HashSet,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    pin::pin,
};

use clap::Args;
use futures_util::TryStreamExt;
use hourlog::{
    Cursor, Error, ErrorKind, Event, LogId, Position, Remote,
    wire::{LogsRequest, ReplayRequest, When, json::JsonEvent},
};
use indicatif::ProgressBar;
use serde::Deserialize;

use crate::{
    exit::Failure,
    output::{counted, to_json},
    progress::{Templates, progress_bar},
    session::Session,
    when,
};

use super::{
    listing,
    trailer::{ChecksumBuilder, Trailer},
};

/// Export logs as JSON lines, the format that import reads
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog export orders.eu -O orders.jsonl
  hourlog export 'orders.>' --since 2018-02-01 --until 2018-03-01 -O february.jsonl
  hourlog export orders.eu | hourlog -s nats://elsewhere:4222 import -

An unfinished export in FILE is continued.")]
pub(super) struct Export {
    /// Log ids or patterns, such as orders.>
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<String>,
    /// Start time, inclusive [default: the first event]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// End time, exclusive [default: end, the end of the log]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Output file [default: standard output]
    #[arg(short = 'O', long, value_name = "FILE")]
    out: Option<PathBuf>,
}

const PROGRESS: Templates = Templates {
    bar: "{bar:40} {human_pos}/{human_len} events  {per_sec}  {eta} left",
    spinner: "{spinner} {human_pos} events  {per_sec}",
};
/// Size of the file buffer.
const BUFFER_BYTES: usize = 256 * 1024;

impl Export {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let since = session.moment("--since", self.since.as_deref()).await?;
        let until = session.moment("--until", self.until.as_deref()).await?;
        let mut writer = match &self.out {
            Some(path) => ExportWriter::file(path)?,
            None => ExportWriter::stdout(session),
        };
        let remote = session.open().await?.remote;
        let logs = find_logs(&remote, &self.logs).await?;
        let last = writer.last.clone();
        let finished = match &last {
            None => 0,
            Some((log, _)) => logs.iter().position(|candidate| candidate == log).ok_or_else(|| {
                refused(format!(
                    "{} ends with an event of {log}, which is not among the requested logs; choose another file",
                    self.out.as_deref().unwrap_or(Path::new("-")).display()
                ))
            })?,
        };
        if let Some((log, position)) = &last {
            let events = counted(writer.checksum.events(), "event");
            session.out.note(&format!("{events} already exported; continuing after {position} of {log}"));
        }
        if let Some(path) = &self.out {
            session
                .resume_with(format!("run the same command again to continue; {} keeps what it has", path.display()));
            let whole_logs = since.is_none() && until.is_none();
            let length =
                if whole_logs && !session.out.quiet() { Some(count_events(&remote, &logs).await?) } else { None };
            writer.bar = progress_bar(&session.out, length, PROGRESS);
            writer.bar.set_position(writer.checksum.events());
        }
        for log in &logs[finished..] {
            let after = last.as_ref().filter(|(of, _)| of == log).map(|(_, position)| Cursor::Timeline(*position));
            let request = ReplayRequest {
                from: when::lower_bound(since),
                to: until.map(When::from),
                after,
                ..ReplayRequest::default()
            };
            let mut events = pin!(remote.events(log.clone(), request));
            while let Some(event) = events.try_next().await? {
                writer.event(&event)?;
            }
        }
        let events = writer.checksum.events();
        writer.finish()?;
        session.out.note(&format!("exported {} from {}", counted(events, "event"), counted(logs.len() as u64, "log")));
        Ok(())
    }
}

/// Returns the logs with the given ids, and those that match the given patterns, each once.
async fn find_logs(remote: &Remote, names: &[String]) -> Result<Vec<LogId>, Failure> {
    let mut logs: Vec<LogId> = Vec::new();
    for name in names {
        if !name.contains(['*', '>']) {
            logs.push(name.parse()?);
            continue;
        }
        let before = logs.len();
        let request = LogsRequest { pattern: Some(name.clone()), ..LogsRequest::default() };
        let mut matches = pin!(listing::logs(remote, request));
        while let Some(log) = matches.try_next().await? {
            logs.push(log.log);
        }
        if logs.len() == before {
            let text = format!("no log matches {name}; hourlog ls lists the logs");
            return Err(Error::new(ErrorKind::NotFound, text).into());
        }
    }
    let mut seen = HashSet::new();
    logs.retain(|log| seen.insert(log.clone()));
    Ok(logs)
}

/// Counts all events of `logs`.
async fn count_events(remote: &Remote, logs: &[LogId]) -> Result<u64, Failure> {
    let mut events = 0;
    for log in logs {
        events += remote.describe(log).await?.events;
    }
    Ok(events)
}

/// Writer of an export: event lines, then the trailer.
struct ExportWriter<'a> {
    destination: Destination<'a>,
    /// Checksum of the lines so far.
    checksum: ChecksumBuilder,
    /// The last event of an export that is continued.
    last: Option<(LogId, Position)>,
    bar: ProgressBar,
}

enum Destination<'a> {
    Stdout(&'a Session),
    File(BufWriter<File>, PathBuf),
}

impl<'a> ExportWriter<'a> {
    fn stdout(session: &'a Session) -> Self {
        let destination = Destination::Stdout(session);
        Self { destination, checksum: ChecksumBuilder::default(), last: None, bar: ProgressBar::hidden() }
    }

    /// Creates the file, or continues an unfinished export after its last complete line.
    fn file(path: &Path) -> Result<Self, Failure> {
        let failed = |source| Failure::write(path.display(), source);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        let PartialExport { checksum, last, bytes } = read_partial(path, BufReader::new(&file))?;
        file.set_len(bytes).map_err(failed)?;
        file.seek(SeekFrom::Start(bytes)).map_err(failed)?;
        let writer = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(Self { destination: Destination::File(writer, path.to_owned()), checksum, last, bar: ProgressBar::hidden() })
    }

    fn event(&mut self, event: &Event) -> Result<(), Failure> {
        let line = to_json(&JsonEvent::from(event)) + "\n";
        self.checksum.add(line.as_bytes());
        self.bar.inc(1);
        self.line(&line)
    }

    fn line(&mut self, line: &str) -> Result<(), Failure> {
        match &mut self.destination {
            Destination::Stdout(session) => session.out.text(line),
            Destination::File(file, path) => {
                file.write_all(line.as_bytes()).map_err(|source| Failure::write(path.display(), source))
            }
        }
    }

    /// Writes the trailer, and makes the file durable.
    fn finish(mut self) -> Result<(), Failure> {
        self.line(&(to_json(&Trailer { trailer: self.checksum.checksum() }) + "\n"))?;
        self.bar.finish_and_clear();
        match self.destination {
            Destination::Stdout(session) => session.out.flush(),
            Destination::File(mut file, path) => file
                .flush()
                .and_then(|()| file.get_ref().sync_all())
                .map_err(|source| Failure::write(path.display(), source)),
        }
    }
}

/// The content of an unfinished export.
struct PartialExport {
    checksum: ChecksumBuilder,
    last: Option<(LogId, Position)>,
    /// Size in bytes up to the end of its last complete line.
    bytes: u64,
}

/// The fields of a line that say where to continue.
#[derive(Deserialize)]
struct LinePosition {
    log: LogId,
    position: Position,
}

/// Reads an unfinished export. Refuses a file that is complete or something else.
fn read_partial(path: &Path, mut reader: impl BufRead) -> Result<PartialExport, Failure> {
    let mut partial = PartialExport { checksum: ChecksumBuilder::default(), last: None, bytes: 0 };
    let mut line = Vec::new();
    loop {
        line.clear();
        reader.read_until(b'\n', &mut line).map_err(|source| Failure::read(path.display(), source))?;
        if !line.ends_with(b"\n") {
            return Ok(partial);
        }
        if serde_json::from_slice::<Trailer>(&line).is_ok() {
            return Err(refused(format!("{} is already a complete export; choose another file", path.display())));
        }
        let Ok(LinePosition { log, position }) = serde_json::from_slice(&line) else {
            return Err(refused(format!("{} exists and is not an export; choose another file", path.display())));
        };
        partial.checksum.add(&line);
        partial.bytes += line.len() as u64;
        partial.last = Some((log, position));
    }
}

fn refused(context: String) -> Failure {
    Error::new(ErrorKind::Refused, context).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_export_is_continued_after_its_last_complete_line() {
        let path = Path::new("x.jsonl");
        let lines = "{\"log\":\"a\",\"position\":\"5-1\",\"data\":\"\"}\n{\"log\":\"b\",\"position\":\"-7-2\"}\n";
        let cut = format!("{lines}{{\"log\":\"b\",\"posi");
        let partial = read_partial(path, cut.as_bytes()).expect("an unfinished export can be continued");
        assert_eq!(partial.bytes, lines.len() as u64);
        assert_eq!(partial.checksum.events(), 2);
        let (log, position) = partial.last.expect("it has events");
        assert_eq!((log.as_str(), position.to_string().as_str()), ("b", "-7-2"));

        let complete = format!("{lines}{}\n", to_json(&Trailer { trailer: partial.checksum.checksum() }));
        assert_eq!(read_partial(path, complete.as_bytes()).err().expect("it is complete").code(), 8);
        assert_eq!(read_partial(path, &b"dear diary\n"[..]).err().expect("it is not an export").code(), 8);
    }
}
