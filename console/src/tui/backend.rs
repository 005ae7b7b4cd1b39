//! The backend: performs effects. Each request is a task that ends with a message.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use futures_util::{
    Stream, StreamExt,
    future::{join_all, try_join},
    stream,
};
use hourlog::{
    ArrivalCursor, Cursor, Error, ErrorKind, Event, LogId, Offset, Position, Remote, Result,
    wire::{
        LogsReply, LogsRequest, Moved, Order, PAGE_EVENTS_DEFAULT, PAGE_EVENTS_MAX, ReplayRequest, StripReply,
        StripRequest, TimelineReply, TimelineRequest, When,
    },
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
};

use crate::tui::{
    filter::Selection,
    lanes::Lanes,
    listing::Listing,
    merging,
    msg::{Effect, Msg, Request, Scan, StripsRequest},
    pages::{Fetch, Fetched},
    scan::{Direction, ScanPage, ScanProgress},
    state::HITS_MAX,
};

/// Number of events in a request.
const PAGE: u32 = 400;
/// Time that the service holds a follower's request while no event arrives.
const WAIT: &str = "20s";
/// Pause before a failed follower retries.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The source of the console's data: the service, or an archive in a test's memory.
pub trait Source: Send + Sync + 'static {
    /// Returns all logs, by id.
    fn logs(&self) -> impl Future<Output = Result<LogsReply>> + Send;
    /// Returns the counts of some logs over time. One that does not exist has none.
    fn strips(&self, request: &StripsRequest) -> impl Future<Output = Result<Vec<(LogId, StripReply)>>> + Send;
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

/// The running tasks. There is at most one follower and one scan.
#[derive(Debug)]
pub struct Backend<S> {
    source: Arc<S>,
    messages: mpsc::Sender<Msg>,
    /// Requests for the list of logs.
    listing: JoinSet<()>,
    /// Requests for the open log.
    asking: JoinSet<()>,
    /// The follower and the scan.
    lasting: JoinSet<()>,
    follower: Option<AbortHandle>,
    scanner: Option<AbortHandle>,
}

impl<S: Source> Backend<S> {
    /// Returns a backend that sends its answers to `messages`.
    pub fn new(source: S, messages: mpsc::Sender<Msg>) -> Self {
        let (listing, asking, lasting) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
        Self { source: Arc::new(source), messages, listing, asking, lasting, follower: None, scanner: None }
    }

    /// Starts an effect. Effects on the terminal are ignored here.
    pub fn start(&mut self, effect: Effect) {
        for tasks in [&mut self.listing, &mut self.asking, &mut self.lasting] {
            while tasks.try_join_next().is_some() {}
        }
        let (source, messages) = (Arc::clone(&self.source), self.messages.clone());
        match effect {
            Effect::Ask(request) => {
                let is_of_list = matches!(request, Request::Logs | Request::Strips(_));
                let tasks = if is_of_list { &mut self.listing } else { &mut self.asking };
                tasks.spawn(async move {
                    // If nobody receives the answer, the console has been left.
                    let _ = messages.send(answer(&*source, request).await).await;
                });
            }
            Effect::Follow { number, lanes, selection } => {
                let follower = self
                    .lasting
                    .spawn(async move { follow_all(&*source, &messages, number, &lanes, &selection).await });
                replace(&mut self.follower, Some(follower));
            }
            Effect::Scan { number, scan: scanned } => {
                let scanner = self.lasting.spawn(async move {
                    let mut pages = pin!(scan(&*source, &scanned));
                    while let Some(page) = pages.next().await {
                        if messages.send(Msg::Scanned { number, page }).await.is_err() {
                            return;
                        }
                    }
                });
                replace(&mut self.scanner, Some(scanner));
            }
            Effect::StopFollowing => replace(&mut self.follower, None),
            Effect::StopScanning => replace(&mut self.scanner, None),
            Effect::StopAsking => self.asking.abort_all(),
            Effect::Copy(_) | Effect::Quit | Effect::Suspend | Effect::Redraw | Effect::Mouse(_) => {}
        }
    }
}

/// Puts a task, or none, in the place of another, which is aborted.
fn replace(task: &mut Option<AbortHandle>, by: Option<AbortHandle>) {
    if let Some(previous) = std::mem::replace(task, by) {
        previous.abort();
    }
}

/// Returns the answer to a request.
pub async fn answer(source: &impl Source, request: Request) -> Msg {
    match request {
        Request::Logs => Msg::Logs(source.logs().await),
        Request::Strips(request) => {
            let strips = source.strips(&request).await;
            Msg::Strips { request, strips }
        }
        Request::Load { number, lanes, fetch, selection } => {
            Msg::Loaded { number, events: load(source, &lanes, fetch, &selection).await }
        }
        Request::Check { number, lanes, selection } => {
            Msg::Checked { number, result: source.check(lanes.first(), &selection).await }
        }
        Request::Count { number, kind, lanes, request } => {
            Msg::Counted { number, kind, counts: merging::count(source, &lanes, &request).await }
        }
    }
}

