//! The chaos test: publishers note everything they send in a ledger while a nemesis (it kills, pauses and
//! rolls back servers) disrupts them.
//!
//! At the end the archive, the counts, the replays and the followers are compared with the ledger.
//!
//! - [`ledger`]: every operation and its acknowledgement; [`verdict`]: what was found.
//! - [`publishers`], [`readers`]: they write and read during the run; [`nemesis`]: disrupts the servers.

pub mod ledger;
pub mod nemesis;
pub mod publishers;
pub mod readers;
pub mod verdict;

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use hourlog::{
    Embedded, ErrorKind, Event, LogId, Position, Scylla, failpoint::Failpoint, read::describe, store::Store,
    wire::LogsRequest,
};
use rand::{SeedableRng, rngs::StdRng};
use tempfile::TempDir;
use tokio::{sync::RwLock, task::JoinSet, time::timeout};

use crate::{
    rows,
    servers::{CassandraNode, NatsServer, Service, ServiceOptions, archived},
};

use self::{
    ledger::Ledger,
    nemesis::{Disruption, Nemesis},
    publishers::PublisherContext,
    verdict::{Finding, Verdict},
};

/// The default of [`ChaosRun::recovery_timeout`].
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(60);
/// The logs that are followed during a run.
const FOLLOWED: [u32; 4] = [0, 7, 19, 42];

/// The settings of one run.
#[derive(Debug, Clone)]
pub struct ChaosRun {
    /// The built `hourlogd`, with the feature `chaos`.
    pub hourlogd: PathBuf,
    /// The seed of everything random.
    pub seed: u64,
    /// True if the archive is in a database.
    pub database: bool,
    /// The shortest time; the last round is completed.
    pub duration_min: Duration,
    /// The fewest rounds.
    pub rounds_min: usize,
    /// The disruptions of each round.
    pub disruptions: Vec<Disruption>,
    /// A deliberate bug in the service.
    pub failpoint: Option<Failpoint>,
    /// The time after the last disruption within which everything must be answered and archived.
    pub recovery_timeout: Duration,
}

impl ChaosRun {
    /// A run with an archive in a directory: every disruption for it, in at least three rounds.
    pub fn new(hourlogd: PathBuf, seed: u64, duration_min: Duration) -> Self {
        let (disruptions, recovery_timeout) = (Disruption::over_directory(), RECOVERY_TIMEOUT);
        Self {
            hourlogd,
            seed,
            database: false,
            duration_min,
            rounds_min: 3,
            disruptions,
            failpoint: None,
            recovery_timeout,
        }
    }

    /// A run with an archive in a database: every disruption, in at least one round.
    pub fn over_database(hourlogd: PathBuf, seed: u64, duration_min: Duration) -> Self {
        let disruptions = Disruption::over_database();
        Self { database: true, rounds_min: 1, disruptions, ..Self::new(hourlogd, seed, duration_min) }
    }

