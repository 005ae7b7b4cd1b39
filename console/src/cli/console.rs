//! `console`: the console, opened in a log.

use clap::Args;
use hourlog::LogId;

use crate::{exit::Failure, session::Session, tui};

/// Open the console, in logs if any are named
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog console
  hourlog console quakes.us --at '2018-02-06 15:50'
  hourlog console quakes.us quakes.ci quakes.nc
  hourlog console quakes.us --where 'json.mag >= 5' --at first --play 3600

A log whose id has a dot needs no command: hourlog quakes.us")]
pub(super) struct Console {
    /// Logs to open; several are opened as one, with a lane each
    #[arg(value_name = "LOG", num_args = 0..=12)]
    log: Vec<LogId>,
    #[command(flatten)]
    opening: tui::Opening,
    #[command(flatten)]
    options: tui::Options,
}

impl Console {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        if !self.options.can_open() {
            return Err(Failure::usage("the console needs a terminal; hourlog read prints events anywhere"));
        }
        tui::open(session, &self.options, self.log, &self.opening).await
    }
}
