//! The supervisor of the logs: starts an actor for each log that is needed, restarts failed ones
//! and stops idle ones. An actor takes several kilobytes, so their number is bounded: beyond it, the
//! events of further logs wait for an actor to stop.

use std::{
    collections::{HashMap, VecDeque, hash_map},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use hourlog::{LogId, Offset, Seq, nats::Backoff, store::Store, wire::RecentReply};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, ActorRuntime, SupervisionEvent};
use tokio::sync::{Semaphore, oneshot};

use crate::{
    completion::CompletionGuard,
    health::Health,
    log_actor::{LogActor, LogArgs, LogMsg, LogRef, WhenIdle, jobs::Job},
    once,
    origin::Origin,
    ownership::SlotSet,
    pending::PendingEvent,
    recent::Recent,
    rules::Rules,
    sources::Source,
};

/// The supervisor of all logs. Cheap to clone. Every message to a log goes through it, so that none
/// is lost to an actor that has just been stopped.
pub(crate) type LogsRef = ActorRef<LogsMsg>;

/// The shortest and the longest pause before a failed log is restarted.
const RESTART: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(5));
/// Time without a failure after which a log's next pause is the shortest again.
const RECOVERED_AFTER: Duration = Duration::from_secs(60);
/// Time limit for an actor to stop. No handler awaits the archive or the network, so none needs
/// long.
const STOP_MAX: Duration = Duration::from_secs(5);
/// Number of logs that stay awake until they are idle. Together they take some 60 MB.
const RESIDENTS_MAX: usize = 7_168;
/// Number of logs that events wake beyond [`RESIDENTS_MAX`]. They sleep as soon as they have nothing
/// under way. Requests wake further ones, and their number has a limit of its own.
const WRITERS_MAX: usize = 1_024;
/// Number of logs that are known here at once, awake or not, as long as nothing more than their recent
/// events are known of those that sleep. Together they take some 50 MB.
const COUNTED_MAX: usize = 131_072;
/// Interval at which a log of the system is told its rate.
const RATE_INTERVAL: Duration = Duration::from_secs(60);

/// The messages of the supervisor.
#[derive(Debug)]
pub(crate) enum LogsMsg {
    /// Hands out events for many logs, of one generation of the ingest. A guard that is dropped
    /// tells the ingest to restart with the next generation. Until then the failed log takes no
    /// more events, so that its events stay in order.
    Deliver { origin: Origin, deliveries: Vec<Delivery> },
    /// Forwards a request to one log of a source. Drops it, with its reply, while the log waits to
    /// be restarted.
    Ask { log: LogId, source: Arc<Source>, request: LogMsg },
    /// Stops the log's actor, because it has nothing under way. Ignored if more messages than
    /// `forwarded` were sent to the log. It has written events up to the seq `written`.
    Idle { log: LogId, actor: ActorId, forwarded: u64, written: Seq },
    /// Returns the events that arrived for each of these logs during the last minute.
    Recent { logs: Vec<LogId>, reply: oneshot::Sender<Vec<RecentReply>> },
    /// Looks for idle logs.
    Sweep,
    /// Stops all logs, with everything they have under way, and replies once they have ended. Each
    /// is started again when it is needed. Events that were handed out before this rollback are
    /// dropped from here on.
    Restart { rollback: u64, reply: oneshot::Sender<()> },
    /// Stops the logs in `slots`, which have moved between instances, with everything they have under way, and replies
    /// once they have ended. Events that were handed out under an earlier assignment are dropped from here on.
    HandOver { assignment: u64, slots: SlotSet, reply: oneshot::Sender<()> },
}

/// Events for one log.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) log: LogId,
    pub(crate) events: Vec<PendingEvent>,
    pub(crate) guard: CompletionGuard,
}

/// The arguments of the supervisor.
#[derive(Debug, Clone)]
pub(crate) struct LogsArgs<S> {
    pub(crate) store: S,
    /// Time without a message after which a log is idle.
    pub(crate) idle: Duration,
    pub(crate) health: Arc<Health>,
    /// Set if only some logs may write at once.
    pub(crate) write_permits: Option<Arc<Semaphore>>,
    /// Permits to read a page ahead.
    pub(crate) ahead_permits: Arc<Semaphore>,
    pub(crate) rules: Arc<Rules>,
    /// The memory for what logs remember of events that are stored once.
    pub(crate) once_budget: Arc<once::Budget>,
}

