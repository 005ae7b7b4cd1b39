//! One log: appends in order, replays without blocking appends.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use hourlog::{
    ArrivalPage, ArrivalQuery, End, LogId, Page, Query, Result, Row, Seq, Store, Write, arrival_page, page,
    planted::Bug,
};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch},
    task::{JoinHandle, JoinSet},
    time::Instant,
};

use crate::{
    backoff::Backoff,
    epochs::Epochs,
    faults,
    logs::{LogsMsg, LogsRef},
    once,
    share::Share,
    telemetry::{Part, Status},
};

/// A running log. Cheap to clone.
pub(crate) type LogRef = ActorRef<LogMsg>;

/// The bytes after which a write takes no further events; the rest makes the next one.
const WRITE_BYTES_MAX: usize = 1 << 20;
/// The pauses between attempts to write to an archive that fails.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// An event on its way into the archive.
#[derive(Debug, Clone)]
pub(crate) struct Arriving {
    pub(crate) row: Row,
    /// `n`: to be stored only if the log holds fewer than n + 1 equal ones that arrived before.
    pub(crate) once: Option<u64>,
}

/// What a log is asked.
#[derive(Debug)]
pub(crate) enum LogMsg {
    /// Persist `events`, in this order, which is that of their seqs. `done` is told when they are durable.
    Append { events: Vec<Arriving>, done: Share },
    /// It is this log's turn to write what waits. Sent by the task that waited for it to its own actor.
    Turn(OwnedSemaphorePermit),
    /// The archive has taken what was being written. Sent by the write task to its own actor.
    Written,
    /// A page of the log. Runs beside later appends.
    Replay { reading: Reading, wait: Duration, reply: oneshot::Sender<Result<Read>> },
    /// May the log sleep? Answered with [`LogsMsg::Asleep`] if nothing is under way.
    Rest { forwarded: u64 },
    /// A fault in the handler.
    #[cfg(test)]
    Panic,
}

/// Which page is read.
#[derive(Debug, Clone)]
pub(crate) enum Reading {
    /// In timeline order.
    Timeline(Query),
    /// In arrival order.
    Arrival(ArrivalQuery),
}

/// A page of either order.
#[derive(Debug)]
pub(crate) enum Read {
    /// In timeline order.
    Timeline(Page),
    /// In arrival order.
    Arrival(ArrivalPage),
}

impl Read {
    fn is_empty_end(&self) -> bool {
        match self {
            Self::Timeline(page) => page.events.is_empty() && page.end == End::CaughtUp,
            Self::Arrival(page) => page.events.is_empty() && page.end == End::CaughtUp,
        }
    }
}

/// What a log needs for its work.
#[derive(Debug, Clone)]
pub(crate) struct LogArgs<S> {
    pub(crate) id: LogId,
    pub(crate) store: S,
    pub(crate) logs: LogsRef,
    pub(crate) stream: Arc<str>,
    pub(crate) status: Arc<Status>,
    /// Given where only some logs are to write at once: what a log writes is what waits when its turn has come.
    pub(crate) turns: Option<Arc<Semaphore>>,
    /// Given where the archive may hold a write in part.
    pub(crate) epochs: Option<watch::Receiver<Arc<Epochs>>>,
}

impl<S> LogArgs<S> {
    /// The seq up to which everything is in the archive while this log has nothing under way: all, where a write is there whole or
    /// not at all; else what is behind the place that was archived, for what is ahead of it comes again.
    fn archived(&self) -> Seq {
        let Some(epochs) = &self.epochs else { return Seq::MAX };
        epochs.borrow().archived(self.id.slot(), *self.status.archived.borrow())
    }
}

/// The actor.
#[derive(Debug)]
pub(crate) struct LogActor<S>(std::marker::PhantomData<fn() -> S>);

