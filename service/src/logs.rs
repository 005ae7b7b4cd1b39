//! The logs that are awake: starts an actor for each that is needed, restarts those that fail, puts idle ones to sleep.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use hourlog::{LogId, Store};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, ActorRuntime, SupervisionEvent};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::{
    backoff::Backoff,
    epochs::Epochs,
    log_actor::{Arriving, LogActor, LogArgs, LogMsg, LogRef},
    share::Share,
    telemetry::Status,
};

/// The supervisor of all logs. Cheap to clone. Every message to a log goes through it, so that none is lost to one that
/// has just gone to sleep.
pub(crate) type LogsRef = ActorRef<LogsMsg>;

/// The pauses before a log that fails is started again.
const RESTART: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(5));
/// A log that ran so long is no longer one that fails.
const SOUND_AFTER: Duration = Duration::from_secs(60);
/// How long a log may take to end: it awaits nothing.
const ENDS_WITHIN: Duration = Duration::from_secs(5);
/// The stretch over which events a second are counted.
const RATE_WINDOW: Duration = Duration::from_secs(60);

/// What the supervisor is asked.
#[derive(Debug)]
pub(crate) enum LogsMsg {
    /// Events for many logs, of one run of the ingest. A dropped `done` means that the run has to begin anew from
    /// what is archived: then nothing of this run is given to that log any more, so that its events stay in order.
    Deliver { run: u64, deliveries: Vec<Delivery> },
    /// A question for one log. Dropped, with its reply, where the log is about to be restarted.
    Ask(LogId, LogMsg),
    /// A log has nothing under way. It sleeps, unless something was sent to it since it was asked.
    Asleep { log: LogId, forwarded: u64 },
    /// Events a second that came for these logs during the last minute.
    Rates { logs: Vec<LogId>, reply: oneshot::Sender<Vec<f64>> },
    /// Time to look for idle logs.
    Sweep,
    /// Ends all logs, with what they have under way, and answers when nothing is any more. Each begins anew when it is needed.
    Restart { reply: oneshot::Sender<()> },
}

/// Events for one log.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) log: LogId,
    pub(crate) events: Vec<Arriving>,
    pub(crate) done: Share,
}

/// What the supervisor needs.
#[derive(Debug, Clone)]
pub(crate) struct LogsArgs<S> {
    pub(crate) store: S,
    pub(crate) stream: Arc<str>,
    pub(crate) idle: Duration,
    pub(crate) status: Arc<Status>,
    /// Told to logs over an archive that may hold a write in part.
    pub(crate) epochs: Option<watch::Receiver<Arc<Epochs>>>,
    /// Handed to logs of which not all are to write at once.
    pub(crate) turns: Option<Arc<Semaphore>>,
}

/// The actor.
#[derive(Debug)]
pub(crate) struct Logs<S>(std::marker::PhantomData<fn() -> S>);

impl<S> Logs<S> {
    pub(crate) fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

/// What the supervisor holds.
#[derive(Debug)]
pub(crate) struct LogsState<S> {
    args: LogsArgs<S>,
    logs: HashMap<LogId, Entry>,
    running: HashMap<ActorId, LogId>,
}

#[derive(Debug)]
struct Entry {
    actor: Option<LogRef>,
    /// How many messages it was sent.
    forwarded: u64,
    /// When it was last needed.
    used: Instant,
    rate: Rate,
    started: Instant,
    backoff: Backoff,
    /// Not to be started before.
    rests_until: Instant,
    /// The run of the ingest that it failed in, of which it takes no more.
    failed_run: Option<u64>,
    /// The newest run that it was given events of.
    run: u64,
}

impl<S: Store> Actor for Logs<S> {
    type Msg = LogsMsg;
    type State = LogsState<S>;
    type Arguments = LogsArgs<S>;

    async fn pre_start(&self, myself: LogsRef, args: LogsArgs<S>) -> Result<LogsState<S>, ActorProcessingErr> {
        myself.send_interval(args.idle.div_f64(4.0).max(Duration::from_millis(50)), || LogsMsg::Sweep);
        Ok(LogsState { args, logs: HashMap::new(), running: HashMap::new() })
    }

