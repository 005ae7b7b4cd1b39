//! What the tests share: a nats-server, a service over it that can be killed, and a client.

use std::{
    collections::VecDeque,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use async_nats::jetstream;
use conformance::servers::{HourlogdProcess, NatsServer};
use futures_util::TryStreamExt;
use hourlog::{
    ErrorKind, Event, LogId, Remote,
    wire::{LogsReply, LogsRequest, ReplayRequest},
};
use tempfile::TempDir;

/// How long anything here may take; far longer than it does.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A service over a nats-server and in a directory that are the test's own.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) process: HourlogdProcess,
    pub(crate) nats: NatsServer,
    pub(crate) directory: TempDir,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::start_over(NatsServer::start().await).await
    }

    pub(crate) async fn start_over(nats: NatsServer) -> Self {
        let directory = TempDir::new().expect("a directory can be made");
        let process = HourlogdProcess::start(binary(), arguments(&nats, directory.path())).await;
        Self { process, nats, directory }
    }

    /// Starts the service again, after it was ended.
    pub(crate) async fn start_again(&mut self) {
        self.process = HourlogdProcess::start(binary(), arguments(&self.nats, self.directory.path())).await;
    }

    pub(crate) async fn remote(&self) -> Remote {
        Remote::connect(&self.nats.url()).await.expect("the server is there").timeout(LONG)
    }

    pub(crate) async fn jetstream(&self) -> jetstream::Context {
        let mut jetstream = jetstream::new(self.remote().await.client().clone());
        jetstream.set_timeout(LONG);
        jetstream
    }
}

pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_hourlogd"))
}

pub(crate) fn arguments(nats: &NatsServer, directory: &Path) -> [String; 4] {
    ["--nats".to_owned(), nats.url(), "--store".to_owned(), format!("file:{}", directory.display())]
}

pub(crate) fn log(id: &str) -> LogId {
    id.parse().expect("a good id")
}

/// The logs, once everything that was published is archived. A service that comes back to its server meanwhile is waited for.
pub(crate) async fn archived(remote: &Remote) -> LogsReply {
    let request = LogsRequest { fresh: true, all: true, ..LogsRequest::default() };
    let begun = Instant::now();
    loop {
        match remote.logs(&request).await {
            Ok(logs) => return logs,
            Err(error) if error.kind() == ErrorKind::Unavailable && begun.elapsed() < LONG => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// All events of a log.
pub(crate) async fn events(remote: &Remote, id: &str) -> Vec<Event> {
    let events = remote.events(log(id), ReplayRequest::default());
    events.try_collect().await.expect("the log is read to its end")
}

/// Publishes `(subject, payload)`s in this order and waits until the stream has taken all of them.
pub(crate) async fn publish_all(jetstream: &jetstream::Context, messages: impl IntoIterator<Item = (String, String)>) {
    // Fewer than the client allows to be under way.
    const ACKS_AHEAD_MAX: usize = 1_000;
    let mut acks = VecDeque::new();
    for (subject, payload) in messages {
        if acks.len() == ACKS_AHEAD_MAX {
            let oldest: jetstream::context::PublishAckFuture = acks.pop_front().expect("there are some");
            oldest.await.expect("the stream takes it");
        }
        acks.push_back(jetstream.publish(subject, payload.into()).await.expect("it is sent"));
    }
    for ack in acks {
        ack.await.expect("the stream takes it");
    }
}

/// Copies what is in the directory `from` into the directory `to`.
pub(crate) fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status();
    assert!(copied.expect("cp runs").success(), "{} is not copied", from.display());
}
