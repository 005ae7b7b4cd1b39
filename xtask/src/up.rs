//! `cargo xtask up`: only the servers, until Ctrl-C. What was published stays for the next time.

use anyhow::Result;
use clap::Args;

use crate::{
    place::Place,
    say,
    servers::{Archive, Servers, Setup},
    tools,
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    archive: Archive,
}

/// Runs the servers.
pub(crate) fn run(options: &Options) -> Result<()> {
    let place = Place::find()?;
    let nats_server = tools::nats_server()?;
    let programs = place.build_programs()?;
    let mut servers = Servers::start(&Setup {
        nats_server: &nats_server,
        programs: &programs,
        directory: place.target.join("up"),
        fresh: false,
        usual_port: true,
        archive: &options.archive,
    })?;
    say::result(servers.how_to_reach(&programs.hourlog));
    say::note("Ctrl-C stops them");
    servers.stay()?;
    servers.stop()
}
