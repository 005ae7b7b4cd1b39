//! The chaos test: publishers note everything they send in a ledger while a nemesis (it kills, pauses and
//! rolls back servers) disrupts them.
//!
//! At the end the archive, the counts, the replays and the followers are compared with the ledger.
//!
//! - [`ChaosRun`]: one service; [`ClusterRun`]: several instances over clusters of servers.
//! - [`ledger`]: every operation and its acknowledgement; [`evidence`]: what was read at the end; [`verdict`]: what was
//!   found.
//! - [`workload`]: the [`publishers`] and [`readers`], which work during the run; [`waits`]: how long they waited.
//! - [`nemesis`], [`cluster_nemesis`]: disrupt the servers.
//! - [`instance`]: one of several; [`prober`]: how long each slot is without an owner that answers.

pub mod cluster_nemesis;
mod cluster_run;
pub mod evidence;
pub mod instance;
pub mod ledger;
pub mod nemesis;
pub mod prober;
pub mod publishers;
pub mod readers;
pub mod verdict;
pub mod waits;
pub mod workload;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use hourlog::{Embedded, Scylla, failpoint::Failpoint};
use rand::{SeedableRng, rngs::StdRng};
use tempfile::TempDir;

use crate::servers::{CassandraNode, NatsServer, Service, ServiceOptions};

pub use self::cluster_run::{ClusterRun, Measurements};
use self::{
    nemesis::{Disruption, Nemesis},
    verdict::{Finding, Verdict},
    workload::Workload,
};

/// The default of [`ChaosRun::recovery_timeout`].
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest pause of a publisher between two operations.
const PAUSE_MAX: Duration = Duration::from_millis(4);

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
        let workload = Workload::start(&service.nats.url(), self.seed, PAUSE_MAX).await;
        let (ledger, gate) = (workload.ledger(), workload.gate());
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
        let mut verdict = Verdict::default();
        let evidence = workload.finish(self.recovery_timeout, &mut verdict).await;
        match store {
            Some(url) => {
                // The service flushes its counts when it stops.
                service.process.terminate().await;
                let store = Scylla::open(&url.parse().expect("the test's own URL is valid"), false).await;
                let store = store.expect("the archive can be opened");
                evidence.judge(&store, &ledger, &mut verdict).await;
            }
            None => {
                service.process.kill();
                let store = Embedded::open(service.directory.path()).expect("the archive can be opened");
                if let Some(missing) = store.missing() {
                    verdict.note(Finding::Lost, || format!("the archive reports {missing:?}"));
                }
                evidence.judge(&store, &ledger, &mut verdict).await;
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
}
