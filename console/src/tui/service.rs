//! The service as a source: connects at the first request, and again after a failure.

mod outlet;

use std::collections::BTreeSet;

use futures_util::future::join_all;
use hourlog::{
    Cursor, Error, ErrorKind, LogId, Position, Remote, Result,
    wire::{LogsReply, StripReply, TimelineReply, TimelineRequest, WAL_STREAM},
};
use tokio::sync::{Mutex, OnceCell};

use crate::{
    connect::{Connect, Connection, Denials},
    tui::{
        asking,
        filter::Selection,
        listing::Listing,
        msg::StripsRequest,
        pages::Fetched,
        report::{ServiceReport, StreamReport},
        scan::Direction,
        source::{Arrivals, Source},
    },
};

/// Limit of the streams that JetStream is asked for at a time. A service reads one, or a few.
const STREAMS_MAX: usize = 8;

/// The service, and a connection that may not exist yet.
#[derive(Debug)]
pub struct Service {
    connect: Connect,
    connection: OnceCell<Connection>,
    denials: Denials,
    listing: Mutex<Listing>,
}

impl Service {
    /// Returns a service without connecting to it.
    pub fn new(connect: Connect) -> Self {
        Self { connect, connection: OnceCell::new(), denials: Denials::default(), listing: Mutex::default() }
    }

    async fn connection(&self) -> Result<&Connection> {
        self.connection.get_or_try_init(|| self.connect.open(self.denials.clone())).await
    }

    async fn remote(&self) -> Result<&Remote> {
        self.connection().await.map(|connection| &connection.remote)
    }

    /// Returns what JetStream tells about the streams of a report, or about the usual one.
    async fn streams(&self, connection: &Connection, report: &ServiceReport) -> Vec<(String, Result<StreamReport>)> {
        let statuses = report.statuses.as_deref().unwrap_or_default();
        let mut names: BTreeSet<&str> =
            statuses.iter().flat_map(|status| &status.sources).map(|source| source.stream.as_str()).collect();
        if names.is_empty() {
            names.insert(WAL_STREAM);
        }
        let ask = async |name: &str| {
            let subject = format!("STREAM.INFO.{name}");
            let answer = connection.ask_jetstream(&subject, self.connect.timeout, &self.denials).await?;
            StreamReport::parse(&answer)
                .ok_or_else(|| Error::new(ErrorKind::Unexpected, format!("unexpected answer to {subject}")))
        };
        let asked = names.into_iter().take(STREAMS_MAX);
        join_all(asked.map(async |name| (name.to_owned(), ask(name).await))).await
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

    async fn service(&self) -> ServiceReport {
        let connection = match self.connection().await {
            Ok(connection) => connection,
            Err(error) => {
                let again = Error::new(error.kind(), error.to_string());
                return ServiceReport { statuses: Err(error), stats: Err(again), streams: Vec::new() };
            }
        };
        let mut report = asking::ask(&connection.remote, self.connect.timeout, &self.denials).await;
        // If nothing comes from the server within the time limit, JetStream does not answer either.
        if !report.statuses.as_ref().is_err_and(|error| error.kind() == ErrorKind::Deadline) {
            report.streams = self.streams(connection, &report).await;
        }
        report
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