/// The actor of the supervisor.
#[derive(Debug)]
pub(crate) struct Logs<S>(std::marker::PhantomData<fn() -> S>);

impl<S> Logs<S> {
    pub(crate) fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

/// The logs that are known here, by their ids. The hash needs no secret key of its own, but one of the process:
/// publishers choose ids.
type LogEntries = HashMap<LogId, Box<LogEntry>, foldhash::fast::RandomState>;

/// The state of the supervisor.
#[derive(Debug)]
pub(crate) struct LogsState<S> {
    args: LogsArgs<S>,
    logs: LogEntries,
    awake: Awake,
    /// The logs whose events wait for an actor to stop.
    waiting: VecDeque<LogId>,
    /// The newest rollback of the archive.
    rollbacks: u64,
    /// The newest assignment of slots.
    assignment: u64,
    /// The time since which a log that is not among `logs` has had no event: the start, or the last time at which
    /// one with recent events was forgotten.
    counted_since: Instant,
}

/// The logs that are awake, by their actors.
#[derive(Debug, Default)]
struct Awake {
    actors: HashMap<ActorId, (LogId, Seat)>,
    /// Number of logs that events have woken beyond [`RESIDENTS_MAX`].
    writers: usize,
}

/// The reason why a log is awake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seat {
    /// There is room: it stays until it is idle.
    Resident,
    /// It has events to write.
    Writer,
    /// A request has woken it, or was sent to it since: a reader may wait for long.
    Reader,
}

impl Awake {
    /// Returns the seat of a log that events or a request wake now.
    fn seat(&self, is_request: bool) -> Seat {
        match is_request {
            _ if self.actors.len() < RESIDENTS_MAX => Seat::Resident,
            true => Seat::Reader,
            false => Seat::Writer,
        }
    }

    /// Returns true if events may wake a further log.
    fn has_room(&self) -> bool {
        self.seat(false) == Seat::Resident || self.writers < WRITERS_MAX
    }

    fn insert(&mut self, actor: ActorId, log: LogId, seat: Seat) {
        self.writers += usize::from(seat == Seat::Writer);
        self.actors.insert(actor, (log, seat));
    }

    /// Notes that a request is sent to the actor.
    fn is_requested(&mut self, actor: ActorId) {
        if let Some((_, seat)) = self.actors.get_mut(&actor).filter(|(_, seat)| *seat == Seat::Writer) {
            *seat = Seat::Reader;
            self.writers -= 1;
        }
    }

    /// Removes an actor, and returns its log.
    fn remove(&mut self, actor: ActorId) -> Option<LogId> {
        let (log, seat) = self.actors.remove(&actor)?;
        self.writers -= usize::from(seat == Seat::Writer);
        Some(log)
    }
}

/// A log that is running, was used lately, or failed lately.
#[derive(Debug)]
struct LogEntry {
    id: LogId,
    source: Arc<Source>,
    actor: Option<LogRef>,
    /// The actor sleeps as soon as it has nothing under way.
    is_guest: bool,
    /// The events that wait for an actor to stop, in order.
    waiting: Vec<LogMsg>,
    /// The greatest seq that the last actor has written, as far as is known. A reader may have seen
    /// it, so the next actor shows it, too.
    written: Seq,
    /// Number of messages sent to the log.
    forwarded: u64,
    last_used: Instant,
    /// The events that arrived lately.
    recent: Arc<Recent>,
    /// The time since which they are counted.
    counted_since: Instant,
    /// The last time that a log of the system was told its rate.
    rate_told: Instant,
    started: Instant,
    failure: Option<Box<Failure>>,
    /// The newest generation of the ingest that sent events.
    generation: u64,
    /// The generation in which the log failed, and of which it takes no more events.
    failed_generation: Option<u64>,
}

/// The last failure of a log.
#[derive(Debug)]
struct Failure {
    backoff: Backoff,
    /// The earliest time of the next start.
    start_after: Instant,
}

impl<S: Store> Actor for Logs<S> {
    type Msg = LogsMsg;
    type State = LogsState<S>;
    type Arguments = LogsArgs<S>;

    async fn pre_start(&self, myself: LogsRef, args: LogsArgs<S>) -> Result<LogsState<S>, ActorProcessingErr> {
        myself.send_interval(args.idle.div_f64(4.0).max(Duration::from_millis(50)), || LogsMsg::Sweep);
        Ok(LogsState {
            args,
            logs: LogEntries::default(),
            awake: Awake::default(),
            waiting: VecDeque::new(),
            rollbacks: 0,
            assignment: 0,
            counted_since: Instant::now(),
        })
    }

