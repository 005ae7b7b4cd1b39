//! `cargo xtask chaos`: minutes of kills on a real nats-server, against a ledger.

use std::ffi::OsString;

use anyhow::Result;

use crate::{cassandra, place::Place, process, tools};

/// Runs chaos with `arguments`.
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let place = Place::find()?;
    let nats_server = tools::nats_server()?;
    let hourlogd = place.build_for_tests()?.hourlogd;
    let mut chaos = place.cargo();
    chaos.args(["run", "-p", "conformance", "--bin", "chaos", "--", "--hourlogd"]);
    chaos.arg(hourlogd).args(arguments);
    if arguments.iter().any(|argument| argument == "--cql") {
        cassandra::tell_how_to_start(&mut chaos)?;
    }
    process::run(chaos.env(tools::NATS_SERVER_VARIABLE, nats_server))
}
