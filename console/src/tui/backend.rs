//! What does the console's asking: each effect is a task that ends in a message.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt, future::try_join, stream};
use hourlog::{
    End, ErrorKind, Event, LogId, Offset, Position, Remote, Result,
    wire::{LogReply, LogsRequest, Order, PAGE_EVENTS_DEFAULT, ReplayRequest, TimelineReply, TimelineRequest, When},
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
};

use crate::tui::{
    msg::{Ask, Effect, Fetch, Found, Msg, Scan},
    pattern::Pattern,
    state::{Direction, HITS_MAX, Scanned},
};

/// The events that are asked for at once.
const PAGE: u32 = 400;
/// How long a follower's request is held where nothing comes.
const WAIT: &str = "20s";
/// The pause before a follower that failed asks again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// The logs that are listed.
const LOGS_MAX: usize = 100_000;

/// What the console reads: the service, or an archive that a test has in memory.
pub trait Source: Send + Sync + 'static {
    /// All logs.
    fn logs(&self) -> impl Future<Output = Result<Vec<LogReply>>> + Send;
    /// Events in timeline order: from `from` on, or before it, the nearest first; and whether there are no more.
    fn page(
        &self,
        log: &LogId,
        from: Position,
        backwards: bool,
        limit: u32,
    ) -> impl Future<Output = Result<(Vec<Event>, bool)>> + Send;
    /// Counts by time; without times, of the whole log.
    fn count(
        &self,
        log: &LogId,
        span: Option<(Offset, Offset)>,
        bins: u32,
    ) -> impl Future<Output = Result<TimelineReply>> + Send;
    /// The cursor behind the newest event in the order of arrival.
    fn newest_arrival(&self, log: &LogId) -> impl Future<Output = Result<Option<String>>> + Send;
    /// What came behind a cursor, and the next cursor. Waits for something to come.
    fn arrivals(
        &self,
        log: &LogId,
        after: Option<String>,
    ) -> impl Future<Output = Result<(Vec<Event>, Option<String>)>> + Send;
}

/// The tasks that are under way.
#[derive(Debug)]
pub struct Backend<S> {
    source: Arc<S>,
    messages: mpsc::Sender<Msg>,
    tasks: JoinSet<()>,
    follower: Option<AbortHandle>,
    scanner: Option<AbortHandle>,
}

impl<S: Source> Backend<S> {
    /// Sends what it finds to `messages`.
    pub fn new(source: S, messages: mpsc::Sender<Msg>) -> Self {
        Self { source: Arc::new(source), messages, tasks: JoinSet::new(), follower: None, scanner: None }
    }

    /// Begins to do something. What is asked of the terminal is not for the backend.
    pub fn begin(&mut self, effect: Effect) {
        while self.tasks.try_join_next().is_some() {}
        let (source, messages) = (Arc::clone(&self.source), self.messages.clone());
        match effect {
            Effect::Ask(ask) => {
                self.tasks.spawn(async move {
                    // Whoever listens has left, where it cannot be sent.
                    let _ = messages.send(answer(&*source, ask).await).await;
                });
            }
            Effect::Follow { opened, log } => {
                let follow = self.tasks.spawn(async move { follow(&*source, &messages, opened, &log).await });
                instead(&mut self.follower, Some(follow));
            }
            Effect::Scan { opened, number, log, pattern, scanned } => {
                let scan = self.tasks.spawn(async move {
                    let mut scans = pin!(scan(&*source, &log, &pattern, scanned));
                    while let Some(scan) = scans.next().await {
                        if messages.send(Msg::Scanned { opened, number, scan }).await.is_err() {
                            return;
                        }
                    }
                });
                instead(&mut self.scanner, Some(scan));
            }
            Effect::StopFollowing => instead(&mut self.follower, None),
            Effect::StopScanning => instead(&mut self.scanner, None),
            Effect::Copy(_) | Effect::Quit => {}
        }
    }
}

/// Ends a task, for another or none.
fn instead(task: &mut Option<AbortHandle>, by: Option<AbortHandle>) {
    if let Some(before) = std::mem::replace(task, by) {
        before.abort();
    }
}

