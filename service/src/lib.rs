//! The service: archives the events of a NATS stream, and answers replays.
//!
//! Layout, along the path of an event:
//!
//! - `config`: the settings; `units`: sizes, times and addresses as people write them; `margin`: how
//!   many archived messages stay in the stream. `main.rs` reads the settings and runs the service
//!   until a signal.
//! - `stream`: the source. Connections, the stream and its settings, messages and their decoding,
//!   epochs and forks, the janitor.
//! - `ingest`: reads the stream and hands the events out. `ingest/checkpoint`: how far it has got,
//!   as pure rules; `ingest/chunk`: events grouped by log; `ingest/consumer`: the pull consumer.
//! - `logs`: the supervisor; `log_actor`: one log. `pending`: an event on its way; `completion`:
//!   tells when a chunk is archived; `once`: events that are stored once.
//! - `api`: the endpoints, one file per endpoint. `waiters`: requests that wait until their message is
//!   archived.
//! - `health`: the state of the service; `http`, `metrics`: the same for monitoring; `trace`:
//!   traces; `repeats`: limits traces that repeat.
//! - `faults`: faults that tests inject, with the feature `chaos` only.

mod api;
mod completion;
mod config;
#[cfg(feature = "chaos")]
mod faults;
mod health;
mod http;
mod ingest;
mod log_actor;
mod logs;
mod margin;
mod metrics;
mod once;
mod pending;
mod repeats;
mod stream;
pub mod trace;
mod units;
mod waiters;

use std::{sync::Arc, time::Duration};

use hourlog::{Error, ErrorKind, Result, store::Store};
use ractor::{Actor, ActorRef};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

pub use config::{Credentials, Options, Settings, StoreUrl};
pub use margin::Margin;
pub use units::{ByteSize, ListenAddress, Seconds};

use crate::{
    health::Health,
    ingest::{Ingest, IngestArgs},
    logs::{Logs, LogsArgs, LogsMsg},
    stream::{
        connect::{self, Connection},
        epochs::Epochs,
        janitor::Janitor,
        wal,
    },
    waiters::Waiters,
};

/// Time limit for stopping. Less than service managers usually wait before they kill a process.
const STOP_MAX: Duration = Duration::from_secs(4);
/// Time limit for stopping the logs, once the ingest has ended.
const STOP_LOGS_MAX: Duration = Duration::from_millis(500);

/// A running service. Dropping it without [`stop`](Self::stop) aborts its tasks.
#[derive(Debug)]
pub struct Running {
    shutdown: CancellationToken,
    ingest: JoinHandle<Result<()>>,
    api: JoinHandle<()>,
    janitor: JoinHandle<()>,
    logs: ActorRef<LogsMsg>,
    health: Arc<Health>,
}

