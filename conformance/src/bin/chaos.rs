//! The chaos test as a program: runs for minutes from a seed and prints the verdict.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use conformance::chaos::{ChaosRun, ClusterRun, verdict::Verdict};
use hourlog::failpoint::Failpoint;

/// Kills, pauses and rolls back servers under load, and compares the archive with what was
/// acknowledged
#[derive(Debug, Parser)]
#[command(
    name = "chaos",
    after_help = "Examples:\n  cargo xtask chaos --minutes 10 --seed 1\n  cargo xtask chaos --failpoint local-clock\n  cargo xtask chaos --cql\n  cargo xtask chaos --cluster --minutes 5\n  cargo xtask chaos --cluster --instances 2 --nodes 1 --servers 1"
)]
struct ChaosOptions {
    /// Minutes to run; the last round is completed
    #[arg(long, default_value_t = 1)]
    minutes: u64,
    /// Seed of everything random; a random one by default
    #[arg(long)]
    seed: Option<u64>,
    /// Deliberate bug to switch on; the verdict must notice it
    #[arg(long, value_name = "BUG", value_parser = Failpoint::ALL.map(Failpoint::name))]
    failpoint: Option<String>,
    /// Use an archive in a database, which is killed, paused and rolled back too
    #[arg(long)]
    cql: bool,
    /// Run several instances over several NATS servers and database nodes, and disrupt each
    #[arg(long, conflicts_with = "cql")]
    cluster: bool,
    /// Number of instances of a cluster
    #[arg(long, default_value_t = 3, requires = "cluster")]
    instances: usize,
    /// Number of database nodes of a cluster
    #[arg(long, default_value_t = 3, requires = "cluster", value_parser = clap::value_parser!(u8).range(1..=5))]
    nodes: u8,
    /// Number of NATS servers of a cluster: 1 or 3
    #[arg(long, default_value = "3", requires = "cluster", value_parser = ["1", "3"])]
    servers: String,
    /// The service, built with the feature `chaos`
    #[arg(long, value_name = "FILE")]
    hourlogd: PathBuf,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "printing is the purpose of the program")]
async fn main() -> ExitCode {
    let mut options = ChaosOptions::parse();
    let seed = *options.seed.get_or_insert_with(rand::random);
    println!("seed {seed}, {} min", options.minutes);
    let verdict = if options.cluster { run_cluster(&options, seed).await } else { run(&options, seed).await };
    println!("seed {seed}: {verdict}");
    if verdict.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stdout, reason = "printing is the purpose of the program")]
async fn run(options: &ChaosOptions, seed: u64) -> Verdict {
    let (hourlogd, time) = (options.hourlogd.clone(), options.time());
    let run =
        if options.cql { ChaosRun::over_database(hourlogd, seed, time) } else { ChaosRun::new(hourlogd, seed, time) };
    let run = ChaosRun { failpoint: options.failpoint(), ..run };
    println!("each round: {:?}", run.disruptions);
    run.run(|round| println!("{round}")).await
}

#[expect(clippy::print_stdout, reason = "printing is the purpose of the program")]
async fn run_cluster(options: &ChaosOptions, seed: u64) -> Verdict {
    let run = ClusterRun {
        instances: options.instances,
        nats_cluster: options.servers == "3",
        nodes: options.nodes,
        failpoint: options.failpoint(),
        ..ClusterRun::new(options.hourlogd.clone(), seed, options.time())
    };
    println!("each round: {:?}", run.disruptions);
    let (verdict, measurements) = run.run(|disruption| println!("{disruption}")).await;
    println!("{measurements}");
    verdict
}

impl ChaosOptions {
    fn time(&self) -> Duration {
        Duration::from_secs(self.minutes * 60)
    }

    fn failpoint(&self) -> Option<Failpoint> {
        Failpoint::ALL.into_iter().find(|known| Some(known.name()) == self.failpoint.as_deref())
    }
}
