//! `read`: plays events back, and follows new ones.

mod by_cursor;

use std::{collections::HashSet, pin::pin};

use clap::Args;
use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use hourlog::{
    ArrivalCursor, Cursor, Error, ErrorKind, Event, LogId, Offset, Position, Remote, Seq,
    remote::RemotePage,
    wire::{CursorName, Order, PAGE_EVENTS_MAX, ReplayRequest, When, json::JsonEvent},
};

use crate::{
    exit::Failure,
    output::{Align, Format, TableColumn, TableWriter},
    sanitize::sanitize_bytes,
    session::Session,
    when::{self, Moment},
};

use super::ahead;

/// Play events back in time order, or follow new events with -f
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog read orders.eu --since '2h ago'
  hourlog read orders.eu --since 9:00 --until 10:00 -o ndjson | jq .data
  hourlog read orders.eu --tail 10 -f
  hourlog read orders.eu -f --cursor mailer -o ndjson | ./send-mails
  hourlog read orders.eu --after 1795415799411123024-1099511627818 --limit 100
  hourlog read photos.door --tail 1 -o raw > door.jpg")]
pub(super) struct Read {
    /// Log id
    log: LogId,
    /// Start time, inclusive; with -f, the arrival time to start from
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// End time, exclusive; end for the end of the log [default: end; with --tail and --reverse, the newest event up
    /// to now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "follow")]
    until: Option<String>,
    /// Position to continue after, or arrival cursor (a:…), which reads in arrival order
    #[arg(long, value_name = "POSITION", allow_hyphen_values = true, conflicts_with_all = ["since", "tail"])]
    after: Option<String>,
    /// Maximum number of events
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Number of newest events to read, up to now
    #[arg(long, value_name = "N", conflicts_with_all = ["reverse", "since"])]
    tail: Option<u32>,
    /// Read the newest event first, from now backwards
    #[arg(long, conflicts_with = "follow")]
    reverse: bool,
    /// Follow new events as they arrive, in arrival order
    #[arg(short, long)]
    follow: bool,
    /// Go on, in arrival order, where the last reader of this name stopped, or else at --since; the service keeps
    /// the place, which moves once events are written out
    #[arg(long, value_name = "NAME", conflicts_with_all = ["until", "after", "tail", "reverse"])]
    cursor: Option<CursorName>,
}

const COLUMNS: [TableColumn; 7] = [
    TableColumn("log", Align::Left),
    TableColumn("position", Align::Left),
    TableColumn("time", Align::Left),
    TableColumn("arrived", Align::Left),
    TableColumn("metadata", Align::Left),
    TableColumn("data", Align::Left),
    TableColumn("data_base64", Align::Left),
];

