//! The supervisor of the logs: starts an actor for each log that is needed, restarts failed ones
//! and stops idle ones.

use std::{
    collections::{HashMap, hash_map},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use hourlog::{LogId, nats::Backoff, store::Store, time::Clock};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, ActorRuntime, SupervisionEvent};
use tokio::sync::{Semaphore, oneshot};

use crate::{
    completion::CompletionGuard,
    health::Health,
    log_actor::{LogActor, LogArgs, LogMsg, LogRef, WhenIdle, jobs::Job},
    origin::Origin,
    pending::PendingEvent,
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
/// The window over which events per second are counted.
const RATE_WINDOW: Duration = Duration::from_secs(60);

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
    /// `forwarded` were sent to the log.
    Idle { log: LogId, actor: ActorId, forwarded: u64 },
    /// Returns the events per second that arrived for these logs during the last minute.
    Rates { logs: Vec<LogId>, reply: oneshot::Sender<Vec<f64>> },
    /// Looks for idle logs.
    Sweep,
    /// Stops all logs, with everything they have under way, and replies once they have ended. Each
    /// is started again when it is needed. Events that were handed out before this rollback are
    /// dropped from here on.
    Restart { rollback: u64, reply: oneshot::Sender<()> },
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
    pub(crate) rules: Arc<Rules>,
    pub(crate) clock: Clock,
}

/// The actor of the supervisor.
#[derive(Debug)]
pub(crate) struct Logs<S>(std::marker::PhantomData<fn() -> S>);

impl<S> Logs<S> {
    pub(crate) fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

/// The state of the supervisor.
#[derive(Debug)]
pub(crate) struct LogsState<S> {
    args: LogsArgs<S>,
    logs: HashMap<LogId, LogEntry>,
    running: HashMap<ActorId, LogId>,
    /// The newest rollback of the archive.
    rollbacks: u64,
}

/// A log that is running, was used lately, or failed lately.
#[derive(Debug)]
struct LogEntry {
    id: LogId,
    source: Arc<Source>,
    actor: Option<LogRef>,
    /// Number of messages sent to the log.
    forwarded: u64,
    last_used: Instant,
    rate: Rate,
    /// The last time that a log of the system was told its rate.
    rate_told: Instant,
    started: Instant,
    backoff: Backoff,
    /// The earliest time of the next start.
    start_after: Instant,
    /// The newest generation of the ingest that sent events.
    generation: u64,
    /// The generation in which the log failed, and of which it takes no more events.
    failed_generation: Option<u64>,
}

impl<S: Store> Actor for Logs<S> {
    type Msg = LogsMsg;
    type State = LogsState<S>;
    type Arguments = LogsArgs<S>;

    async fn pre_start(&self, myself: LogsRef, args: LogsArgs<S>) -> Result<LogsState<S>, ActorProcessingErr> {
        myself.send_interval(args.idle.div_f64(4.0).max(Duration::from_millis(50)), || LogsMsg::Sweep);
        Ok(LogsState { args, logs: HashMap::new(), running: HashMap::new(), rollbacks: 0 })
    }

    async fn handle(&self, myself: LogsRef, msg: LogsMsg, state: &mut LogsState<S>) -> Result<(), ActorProcessingErr> {
        match msg {
            LogsMsg::Deliver { origin, deliveries } => state.deliver(&myself, &origin, deliveries),
            LogsMsg::Ask { log, source, request } => state.ask(&myself, log, &source, request),
            LogsMsg::Idle { log, actor, forwarded } => state.stop_idle(&log, actor, forwarded),
            LogsMsg::Rates { logs, reply } => state.rates(&logs, reply),
            LogsMsg::Sweep => state.sweep(&myself),
            LogsMsg::Restart { rollback, reply } => {
                state.rollbacks = rollback;
                state.stop_all().await;
                let _ = reply.send(());
            }
        }
        Ok(())
    }

