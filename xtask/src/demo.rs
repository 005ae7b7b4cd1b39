//! `cargo xtask demo`: a week of real earthquakes, published, archived, counted and played again.

use std::{
    io::{self, IsTerminal},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::{
    place::{Place, Programs},
    process, report, say,
    servers::{Archive, Servers, Setup},
    tools,
};

/// How many earthquakes `examples/quakes.jsonl` holds.
const QUAKES: usize = 1707;
/// How long it can be read what the console's keys are, before it opens.
const READS_FOR: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Leave the servers up until Ctrl-C, and say how to reach them
    #[arg(long)]
    keep: bool,
    /// Do not open the console
    #[arg(long)]
    no_console: bool,
    #[command(flatten)]
    archive: Archive,
}

/// Runs the demo. Whatever way it ends, what it started is stopped.
pub(crate) fn run(options: &Options) -> Result<()> {
    let place = Place::find()?;
    let programs = place.build_programs()?;
    let mut servers = start(&place, &programs, &options.archive)?;
    let hourlog = Hourlog { program: &programs.hourlog, url: &servers.url };
    hourlog.show()?;
    if !options.no_console && io::stdin().is_terminal() && io::stdout().is_terminal() {
        hourlog.open_console()?;
    }
    if options.keep {
        say::result(format_args!("\n{}", servers.how_to_reach(&programs.hourlog)));
        say::note("Ctrl-C stops them");
        servers.stay()?;
        return servers.stop();
    }
    servers.stop()?;
    say::note("\nthe servers are stopped; with --keep they stay, to try more");
    Ok(())
}

/// Starts the servers on a fresh archive, which then has the earthquakes.
pub(crate) fn start(place: &Place, programs: &Programs, archive: &Archive) -> Result<Servers> {
    let nats_server = tools::nats_server()?;
    let directory = place.target.join("demo");
    let setup = Setup { nats_server: &nats_server, programs, directory, fresh: true, usual_port: false, archive };
    let servers = Servers::start(&setup)?;
    let hourlog = Hourlog { program: &programs.hourlog, url: &servers.url };
    hourlog.import(&place.root.join("examples/quakes.jsonl"))?;
    Ok(servers)
}

/// The command line, as a user has it.
pub(crate) struct Hourlog<'a> {
    pub(crate) program: &'a Path,
    pub(crate) url: &'a str,
}

impl Hourlog<'_> {
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.args(arguments).args(["--server", self.url]);
        command
    }

    fn import(&self, file: &Path) -> Result<()> {
        let mut import = self.command(&["import"]);
        // What it sums up is shown below; its progress goes to stderr.
        process::run(import.arg(file).stdout(Stdio::null())).context("the earthquakes could not be imported")
    }

    fn open_console(&self) -> Result<()> {
        say::note("\nthe console opens: Enter opens a log, the arrows scrub, t goes to a time, ? says more, q quits");
        thread::sleep(READS_FOR);
        process::run(&mut self.command(&[]))
    }

    fn show(&self) -> Result<()> {
        let rows = report::log_rows(&process::output(&mut self.command(&["ls", "quakes.*", "-o", "ndjson"]))?)?;
        say::result(report::log_table(&rows));
        let counted: u64 = rows.iter().map(|row| row.events).sum();
        ensure!(counted == QUAKES as u64, "the logs count {counted} earthquakes instead of {QUAKES}");

        let mut quakes = Vec::new();
        for row in &rows {
            let read = process::output(&mut self.command(&["read", &row.log, "-o", "ndjson"]))?;
            quakes.extend(report::quakes(&read)?);
        }
        ensure!(quakes.len() == QUAKES, "{} earthquakes were read back instead of {QUAKES}", quakes.len());
        say::result(format_args!("\n{}", report::histogram(&quakes)));
        self.show_again(report::strongest(&quakes).context("no earthquake has a magnitude")?)
    }

    /// Plays one earthquake again: by its time, as somebody would who was told when it was.
    fn show_again(&self, quake: &report::Quake) -> Result<()> {
        let arguments = ["read", &quake.log, "--since", &quake.time, "--limit", "1"];
        let read = process::output(self.command(&arguments).args(["-o", "ndjson", "--quiet"]))?;
        let again = report::quakes(&read)?;
        ensure!(again.first() == Some(quake), "{quake} was not read again by its time, but {again:?}");
        say::result(format_args!("\nthe strongest, played again by `hourlog {}`:\n{quake}", arguments.join(" ")));
        Ok(())
    }
}