impl Read {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let since = session.moment("--since", self.since.as_deref()).await?;
        let until = session.moment("--until", self.until.as_deref()).await?;
        let after = self.after.as_deref().map(parse_after).transpose()?;
        let by_arrival = matches!(after, Some(Cursor::Arrival(_)));
        if by_arrival && (until.is_some() || self.reverse) {
            return Err(Failure::usage(
                "--after a:… reads forward in arrival order, without an end; leave out --until and --reverse",
            ));
        }
        if let (Some(Moment::At(since)), Some(Moment::At(until))) = (since, until)
            && since > until
        {
            return Err(Failure::usage(format!("--since {since} is later than --until {until}; swap them")));
        }
        let remote = session.open().await?.remote;
        let mut printer = EventPrinter { session, table: session.out.table(&COLUMNS), count: 0 };
        if let Some(name) = &self.cursor {
            self.read_by_cursor(&remote, name, since, &mut printer).await?;
        } else if self.follow {
            self.follow(&remote, since, after, &mut printer).await?;
        } else if let Some(tail) = self.tail {
            self.tell_ahead(session, &remote, until).await?;
            for event in tail_events(&remote, &self.log, until, tail).await? {
                printer.print(&event)?;
            }
        } else {
            let mode = if self.reverse { " --reverse" } else { "" };
            session.resume_reading(&self.log, mode);
            let request = ReplayRequest {
                from: when::lower_bound(since),
                to: until.map(When::from),
                after,
                limit: self.limit,
                order: if by_arrival { Order::Arrival } else { Order::Timeline },
                reverse: self.reverse,
                ..ReplayRequest::default()
            };
            if self.reverse && after.is_none() {
                self.tell_ahead(session, &remote, until).await?;
            }
            if since.is_some() || after.is_some() {
                let page = tell_expired(session, &remote, &self.log, &request).await?;
                tell_moved(session, &page);
            }
            let mut events = pin!(remote.events(self.log.clone(), request));
            while let Some(event) = printer.next(&mut events).await? {
                printer.print(&event)?;
                let cursor =
                    if by_arrival { Cursor::Arrival(arrival(&event)) } else { Cursor::Timeline(event.position) };
                session.reached(cursor);
            }
        }
        printer.table.finish()
    }

    /// Tells the user of events that lie ahead of now, if the read begins before them.
    async fn tell_ahead(&self, session: &Session, remote: &Remote, until: Option<Moment>) -> Result<(), Failure> {
        if until.is_none() {
            let request = ReplayRequest { reverse: true, limit: Some(1), ..ReplayRequest::default() };
            ahead::tell(session, remote.replay(&self.log, &request).await?.ahead, "--until end");
        }
        Ok(())
    }

    /// Prints every event that arrives after the start, once each, however late it is.
    async fn follow(
        &self,
        remote: &Remote,
        since: Option<Moment>,
        after: Option<Cursor>,
        printer: &mut EventPrinter<'_>,
    ) -> Result<(), Failure> {
        let session = printer.session;
        session.resume_reading(&self.log, " -f");
        let mut printed: HashSet<Seq> = HashSet::new();
        let mut arrived_since = Offset::MIN;
        let tail = self.tail.or(match since {
            Some(Moment::Last) => Some(1),
            Some(Moment::End) => Some(0),
            _ => None,
        });
        let from = match (after, since, tail) {
            (Some(Cursor::Arrival(after)), ..) => Some(after),
            (Some(Cursor::Timeline(position)), ..) => Some(arrival_at(remote, &self.log, position).await?),
            (None, Some(Moment::At(time)), _) => {
                arrived_since = time;
                Some(ArrivalCursor { time, seq: Seq::ZERO })
            }
            (None, _, Some(tail)) => {
                // Read the newest arrival first. An event that arrives before the tail is read is
                // then in both, and its seq tells. In the other order it would be missed.
                let from = newest_arrival(remote, &self.log).await?;
                self.tell_ahead(session, remote, None).await?;
                for event in tail_events(remote, &self.log, None, tail).await? {
                    printer.print(&event)?;
                    printed.insert(event.position.seq);
                }
                if let Some(from) = from {
                    session.reached(Cursor::Arrival(from));
                }
                from
            }
            (None, ..) => None,
        };
        let request = ReplayRequest { after: from.map(Cursor::Arrival), ..ReplayRequest::default() };
        if since.is_some() || after.is_some() {
            let request = ReplayRequest { order: Order::Arrival, ..request.clone() };
            tell_expired(session, remote, &self.log, &request).await?;
        }
        let mut events = pin!(
            remote
                .tail_pages(self.log.clone(), request)
                .map_ok(|page| {
                    tell_moved(session, &page);
                    stream::iter(page.events).map(Ok)
                })
                .try_flatten()
        );
        let limit = self.limit.map_or(u64::MAX, u64::from);
        while printer.count < limit {
            let Some(event) = printer.next(&mut events).await? else { break };
            let arrival = arrival(&event);
            if arrival.time >= arrived_since && !printed.remove(&arrival.seq) {
                printer.print(&event)?;
            }
            session.reached(Cursor::Arrival(arrival));
        }
        Ok(())
    }
}

/// Tells the user if the read begins before events that retention or a purge has removed, and where it
/// begins instead.
async fn tell_expired(
    session: &Session,
    remote: &Remote,
    log: &LogId,
    request: &ReplayRequest,
) -> Result<RemotePage, Failure> {
    let page = remote.replay(log, &ReplayRequest { limit: Some(1), ..request.clone() }).await?;
    let Some(expired) = page.expired else { return Ok(page) };
    let expired = when::show_with_zone(expired, &session.zone);
    session.out.note(&match page.resolved.filter(|_| !request.reverse) {
        Some(first) => {
            let first = when::show_with_zone(first.offset, &session.zone);
            format!("events of {log} before {expired} were removed; reading from {first}")
        }
        None => format!("events of {log} before {expired} were removed"),
    });
    Ok(page)
}

