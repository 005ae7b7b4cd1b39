//! The service as what the console reads: connected to when it can be, and asked again when it could not.

use hourlog::{
    Event, LogId, Offset, Position, Remote, Result,
    wire::{LogReply, TimelineReply},
};
use tokio::sync::OnceCell;

use crate::{
    connect::{Connect, Denials},
    tui::backend::Source,
};

/// The service, behind a connection that may not be there yet.
#[derive(Debug)]
pub struct Service {
    connect: Connect,
    remote: OnceCell<Remote>,
    denials: Denials,
}

impl Service {
    /// A service that nobody has been asked for yet.
    pub fn new(connect: Connect) -> Self {
        Self { connect, remote: OnceCell::new(), denials: Denials::default() }
    }

    async fn remote(&self) -> Result<&Remote> {
        self.remote.get_or_try_init(|| async { Ok(self.connect.open(self.denials.clone()).await?.remote) }).await
    }

    /// Asks one of the service's endpoints, each of which may be refused on its own.
    async fn ask<'a, T, F: Future<Output = Result<T>> + 'a>(
        &'a self,
        endpoint: &str,
        question: impl FnOnce(&'a Remote) -> F,
    ) -> Result<T> {
        let remote = self.remote().await?;
        self.denials.unless(Some(&format!("{}.{endpoint}", self.connect.prefix)), question(remote)).await
    }
}

impl Source for Service {
    async fn logs(&self) -> Result<Vec<LogReply>> {
        self.ask("logs", Source::logs).await
    }

    async fn page(&self, log: &LogId, from: Position, backwards: bool, limit: u32) -> Result<(Vec<Event>, bool)> {
        self.ask(&format!("replay.{log}"), |remote| Source::page(remote, log, from, backwards, limit)).await
    }

    async fn count(&self, log: &LogId, span: Option<(Offset, Offset)>, bins: u32) -> Result<TimelineReply> {
        self.ask(&format!("timeline.{log}"), |remote| Source::count(remote, log, span, bins)).await
    }

    async fn newest_arrival(&self, log: &LogId) -> Result<Option<String>> {
        self.ask(&format!("replay.{log}"), |remote| Source::newest_arrival(remote, log)).await
    }

    async fn arrivals(&self, log: &LogId, after: Option<String>) -> Result<(Vec<Event>, Option<String>)> {
        self.ask(&format!("replay.{log}"), |remote| Source::arrivals(remote, log, after)).await
    }
}
