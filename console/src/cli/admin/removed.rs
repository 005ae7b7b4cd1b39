//! Prints what was removed, or would be.

use hourlog::wire::RemovedReply;

use crate::{
    exit::Failure,
    output::{Align, Format, TableColumn, counted, human_bytes},
    session::Session,
    when,
};

const COLUMNS: [TableColumn; 6] = [
    TableColumn("log", Align::Left),
    TableColumn("dry_run", Align::Left),
    TableColumn("events", Align::Right),
    TableColumn("bytes", Align::Right),
    TableColumn("buckets", Align::Right),
    TableColumn("kept_from", Align::Left),
];

/// Prints the counts.
pub(super) fn print(session: &Session, reply: &RemovedReply) -> Result<(), Failure> {
    if session.out.format() != Format::Table {
        let mut table = session.out.table(&COLUMNS);
        table.push(reply, Vec::new)?;
        return table.finish();
    }
    session.out.line(reply.log.as_str(), &sentence(session, reply))
}

/// Returns the counts as a sentence.
pub(super) fn sentence(session: &Session, reply: &RemovedReply) -> String {
    let verb = if reply.dry_run { "would be removed" } else { "removed" };
    let (events, buckets) = (counted(reply.events, "event"), counted(reply.buckets, "bucket"));
    let kept = reply
        .kept_from
        .map(|from| format!("; kept from {}", when::show_with_zone(from, &session.zone)))
        .unwrap_or_default();
    format!("{events} ({}) in {buckets} {verb}{kept}", human_bytes(reply.bytes))
}
