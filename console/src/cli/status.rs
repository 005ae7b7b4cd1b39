//! `status`: the state of the service: its archive, the streams that it reads, and its counters.

use std::time::Duration;

use clap::Args;
use hourlog::{
    Offset,
    wire::{ArchiveStatus, ComponentStatus, SourceStatus, Span, StatusReply},
};

use crate::{
    exit::Failure,
    output::{Align, Format, TableColumn, counted, human_bytes, human_count},
    session::Session,
};

/// Time to wait for one more instance of the service after the last one has replied.
pub(super) const INSTANCE_GAP_MAX: Duration = Duration::from_millis(300);

/// Show the state of the service: archive, streams, lag and counters
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog status
  hourlog status -o json | jq '.[].sources[].lag_seconds'")]
pub(super) struct Status {}

const COLUMNS: [TableColumn; 8] = [
    TableColumn("instance", Align::Left),
    TableColumn("version", Align::Left),
    TableColumn("started", Align::Left),
    TableColumn("now", Align::Left),
    TableColumn("prefix", Align::Left),
    TableColumn("archive", Align::Left),
    TableColumn("sources", Align::Left),
    TableColumn("counters", Align::Left),
];

impl Status {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let statuses = session.open().await?.remote.statuses(INSTANCE_GAP_MAX).await?;
        if session.out.format() != Format::Table {
            let mut table = session.out.table(&COLUMNS);
            for status in &statuses {
                table.push(status, Vec::new)?;
            }
            return table.finish();
        }
        for status in &statuses {
            for (name, value) in lines(session, status) {
                session.out.line(&format!("{name:>8}"), &value)?;
            }
        }
        Ok(())
    }
}

/// Returns the status for people: names and values.
fn lines(session: &Session, status: &StatusReply) -> Vec<(&'static str, String)> {
    let StatusReply { instance, version, started, now, prefix, archive, sources, counters } = status;
    let up = Span(seconds_between(*started, *now).saturating_mul(hourlog::time::SECOND));
    let mut lines = vec![
        ("instance", format!("{instance}, hourlogd {version}, below {prefix}")),
        ("started", format!("{}, {up} ago", session.time_cell(Some(*started)))),
        ("archive", archive_cell(archive)),
    ];
    lines.extend(archive.disk.as_ref().map(|disk| {
        let [tables, journals, free, total] =
            [disk.table_bytes, disk.journal_bytes, disk.free_bytes, disk.total_bytes].map(human_bytes);
        ("disk", format!("tables {tables}, journals {journals}, {free} of {total} free"))
    }));
    for source in sources {
        lines.extend(source_lines(session, source));
    }
    lines.extend([
        (
            "events",
            format!(
                "{} ingested, {} archived, {} replayed, {} rejected since the start",
                human_count(counters.ingested),
                human_count(counters.archived),
                human_count(counters.replayed),
                human_count(counters.rejected)
            ),
        ),
        (
            "requests",
            format!(
                "{} answered, {} of them with an error; {} dropped",
                human_count(counters.requests),
                human_count(counters.request_errors),
                human_count(counters.replies_dropped)
            ),
        ),
        ("logs", format!("{}, {} awake", human_count(counters.logs), human_count(counters.logs_awake))),
    ]);
    lines
}

fn archive_cell(archive: &ArchiveStatus) -> String {
    format!("{} {}, {}", archive.kind, archive.id, state(&archive.state))
}

fn source_lines(session: &Session, source: &SourceStatus) -> Vec<(&'static str, String)> {
    let fill = match source.bytes_max.filter(|max| *max > 0) {
        Some(max) => format!("{}% of {}", source.bytes.saturating_mul(100) / max, human_bytes(max)),
        None => human_bytes(source.bytes),
    };
    let mut lines = vec![
        (
            "stream",
            format!(
                "{} ({}), {}; {}, {fill}",
                source.stream,
                source.kind,
                state(&source.reading),
                counted(source.messages, "message")
            ),
        ),
        (
            "lag",
            format!(
                "{}, {:.1} s; archived up to {} of {}",
                counted(source.lag_messages, "message"),
                source.lag_seconds,
                source.archived,
                source.published
            ),
        ),
    ];
    if !source.settings.ok {
        lines.push(("settings", state(&source.settings)));
    }
    if let Some(fork) = &source.fork {
        lines.push(("fork", format!("{}, from message {} on", session.time_cell(Some(fork.at)), fork.from)));
    }
    if let Some((first, last)) = source.removed {
        lines.push((
            "removed",
            format!(
                "{} before they were archived, the newest {first} to {last}",
                counted(source.removed_messages, "message")
            ),
        ));
    }
    lines
}

/// Returns the state of a component as a sentence.
pub(super) fn state(state: &ComponentStatus) -> String {
    if state.ok {
        return "healthy".to_owned();
    }
    let since = state.since.map(|since| format!(" since {since}")).unwrap_or_default();
    let log = state.log.as_ref().map(|log| format!(", {log}")).unwrap_or_default();
    format!("degraded{since}{log}: {}", state.reason.as_deref().unwrap_or_default())
}

/// Returns the whole seconds from one time to a later one.
fn seconds_between(from: Offset, to: Offset) -> i64 {
    to.nanos().saturating_sub(from.nanos()).max(0) / hourlog::time::SECOND
}
