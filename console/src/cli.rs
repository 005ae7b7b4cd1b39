//! The command line: global flags, subcommands, and how a run ends.

mod admin;
mod ahead;
mod completions;
mod conditions;
mod config;
mod console;
mod cursor;
mod describe;
mod doctor;
mod export;
mod format;
mod grep;
mod hist;
mod import;
mod input;
mod listing;
mod ls;
mod man;
mod near;
mod publish;
mod read;
mod replay;
mod status;
mod stop;

use std::{error::Error as _, ffi::OsString, io::Write, process::ExitCode};

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use hourlog::{ErrorKind, LogId, time::Clock};
use jiff::tz::TimeZone;

use crate::{
    connect::Connect,
    exit::{self, Failure},
    output::{ColorMode, Output},
    session::Session,
    tui,
    typed::Typed,
    when,
};

use self::{
    format::{FormatParser, OutputFormat},
    read::Template,
};

/// Parses the command line, runs the command, and returns its exit code.
pub fn main(clock: Clock) -> ExitCode {
    if completions::complete() {
        return exit::OK.into();
    }
    let (cli, matches) = match parse() {
        Ok(parsed) => parsed,
        Err(error) => {
            // If even this cannot be printed, there is nobody left to tell.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(exit::USAGE).into();
        }
    };
    let Cli { command, log, opening, connect, output, console } = cli;
    if command.is_none() && !console.can_open() {
        let help = Cli::command().render_help();
        let _ = write!(std::io::stderr(), "{help}");
        return exit::USAGE.into();
    }
    let (format, template) = output.format.map_or((None, None), OutputFormat::into_parts);
    let out = Output::new(format, output.color, output.quiet);
    let zone = match output.tz.clone().map_or_else(when::system_zone, Ok) {
        Ok(zone) => zone,
        Err(error) => {
            out.error(&error);
            return exit::USAGE.into();
        }
    };
    let typed = Typed::new(&Cli::command(), &matches);
    let session = Session::new(connect, out, zone, clock, output.verbose).with_named_zone(output.tz).with_typed(typed);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            session.out.error(&format!("cannot start the async runtime: {error}"));
            return exit::UNEXPECTED.into();
        }
    };
    let result = match command {
        // The console handles signals itself.
        Some(Command::Console(console)) => runtime.block_on(console.run(&session)),
        Some(command) => runtime.block_on(stop::until_stopped(&session, run(command, &session, &matches, template))),
        None => runtime.block_on(tui::open(&session, &console, log, &opening)),
    };
    // A thread may still be blocked on standard input. Do not wait for it.
    runtime.shutdown_background();
    let result = result.and_then(|()| session.out.flush());
    match result {
        Ok(()) => exit::OK.into(),
        Err(failure) => {
            report(&session, &failure);
            failure.code().into()
        }
    }
}

/// Parses the command line and the environment.
fn parse() -> Result<(Cli, ArgMatches), clap::Error> {
    let line: Vec<OsString> = std::env::args_os().collect();
    let matches = arguments::parse(&Cli::command(), &line)?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    cli.connect.note_typed(&matches);
    Ok((cli, matches))
}

/// Store, browse and replay events by time, over NATS
///
/// Without a command, in a terminal, hourlog opens the console: browse logs and scrub through time.
/// Press ? there for its keys.
#[derive(Debug, Parser)]
#[command(name = "hourlog", version, max_term_width = 120, after_help = EXAMPLES, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Logs to open in the console; their ids have a dot
    #[arg(value_name = "LOG", num_args = 0..=12, value_parser = tui::dotted_log)]
    log: Vec<LogId>,
    #[command(flatten)]
    opening: tui::Opening,
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    console: tui::Options,
}

const EXAMPLES: &str = "\
Examples:
  hourlog
  hourlog orders.eu --at '2h ago'
  hourlog ls
  hourlog pub orders.eu '{\"id\":7}' -H kind:paid
  hourlog read orders.eu --since '2h ago'
  hourlog read orders.eu -f -o ndjson | jq .data

Times: 2018-02-04T21:56:42Z, 2h, '2h ago', -30m, 14:05, noon, monday, 'yesterday 9:00', 'feb 4 10:00', 2018-02-04,
'2018-02-06 15:50', RFC 2822, @1517781402, 10, 13, 16 or 19 digits since 1970 (s, ms, us, ns), first, last, now.
14:05, monday and feb 4 are the most recent ones; as --until, the first ones after --since.

