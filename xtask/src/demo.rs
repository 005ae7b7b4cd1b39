//! `cargo xtask demo`: publishes a week of real earthquakes, counts them, and replays them from the
//! archive.

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
    print, process, report,
    servers::{Archive, Servers, Setup},
    tools,
    workspace::{Programs, Workspace},
};

/// Number of earthquakes in `examples/quakes.jsonl`.
const QUAKES: usize = 1707;
/// Time to read the console's keys before it opens.
const READING_TIME: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Keep the servers running until Ctrl-C and print how to use them
    #[arg(long)]
    keep: bool,
    /// Do not open the console
    #[arg(long)]
    no_console: bool,
    #[command(flatten)]
    archive: Archive,
}

/// Runs the demo. Stops the servers however it ends.
pub(crate) fn run(options: &Options) -> Result<()> {
    let workspace = Workspace::find()?;
    let programs = workspace.build_programs()?;
    let mut servers = start(&workspace, &programs, &options.archive)?;
    let hourlog = Hourlog { program: &programs.hourlog, url: &servers.url };
    hourlog.show()?;
    if !options.no_console && io::stdin().is_terminal() && io::stdout().is_terminal() {
        hourlog.open_console()?;
    }
    if options.keep {
        print::result(format_args!("\n{}", servers.instructions(&programs.hourlog)));
        print::note("Ctrl-C stops the servers");
        servers.wait_for_interrupt()?;
        return servers.stop();
    }
    servers.stop()?;
    print::note("\nthe servers are stopped; --keep leaves them running, to try more");
    Ok(())
}

/// Starts the servers on an empty archive and imports the earthquakes.
pub(crate) fn start(workspace: &Workspace, programs: &Programs, archive: &Archive) -> Result<Servers> {
    let nats_server = tools::nats_server()?;
    let directory = workspace.target.join("demo");
    let setup =
        Setup { nats_server: &nats_server, programs, directory, empty: true, prefer_default_port: false, archive };
    let servers = Servers::start(&setup)?;
    let hourlog = Hourlog { program: &programs.hourlog, url: &servers.url };
    hourlog.import(&workspace.root.join("examples/quakes.jsonl"))?;
    Ok(servers)
}

/// The command line, as a user runs it.
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
        // The summary on stdout repeats the table below; progress goes to stderr.
        process::run(import.arg(file).stdout(Stdio::null())).context("failed to import the earthquakes")
    }

    fn open_console(&self) -> Result<()> {
        print::note("\nopening the console: Enter opens a log, arrows scrub, t goes to a time, ? shows help, q quits");
        thread::sleep(READING_TIME);
        process::run(&mut self.command(&[]))
    }

    fn show(&self) -> Result<()> {
        let rows = report::log_rows(&process::output(&mut self.command(&["ls", "quakes.*", "-o", "ndjson"]))?)?;
        print::result(report::log_table(&rows));
        let counted: u64 = rows.iter().map(|row| row.events).sum();
        ensure!(counted == QUAKES as u64, "the logs count {counted} earthquakes instead of {QUAKES}");

        let mut quakes = Vec::new();
        for row in &rows {
            let read = process::output(&mut self.command(&["read", &row.log, "-o", "ndjson"]))?;
            quakes.extend(report::quakes(&read)?);
        }
        ensure!(quakes.len() == QUAKES, "read {} earthquakes instead of {QUAKES}", quakes.len());
        print::result(format_args!("\n{}", report::histogram(&quakes)));
        self.replay(report::strongest(&quakes).context("no earthquake has a magnitude")?)
    }

    /// Reads one earthquake again, by its time.
    fn replay(&self, quake: &report::Quake) -> Result<()> {
        let arguments = ["read", &quake.log, "--since", &quake.time, "--limit", "1"];
        let read = process::output(self.command(&arguments).args(["-o", "ndjson", "--quiet"]))?;
        let again = report::quakes(&read)?;
        ensure!(again.first() == Some(quake), "reading by the time of \"{quake}\" returned {again:?}");
        print::result(format_args!("\nthe strongest, replayed with `hourlog {}`:\n{quake}", arguments.join(" ")));
        Ok(())
    }
}
