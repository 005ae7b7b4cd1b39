//! The service: archives the events of a NATS stream, and answers replays.
//!
//! Layout, along the path of an event:
//!
//! - `config`: the settings, which login wins, and how both are printed; `units`: sizes, times and
//!   addresses as people write them; `margin`: how many archived messages stay in the stream.
//!   `main.rs` reads the settings and runs the service until a signal.
//! - `stream`: the streams that events come from. Connections, the stream and its settings, messages
//!   and their decoding, epochs and forks, the janitor. `sources`: which of them a log belongs to.
//! - `ingest`: reads the stream and hands the events out. `ingest/checkpoint`: how far it has got,
//!   as pure rules; `ingest/chunk`: events grouped by log; `ingest/consumer`: the pull consumer;
//!   `ingest/gaps`: messages that are gone. `rollbacks`: reads all sources again after a rollback of the
//!   archive.
//! - `logs`: the supervisor; `log_actor`: one log. `pending`: an event on its way; `origin`: where it is
//!   from; `completion`: tells when a chunk is archived; `once`: events that are stored once.
//! - `sweeper`: has each log remove what it no longer keeps; `rules`: settings of logs by their ids;
//!   `pattern`: patterns of ids.
//! - `ownership`: which instance writes which slots, among several over one archive; `peers`: requests between them.
//! - `losses`: the losses of a source, which outlive the process; `new_logs`: the limits on new logs;
//!   `open_files`: the process's limit of open files.
//! - `archive_id`: keeps two archives off one stream; `message_ids`: the message ids of appends.
//! - `api`: the endpoints, one file per endpoint. `admission`: the share of a requester. `waiters`: requests that wait until their message is
//!   archived.
//! - `health`: the state of the service; `counters`: what has happened since the start; `census`:
//!   the sizes of the archive; `server_time`: JetStream's clock. `http`, `metrics`, `exposition`: the same for monitoring. `trace`:
//!   traces; `repeats`: limits traces that repeat.
//! - `watch`: asks each stream if it lives, and looks if its ingest moves.
//! - `maintenance`: the subcommands, which work on an archive without the service.
//! - `faults`: faults that tests inject, with the feature `chaos` only.

