//! One log: appends in order, replays without blocking appends, and changes between two appends.

mod ahead;
pub(crate) mod jobs;
mod queued;
mod removal;
mod row;
mod writing;

use std::{collections::VecDeque, sync::Arc};

use hourlog::{LogId, Result, Seq, read::Query, store::Store};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch},
    task::JoinSet,
};

use crate::{
    completion::CompletionGuard,
    health::Health,
    once::{self, Remembered},
    pending::PendingEvent,
    reading::{self, ReadPage, Reading, RemovedCache},
    recent::Recent,
    rules::Rules,
    sources::Source,
};
pub(crate) use ahead::PAGES_AHEAD_MAX;
use ahead::PageAhead;
use jobs::Job;
use queued::{NotTaken, Shared};
use writing::{Events, Newest, Task, Writing};

/// A running log. Cheap to clone.
pub(crate) type LogRef = ActorRef<LogMsg>;

/// Size of a write in bytes after which no further events are added to it. The rest goes into the
/// next write.
const WRITE_BYTES_MAX: usize = 1 << 20;

/// The messages of a log.
#[derive(Debug)]
pub(crate) enum LogMsg {
    /// Persists `events`, in this order, which is the order of their seqs. Reports to `guard` once
    /// they are durable.
    Append { events: Vec<PendingEvent>, guard: CompletionGuard },
    /// Writes the pending events with this permit. Sent by the task that waited for the permit to
    /// its own actor.
    Permit(OwnedSemaphorePermit),
    /// Ends the current write, because the archive has taken it. Sent by the write task or by the archive, with what the
    /// task remembers of events that are stored once.
    Written(Option<Box<Remembered>>),
    /// Retries the current write, because the archive has not taken it out of its queue. Sent by the archive.
    NotTaken(Box<NotTaken>),
    /// Ends the current job. Sent by its task to its own actor, with what is left of the job.
    Ran(Option<Job>),
    /// Reads a page of the log. Runs beside later appends.
    Replay { reading: Reading, reply: oneshot::Sender<Result<PageOrWait>> },
    /// Changes the log, once the current write has ended.
    Job(Job),
    /// Ends a read. Sent by its task to its own actor, with the query that its reader is likely to send next.
    ReadEnded(Option<Query>),
    /// Ends the time of a page that was read ahead. Sent by its task to its own actor.
    AheadExpired(u64),
    /// Ends a wait for more to read.
    WaitEnded,
    /// Runs `when_idle` as soon as the log may be stopped, because it has nothing under way. Another
    /// message before that ends the wait.
    Rest { when_idle: WhenIdle },
    /// Panics in the handler.
    #[cfg(test)]
    Panic,
}

/// Tells the supervisor that a log has nothing under way, and up to which seq it has written.
pub(crate) struct WhenIdle(Box<dyn FnOnce(Seq) + Send>);

impl WhenIdle {
    pub(crate) fn new(tell: impl FnOnce(Seq) + Send + 'static) -> Self {
        Self(Box::new(tell))
    }
}

impl std::fmt::Debug for WhenIdle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WhenIdle")
    }
}

/// A page; with one that is empty because it begins at the end of the log, a wait for more.
pub(crate) type PageOrWait = (ReadPage, Option<More>);

/// Waits until a log has more to read. Keeps the log awake until it is dropped.
#[derive(Debug)]
pub(crate) struct More {
    visible: Option<watch::Receiver<Seq>>,
    log: LogRef,
}

impl More {
    /// Waits for the next change. Returns false if the log has ended.
    pub(crate) async fn changed(&mut self) -> bool {
        match &mut self.visible {
            Some(visible) => visible.changed().await.is_ok(),
            None => false,
        }
    }
}

impl Drop for More {
    fn drop(&mut self) {
        // Before the message: the log looks if somebody holds it.
        self.visible = None;
        // The log may have ended.
        let _ = self.log.send_message(LogMsg::WaitEnded);
    }
}

/// The arguments of a log.
#[derive(Debug, Clone)]
pub(crate) struct LogArgs<S> {
    pub(crate) id: LogId,
    pub(crate) store: S,
    /// The source of the log's events.
    pub(crate) source: Arc<Source>,
    pub(crate) health: Arc<Health>,
    /// Set if only some logs may write at once. A write then contains all events that are pending
    /// once it gets its permit.
    pub(crate) write_permits: Option<Arc<Semaphore>>,
    /// Permits to read a page ahead.
    pub(crate) ahead_permits: Arc<Semaphore>,
    pub(crate) rules: Arc<Rules>,
    /// Shared by the jobs and the readers of the log.
    pub(crate) removed: Arc<RemovedCache>,
    pub(crate) once_budget: Arc<once::Budget>,
    /// The greatest seq that an earlier actor of the log has written, as far as is known.
    pub(crate) written: Seq,
    /// The events that arrived lately.
    pub(crate) recent: Arc<Recent>,
}

