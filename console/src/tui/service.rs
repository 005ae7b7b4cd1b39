//! The service as what the console reads: connected to when it can be, and asked again when it could not.

use hourlog::{
    Event, LogId, Offset, Position, Remote, Result,
    wire::{LogReply, TimelineReply},
};
use tokio::sync::{OnceCell, watch};

use crate::{
    connect::{self, Connect},
    tui::backend::Source,
};

/// The service, behind a connection that may not be there yet.
#[derive(Debug)]
pub struct Service {
    connect: Connect,
    remote: OnceCell<Remote>,
    denied: watch::Sender<Option<String>>,
}

impl Service {
    /// A service that nobody has been asked for yet.
    pub fn new(connect: Connect) -> Self {
        Self { connect, remote: OnceCell::new(), denied: watch::Sender::new(None) }
    }

    async fn remote(&self) -> Result<&Remote> {
        self.remote.get_or_try_init(|| async { Ok(self.connect.open(self.denied.clone()).await?.remote) }).await
    }

    /// What the server does not allow, it says beside a request that it then leaves without an answer.
    async fn ask<T>(&self, question: impl Future<Output = Result<T>>) -> Result<T> {
        let mut denied = self.denied.subscribe();
        tokio::select! {
            answer = question => answer,
            Ok(()) = denied.changed() => {
                let what = denied.borrow().clone();
                Err(connect::denied(what.as_deref().unwrap_or("something")))
            }
        }
    }
}

impl Source for Service {
    async fn logs(&self) -> Result<Vec<LogReply>> {
        let remote = self.remote().await?;
        self.ask(Source::logs(remote)).await
    }

    async fn page(&self, log: &LogId, from: Position, backwards: bool, limit: u32) -> Result<(Vec<Event>, bool)> {
        let remote = self.remote().await?;
        self.ask(Source::page(remote, log, from, backwards, limit)).await
    }

    async fn count(&self, log: &LogId, span: Option<(Offset, Offset)>, bins: u32) -> Result<TimelineReply> {
        let remote = self.remote().await?;
        self.ask(Source::count(remote, log, span, bins)).await
    }

    async fn newest_arrival(&self, log: &LogId) -> Result<Option<String>> {
        let remote = self.remote().await?;
        self.ask(Source::newest_arrival(remote, log)).await
    }

    async fn arrivals(&self, log: &LogId, after: Option<String>) -> Result<(Vec<Event>, Option<String>)> {
        let remote = self.remote().await?;
        self.ask(Source::arrivals(remote, log, after)).await
    }
}
