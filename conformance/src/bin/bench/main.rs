//! Measures speed as ratios: each figure against what it cannot be faster than, or against what people use today,
//! both in one run, one after the other and back again.

mod cql;
mod ingest;
mod measure;
mod replay;

use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

use clap::Parser;
use measure::{Figure, Machine};

/// The bytes of an event's data.
const EVENT_BYTES: usize = 256;

/// Measures ingest and replay against bare drains, bare writes, JetStream's own replay and the bare driver's pages.
#[derive(Debug, Parser)]
#[command(name = "bench", after_help = "Example:\n  cargo xtask bench --pairs 5 --json target/bench.json")]
struct Options {
    /// How many pairs of each figure.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// How many events.
    #[arg(long, default_value_t = 200_000)]
    events: u64,
    /// Over how many logs they are ingested.
    #[arg(long, default_value_t = 1_000)]
    logs: u64,
    /// Only the figures whose name has this in it.
    #[arg(long)]
    only: Option<String>,
    /// Keep the result in this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// As the service has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
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
    let report = report(&options, &machine, &Machine::probe(), &figures);
    #[expect(clippy::print_stdout, reason = "the report is what the program is for")]
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
            #[expect(clippy::print_stderr, reason = "it is what went wrong")]
            {
                eprintln!("cannot write {}: {error}", path.display());
            }
            ExitCode::FAILURE
        }
    }
}

fn report(options: &Options, before: &Machine, after: &Machine, figures: &[Figure]) -> String {
    let mut text = format!(
        "{} events of {EVENT_BYTES} bytes, {} logs, {} pairs\nbefore: {before}\nafter:  {after}\n\n",
        options.events, options.logs, options.pairs
    );
    for figure in figures {
        let _ = writeln!(text, "{figure}");
    }
    text
}
