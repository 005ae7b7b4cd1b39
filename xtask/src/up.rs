//! `cargo xtask up`: only the servers, until Ctrl-C. Published events are kept for the next run.

use anyhow::Result;
use clap::Args;

use crate::{
    print,
    servers::{Archive, Servers, Setup},
    tools,
    workspace::Workspace,
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    archive: Archive,
}

/// Runs the servers until Ctrl-C.
pub(crate) fn run(options: &Options) -> Result<()> {
    let workspace = Workspace::find()?;
    let nats_server = tools::nats_server()?;
    let programs = workspace.build_programs()?;
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
