//! The source of the console's data, and the service as one.

use std::future::Future;

use hourlog::{
    ArrivalCursor, Cursor, ErrorKind, Event, LogId, Offset, Position, Remote, Result,
    remote::TIMEOUT_DEFAULT,
    wire::{
        LogsReply, LogsRequest, Moved, Order, PAGE_EVENTS_MAX, ReplayRequest, StripReply, StripRequest, TimelineReply,
        TimelineRequest, When,
    },
};

use crate::{
    connect::Denials,
    tui::{
        asking, filter::Selection, listing::Listing, msg::StripsRequest, pages::Fetched, report::ServiceReport,
        scan::Direction,
    },
};

/// Time that the service holds a follower's request while no event arrives.
const WAIT: &str = "20s";

/// The source of the console's data: the service, or an archive in a test's memory.
pub trait Source: Send + Sync + 'static {
    /// Returns all logs, by id.
    fn logs(&self) -> impl Future<Output = Result<LogsReply>> + Send;
    /// Returns the counts of some logs over time. One that does not exist has none.
    fn strips(&self, request: &StripsRequest) -> impl Future<Output = Result<Vec<(LogId, StripReply)>>> + Send;
    /// Returns the report of the service about itself, with a reason in the place of what cannot be read.
    fn service(&self) -> impl Future<Output = ServiceReport> + Send;
    /// Returns the newest selected events that do not lie ahead of now.
    fn newest(&self, log: &LogId, limit: u32, selection: &Selection) -> impl Future<Output = Result<Fetched>> + Send;
    /// Returns selected events from a position on, or before it. The stretch that was read may end before the limit is
    /// reached.
    fn page(
        &self,
        log: &LogId,
        at: Position,
        direction: Direction,
        limit: u32,
        selection: &Selection,
    ) -> impl Future<Output = Result<Fetched>> + Send;
    /// Checks a selection, without reading events.
    fn check(&self, log: &LogId, selection: &Selection) -> impl Future<Output = Result<()>> + Send;
    /// Counts events by time.
    fn count(&self, log: &LogId, request: &TimelineRequest) -> impl Future<Output = Result<TimelineReply>> + Send;
    /// Returns the cursor after the newest event, in arrival order.
    fn newest_arrival(&self, log: &LogId) -> impl Future<Output = Result<Option<Cursor>>> + Send;
    /// Waits for selected events after a cursor, in arrival order.
    fn arrivals(
        &self,
        log: &LogId,
        after: Option<Cursor>,
        selection: &Selection,
    ) -> impl Future<Output = Result<Arrivals>> + Send;
}

/// Events that have arrived.
#[derive(Debug)]
pub struct Arrivals {
    /// The events, in arrival order.
    pub events: Vec<Event>,
    /// The cursor to continue from.
    pub next: Option<Cursor>,
    /// Set if the archive was set back, and the cursor of the request was ahead of it.
    pub moved: Option<Moved>,
}

impl Source for Remote {
    async fn logs(&self) -> Result<LogsReply> {
        Listing::default().update(self).await
    }

    async fn strips(&self, request: &StripsRequest) -> Result<Vec<(LogId, StripReply)>> {
        let (from, to) = request.axis;
        let strip = StripRequest { from: When::At(from), to: When::At(to), bins: request.bins };
        let (logs, strip) = (Some(request.logs.clone()), Some(strip));
        let reply = Remote::logs(self, &LogsRequest { logs, strip, all: true, ..LogsRequest::default() }).await?;
        Ok(reply.logs.into_iter().filter_map(|log| Some((log.log, log.strip?))).collect())
    }

    async fn service(&self) -> ServiceReport {
        asking::ask(self, TIMEOUT_DEFAULT, &Denials::default()).await
    }

    async fn newest(&self, log: &LogId, limit: u32, selection: &Selection) -> Result<Fetched> {
        let page = self.replay(log, &ReplayRequest { reverse: true, ..request(limit, selection) }).await?;
        // Nothing lies between the newest event and those that lie ahead of now.
        let to = page.ahead.map_or(Position::MAX, |ahead| Position::at(ahead.first));
        let from = if page.end.is_last() { Position::MIN } else { timeline(page.next).unwrap_or(to) };
        Ok(Fetched { from, to, events: page.events.into_iter().rev().collect(), scanned: page.scanned })
    }