/// Tells the user if the cursor was ahead of what is left after the archive was set back.
fn tell_moved(session: &Session, page: &RemotePage) {
    if let Some(moved) = &page.moved {
        session.out.note(&moved.to_string());
    }
}

fn parse_after(text: &str) -> Result<Cursor, Failure> {
    text.parse().map_err(|error: Error| Failure::usage(format!("--after: {error}")))
}

/// Returns the arrival cursor just after an event.
fn arrival(event: &Event) -> ArrivalCursor {
    ArrivalCursor { time: event.arrival_time(), seq: event.position.seq }
}

/// Returns the arrival cursor just after the event at `position`.
pub(super) async fn arrival_at(remote: &Remote, log: &LogId, position: Position) -> Result<ArrivalCursor, Failure> {
    let before = Position { seq: position.seq.saturating_previous(), ..position };
    let request = ReplayRequest { after: Some(Cursor::Timeline(before)), limit: Some(1), ..ReplayRequest::default() };
    match first(remote, log, request).await? {
        Some(event) if event.position == position => Ok(arrival(&event)),
        _ => Err(Error::new(
            ErrorKind::NotFound,
            format!("{log} has no event at {position}; give a position that read has printed, or a time with --since"),
        )
        .into()),
    }
}

/// Returns the cursor after everything that has arrived so far; `None` for an empty log.
pub(super) async fn newest_arrival(remote: &Remote, log: &LogId) -> Result<Option<ArrivalCursor>, Failure> {
    let request = |to| ReplayRequest { to, reverse: true, limit: Some(1), ..ReplayRequest::default() };
    // Arrivals are read from the event on, so one that lies ahead of now is the last resort: it may have arrived long ago.
    let newest = match first(remote, log, request(None)).await? {
        Some(newest) => Some(newest),
        None => first(remote, log, request(Some(When::End))).await?,
    };
    let Some(newest) = newest else { return Ok(None) };
    let mut after = arrival(&newest);
    loop {
        let request = ReplayRequest {
            after: Some(Cursor::Arrival(after)),
            order: Order::Arrival,
            limit: Some(PAGE_EVENTS_MAX),
            ..ReplayRequest::default()
        };
        let page = remote.replay(log, &request).await?;
        after = match page.next {
            Some(Cursor::Arrival(next)) => next,
            None => after,
            Some(Cursor::Timeline(_)) => {
                return Err(
                    Error::new(ErrorKind::Unexpected, "a page in arrival order has a cursor of the timeline").into()
                );
            }
        };
        if page.end.is_last() {
            return Ok(Some(after));
        }
    }
}

async fn first(remote: &Remote, log: &LogId, request: ReplayRequest) -> Result<Option<Event>, Failure> {
    Ok(pin!(remote.events(log.clone(), request)).next().await.transpose()?)
}

/// Returns the last `count` events before `until`, in time order.
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

/// Writer of events to stdout.
struct EventPrinter<'a> {
    session: &'a Session,
    table: TableWriter<'a>,
    count: u64,
}

impl EventPrinter<'_> {
    /// Waits for the next event. Flushes the output before a wait.
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

    fn print(&mut self, event: &Event) -> Result<(), Failure> {
        self.count += 1;
        match self.session.out.format() {
            Format::Table => {
                let time = when::show(event.position.offset, &self.session.zone);
                self.session.out.line(&time, &event_line(event))
            }
            Format::Raw => self.session.out.raw(&event.record.data),
            _ => self.table.push(&JsonEvent::from(event), Vec::new),
        }
    }
}

/// Formats an event as one line: its data, then its metadata.
fn event_line(event: &Event) -> String {
    let mut line = sanitize_bytes(&event.record.data).into_owned();
    for (name, values) in event.record.metadata.iter() {
        let separator = if line.is_empty() { "" } else { "  " };
        line.push_str(&format!("{separator}{name}={}", values.join(",")));
    }
    line
}