    async fn handle(&self, myself: LogsRef, msg: LogsMsg, state: &mut LogsState<S>) -> Result<(), ActorProcessingErr> {
        match msg {
            LogsMsg::Deliver { origin, deliveries } => state.deliver(&myself, &origin, deliveries),
            LogsMsg::Ask { log, source, request } => state.ask(&myself, log, &source, request),
            LogsMsg::Idle { log, actor, forwarded, written } => {
                state.stop_idle(&log, actor, forwarded, written);
                state.start_waiting(&myself);
            }
            LogsMsg::Recent { logs, reply } => state.recent(&logs, reply),
            LogsMsg::Sweep => state.sweep(&myself),
            LogsMsg::Restart { rollback, reply } => {
                state.rollbacks = rollback;
                state.stop_all(SlotSet::ALL).await;
                let _ = reply.send(());
            }
            LogsMsg::HandOver { assignment, slots, reply } => {
                state.assignment = assignment;
                state.stop_all(slots).await;
                state.forget(slots);
                let _ = reply.send(());
                state.start_waiting(&myself);
            }
        }
        Ok(())
    }

    /// The default implementation would end the supervisor with the first log that fails.
    async fn handle_supervisor_evt(
        &self,
        myself: LogsRef,
        event: SupervisionEvent,
        state: &mut LogsState<S>,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(actor, error) => {
                state.failed(actor.get_id(), &error.to_string());
                state.start_waiting(&myself);
            }
            SupervisionEvent::ActorTerminated(actor, _, _) => {
                drop(state.awake.remove(actor.get_id()));
                state.start_waiting(&myself);
            }
            _ => {}
        }
        Ok(())
    }
}

impl<S: Store> LogsState<S> {
    fn deliver(&mut self, myself: &LogsRef, origin: &Origin, deliveries: Vec<Delivery>) {
        // The ingest of another source may not have noticed the rollback, or the handover of slots, yet. Its events
        // must not be written before it reads them again.
        if origin.rollbacks != self.rollbacks || origin.assignment != self.assignment {
            return;
        }
        for Delivery { log, events, guard } in deliveries {
            let entry = LogEntry::of(&mut self.logs, log, &origin.source, self.counted_since);
            entry.set_source(&origin.source, &self.args, &mut self.awake);
            if entry.failed_generation == Some(origin.generation) {
                continue;
            }
            entry.failed_generation = None;
            entry.generation = origin.generation;
            let append = LogMsg::Append { events, guard };
            if entry.actor.is_none() && !self.awake.has_room() {
                if entry.waiting.is_empty() {
                    self.waiting.push_back(entry.id.clone());
                }
                entry.last_used = Instant::now();
                // Many logs wait with one message each.
                entry.waiting.reserve_exact(1);
                entry.waiting.push(append);
            } else {
                entry.forward(append, myself, &self.args, &mut self.awake);
            }
        }
    }

    /// Forwards a request, even if that wakes one log too many: a reader does not wait for the events of
    /// other logs.
    fn ask(&mut self, myself: &LogsRef, log: LogId, source: &Arc<Source>, request: LogMsg) {
        let entry = LogEntry::of(&mut self.logs, log, source, self.counted_since);
        if let Some(actor) = &entry.actor {
            self.awake.is_requested(actor.get_id());
        }
        entry.forward(request, myself, &self.args, &mut self.awake);
        self.start_waiting(myself);
    }

    /// Wakes logs whose events wait, as far as others have gone to sleep.
    fn start_waiting(&mut self, myself: &LogsRef) {
        while self.awake.has_room()
            && let Some(log) = self.waiting.pop_front()
        {
            if let Some(entry) = self.logs.get_mut(&log) {
                entry.forward_waiting(myself, &self.args, &mut self.awake);
            }
        }
    }

    fn failed(&mut self, actor: ActorId, error: &str) {
        let Some(log) = self.awake.remove(actor) else {
            return;
        };
        self.args.health.actors.fetch_sub(1, Relaxed);
        self.args.health.actors_failed.fetch_add(1, Relaxed);
        let Some(entry) = self.logs.get_mut(&log) else {
            return;
        };
        entry.actor = None;
        entry.failed_generation = Some(entry.generation);
        let failure = entry.failure.get_or_insert_with(Box::default);
        if entry.started.elapsed() > RECOVERED_AFTER {
            failure.backoff.reset();
        }
        let pause = failure.backoff.next_pause();
        failure.start_after = Instant::now() + pause;
        tracing::error!(%log, error, ?pause, "a log has failed; restarting it after a pause");
    }