impl<S: Store> LogArgs<S> {
    /// Returns the seq up to which everything is in the archive while this log has nothing under
    /// way.
    ///
    /// If writes are atomic, that is everything. If not, it is the source's archived progress: a
    /// write beyond it may be there in part, and its events are read again.
    fn archived(&self) -> Seq {
        if S::WRITES_ARE_ATOMIC { Seq::MAX } else { self.source.archived(&self.id) }
    }
}

/// The actor of a log.
#[derive(Debug)]
pub(crate) struct LogActor<S>(std::marker::PhantomData<fn() -> S>);

impl<S> LogActor<S> {
    pub(crate) fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

/// The state of a running log.
#[derive(Debug)]
pub(crate) struct LogState<S> {
    args: Arc<LogArgs<S>>,
    /// The events that wait to be written.
    pending: VecDeque<Append>,
    /// The changes that wait for the end of the current write. They come before the pending events:
    /// the requester has waited for everything published before.
    jobs: VecDeque<Job>,
    /// The current write, the wait for its permit, or the current job.
    writing: Option<Writing>,
    /// The seq up to which everything is in the archive, and what else a queued write changes. Before the first
    /// write, the seq is [`LogArgs::archived`], or what an earlier actor has written.
    shared: Arc<Shared>,
    /// The greatest seq that this actor or an earlier one has written.
    written: Seq,
    /// The pages that are being read; aborted with the actor.
    readers: JoinSet<()>,
    /// Number of reads that have not ended.
    reads: usize,
    /// The page that was read ahead last.
    ahead: Option<PageAhead>,
    /// Number of pages that were read ahead.
    pages_ahead: u64,
    /// Told once nothing is under way.
    when_idle: Option<WhenIdle>,
    /// Known of the archived events since the last job, if any event was to be stored once.
    remembered: Option<Box<Remembered>>,
}

#[derive(Debug)]
struct Append {
    events: Vec<PendingEvent>,
    guard: CompletionGuard,
}

impl<S: Store> Actor for LogActor<S> {
    type Msg = LogMsg;
    type State = LogState<S>;
    type Arguments = LogArgs<S>;

    async fn pre_start(&self, _: LogRef, args: LogArgs<S>) -> Result<LogState<S>, ActorProcessingErr> {
        let visible = args.archived().max(args.written);
        let shared = Shared::new(args.id.clone(), Arc::clone(&args.health), Arc::clone(&args.recent), visible);
        Ok(LogState {
            pending: VecDeque::new(),
            jobs: VecDeque::new(),
            writing: None,
            shared: Arc::new(shared),
            written: args.written,
            args: Arc::new(args),
            readers: JoinSet::new(),
            reads: 0,
            ahead: None,
            pages_ahead: 0,
            when_idle: None,
            remembered: None,
        })
    }

    async fn handle(&self, myself: LogRef, msg: LogMsg, state: &mut LogState<S>) -> Result<(), ActorProcessingErr> {
        match msg {
            LogMsg::Append { events, guard } => state.append(&myself, events, guard),
            LogMsg::Permit(permit) => state.write(&myself, Some(permit)),
            LogMsg::Written(remembered) => state.end_write(&myself, remembered),
            LogMsg::NotTaken(not_taken) => state.write_again(&myself, *not_taken),
            LogMsg::Ran(rest) => state.end_job(&myself, rest),
            LogMsg::Replay { reading, reply } => state.replay(&myself, reading, reply),
            LogMsg::ReadEnded(next) => state.end_read(&myself, next),
            LogMsg::AheadExpired(number) => {
                state.ahead.take_if(|ahead| ahead.number == number);
                state.rest();
            }
            LogMsg::WaitEnded => state.rest(),
            LogMsg::Job(job) => state.add_job(&myself, job),
            LogMsg::Rest { when_idle } => {
                state.when_idle = Some(when_idle);
                state.rest();
            }
            #[cfg(test)]
            LogMsg::Panic => panic!("a test makes the log fail"),
        }
        Ok(())
    }

    /// Ends the task of a write with the actor. If it went on, it would overtake the events that are read
    /// again. A queued write comes before them.
    async fn post_stop(&self, _: LogRef, state: &mut LogState<S>) -> Result<(), ActorProcessingErr> {
        state.readers.shutdown().await;
        if let Some(writing) = state.writing.take() {
            writing.stop().await;
        }
        Ok(())
    }
}

impl<S: Store> LogState<S> {
    fn append(&mut self, myself: &LogRef, events: Vec<PendingEvent>, guard: CompletionGuard) {
        self.when_idle = None;
        self.pending.push_back(Append { events, guard });
        if !self.must_wait() {
            self.begin_write(myself);
        }
    }