impl<S> LogActor<S> {
    pub(crate) fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

/// What a running log holds.
#[derive(Debug)]
pub(crate) struct LogState<S> {
    args: LogArgs<S>,
    /// What waits to be written.
    pending: VecDeque<Append>,
    /// What is being written; before this log's turn has come, nothing yet.
    writing: Option<Writing>,
    /// The seq up to which everything is in the archive; before the first write, what is [archived](LogArgs::archived).
    visible: watch::Sender<Seq>,
    /// The greatest seq that this actor has written.
    written: Seq,
    /// Pages that are being read; aborted with the actor.
    readers: JoinSet<()>,
}

#[derive(Debug)]
struct Append {
    events: Vec<Arriving>,
    done: Share,
}

#[derive(Debug)]
struct Writing {
    through: Seq,
    done: Vec<Share>,
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
            writing: None,
            visible: watch::Sender::new(args.archived()),
            args,
            written: Seq::MIN,
            readers: JoinSet::new(),
        })
    }

    async fn handle(&self, myself: LogRef, msg: LogMsg, state: &mut LogState<S>) -> Result<(), ActorProcessingErr> {
        match msg {
            LogMsg::Append { events, done } => state.append(&myself, events, done),
            LogMsg::Turn(turn) => state.write(&myself, Some(turn)),
            LogMsg::Written => state.settle(&myself),
            LogMsg::Replay { reading, wait, reply } => state.replay(reading, wait, reply),
            LogMsg::Rest { forwarded } => state.rest(forwarded),
            #[cfg(test)]
            LogMsg::Panic => panic!("planted"),
        }
        Ok(())
    }

    /// Once it has ended, so has what it was writing: a write that went on would be ahead of what is read again.
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
    fn append(&mut self, myself: &LogRef, events: Vec<Arriving>, done: Share) {
        self.pending.push_back(Append { events, done });
        if self.writing.is_none() {
            self.begin(myself);
        }
    }

    /// Begins to write, now or when it is this log's turn.
    fn begin(&mut self, myself: &LogRef) {
        let Some(turns) = &self.args.turns else { return self.write(myself, None) };
        if let Ok(turn) = Arc::clone(turns).try_acquire_owned() {
            return self.write(myself, Some(turn));
        }
        let (turns, myself) = (Arc::clone(turns), myself.clone());
        let task = tokio::spawn(async move {
            let turn = turns.acquire_owned().await.expect("it is never closed");
            // An actor that has ended meanwhile has no use for it.
            let _ = myself.send_message(LogMsg::Turn(turn));
        });
        self.writing = Some(Writing { through: Seq::MIN, done: Vec::new(), task });
    }

    /// Writes what has come in the meantime.
    fn write(&mut self, myself: &LogRef, turn: Option<OwnedSemaphorePermit>) {
        let mut events = Vec::new();
        let mut done = Vec::new();
        let mut bytes = 0;
        while bytes < WRITE_BYTES_MAX {
            let fits = |next: &Append| events.is_empty() || events.len() + next.events.len() <= S::WRITE_EVENTS;
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
            done.push(append.done);
        }
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return;
        };
        let (first, through) = (first.row.event.position.seq, last.row.event.position.seq);
        let before = self.written.max(first - 1);
        self.visible.send_if_modified(|visible| std::mem::replace(visible, before) != before);
        let (args, myself) = (self.args.clone(), myself.clone());
        let task = tokio::spawn(async move {
            write_until_taken(&args, events, turn).await;
            // An actor that has ended meanwhile has no use for it.
            let _ = myself.send_message(LogMsg::Written);
        });
        self.writing = Some(Writing { through, done, task });
    }

    fn settle(&mut self, myself: &LogRef) {
        let Some(mut writing) = self.writing.take() else {
            return;
        };
        self.written = self.written.max(writing.through);
        writing.done.drain(..).for_each(Share::archived);
        self.visible.send_replace(self.written);
        if !self.pending.is_empty() {
            self.begin(myself);
        }
    }

    fn replay(&mut self, reading: Reading, wait: Duration, reply: oneshot::Sender<Result<Read>>) {
        while self.readers.try_join_next().is_some() {}
        if self.writing.is_none() && self.args.epochs.is_some() {
            let archived = self.args.archived();
            self.visible.send_if_modified(|visible| archived > std::mem::replace(visible, archived.max(*visible)));
        }
        let (id, store, visible) = (self.args.id.clone(), self.args.store.clone(), self.visible.subscribe());
        self.readers.spawn(async move {
            let read = read(&store, &id, reading, wait, visible).await;
            // The asker may have left; that is no failure.
            let _ = reply.send(read);
        });
    }

    fn rest(&mut self, forwarded: u64) {
        while self.readers.try_join_next().is_some() {}
        // One that slept, and was woken by a reader, would show no more than is archived of all logs.
        if self.writing.is_none() && self.readers.is_empty() && self.written <= self.args.archived() {
            let _ = self.args.logs.send_message(LogsMsg::Asleep { log: self.args.id.clone(), forwarded });
        }
    }
}