    async fn handle(&self, myself: LogsRef, msg: LogsMsg, state: &mut LogsState<S>) -> Result<(), ActorProcessingErr> {
        match msg {
            LogsMsg::Deliver { run, deliveries } => {
                deliveries.into_iter().for_each(|delivery| state.deliver(&myself, run, delivery));
            }
            LogsMsg::Ask(log, question) => state.forward(&myself, &log, question),
            LogsMsg::Asleep { log, forwarded } => state.put_to_sleep(&log, forwarded),
            LogsMsg::Rates { logs, reply } => state.rates(&logs, reply),
            LogsMsg::Sweep => state.sweep(),
            LogsMsg::Restart { reply } => {
                state.stop_all().await;
                let _ = reply.send(());
            }
        }
        Ok(())
    }

    /// Without this the supervisor would end with the first log that fails.
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
    fn deliver(&mut self, myself: &LogsRef, run: u64, delivery: Delivery) {
        let Delivery { log, events, done } = delivery;
        let entry = self.entry(&log);
        if entry.failed_run == Some(run) {
            return;
        }
        entry.failed_run = None;
        entry.run = run;
        entry.rate.add(events.len() as u64);
        self.forward(myself, &log, LogMsg::Append { events, done });
    }

    fn forward(&mut self, myself: &LogsRef, log: &LogId, msg: LogMsg) {
        self.entry(log);
        let Self { args, logs, running } = self;
        let entry = logs.get_mut(log).expect("it was made above");
        let now = Instant::now();
        entry.used = now;
        if entry.actor.is_none() {
            if now < entry.rests_until {
                if matches!(msg, LogMsg::Append { .. }) {
                    entry.failed_run = Some(entry.run);
                }
                return;
            }
            let child = LogArgs {
                id: log.clone(),
                store: args.store.clone(),
                logs: myself.clone(),
                stream: Arc::clone(&args.stream),
                status: Arc::clone(&args.status),
                epochs: args.epochs.clone(),
                turns: args.turns.clone(),
            };
            match ActorRuntime::spawn_linked_instant(None, LogActor::new(), child, myself.get_cell()) {
                Ok((actor, _)) => {
                    running.insert(actor.get_id(), log.clone());
                    entry.actor = Some(actor);
                    entry.started = now;
                    args.status.actors.fetch_add(1, Relaxed);
                }
                Err(error) => {
                    tracing::error!(%log, %error, "a log cannot be started");
                    return;
                }
            }
        }
        let actor = entry.actor.as_ref().expect("it was started above");
        entry.forwarded += 1;
        // One that has just failed drops it; then this is heard of as a dropped reply.
        let _ = actor.send_message(msg);
    }

    fn entry(&mut self, log: &LogId) -> &mut Entry {
        if !self.logs.contains_key(log) {
            self.logs.insert(log.clone(), Entry::new());
        }
        self.logs.get_mut(log).expect("it was made above")
    }

    fn failed(&mut self, actor: ActorId, error: &str) {
        let Some(log) = self.running.remove(&actor) else {
            return;
        };
        self.args.status.actors.fetch_sub(1, Relaxed);
        self.args.status.actors_failed.fetch_add(1, Relaxed);
        let Some(entry) = self.logs.get_mut(&log) else {
            return;
        };
        entry.actor = None;
        entry.failed_run = Some(entry.run);
        if entry.started.elapsed() > SOUND_AFTER {
            entry.backoff.reset();
        }
        let pause = entry.backoff.next();
        entry.rests_until = Instant::now() + pause;
        tracing::error!(%log, error, ?pause, "a log has failed and is started again");
    }

    fn sweep(&mut self) {
        let idle = self.args.idle;
        let quiet = |entry: &Entry| entry.used.elapsed() >= idle;
        // One that failed is remembered for as long as its failure matters.
        self.logs.retain(|_, entry| entry.actor.is_some() || !quiet(entry) || entry.started.elapsed() < SOUND_AFTER);
        for entry in self.logs.values().filter(|entry| quiet(entry)) {
            if let Some(actor) = &entry.actor {
                let _ = actor.send_message(LogMsg::Rest { forwarded: entry.forwarded });
            }
        }
    }

    fn put_to_sleep(&mut self, log: &LogId, forwarded: u64) {
        let Some(entry) = self.logs.get(log).filter(|entry| entry.forwarded == forwarded) else {
            return;
        };
        if let Some(actor) = &entry.actor {
            self.running.remove(&actor.get_id());
            self.args.status.actors.fetch_sub(1, Relaxed);
            actor.stop(None);
        }
        self.logs.remove(log);
    }