    fn add_job(&mut self, myself: &LogRef, job: Job) {
        self.when_idle = None;
        self.jobs.push_back(job);
        if !self.must_wait() {
            self.begin_next(myself);
        }
    }

    /// Returns true if a write or a job is under way. The log is then told its end.
    fn must_wait(&mut self) -> bool {
        let Some(writing) = &mut self.writing else { return false };
        if writing.will_tell(&self.shared) {
            return true;
        }
        self.written = self.written.max(writing.last());
        self.writing = None;
        false
    }

    /// Begins the next job, or the next write.
    fn begin_next(&mut self, myself: &LogRef) {
        self.ahead = None;
        let Some(job) = self.jobs.pop_front() else {
            if self.pending.is_empty() {
                self.rest();
            } else {
                self.begin_write(myself);
            }
            return;
        };
        let (args, written, myself) = (Arc::clone(&self.args), self.written, myself.clone());
        let task = tokio::spawn(async move {
            let rest = job.run(&args, written).await;
            // An actor that has ended meanwhile does not need to know.
            let _ = myself.send_message(LogMsg::Ran(rest));
        });
        self.writing = Some(Writing::task(Seq::MIN, Vec::new(), task));
    }

    /// Writes the pending events, now or once there is a permit.
    fn begin_write(&mut self, myself: &LogRef) {
        let Some(permits) = &self.args.write_permits else { return self.write(myself, None) };
        if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
            return self.write(myself, Some(permit));
        }
        let (args, permits, myself) = (Arc::clone(&self.args), Arc::clone(permits), myself.clone());
        // The log may have to be created.
        let first = self.pending.front().filter(|_| self.written == Seq::MIN).and_then(|append| append.events.first());
        let first = first.map(|event| event.row.event.arrival_time());
        let task = tokio::spawn(async move {
            if let Some(created) = first {
                args.store.prepare_log(&args.id, created, args.rules.width_of_new(&args.id)).await;
            }
            let permit = permits.acquire_owned().await.expect("the semaphore is never closed");
            // If the actor has ended meanwhile, the permit is released.
            let _ = myself.send_message(LogMsg::Permit(permit));
        });
        self.writing = Some(Writing::task(Seq::MIN, Vec::new(), task));
    }

