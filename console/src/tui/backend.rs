//! The backend: performs effects. Each request is a task that ends with a message.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt, future::try_join, stream};
use hourlog::{
    Cursor, Error, ErrorKind, Event, LogId, Offset, Position, Remote, Result,
    wire::{LogsReply, Moved, Order, PAGE_EVENTS_DEFAULT, ReplayRequest, TimelineReply, TimelineRequest, When},
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
};

use crate::tui::{
    listing::Listing,
    loaded::{Fetch, FetchedEvents},
    msg::{Effect, Msg, Request},
    pattern::Pattern,
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
    /// Returns the newest events that do not lie ahead of now; of a log that has none, the last events.
    fn newest(&self, log: &LogId, limit: u32) -> impl Future<Output = Result<FetchedEvents>> + Send;
    /// Returns events from `from` on, or before it with the nearest first, and whether there are no
    /// more.
    fn page(
        &self,
        log: &LogId,
        from: Position,
        direction: Direction,
        limit: u32,
    ) -> impl Future<Output = Result<(Vec<Event>, bool)>> + Send;
    /// Counts events by time; without a span, those of the whole log.
    fn count(
        &self,
        log: &LogId,
        span: Option<(Offset, Offset)>,
        bins: u32,
    ) -> impl Future<Output = Result<TimelineReply>> + Send;
    /// Returns the cursor after the newest event, in arrival order.
    fn newest_arrival(&self, log: &LogId) -> impl Future<Output = Result<Option<Cursor>>> + Send;
    /// Waits for events after a cursor, in arrival order.
    fn arrivals(&self, log: &LogId, after: Option<Cursor>) -> impl Future<Output = Result<Arrivals>> + Send;
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
    tasks: JoinSet<()>,
    follower: Option<AbortHandle>,
    scanner: Option<AbortHandle>,
}

impl<S: Source> Backend<S> {
    /// Returns a backend that sends its answers to `messages`.
    pub fn new(source: S, messages: mpsc::Sender<Msg>) -> Self {
        Self { source: Arc::new(source), messages, tasks: JoinSet::new(), follower: None, scanner: None }
    }