Exit codes: 0 ok, 1 unexpected failure (grep: nothing found), 2 wrong usage, 3 log or position not found, 4 not allowed, \
5 service unavailable, 6 timed out, 7 data corrupted, 8 refused, 130 interrupted";

/// Flags that control the output.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
struct OutputArgs {
    /// Output format; read also takes a format of your own, such as '%t %k{kind} %d\n' [default: table on a terminal, ndjson
    /// otherwise]
    #[arg(id = "output", short = 'o', long = "output", global = true, value_name = "FORMAT", value_parser = FormatParser)]
    format: Option<OutputFormat>,
    /// Time zone for times without one and for tables, such as Europe/Oslo or UTC [default: the
    /// system's; import takes none for the times in a file]
    #[arg(long, global = true, value_name = "ZONE", env = "HOURLOG_TZ", value_parser = when::parse_zone)]
    tz: Option<TimeZone>,
    /// When to use colors
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", env = "HOURLOG_COLOR")]
    color: ColorMode,
    /// Print only data and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Also print the causes of errors and connection details
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Console(console::Console),
    Ls(ls::Ls),
    Describe(describe::Describe),
    Hist(hist::Hist),
    Near(near::Near),
    Grep(grep::Grep),
    Pub(publish::Publish),
    Read(read::Read),
    Replay(Box<replay::Replay>),
    Export(export::Export),
    Import(import::Import),
    Status(status::Status),
    Cursor(cursor::CursorCommand),
    Doctor(doctor::Doctor),
    Admin(admin::Admin),
    Config(config::Config),
    Completions(completions::Completions),
    Man(man::Man),
}

async fn run(
    command: Command,
    session: &Session,
    matches: &ArgMatches,
    template: Option<Template>,
) -> Result<(), Failure> {
    if template.is_some() && !matches!(command, Command::Read(_)) {
        return Err(Failure::usage(
            "-o with tokens is for events, as hourlog read prints them; write -o ndjson or csv",
        ));
    }
    match command {
        Command::Console(console) => console.run(session).await,
        Command::Ls(ls) => ls.run(session).await,
        Command::Describe(describe) => describe.run(session).await,
        Command::Hist(hist) => hist.run(session).await,
        Command::Near(near) => near.run(session).await,
        Command::Grep(grep) => grep.run(session).await,
        Command::Pub(publish) => publish.run(session).await,
        Command::Read(read) => read.run(session, template).await,
        Command::Replay(replay) => replay.run(session).await,
        Command::Export(export) => export.run(session).await,
        Command::Import(import) => import.run(session).await,
        Command::Status(status) => status.run(session).await,
        Command::Cursor(cursor) => cursor.run(session).await,
        Command::Doctor(doctor) => doctor.run(session).await,
        Command::Admin(admin) => admin.run(session).await,
        Command::Config(config) => config.run(session, &Cli::command(), matches),
        Command::Completions(completions) => completions.run(session),
        Command::Man(man) => man.run(session, Cli::command()),
    }
}

fn report(session: &Session, failure: &Failure) {
    // Print what was read before the failure. If that fails too, the first failure matters more.
    let _ = session.out.flush();
    let hint = session.resume_hint();
    match failure {
        Failure::OutputClosed | Failure::NothingFound | Failure::ChecksFailed(_) => {}
        Failure::Interrupted => session.out.note(&match hint {
            Some(hint) => format!("interrupted; {hint}"),
            None => "interrupted".to_owned(),
        }),
        Failure::Io { .. } => session.out.error(&failure.sentence()),
        Failure::Log(error) => {
            let mut text = error.to_string();
            let needs_causes =
                !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Deadline | ErrorKind::Unavailable);
            if session.verbose || needs_causes {
                let mut cause = error.source();
                while let Some(next) = cause {
                    text.push_str(&format!(": {next}"));
                    cause = next.source();
                }
            }
            session.out.error(&text);
            if let Some(hint) = hint
                .filter(|_| matches!(error.kind(), ErrorKind::Deadline | ErrorKind::Unavailable | ErrorKind::Refused))
                // An error of a write says itself what has become of each event.
                .filter(|_| error.sent().is_none())
            {
                session.out.note(&hint);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_each_subcommand_has_examples() {
        let command = Cli::command();
        command.clone().debug_assert();
        for subcommand in command.get_subcommands() {
            let examples = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(examples.contains("hourlog "), "{} has no example", subcommand.get_name());
            assert!(subcommand.get_about().is_some(), "{} has no summary", subcommand.get_name());
        }
    }
}