/// The answer to a question.
pub async fn answer(source: &impl Source, ask: Ask) -> Msg {
    match ask {
        Ask::Logs => Msg::Logs(source.logs().await),
        Ask::Load { opened, log, fetch } => Msg::Loaded { opened, fetch, found: load(source, &log, fetch).await },
        Ask::Count { opened, log, span, bins } => Msg::Bars { opened, bars: source.count(&log, span, bins).await },
    }
}

async fn load(source: &impl Source, log: &LogId, fetch: Fetch) -> Result<Found> {
    let reversed = |mut events: Vec<Event>| {
        events.reverse();
        events
    };
    match fetch {
        Fetch::Around(position) => {
            let (before, behind) =
                try_join(source.page(log, position, true, PAGE / 2), source.page(log, position, false, PAGE)).await?;
            let events = reversed(before.0).into_iter().chain(behind.0).collect();
            Ok(Found { events, first_reached: before.1, last_reached: behind.1 })
        }
        Fetch::After(position) => {
            let (events, last_reached) = source.page(log, position.next(), false, PAGE).await?;
            Ok(Found { events, first_reached: false, last_reached })
        }
        Fetch::Before(position) => {
            let (events, first_reached) = source.page(log, position, true, PAGE).await?;
            Ok(Found { events: reversed(events), first_reached, last_reached: false })
        }
        Fetch::Newest => {
            let (events, first_reached) = source.page(log, Position::MAX, true, PAGE).await?;
            Ok(Found { events: reversed(events), first_reached, last_reached: true })
        }
    }
}

