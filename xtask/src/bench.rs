//! `cargo xtask bench`: the measurements, built for speed, on a real nats-server and a real database.

use std::ffi::OsString;

use anyhow::Result;

use crate::{
    cassandra::{Kind, Node},
    place::Place,
    process, tools,
};

/// What the console's own figures are called.
const CONSOLE: &str = "console";

/// Runs the benches with `arguments`: the console's, which needs no server, and all others.
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let place = Place::find()?;
    let only = arguments.iter().skip_while(|argument| *argument != "--only").nth(1);
    if only.is_none_or(|only| only == CONSOLE) {
        process::run(place.cargo().args(["bench", "-p", "hourlog-console", "--bench", "keys"]))?;
    }
    if only.is_some_and(|only| only == CONSOLE) {
        return Ok(());
    }
    let nats_server = tools::nats_server()?;
    let database = Node::start(Kind::Cassandra)?;
    let mut bench = place.cargo();
    bench.args(["run", "--release", "-p", "conformance", "--bin", "bench", "--"]).args(arguments);
    database.tell(&mut bench)?;
    process::run(bench.env(tools::NATS_SERVER_VARIABLE, nats_server))
}