    /// The default implementation would end the supervisor with the first log that fails.
    async fn handle_supervisor_evt(
        &self,
        _: LogsRef,
        event: SupervisionEvent,
        state: &mut LogsState<S>,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(actor, error) => state.failed(actor.get_id(), &error.to_string()),
            SupervisionEvent::ActorTerminated(actor, _, _) => {
                state.running.remove(&actor.get_id());
            }
            _ => {}
        }
        Ok(())
    }
}

impl<S: Store> LogsState<S> {
    fn deliver(&mut self, myself: &LogsRef, origin: &Origin, deliveries: Vec<Delivery>) {
        // The ingest of another source may not have noticed the rollback yet. Its events must not
        // be written before it reads them again.
        if origin.rollbacks != self.rollbacks {
            return;
        }
        for Delivery { log, events, guard } in deliveries {
            let entry = LogEntry::of(&mut self.logs, log, &origin.source);
            entry.set_source(&origin.source, &self.args, &mut self.running);
            if entry.failed_generation == Some(origin.generation) {
                continue;
            }
            entry.failed_generation = None;
            entry.generation = origin.generation;
            entry.rate.add(events.len() as u64);
            entry.forward(LogMsg::Append { events, guard }, myself, &self.args, &mut self.running);
        }
    }

    fn ask(&mut self, myself: &LogsRef, log: LogId, source: &Arc<Source>, request: LogMsg) {
        LogEntry::of(&mut self.logs, log, source).forward(request, myself, &self.args, &mut self.running);
    }

    fn failed(&mut self, actor: ActorId, error: &str) {
        let Some(log) = self.running.remove(&actor) else {
            return;
        };
        self.args.health.actors.fetch_sub(1, Relaxed);
        self.args.health.actors_failed.fetch_add(1, Relaxed);
        let Some(entry) = self.logs.get_mut(&log) else {
            return;
        };
        entry.actor = None;
        entry.failed_generation = Some(entry.generation);
        if entry.started.elapsed() > RECOVERED_AFTER {
            entry.backoff.reset();
        }
        let pause = entry.backoff.next_pause();
        entry.start_after = Instant::now() + pause;
        tracing::error!(%log, error, ?pause, "a log has failed; restarting it after a pause");
    }

    /// Asks the actors of idle logs whether they have anything under way.
    fn sweep(&mut self, myself: &LogsRef) {
        let idle = self.args.idle;
        let is_idle = |entry: &LogEntry| entry.last_used.elapsed() >= idle;
        // A failed log is remembered for as long as its backoff matters.
        self.logs
            .retain(|_, entry| entry.actor.is_some() || !is_idle(entry) || entry.started.elapsed() < RECOVERED_AFTER);
        self.tell_rates();
        for entry in self.logs.values().filter(|entry| is_idle(entry)) {
            let Some(actor) = &entry.actor else { continue };
            let (logs, log, forwarded, id) = (myself.clone(), entry.id.clone(), entry.forwarded, actor.get_id());
            // The supervisor may be stopping; that is not a failure.
            let when_idle = WhenIdle::new(move || drop(logs.send_message(LogsMsg::Idle { log, actor: id, forwarded })));
            // An actor that has just failed drops the question; the supervisor learns of the
            // failure otherwise.
            let _ = actor.send_message(LogMsg::Rest { when_idle });
        }
    }

    /// Tells each log of the system its rate, so that its width can follow. Nobody else chooses it.
    fn tell_rates(&mut self) {
        let is_due = |entry: &&mut LogEntry| entry.id.is_system() && entry.rate_told.elapsed() >= RATE_WINDOW;
        for entry in self.logs.values_mut().filter(is_due) {
            entry.rate_told = Instant::now();
            let rate = entry.rate.per_second();
            if let Some(actor) = &entry.actor {
                // An actor that has just failed drops it; the next one is told in a minute.
                let _ = actor.send_message(LogMsg::Job(Job::Fit { rate }));
            }
        }
    }

