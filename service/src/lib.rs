//! The service: takes events from a NATS stream into an archive, and answers replays.
//!
//! - `config`: settings; `connect`, `wal`: the connection and the stream, made or checked.
//! - `forks`: a stream that uses sequences again; `janitor`: keeps the stream from filling up.
//! - `ingest`: the stream's messages to their logs, and how far the archive has got; `epochs`: what makes seqs rise.
//! - `logs`: the supervisor; `log_actor`: one log.
//! - `api`: the endpoints, one file each.
//! - `telemetry`: what the service says of itself; `http`, `metrics`: to those who watch services. `faults`: an archive that fails, for tests.

mod api;
mod backoff;
mod config;
mod connect;
mod epochs;
mod faults;
mod forks;
mod http;
mod ingest;
mod janitor;
mod log_actor;
mod logs;
mod metrics;
mod once;
mod raw;
mod share;
pub mod telemetry;
mod waiters;
mod wal;

use std::{process::ExitCode, sync::Arc, time::Duration};

use async_nats::jetstream;
use hourlog::{Error, ErrorKind, Result, Store};
use ractor::{Actor, ActorRef};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

pub use config::{Credentials, Options, Settings, StoreUrl};
pub use janitor::Margin;

use crate::{
    connect::Connection,
    epochs::Epochs,
    ingest::{Ingest, IngestArgs},
    janitor::Janitor,
    logs::{Logs, LogsArgs, LogsMsg},
    telemetry::Status,
    waiters::Waiters,
};

/// How long stopping may take: less than what those who stop services usually grant.
const STOP_MAX: Duration = Duration::from_secs(4);
/// How long a request to JetStream may take.
const JETSTREAM_REQUEST_MAX: Duration = Duration::from_secs(5);

/// A running service.
#[derive(Debug)]
pub struct Running {
    shutdown: CancellationToken,
    ingest: JoinHandle<Result<()>>,
    api: JoinHandle<()>,
    janitor: JoinHandle<()>,
    logs: ActorRef<LogsMsg>,
    status: Arc<Status>,
}

/// Starts the service over `store`. Returns once its endpoints answer.
///
/// # Errors
/// [`ErrorKind::Unavailable`] where NATS does not answer, [`ErrorKind::Refused`] where the server is too old or the stream
/// could lose events, and what the store answers.
pub async fn start<S: Store>(settings: Settings, store: S) -> Result<Running> {
    // A connection each: a message that breaks one does not break the other.
    let Connection { client: ingest_client, lost } = connect::connect(&settings, "ingest").await?;
    let api_client = connect::connect(&settings, "api").await?.client;
    let server = ingest_client.server_info();
    wal::check_server(&server.version)?;
    let mut ingest_jetstream = jetstream::new(ingest_client.clone());
    ingest_jetstream.set_timeout(JETSTREAM_REQUEST_MAX);
    let (_, checked) = wal::find(&ingest_jetstream, &settings, server.max_payload).await?;
    checked?;

    let status = Arc::new(Status::new(settings.clock));
    let stream: Arc<str> = Arc::from(settings.stream.as_str());
    let epochs = Epochs::load(&store, &stream, (settings.clock)()).await?;
    let epochs = watch::Sender::new(Arc::new(epochs));
    let waiters = Arc::new(Waiters::default());
    let shutdown = CancellationToken::new();
    if let Some(address) = settings.http {
        let address = http::start(address, Arc::clone(&status), shutdown.clone()).await?;
        tracing::info!(%address, "health and metrics");
    }
    let logs_args = LogsArgs {
        store: store.clone(),
        stream: Arc::clone(&stream),
        idle: settings.idle,
        status: Arc::clone(&status),
        epochs: (!S::WRITES_ARE_WHOLE).then(|| epochs.subscribe()),
        turns: S::WRITES_AT_ONCE.map(|at_once| Arc::new(Semaphore::new(at_once))),
    };
    let (logs, _) = Actor::spawn(None, Logs::new(), logs_args).await.map_err(|error| {
        Error::new(ErrorKind::Unexpected, "the supervisor of the logs cannot be started").because(error)
    })?;
    // How far the archive has got is known before anybody can ask for what is in it.
    let ingest = Ingest::new(IngestArgs {
        client: ingest_client,
        lost,
        jetstream: ingest_jetstream,
        store: store.clone(),
        logs: logs.clone(),
        stream,
        status: Arc::clone(&status),
        waiters: Arc::clone(&waiters),
        settings: settings.clone(),
        epochs: epochs.clone(),
        shutdown: shutdown.clone(),
    });
    let ingest = tokio::spawn(ingest::run(ingest.await?));
    let janitor_client = match &settings.janitor {
        Some(credentials) => {
            let settings = Settings { credentials: credentials.clone(), ..settings.clone() };
            connect::connect(&settings, "janitor").await?.client
        }
        None => api_client.clone(),
    };
    let janitor = Janitor {
        client: janitor_client,
        stream: Arc::from(settings.stream.as_str()),
        margin: settings.margin,
        status: Arc::clone(&status),
    };
    let janitor = tokio::spawn(janitor.run(shutdown.clone()));
    let api = api::Api {
        client: api_client,
        store,
        logs: logs.clone(),
        status: Arc::clone(&status),
        waiters,
        epochs: epochs.subscribe(),
        settings,
    };
    let api = api::start(api, shutdown.clone()).await?;
    tracing::info!(server = server.server_name, version = server.version, "hourlogd ready");
    Ok(Running { shutdown, ingest, api, janitor, logs, status })
}

