//! `read`: plays events back, and follows.

use std::{collections::HashSet, pin::pin};

use clap::Args;
use futures_util::{FutureExt, Stream, StreamExt};
use hourlog::{
    Arrival, End, Error, ErrorKind, Event, LogId, Offset, Position, Remote, Seq,
    wire::{Order, PAGE_EVENTS_MAX, ReplayRequest, When, json::JsonEvent},
};

use crate::{
    exit::Failure,
    output::{Column, Format, Rows, Side},
    sanitize::sanitize_bytes,
    session::{Place, Session},
    when::{self, Moment},
};

/// Play events back, in the order of their times; with -f, what arrives
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog read orders.eu --since '2h ago'
  hourlog read orders.eu --since 9:00 --until 10:00 -o ndjson | jq .data
  hourlog read orders.eu --tail 10 -f
  hourlog read orders.eu --after 1795415799411123024-1099511627818 --limit 100
  hourlog read photos.door --tail 1 -o raw > door.jpg")]
pub(super) struct Read {
    /// The log
    log: LogId,
    /// From when on; with -f, what has arrived since
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Until when, exclusive
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "follow")]
    until: Option<String>,
    /// Behind this position, or behind this cursor (a:…) in order of arrival
    #[arg(long, value_name = "POSITION", allow_hyphen_values = true, conflicts_with_all = ["since", "tail"])]
    after: Option<String>,
    /// At most so many events
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Only the last so many
    #[arg(long, value_name = "N", conflicts_with_all = ["reverse", "since"])]
    tail: Option<u32>,
    /// The newest first
    #[arg(long, conflicts_with = "follow")]
    reverse: bool,
    /// Go on with what arrives, in that order
    #[arg(short, long)]
    follow: bool,
}

const COLUMNS: [Column; 7] = [
    Column("log", Side::Left),
    Column("position", Side::Left),
    Column("time", Side::Left),
    Column("arrived", Side::Left),
    Column("metadata", Side::Left),
    Column("data", Side::Left),
    Column("data_base64", Side::Left),
];

impl Read {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let since = session.moment_of("--since", self.since.as_deref())?;
        let until = session.moment_of("--until", self.until.as_deref())?;
        let after = self.after.as_deref().map(parse_after).transpose()?;
        let arrival = matches!(after, Some(Place::Arrival(_)));
        if arrival && (until.is_some() || self.reverse) {
            return Err(Failure::usage(
                "--after a:… goes by arrival, forwards and without an end; leave out --until and --reverse",
            ));
        }
        if let (Some(Moment::At(since)), Some(Moment::At(until))) = (since, until)
            && since > until
        {
            return Err(Failure::usage(format!("--since {since} is later than --until {until}; turn them round")));
        }
        let remote = session.open().await?.remote;
        let mut printed = Printed { session, rows: session.out.rows(&COLUMNS), count: 0 };
        if self.follow {
            self.follow(&remote, since, after, &mut printed).await?;
        } else if let Some(tail) = self.tail {
            for event in tail_events(&remote, &self.log, until, tail).await? {
                printed.event(&event)?;
            }
        } else {
            let mode = if self.reverse { " --reverse" } else { "" };
            session.resume_with(format!("go on with: hourlog read {}{mode} --after ", self.log));
            let request = ReplayRequest {
                from: since.filter(|since| *since != Moment::First).map(When::from),
                to: until.map(When::from),
                after: after.map(|after| after.to_string()),
                limit: self.limit,
                order: if arrival { Order::Arrival } else { Order::Timeline },
                reverse: self.reverse,
                ..ReplayRequest::default()
            };
            let mut events = pin!(remote.events(self.log.clone(), request));
            while let Some(event) = printed.next(&mut events).await? {
                printed.event(&event)?;
                session.reached(if arrival { arrival_place(&event) } else { Place::Timeline(event.position) });
            }
        }
        printed.rows.finish()
    }

    /// Everything that arrives from a place on, each event once, however late its own time is.
    async fn follow(
        &self,
        remote: &Remote,
        since: Option<Moment>,
        after: Option<Place>,
        printed: &mut Printed<'_>,
    ) -> Result<(), Failure> {
        let session = printed.session;
        session.resume_with(format!("go on with: hourlog read {} -f --after ", self.log));
        let mut known: HashSet<Seq> = HashSet::new();
        let mut arrived_since = Offset::MIN;
        let tail = self.tail.or((since == Some(Moment::Last)).then_some(1));
        let from = match (after, since, tail) {
            (Some(Place::Arrival(after)), ..) => Some(after),
            (Some(Place::Timeline(position)), ..) => Some(arrival_of(remote, &self.log, position).await?),
            (None, Some(Moment::At(time)), _) => {
                arrived_since = time;
                Some(Arrival { time, seq: 0 })
            }
            (None, _, Some(tail)) => {
                // First how far arrival has got, then the tail: what comes in between is in both, and told by its seq.
                let from = newest_arrival(remote, &self.log).await?;
                for event in tail_events(remote, &self.log, None, tail).await? {
                    printed.event(&event)?;
                    known.insert(event.position.seq);
                }
                if let Some(from) = from {
                    session.reached(Place::Arrival(from));
                }
                from
            }
            (None, ..) => None,
        };
        let request = ReplayRequest { after: from.map(|from| from.to_string()), ..ReplayRequest::default() };
        let mut events = pin!(remote.follow(self.log.clone(), request));
        let limit = self.limit.map_or(u64::MAX, u64::from);
        while printed.count < limit {
            let Some(event) = printed.next(&mut events).await? else { break };
            let arrived = event.arrived.unwrap_or(event.position.offset);
            if arrived >= arrived_since && !known.remove(&event.position.seq) {
                printed.event(&event)?;
            }
            session.reached(arrival_place(&event));
        }
        Ok(())
    }
}

