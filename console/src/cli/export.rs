//! `export`: writes logs as JSON lines. A last line with a checksum marks a complete export.
//!
//! [`export`](crate::export) reads and writes; `names` finds the logs. `table` writes rows of `columns` for other programs.

mod columns;
mod names;
mod table;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use clap::Args;
use hourlog::{
    Cursor, LogId, Position, Remote,
    wire::{ReplayRequest, When},
};
use indicatif::ProgressBar;

use crate::{
    cli::conditions::Conditions,
    exit::Failure,
    export::{Contents, Continued, Destination, Found, Part, Scope, Stream, Target, Writer, event_line, refused, walk},
    output::counted,
    progress::{Templates, progress_bar},
    session::Session,
    shell, when,
};

use self::{
    columns::Column,
    names::Names,
    table::{Format, Table},
};

/// Export logs as JSON lines, the format that import reads, or as a table for other programs
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog export orders.eu -O orders.jsonl
  hourlog export 'orders.>' --since 2018-02-01 --until 2018-03-01 -O february.jsonl
  hourlog export orders.eu | hourlog -s nats://elsewhere:4222 import -
  hourlog export orders.eu -O >(zstd > orders.jsonl.zst)
  hourlog export 'quakes.>' --format parquet --columns time,log,json.mag,json.place -O quakes.parquet
  hourlog export 'app.>' --format csv --columns time,metadata.host,json.ms:int --where 'has(json.ms)' | head

FILE is there once the export is complete. Until then, FILE.part has its lines, and FILE.part.state names its
logs and range. The same command continues it, with the same times: Ctrl-C prints it. A file that has content is
never overwritten without --force, which begins again. A pipe or a device is written as it is.

The export of a log holds the events that had arrived when it began, in the order of time. One that is continued
also holds those that have arrived since; if their place had been passed, they follow where it was continued.
The last line tells the number of events, a checksum, and for each log the seq up to which it is whole.

With --format csv or parquet, with --columns or with a condition, the export is a table for other programs: it is neither
imported nor continued. Its columns are time, arrived, log, position, offset, seq, size, data (as text), bytes, metadata (as JSON),
metadata.NAME (the first value), json (data that is JSON) and json.PATH (json.user.name, json.tags.0). In Parquet, a value of
JSON has the type of the first ones; json.PATH:int, :float, :bool or :text names it. Values of another type are counted, and
the exit code is 8.")]
pub(super) struct Export {
    /// Log ids or patterns, such as orders.>; the system's own logs (_rejected) only by their ids
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<String>,
    /// Start time, inclusive [default: the first event]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// End time, exclusive; last includes the newest event [default: end, the end of the log]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Output file; - is standard output [default: standard output]
    #[arg(short = 'O', long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Begin again, and replace FILE once the export is complete
    #[arg(long, requires = "out")]
    force: bool,
    /// Format of the export
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    format: Format,
    /// Columns of a table [default: time,log,position,metadata,data]
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    columns: Vec<Column>,
    #[command(flatten)]
    conditions: Conditions,
}

const PROGRESS: Templates = Templates {
    bar: "{bar:40} {human_pos}/{human_len} events  {per_sec}  {eta} left",
    spinner: "{spinner} {human_pos} events  {per_sec}",
};

