//! What does the console's asking: each effect is a task that ends in a message.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::future::try_join;
use hourlog::{
    End, ErrorKind, Event, LogId, Offset, Position, Remote, Result,
    wire::{LogReply, LogsRequest, Order, PAGE_EVENTS_DEFAULT, ReplayRequest, TimelineReply, TimelineRequest, When},
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
};

use crate::tui::{
    msg::{Ask, Effect, Fetch, Found, Msg},
    state::has,
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
    finder: Option<AbortHandle>,
}

impl<S: Source> Backend<S> {
    /// Sends what it finds to `messages`.
    pub fn new(source: S, messages: mpsc::Sender<Msg>) -> Self {
        Self { source: Arc::new(source), messages, tasks: JoinSet::new(), follower: None, finder: None }
    }

    /// Begins to do something. What is asked of the terminal is not for the backend.
    pub fn begin(&mut self, effect: Effect) {
        while self.tasks.try_join_next().is_some() {}
        let (source, messages) = (Arc::clone(&self.source), self.messages.clone());
        match effect {
            Effect::Ask(ask) => {
                let finds = matches!(ask, Ask::Find { .. });
                let asked = self.tasks.spawn(async move {
                    // Whoever listens has left, where it cannot be sent.
                    let _ = messages.send(answer(&*source, ask).await).await;
                });
                if finds && let Some(before) = self.finder.replace(asked) {
                    before.abort();
                }
            }
            Effect::Follow { opened, log } => {
                let follow = self.tasks.spawn(async move { follow(&*source, &messages, opened, &log).await });
                if let Some(before) = self.follower.replace(follow) {
                    before.abort();
                }
            }
            Effect::StopFollowing => stop(&mut self.follower),
            Effect::StopFinding => stop(&mut self.finder),
            Effect::Copy(_) | Effect::Quit => {}
        }
    }
}

fn stop(task: &mut Option<AbortHandle>) {
    if let Some(task) = task.take() {
        task.abort();
    }
}

/// The answer to a question.
pub async fn answer(source: &impl Source, ask: Ask) -> Msg {
    match ask {
        Ask::Logs => Msg::Logs(source.logs().await),
        Ask::Load { opened, log, fetch } => Msg::Loaded { opened, fetch, found: load(source, &log, fetch).await },
        Ask::Count { opened, log, span, bins } => Msg::Bars { opened, bars: source.count(&log, span, bins).await },
        Ask::Find { opened, log, text, from, backwards } => {
            Msg::Hit { opened, hit: find(source, &log, &text, from, backwards).await }
        }
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
    let mut after: Option<Option<String>> = None;
    loop {
        let step = async {
            let Some(from) = after.clone() else {
                after = Some(source.newest_arrival(log).await?);
                return Ok::<_, hourlog::Error>(None);
            };
            let (events, next) = source.arrivals(log, from).await?;
            after = Some(next);
            Ok(Some(events))
        };
        let events = match step.await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // It comes to be with its first event.
                after = Some(None);
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            }
            answer => answer,
        };
        let failed = events.is_err();
        let msg = match events {
            Ok(None) => Some(Msg::Follows { opened }),
            Ok(Some(events)) => (!events.is_empty()).then_some(Msg::Arrived { opened, events: Ok(events) }),
            Err(error) => Some(Msg::Arrived { opened, events: Err(error) }),
        };
        if let Some(msg) = msg
            && messages.send(msg).await.is_err()
        {
            return;
        }
        if failed {
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}

/// The nearest event that has `text`, beside the one at `from`.
async fn find(
    source: &impl Source,
    log: &LogId,
    text: &str,
    from: Position,
    backwards: bool,
) -> Result<Option<Position>> {
    let mut from = if backwards { from } else { from.next() };
    loop {
        let (events, ended) = source.page(log, from, backwards, PAGE_EVENTS_DEFAULT).await?;
        if let Some(hit) = events.iter().find(|event| has(event, text)) {
            return Ok(Some(hit.position));
        }
        match events.last() {
            Some(last) if !ended => from = if backwards { last.position } else { last.position.next() },
            _ => return Ok(None),
        }
    }
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