mod admission;
mod api;
mod archive_id;
mod census;
mod changes;
mod completion;
mod config;
mod counters;
mod exposition;
#[cfg(feature = "chaos")]
mod faults;
mod filter;
mod health;
mod http;
mod ingest;
mod log_actor;
mod logs;
mod losses;
pub mod maintenance;
mod margin;
mod message_ids;
mod metrics;
mod new_logs;
mod once;
pub mod open_files;
mod origin;
mod ownership;
mod pattern;
mod peers;
mod pending;
mod properties;
mod reading;
mod receipts;
mod recent;
mod repeats;
mod rollbacks;
mod rules;
mod server_time;
mod sources;
mod stream;
mod sweeper;
pub mod trace;
mod units;
mod waiters;
mod watch;

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use hourlog::{Error, ErrorKind, Result, store::Store};
use ractor::{Actor, ActorRef};
use tokio::{
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

pub use config::{Credentials, Maintenance, Options, Output, Request, Settings, SourceOption, StoreUrl};
pub use margin::Margin;
pub use pattern::Pattern;
pub use rules::{RetentionRule, Rules, WidthRule};
pub use stream::mapping::Mapping;
pub use units::{ByteSize, ListenAddress, Seconds};

use crate::{
    admission::Admission,
    archive_id::{ArchiveId, Claim},
    health::Health,
    ingest::{Ingest, IngestArgs},
    log_actor::PAGES_AHEAD_MAX,
    logs::{Logs, LogsArgs, LogsMsg},
    message_ids::MessageIds,
    new_logs::NewLogs,
    ownership::{Handover, Join, Lease, Ownership},
    rollbacks::Rollbacks,
    stream::{
        connect::{self, Connection},
        janitor::Janitor,
        questions::{self, TimedState},
        source_stream::SourceStream,
        wal,
    },
    sweeper::Sweeper,
    waiters::Waiters,
    watch::Watch,
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
    census: JoinHandle<()>,
    sweeper: JoinHandle<()>,
    watches: JoinSet<()>,
    logs: ActorRef<LogsMsg>,
    lease: Option<Lease>,
    health: Arc<Health>,
}

/// Starts the service over `store`. Returns once its endpoints answer.
///
/// # Errors
/// [`ErrorKind::Unavailable`] if NATS does not answer, [`ErrorKind::Refused`] if the server is too
/// old or the stream could lose events, and the store's errors.
pub async fn start<S: Store>(settings: Settings, store: S) -> Result<Running> {
    sources::check_distinct(&settings)?;
    // The endpoints and each source have connections of their own: a message can break the one over which
    // it comes. The others get nothing but replies of JetStream.
    let api_client = connect::connect(&settings, "api").await?.client;
    // A third one for large replies, so that small ones need not wait until those are sent.
    let answers_client = connect::connect(&settings, "answers").await?.client;
    let watch_client = connect::connect(&settings, "watch").await?.client;
    let server = watch_client.server_info();
    wal::check_server(&server.version)?;
    let jetstream = connect::jetstream(watch_client.clone(), &settings);
    let janitor_client = match settings.of_janitor() {
        Some(settings) => connect::connect(&settings, "janitor").await?.client,
        None => watch_client,
    };
    let janitor_jetstream = connect::jetstream(janitor_client, &settings);
    let (archive, claim, state) = claim_stream(&settings, &store, &api_client).await?;
    let own = SourceStream::Own {
        settings: Box::new(settings.clone()),
        archive: archive.clone(),
        is_taken_over: matches!(claim, Claim::TakenOver | Claim::Abandoned),
    };
    let existing = settings.sources.iter().map(|source| SourceStream::Existing(source.stream.clone()));
    let existing: Vec<SourceStream> = existing.collect();
    for stream in &existing {
        if let Some(found) = stream.find(&jetstream, server.max_payload, false).await? {
            stream.warn(&found.stream, server.max_payload);
        }
    }
    let sources = Arc::new(sources::load(&settings, &store).await?);
    // The own stream is last: it is neither claimed nor created if anything else is refused.
    archive_id::carry_out(claim, &janitor_jetstream, &settings.stream, &archive).await?;
    let state = match state {
        Some(state) => Some(state),
        // A stream that was read before may still be restored: the ingest waits for it.
        None if !store.sources(&settings.stream).await?.is_empty() => None,
        None => {
            own.find(&jetstream, server.max_payload, true).await?.map_or(Ok(()), |found| found.settings)?;
            let asked = Instant::now();
            Some((asked, questions::state(&jetstream, &settings.stream).await?))
        }
    };
    let streams: Vec<SourceStream> = std::iter::once(own).chain(existing).collect();

    let (ownership, lease) = if S::IS_SHARED {
        let join = Join {
            client: &jetstream.client(),
            jetstream: &jetstream,
            stream: &settings.stream,
            archive: &archive,
            prefix: &settings.prefix,
            replicas: settings.wal_replicas,
            clock: settings.clock,
        };
        let (ownership, lease) = join.join().await?;
        (ownership, Some(lease))
    } else {
        (Ownership::alone((settings.clock)()), None)
    };
    let healths = sources.iter().map(|source| Arc::clone(&source.health)).collect();
    let health = Arc::new(Health::new(settings.clock, healths, ownership.clone()));
    // Before the endpoints start: relative times go by it. Without a stream, nobody tells it yet.
    if let Some((asked, state)) = state {
        health.time.observed(asked, state.time);
    }
    let waiters = Arc::new(Waiters::default());
    let new_logs = Arc::new(NewLogs::new(&settings));
    let shutdown = CancellationToken::new();
    if let Some(address) = &settings.http {
        let address = http::start(address, Arc::clone(&health), shutdown.clone()).await?;
        tracing::info!(%address, "health and metrics");
    }
    let rules = Arc::new(settings.rules.clone());
    let logs_args = LogsArgs {
        store: store.clone(),
        idle: settings.idle,
        health: Arc::clone(&health),
        write_permits: S::CONCURRENT_WRITES.map(|at_once| Arc::new(Semaphore::new(at_once))),
        ahead_permits: Arc::new(Semaphore::new(PAGES_AHEAD_MAX)),
        rules: Arc::clone(&rules),
        once_budget: Arc::default(),
    };
    let (logs, _) = Actor::spawn(None, Logs::new(), logs_args)
        .await
        .map_err(|error| Error::new(ErrorKind::Unexpected, "cannot start the supervisor of the logs").because(error))?;
    let rollbacks = Arc::new(Rollbacks::new(logs.clone(), Arc::clone(&health)));
    let handover = Arc::new(Handover::new(logs.clone(), &ownership.assignment()));
    let mut ingests = JoinSet::new();
    for (source, stream) in sources.iter().zip(streams) {
        let Connection { client, losses } = connect::connect(&settings, "ingest").await?;
        // Before the endpoints start: they must know how far the archive has got.
        let ingest = Ingest::new(IngestArgs {
            jetstream: connect::jetstream(client.clone(), &settings),
            client,
            losses,
            store: store.clone(),
            logs: logs.clone(),
            source: Arc::clone(source),
            sources: Arc::clone(&sources),
            rollbacks: Arc::clone(&rollbacks),
            ownership: ownership.clone(),
            handover: Arc::clone(&handover),
            health: Arc::clone(&health),
            waiters: Arc::clone(&waiters),
            new_logs: Arc::clone(&new_logs),
            settings: settings.clone(),
            stream,
            shutdown: shutdown.clone(),
        });
        ingests.spawn(ingest::run(ingest.await?));
    }
    let ingest = tokio::spawn(all_ended(ingests, shutdown.clone()));
    let mut watches = JoinSet::new();
    for source in sources.iter() {
        let watch = Watch {
            jetstream: jetstream.clone(),
            janitor: source.health.is_wal.then(|| janitor_jetstream.clone()),
            source: Arc::clone(&source.health),
            health: Arc::clone(&health),
        };
        watches.spawn(watch.run(shutdown.clone()));
    }
    let census = tokio::spawn(census::run(store.clone(), Arc::clone(&health), new_logs, shutdown.clone()));
    let janitor = Janitor {
        jetstream: janitor_jetstream,
        stream: Arc::clone(sources.wal().stream()),
        archive: archive.clone(),
        margin: settings.margin,
        checkpoint: sources.wal().health.checkpoint.subscribe(),
        store: store.clone(),
        source: Arc::clone(sources.wal()),
        ownership,
    };
    let janitor = tokio::spawn(janitor.run(shutdown.clone()));
    let sweeper = Sweeper {
        store: store.clone(),
        logs: logs.clone(),
        sources: Arc::clone(&sources),
        health: Arc::clone(&health),
        rules: Arc::clone(&rules),
        every: settings.sweep_every,
    };
    let sweeper = tokio::spawn(sweeper.run(shutdown.clone()));
    let message_ids = MessageIds::load(&store).await?;
    let api = api::Api {
        client: api_client,
        message_ids,
        answers_client,
        store,
        logs: logs.clone(),
        health: Arc::clone(&health),
        waiters,
        rules,
        sources,
        archive,
        admission: Admission::new(S::CONCURRENT_WRITES.is_some(), &health.counters),
        settings,
    };
    let api = api::lasting::start(api, shutdown.clone()).await?;
    if let Some(lease) = &lease {
        lease.live();
    }
    tracing::info!(server = server.server_name, version = server.version, "hourlogd ready");
    Ok(Running { shutdown, ingest, api, janitor, census, sweeper, watches, logs, lease, health })
}

/// Makes sure that the service's own stream and subjects belong to this archive alone, or may be taken
/// over, and that the stream loses no event. Returns the archive's id, and the state of the stream with the time of
/// asking for it, if the stream exists.
///
/// # Errors
/// [`ErrorKind::Refused`] if they belong to another archive, or the stream could lose events, and the errors of store
/// and JetStream.
async fn claim_stream<S: Store>(
    settings: &Settings,
    store: &S,
    client: &async_nats::Client,
) -> Result<(ArchiveId, Claim, Option<(Instant, TimedState)>)> {
    let (name, jetstream) = (&settings.stream, connect::jetstream(client.clone(), settings));
    let asked = Instant::now();
    let state: Option<TimedState> = questions::info(&jetstream, name, &()).await?;
    let config = state.as_ref().map(|state| &state.info.config);
    let carried = config.and_then(archive_id::of_stream);
    let archive = archive_id::load(store, name, carried).await?;
    archive_id::check_others(&api::find_instances(client).await?, &settings.prefix, &archive)?;
    if let Some(config) = config {
        wal::check(config, client.server_info().max_payload)?;
    }
    let claim = archive_id::claim(name, config.is_some(), carried, &archive, settings.adopt)?;
    Ok((archive, claim, state.map(|state| (asked, state))))
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
        self.health.is_stopping.store(true, Relaxed);
        if let Some(lease) = self.lease.take() {
            // The others take the slots over, while this instance ends what is under way.
            lease.end().await;
        }
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
        self.census.abort();
        self.sweeper.abort();
        self.watches.abort_all();
        self.logs.kill();
    }
}

/// Waits until every ingest has ended. One that ends by itself ends the others.
async fn all_ended(mut ingests: JoinSet<Result<()>>, shutdown: CancellationToken) -> Result<()> {
    let mut all = Ok(());
    while let Some(outcome) = ingests.join_next().await {
        shutdown.cancel();
        all = all.and(joined(outcome));
    }
    all
}

fn joined(outcome: Result<Result<()>, tokio::task::JoinError>) -> Result<()> {
    outcome.map_err(|error| Error::new(ErrorKind::Unexpected, "the ingest ended unexpectedly").because(error))?
}