    /// Asks the actors of idle logs whether they have anything under way.
    fn sweep(&mut self, myself: &LogsRef) {
        let (idle, now) = (self.args.idle, Instant::now());
        let is_idle = |entry: &LogEntry| now.saturating_duration_since(entry.last_used) >= idle;
        let (mut left, mut has_forgotten) = (self.logs.len(), false);
        // A failed log is remembered for as long as its backoff matters.
        self.logs.retain(|_, entry| {
            let is_kept =
                !is_idle(entry) || entry.is_needed::<S>() || (left <= COUNTED_MAX && entry.has_recent_events());
            if !is_kept {
                left -= 1;
                has_forgotten |= entry.has_recent_events();
            }
            is_kept
        });
        if has_forgotten {
            self.counted_since = Instant::now();
        }
        self.logs.shrink_to(COUNTED_MAX);
        self.tell_rates();
        for entry in self.logs.values().filter(|entry| is_idle(entry)) {
            entry.ask_to_rest(myself);
        }
    }

    /// Tells each log of the system its rate, so that its width can follow. Nobody else chooses it.
    fn tell_rates(&mut self) {
        let is_due = |entry: &&mut Box<LogEntry>| entry.id.is_system() && entry.rate_told.elapsed() >= RATE_INTERVAL;
        let now = self.args.health.time.now();
        for entry in self.logs.values_mut().filter(is_due) {
            entry.rate_told = Instant::now();
            let rate = entry.recent(now).per_second();
            if let (Some(rate), Some(actor)) = (rate, &entry.actor) {
                // An actor that has just failed drops it; the next one is told in a minute.
                let _ = actor.send_message(LogMsg::Job(Job::Fit { rate }));
            }
        }
    }

    /// Stops a log's actor, unless it was replaced or something was forwarded to it meanwhile.
    fn stop_idle(&mut self, log: &LogId, id: ActorId, forwarded: u64, written: Seq) {
        let Some(entry) = self.logs.get_mut(log).filter(|entry| entry.forwarded == forwarded) else {
            return;
        };
        let Some(actor) = entry.actor.take_if(|actor| actor.get_id() == id) else {
            return;
        };
        drop(self.awake.remove(id));
        self.args.health.actors.fetch_sub(1, Relaxed);
        actor.stop(None);
        entry.written = written;
        let was_used_lately = entry.last_used.elapsed() < self.args.idle;
        let entry = &self.logs[log];
        if entry.is_needed::<S>() {
            return;
        }
        let has_recent_events = entry.has_recent_events();
        if (was_used_lately || has_recent_events) && self.logs.len() <= COUNTED_MAX {
            return;
        }
        self.logs.remove(log);
        if has_recent_events {
            self.counted_since = Instant::now();
        }
    }

    /// Stops all actors in `slots` and waits. Once an actor has ended, so has its write.
    async fn stop_all(&mut self, slots: SlotSet) {
        let mut actors: Vec<LogRef> = Vec::new();
        self.waiting.retain(|log| !slots.contains(log.slot()));
        for entry in self.logs.values_mut().filter(|entry| slots.contains(entry.id.slot())) {
            if let Some(actor) = entry.actor.take() {
                drop(self.awake.remove(actor.get_id()));
                actors.push(actor);
            }
            entry.waiting.clear();
            // The archive may have lost what was written.
            entry.written = Seq::MIN;
        }
        self.args.health.actors.fetch_sub(actors.len(), Relaxed);
        // Requests that wait for a log see a dropped reply.
        let stops = actors.iter().map(|actor| actor.stop_and_wait(None, Some(STOP_MAX)));
        for stopped in join_all(stops).await {
            if stopped.is_err() {
                tracing::error!("a log did not stop in time");
            }
        }
    }

    /// Forgets the logs in `slots`, which are stopped: another instance has written them, or is going to.
    fn forget(&mut self, slots: SlotSet) {
        self.logs.retain(|log, _| !slots.contains(log.slot()));
        self.counted_since = Instant::now();
    }

