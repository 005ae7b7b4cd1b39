//! Measures speed as ratios: each figure relative to an upper bound or to an existing tool.
//!
//! Both sides are measured in one run, in alternating order.

mod busy;
mod cql;
mod ingest;
mod measure;
mod replay;

use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

use clap::Parser;
use measure::{Figure, Machine};

/// The bytes of an event's data.
const EVENT_BYTES: usize = 256;

/// Measures ingest and replay relative to NATS, fjall and the CQL driver alone
#[derive(Debug, Parser)]
#[command(name = "bench", after_help = "Example:\n  cargo xtask bench --pairs 5 --json target/bench.json")]
struct BenchOptions {
    /// Measured pairs of each figure
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// Number of events
    #[arg(long, default_value_t = 200_000)]
    events: u64,
    /// Number of logs that are ingested
    #[arg(long, default_value_t = 1_000)]
    logs: u64,
    /// Measure only the figures whose name contains this text
    #[arg(long)]
    only: Option<String>,
    /// Write the result to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The allocator of the service.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let options = BenchOptions::parse();
    let machine = Machine::probe();
    let wanted = |name: &str| options.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let mut figures = Vec::new();
    if wanted("ingest, embedded, synced (drain)") {
        figures.extend(ingest::measure(&options).await);
    }
    if wanted("replay, embedded, one log, decoded") {
        figures.push(replay::measure(&options).await);
    }
    if wanted("ingest, CQL, durable") {
        figures.push(cql::ingest(&options).await);
    }
    if wanted("replay, CQL, one log, decoded") {
        figures.push(cql::replay(&options).await);
    }
    if wanted("busy log, CQL") {
        figures.extend(busy::measure(&options).await);
    }
    let report = report(&options, &machine, &Machine::probe(), &figures);
    #[expect(clippy::print_stdout, reason = "printing the report is the purpose of the program")]
    {
        println!("{report}");
    }
    let Some(path) = &options.json else { return ExitCode::SUCCESS };
    let json = serde_json::json!({
        "events": options.events, "event_bytes": EVENT_BYTES, "logs": options.logs, "machine": machine.json(),
        "figures": figures.iter().map(Figure::json).collect::<Vec<_>>(),
    });
    match std::fs::write(path, format!("{json:#}\n")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "an error goes to stderr")]
            {
                eprintln!("cannot write {}: {error}", path.display());
            }
            ExitCode::FAILURE
        }
    }
}

fn report(options: &BenchOptions, before: &Machine, after: &Machine, figures: &[Figure]) -> String {
    let mut text = format!(
        "{} events of {EVENT_BYTES} bytes, {} logs, {} pairs\nbefore: {before}\nafter:  {after}\n\n",
        options.events, options.logs, options.pairs
    );
    for figure in figures {
        let _ = writeln!(text, "{figure}");
    }
    text
}
