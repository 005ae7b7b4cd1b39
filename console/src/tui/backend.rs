//! The backend: performs effects. Each request is a task that ends with a message.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::{
    FutureExt, Stream, StreamExt,
    future::{join_all, try_join},
    stream,
};
use hourlog::{
    Cursor, Error, ErrorKind, LogId, Position, Result,
    wire::{PAGE_EVENTS_DEFAULT, TimelineRequest, When},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::{AbortHandle, JoinSet},
};

use crate::tui::{
    filter::Selection,
    finder,
    lanes::Lanes,
    merging,
    msg::{Effect, Msg, Request, Scan},
    outlet::Outlet,
    pages::{Fetch, Fetched},
    scan::{Direction, ScanPage, ScanProgress},
    source::{Arrivals, Source},
    state::HITS_MAX,
    survey::SurveyKind,
    surveyor::survey,
    working,
};

/// Number of events in a request.
const PAGE: u32 = 400;
/// Number of events in a preview.
const PREVIEW: u32 = 40;
/// Pause of a follower after events: shorter than the time between two pictures.
const FOLLOW_PAUSE: Duration = Duration::from_millis(100);
/// Pause before a failed follower retries.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The running tasks. There is at most one follower, one scan, and one survey of each kind.
#[derive(Debug)]
pub struct Backend<S> {
    source: Arc<S>,
    messages: mpsc::Sender<Msg>,
    /// Requests for the list of logs, and for the service.
    listing: JoinSet<()>,
    /// Requests for the open log.
    asking: JoinSet<()>,
    /// The follower, the scan and the surveys.
    lasting: JoinSet<()>,
    follower: Option<AbortHandle>,
    scanner: Option<AbortHandle>,
    /// The request for a place, which may take long.
    finder: Option<AbortHandle>,
    /// The surveys that sort, and that read numbers.
    surveyors: [Option<AbortHandle>; 2],
    worker: Option<AbortHandle>,
    /// Stops the worker.
    stop: Option<oneshot::Sender<()>>,
}

impl<S: Outlet> Backend<S> {
    /// Returns a backend that sends its answers to `messages`.
    pub fn new(source: S, messages: mpsc::Sender<Msg>) -> Self {
        let (listing, asking, lasting) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
        let (follower, scanner, worker, stop) = (None, None, None, None);
        let (finder, surveyors) = (None, [None, None]);
        let source = Arc::new(source);
        Self { source, messages, listing, asking, lasting, follower, scanner, finder, surveyors, worker, stop }
    }

    /// Starts an effect. Effects on the terminal are ignored here.
    pub fn start(&mut self, effect: Effect) {
        for tasks in [&mut self.listing, &mut self.asking, &mut self.lasting] {
            while tasks.try_join_next().is_some() {}
        }
        let (source, messages) = (Arc::clone(&self.source), self.messages.clone());
        match effect {
            Effect::Ask(request) => {
                let is_of_list = matches!(
                    request,
                    Request::Logs | Request::Strips(_) | Request::Preview { .. } | Request::Service { .. }
                );
                let tasks = if is_of_list { &mut self.listing } else { &mut self.asking };
                let is_find = matches!(request, Request::Find { .. });
                let task = tasks.spawn(async move {
                    // If nobody receives the answer, the console has been left.
                    let _ = messages.send(answer(&*source, request).await).await;
                });
                if is_find {
                    replace(&mut self.finder, Some(task));
                }
            }
            Effect::Follow { number, lanes, selection } => {
                let follower = self
                    .lasting
                    .spawn(async move { follow_all(&*source, &messages, number, &lanes, &selection).await });
                replace(&mut self.follower, Some(follower));
            }
            Effect::Scan { number, scan: scanned } => {
                let scanner = self.lasting.spawn(async move {
                    let pages = scan(&*source, &scanned);
                    send_all(&messages, pages.map(|page| Msg::Scanned { number, page })).await;
                });
                replace(&mut self.scanner, Some(scanner));
            }
            Effect::Survey { number, survey: wanted } => {
                let numbers = wanted.kind == SurveyKind::Numbers;
                let surveyor = self.lasting.spawn(async move {
                    let pages = survey(&*source, &wanted);
                    send_all(&messages, pages.map(|page| Msg::Surveyed { number, page })).await;
                });
                replace(&mut self.surveyors[usize::from(numbers)], Some(surveyor));
            }
            Effect::StopSurvey { numbers } => replace(&mut self.surveyors[usize::from(numbers)], None),
            Effect::Work { number, work } => {
                let (stop, stopped) = oneshot::channel();
                self.stop = Some(stop);
                let worker = self.lasting.spawn(async move {
                    let reports = working::work(&*source, &work, stopped.map(drop));
                    send_all(&messages, reports.map(|worked| Msg::Worked { number, worked })).await;
                });
                replace(&mut self.worker, Some(worker));
            }
            // Without its sender, the worker stops.
            Effect::StopWork => self.stop = None,
            Effect::StopFollowing => replace(&mut self.follower, None),
            Effect::StopFinding => replace(&mut self.finder, None),
            Effect::StopScanning => replace(&mut self.scanner, None),
            Effect::StopAsking => self.asking.abort_all(),
            Effect::Copy(_) | Effect::Quit | Effect::Suspend | Effect::Redraw | Effect::Mouse(_) => {}
        }
    }
}