    fn recent(&self, logs: &[LogId], reply: oneshot::Sender<Vec<RecentReply>>) {
        let health = &self.args.health;
        let now = health.time.now();
        // A log that is not known here may be of any source.
        let archived_before = health.sources.iter().map(|source| source.archived_before()).min().unwrap_or(now);
        let nothing = Recent::nothing(since(self.counted_since, now), archived_before);
        let recent = |log| self.logs.get(log).map_or_else(|| nothing.clone(), |entry| entry.recent(now));
        // The requester may have left; that is not a failure.
        let _ = reply.send(logs.iter().map(recent).collect());
    }
}

impl Default for Failure {
    fn default() -> Self {
        Self { backoff: Backoff::new(RESTART.0, RESTART.1), start_after: Instant::now() }
    }
}

impl LogEntry {
    /// Returns the log's entry, adding one if there is none.
    fn of<'a>(logs: &'a mut LogEntries, log: LogId, source: &Arc<Source>, counted_since: Instant) -> &'a mut Self {
        match logs.entry(log) {
            hash_map::Entry::Occupied(entry) => entry.into_mut(),
            hash_map::Entry::Vacant(entry) => {
                let id = entry.key().clone();
                entry.insert(Box::new(Self::new(id, Arc::clone(source), counted_since)))
            }
        }
    }

    /// Replaces the source. A reader can ask for a log before its first event tells the source. The
    /// actor has then written nothing, and its readers retry.
    fn set_source<S>(&mut self, source: &Arc<Source>, args: &LogsArgs<S>, awake: &mut Awake) {
        if Arc::ptr_eq(&self.source, source) {
            return;
        }
        self.source = Arc::clone(source);
        self.failed_generation = None;
        self.written = Seq::MIN;
        self.waiting.clear();
        if let Some(actor) = self.actor.take() {
            drop(awake.remove(actor.get_id()));
            args.health.actors.fetch_sub(1, Relaxed);
            actor.stop(None);
        }
    }

    fn new(id: LogId, source: Arc<Source>, counted_since: Instant) -> Self {
        let now = Instant::now();
        Self {
            id,
            source,
            actor: None,
            is_guest: false,
            waiting: Vec::new(),
            written: Seq::MIN,
            forwarded: 0,
            last_used: now,
            recent: Arc::default(),
            counted_since,
            rate_told: now,
            started: now,
            failure: None,
            generation: 0,
            failed_generation: None,
        }
    }

    /// Returns the events that arrived during the last minute before `now`.
    fn recent(&self, now: Offset) -> RecentReply {
        let archived_before = self.source.health.archived_before();
        self.recent.reply(since(self.counted_since, now), archived_before)
    }

    /// Returns true if events arrived during the last minute that is known.
    fn has_recent_events(&self) -> bool {
        self.recent.matters(self.source.health.archived_before())
    }

    /// Returns true if more than the recent events of the log must be remembered, even if it is idle.
    fn is_needed<S: Store>(&self) -> bool {
        self.actor.is_some()
            || !self.waiting.is_empty()
            || (self.failure.is_some() && self.started.elapsed() < RECOVERED_AFTER)
            // A reader may have seen what is archived of this log, but not of the whole source.
            || (!S::WRITES_ARE_ATOMIC && self.written > self.source.archived(&self.id))
    }

    /// Sends a message to the log's actor, after those that wait. Starts the actor if none is running
    /// and the log's last failure is long enough ago.
    fn forward<S: Store>(&mut self, msg: LogMsg, myself: &LogsRef, args: &LogsArgs<S>, awake: &mut Awake) {
        let waiting = std::mem::take(&mut self.waiting);
        let is_request = !matches!(msg, LogMsg::Append { .. });
        self.send(waiting.into_iter().chain([msg]), is_request, myself, args, awake);
    }

    /// Sends the messages that wait to the log's actor, and starts it if necessary.
    fn forward_waiting<S: Store>(&mut self, myself: &LogsRef, args: &LogsArgs<S>, awake: &mut Awake) {
        let waiting = std::mem::take(&mut self.waiting);
        if !waiting.is_empty() {
            self.send(waiting.into_iter(), false, myself, args, awake);
        }
    }

    fn send<S: Store>(
        &mut self,
        mut messages: impl Iterator<Item = LogMsg>,
        is_request: bool,
        myself: &LogsRef,
        args: &LogsArgs<S>,
        awake: &mut Awake,
    ) {
        self.last_used = Instant::now();
        if self.actor.is_none() && !self.start(is_request, myself, args, awake) {
            // Later events of this generation must not overtake these.
            if messages.any(|msg| matches!(msg, LogMsg::Append { .. })) {
                self.failed_generation = Some(self.generation);
            }
            return;
        }
        let actor = self.actor.as_ref().expect("the actor was started above");
        for msg in messages {
            self.forwarded += 1;
            // An actor that has just failed drops the message. The sender sees a dropped guard or reply.
            let _ = actor.send_message(msg);
        }
        if self.is_guest {
            self.ask_to_rest(myself);
        }
    }

    /// Starts the log's actor. Returns false if that fails, or if the log's last failure is too recent.
    fn start<S: Store>(&mut self, is_request: bool, myself: &LogsRef, args: &LogsArgs<S>, awake: &mut Awake) -> bool {
        let now = Instant::now();
        if self.failure.as_ref().is_some_and(|failure| now < failure.start_after) {
            return false;
        }
        let child = LogArgs {
            id: self.id.clone(),
            store: args.store.clone(),
            source: Arc::clone(&self.source),
            health: Arc::clone(&args.health),
            write_permits: args.write_permits.clone(),
            ahead_permits: Arc::clone(&args.ahead_permits),
            rules: Arc::clone(&args.rules),
            removed: Arc::default(),
            once_budget: Arc::clone(&args.once_budget),
            written: self.written,
            recent: Arc::clone(&self.recent),
        };
        match ActorRuntime::spawn_linked_instant(None, LogActor::new(), child, myself.get_cell()) {
            Ok((actor, _)) => {
                let seat = awake.seat(is_request);
                self.is_guest = seat != Seat::Resident;
                awake.insert(actor.get_id(), self.id.clone(), seat);
                self.actor = Some(actor);
                self.started = now;
                args.health.actors.fetch_add(1, Relaxed);
                true
            }
            Err(error) => {
                tracing::error!(log = %self.id, %error, "cannot start a log");
                false
            }
        }
    }

    /// Asks the actor to report once it has nothing under way.
    fn ask_to_rest(&self, myself: &LogsRef) {
        let Some(actor) = &self.actor else { return };
        let (logs, log, forwarded, id) = (myself.clone(), self.id.clone(), self.forwarded, actor.get_id());
        // The supervisor may be stopping; that is not a failure.
        let when_idle = WhenIdle::new(move |written| {
            drop(logs.send_message(LogsMsg::Idle { log, actor: id, forwarded, written }));
        });
        // An actor that has just failed drops the question; the supervisor learns of the failure
        // otherwise.
        let _ = actor.send_message(LogMsg::Rest { when_idle });
    }
}

