//! `cargo xtask bench`: the measurements, built for speed, on a real nats-server and a real database.

use std::ffi::OsString;

use anyhow::Result;

use crate::{
    cassandra::{Kind, Node},
    place::Place,
    process, tools,
};

/// Runs the bench with `arguments`.
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let place = Place::find()?;
    let nats_server = tools::nats_server()?;
    let database = Node::start(Kind::Cassandra)?;
    let mut bench = place.cargo();
    bench.args(["run", "--release", "-p", "conformance", "--bin", "bench", "--"]).args(arguments);
    database.tell(&mut bench)?;
    process::run(bench.env(tools::NATS_SERVER_VARIABLE, nats_server))
}