    /// Stops a log's actor, unless it was replaced or something was forwarded to it meanwhile.
    fn stop_idle(&mut self, log: &LogId, id: ActorId, forwarded: u64) {
        let Some(entry) = self.logs.get(log).filter(|entry| entry.forwarded == forwarded) else {
            return;
        };
        let Some(actor) = entry.actor.as_ref().filter(|actor| actor.get_id() == id) else {
            return;
        };
        self.running.remove(&id);
        self.args.health.actors.fetch_sub(1, Relaxed);
        actor.stop(None);
        self.logs.remove(log);
    }

    /// Stops all actors and waits. Once an actor has ended, so has its write.
    async fn stop_all(&mut self) {
        let actors: Vec<LogRef> = self.logs.values_mut().filter_map(|entry| entry.actor.take()).collect();
        self.args.health.actors.fetch_sub(actors.len(), Relaxed);
        self.running.clear();
        // Requests that wait for a log see a dropped reply.
        let stops = actors.iter().map(|actor| actor.stop_and_wait(None, Some(STOP_MAX)));
        for stopped in join_all(stops).await {
            if stopped.is_err() {
                tracing::error!("a log did not stop in time");
            }
        }
    }

    fn rates(&mut self, logs: &[LogId], reply: oneshot::Sender<Vec<f64>>) {
        let rates =
            logs.iter().map(|log| self.logs.get_mut(log).map_or(0.0, |entry| entry.rate.per_second())).collect();
        // The requester may have left; that is not a failure.
        let _ = reply.send(rates);
    }
}

impl LogEntry {
    /// Returns the log's entry, adding one if there is none.
    fn of<'a>(logs: &'a mut HashMap<LogId, Self>, log: LogId, source: &Arc<Source>) -> &'a mut Self {
        match logs.entry(log) {
            hash_map::Entry::Occupied(entry) => entry.into_mut(),
            hash_map::Entry::Vacant(entry) => {
                let id = entry.key().clone();
                entry.insert(Self::new(id, Arc::clone(source)))
            }
        }
    }

    /// Replaces the source. A reader can ask for a log before its first event tells the source. The
    /// actor has then written nothing, and its readers retry.
    fn set_source<S>(&mut self, source: &Arc<Source>, args: &LogsArgs<S>, running: &mut HashMap<ActorId, LogId>) {
        if Arc::ptr_eq(&self.source, source) {
            return;
        }
        self.source = Arc::clone(source);
        self.failed_generation = None;
        if let Some(actor) = self.actor.take() {
            running.remove(&actor.get_id());
            args.health.actors.fetch_sub(1, Relaxed);
            actor.stop(None);
        }
    }

    fn new(id: LogId, source: Arc<Source>) -> Self {
        let now = Instant::now();
        Self {
            id,
            source,
            actor: None,
            forwarded: 0,
            last_used: now,
            rate: Rate { from: now, current: 0, previous: 0 },
            rate_told: now,
            started: now,
            backoff: Backoff::new(RESTART.0, RESTART.1),
            start_after: now,
            generation: 0,
            failed_generation: None,
        }
    }

    /// Sends a message to the log's actor. Starts the actor if none is running and the log's last
    /// failure is long enough ago.
    fn forward<S: Store>(
        &mut self,
        msg: LogMsg,
        myself: &LogsRef,
        args: &LogsArgs<S>,
        running: &mut HashMap<ActorId, LogId>,
    ) {
        let now = Instant::now();
        self.last_used = now;
        if self.actor.is_none() {
            if now < self.start_after {
                if matches!(msg, LogMsg::Append { .. }) {
                    self.failed_generation = Some(self.generation);
                }
                return;
            }
            let child = LogArgs {
                id: self.id.clone(),
                store: args.store.clone(),
                source: Arc::clone(&self.source),
                health: Arc::clone(&args.health),
                write_permits: args.write_permits.clone(),
                rules: Arc::clone(&args.rules),
                clock: args.clock,
                removed: Arc::default(),
            };
            match ActorRuntime::spawn_linked_instant(None, LogActor::new(), child, myself.get_cell()) {
                Ok((actor, _)) => {
                    running.insert(actor.get_id(), self.id.clone());
                    self.actor = Some(actor);
                    self.started = now;
                    args.health.actors.fetch_add(1, Relaxed);
                }
                Err(error) => {
                    tracing::error!(log = %self.id, %error, "cannot start a log");
                    // As while it pauses: later events of this generation must not overtake these.
                    if matches!(msg, LogMsg::Append { .. }) {
                        self.failed_generation = Some(self.generation);
                    }
                    return;
                }
            }
        }
        let actor = self.actor.as_ref().expect("the actor was started above");
        self.forwarded += 1;
        // An actor that has just failed drops the message. The sender sees a dropped guard or reply.
        let _ = actor.send_message(msg);
    }
}

