//! Candidates that only the service and the configuration know: ids of logs, and names of contexts.

use std::{ffi::OsStr, pin::pin, sync::Arc, time::Duration};

use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use futures_util::TryStreamExt;
use hourlog::{
    LogId, Remote,
    wire::{LogReply, LogsRequest},
};

use crate::{
    cli::listing,
    connect::{Connect, Denials},
    contexts::config_dir,
    output::counted,
    sanitize::sanitize,
};

/// The time that the service has. Somebody waits at the keyboard.
const WAIT_MAX: Duration = Duration::from_millis(300);
/// The most logs to offer. Some of more would look like all: a shell inserts what all candidates begin with.
const LOGS_MAX: usize = 5_000;
/// The names of values that are ids of logs.
const LOG_VALUES: [&str; 3] = ["LOG", "ID", "PATTERN"];

/// Adds candidates to the arguments that name logs and contexts. Without a connection, logs have none.
pub(super) fn with_candidates(command: Command, connect: Option<Connect>) -> Command {
    let connect = connect.map(Arc::new);
    add(command, &connect)
}

fn add(command: Command, connect: &Option<Arc<Connect>>) -> Command {
    let with = |argument: Arg| {
        if is_context(&argument) {
            argument.add(ArgValueCompleter::new(context_candidates))
        } else if is_log(&argument) {
            let connect = connect.clone();
            argument.add(ArgValueCompleter::new(move |typed: &OsStr| log_candidates(connect.as_deref(), typed)))
        } else {
            argument
        }
    };
    command.mut_args(with).mut_subcommands(|subcommand| add(subcommand, connect))
}

fn is_context(argument: &Arg) -> bool {
    argument.get_id() == "context"
}

fn is_log(argument: &Arg) -> bool {
    let id = argument.get_id().as_str();
    // Without a name of its own, a value is called like its argument.
    let is_named = |name: &str| LOG_VALUES.contains(&name) && (name != "ID" || id == "log" || id == "target");
    match argument.get_value_names() {
        Some(names) => names.iter().any(|name| is_named(name)),
        None => is_named(&id.to_uppercase()),
    }
}

fn context_candidates(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let files = std::fs::read_dir(config_dir().join("nats").join("context")).into_iter().flatten().flatten();
    let mut names: Vec<String> = files
        .filter_map(|file| file.file_name().to_str()?.strip_suffix(".json").map(str::to_owned))
        .filter(|name| name.starts_with(typed))
        .collect();
    names.sort_unstable();
    names.into_iter().map(CompletionCandidate::new).collect()
}

fn log_candidates(connect: Option<&Connect>, typed: &OsStr) -> Vec<CompletionCandidate> {
    let (Some(connect), Some(typed)) = (connect, typed.to_str()) else { return Vec::new() };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let found = runtime.block_on(async { tokio::time::timeout(WAIT_MAX, logs(connect, typed)).await });
    // A name of a server may still be looked up.
    runtime.shutdown_background();
    let found = found.ok().flatten().unwrap_or_default();
    let candidate =
        |log: LogReply| CompletionCandidate::new(log.log.as_str()).help(Some(counted(log.events, "event").into()));
    // A shell shows a name as it is, so one with invisible characters could look like another.
    found.into_iter().filter(|log| sanitize(log.log.as_str()) == log.log.as_str()).map(candidate).collect()
}

/// Returns the logs whose ids begin with `typed`; `None` if the service does not tell them, or there are too many.
async fn logs(connect: &Connect, typed: &str) -> Option<Vec<LogReply>> {
    let denials = Denials::default();
    let remote = connect.open(denials.clone()).await.ok()?.remote;
    let found: hourlog::Result<_> = denials.unless(None, async { Ok(found(&remote, typed).await) }).await;
    found.ok()?
}

async fn found(remote: &Remote, typed: &str) -> Option<Vec<LogReply>> {
    if typed.contains(['*', '>']) {
        return None;
    }
    let pattern = typed.rfind('.').map_or_else(|| ">".to_owned(), |dot| format!("{}.>", &typed[..dot]));
    let whole: Option<LogId> = typed.parse().ok();
    let mut logs = Vec::new();
    if whole.is_some() {
        let request = LogsRequest { pattern: Some(typed.to_owned()), all: true, ..LogsRequest::default() };
        logs = remote.logs(&request).await.ok()?.logs;
    }
    // The list is in the order of ids, so those that begin with the text follow it.
    let request =
        LogsRequest { pattern: Some(pattern), after: whole, all: listing::names_system(typed), ..Default::default() };
    let mut following = pin!(listing::logs(remote, request));
    while let Some(log) = following.try_next().await.ok()?.filter(|log| log.log.as_str().starts_with(typed)) {
        if logs.len() == LOGS_MAX {
            return None;
        }
        logs.push(log);
    }
    Some(logs)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_argument_that_is_a_log_or_a_context_has_candidates() {
        fn arguments(command: &Command) -> Vec<(String, Arg)> {
            let own = command.get_arguments().map(|argument| (command.get_name().to_owned(), argument.clone()));
            own.chain(command.get_subcommands().flat_map(arguments)).collect()
        }
        let command = with_candidates(Cli::command(), None);
        let mut logs = Vec::new();
        for (name, argument) in arguments(&command) {
            let id = argument.get_id().as_str();
            let has_candidates = argument.get::<ArgValueCompleter>().is_some();
            let expected = ["log", "logs", "pattern", "target", "context"].contains(&id);
            assert_eq!(has_candidates, expected, "{name} {id}");
            logs.extend(has_candidates.then_some(name));
        }
        for name in ["read", "export", "ls", "import", "purge", "requeue", "pub", "describe", "hist"] {
            assert!(logs.iter().any(|found| found == name), "{name} has no candidates");
        }
    }
}
