//! `cargo xtask chaos`: kills servers for minutes and checks the archive against a ledger of
//! acknowledged events.

use std::ffi::OsString;

use anyhow::Result;

use crate::{cassandra, process, tools, workspace::Workspace};

/// Runs the chaos test with `arguments`.
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let workspace = Workspace::find()?;
    let nats_server = tools::nats_server()?;
    let hourlogd = workspace.build_for_tests()?.hourlogd;
    let mut chaos = workspace.cargo();
    chaos.args(["run", "-p", "conformance", "--features", "chaos", "--bin", "chaos", "--", "--hourlogd"]);
    chaos.arg(hourlogd).args(arguments);
    if arguments.iter().any(|argument| argument == "--cql" || argument == "--cluster") {
        cassandra::export_programs(&mut chaos)?;
    }
    process::run(chaos.env(tools::NATS_SERVER_VARIABLE, nats_server))
}