/// Sends what comes, until it is aborted. A fault is told, and tried again.
async fn follow(source: &impl Source, messages: &mpsc::Sender<Msg>, opened: u64, log: &LogId) {
    // Where it goes on, once that is known.
    let mut after: Option<Option<String>> = None;
    // An answer that waits for something to come does not say that somebody is there; this one does.
    let mut asks_for_newest = true;
    loop {
        let answer = if asks_for_newest {
            source.newest_arrival(log).await.map(|newest| {
                after.get_or_insert(newest);
                Msg::Follows { opened }
            })
        } else {
            source.arrivals(log, after.clone().flatten()).await.map(|(events, next)| {
                after = Some(next);
                Msg::Arrived { opened, events: Ok(events) }
            })
        };
        asks_for_newest = answer.is_err();
        let msg = match answer {
            Ok(msg) => msg,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // It comes to be with its first event.
                after = Some(None);
                asks_for_newest = false;
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            }
            Err(error) => Msg::Arrived { opened, events: Err(error) },
        };
        if messages.send(msg).await.is_err() {
            return;
        }
        if asks_for_newest {
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}

/// Looks through a log from where that was left, a page later and a page earlier by turns, and tells after each.
pub fn scan(
    source: &impl Source,
    log: &LogId,
    pattern: &Pattern,
    scanned: Scanned,
) -> impl Stream<Item = Result<Scan>> {
    let begin = Some((scanned, Direction::On, 0, 0));
    stream::try_unfold(begin, move |scan| async move {
        let Some((mut scanned, direction, before, pages)) = scan else { return Ok(None) };
        // What the first page has is not to wait for it; and where it may not be asked, it is done without.
        if pages == 1 && scanned.of.is_none() {
            scanned.of = source.count(log, None, 1).await.ok().map(|reply| reply.count);
        }
        let hits = match direction {
            Direction::On => scan_on(source, log, pattern, &mut scanned).await?,
            Direction::Back => scan_back(source, log, pattern, &mut scanned).await?,
        };
        let next = match direction {
            Direction::On if !scanned.first_reached => Some(Direction::Back),
            Direction::Back if scanned.last_reached => Some(Direction::Back).filter(|_| !scanned.first_reached),
            _ => Some(Direction::On).filter(|_| !scanned.last_reached),
        };
        let found = before + hits.len();
        let next = next.filter(|_| found < HITS_MAX);
        let scan = Scan { hits, scanned: scanned.clone(), goes_on: next.is_some() };
        Ok(Some((scan, next.map(|next| (scanned, next, found, pages + 1)))))
    })
}

async fn scan_on(source: &impl Source, log: &LogId, pattern: &Pattern, scanned: &mut Scanned) -> Result<Vec<Position>> {
    if scanned.to == Position::MAX {
        scanned.last_reached = true;
        return Ok(Vec::new());
    }
    let (events, ended) = source.page(log, scanned.to, false, PAGE_EVENTS_DEFAULT).await?;
    scanned.last_reached = ended;
    scanned.to = events.last().map_or(scanned.to, |last| last.position.next());
    Ok(hits(&events, pattern, scanned))
}

async fn scan_back(
    source: &impl Source,
    log: &LogId,
    pattern: &Pattern,
    scanned: &mut Scanned,
) -> Result<Vec<Position>> {
    if scanned.from == Position::MIN {
        scanned.first_reached = true;
        return Ok(Vec::new());
    }
    let (events, ended) = source.page(log, scanned.from, true, PAGE_EVENTS_DEFAULT).await?;
    scanned.first_reached = ended;
    scanned.from = events.last().map_or(scanned.from, |last| last.position);
    Ok(hits(&events, pattern, scanned))
}

fn hits(events: &[Event], pattern: &Pattern, scanned: &mut Scanned) -> Vec<Position> {
    scanned.events += events.len() as u64;
    events.iter().filter(|event| pattern.is_in(event)).map(|event| event.position).collect()
}

impl Source for Remote {
    async fn logs(&self) -> Result<Vec<LogReply>> {
        let (mut logs, mut after) = (Vec::new(), None);
        loop {
            let page = Self::logs(self, &LogsRequest { after, all: true, ..LogsRequest::default() }).await?;
            logs.extend(page.logs);
            match page.next {
                Some(next) if logs.len() < LOGS_MAX => after = Some(next),
                _ => return Ok(logs),
            }
        }
    }

    async fn page(&self, log: &LogId, from: Position, backwards: bool, limit: u32) -> Result<(Vec<Event>, bool)> {
        let request = ReplayRequest { reverse: backwards, limit: Some(limit), ..ReplayRequest::default() };
        let request = match (from, backwards) {
            (Position::MAX, true) | (Position::MIN, false) => request,
            (from, true) if from == Position::at(from.offset) => {
                ReplayRequest { to: Some(When::At(from.offset)), ..request }
            }
            // In reverse, what lies before a position; forwards it is asked for what lies behind the one before.
            (from, true) => ReplayRequest { after: Some(from.to_string()), ..request },
            (from, false) => ReplayRequest { from: Some(When::At(from.offset)), after: before(from), ..request },
        };
        let page = self.replay(log, &request).await?;
        // One that time ran out for has not ended.
        Ok((page.events, matches!(page.end, End::CaughtUp | End::Bound)))
    }

    async fn count(&self, log: &LogId, span: Option<(Offset, Offset)>, bins: u32) -> Result<TimelineReply> {
        let (from, to) = span.map_or((None, None), |(from, to)| (Some(When::At(from)), Some(When::At(to))));
        self.timeline(log, &TimelineRequest { from, to, bins: Some(bins) }).await
    }

    async fn newest_arrival(&self, log: &LogId) -> Result<Option<String>> {
        let request = ReplayRequest { order: Order::Arrival, from: Some(When::Last), ..ReplayRequest::default() };
        Ok(self.replay(log, &request).await?.next)
    }

    async fn arrivals(&self, log: &LogId, after: Option<String>) -> Result<(Vec<Event>, Option<String>)> {
        let wait = WAIT.parse().ok();
        let request = ReplayRequest { order: Order::Arrival, after, wait, ..ReplayRequest::default() };
        let page = self.replay(log, &request).await?;
        Ok((page.events, page.next))
    }
}

/// The position before `position`, at the same time; `None` where it is the first of its time.
fn before(position: Position) -> Option<String> {
    position.seq.checked_sub(1).map(|seq| Position { seq, ..position }.to_string())
}