    /// Writes as many pending events as fit into one write.
    fn write(&mut self, myself: &LogRef, permit: Option<OwnedSemaphorePermit>) {
        let seq = |event: &PendingEvent| event.row.event.position.seq;
        let mut events: Vec<PendingEvent> = Vec::new();
        let mut guards = Vec::new();
        let mut bytes = 0;
        while bytes < WRITE_BYTES_MAX {
            let fits = |next: &Append| events.is_empty() || events.len() + next.events.len() <= S::EVENTS_PER_WRITE;
            let Some(append) = self.pending.front().is_some_and(fits).then(|| self.pending.pop_front()).flatten()
            else {
                break;
            };
            bytes += append.events.iter().map(|event| event.row.event.record.bytes()).sum::<usize>();
            if let Some(last) = events.last().map(seq) {
                // A write counts by what was counted before it, so it must have no event twice: after a restart of the
                // ingest, these may wait here already.
                events.extend(append.events.into_iter().filter(|event| seq(event) > last));
            } else {
                events = append.events;
            }
            guards.push(append.guard);
        }
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return;
        };
        self.ahead = None;
        let (first, newest) = (first.row.event.position.seq, Newest::of(&last.row));
        self.shared.hide_after(self.written.max(first.saturating_previous()));
        let (events, remembered) = (Events::of(events), self.remembered.take());
        let is_direct = S::HAS_QUEUE && permit.is_none() && remembered.is_none();
        #[cfg(feature = "chaos")]
        let is_direct = is_direct && crate::faults::check(&self.args.id).is_ok();
        match events {
            Events::All(rows) if is_direct => {
                let writes = writing::writes(&self.args, &rows, newest);
                self.shared.enqueue(&self.args.store, writes, rows, guards, myself.clone());
                self.writing = Some(Writing::queued(newest.seq));
                // The events that are left wait for its end.
                if !self.pending.is_empty() && !self.must_wait() {
                    self.begin_next(myself);
                }
            }
            events => self.begin_task(myself, guards, Task { events, newest, permit, remembered, error: None }),
        }
    }

    /// Retries a queued write that has failed.
    fn write_again(&mut self, myself: &LogRef, not_taken: NotTaken) {
        let NotTaken { rows, guards, error } = not_taken;
        let Some(newest) = rows.last().map(Newest::of) else { return };
        let events = Events::All(rows);
        self.begin_task(myself, guards, Task { events, newest, permit: None, remembered: None, error: Some(error) });
    }

    /// Writes in a task.
    fn begin_task(&mut self, myself: &LogRef, guards: Vec<CompletionGuard>, task: Task) {
        let last = task.newest.seq;
        let (args, shared, myself) = (Arc::clone(&self.args), Arc::clone(&self.shared), myself.clone());
        let task = tokio::spawn(async move {
            let remembered = task.run(&args, &shared).await;
            // An actor that has ended meanwhile does not need to know.
            let _ = myself.send_message(LogMsg::Written(remembered));
        });
        self.writing = Some(Writing::task(last, guards, task));
    }

    fn end_write(&mut self, myself: &LogRef, remembered: Option<Box<Remembered>>) {
        let Some(writing) = self.writing.take() else {
            return;
        };
        // An import has ended, so that others need the memory more.
        self.remembered = remembered.filter(|remembered| remembered.is_in_use() || !self.pending.is_empty());
        self.written = self.written.max(writing.last());
        // Before the guards: a caller that hears of an archived event can read it.
        self.shared.show_to(writing.last());
        writing.archived();
        self.begin_next(myself);
    }

    /// Ends a job. What is left of it waits for the events that have arrived meanwhile, so that a long
    /// job does not hold them up.
    fn end_job(&mut self, myself: &LogRef, rest: Option<Job>) {
        self.writing = None;
        // It may have removed events, or changed the buckets.
        self.remembered = None;
        let goes_on = rest.is_some();
        self.jobs.extend(rest);
        if goes_on && !self.pending.is_empty() {
            self.begin_write(myself);
        } else {
            self.begin_next(myself);
        }
    }

    fn replay(&mut self, myself: &LogRef, reading: Reading, reply: oneshot::Sender<Result<PageOrWait>>) {
        self.when_idle = None;
        self.reads += 1;
        while self.readers.try_join_next().is_some() {}
        if self.writing.is_none() && !S::WRITES_ARE_ATOMIC {
            let archived = self.args.archived();
            self.shared.show_to(archived);
        }
        let (args, mut visible, myself) = (Arc::clone(&self.args), self.shared.visible(), myself.clone());
        let ahead = self.ahead.take_if(|ahead| ahead.is_of(&reading));
        self.readers.spawn(async move {
            let page = async {
                let ahead = match ahead {
                    Some(ahead) => ahead.page().await,
                    None => None,
                };
                let page = match ahead {
                    Some(page) => page,
                    None => reading::visible(&args.store, &args.removed, &args.id, &reading, &mut visible).await?,
                };
                let more = page.read.is_empty_end().then(|| More { visible: Some(visible), log: myself.clone() });
                Ok((page, more))
            };
            let page = page.await;
            let next = page.as_ref().ok().and_then(|(page, _)| ahead::next_query(&reading, page));
            // The requester may have left; that is not a failure.
            let _ = reply.send(page);
            // The same for an actor that has ended meanwhile.
            let _ = myself.send_message(LogMsg::ReadEnded(next));
        });
    }

    fn end_read(&mut self, myself: &LogRef, next: Option<Query>) {
        self.reads -= 1;
        if let Some(next) = next {
            self.read_ahead(myself, next);
        }
        self.rest();
    }

    /// Reads a page that is likely to be requested next, unless a write would make it old at once.
    fn read_ahead(&mut self, myself: &LogRef, query: Query) {
        let is_useful = !S::WRITES_ARE_ATOMIC && self.writing.is_none();
        let permits = Arc::clone(&self.args.ahead_permits);
        let Some(permit) = is_useful.then(|| permits.try_acquire_owned().ok()).flatten() else { return };
        self.pages_ahead += 1;
        let (args, visible) = (Arc::clone(&self.args), self.shared.visible());
        self.ahead = Some(PageAhead::begin(args, query, self.pages_ahead, permit, visible, myself.clone()));
    }

    /// Tells who has asked if nothing is under way.
    fn rest(&mut self) {
        if self.when_idle.is_none() || self.must_wait() {
            return;
        }
        while self.readers.try_join_next().is_some() {}
        // A reader that has just told its end may not have been joined; one that panicked tells nothing.
        let reads = self.reads > 0 && !self.readers.is_empty();
        // A reader that waits for an event would miss it.
        let waits = self.shared.has_readers();
        if !reads
            && !waits
            && let Some(when_idle) = self.when_idle.take()
        {
            when_idle.0(self.written);
        }
    }
}