    /// Once an actor has ended, so has what it was writing.
    async fn stop_all(&mut self) {
        let actors: Vec<LogRef> = self.logs.values_mut().filter_map(|entry| entry.actor.take()).collect();
        self.args.status.actors.fetch_sub(actors.len(), Relaxed);
        self.running.clear();
        // What waits for it hears of it as a dropped reply.
        let ended = actors.iter().map(|actor| actor.stop_and_wait(None, Some(ENDS_WITHIN)));
        for ended in join_all(ended).await {
            if ended.is_err() {
                tracing::error!("a log does not end");
            }
        }
    }

    fn rates(&mut self, logs: &[LogId], reply: oneshot::Sender<Vec<f64>>) {
        let rates =
            logs.iter().map(|log| self.logs.get_mut(log).map_or(0.0, |entry| entry.rate.per_second())).collect();
        // The asker may have left; that is no failure.
        let _ = reply.send(rates);
    }
}

impl Entry {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            actor: None,
            forwarded: 0,
            used: now,
            rate: Rate { from: now, current: 0, previous: 0 },
            started: now,
            backoff: Backoff::new(RESTART.0, RESTART.1),
            rests_until: now,
            failed_run: None,
            run: 0,
        }
    }
}

/// Counts over a sliding minute, made of the current one and of the part of the one before that it still covers.
#[derive(Debug)]
struct Rate {
    from: Instant,
    current: u64,
    previous: u64,
}

impl Rate {
    fn add(&mut self, count: u64) {
        self.turn();
        self.current += count;
    }

    fn per_second(&mut self) -> f64 {
        self.turn();
        let passed = self.from.elapsed().as_secs_f64() / RATE_WINDOW.as_secs_f64();
        let events = self.current as f64 + self.previous as f64 * (1.0 - passed).max(0.0);
        events / RATE_WINDOW.as_secs_f64()
    }

    fn turn(&mut self) {
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
    use hourlog::{Arrived, Memory, Offset, Query, Record, row, seq, system_clock};

    use crate::log_actor::{Read, Reading};

    async fn supervisor() -> LogsRef {
        let status = Arc::new(Status::new(system_clock));
        let args = LogsArgs {
            store: Memory::new(),
            stream: Arc::from("S"),
            idle: SOUND_AFTER,
            status,
            epochs: None,
            turns: None,
        };
        Actor::spawn(None, Logs::new(), args).await.expect("it starts").0
    }

    async fn deliver(logs: &LogsRef, run: u64, log: &LogId, sequence: u64) -> Result<(), ()> {
        let at = Offset::from_nanos(sequence as i64);
        let arrived = Arrived { offset: at, at, high: at, seq: seq(1, sequence) };
        let (told, reply) = oneshot::channel();
        let done = Share::of(|whole| told.send(whole).expect("somebody waits for it"));
        let events = vec![Arriving { row: row(log, arrived, Record::new("x")), once: None }];
        let deliveries = vec![Delivery { log: log.clone(), events, done }];
        logs.send_message(LogsMsg::Deliver { run, deliveries }).expect("the supervisor runs");
        reply.await.expect("it ends").then_some(()).ok_or(())
    }

    async fn count(logs: &LogsRef, log: &LogId) -> Option<usize> {
        let (reply, answer) = oneshot::channel();
        let question = LogMsg::Replay { reading: Reading::Timeline(Query::ALL), wait: Duration::ZERO, reply };
        logs.send_message(LogsMsg::Ask(log.clone(), question)).expect("the supervisor runs");
        match answer.await.ok()?.expect("the log is there") {
            Read::Timeline(page) => Some(page.events.len()),
            Read::Arrival(_) => None,
        }
    }

    #[tokio::test]
    async fn a_log_that_panics_answers_again_within_a_second_and_the_others_never_stop() {
        let logs = supervisor().await;
        let [bad, good]: [LogId; 2] = ["bad", "good"].map(|id| id.parse().expect("a good id"));
        deliver(&logs, 1, &bad, 1).await.expect("it is archived");
        logs.send_message(LogsMsg::Ask(bad.clone(), LogMsg::Panic)).expect("the supervisor runs");
        deliver(&logs, 1, &good, 2).await.expect("the other log goes on");

        // Of the run in which it failed it takes nothing more: what it lost has to come first.
        deliver(&logs, 1, &bad, 4).await.expect_err("an event was taken before those that were lost");
        let begun = Instant::now();
        let mut run = 2;
        while deliver(&logs, run, &bad, 3).await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(1), "it does not answer again");
            run += 1;
            tokio::task::yield_now().await;
        }
        assert_eq!((count(&logs, &bad).await, count(&logs, &good).await), (Some(2), Some(1)));
        logs.stop(None);
    }
}
