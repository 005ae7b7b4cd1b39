//! The chaos test as a program: runs for minutes from a seed and prints the verdict.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use conformance::chaos::ChaosRun;
use hourlog::failpoint::Failpoint;

/// Kills, pauses and rolls back servers under load, and compares the archive with what was
/// acknowledged
#[derive(Debug, Parser)]
#[command(
    name = "chaos",
    after_help = "Examples:\n  cargo xtask chaos --minutes 10 --seed 1\n  cargo xtask chaos --failpoint local-clock\n  cargo xtask chaos --cql"
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
    /// The service, built with the feature `chaos`
    #[arg(long, value_name = "FILE")]
    hourlogd: PathBuf,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "printing is the purpose of the program")]
async fn main() -> ExitCode {
    let ChaosOptions { minutes, seed, failpoint, cql, hourlogd } = ChaosOptions::parse();
    let seed = seed.unwrap_or_else(rand::random);
    let time = Duration::from_secs(minutes * 60);
    let run = if cql { ChaosRun::over_database(hourlogd, seed, time) } else { ChaosRun::new(hourlogd, seed, time) };
    let failpoint = Failpoint::ALL.into_iter().find(|known| Some(known.name()) == failpoint.as_deref());
    let run = ChaosRun { failpoint, ..run };
    println!("seed {seed}, {minutes} min, each round: {:?}", run.disruptions);
    let verdict = run.run(|round| println!("{round}")).await;
    println!("seed {seed}: {verdict}");
    if verdict.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