/// An event count over a sliding minute: that of the current minute, and of the previous one as far
/// as the window still covers it.
#[derive(Debug)]
struct Rate {
    from: Instant,
    current: u64,
    previous: u64,
}

impl Rate {
    fn add(&mut self, count: u64) {
        self.advance();
        self.current += count;
    }

    fn per_second(&mut self) -> f64 {
        self.advance();
        let passed = self.from.elapsed().as_secs_f64() / RATE_WINDOW.as_secs_f64();
        let events = self.current as f64 + self.previous as f64 * (1.0 - passed).max(0.0);
        events / RATE_WINDOW.as_secs_f64()
    }

    fn advance(&mut self) {
        let passed = self.from.elapsed();
        if passed >= RATE_WINDOW * 2 {
            (self.previous, self.current, self.from) = (0, 0, Instant::now());
        } else if passed >= RATE_WINDOW {
            (self.previous, self.current, self.from) = (self.current, 0, self.from + RATE_WINDOW);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::{
        Memory, Offset, Record, Seq,
        read::Query,
        store::{Arrival, EventRow},
        time::system_clock,
    };

    use crate::{
        config::Settings,
        log_actor::{Read, Reading},
        sources,
    };

    /// A running supervisor, and the source of its logs.
    struct Fixture {
        logs: LogsRef,
        source: Arc<Source>,
    }

    async fn start() -> Fixture {
        let store = Memory::new();
        let sources = sources::load(&Settings::default(), &store).await.expect("a memory store answers");
        let health = Arc::new(Health::new(system_clock, Vec::new()));
        let args = LogsArgs {
            store,
            idle: RECOVERED_AFTER,
            health,
            write_permits: None,
            rules: Arc::default(),
            clock: system_clock,
        };
        let logs = Actor::spawn(None, Logs::new(), args).await.expect("the supervisor starts").0;
        Fixture { logs, source: Arc::clone(sources.wal()) }
    }

    async fn deliver(fixture: &Fixture, generation: u64, log: &LogId, sequence: u64) -> Result<(), ()> {
        let at = Offset::from_nanos(sequence as i64);
        let arrived = Arrival { offset: at, time: at, max_time: at, seq: Seq::new(1, sequence) };
        let (sender, completed) = oneshot::channel();
        let guard = CompletionGuard::new(|complete| sender.send(complete).expect("the test receives it"));
        let events = vec![PendingEvent { row: EventRow::new(log, arrived, Record::new("x")), once: None }];
        let deliveries = vec![Delivery { log: log.clone(), events, guard }];
        let origin = Origin { source: Arc::clone(&fixture.source), generation, rollbacks: 0 };
        fixture.logs.send_message(LogsMsg::Deliver { origin, deliveries }).expect("the supervisor runs");
        completed.await.expect("a guard always reports").then_some(()).ok_or(())
    }

    fn ask(fixture: &Fixture, log: &LogId, request: LogMsg) {
        let ask = LogsMsg::Ask { log: log.clone(), source: Arc::clone(&fixture.source), request };
        fixture.logs.send_message(ask).expect("the supervisor runs");
    }

    async fn count(fixture: &Fixture, log: &LogId) -> Option<usize> {
        let (reply, answer) = oneshot::channel();
        let request = LogMsg::Replay { reading: Reading::Timeline(Query::ALL), wait: Duration::ZERO, reply };
        ask(fixture, log, request);
        match answer.await.ok()?.expect("the log exists").read {
            Read::Timeline(page) => Some(page.events.len()),
            Read::Arrival(_) => None,
        }
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
