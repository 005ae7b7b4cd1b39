//! `cargo xtask`: the one command to try Hourlog out, test it and measure it.

mod bench;
mod cassandra;
mod chaos;
mod ci;
mod clients;
mod cluster;
mod demo;
mod imports;
mod instructions;
mod print;
mod process;
mod report;
mod schema;
mod screens;
mod servers;
mod source;
mod test;
mod tidy;
mod tools;
mod up;
mod workspace;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

/// Try Hourlog out, test it, measure it.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Start the servers, import a week of earthquakes and browse them in the console
    Demo(demo::Options),
    /// Start nats-server and hourlogd, print how to use them, and run until Ctrl-C
    Up(up::Options),
    /// Run all tests, on real servers
    Test {
        /// Arguments for a single `cargo test` that runs instead of all tests, such as a test name
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Test the clients for Python and Go against a real service
    Clients,
    /// Write the descriptions of what crosses NATS: schema/hourlog.schema.json and schema/asyncapi.yaml
    Schema,
    /// Measure Hourlog end to end, each figure beside a baseline in the same run
    Bench {
        /// Arguments for the benchmark, such as --quick, --row NAME or --list; `growth` for what changes with size,
        /// `console` for the keys of the console
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Count the instructions for an event, and compare them with those that were accepted
    Instructions(instructions::Options),
    /// Kill servers for some minutes, then check that every acknowledged event is in the archive
    Chaos {
        /// Arguments for the chaos test, such as --minutes 10 --seed 1, --cql or --cluster
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Update the picture of the console in docs/console.md
    Screens,
    /// Run every check that a change must pass
    Ci(ci::Options),
}

fn main() -> ExitCode {
    let Arguments { task } = Arguments::parse();
    let done = process::watch_interrupts().and_then(|()| match task {
        Task::Demo(options) => demo::run(&options),
        Task::Up(options) => up::run(&options),
        Task::Test { arguments } => test::run(&arguments),
        Task::Clients => clients::run(),
        Task::Schema => schema::run(),
        Task::Bench { arguments } => bench::run(&arguments),
        Task::Instructions(options) => instructions::run(&options),
        Task::Chaos { arguments } => chaos::run(&arguments),
        Task::Screens => screens::run(),
        Task::Ci(options) => ci::run(&options),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<process::Interrupted>() => ExitCode::from(130),
        Err(error) => {
            print::note(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