/// Writes `events`, but for those that are there already and were to be stored once. Tries again for as long as the archive
/// does not take it: nothing else may be done with an event. One that fails has had its turn: others are not to wait for it.
async fn write_until_taken<S: Store>(
    args: &LogArgs<S>,
    mut events: Vec<Arriving>,
    mut turn: Option<OwnedSemaphorePermit>,
) {
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    // The newest is how far the source has been handed out in this slot, whether it is stored or not.
    let newest = events.last().expect("there is an event").row.event.clone();
    let head = Write::Head {
        stream: Arc::clone(&args.stream),
        slot: args.id.slot(),
        seq: newest.position.seq,
        time: newest.arrived.unwrap_or(newest.position.offset),
    };
    let mut wanted: Option<Arc<[Row]>> = None;
    if events.iter().all(|event| event.once.is_none()) {
        wanted = Some(events.drain(..).map(|event| event.row).collect());
    }
    loop {
        let outcome = async {
            let rows = match &wanted {
                Some(rows) => Arc::clone(rows),
                None => once::wanted(&args.store, &args.id, &events).await?.into(),
            };
            wanted = Some(Arc::clone(&rows));
            faults::check(&args.id)?;
            args.store.write(vec![head.clone(), Write::Events { log: args.id.clone(), rows }]).await
        };
        match outcome.await {
            Ok(()) => {
                drop(turn);
                if let Some(since) = args.status.back(Part::Archive, Some(&args.id)) {
                    tracing::info!(log = %args.id, %since, "the archive takes writes again");
                }
                return;
            }
            Err(_) if Bug::BatchDropped.is_planted() => return,
            Err(error) => {
                turn = None;
                if args.status.away(Part::Archive, Some(&args.id), &error) {
                    let cause = crate::telemetry::sentence(&error);
                    tracing::error!(log = %args.id, cause, "the archive does not take a write; trying again until it does");
                }
                tokio::time::sleep(backoff.next()).await;
            }
        }
    }
}

/// Reads a page; at the end of the log, holds on for `wait` until something comes.
async fn read<S: Store>(
    store: &S,
    id: &LogId,
    mut reading: Reading,
    wait: Duration,
    mut visible: watch::Receiver<Seq>,
) -> Result<Read> {
    let deadline = Instant::now() + wait;
    loop {
        let through = *visible.borrow_and_update();
        let read = match &mut reading {
            Reading::Timeline(query) => {
                query.visible = through;
                Read::Timeline(page(store, id, query).await?)
            }
            Reading::Arrival(query) => {
                query.visible = through;
                Read::Arrival(arrival_page(store, id, query).await?)
            }
        };
        // A page is more than one read of the archive: a write that began meanwhile may be on it in part.
        if through == Seq::MAX && visible.has_changed().unwrap_or(false) {
            continue;
        }
        if !read.is_empty_end() || wait.is_zero() {
            return Ok(read);
        }
        tokio::select! {
            changed = visible.changed() => if changed.is_err() { return Ok(read) },
            () = tokio::time::sleep_until(deadline) => return Ok(read),
        }
    }
}