impl Export {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let (since, until) = session.range(self.since.as_deref(), self.until.as_deref()).await?;
        let target = Target::find(self.out.as_deref(), self.force)?;
        let remote = session.open().await?.remote;
        if self.format != Format::Jsonl || !self.columns.is_empty() || !self.conditions.are_empty() {
            let names = Names::find(&remote, &self.logs).await?;
            let request = ReplayRequest {
                from: when::lower_bound(since),
                to: until.map(When::from),
                ..self.conditions.request()
            };
            let table = Table { format: self.format, columns: self.columns, request };
            table.export(session, &remote, &names, target).await?;
            tell_left_out(session, &names);
            return Ok(());
        }
        let archive = if matches!(target, Target::File(_)) { session.archive_id().await? } else { None };
        let mut scope = Scope::new(archive, self.logs.clone(), since, until);
        let names = Names::find(&remote, &self.logs).await?;
        let (mut contents, mut whole_to, mut bar) = (Contents::default(), None, ProgressBar::hidden());
        let destination = match target {
            Target::Stdout => Destination::Stdout(session),
            Target::Stream(path) => Destination::Stream(Stream::open(path).await?),
            Target::File(target) => {
                let path = self.out.clone().unwrap_or_default();
                let command = |scope: &Scope| scope.command(&session.connect.flags(), &path);
                let (mut part, found) = Part::open(target, &scope, command)?;
                if let Some(found) = found {
                    check_archive(&remote, &scope, &found, &path).await?;
                    scope.archive = found.scope.archive.or(scope.archive);
                    (contents, whole_to) = (found.contents, found.whole_to);
                }
                part.start(&scope, contents.bytes)?;
                let replaces = self.force && path.metadata().is_ok_and(|there| there.len() > 0);
                session.resume_with(match replaces {
                    true => "an export with --force begins again; name another file to be able to continue".to_owned(),
                    false => format!("resume with: {}", command(&scope)),
                });
                let length = if scope.since.is_none() && scope.until.is_none() && !session.out.quiet() {
                    Some(names.count_events(&remote).await?)
                } else {
                    None
                };
                bar = progress_bar(&session.out, length, PROGRESS);
                bar.set_position(contents.checksum.events());
                Destination::Part(part)
            }
        };
        let begun: Vec<_> = contents.logs().to_vec();
        let done: HashSet<LogId> = begun.iter().map(|contents| contents.log.clone()).collect();
        let shown = bar.clone();
        let observe = Box::new(move |contents: &Contents| shown.set_position(contents.checksum.events()));
        let mut writer = Writer { destination, contents, observe };
        if let Some(last) = begun.last() {
            let events = counted(writer.contents.checksum.events(), "event");
            session.out.note(&format!("{events} already exported; continuing after {} of {}", last.last, last.log));
            let continued = walk::lacking(&remote, last, whole_to, &scope, &mut writer).await?;
            tell_continued(session, &last.log, last.last, continued);
        }
        for named in names.logs.iter().filter(|named| !done.contains(&named.log)) {
            walk::whole(&remote, &named.log, &scope, &mut writer).await?;
        }
        let logs = names.logs.iter().map(|named| &named.log).chain(&done).collect::<HashSet<_>>().len();
        let events = writer.finish(&scope)?.checksum.events();
        bar.finish_and_clear();
        session.out.note(&format!("exported {} from {}", counted(events, "event"), counted(logs as u64, "log")));
        tell_left_out(session, &names);
        Ok(())
    }
}

/// Checks that an unfinished export is of this archive, if the user may not ask for the archive's id: the archive
/// has the event of its last line.
async fn check_archive(remote: &Remote, scope: &Scope, found: &Found, path: &Path) -> Result<(), Failure> {
    if scope.archive.is_some() && found.scope.archive.is_some() {
        return Ok(());
    }
    let Some(((line, position), log)) = found.contents.last_line.as_ref().zip(found.contents.logs().last()) else {
        return Ok(());
    };
    let after = position.previous().map(Cursor::Timeline);
    let request = ReplayRequest { after, limit: Some(1), ..ReplayRequest::default() };
    let page = remote.replay(&log.log, &request).await?;
    if page.events.first().is_some_and(|event| event_line(event).as_bytes() == line) {
        return Ok(());
    }
    Err(refused(format!(
        "{}.part ends with event {position} of {}, which this archive does not have as it is there; name another file, \
         or give --force to begin again",
        path.display(),
        log.log
    )))
}

/// Tells the user exactly how the continued part of an export differs from one that was never interrupted.
fn tell_continued(session: &Session, log: &LogId, place: Position, continued: Continued) {
    let Continued { late, moved, expired } = continued;
    if let Some(moved) = moved {
        session.out.note(&moved);
    }
    session.out.note(&match late {
        0 => "no event has come in before that place".to_owned(),
        late => {
            let (events, have) = (counted(late, "event"), if late == 1 { "has" } else { "have" });
            format!("{events} {have} come in before that place and follow it, not in the order of time")
        }
    });
    if let Some(expired) = expired.filter(|expired| place.offset < *expired) {
        let expired = when::show_with_zone(expired, &session.zone);
        session
            .out
            .note(&format!("events of {log} before {expired} were removed; those after that place are not exported"));
    }
}

/// Tells the user which logs a pattern has left out, and how to have them.
fn tell_left_out(session: &Session, names: &Names) {
    for named in &names.left_out {
        let events = counted(named.events.unwrap_or_default(), "event");
        let command = shell::command("export", "", &named.log, "");
        session.out.note(&format!("left out: {events} of {}; {command} exports them", named.log));
    }
}