impl Running {
    /// Stops: what was asked is answered, what was taken is archived, the place is stored.
    ///
    /// # Errors
    /// [`ErrorKind::Deadline`] where that takes longer than four seconds, because the archive is away, say. Nothing is
    /// lost: what is not archived is read again at the next start.
    pub async fn stop(mut self) -> Result<()> {
        self.shutdown.cancel();
        let stopped = tokio::time::timeout(STOP_MAX, async {
            let _ = (&mut self.api).await;
            (&mut self.ingest).await
        })
        .await;
        // Whoever opens the archive next finds it free.
        self.logs.stop_children_and_wait(None, Some(Duration::from_millis(500))).await;
        let _ = self.logs.stop_and_wait(None, Some(Duration::from_millis(500))).await;
        match stopped {
            Ok(outcome) => joined(outcome),
            Err(_) => {
                self.ingest.abort();
                self.api.abort();
                Err(Error::new(
                    ErrorKind::Deadline,
                    "stopped before everything was archived; the rest is read again at the next start",
                ))
            }
        }
    }

    /// Returns when the service has ended by itself.
    ///
    /// # Errors
    /// Why it has.
    pub async fn stopped(&mut self) -> Result<()> {
        joined((&mut self.ingest).await)
    }

    /// The state of the service, as the statistics of its endpoints carry it.
    pub fn report(&self) -> serde_json::Value {
        self.status.report()
    }
}

impl Drop for Running {
    /// What was not stopped is ended: no task outlives its owner.
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.ingest.abort();
        self.api.abort();
        self.janitor.abort();
        self.logs.kill();
    }
}

fn joined(outcome: Result<Result<()>, tokio::task::JoinError>) -> Result<()> {
    outcome.map_err(|error| Error::new(ErrorKind::Unexpected, "the ingest broke off").because(error))?
}

/// The code that a process ends with for an error.
pub fn exit_code(error: &Error) -> ExitCode {
    ExitCode::from(match error.kind() {
        ErrorKind::Invalid => 2,
        ErrorKind::NotFound => 3,
        ErrorKind::NotAllowed => 4,
        ErrorKind::Unavailable => 5,
        ErrorKind::Deadline => 6,
        ErrorKind::Integrity => 7,
        ErrorKind::Refused => 8,
        _ => 1,
    })
}
