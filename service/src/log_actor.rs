//! One log: appends in order, replays without blocking appends, and changes between two appends.

pub(crate) mod jobs;
mod removal;
mod row;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use hourlog::{
    LogId, Result, Seq,
    failpoint::Failpoint,
    nats::Backoff,
    store::{EventRow, Store, Write},
};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch},
    task::{JoinHandle, JoinSet},
    time::Instant,
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
    trace::sentence,
};
use jobs::Job;

/// A running log. Cheap to clone.
pub(crate) type LogRef = ActorRef<LogMsg>;

/// Size of a write in bytes after which no further events are added to it. The rest goes into the
/// next write.
const WRITE_BYTES_MAX: usize = 1 << 20;
/// The shortest and the longest pause between attempts to write.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// The messages of a log.
#[derive(Debug)]
pub(crate) enum LogMsg {
    /// Persists `events`, in this order, which is the order of their seqs. Reports to `guard` once
    /// they are durable.
    Append { events: Vec<PendingEvent>, guard: CompletionGuard },
    /// Writes the pending events with this permit. Sent by the task that waited for the permit to
    /// its own actor.
    Permit(OwnedSemaphorePermit),
    /// Ends the current write, because the archive has taken it. Sent by the write task to its own
    /// actor, with what it remembers of events that are stored once.
    Written(Option<Box<Remembered>>),
    /// Ends the current job. Sent by its task to its own actor, with what is left of the job.
    Ran(Option<Job>),
    /// Reads a page of the log. Runs beside later appends.
    Replay { reading: Reading, reply: oneshot::Sender<Result<PageOrWait>> },
    /// Changes the log, once the current write has ended.
    Job(Job),
    /// Ends a read. Sent by its task to its own actor.
    ReadEnded,
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
    /// The seq up to which everything is in the archive. Before the first write, it is
    /// [`LogArgs::archived`], or what an earlier actor has written.
    visible: watch::Sender<Seq>,
    /// The greatest seq that this actor or an earlier one has written.
    written: Seq,
    /// The pages that are being read; aborted with the actor.
    readers: JoinSet<()>,
    /// Number of reads that have not ended.
    reads: usize,
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

#[derive(Debug)]
struct Writing {
    /// The greatest seq of the write.
    last: Seq,
    guards: Vec<CompletionGuard>,
    task: JoinHandle<()>,
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<S: Store> Actor for LogActor<S> {
    type Msg = LogMsg;
    type State = LogState<S>;
    type Arguments = LogArgs<S>;

    async fn pre_start(&self, _: LogRef, args: LogArgs<S>) -> Result<LogState<S>, ActorProcessingErr> {
        Ok(LogState {
            pending: VecDeque::new(),
            jobs: VecDeque::new(),
            writing: None,
            visible: watch::Sender::new(args.archived().max(args.written)),
            written: args.written,
            args: Arc::new(args),
            readers: JoinSet::new(),
            reads: 0,
            when_idle: None,
            remembered: None,
        })
    }

    async fn handle(&self, myself: LogRef, msg: LogMsg, state: &mut LogState<S>) -> Result<(), ActorProcessingErr> {
        match msg {
            LogMsg::Append { events, guard } => state.append(&myself, events, guard),
            LogMsg::Permit(permit) => state.write(&myself, Some(permit)),
            LogMsg::Written(remembered) => state.end_write(&myself, remembered),
            LogMsg::Ran(rest) => state.end_job(&myself, rest),
            LogMsg::Replay { reading, reply } => state.replay(&myself, reading, reply),
            LogMsg::ReadEnded => state.end_read(),
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

    /// Ends the write with the actor. A write that went on would overtake the events that are read
    /// again.
    async fn post_stop(&self, _: LogRef, state: &mut LogState<S>) -> Result<(), ActorProcessingErr> {
        state.readers.shutdown().await;
        if let Some(writing) = &mut state.writing {
            writing.task.abort();
            let _ = (&mut writing.task).await;
        }
        Ok(())
    }
}

impl<S: Store> LogState<S> {
    fn append(&mut self, myself: &LogRef, events: Vec<PendingEvent>, guard: CompletionGuard) {
        self.when_idle = None;
        self.pending.push_back(Append { events, guard });
        if self.writing.is_none() {
            self.begin_write(myself);
        }
    }

    fn add_job(&mut self, myself: &LogRef, job: Job) {
        self.when_idle = None;
        self.jobs.push_back(job);
        if self.writing.is_none() {
            self.begin_next(myself);
        }
    }

    /// Begins the next job, or the next write.
    fn begin_next(&mut self, myself: &LogRef) {
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
        self.writing = Some(Writing { last: Seq::MIN, guards: Vec::new(), task });
    }

    /// Writes the pending events, now or once there is a permit.
    fn begin_write(&mut self, myself: &LogRef) {
        let Some(permits) = &self.args.write_permits else { return self.write(myself, None) };
        if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
            return self.write(myself, Some(permit));
        }
        let (permits, myself) = (Arc::clone(permits), myself.clone());
        let task = tokio::spawn(async move {
            let permit = permits.acquire_owned().await.expect("the semaphore is never closed");
            // If the actor has ended meanwhile, the permit is released.
            let _ = myself.send_message(LogMsg::Permit(permit));
        });
        self.writing = Some(Writing { last: Seq::MIN, guards: Vec::new(), task });
    }

    /// Writes as many pending events as fit into one write.
    fn write(&mut self, myself: &LogRef, permit: Option<OwnedSemaphorePermit>) {
        let mut events = Vec::new();
        let mut guards = Vec::new();
        let mut bytes = 0;
        while bytes < WRITE_BYTES_MAX {
            let fits = |next: &Append| events.is_empty() || events.len() + next.events.len() <= S::EVENTS_PER_WRITE;
            let Some(append) = self.pending.front().is_some_and(fits).then(|| self.pending.pop_front()).flatten()
            else {
                break;
            };
            bytes += append.events.iter().map(|event| event.row.event.record.bytes()).sum::<usize>();
            if events.is_empty() {
                events = append.events;
            } else {
                events.extend(append.events);
            }
            guards.push(append.guard);
        }
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return;
        };
        let (first, last) = (first.row.event.position.seq, last.row.event.position.seq);
        let before = self.written.max(first.saturating_previous());
        self.visible.send_if_modified(|visible| std::mem::replace(visible, before) != before);
        let (args, myself, remembered) = (Arc::clone(&self.args), myself.clone(), self.remembered.take());
        let task = tokio::spawn(async move {
            let remembered = write_with_retries(&args, events, permit, remembered).await;
            // An actor that has ended meanwhile does not need to know.
            let _ = myself.send_message(LogMsg::Written(remembered));
        });
        self.writing = Some(Writing { last, guards, task });
    }

    fn end_write(&mut self, myself: &LogRef, remembered: Option<Box<Remembered>>) {
        let Some(mut writing) = self.writing.take() else {
            return;
        };
        // An import has ended, so that others need the memory more.
        self.remembered = remembered.filter(|remembered| remembered.is_in_use() || !self.pending.is_empty());
        writing.guards.drain(..).for_each(CompletionGuard::archived);
        if writing.last > self.written {
            self.written = writing.last;
            self.visible.send_replace(self.written);
        }
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
            self.visible.send_if_modified(|visible| archived > std::mem::replace(visible, archived.max(*visible)));
        }
        let (id, store, mut visible) = (self.args.id.clone(), self.args.store.clone(), self.visible.subscribe());
        let (removed, myself) = (Arc::clone(&self.args.removed), myself.clone());
        self.readers.spawn(async move {
            let page = async {
                let page = reading::visible(&store, &removed, &id, &reading, &mut visible).await?;
                let more = page.read.is_empty_end().then(|| More { visible: Some(visible), log: myself.clone() });
                Ok((page, more))
            };
            // The requester may have left; that is not a failure.
            let _ = reply.send(page.await);
            // The same for an actor that has ended meanwhile.
            let _ = myself.send_message(LogMsg::ReadEnded);
        });
    }

