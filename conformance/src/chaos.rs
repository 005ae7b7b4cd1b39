//! Chaos: publishers write down what they send, a nemesis kills and holds and takes away, and in the end what is there is held
//! against what was written down.
//!
//! - [`ledger`]: what was sent and answered; [`verdict`]: what is wrong.
//! - [`publishers`], [`readers`]: those who write and read meanwhile; [`nemesis`]: who does harm.

pub mod ledger;
pub mod nemesis;
pub mod publishers;
pub mod readers;
pub mod verdict;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use hourlog::{Embedded, ErrorKind, Event, LogId, Position, Scylla, Store, describe, planted::Bug, wire::LogsRequest};
use rand::{SeedableRng, rngs::StdRng};
use tempfile::TempDir;
use tokio::{sync::RwLock, time::timeout};

use crate::servers::{CassandraNode, NatsServer, Service, ServiceOptions, archived};

use self::{
    ledger::Ledger,
    nemesis::{Harm, Nemesis},
    publishers::Stage,
    verdict::{Fault, Verdict},
};

/// How long it may take, once nothing more is broken, until everything is answered and archived.
const MENDED_WITHIN: Duration = Duration::from_secs(60);
/// The logs that are followed meanwhile.
const FOLLOWED: [u32; 4] = [0, 7, 19, 42];

/// What to run.
#[derive(Debug, Clone)]
pub struct Run {
    /// The built `hourlogd`, with the feature `chaos`.
    pub hourlogd: PathBuf,
    /// What is drawn, is drawn from this.
    pub seed: u64,
    /// Whether the archive is in a database.
    pub database: bool,
    /// For how long, at least; rounds are finished.
    pub time: Duration,
    /// The fewest rounds.
    pub rounds_min: usize,
    /// What is done in each round.
    pub harms: Vec<Harm>,
    /// A bug to be noticed.
    pub planted: Option<Bug>,
    /// How long it may take, once nothing more is broken, until everything is answered and archived.
    pub mended_within: Duration,
}

impl Run {
    /// Everything that can be done, for so long, at least three times.
    pub fn new(hourlogd: PathBuf, seed: u64, time: Duration) -> Self {
        let (harms, mended_within) = (Harm::OVER_DIRECTORY.to_vec(), MENDED_WITHIN);
        Self { hourlogd, seed, database: false, time, rounds_min: 3, harms, planted: None, mended_within }
    }

    /// As [`Run::new`], over a database, at least once.
    pub fn over_database(hourlogd: PathBuf, seed: u64, time: Duration) -> Self {
        let harms = Harm::OVER_DATABASE.to_vec();
        Self { database: true, rounds_min: 1, harms, ..Self::new(hourlogd, seed, time) }
    }

    /// Runs it. `say` hears of each round.
    ///
    /// # Panics
    /// Where a server does not start or come back.
    pub async fn run(&self, mut say: impl FnMut(String)) -> Verdict {
        let files = TempDir::new().expect("a directory can be made");
        let fault_file = files.path().join("fault");
        let mut environment = vec![("HOURLOG_FAULT_FILE".to_owned(), fault_file.display().to_string())];
        environment.extend(self.planted.map(|bug| (Bug::VARIABLE.to_owned(), bug.name().to_owned())));
        let binary = self.hourlogd.clone();
        let mut node = if self.database { Some(CassandraNode::start().await) } else { None };
        let store = node.as_ref().map(|node| node.url("chaos"));
        let flags =
            store.iter().flat_map(|store| ["--store".to_owned(), store.clone(), "--migrate".to_owned()]).collect();
        let options = ServiceOptions { binary, flags, environment, wrapper: Vec::new() };
        let mut service = Service::start(NatsServer::start().await, options).await;
        let url = service.nats.url();

        let ledger = Arc::new(Ledger::new(self.seed));
        let (gate, stop) = (Arc::new(RwLock::new(())), Arc::new(AtomicBool::new(false)));
        let stage =
            Stage { url: url.clone(), ledger: Arc::clone(&ledger), gate: Arc::clone(&gate), stop: Arc::clone(&stop) };
        let mut publishers = publishers::start(&stage, self.seed).await;
        let read_all = Arc::new(AtomicBool::new(false));
        let followers = FOLLOWED.map(|number| readers::follow(url.clone(), ledger::log(number), Arc::clone(&read_all)));

        let begun = Instant::now();
        let random = StdRng::seed_from_u64(self.seed);
        let mut nemesis = Nemesis { service: &mut service, database: node.as_mut(), fault_file, gate, random };
        let mut rounds = 0;
        while rounds < self.rounds_min || begun.elapsed() < self.time {
            nemesis.round(&self.harms).await;
            rounds += 1;
            say(format!("{:>4.0} s: round {rounds}, {} sent", begun.elapsed().as_secs_f64(), ledger.len()));
        }
        stop.store(true, Relaxed);
        let mut verdict = Verdict::default();
        let last_answers = async {
            while let Some(ended) = publishers.join_next().await {
                ended.expect("no publisher panics");
            }
        };
        if timeout(self.mended_within, last_answers).await.is_err() {
            verdict.note(Fault::Stuck, || "operations are not answered any more".to_owned());
        }
        let remote = service.remote().await;
        let counts = match timeout(self.mended_within, archived(&remote)).await {
            Ok(logs) => logs.logs,
            Err(_) => {
                verdict.note(Fault::Stuck, || "what is in the stream is not archived any more".to_owned());
                let request = LogsRequest { all: true, ..LogsRequest::default() };
                remote.logs(&request).await.expect("the service answers").logs
            }
        };
        let counts: BTreeMap<LogId, u64> =
            counts.into_iter().map(|log| (log.log.parse().expect("an id"), log.events)).collect();
        read_all.store(true, Relaxed);
        let mut followed = BTreeMap::new();
        for (number, follower) in FOLLOWED.into_iter().zip(followers) {
            followed.insert(number, follower.await.expect("no follower panics"));
        }
        let replayed = replay_twice(&service, &counts, &mut verdict).await;
        match store {
            Some(url) => {
                // What it counts behind is written when it is stopped.
                service.process.terminate().await;
                let store = Scylla::open(&url.parse().expect("it is well formed"), false).await;
                let store = store.expect("the archive can be opened");
                judge(&store, &ledger, replayed, &counts, &followed, &mut verdict).await;
            }
            None => {
                service.process.kill();
                let store = Embedded::open(service.directory.path()).expect("the archive can be opened");
                if let Some(missing) = store.missing() {
                    verdict.note(Fault::Lost, || format!("the archive says that {missing:?}"));
                }
                judge(&store, &ledger, replayed, &counts, &followed, &mut verdict).await;
            }
        }
        verdict
    }
}