fn parse_after(text: &str) -> Result<Place, Failure> {
    let place =
        if text.starts_with("a:") { text.parse().map(Place::Arrival) } else { text.parse().map(Place::Timeline) };
    place.map_err(|error: Error| Failure::usage(format!("--after: {error}")))
}

/// The cursor behind an event, in the order of arrival.
fn arrival_place(event: &Event) -> Place {
    Place::Arrival(arrival(event))
}

fn arrival(event: &Event) -> Arrival {
    Arrival { time: event.arrived.unwrap_or(event.position.offset), seq: event.position.seq }
}

/// The cursor behind the event at `position`, in the order of arrival.
async fn arrival_of(remote: &Remote, log: &LogId, position: Position) -> Result<Arrival, Failure> {
    let before = Position { seq: position.seq.saturating_sub(1), ..position };
    let request = ReplayRequest { after: Some(before.to_string()), limit: Some(1), ..ReplayRequest::default() };
    match first(remote, log, request).await? {
        Some(event) if event.position == position => Ok(arrival(&event)),
        _ => Err(Error::new(
            ErrorKind::NotFound,
            format!(
                "no event of {log} is at {position}; follow from a time with --since, or from one that read has shown"
            ),
        )
        .into()),
    }
}

/// How far arrival has got: everything archived so far is at or before it. `None` for a log without events.
async fn newest_arrival(remote: &Remote, log: &LogId) -> Result<Option<Arrival>, Failure> {
    let request = ReplayRequest { reverse: true, limit: Some(1), ..ReplayRequest::default() };
    let Some(newest) = first(remote, log, request).await? else { return Ok(None) };
    let mut after = arrival(&newest);
    loop {
        let request = ReplayRequest {
            after: Some(after.to_string()),
            order: Order::Arrival,
            limit: Some(PAGE_EVENTS_MAX),
            ..ReplayRequest::default()
        };
        let page = remote.replay(log, &request).await?;
        if let Some(next) = page.next {
            after = next.parse()?;
        }
        if matches!(page.end, End::CaughtUp | End::Bound) {
            return Ok(Some(after));
        }
    }
}

async fn first(remote: &Remote, log: &LogId, request: ReplayRequest) -> Result<Option<Event>, Failure> {
    Ok(pin!(remote.events(log.clone(), request)).next().await.transpose()?)
}

/// The last `count` events before `until`, in order.
async fn tail_events(remote: &Remote, log: &LogId, until: Option<Moment>, count: u32) -> Result<Vec<Event>, Failure> {
    let request =
        ReplayRequest { to: until.map(When::from), reverse: true, limit: Some(count), ..ReplayRequest::default() };
    let mut stream = pin!(remote.events(log.clone(), request));
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event?);
    }
    events.reverse();
    Ok(events)
}

/// Events on their way out.
struct Printed<'a> {
    session: &'a Session,
    rows: Rows<'a>,
    count: u64,
}

impl Printed<'_> {
    /// The next event; before there is a wait for it, what was printed is handed over.
    async fn next(
        &self,
        events: &mut (impl Stream<Item = hourlog::Result<Event>> + Unpin),
    ) -> Result<Option<Event>, Failure> {
        let event = match events.next().now_or_never() {
            Some(event) => event,
            None => {
                self.session.out.flush()?;
                events.next().await
            }
        };
        Ok(event.transpose()?)
    }

    fn event(&mut self, event: &Event) -> Result<(), Failure> {
        self.count += 1;
        match self.session.out.format() {
            Format::Table => {
                let time = when::show(event.position.offset, &self.session.zone);
                self.session.out.line(&time, &as_line(event))
            }
            Format::Raw => self.session.out.raw(&event.record.data),
            _ => self.rows.push(&JsonEvent::from(event), Vec::new),
        }
    }
}

/// An event for people: its data, and behind it the metadata.
fn as_line(event: &Event) -> String {
    let mut line = sanitize_bytes(&event.record.data).into_owned();
    for (name, values) in event.record.metadata.iter() {
        let separator = if line.is_empty() { "" } else { "  " };
        line.push_str(&format!("{separator}{name}={}", values.join(",")));
    }
    line
}