    fn end_read(&mut self) {
        self.reads -= 1;
        self.rest();
    }

    /// Tells who has asked if nothing is under way.
    fn rest(&mut self) {
        if self.when_idle.is_none() || self.writing.is_some() {
            return;
        }
        while self.readers.try_join_next().is_some() {}
        // A reader that has just told its end may not have been joined; one that panicked tells nothing.
        let reads = self.reads > 0 && !self.readers.is_empty();
        // A reader that waits for an event would miss it.
        let waits = self.visible.receiver_count() > 0;
        if !reads
            && !waits
            && let Some(when_idle) = self.when_idle.take()
        {
            when_idle.0(self.written);
        }
    }
}

/// Writes `events`, except those that are to be stored once and are there already. Retries until
/// the archive takes them: an event must not be given up. Releases the permit on failure, so that
/// other logs can write. Returns what is remembered for the next write.
async fn write_with_retries<S: Store>(
    args: &LogArgs<S>,
    mut events: Vec<PendingEvent>,
    mut permit: Option<OwnedSemaphorePermit>,
    mut remembered: Option<Box<Remembered>>,
) -> Option<Box<Remembered>> {
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    // The newest event tells how far the source has been handed out in this slot, even if the event
    // itself is not stored.
    let newest = &events.last().expect("a write has an event").row.event;
    let (last, time) = (newest.position.seq, newest.arrival_time());
    let head = Write::Head { stream: Arc::clone(args.source.stream()), slot: args.id.slot(), seq: last, time };
    let mut missing: Option<once::Missing> = None;
    let mut rows: Option<Arc<[EventRow]>> = None;
    if events.iter().all(|event| event.once.is_none()) {
        if let (Some(remembered), Some(first)) = (&mut remembered, events.first()) {
            remembered.begin_write(first.row.event.position.seq);
        }
        rows = Some(events.drain(..).map(|event| event.row).collect());
    }
    loop {
        let outcome = async {
            let rows = match &rows {
                Some(rows) => Arc::clone(rows),
                None => {
                    let remembered =
                        remembered.get_or_insert_with(|| Box::new(Remembered::new(Arc::clone(&args.once_budget))));
                    let mut found = once::missing_rows(&args.store, &args.id, &events, remembered).await?;
                    let found_rows = std::mem::take(&mut found.rows).into();
                    missing = Some(found);
                    Arc::clone(rows.insert(found_rows))
                }
            };
            #[cfg(feature = "chaos")]
            crate::faults::check(&args.id)?;
            let (count, bytes) = (rows.len(), rows.iter().map(|row| row.event.record.bytes()).sum());
            let events = Write::Events { log: args.id.clone(), rows, width: args.rules.width_of_new(&args.id) };
            let begun = Instant::now();
            args.store.write(vec![head.clone(), events]).await?;
            args.health.counters.wrote(count, bytes, begun.elapsed());
            Ok(())
        };
        match outcome.await {
            Ok(()) => {
                drop(permit);
                if let Some(rows) = &rows {
                    args.recent.add(rows);
                }
                if let (Some(remembered), Some(rows)) = (&mut remembered, &rows) {
                    remembered.end_write(last, missing.as_ref(), rows);
                }
                if let Some(since) = args.health.archive.recovered(Some(&args.id)) {
                    tracing::info!(log = %args.id, %since, "the archive takes writes again");
                }
                return remembered;
            }
            Err(_) if Failpoint::BatchDropped.is_active() => return None,
            Err(error) => {
                permit = None;
                if let Some(left_out) = args.health.archive.degraded(Some(&args.id), &error) {
                    let cause = sentence(&error);
                    tracing::error!(log = %args.id, cause, left_out, "the archive does not take a write; retrying until it does");
                }
                tokio::time::sleep(backoff.next_pause()).await;
            }
        }
    }
}
