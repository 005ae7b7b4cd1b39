//! `cargo xtask bench`: the benchmarks, in release mode, on a real nats-server and a real database.

use std::ffi::OsString;

use anyhow::Result;

use crate::{
    cassandra::{Kind, Node},
    process, tools,
    workspace::Workspace,
};

/// Name of the console's benchmark for `--only`.
const CONSOLE: &str = "console";

/// Runs the benchmarks with `arguments`: the console's, which needs no server, and all others.
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let workspace = Workspace::find()?;
    let only = arguments.iter().skip_while(|argument| *argument != "--only").nth(1);
    if only.is_none_or(|only| only == CONSOLE) {
        process::run(workspace.cargo().args(["bench", "-p", "hourlog-console", "--bench", "keys"]))?;
    }
    if only.is_some_and(|only| only == CONSOLE) {
        return Ok(());
    }
    let nats_server = tools::nats_server()?;
    let database = Node::start(Kind::Cassandra)?;
    let mut bench = workspace.cargo();
    bench.args(["run", "--release", "-p", "conformance", "--bin", "bench", "--"]).args(arguments);
    database.export_to(&mut bench)?;
    process::run(bench.env(tools::NATS_SERVER_VARIABLE, nats_server))
}
