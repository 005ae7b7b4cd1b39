//! `status`: the state of the service: its archive, the streams that it reads, and its counters.

use std::time::Duration;

use clap::Args;
use hourlog::{
    Offset,
    wire::{ArchiveStatus, ComponentStatus, MissingStatus, ShareStatus, SourceStatus, Span, StatusReply},
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

const COLUMNS: [TableColumn; 10] = [
    TableColumn("instance", Align::Left),
    TableColumn("version", Align::Left),
    TableColumn("started", Align::Left),
    TableColumn("now", Align::Left),
    TableColumn("jetstream_now", Align::Left),
    TableColumn("prefix", Align::Left),
    TableColumn("archive", Align::Left),
    TableColumn("share", Align::Left),
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
                session.out.detail(&format!("{name:>8}"), &value)?;
            }
        }
        Ok(())
    }
}

/// Returns the status for people: names and values.
fn lines(session: &Session, status: &StatusReply) -> Vec<(&'static str, String)> {
    let StatusReply { instance, version, started, now, jetstream_now, prefix, archive, share, sources, counters } =
        status;
    let up = Span(seconds_between(*started, *now).saturating_mul(hourlog::time::SECOND));
    let mut lines = vec![
        ("instance", format!("{instance}, hourlogd {version}, below {prefix}")),
        ("zone", session.zone_name()),
        ("started", format!("{}, {up} ago", session.time_cell(Some(*started)))),
        ("archive", archive_cell(archive)),
    ];
    lines.extend(jetstream_now.map(|time| ("time", session.time_cell(Some(time)))));
    lines.extend(archive.disk.as_ref().map(|disk| {
        let [tables, journals, free, total] =
            [disk.table_bytes, disk.journal_bytes, disk.free_bytes, disk.total_bytes].map(human_bytes);
        ("disk", format!("tables {tables}, journals {journals}, {free} of {total} free"))
    }));
    lines.extend(share.as_ref().map(|share| ("slots", share_cell(session, share))));
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

fn share_cell(session: &Session, share: &ShareStatus) -> String {
    let ShareStatus { slots, since, others, leads, alive, relayed } = share;
    let others = match others {
        0 => "no other instance".to_owned(),
        others => format!("beside {}", counted(u64::from(*others), "other instance")),
    };
    let leads = if *leads { ", purges the stream" } else { "" };
    let alive = if *alive { "" } else { "; it does not hear its own heartbeats" };
    let since = session.time_cell(Some(*since));
    format!("{slots} of 64 since {since}, {others}{leads}{alive}; {} relayed", counted(*relayed, "request"))
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
        ("lag", format!("{}; archived up to {} of {}", lag(source), source.archived, source.published)),
    ];
    for (name, component) in [
        ("settings", &source.settings),
        ("answers", &source.answering),
        ("stores", &source.storing),
        ("progress", &source.progress),
    ] {
        if !component.ok {
            lines.push((name, state(component)));
        }
    }
    if source.awaited_messages > 0 {
        let awaited = counted(source.awaited_messages, "message");
        lines.push(("awaited", format!("{awaited} that were read are not in the stream")));
    }
    if let Some(fork) = &source.fork {
        let at = session.time_cell(Some(fork.at));
        let missing = fork.missing.as_ref().map(|missing| format!("; {} lost", messages_are(missing)));
        lines.push(("fork", format!("{at}, from message {} on{}", fork.from, missing.unwrap_or_default())));
    }
    if let Some(set_back) = &source.set_back {
        let (at, missing) = (session.time_cell(Some(set_back.at)), &set_back.missing);
        lines.push(("set back", format!("{at}; {} in neither the archive nor the stream", messages_are(missing))));
    }
    if let Some((first, last)) = source.removed {
        lines.push((
            "removed",
            format!(
                "{} before they were archived, in {}; the newest {first} to {last}",
                counted(source.removed_messages, "message"),
                counted(source.gaps, "gap")
            ),
        ));
    }
    if source.poison_messages > 0 {
        lines.push(("poison", format!("{} that break a client", counted(source.poison_messages, "message"))));
    }
    lines
}

/// Returns the missing messages as the beginning of a sentence.
pub(super) fn messages_are(missing: &MissingStatus) -> String {
    let MissingStatus { first, last, messages, exact } = *missing;
    match (exact, messages == last - first + 1) {
        (true, true) if first == last => format!("message {first} is"),
        (true, true) => format!("messages {first}-{last} are"),
        (true, false) => format!("{messages} of the messages {first}-{last} are"),
        (false, _) => format!("up to {messages} of the messages {first}-{last} are"),
    }
}

/// Returns the lag of a stream: its messages, and the age of the oldest.
pub(super) fn lag(source: &SourceStatus) -> String {
    let messages = source.lag_messages.map_or_else(|| "unknown".to_owned(), |lag| counted(lag, "message"));
    let age = source.lag_seconds.map_or_else(|| "of unknown age".to_owned(), |age| format!("{age:.1} s"));
    format!("{messages}, {age}")
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
