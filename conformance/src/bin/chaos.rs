//! The long form of the ledger test: minutes of chaos from a seed, and what was found in the end.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use conformance::chaos::Run;
use hourlog::planted::Bug;

/// Kills, holds and takes away servers while many write and read, and holds what is kept against what was answered.
#[derive(Debug, Parser)]
#[command(
    name = "chaos",
    after_help = "Examples:\n  cargo xtask chaos --minutes 10 --seed 1\n  cargo xtask chaos --plant local-clock\n  cargo xtask chaos --cql"
)]
struct Options {
    /// For how long; rounds are finished.
    #[arg(long, default_value_t = 1)]
    minutes: u64,
    /// What is drawn, is drawn from this; a random one unless said otherwise.
    #[arg(long)]
    seed: Option<u64>,
    /// A bug to plant, to see that it is noticed.
    #[arg(long, value_name = "BUG", value_parser = Bug::ALL.map(Bug::name))]
    plant: Option<String>,
    /// Over an archive in a database, which is killed, held and set back too.
    #[arg(long)]
    cql: bool,
    /// The built service, with the feature chaos.
    #[arg(long, value_name = "FILE")]
    hourlogd: PathBuf,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "what happens is what the program is for")]
async fn main() -> ExitCode {
    let Options { minutes, seed, plant, cql, hourlogd } = Options::parse();
    let seed = seed.unwrap_or_else(rand::random);
    let time = Duration::from_secs(minutes * 60);
    let run = if cql { Run::over_database(hourlogd, seed, time) } else { Run::new(hourlogd, seed, time) };
    let run = Run { planted: Bug::ALL.into_iter().find(|bug| Some(bug.name()) == plant.as_deref()), ..run };
    println!("seed {seed}, {minutes} min, each round: {:?}", run.harms);
    let verdict = run.run(|round| println!("{round}")).await;
    println!("seed {seed}: {verdict}");
    if verdict.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