/// What the service replays of each log: twice, so that it is seen to be the same.
async fn replay_twice(
    service: &Service,
    counts: &BTreeMap<LogId, u64>,
    verdict: &mut Verdict,
) -> BTreeMap<u32, Vec<Event>> {
    let remote = service.remote().await;
    let mut replayed = BTreeMap::new();
    for (number, log) in readers::numbers(counts) {
        let first = readers::replay(&remote, &log).await;
        if first != readers::replay(&remote, &log).await {
            verdict.note(Fault::Unlike, || format!("two replays of {log} differ"));
        }
        replayed.insert(number, readers::events(&log, &first));
    }
    replayed
}

/// Reads everything that the archive has, and holds it against what was replayed, counted, followed and sent.
async fn judge(
    store: &impl Store,
    ledger: &Ledger,
    mut replayed: BTreeMap<u32, Vec<Event>>,
    counts: &BTreeMap<LogId, u64>,
    followed: &BTreeMap<u32, Vec<Position>>,
    verdict: &mut Verdict,
) {
    for (number, log) in readers::numbers(counts) {
        let events = replayed.get_mut(&number).expect("it was replayed");
        let (by_time, arrived) = match readers::archive(store, &log).await {
            // What it lists, and has no more, is lost: there may be one such event where no other is missing.
            Err(error) if error.kind() == ErrorKind::Integrity => {
                verdict.note(Fault::Lost, || format!("{log} cannot be read: {error}"));
                continue;
            }
            read => read.expect("the archive can be read"),
        };
        if *events != by_time {
            verdict.note(Fault::Unlike, || format!("{log}: {} replayed, {} archived", events.len(), by_time.len()));
        }
        let stored = describe(store, &log).await.expect("the archive can be read").count;
        if stored != by_time.len() as u64 {
            let has = by_time.len();
            verdict.note(Fault::Miscounted, || format!("{log} has stored that it counts {stored}, and has {has}"));
        }
        let count = counts[&log];
        if count != events.len() as u64 {
            verdict.note(Fault::Miscounted, || format!("{log} counts {count} and has {}", events.len()));
        }
        events.sort_by_key(|event| event.position.seq);
        if !events.iter().map(|event| event.position).eq(arrived.iter().copied()) {
            verdict.note(Fault::Unlike, || format!("{log}: arrival order is not that of the seqs"));
        }
        if let Some(followed) = followed.get(&number).filter(|followed| **followed != arrived) {
            verdict.note(Fault::Missed, || missed(&log, followed, &arrived));
        }
    }
    for log in counts.keys().filter(|log| !log.as_str().starts_with("chaos.")) {
        verdict.note(Fault::Phantom, || format!("there is a log {log}"));
    }
    verdict.judge(ledger, &replayed);
}

/// Where what was followed first differs from what arrived.
fn missed(log: &LogId, followed: &[Position], arrived: &[Position]) -> String {
    let (got, came) = (followed.len(), arrived.len());
    let at = followed.iter().zip(arrived).take_while(|(one, other)| one == other).count();
    let around = |positions: &[Position]| {
        let from = at.saturating_sub(2).min(positions.len());
        let some = positions[from..].iter().take(5).map(ToString::to_string);
        some.collect::<Vec<_>>().join(", ")
    };
    format!(
        "{log}: {got} followed, {came} arrived; from number {at} on they differ: {} followed, {} arrived",
        around(followed),
        around(arrived)
    )
}