/// Returns the time at which our clock showed `when`, if it is `now`.
fn since(when: Instant, now: Offset) -> Offset {
    now.saturating_add_nanos(-i64::try_from(when.elapsed().as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::{
        Embedded, Memory, Offset, Position, Record, Seq,
        read::Query,
        store::{Arrival, EventRow, Run},
        time::system_clock,
    };

    use crate::{
        config::Settings,
        ownership::Ownership,
        reading::{Read, Reading},
        sources,
    };

    /// The bytes of an event. Some hundred are more than one write takes.
    const DATA_BYTES: usize = 10_000;

    /// A running supervisor, and the source of its logs.
    struct Fixture {
        logs: LogsRef,
        source: Arc<Source>,
        health: Arc<Health>,
    }

    async fn start() -> Fixture {
        start_over(Memory::new()).await
    }

    async fn start_over(store: impl Store) -> Fixture {
        start_with(store, None).await
    }

    async fn start_with(store: impl Store, write_permits: Option<Arc<Semaphore>>) -> Fixture {
        let sources = sources::load(&Settings::default(), &store).await.expect("the archive answers");
        let health = Arc::new(Health::new(system_clock, Vec::new(), Ownership::alone(Offset::MIN)));
        let args = LogsArgs {
            store,
            idle: RECOVERED_AFTER,
            health: Arc::clone(&health),
            write_permits,
            ahead_permits: Arc::new(Semaphore::new(1)),
            rules: Arc::default(),
            once_budget: Arc::default(),
        };
        let logs = Actor::spawn(None, Logs::new(), args).await.expect("the supervisor starts").0;
        Fixture { logs, source: Arc::clone(sources.wal()), health }
    }

    #[tokio::test]
    async fn events_that_are_handed_out_again_before_they_were_written_are_counted_once() {
        let (store, permits) = (Memory::new(), Arc::new(Semaphore::new(0)));
        let fixture = start_with(store.clone(), Some(Arc::clone(&permits))).await;
        let log: LogId = "a".parse().expect("a valid id");
        let first = deliver(&fixture, 1, &log, 1);
        let delivered = join_all([2, 3, 2, 3, 4].map(|sequence| deliver(&fixture, 1, &log, sequence)));
        let permit = async { permits.add_permits(1) };
        let (first, delivered, ()) = tokio::join!(first, delivered, permit);
        assert!(first.is_ok() && delivered.iter().all(Result::is_ok));
        assert_eq!(store.totals(&log).await.expect("memory answers").count, 4);
    }

    async fn deliver(fixture: &Fixture, generation: u64, log: &LogId, sequence: u64) -> Result<(), ()> {
        let at = Offset::from_nanos(sequence as i64);
        let arrived = Arrival { offset: at, time: at, max_time: at, seq: Seq::new(1, sequence) };
        let (sender, completed) = oneshot::channel();
        let guard = CompletionGuard::new(|complete| sender.send(complete).expect("the test receives it"));
        let events = vec![PendingEvent {
            row: EventRow::new(log, arrived, Record::new("x".repeat(DATA_BYTES))),
            once: None,
            receipt: None,
        }];
        let deliveries = vec![Delivery { log: log.clone(), events, guard }];
        let origin = Origin { source: Arc::clone(&fixture.source), generation, rollbacks: 0, assignment: 0 };
        fixture.logs.send_message(LogsMsg::Deliver { origin, deliveries }).expect("the supervisor runs");
        completed.await.expect("a guard always reports").then_some(()).ok_or(())
    }

    fn ask(fixture: &Fixture, log: &LogId, request: LogMsg) {
        let ask = LogsMsg::Ask { log: log.clone(), source: Arc::clone(&fixture.source), request };
        fixture.logs.send_message(ask).expect("the supervisor runs");
    }

    async fn count(fixture: &Fixture, log: &LogId) -> Option<usize> {
        count_in(fixture, log, Query::ALL).await
    }

    async fn count_in(fixture: &Fixture, log: &LogId, query: Query) -> Option<usize> {
        let (reply, answer) = oneshot::channel();
        let request = LogMsg::Replay { reading: Reading::Timeline(query), reply };
        ask(fixture, log, request);
        match answer.await.ok()?.expect("the log exists").0.read {
            Read::Timeline(page) => Some(page.events.iter().map(Run::count).sum()),
            Read::Arrival(_) => None,
        }
    }

    #[test]
    fn readers_that_wait_do_not_keep_events_from_waking_a_log() {
        let mut awake = Awake::default();
        let wake = |awake: &mut Awake, id: u64, is_request: bool| {
            let seat = awake.seat(is_request);
            awake.insert(ActorId::Local(id), "a".parse().expect("a valid id"), seat);
        };
        (0..RESIDENTS_MAX as u64).for_each(|id| wake(&mut awake, id, false));
        (10_000..20_000).for_each(|id| wake(&mut awake, id, true));
        (20_000..20_000 + WRITERS_MAX as u64).for_each(|id| {
            assert!(awake.has_room());
            wake(&mut awake, id, false);
        });
        assert!(!awake.has_room());
        // A reader waits at one of these.
        awake.is_requested(ActorId::Local(20_000));
        assert!(awake.has_room());
        wake(&mut awake, 30_000, false);
        assert!(!awake.has_room());
        for id in [20_000, 30_000] {
            assert!(awake.remove(ActorId::Local(id)).is_some());
        }
        assert_eq!((awake.has_room(), awake.writers), (true, WRITERS_MAX - 1));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn events_that_arrive_during_a_queued_write_are_written_after_it() {
        const EVENTS: u64 = 300;
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let fixture = start_over(Embedded::open(directory.path()).expect("the directory is empty")).await;
        let log: LogId = "queued".parse().expect("a valid id");
        // Twice: after a pause, nothing is queued.
        for from in [1, EVENTS + 1] {
            let delivered = join_all((from..from + EVENTS).map(|sequence| deliver(&fixture, 1, &log, sequence))).await;
            assert!(delivered.into_iter().all(|outcome| outcome == Ok(())));
            // A reader finds every event that was reported as archived.
            assert_eq!(count(&fixture, &log).await, Some((from + EVENTS - 1) as usize));
        }
        // A job waits for the end of a queued write, and the log tells when it has nothing under way.
        let delivered = deliver(&fixture, 1, &log, 2 * EVENTS + 1);
        let (reply, deleted) = oneshot::channel();
        let (told, idle) = oneshot::channel();
        let job = async {
            ask(&fixture, &log, LogMsg::Job(Job::Delete { dry_run: true, reply }));
            let when_idle = WhenIdle::new(|written| told.send(written).expect("the test receives it"));
            ask(&fixture, &log, LogMsg::Rest { when_idle });
            (deleted.await, idle.await)
        };
        let (delivered, (deleted, idle)) = tokio::join!(delivered, job);
        assert_eq!(delivered, Ok(()));
        let deleted = deleted.expect("the log answers").expect("the log exists");
        assert_eq!((deleted.events, idle), (2 * EVENTS + 1, Ok(Seq::new(1, 2 * EVENTS + 1))));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_logs_of_one_chunk_are_written_by_a_bounded_number_of_actors() {
        const LOGS: u64 = 3 * RESIDENTS_MAX as u64;
        let fixture = start().await;
        let log = |number: u64| -> LogId { format!("many.{number}").parse().expect("a valid id") };
        let (sender, completed) = oneshot::channel();
        let guard = CompletionGuard::new(|complete| sender.send(complete).expect("the test receives it"));
        let deliveries = (1..=LOGS).map(|number| {
            let (log, at) = (log(number), Offset::from_nanos(number as i64));
            let arrived = Arrival { offset: at, time: at, max_time: at, seq: Seq::new(1, number) };
            let events =
                vec![PendingEvent { row: EventRow::new(&log, arrived, Record::new("x")), once: None, receipt: None }];
            Delivery { log, events, guard: guard.clone() }
        });
        let origin = Origin { source: Arc::clone(&fixture.source), generation: 1, rollbacks: 0, assignment: 0 };
        let deliver = LogsMsg::Deliver { origin, deliveries: deliveries.collect() };
        guard.archived();
        fixture.logs.send_message(deliver).expect("the supervisor runs");
        let mut most = 0;
        let mut completed = std::pin::pin!(completed);
        loop {
            most = most.max(fixture.health.actors.load(Relaxed));
            tokio::select! {
                complete = &mut completed => break assert!(complete.expect("a guard always reports")),
                () = tokio::task::yield_now() => {}
            }
        }
        assert!((RESIDENTS_MAX..=RESIDENTS_MAX + WRITERS_MAX).contains(&most), "{most} logs were awake at once");
        // Readers wake a log at any time, and see what was written before it slept.
        for number in [1, LOGS / 2, LOGS] {
            assert_eq!(count(&fixture, &log(number)).await, Some(1));
        }
        // A reader who finds nothing at the end of a log could wait there for more.
        let at_end = Query { from: Position::at(Offset::MAX), ..Query::ALL };
        for number in LOGS - 100..LOGS {
            assert_eq!(count_in(&fixture, &log(number), at_end).await, Some(0));
        }
        let begun = Instant::now();
        while fixture.health.actors.load(Relaxed) > RESIDENTS_MAX {
            assert!(begun.elapsed() < Duration::from_secs(10), "guests stay awake");
            tokio::task::yield_now().await;
        }
        fixture.logs.stop(None);
    }

    #[tokio::test]
    async fn a_log_that_panics_answers_again_within_a_second_and_the_others_never_stop() {
        let fixture = start().await;
        let [bad, good]: [LogId; 2] = ["bad", "good"].map(|id| id.parse().expect("a valid id"));
        deliver(&fixture, 1, &bad, 1).await.expect("the event is archived");
        ask(&fixture, &bad, LogMsg::Panic);
        deliver(&fixture, 1, &good, 2).await.expect("the other log goes on");

        // The failed log takes no more events of this generation: those it lost must be sent first.
        deliver(&fixture, 1, &bad, 4).await.expect_err("an event was taken before those that were lost");
        let begun = Instant::now();
        let mut generation = 2;
        while deliver(&fixture, generation, &bad, 3).await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(1), "the log does not answer again");
            generation += 1;
            tokio::task::yield_now().await;
        }
        assert_eq!((count(&fixture, &bad).await, count(&fixture, &good).await), (Some(2), Some(1)));
        fixture.logs.stop(None);
    }
}
