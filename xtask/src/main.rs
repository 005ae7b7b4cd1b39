//! `cargo xtask`: the one door to trying Hourlog out, testing it and measuring it.

mod bench;
mod cassandra;
mod chaos;
mod ci;
mod demo;
mod place;
mod process;
mod report;
mod say;
mod screens;
mod servers;
mod test;
mod tools;
mod up;

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
    /// Start the servers, import a week of earthquakes, and show them
    Demo(demo::Options),
    /// Start nats-server and hourlogd, and say how to reach them, until Ctrl-C
    Up(up::Options),
    /// Run all tests, on real servers
    Test {
        /// Handed to one `cargo test`, which then runs instead of all of them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure against what lies below
    Bench {
        /// Handed to the bench
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Kill everything for some minutes, and hold what is kept against what was answered
    Chaos {
        /// Handed to the chaos
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Make the picture of the console in the README
    Screens,
    /// Everything that a change must pass
    Ci,
}

fn main() -> ExitCode {
    let Arguments { task } = Arguments::parse();
    let done = process::watch_interrupts().and_then(|()| match task {
        Task::Demo(options) => demo::run(&options),
        Task::Up(options) => up::run(&options),
        Task::Test { arguments } => test::run(&arguments),
        Task::Bench { arguments } => bench::run(&arguments),
        Task::Chaos { arguments } => chaos::run(&arguments),
        Task::Screens => screens::run(),
        Task::Ci => ci::run(),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<process::Interrupted>() => ExitCode::from(130),
        Err(error) => {
            say::note(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