async fn load(source: &impl Source, lanes: &Lanes, fetch: Fetch, selection: &Selection) -> Result<Fetched> {
    let page = |at, direction, limit| merging::page(source, lanes, at, direction, limit, selection);
    match fetch {
        Fetch::Around(position) => {
            let before = page(position, Direction::Backward, PAGE / 2);
            let (before, after) = try_join(before, page(position, Direction::Forward, PAGE)).await?;
            let (scanned, mut events) = (before.scanned + after.scanned, before.events);
            events.extend(after.events);
            Ok(Fetched { from: before.from, to: after.to, events, scanned })
        }
        Fetch::From(position) => page(position, Direction::Forward, PAGE).await,
        Fetch::Before(position) => page(position, Direction::Backward, PAGE).await,
        Fetch::Newest => {
            let newest = merging::newest(source, lanes, PAGE, selection).await?;
            if newest.to == Position::MAX || !newest.events.is_empty() {
                return Ok(newest);
            }
            // All events lie ahead of now, or the filter passes none of those that it has seen.
            match selection.is_all() {
                true => page(Position::MAX, Direction::Backward, PAGE).await,
                false => Ok(newest),
            }
        }
    }
}

/// Follows all lanes, until the task is aborted.
async fn follow_all(
    source: &impl Source,
    messages: &mpsc::Sender<Msg>,
    number: u64,
    lanes: &Lanes,
    selection: &Selection,
) {
    join_all(lanes.logs().iter().map(|log| follow(source, messages, number, log, selection))).await;
}

/// Sends every event that arrives, until the task is aborted. Reports a failure and retries.
async fn follow(source: &impl Source, messages: &mpsc::Sender<Msg>, number: u64, log: &LogId, selection: &Selection) {
    // The cursor to continue from, once it is known.
    let mut after: Option<Option<Cursor>> = None;
    // A request that waits for events does not tell whether the service is there. This one is
    // answered at once.
    let mut asks_for_newest = true;
    loop {
        let answer = if asks_for_newest {
            source.newest_arrival(log).await.map(|newest| {
                after.get_or_insert(newest);
                Msg::FollowStarted { number }
            })
        } else {
            match source.arrivals(log, after.flatten(), selection).await {
                Ok(Arrivals { events, next, moved }) => {
                    after = Some(next);
                    // The events on the screen may be lost, so the console must load them again.
                    match moved {
                        None => Ok(Msg::Arrived { number, events: Ok(events) }),
                        Some(moved) => Err(Error::new(ErrorKind::Unavailable, moved.to_string())),
                    }
                }
                Err(error) => Err(error),
            }
        };
        asks_for_newest = answer.is_err();
        let msg = match answer {
            Ok(msg) => msg,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // The first event creates the log, so follow from its start.
                after = Some(None);
                asks_for_newest = false;
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            }
            Err(error) => Msg::Arrived { number, events: Err(error) },
        };
        if messages.send(msg).await.is_err() {
            return;
        }
        if asks_for_newest {
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }
}

/// A scan between two pages.
struct ScanState {
    progress: ScanProgress,
    direction: Direction,
    hits: usize,
    pages: usize,
}

/// Searches a log from where its progress ends, in alternating directions, page by page.
pub fn scan(source: &impl Source, scan: &Scan) -> impl Stream<Item = Result<ScanPage>> {
    let begin = ScanState { progress: scan.progress.clone(), direction: Direction::Forward, hits: 0, pages: 0 };
    stream::try_unfold(Some(begin), move |state| async move {
        let Some(mut state) = state else { return Ok(None) };
        // The first page does not wait for the count, and a scan that may not count goes on without
        // it.
        if state.pages == 1 && state.progress.log_events.is_none() {
            let request = TimelineRequest { bins: Some(1), to: Some(When::End), ..TimelineRequest::default() };
            state.progress.log_events =
                merging::count(source, &scan.lanes, &request).await.ok().map(|reply| reply.count);
        }
        let hits = scan_page(source, scan, state.direction, &mut state.progress).await?;
        state.pages += 1;
        state.hits += hits.len();
        let next = next_direction(&state.progress, state.direction).filter(|_| state.hits < HITS_MAX);
        let page = ScanPage { hits, progress: state.progress.clone(), goes_on: next.is_some() };
        Ok(Some((page, next.map(|direction| ScanState { direction, ..state }))))
    })
}

/// Returns the direction of the next page: the other one, unless its end is reached.
fn next_direction(progress: &ScanProgress, last: Direction) -> Option<Direction> {
    match (progress.from == Position::MIN, progress.to == Position::MAX) {
        (true, true) => None,
        (true, false) => Some(Direction::Forward),
        (false, true) => Some(Direction::Backward),
        (false, false) => Some(match last {
            Direction::Forward => Direction::Backward,
            Direction::Backward => Direction::Forward,
        }),
    }
}

/// Searches the next page in a direction, and returns its hits.
async fn scan_page(
    source: &impl Source,
    scan: &Scan,
    direction: Direction,
    progress: &mut ScanProgress,
) -> Result<Vec<Position>> {
    // Each direction moves its own end of the searched stretch.
    let end = match direction {
        Direction::Forward => progress.to,
        Direction::Backward => progress.from,
    };
    let (selection, is_searched) = scan.selection.searching(&scan.pattern);
    let page = merging::page(source, &scan.lanes, end, direction, PAGE_EVENTS_DEFAULT, &selection).await?;
    match direction {
        Direction::Forward => progress.to = page.to,
        Direction::Backward => progress.from = page.from,
    }
    progress.events += page.scanned;
    Ok(Selection::hits(&page.events, &scan.pattern, is_searched).map(|event| event.position).collect())
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
        let (from, to) = match direction {
            Direction::Forward if is_last => (at, Position::MAX),
            Direction::Forward => (at, last.map_or(at, Position::next)),
            Direction::Backward if is_last => (Position::MIN, at),
            Direction::Backward => (last.unwrap_or(at), at),
        };
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