    /// Carries out the run. `report` is called after each round.
    ///
    /// # Panics
    /// If a server does not start or restart.
    pub async fn run(&self, mut report: impl FnMut(String)) -> Verdict {
        let files = TempDir::new().expect("a temporary directory can be created");
        let fault_file = files.path().join("fault");
        let mut node = if self.database { Some(CassandraNode::start().await) } else { None };
        let store = node.as_ref().map(|node| node.url("chaos"));
        let mut service = self.start_service(&fault_file, store.as_deref()).await;
        let url = service.nats.url();

        let ledger = Arc::new(Ledger::new(self.seed));
        let (gate, stop) = (Arc::new(RwLock::new(())), Arc::new(AtomicBool::new(false)));
        let context = PublisherContext {
            url: url.clone(),
            ledger: Arc::clone(&ledger),
            gate: Arc::clone(&gate),
            stop: Arc::clone(&stop),
        };
        let mut publishers = publishers::start(&context, self.seed).await;
        let stop_followers = Arc::new(AtomicBool::new(false));
        let followers =
            FOLLOWED.map(|number| readers::follow(url.clone(), ledger::log(number), Arc::clone(&stop_followers)));

        let begun = Instant::now();
        let random = StdRng::seed_from_u64(self.seed);
        let (database, ledger_of_run) = (node.as_mut(), Arc::clone(&ledger));
        let mut nemesis = Nemesis { service: &mut service, database, fault_file, gate, ledger: ledger_of_run, random };
        let mut rounds = 0;
        while rounds < self.rounds_min || begun.elapsed() < self.duration_min {
            nemesis.round(&self.disruptions).await;
            rounds += 1;
            report(format!("{:>4.0} s: round {rounds}, {} sent", begun.elapsed().as_secs_f64(), ledger.len()));
        }
        stop.store(true, Relaxed);
        let mut verdict = Verdict::default();
        let counts = self.wait_for_recovery(&service, &mut publishers, &mut verdict).await;
        stop_followers.store(true, Relaxed);
        let mut followed = BTreeMap::new();
        for (number, follower) in FOLLOWED.into_iter().zip(followers) {
            followed.insert(number, follower.await.expect("a follower does not panic"));
        }
        let replayed = replay_twice(&service, &counts, &mut verdict).await;
        match store {
            Some(url) => {
                // The service flushes its counts when it stops.
                service.process.terminate().await;
                let store = Scylla::open(&url.parse().expect("the test's own URL is valid"), false).await;
                let store = store.expect("the archive can be opened");
                judge(&store, &ledger, replayed, &counts, &followed, &mut verdict).await;
            }
            None => {
                service.process.kill();
                let store = Embedded::open(service.directory.path()).expect("the archive can be opened");
                if let Some(missing) = store.missing() {
                    verdict.note(Finding::Lost, || format!("the archive reports {missing:?}"));
                }
                judge(&store, &ledger, replayed, &counts, &followed, &mut verdict).await;
            }
        }
        verdict
    }

    /// Starts the service on `store`, or on a directory of its own.
    async fn start_service(&self, fault_file: &Path, store: Option<&str>) -> Service {
        let mut environment = vec![("HOURLOG_FAULT_FILE".to_owned(), fault_file.display().to_string())];
        let failpoint = self.failpoint.map(|failpoint| (Failpoint::VARIABLE.to_owned(), failpoint.name().to_owned()));
        environment.extend(failpoint);
        let flags = store.into_iter().flat_map(|store| ["--store", store, "--migrate"].map(str::to_owned)).collect();
        let options = ServiceOptions { binary: self.hourlogd.clone(), flags, environment, wrapper: Vec::new() };
        Service::start(NatsServer::start().await, options).await
    }

    /// Waits until everything that was sent is answered and archived. Returns the service's count of each
    /// log.
    async fn wait_for_recovery(
        &self,
        service: &Service,
        publishers: &mut JoinSet<()>,
        verdict: &mut Verdict,
    ) -> BTreeMap<LogId, u64> {
        let last_answers = async {
            while let Some(ended) = publishers.join_next().await {
                ended.expect("a publisher does not panic");
            }
        };
        if timeout(self.recovery_timeout, last_answers).await.is_err() {
            verdict.note(Finding::Stuck, || "some operations are still not answered".to_owned());
        }
        let remote = service.remote().await;
        let counts = match timeout(self.recovery_timeout, archived(&remote)).await {
            Ok(logs) => logs.logs,
            Err(_) => {
                verdict.note(Finding::Stuck, || "some messages of the stream are still not archived".to_owned());
                let request = LogsRequest { all: true, ..LogsRequest::default() };
                remote.logs(&request).await.expect("the service answers").logs
            }
        };
        counts.into_iter().map(|log| (log.log, log.events)).collect()
    }
}

