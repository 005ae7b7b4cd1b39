//! `near`: what is around a moment of a log.

use clap::Args;
use hourlog::{
    LogId, Offset, Position,
    wire::{BinReply, NearRequest, json::JsonEvent},
};
use serde::Serialize;

use crate::{
    exit::Failure,
    output::{Align, TableColumn, human_count},
    session::Session,
};

/// Show what is around a moment of a log: the nearest events, busy times and bursts
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog near orders.eu 14:05
  hourlog near orders.eu now
  hourlog near quakes.us '2018-02-04 21:56' -o ndjson | jq -r .from

A burst is a bucket (an hour, unless the log says otherwise) with at least eight events, and more than four times the mean
of the 16 buckets before it.")]
pub(super) struct Near {
    /// Log id
    log: LogId,
    /// The moment
    #[arg(value_name = "TIME", allow_hyphen_values = true)]
    at: String,
}

const COLUMNS: [TableColumn; 5] = [
    TableColumn("what", Align::Left),
    TableColumn("from", Align::Time),
    TableColumn("events", Align::Right),
    TableColumn("position", Align::Left),
    TableColumn("data", Align::Left),
];

/// A line of the output.
#[derive(Debug, Serialize)]
struct Line<'a> {
    what: &'static str,
    from: Offset,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Offset>,
    events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn of_bucket(what: &'static str, bucket: Option<BinReply>) -> Option<Self> {
        bucket.map(|BinReply { from, to, count }| Self {
            what,
            from,
            to: Some(to),
            events: count,
            position: None,
            data: None,
        })
    }

    fn of_event(what: &'static str, event: Option<&'a JsonEvent>) -> Option<Self> {
        event.map(|event| Self {
            what,
            from: event.time,
            to: None,
            events: 1,
            position: Some(event.position),
            data: event.data.as_deref(),
        })
    }
}

impl Near {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Some(at) = session.moment("TIME", Some(&self.at)).await? else {
            return Err(Failure::usage("TIME is missing"));
        };
        let remote = session.open().await?.remote;
        let near = remote.near(&self.log, &NearRequest { at: at.into() }).await?;
        let lines = [
            Line::of_bucket("burst before", near.previous_burst),
            Line::of_bucket("bucket before", near.previous_bucket),
            Line::of_event("event before", near.before.as_ref()),
            Line::of_event("event at or after", near.after.as_ref()),
            Line::of_bucket("bucket after", near.next_bucket),
            Line::of_bucket("burst after", near.next_burst),
        ];
        let mut table = session.out.table(&COLUMNS);
        for line in lines.into_iter().flatten() {
            table.push(&line, || {
                let position = line.position.map(|position| position.to_string()).unwrap_or_default();
                let data = line.data.unwrap_or_default().to_owned();
                vec![line.what.to_owned(), session.time_cell(Some(line.from)), human_count(line.events), position, data]
            })?;
        }
        table.finish()?;
        for (edge, side) in [(near.searched_from, "before"), (near.searched_to, "after")] {
            if let Some(edge) = edge {
                let edge = session.time_cell(Some(edge));
                session.out.note(&format!("bursts {side} {edge} were not looked for"));
            }
        }
        Ok(())
    }
}
