//! `cargo xtask bench`: the benchmarks, in release mode, with real servers.

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{cassandra, process, tools, workspace::Workspace};

/// Name of the console's benchmark, which needs no server.
const CONSOLE: &str = "console";

/// Runs the benchmarks with `arguments`. It builds the service and the benchmark as users run them.
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let workspace = Workspace::find()?;
    if arguments.first().is_some_and(|first| first == CONSOLE) {
        return process::run(workspace.cargo().args(["bench", "-p", "hourlog-console", "--bench", "keys"]));
    }
    let bench = workspace.build_benchmark()?;
    let mut command = Command::new(bench);
    command.args(arguments).env(tools::NATS_SERVER_VARIABLE, tools::nats_server()?);
    if needs_database(arguments) {
        // The benchmark starts a node of its own once a row needs it.
        cassandra::export_programs(&mut command)?;
    }
    process::run(&mut command)
}

/// Returns false if all rows and tables that are named do without a database, and for a list or a page.
fn needs_database(arguments: &[OsString]) -> bool {
    let texts: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    if texts.iter().any(|text| ["--list", "--help", "-h", "page"].contains(text)) {
        return false;
    }
    let values = |name: &str| {
        let given = |pair: &[&str]| (pair[0] == name).then(|| pair[1].to_owned());
        let joined = format!("{name}=");
        let mut found: Vec<String> = texts.windows(2).filter_map(given).collect();
        found.extend(texts.iter().filter_map(|text| text.strip_prefix(&joined)).map(str::to_owned));
        found
    };
    let mut named = values("--row");
    named.extend(values("--table"));
    named.is_empty()
        || named.iter().any(|name| name.starts_with("cql-") || ["busy", "latency"].contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_for_the_rows_that_need_one() {
        let needs = |text: &str| needs_database(&text.split_whitespace().map(OsString::from).collect::<Vec<_>>());
        assert!(needs(""));
        assert!(needs("--quick"));
        assert!(needs("--row seek --row cql-replay"));
        assert!(needs("growth"));
        assert!(needs("growth --table latency"));
        assert!(!needs("--row seek --row=replay --quick"));
        assert!(!needs("growth --table events"));
        assert!(!needs("--list"));
        assert!(!needs("page --json docs/performance.json --page docs/performance.md"));
    }
}