/// Starts the service over `store`. Returns once its endpoints answer.
///
/// # Errors
/// [`ErrorKind::Unavailable`] if NATS does not answer, [`ErrorKind::Refused`] if the server is too
/// old or the stream could lose events, and the store's errors.
pub async fn start<S: Store>(settings: Settings, store: S) -> Result<Running> {
    // Two connections, so that a message that breaks the ingest's does not break the endpoints'.
    let Connection { client: ingest_client, losses } = connect::connect(&settings, "ingest").await?;
    let api_client = connect::connect(&settings, "api").await?.client;
    let server = ingest_client.server_info();
    wal::check_server(&server.version)?;
    let ingest_jetstream = connect::jetstream(ingest_client.clone());
    let (_, checked) = wal::find_or_create(&ingest_jetstream, &settings, server.max_payload).await?;
    checked?;

    let health = Arc::new(Health::new(settings.clock));
    let stream: Arc<str> = Arc::from(settings.stream.as_str());
    let epochs = Epochs::load(&store, &stream, (settings.clock)()).await?;
    let epochs = watch::Sender::new(Arc::new(epochs));
    let waiters = Arc::new(Waiters::default());
    let shutdown = CancellationToken::new();
    if let Some(address) = &settings.http {
        let address = http::start(address, Arc::clone(&health), shutdown.clone()).await?;
        tracing::info!(%address, "health and metrics");
    }
    let logs_args = LogsArgs {
        store: store.clone(),
        stream: Arc::clone(&stream),
        idle: settings.idle,
        health: Arc::clone(&health),
        epochs: (!S::WRITES_ARE_ATOMIC).then(|| epochs.subscribe()),
        write_permits: S::CONCURRENT_WRITES.map(|at_once| Arc::new(Semaphore::new(at_once))),
    };
    let (logs, _) = Actor::spawn(None, Logs::new(), logs_args)
        .await
        .map_err(|error| Error::new(ErrorKind::Unexpected, "cannot start the supervisor of the logs").because(error))?;
    // Before the endpoints start: they must know how far the archive has got.
    let ingest = Ingest::new(IngestArgs {
        client: ingest_client,
        losses,
        jetstream: ingest_jetstream,
        store: store.clone(),
        logs: logs.clone(),
        stream,
        health: Arc::clone(&health),
        waiters: Arc::clone(&waiters),
        settings: settings.clone(),
        epochs: epochs.clone(),
        shutdown: shutdown.clone(),
    });
    let ingest = tokio::spawn(ingest::run(ingest.await?));
    let janitor_client = match settings.of_janitor() {
        Some(settings) => connect::connect(&settings, "janitor").await?.client,
        None => api_client.clone(),
    };
    let janitor = Janitor {
        client: janitor_client,
        stream: Arc::from(settings.stream.as_str()),
        margin: settings.margin,
        checkpoint: health.checkpoint.subscribe(),
    };
    let janitor = tokio::spawn(janitor.run(shutdown.clone()));
    let api = api::Api {
        client: api_client,
        store,
        logs: logs.clone(),
        health: Arc::clone(&health),
        waiters,
        epochs: epochs.subscribe(),
        settings,
    };
    let api = api::start(api, shutdown.clone()).await?;
    tracing::info!(server = server.server_name, version = server.version, "hourlogd ready");
    Ok(Running { shutdown, ingest, api, janitor, logs, health })
}

impl Running {
    /// Stops the service: answers the requests under way, archives everything that was read, and
    /// stores the checkpoint.
    ///
    /// # Errors
    /// [`ErrorKind::Deadline`] if that takes longer than four seconds, for example because the
    /// archive does not answer. No event is lost: events that are not archived are read again at
    /// the next start.
    pub async fn stop(mut self) -> Result<()> {
        self.shutdown.cancel();
        let stopped = tokio::time::timeout(STOP_MAX, async {
            let _ = (&mut self.api).await;
            (&mut self.ingest).await
        })
        .await;
        // Release the archive, so that the next process can open it.
        self.logs.stop_children_and_wait(None, Some(STOP_LOGS_MAX)).await;
        let _ = self.logs.stop_and_wait(None, Some(STOP_LOGS_MAX)).await;
        match stopped {
            Ok(outcome) => joined(outcome),
            Err(_) => {
                self.ingest.abort();
                self.api.abort();
                Err(Error::new(
                    ErrorKind::Deadline,
                    "stopped before everything was archived; the rest will be read again at the next start",
                ))
            }
        }
    }

    /// Waits until the service ends by itself.
    ///
    /// # Errors
    /// The reason why it ended.
    pub async fn stopped(&mut self) -> Result<()> {
        joined((&mut self.ingest).await)
    }

    /// Returns the state of the service in the form of the endpoints' statistics.
    pub fn report(&self) -> serde_json::Value {
        self.health.report()
    }
}

impl Drop for Running {
    /// Aborts all tasks: no task outlives its owner.
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.ingest.abort();
        self.api.abort();
        self.janitor.abort();
        self.logs.kill();
    }
}

fn joined(outcome: Result<Result<()>, tokio::task::JoinError>) -> Result<()> {
    outcome.map_err(|error| Error::new(ErrorKind::Unexpected, "the ingest ended unexpectedly").because(error))?
}