/// Sends all messages of a stream, until the console has been left.
async fn send_all(messages: &mpsc::Sender<Msg>, stream: impl Stream<Item = Msg>) {
    let mut stream = pin!(stream);
    while let Some(msg) = stream.next().await {
        if messages.send(msg).await.is_err() {
            return;
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
        Request::Preview { number, lanes, counts } => {
            let all = Selection::default();
            let newest = merging::newest(source, &lanes, PREVIEW, &all);
            let counts = async {
                match &counts {
                    Some(request) => merging::count(source, &lanes, request).await.map(Some),
                    None => Ok(None),
                }
            };
            let preview = try_join(newest, counts).await;
            Msg::Previewed { number, lanes, preview }
        }
        Request::Service { number } => Msg::Service { number, report: Box::new(source.service().await) },
        Request::Load { number, lanes, fetch, selection } => {
            Msg::Loaded { number, events: load(source, &lanes, fetch, &selection).await }
        }
        Request::Check { number, lanes, selection } => {
            Msg::Checked { number, result: source.check(lanes.first(), &selection).await }
        }
        Request::Find { number, lanes, find } => {
            Msg::Found { number, found: finder::find(source, &lanes, &find).await }
        }
        Request::Count { number, kind, lanes, request } => {
            Msg::Counted { number, kind, counts: merging::count(source, &lanes, &request).await }
        }
        Request::Total { number, excerpt } => Msg::Totalled { number, total: working::total(source, &excerpt).await },
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
    let begins = AtomicUsize::new(lanes.logs().len());
    let lane = (&begins, lanes.are_several());
    join_all(lanes.logs().iter().map(|log| follow(source, messages, number, log, selection, lane))).await;
}

/// Notes that a lane has begun. Returns true if it had not before.
fn begins_first(has_begun: &mut bool) -> bool {
    !std::mem::replace(has_begun, true)
}

/// Sends every event that arrives, until the task is aborted. Reports a failure and retries. `begins` counts the lanes that
/// have not begun: the last of them reports that the follower runs.
async fn follow(
    source: &impl Source,
    messages: &mpsc::Sender<Msg>,
    number: u64,
    log: &LogId,
    selection: &Selection,
    (begins, are_several): (&AtomicUsize, bool),
) {
    let mut has_begun = false;
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
            // A lane that begins again may have missed events, so it reports that at once.
            Ok(Msg::FollowStarted { .. }) if begins_first(&mut has_begun) && begins.fetch_sub(1, Relaxed) > 1 => {
                continue;
            }
            Ok(msg) => msg,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // The first event creates the log, so follow from its start.
                after = Some(None);
                asks_for_newest = false;
                // The other lanes do not wait for this one. If there are none, nothing is followed yet.
                let is_last = begins_first(&mut has_begun) && begins.fetch_sub(1, Relaxed) == 1;
                if is_last && are_several && messages.send(Msg::FollowStarted { number }).await.is_err() {
                    return;
                }
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            }
            Err(error) => Msg::Arrived { number, events: Err(error) },
        };
        let has_arrivals = matches!(&msg, Msg::Arrived { events: Ok(events), .. } if !events.is_empty());
        if messages.send(msg).await.is_err() {
            return;
        }
        if has_arrivals {
            // Events that come in meanwhile are in the next answer, so a fast log needs few requests.
            tokio::time::sleep(FOLLOW_PAUSE).await;
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
