//! Measures Hourlog end to end: a nats-server process, an hourlogd process and a client process.
//!
//! Each row compares figures with a baseline that is measured in the same run, in alternating order. The rows are in
//! `rows/`, the clients in `client/`. The results are a JSON file, of which the page in docs is made.

mod client;
mod database;
mod growth;
mod machine;
mod note;
mod page;
mod payload;
mod results;
mod row;
mod rows;
mod run;
mod setup;
mod statistics;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use clap::{Args, Parser, Subcommand};
use conformance::servers::nats_server_binary;
use machine::Machine;
use note::note;
use results::{GrowthTable, Results, RowResult};
use row::Bench;

/// The rounds that count, of each row.
const PAIRS: usize = 5;
/// The same in a quick run.
const PAIRS_QUICK: usize = 2;

/// Measures Hourlog end to end, each row beside a baseline in the same run
#[derive(Debug, Parser)]
#[command(
    name = "bench",
    after_help = "Example:\n  cargo xtask bench --row seek --row replay --json target/bench.json"
)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Task>,
    #[command(flatten)]
    options: RowOptions,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Measure how the figures change with the size of logs, their number, the size of events, and so on
    Growth(GrowthOptions),
    /// Write the page of a JSON file, without measuring
    Page {
        /// The file
        #[arg(long, value_name = "FILE")]
        json: PathBuf,
        /// The page
        #[arg(long, value_name = "FILE")]
        page: PathBuf,
    },
    /// Be a client of a measurement
    #[command(name = client::SUBCOMMAND, hide = true)]
    Client { job: String },
}

#[derive(Debug, Args)]
struct RowOptions {
    /// Measure only this row; may be repeated
    #[arg(long = "row", value_name = "NAME")]
    rows: Vec<String>,
    /// List the rows
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    common: CommonOptions,
}

#[derive(Debug, Args)]
struct GrowthOptions {
    /// Measure only this table; may be repeated
    #[arg(long = "table", value_name = "NAME")]
    tables: Vec<String>,
    #[command(flatten)]
    common: CommonOptions,
}

#[derive(Debug, Args)]
struct CommonOptions {
    /// Take less than five minutes, with fewer events and rounds; figures that need many events are not judged
    #[arg(long)]
    quick: bool,
    /// Rounds of each row that count [default: 5, or 2 if quick]
    #[arg(long, value_name = "NUMBER")]
    pairs: Option<usize>,
    /// Write the results to this file; what it holds of rows and tables that are not measured stays
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the page to this file
    #[arg(long, value_name = "FILE", requires = "json")]
    page: Option<PathBuf>,
    /// The built service [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    hourlogd: Option<PathBuf>,
}

impl CommonOptions {
    fn bench(&self) -> Result<Bench, String> {
        let this = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
        let hourlogd = self.hourlogd.clone().unwrap_or_else(|| this.with_file_name("hourlogd"));
        if !hourlogd.is_file() {
            return Err(format!("{} does not exist; run cargo xtask bench, which builds it", hourlogd.display()));
        }
        let pairs = self.pairs.unwrap_or(if self.quick { PAIRS_QUICK } else { PAIRS });
        Ok(Bench::new(hourlogd, pairs.max(1), self.quick))
    }

    /// Writes the files.
    fn write(&self, bench: &Bench, rows: &[RowResult], growth: &[GrowthTable]) -> Result<(), String> {
        let Some(json) = &self.json else { return Ok(()) };
        let mut results = read(json).unwrap_or_default();
        results.is_quick = bench.is_quick;
        results.pairs = bench.pairs;
        results.servers = servers();
        results.put(Machine::probe(), rows, growth);
        let text = serde_json::to_string_pretty(&results).expect("results are JSON");
        write(json, &format!("{text}\n"))?;
        // The page is made from the file, which rounds its numbers.
        self.page.as_ref().map_or(Ok(()), |page| write(page, &page::page(&read(json)?)))
    }
}

/// The allocator of the service: a client is no slower than it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { command, options } = Arguments::parse();
    let done = match command {
        None if options.list => Ok(list()),
        None => measure(&options).await,
        Some(Task::Growth(options)) => grow(&options).await,
        Some(Task::Page { json, page }) => {
            read(&json).and_then(|results| write(&page, &page::page(&results))).map(|()| true)
        }
        Some(Task::Client { job }) => {
            client::be_the_client(&job).await;
            Ok(true)
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            note(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "printing the list is what was asked for")]
fn list() -> bool {
    for about in rows::ALL.map(row::Row::about) {
        println!("{:<18} {}", about.name, about.title);
    }
    for table in &growth::ALL {
        println!("{:<18} {}", format!("growth {}", table.name), table.title);
    }
    true
}

/// Measures the rows. Returns false if one is below its first bound.
async fn measure(options: &RowOptions) -> Result<bool, String> {
    let bench = options.common.bench()?;
    let known = rows::ALL.map(|row| row.about().name);
    check_names(&options.rows, &known)?;
    let mut measured = Vec::new();
    for row in rows::ALL {
        if options.rows.is_empty() || options.rows.iter().any(|name| name == row.about().name) {
            let result = bench.measure(row).await;
            print(&result.to_string());
            measured.push(result);
        }
    }
    options.common.write(&bench, &measured, &[])?;
    let failures: Vec<String> = measured.iter().flat_map(RowResult::failures).collect();
    for failure in &failures {
        note(&format!("below: {failure}"));
    }
    Ok(failures.is_empty())
}

/// Measures the tables of the growth mode.
async fn grow(options: &GrowthOptions) -> Result<bool, String> {
    let bench = options.common.bench()?;
    check_names(&options.tables, &growth::ALL.map(|table| table.name))?;
    let mut measured = Vec::new();
    for table in &growth::ALL {
        if options.tables.is_empty() || options.tables.iter().any(|name| name == table.name) {
            note(&format!("== growth {}: {}", table.name, table.title));
            let result = table.measure(&bench).await;
            print(&page::growth_table(&result));
            measured.push(result);
        }
    }
    options.common.write(&bench, &[], &measured)?;
    Ok(true)
}

fn check_names(wanted: &[String], known: &[&str]) -> Result<(), String> {
    match wanted.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("unknown name {name:?}; there are {}", known.join(", "))),
        None => Ok(()),
    }
}

#[expect(clippy::print_stdout, reason = "printing the results is the purpose of the program")]
fn print(text: &str) {
    println!("{text}");
}

fn read(path: &Path) -> Result<Results, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{} does not hold results: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Returns the servers with their versions.
fn servers() -> Vec<String> {
    let nats = Command::new(nats_server_binary()).arg("--version").output();
    let nats = nats.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    [nats].into_iter().chain(database::version()).collect()
}