    async fn page(
        &self,
        log: &LogId,
        at: Position,
        direction: Direction,
        limit: u32,
        selection: &Selection,
    ) -> Result<Fetched> {
        let request = request(limit, selection);
        let request = match (at, direction) {
            (Position::MIN, Direction::Forward) => request,
            (Position::MAX, Direction::Backward) => ReplayRequest { to: Some(When::End), reverse: true, ..request },
            (at, Direction::Backward) if at == Position::at(at.offset) => {
                ReplayRequest { to: Some(When::At(at.offset)), reverse: true, ..request }
            }
            // The cursor is exclusive. Backward it is the position itself, forward the position
            // before it.
            (at, Direction::Backward) => ReplayRequest { after: Some(Cursor::Timeline(at)), reverse: true, ..request },
            (at, Direction::Forward) => {
                ReplayRequest { from: Some(When::At(at.offset)), after: previous(at), ..request }
            }
        };
        let page = self.replay(log, &request).await?;
        // A page that the deadline cut short has not reached the end.
        let (is_last, last, mut events) = (page.end.is_last(), timeline(page.next), page.events);
        let (from, to) = if is_last { direction.rest(at) } else { direction.stretch(at, last) };
        if direction == Direction::Backward {
            events.reverse();
        }
        Ok(Fetched { from, to, events, scanned: page.scanned })
    }

    async fn check(&self, log: &LogId, selection: &Selection) -> Result<()> {
        // The service reads the selection before it finds that there is no time to read.
        let nowhere = Some(When::At(Offset::from_nanos(0)));
        self.replay(log, &ReplayRequest { from: nowhere, to: nowhere, ..request(1, selection) }).await.map(drop)
    }

    async fn count(&self, log: &LogId, request: &TimelineRequest) -> Result<TimelineReply> {
        self.timeline(log, request).await
    }

    async fn newest_arrival(&self, log: &LogId) -> Result<Option<Cursor>> {
        let newest =
            self.replay(log, &ReplayRequest { reverse: true, limit: Some(1), ..ReplayRequest::default() }).await?;
        let Some(newest) = newest.events.first() else { return Ok(None) };
        // Nothing that arrives from now on arrives before now. Who may not ask for the time reads from the newest event on.
        let time = match self.timeline(log, &TimelineRequest { bins: Some(1), ..TimelineRequest::default() }).await {
            Ok(counts) => counts.now,
            Err(error) if error.kind() == ErrorKind::NotAllowed => newest.arrival_time(),
            Err(error) => return Err(error),
        };
        let mut cursor = Cursor::Arrival(ArrivalCursor { time, seq: newest.position.seq });
        loop {
            let (after, limit) = (Some(cursor), Some(PAGE_EVENTS_MAX));
            let request = ReplayRequest { order: Order::Arrival, after, limit, ..ReplayRequest::default() };
            let page = self.replay(log, &request).await?;
            cursor = page.next.unwrap_or(cursor);
            if page.end.is_last() {
                return Ok(Some(cursor));
            }
        }
    }

    async fn arrivals(&self, log: &LogId, after: Option<Cursor>, selection: &Selection) -> Result<Arrivals> {
        let (wait, Selection { condition, text }) = (WAIT.parse().ok(), selection.clone());
        let request = ReplayRequest { order: Order::Arrival, after, wait, condition, text, ..ReplayRequest::default() };
        let page = self.replay(log, &request).await?;
        Ok(Arrivals { events: page.events, next: page.next, moved: page.moved })
    }
}

fn request(limit: u32, selection: &Selection) -> ReplayRequest {
    let Selection { condition, text } = selection.clone();
    ReplayRequest { limit: Some(limit), condition, text, ..ReplayRequest::default() }
}

/// Returns the position of a cursor in the timeline.
fn timeline(cursor: Option<Cursor>) -> Option<Position> {
    match cursor? {
        Cursor::Timeline(position) => Some(position),
        Cursor::Arrival(_) => None,
    }
}

/// Returns the previous position at the same time, or `None` if `position` is the first of its
/// time.
fn previous(position: Position) -> Option<Cursor> {
    position.seq.previous().map(|seq| Cursor::Timeline(Position { seq, ..position }))
}
