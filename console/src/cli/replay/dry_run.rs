//! `replay --dry-run`: what would be sent, read to the last event and sent nowhere.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use hourlog::Offset;
use serde::Serialize;

use crate::{
    exit::Failure,
    output::{Align, TableColumn, human_bytes, human_count},
    progress::{Templates, progress_bar},
    replay::{Capture, Events, Target},
    session::Session,
};

const COLUMNS: [TableColumn; 5] = [
    TableColumn("subject", Align::Id),
    TableColumn("events", Align::Right),
    TableColumn("bytes", Align::Right),
    TableColumn("first", Align::Time),
    TableColumn("last", Align::Time),
];

const PROGRESS: Templates = Templates { bar: "", spinner: "{spinner} {human_pos} events" };

/// The events that would be sent to a subject.
#[derive(Debug, Serialize)]
struct Planned<'a> {
    subject: &'a str,
    events: u64,
    /// The size of data and metadata.
    bytes: u64,
    first: Offset,
    last: Offset,
}

/// Prints what would be sent to each subject.
pub(super) async fn print(
    session: &Session,
    target: &Target,
    capture: &Capture,
    mut events: Events<'_>,
) -> Result<(), Failure> {
    let mut planned: BTreeMap<String, (u64, u64, Offset, Offset)> = BTreeMap::new();
    let bar = progress_bar(&session.out, None, PROGRESS);
    while let Some(event) = events.try_next().await? {
        let (offset, bytes) = (event.position.offset, event.record.bytes() as u64);
        let of_subject = planned.entry(target.subject(&event.log)?).or_insert((0, 0, offset, offset));
        *of_subject = (of_subject.0 + 1, of_subject.1 + bytes, of_subject.2, offset);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let mut table = session.out.table(&COLUMNS);
    for (subject, (events, bytes, first, last)) in &planned {
        let row = Planned { subject, events: *events, bytes: *bytes, first: *first, last: *last };
        table.push(&row, || {
            let times = [row.first, row.last].map(|time| session.time_cell(Some(time)));
            [vec![subject.clone(), human_count(row.events), human_bytes(row.bytes)], times.to_vec()].concat()
        })?;
    }
    table.finish()?;
    session.out.note(&capture.sentence());
    Ok(())
}