    /// Starts an effect. Effects on the terminal are ignored here.
    pub fn start(&mut self, effect: Effect) {
        while self.tasks.try_join_next().is_some() {}
        let (source, messages) = (Arc::clone(&self.source), self.messages.clone());
        match effect {
            Effect::Ask(request) => {
                self.tasks.spawn(async move {
                    // If nobody receives the answer, the console has been left.
                    let _ = messages.send(answer(&*source, request).await).await;
                });
            }
            Effect::Follow { opened, log } => {
                let follower = self.tasks.spawn(async move { follow(&*source, &messages, opened, &log).await });
                replace(&mut self.follower, Some(follower));
            }
            Effect::Scan { opened, number, log, pattern, progress } => {
                let scanner = self.tasks.spawn(async move {
                    let mut pages = pin!(scan(&*source, &log, &pattern, progress));
                    while let Some(page) = pages.next().await {
                        if messages.send(Msg::Scanned { opened, number, page }).await.is_err() {
                            return;
                        }
                    }
                });
                replace(&mut self.scanner, Some(scanner));
            }
            Effect::StopFollowing => replace(&mut self.follower, None),
            Effect::StopScanning => replace(&mut self.scanner, None),
            Effect::Copy(_) | Effect::Quit | Effect::Suspend | Effect::Redraw => {}
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
        Request::Load { opened, log, fetch } => Msg::Loaded { opened, fetch, events: load(source, &log, fetch).await },
        Request::Count { opened, log, span, bins } => {
            Msg::Counted { opened, counts: source.count(&log, span, bins).await }
        }
    }
}

async fn load(source: &impl Source, log: &LogId, fetch: Fetch) -> Result<FetchedEvents> {
    let before = |position, limit| events_before(source, log, position, limit);
    let from = |position| source.page(log, position, Direction::Forward, PAGE);
    match fetch {
        Fetch::Around(position) => {
            let ((mut events, first_reached), (after, last_reached)) =
                try_join(before(position, PAGE / 2), from(position)).await?;
            events.extend(after);
            Ok(FetchedEvents { events, first_reached, last_reached })
        }
        Fetch::After(position) => {
            let (events, last_reached) = from(position.next()).await?;
            Ok(FetchedEvents { events, first_reached: false, last_reached })
        }
        Fetch::Before(position) => {
            let (events, first_reached) = before(position, PAGE).await?;
            Ok(FetchedEvents { events, first_reached, last_reached: false })
        }
        Fetch::Newest => {
            let newest = source.newest(log, PAGE).await?;
            if newest.last_reached || !newest.events.is_empty() {
                return Ok(newest);
            }
            let (events, first_reached) = before(Position::MAX, PAGE).await?;
            Ok(FetchedEvents { events, first_reached, last_reached: true })
        }
    }
}

/// Returns events before a position, in timeline order, and whether there are no more.
async fn events_before(
    source: &impl Source,
    log: &LogId,
    position: Position,
    limit: u32,
) -> Result<(Vec<Event>, bool)> {
    let (mut events, first_reached) = source.page(log, position, Direction::Backward, limit).await?;
    events.reverse();
    Ok((events, first_reached))
}

/// Sends every event that arrives, until the task is aborted. Reports a failure and retries.
async fn follow(source: &impl Source, messages: &mpsc::Sender<Msg>, opened: u64, log: &LogId) {
    // The cursor to continue from, once it is known.
    let mut after: Option<Option<Cursor>> = None;
    // A request that waits for events does not tell whether the service is there. This one is
    // answered at once.
    let mut asks_for_newest = true;
    loop {
        let answer = if asks_for_newest {
            source.newest_arrival(log).await.map(|newest| {
                after.get_or_insert(newest);
                Msg::FollowStarted { opened }
            })
        } else {
            match source.arrivals(log, after.flatten()).await {
                Ok(Arrivals { events, next, moved }) => {
                    after = Some(next);
                    // The events on the screen may be lost, so the console must load them again.
                    match moved {
                        None => Ok(Msg::Arrived { opened, events: Ok(events) }),
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
            Err(error) => Msg::Arrived { opened, events: Err(error) },
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
struct Scan {
    progress: ScanProgress,
    direction: Direction,
    hits: usize,
    pages: usize,
}

/// Searches a log from where `progress` ends, in alternating directions, page by page.
pub fn scan(
    source: &impl Source,
    log: &LogId,
    pattern: &Pattern,
    progress: ScanProgress,
) -> impl Stream<Item = Result<ScanPage>> {
    let begin = Some(Scan { progress, direction: Direction::Forward, hits: 0, pages: 0 });
    stream::try_unfold(begin, move |scan| async move {
        let Some(mut scan) = scan else { return Ok(None) };
        // The first page does not wait for the count, and a scan that may not count goes on without
        // it.
        if scan.pages == 1 && scan.progress.log_events.is_none() {
            scan.progress.log_events = source.count(log, None, 1).await.ok().map(|reply| reply.count);
        }
        let hits = scan_page(source, log, pattern, scan.direction, &mut scan.progress).await?;
        scan.pages += 1;
        scan.hits += hits.len();
        let next = next_direction(&scan.progress, scan.direction).filter(|_| scan.hits < HITS_MAX);
        let page = ScanPage { hits, progress: scan.progress.clone(), goes_on: next.is_some() };
        Ok(Some((page, next.map(|direction| Scan { direction, ..scan }))))
    })
}

/// Returns the direction of the next page: the other one, unless its end is reached.
fn next_direction(progress: &ScanProgress, last: Direction) -> Option<Direction> {
    match (progress.first_reached, progress.last_reached) {
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
    log: &LogId,
    pattern: &Pattern,
    direction: Direction,
    progress: &mut ScanProgress,
) -> Result<Vec<Position>> {
    let ScanProgress { from, to, first_reached, last_reached, events: searched, .. } = progress;
    // Each direction moves its own end of the searched stretch.
    let (end, end_reached, limit) = match direction {
        Direction::Forward => (to, last_reached, Position::MAX),
        Direction::Backward => (from, first_reached, Position::MIN),
    };
    if *end == limit {
        *end_reached = true;
        return Ok(Vec::new());
    }
    let (events, ended) = source.page(log, *end, direction, PAGE_EVENTS_DEFAULT).await?;
    *end_reached = ended;
    if let Some(last) = events.last() {
        *end = match direction {
            Direction::Forward => last.position.next(),
            Direction::Backward => last.position,
        };
    }
    *searched += events.len() as u64;
    Ok(events.iter().filter(|event| pattern.matches(event)).map(|event| event.position).collect())
}

impl Source for Remote {
    async fn logs(&self) -> Result<LogsReply> {
        Listing::default().update(self).await
    }

    async fn newest(&self, log: &LogId, limit: u32) -> Result<FetchedEvents> {
        let request = ReplayRequest { reverse: true, limit: Some(limit), ..ReplayRequest::default() };
        let page = self.replay(log, &request).await?;
        let (first_reached, last_reached) = (page.end.is_last(), page.ahead.is_none());
        Ok(FetchedEvents { events: page.events.into_iter().rev().collect(), first_reached, last_reached })
    }

    async fn page(&self, log: &LogId, from: Position, direction: Direction, limit: u32) -> Result<(Vec<Event>, bool)> {
        let reverse = direction == Direction::Backward;
        let request = ReplayRequest { reverse, limit: Some(limit), ..ReplayRequest::default() };
        let request = match (from, direction) {
            (Position::MIN, Direction::Forward) => request,
            (Position::MAX, Direction::Backward) => ReplayRequest { to: Some(When::End), ..request },
            (from, Direction::Backward) if from == Position::at(from.offset) => {
                ReplayRequest { to: Some(When::At(from.offset)), ..request }
            }
            // The cursor is exclusive. Backward it is the position itself, forward the position
            // before it.
            (from, Direction::Backward) => ReplayRequest { after: Some(Cursor::Timeline(from)), ..request },
            (from, Direction::Forward) => {
                ReplayRequest { from: Some(When::At(from.offset)), after: previous(from), ..request }
            }
        };
        let page = self.replay(log, &request).await?;
        // A page that the deadline cut short has not reached the end.
        Ok((page.events, page.end.is_last()))
    }

    async fn count(&self, log: &LogId, span: Option<(Offset, Offset)>, bins: u32) -> Result<TimelineReply> {
        let (from, to) = span.map_or((None, None), |(from, to)| (Some(When::At(from)), Some(When::At(to))));
        self.timeline(log, &TimelineRequest { from, to, bins: Some(bins), ..TimelineRequest::default() }).await
    }

    async fn newest_arrival(&self, log: &LogId) -> Result<Option<Cursor>> {
        let request = ReplayRequest { order: Order::Arrival, from: Some(When::Last), ..ReplayRequest::default() };
        Ok(self.replay(log, &request).await?.next)
    }

    async fn arrivals(&self, log: &LogId, after: Option<Cursor>) -> Result<Arrivals> {
        let wait = WAIT.parse().ok();
        let request = ReplayRequest { order: Order::Arrival, after, wait, ..ReplayRequest::default() };
        let page = self.replay(log, &request).await?;
        Ok(Arrivals { events: page.events, next: page.next, moved: page.moved })
    }
}

/// Returns the previous position at the same time, or `None` if `position` is the first of its
/// time.
fn previous(position: Position) -> Option<Cursor> {
    position.seq.previous().map(|seq| Cursor::Timeline(Position { seq, ..position }))
}
