//! The service as a source: connects at the first request, and again after a failure.

mod outlet;

use hourlog::{
    Cursor, LogId, Position, Remote, Result,
    wire::{LogsReply, StripReply, TimelineReply, TimelineRequest},
};
use tokio::sync::{Mutex, OnceCell};

use crate::{
    connect::{Connect, Denials},
    tui::{
        filter::Selection,
        listing::Listing,
        msg::StripsRequest,
        pages::Fetched,
        scan::Direction,
        source::{Arrivals, Source},
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

    async fn strips(&self, request: &StripsRequest) -> Result<Vec<(LogId, StripReply)>> {
        let remote = self.remote().await?;
        self.denials.unless(Some(&remote.subjects().logs()), Source::strips(remote, request)).await
    }

    async fn page(
        &self,
        log: &LogId,
        at: Position,
        direction: Direction,
        limit: u32,
        selection: &Selection,
    ) -> Result<Fetched> {
        self.ask(&format!("replay.{log}"), |remote| Source::page(remote, log, at, direction, limit, selection)).await
    }

    async fn newest(&self, log: &LogId, limit: u32, selection: &Selection) -> Result<Fetched> {
        self.ask(&format!("replay.{log}"), |remote| Source::newest(remote, log, limit, selection)).await
    }

    async fn check(&self, log: &LogId, selection: &Selection) -> Result<()> {
        self.ask(&format!("replay.{log}"), |remote| Source::check(remote, log, selection)).await
    }

    async fn count(&self, log: &LogId, request: &TimelineRequest) -> Result<TimelineReply> {
        self.ask(&format!("timeline.{log}"), |remote| Source::count(remote, log, request)).await
    }

    async fn newest_arrival(&self, log: &LogId) -> Result<Option<Cursor>> {
        self.ask(&format!("replay.{log}"), |remote| Source::newest_arrival(remote, log)).await
    }

    async fn arrivals(&self, log: &LogId, after: Option<Cursor>, selection: &Selection) -> Result<Arrivals> {
        self.ask(&format!("replay.{log}"), |remote| Source::arrivals(remote, log, after, selection)).await
    }
}
