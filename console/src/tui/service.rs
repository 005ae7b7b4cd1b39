//! The service as a source: connects at the first request, and again after a failure.

use hourlog::{
    Cursor, Event, LogId, Offset, Position, Remote, Result,
    wire::{LogsReply, TimelineReply},
};
use tokio::sync::{Mutex, OnceCell};

use crate::{
    connect::{Connect, Denials},
    tui::{
        backend::{Arrivals, Source},
        listing::Listing,
        loaded::FetchedEvents,
        scan::Direction,
    },
};

/// The service, and a connection that may not exist yet.
#[derive(Debug)]
pub struct Service {
    connect: Connect,
    remote: OnceCell<Remote>,
    denials: Denials,
    listing: Mutex<Listing>,
}

impl Service {
    /// Returns a service without connecting to it.
    pub fn new(connect: Connect) -> Self {
        Self { connect, remote: OnceCell::new(), denials: Denials::default(), listing: Mutex::default() }
    }

    async fn remote(&self) -> Result<&Remote> {
        self.remote.get_or_try_init(|| async { Ok(self.connect.open(self.denials.clone()).await?.remote) }).await
    }

    /// Sends a request to one of the endpoints. The server may deny each of them separately.
    async fn ask<'a, T, F: Future<Output = Result<T>> + 'a>(
        &'a self,
        endpoint: &str,
        request: impl FnOnce(&'a Remote) -> F,
    ) -> Result<T> {
        let remote = self.remote().await?;
        self.denials.unless(Some(&format!("{}.{endpoint}", self.connect.prefix)), request(remote)).await
    }
}

impl Source for Service {
    async fn logs(&self) -> Result<LogsReply> {
        let (remote, mut listing) = (self.remote().await?, self.listing.lock().await);
        self.denials.unless(Some(&remote.subjects().logs()), listing.update(remote)).await
    }

    async fn page(&self, log: &LogId, from: Position, direction: Direction, limit: u32) -> Result<(Vec<Event>, bool)> {
        self.ask(&format!("replay.{log}"), |remote| Source::page(remote, log, from, direction, limit)).await
    }

    async fn newest(&self, log: &LogId, limit: u32) -> Result<FetchedEvents> {
        self.ask(&format!("replay.{log}"), |remote| Source::newest(remote, log, limit)).await
    }

    async fn count(&self, log: &LogId, span: Option<(Offset, Offset)>, bins: u32) -> Result<TimelineReply> {
        self.ask(&format!("timeline.{log}"), |remote| Source::count(remote, log, span, bins)).await
    }

    async fn newest_arrival(&self, log: &LogId) -> Result<Option<Cursor>> {
        self.ask(&format!("replay.{log}"), |remote| Source::newest_arrival(remote, log)).await
    }

    async fn arrivals(&self, log: &LogId, after: Option<Cursor>) -> Result<Arrivals> {
        self.ask(&format!("replay.{log}"), |remote| Source::arrivals(remote, log, after)).await
    }
}
