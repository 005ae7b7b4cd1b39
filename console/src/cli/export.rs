//! `export`: logs as JSON lines, with a last line that says whether all of it is there.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};

use clap::Args;
use futures_util::StreamExt;
use hourlog::{
    Error, ErrorKind, Event, LogId, Position, Remote,
    wire::{LogsRequest, ReplayRequest, When, json::JsonEvent},
};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;

use crate::{exit::Failure, output::counted, session::Session, when::Moment};

use super::trailer::{Summing, Trailer};

/// Write logs as JSON lines, in the form that import reads
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog export orders.eu -O orders.jsonl
  hourlog export 'orders.>' --since 2018-02-01 --until 2018-03-01 -O february.jsonl
  hourlog export orders.eu | hourlog -s nats://elsewhere:4222 import -

A file that is there already and was not finished is gone on with.")]
pub(super) struct Export {
    /// Which logs: ids, or patterns such as orders.>
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<String>,
    /// From when on
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Until when, exclusive
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Where to [default: standard output]
    #[arg(short = 'O', long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// How often a progress bar is drawn.
const DRAWN_EACH: Duration = Duration::from_millis(100);
/// The export is written to the file at so many bytes.
const BUFFER_BYTES: usize = 256 * 1024;

impl Export {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let since = session.moment_of("--since", self.since.as_deref())?;
        let until = session.moment_of("--until", self.until.as_deref())?;
        let mut target = match &self.out {
            Some(path) => Target::file(path)?,
            None => {
                Target { sink: Sink::Stdout(session), sum: Summing::default(), last: None, bar: ProgressBar::hidden() }
            }
        };
        let remote = session.open().await?.remote;
        let logs = logs(&remote, &self.logs).await?;
        let last = target.last.clone();
        let done = match &last {
            None => 0,
            Some((log, _)) => logs.iter().position(|candidate| candidate == log).ok_or_else(|| {
                refused(format!(
                    "{} ends with an event of {log}, which is not asked for; choose another file",
                    self.out.as_deref().unwrap_or(Path::new("-")).display()
                ))
            })?,
        };
        if let Some((log, position)) = &last {
            let events = counted(target.sum.events(), "event");
            session.out.note(&format!("{events} there already; going on behind {position} of {log}"));
        }
        if let Some(path) = &self.out {
            session.resume_with(format!("go on with the same command: what {} has is kept", path.display()));
            target.bar = bar(session, &remote, &logs, since.is_none() && until.is_none()).await?;
            target.bar.set_position(target.sum.events());
        }
        for log in &logs[done..] {
            let after = last.as_ref().filter(|(of, _)| of == log).map(|(_, position)| position.to_string());
            let request = ReplayRequest {
                from: since.filter(|since| *since != Moment::First).map(When::from),
                to: until.map(When::from),
                after,
                ..ReplayRequest::default()
            };
            let mut events = pin!(remote.events(log.clone(), request));
            while let Some(event) = events.next().await {
                target.event(&event?)?;
            }
        }
        let events = target.sum.events();
        target.finish()?;
        session.out.note(&format!("exported {} of {}", counted(events, "event"), counted(logs.len() as u64, "log")));
        Ok(())
    }
}

/// The logs that were named, and those that match the patterns.
async fn logs(remote: &Remote, named: &[String]) -> Result<Vec<LogId>, Failure> {
    let mut logs: Vec<LogId> = Vec::new();
    for name in named {
        if !name.contains(['*', '>']) {
            logs.push(name.parse()?);
            continue;
        }
        let before = logs.len();
        let mut request = LogsRequest { pattern: Some(name.clone()), ..LogsRequest::default() };
        loop {
            let reply = remote.logs(&request).await?;
            for log in reply.logs {
                logs.push(log.log.parse()?);
            }
            match reply.next {
                Some(next) => request.after = Some(next),
                None => break,
            }
        }
        if logs.len() == before {
            let text = format!("no log is called like {name}; hourlog ls lists those there are");
            return Err(Error::new(ErrorKind::NotFound, text).into());
        }
    }
    let mut seen = std::collections::HashSet::new();
    logs.retain(|log| seen.insert(log.clone()));
    Ok(logs)
}

/// A bar towards the count of all events, where it is known and somebody looks.
async fn bar(session: &Session, remote: &Remote, logs: &[LogId], whole: bool) -> Result<ProgressBar, Failure> {
    if session.out.quiet() {
        return Ok(ProgressBar::hidden());
    }
    let bar = if whole {
        let mut events = 0;
        for log in logs {
            events += remote.describe(log).await?.events;
        }
        let style = "{bar:40} {human_pos}/{human_len} events  {per_sec}  {eta} left";
        ProgressBar::new(events).with_style(ProgressStyle::with_template(style).expect("the template is well formed"))
    } else {
        let style = "{spinner} {human_pos} events  {per_sec}";
        ProgressBar::no_length().with_style(ProgressStyle::with_template(style).expect("the template is well formed"))
    };
    bar.enable_steady_tick(DRAWN_EACH);
    Ok(bar)
}