/// Replays each log twice, and notes a finding if the replays differ.
async fn replay_twice(
    service: &Service,
    counts: &BTreeMap<LogId, u64>,
    verdict: &mut Verdict,
) -> BTreeMap<u32, Vec<Event>> {
    let remote = service.remote().await;
    let mut replayed = BTreeMap::new();
    for (number, log) in readers::numbered_logs(counts) {
        let first = readers::replay(&remote, &log).await;
        if first != readers::replay(&remote, &log).await {
            verdict.note(Finding::Inconsistent, || format!("two replays of {log} differ"));
        }
        replayed.insert(number, readers::events(&log, &first));
    }
    replayed
}

/// Reads the whole archive and compares it with the replays, the counts, the followers and the
/// ledger.
async fn judge(
    store: &impl Store,
    ledger: &Ledger,
    mut replayed: BTreeMap<u32, Vec<Event>>,
    counts: &BTreeMap<LogId, u64>,
    followed: &BTreeMap<u32, Vec<Position>>,
    verdict: &mut Verdict,
) {
    for (number, log) in readers::numbered_logs(counts) {
        let events = replayed.get_mut(&number).expect("every log was replayed");
        let (by_time, arrived) = match rows::read_all(store, &log).await {
            // The archive lists an event that it does not have: it is lost, even if nothing else is
            // missing.
            Err(error) if error.kind() == ErrorKind::Integrity => {
                verdict.note(Finding::Lost, || format!("{log} cannot be read: {error}"));
                continue;
            }
            read => read.expect("the archive can be read"),
        };
        if *events != by_time {
            verdict.note(Finding::Inconsistent, || {
                format!("{log}: {} replayed, {} archived", events.len(), by_time.len())
            });
        }
        let stored = describe(store, &log).await.expect("the archive can be read").count;
        if stored != by_time.len() as u64 {
            let found = by_time.len();
            verdict.note(Finding::Miscounted, || format!("the index of {log} counts {stored} of {found} events"));
        }
        let count = counts[&log];
        if count != events.len() as u64 {
            verdict.note(Finding::Miscounted, || {
                format!("the service counts {count} of {} events in {log}", events.len())
            });
        }
        // `Verdict::judge` needs the events in the order of their seqs.
        events.sort_by_key(|event| event.position.seq);
        if !events.iter().map(|event| event.position).eq(arrived.iter().copied()) {
            verdict.note(Finding::Inconsistent, || format!("{log}: the arrival order is not the order of the seqs"));
        }
        if let Some(followed) = followed.get(&number) {
            // A follower may have seen events before they were lost.
            let kept: HashSet<Position> = arrived.iter().copied().collect();
            let (still_there, lost): (Vec<Position>, Vec<Position>) =
                followed.iter().partition(|position| kept.contains(position));
            if still_there != arrived || (!lost.is_empty() && ledger.losses().is_empty()) {
                verdict.note(Finding::Missed, || first_difference(&log, followed, &arrived));
            }
        }
    }
    for log in counts.keys().filter(|log| !log.as_str().starts_with("chaos.")) {
        verdict.note(Finding::Phantom, || format!("the log {log} exists"));
    }
    verdict.judge(ledger, &replayed);
}

/// Describes where the followed events first differ from those that arrived.
fn first_difference(log: &LogId, followed: &[Position], arrived: &[Position]) -> String {
    let (followed_count, arrived_count) = (followed.len(), arrived.len());
    let at = followed.iter().zip(arrived).take_while(|(one, other)| one == other).count();
    let around = |positions: &[Position]| {
        let from = at.saturating_sub(2).min(positions.len());
        let some = positions[from..].iter().take(5).map(ToString::to_string);
        some.collect::<Vec<_>>().join(", ")
    };
    format!(
        "{log}: {followed_count} followed, {arrived_count} arrived; they differ from number {at} on: {} followed, \
         {} arrived",
        around(followed),
        around(arrived)
    )
}
