//! What can be typed, and what becomes of it.

mod completions;
mod describe;
mod doctor;
mod export;
mod hist;
mod import;
mod lines;
mod ls;
mod man;
mod publish;
mod publisher;
mod read;
mod trailer;

use std::{error::Error as _, io::Write, process::ExitCode};

use clap::{Args, CommandFactory, Parser, Subcommand};
use hourlog::{Clock, ErrorKind};
use jiff::tz::TimeZone;

use crate::{
    connect::Connect,
    exit::{self, Failure},
    output::{Color, Format, Output},
    session::Session,
    tui,
};

/// Logs of events by time, over NATS: list them, write to them, play them back
///
/// Without a command, and on a terminal, the console opens: browse logs, scrub through time. `?` there says what keys do.
#[derive(Debug, Parser)]
#[command(name = "hourlog", version, max_term_width = 120, after_help = EXAMPLES, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    console: tui::Options,
}

const EXAMPLES: &str = "\
Examples:
  hourlog
  hourlog ls
  hourlog pub orders.eu '{\"id\":7}' -H kind:paid
  hourlog read orders.eu --since '2h ago'
  hourlog read orders.eu -f -o ndjson | jq .data

Times: 2018-02-04T21:56:42Z, 2h, '2h ago', -30m, 14:05, 'yesterday 9:00', 2018-02-04, @1517781402, first, last, now

Exit codes: 0 ok, 1 unexpected, 2 usage or a bad time, 3 no such log or position, 4 not allowed, 5 nobody \
answers, 6 took too long, 7 what is stored is not what was written, 8 refused, 130 interrupted";

/// Flags that say how things are shown.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
struct Shown {
    /// How data is written [default: table on a terminal, ndjson elsewhere]
    #[arg(short, long, global = true, value_name = "FORMAT")]
    output: Option<Format>,
    /// The zone of times that name none, and of tables: Europe/Oslo, UTC [default: the machine's]
    #[arg(long, global = true, value_name = "ZONE", env = "HOURLOG_TZ", value_parser = parse_zone)]
    tz: Option<TimeZone>,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", env = "HOURLOG_COLOR")]
    color: Color,
    /// Nothing but data and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more: the causes of errors, the connection
    #[arg(short, long, global = true)]
    verbose: bool,
}

fn parse_zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| "no such zone is known here; write Europe/Oslo or UTC".to_owned())
}

#[derive(Debug, Subcommand)]
enum Command {
    Ls(ls::Ls),
    Describe(describe::Describe),
    Hist(hist::Hist),
    Pub(publish::Publish),
    Read(read::Read),
    Export(export::Export),
    Import(import::Import),
    Doctor(doctor::Doctor),
    Completions(completions::Completions),
    Man(man::Man),
}

/// Parses the command line, carries it out, and answers with what the shell gets.
pub fn main(clock: Clock) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to be told when even this cannot be printed.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(exit::USAGE).into();
        }
    };
    let Cli { command, connect, shown, console } = cli;
    if command.is_none() && !console.can_open() {
        let help = Cli::command().render_help();
        let _ = write!(std::io::stderr(), "{help}");
        return exit::USAGE.into();
    }
    let out = Output::new(shown.output, shown.color, shown.quiet);
    let zone = shown.tz.unwrap_or_else(TimeZone::system);
    let session = Session::new(connect, out, zone, clock, shown.verbose);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            session.out.error(&format!("no runtime can be started: {error}"));
            return exit::UNEXPECTED.into();
        }
    };
    let ended = match command {
        Some(command) => runtime.block_on(watched(&session, carry_out(command, &session))),
        None => runtime.block_on(tui::open(&session, &console)),
    };
    // A thread that still reads standard input is not waited for.
    runtime.shutdown_background();
    let ended = ended.and_then(|()| session.out.flush());
    match ended {
        Ok(()) => exit::OK.into(),
        Err(failure) => {
            report(&session, &failure);
            failure.code().into()
        }
    }
}

async fn carry_out(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::Ls(ls) => ls.run(session).await,
        Command::Describe(describe) => describe.run(session).await,
        Command::Hist(hist) => hist.run(session).await,
        Command::Pub(publish) => publish.run(session).await,
        Command::Read(read) => read.run(session).await,
        Command::Export(export) => export.run(session).await,
        Command::Import(import) => import.run(session).await,
        Command::Doctor(doctor) => doctor.run(session).await,
        Command::Completions(completions) => completions.run(session, &mut Cli::command()),
        Command::Man(man) => man.run(session, Cli::command()),
    }
}

/// Ends the command early on Ctrl-C, and when the server refuses something.
async fn watched(session: &Session, command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::select! {
        biased;
        // Whatever is refused, a command needs it.
        ended = session.denials.unless(None, command) => ended,
        Ok(()) = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
    }
}

fn report(session: &Session, failure: &Failure) {
    // What was read before the failure is worth having. Where it cannot be written, the failure still is the news.
    let _ = session.out.flush();
    let hint = session.resume_hint();
    match failure {
        Failure::OutputClosed | Failure::Found(_) => {}
        Failure::Interrupted => session.out.note(&match hint {
            Some(hint) => format!("interrupted; {hint}"),
            None => "interrupted".to_owned(),
        }),
        Failure::Io { context, source } => session.out.error(&format!("{context}: {source}")),
        Failure::Log(error) => {
            let mut text = error.to_string();
            let unforeseen =
                !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Deadline | ErrorKind::Unavailable);
            if session.verbose || unforeseen {
                let mut cause = error.source();
                while let Some(next) = cause {
                    text.push_str(&format!(": {next}"));
                    cause = next.source();
                }
            }
            session.out.error(&text);
            if let Some(hint) = hint.filter(|_| matches!(error.kind(), ErrorKind::Deadline | ErrorKind::Unavailable)) {
                session.out.note(&hint);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together_and_each_subcommand_has_examples() {
        let command = Cli::command();
        command.clone().debug_assert();
        for subcommand in command.get_subcommands() {
            let examples = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(examples.contains("hourlog "), "{} has no example", subcommand.get_name());
            assert!(subcommand.get_about().is_some(), "{} says nothing of itself", subcommand.get_name());
        }
    }
}