/// Where the lines go, and the sum of those that went.
struct Target<'a> {
    sink: Sink<'a>,
    sum: Summing,
    /// The last event of a file that is gone on with.
    last: Option<(LogId, Position)>,
    bar: ProgressBar,
}

enum Sink<'a> {
    Stdout(&'a Session),
    File(BufWriter<File>, PathBuf),
}

impl Target<'_> {
    /// A new file, or one that was not finished: then behind its last whole line.
    fn file(path: &Path) -> Result<Self, Failure> {
        let failed = |source| Failure::Io { context: format!("{} cannot be written", path.display()), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        let Found { sum, last, bytes } = found(path, BufReader::new(&file))?;
        file.set_len(bytes).map_err(failed)?;
        file.seek(SeekFrom::Start(bytes)).map_err(failed)?;
        let writer = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(Self { sink: Sink::File(writer, path.to_owned()), sum, last, bar: ProgressBar::hidden() })
    }

    fn event(&mut self, event: &Event) -> Result<(), Failure> {
        let line = to_line(&JsonEvent::from(event));
        self.sum.add(line.as_bytes());
        self.bar.inc(1);
        self.line(&line)
    }

    fn line(&mut self, line: &str) -> Result<(), Failure> {
        match &mut self.sink {
            Sink::Stdout(session) => session.out.text(line),
            Sink::File(file, path) => file
                .write_all(line.as_bytes())
                .map_err(|source| Failure::Io { context: format!("{} cannot be written", path.display()), source }),
        }
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.line(&to_line(&Trailer { trailer: self.sum.sum() }))?;
        self.bar.finish_and_clear();
        match self.sink {
            Sink::Stdout(session) => session.out.flush(),
            Sink::File(mut file, path) => {
                let written = file.flush().and_then(|()| file.get_ref().sync_all());
                written
                    .map_err(|source| Failure::Io { context: format!("{} cannot be written", path.display()), source })
            }
        }
    }
}

fn to_line(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("it is a map with text for names") + "\n"
}

/// What a file holds that was not finished.
struct Found {
    sum: Summing,
    last: Option<(LogId, Position)>,
    /// Up to the end of its last whole line.
    bytes: u64,
}

/// The part of a line that says where to go on.
#[derive(Deserialize)]
struct Line {
    log: LogId,
    position: Position,
}

fn found(path: &Path, mut reader: impl BufRead) -> Result<Found, Failure> {
    let mut found = Found { sum: Summing::default(), last: None, bytes: 0 };
    let mut line = Vec::new();
    loop {
        line.clear();
        reader
            .read_until(b'\n', &mut line)
            .map_err(|source| Failure::Io { context: format!("{} cannot be read", path.display()), source })?;
        if !line.ends_with(b"\n") {
            return Ok(found);
        }
        if serde_json::from_slice::<Trailer>(&line).is_ok() {
            return Err(refused(format!("{} is a whole export already; choose another file", path.display())));
        }
        let Ok(Line { log, position }) = serde_json::from_slice(&line) else {
            return Err(refused(format!("{} is there and is no export; choose another file", path.display())));
        };
        found.sum.add(&line);
        found.bytes += line.len() as u64;
        found.last = Some((log, position));
    }
}

fn refused(context: String) -> Failure {
    Error::new(ErrorKind::Refused, context).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_not_finished_is_gone_on_with_behind_its_last_whole_line() {
        let path = Path::new("x.jsonl");
        let lines = "{\"log\":\"a\",\"position\":\"5-1\",\"data\":\"\"}\n{\"log\":\"b\",\"position\":\"-7-2\"}\n";
        let partial = format!("{lines}{{\"log\":\"b\",\"posi");
        let found_here = found(path, partial.as_bytes()).expect("it can be gone on with");
        assert_eq!(found_here.bytes, lines.len() as u64);
        assert_eq!(found_here.sum.events(), 2);
        let (log, position) = found_here.last.expect("it has events");
        assert_eq!((log.as_str(), position.to_string().as_str()), ("b", "-7-2"));

        let whole = format!("{lines}{}", to_line(&Trailer { trailer: found_here.sum.sum() }));
        assert_eq!(found(path, whole.as_bytes()).err().expect("it is whole").code(), 8);
        assert_eq!(found(path, &b"dear diary\n"[..]).err().expect("it is none").code(), 8);
    }
}
