//! `cargo xtask up`: only the servers, until Ctrl-C. Published events are kept for the next run, except by a cluster.

use std::path::Path;

use anyhow::Result;
use clap::Args;

use crate::{
    cluster::Cluster,
    print,
    servers::{Archive, Servers, Setup},
    tools,
    workspace::{Programs, Workspace},
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo xtask up\n  cargo xtask up --cql\n  cargo xtask up --cluster")]
pub(crate) struct Options {
    #[command(flatten)]
    archive: Archive,
    /// Start three of each instead: nats-server, Cassandra and hourlogd. It takes about a minute and 3 GB of memory
    #[arg(long, conflicts_with_all = ["store", "cql"])]
    cluster: bool,
}

/// Runs the servers until Ctrl-C.
pub(crate) fn run(options: &Options) -> Result<()> {
    let workspace = Workspace::find()?;
    let nats_server = tools::nats_server()?;
    let programs = workspace.build_programs()?;
    if options.cluster {
        return run_cluster(&nats_server, &programs, &workspace);
    }
    let mut servers = Servers::start(&Setup {
        nats_server: &nats_server,
        programs: &programs,
        directory: workspace.target.join("up"),
        empty: false,
        prefer_default_port: true,
        archive: &options.archive,
    })?;
    print::result(servers.instructions(&programs.hourlog));
    print::note("Ctrl-C stops the servers");
    servers.wait_for_interrupt()?;
    servers.stop()
}

fn run_cluster(nats_server: &Path, programs: &Programs, workspace: &Workspace) -> Result<()> {
    let mut cluster = Cluster::start(nats_server, programs, workspace.target.join("up-cluster"))?;
    print::result(cluster.instructions(&programs.hourlog));
    print::note("Ctrl-C stops the servers");
    cluster.wait_for_interrupt()?;
    cluster.stop()
}
