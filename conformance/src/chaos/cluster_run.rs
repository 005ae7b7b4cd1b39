//! The chaos test of a cluster: several instances over several NATS servers and database nodes.

use std::{
    fmt,
    path::PathBuf,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use hourlog::{Scylla, failpoint::Failpoint};
use rand::{SeedableRng, rngs::StdRng};
use tempfile::TempDir;

use super::{
    cluster_nemesis::{ClusterDisruption, ClusterNemesis},
    instance::{Instance, InstanceOptions},
    prober::{Outage, Prober},
    verdict::{Finding, Verdict},
    workload::Workload,
};
use crate::servers::{CassandraCluster, Memory, NatsCluster};

/// The default of [`ClusterRun::recovery_timeout`]: longer than a lease and a handover take on a busy machine.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(120);
/// The longest pause of a publisher between two operations. All servers share one machine; at full load, the run would
/// measure how they wait for a processor.
const PAUSE_MAX: Duration = Duration::from_millis(200);
/// The time of a slot from which a summary counts it as late.
const LATE: Duration = Duration::from_secs(1);

/// The settings of one run over a cluster.
#[derive(Debug, Clone)]
pub struct ClusterRun {
    /// The built `hourlogd`, with the feature `chaos`.
    pub hourlogd: PathBuf,
    /// The seed of everything random.
    pub seed: u64,
    /// Number of instances of the service.
    pub instances: usize,
    /// True for three NATS servers, false for one.
    pub nats_cluster: bool,
    /// Number of database nodes. Each has a copy of everything.
    pub nodes: u8,
    /// The shortest time; the last round is completed.
    pub duration_min: Duration,
    /// The fewest rounds.
    pub rounds_min: usize,
    /// The disruptions of each round.
    pub disruptions: Vec<ClusterDisruption>,
    /// A deliberate bug in all instances.
    pub failpoint: Option<Failpoint>,
    /// The time after the last disruption within which everything must be answered and archived.
    pub recovery_timeout: Duration,
}

/// The waits and the memory of a run.
#[derive(Debug, Default)]
pub struct Measurements {
    /// The longest time until an append was answered, with all its retries.
    pub longest_append: Duration,
    /// The longest time until a follower got an event that was acknowledged.
    pub longest_follower: Duration,
    /// The time since each disruption of an instance until each slot answered again.
    pub outages: Vec<Outage>,
    /// The messages that the instances have read again, because they took slots over.
    pub read_again: u64,
    /// The memory of each process at the end, by name.
    pub memory: Vec<(String, Memory)>,
}

/// The servers of a run. Dropped in this order: the instances before what they need.
#[derive(Debug)]
struct Servers {
    instances: Vec<Instance>,
    database: CassandraCluster,
    nats: NatsCluster,
    /// The files of the instances.
    _files: TempDir,
}

impl ClusterRun {
    /// A run with three of each: every disruption, in at least one round.
    pub fn new(hourlogd: PathBuf, seed: u64, duration_min: Duration) -> Self {
        Self {
            hourlogd,
            seed,
            instances: 3,
            nats_cluster: true,
            nodes: 3,
            duration_min,
            rounds_min: 1,
            disruptions: ClusterDisruption::ALL.to_vec(),
            failpoint: None,
            recovery_timeout: RECOVERY_TIMEOUT,
        }
    }

    /// Carries out the run. `report` is called once the servers are up, and after each disruption.
    ///
    /// # Panics
    /// If a server does not start or restart.
    pub async fn run(&self, mut report: impl FnMut(String)) -> (Verdict, Measurements) {
        let begun = Instant::now();
        let (mut servers, store) = self.start().await;
        report(format!("{:>4.0} s: all servers are up", begun.elapsed().as_secs_f64()));
        let urls = servers.nats.urls();
        let workload = Workload::start(&urls, self.seed, PAUSE_MAX).await;
        let (ledger, waits) = (workload.ledger(), workload.waits());
        let prober = Prober::start(&urls).await;
        prober.settle().await;
        prober.begin("nothing, for comparison");
        let mut verdict = Verdict::default();

        let begun = Instant::now();
        let mut random = StdRng::seed_from_u64(self.seed);
        let mut rounds = 0;
        while rounds < self.rounds_min || begun.elapsed() < self.duration_min {
            for disruption in ClusterNemesis::shuffled(&self.disruptions, &mut random) {
                let mut nemesis = ClusterNemesis {
                    instances: &mut servers.instances,
                    nats: &mut servers.nats,
                    database: &mut servers.database,
                    prober: &prober,
                    random: &mut random,
                };
                let disrupted = nemesis.disrupt(disruption).await;
                let seconds = begun.elapsed().as_secs_f64();
                report(format!("{seconds:>4.0} s: {disruption:?}, {disrupted}; {} sent", ledger.len()));
                servers.restart_ended(&mut verdict).await;
            }
            rounds += 1;
        }
        let outages = prober.finish().await;
        let evidence = workload.finish(self.recovery_timeout, &mut verdict).await;
        servers.restart_ended(&mut verdict).await;
        let measurements = Measurements {
            longest_append: waits.longest_append(),
            longest_follower: waits.longest_follower(),
            outages,
            read_again: servers.instances.iter().map(Instance::read_again).sum(),
            memory: servers.memory(),
        };
        // The instances flush their counts when they stop.
        join_all(servers.instances.iter_mut().map(|instance| instance.process().terminate())).await;
        let store = Scylla::open(&store.parse().expect("the run's own URL is valid"), false).await;
        let store = store.expect("the archive can be opened");
        evidence.judge(&store, &ledger, &mut verdict).await;
        (verdict, measurements)
    }

    /// Starts all servers. Returns the URL of the archive too.
    async fn start(&self) -> (Servers, String) {
        let files = TempDir::new().expect("a temporary directory can be created");
        let nats = if self.nats_cluster { NatsCluster::start().await } else { NatsCluster::start_alone().await };
        let database = CassandraCluster::start(self.nodes).await;
        let store = database.url("chaos", u32::from(self.nodes));
        let options = InstanceOptions {
            hourlogd: self.hourlogd.clone(),
            store: store.clone(),
            wal_replicas: nats.servers().len(),
            failpoint: self.failpoint,
        };
        let mut instances = Vec::new();
        // One after the other: the first one creates the tables.
        for number in 1..=self.instances {
            instances.push(Instance::start(options.clone(), number, &nats, files.path()).await);
        }
        (Servers { instances, database, nats, _files: files }, store)
    }
}

impl Servers {
    /// Notes each instance that has ended by itself, and starts it again.
    async fn restart_ended(&mut self, verdict: &mut Verdict) {
        for (number, instance) in (1..).zip(&mut self.instances) {
            if let Some((status, lines)) = instance.ended() {
                verdict.note(Finding::Ended, || format!("instance {number} ({status}):\n{lines}"));
                instance.start_again().await;
            }
        }
    }

    fn memory(&self) -> Vec<(String, Memory)> {
        let instances = self.instances.iter().map(|instance| ("hourlogd", instance.id()));
        let servers = self.nats.servers().iter().map(|server| ("nats-server", server.id()));
        let nodes = self.database.nodes().iter().map(|node| ("Cassandra", node.id()));
        let all = instances.chain(servers).chain(nodes);
        all.map(|(name, id)| (name.to_owned(), Memory::of_process(id))).collect()
    }
}

impl Measurements {
    /// Returns a line about the outages of each cause.
    fn outage_lines(&self) -> Vec<String> {
        let mut causes: Vec<&'static str> = self.outages.iter().map(|outage| outage.cause).collect();
        causes.sort_unstable();
        causes.dedup();
        causes.into_iter().map(|cause| outage_line(cause, &self.outages)).collect()
    }
}

/// Describes how long the slots were without an answer after the outages of one cause.
fn outage_line(cause: &str, outages: &[Outage]) -> String {
    let of_cause: Vec<_> = outages.iter().filter(|outage| outage.cause == cause).map(Outage::times).collect();
    let silent: usize = of_cause.iter().map(|(_, silent)| silent).sum();
    let mut times: Vec<Duration> = of_cause.iter().flat_map(|(times, _)| times).copied().collect();
    times.sort_unstable();
    let late = times.iter().filter(|time| **time >= LATE).count();
    let seconds = |time: Option<&Duration>| time.map_or(f64::NAN, Duration::as_secs_f64);
    format!(
        "{cause}, {} times: until a slot answered again, p50 {:.2} s, max {:.2} s; {late} of {} slots took a second or more, \
         {silent} did not answer at all",
        of_cause.len(),
        seconds(times.get(times.len() / 2)),
        seconds(times.last()),
        times.len() + silent,
    )
}

impl fmt::Display for Measurements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { longest_append, longest_follower, read_again, memory, .. } = self;
        writeln!(f, "longest wait of an append: {:.2} s", longest_append.as_secs_f64())?;
        writeln!(f, "longest wait of a follower for an acknowledged event: {:.2} s", longest_follower.as_secs_f64())?;
        for line in self.outage_lines() {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "messages that instances read again because they took slots over: {read_again}")?;
        let memory = memory.iter().map(|(name, Memory { now_mib, max_mib })| format!("{name} {now_mib} ({max_mib})"));
        write!(f, "resident memory in MiB now (and at most): {}", memory.collect::<Vec<_>>().join(", "))
    }
}
