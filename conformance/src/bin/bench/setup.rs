//! Servers for a row: nats-server, streams, the service, and waiting until it has archived everything.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use async_nats::{HeaderMap, Message};
use conformance::servers::{HourlogdProcess, NatsServer, Service};
use hourlog::{
    LogId, Offset, Remote,
    wire::{ACCEPT, ACCEPT_ENCODING, PROTOBUF, ReplayRequest, When},
};
use tempfile::TempDir;

use crate::{
    client::{self, Job, PublishJob},
    machine::cpu_of,
    row::Bench,
    run::Run,
};

/// The interval between checks if everything is archived.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);
/// The time in which the service must archive the next events.
const PROGRESS_TIME_MAX: Duration = Duration::from_secs(60);
/// Flags for a stream that is filled before it is archived, and read several times.
pub(crate) const LARGE_STREAM: [&str; 6] =
    ["--wal-max-bytes", "8GB", "--wal-keep-bytes", "2GB", "--wal-keep-seconds", "86400"];

/// Describes the settings of every nats-server here.
pub(crate) fn nats_settings() -> String {
    "nats-server with its defaults: file storage, a sync every two minutes".to_owned()
}

/// A directory for an archive, on the same disk as everything else.
pub(crate) fn directory() -> TempDir {
    TempDir::new().expect("a temporary directory can be created")
}

/// Starts the service on the archive `store`, as it is given on its command line.
pub(crate) async fn service_on(bench: &Bench, nats: &NatsServer, store: &str, flags: &[&str]) -> HourlogdProcess {
    let flags: Vec<String> = ["--store", store].iter().chain(flags).map(|flag| (*flag).to_owned()).collect();
    let arguments = Service::arguments(nats, Path::new(""), &flags);
    HourlogdProcess::start(&bench.hourlogd, arguments).await
}

/// Starts the service on the archive in a directory.
pub(crate) async fn service(bench: &Bench, nats: &NatsServer, directory: &Path, flags: &[&str]) -> HourlogdProcess {
    service_on(bench, nats, &format!("file:{}", directory.display()), flags).await
}

/// Lets the service create its stream, and stops it: the stream has the settings of the service, and nobody reads it.
pub(crate) async fn stream_alone(bench: &Bench, nats: &NatsServer, flags: &[&str]) {
    let mut hourlogd = service_on(bench, nats, "memory:", flags).await;
    hourlogd.terminate().await;
}

/// Starts a nats-server with the stream of the service, filled by `job`.
pub(crate) async fn filled_stream(bench: &Bench, job: impl FnOnce(String) -> PublishJob) -> NatsServer {
    let nats = NatsServer::start().await;
    stream_alone(bench, &nats, &LARGE_STREAM).await;
    client::run(&Job::Publish(job(nats.url()))).await;
    nats
}

/// A connection that asks the service how far it is.
#[derive(Debug)]
pub(crate) struct Watcher(async_nats::Client);

impl Watcher {
    pub(crate) async fn connect(nats: &NatsServer) -> Self {
        Self(async_nats::connect(nats.url()).await.expect("NATS answers"))
    }

    pub(crate) fn remote(&self) -> Remote {
        Remote::new(self.0.clone()).with_timeout(PROGRESS_TIME_MAX)
    }

    /// Returns the service's report on itself; `None` while it does not answer.
    async fn report(&self) -> Option<serde_json::Value> {
        let stats = self.0.request("$SRV.STATS.hourlog", "".into()).await.ok()?;
        let mut stats: serde_json::Value = serde_json::from_slice(&stats.payload).ok()?;
        Some(stats["endpoints"][0]["data"].take())
    }

    /// Returns the sequence up to which the stream is archived.
    pub(crate) async fn archived(&self) -> u64 {
        self.report().await.and_then(|report| report["archived"].as_u64()).unwrap_or(0)
    }

    /// Returns the number of logs that are awake.
    pub(crate) async fn actors(&self) -> u64 {
        self.report().await.and_then(|report| report["actors"].as_u64()).unwrap_or(u64::MAX)
    }

    /// Waits until the stream is archived up to this sequence.
    ///
    /// # Panics
    /// If the service archives nothing for a while.
    pub(crate) async fn wait_for(&self, sequence: u64) {
        let (mut before, mut since) = (0, Instant::now());
        loop {
            let archived = self.archived().await;
            if archived >= sequence {
                return;
            }
            if archived > before {
                (before, since) = (archived, Instant::now());
            }
            assert!(since.elapsed() < PROGRESS_TIME_MAX, "only {archived} of {sequence} messages are archived");
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
    }
}

/// Lets a new service archive a stream of `events` messages that is filled already, and stops it.
pub(crate) async fn catch_up(bench: &Bench, nats: &NatsServer, events: u64, store: &str) -> Run {
    let watcher = Watcher::connect(nats).await;
    let flags: Vec<&str> = ["--adopt"].into_iter().chain(LARGE_STREAM).collect();
    let mut hourlogd = service_on(bench, nats, store, &flags).await;
    // The start itself does not count, and neither do events that are archived by now.
    let (before, cpu, begun) = (watcher.archived().await, Cpu::of(nats, &hourlogd), Instant::now());
    watcher.wait_for(events).await;
    let (wall, cpu) = (begun.elapsed(), cpu.since(nats, &hourlogd));
    hourlogd.terminate().await;
    Run { events: events - before, wall, cpu, ..Run::default() }
}

/// Publishes beside the service, until everything is archived. `before` messages are archived already.
pub(crate) async fn publish_until_archived(
    nats: &NatsServer,
    hourlogd: &HourlogdProcess,
    job: PublishJob,
    before: u64,
) -> Run {
    let (watcher, cpu, events) = (Watcher::connect(nats).await, Cpu::of(nats, hourlogd), job.events);
    let mut run = client::run(&Job::Publish(job)).await.run();
    let published = Instant::now();
    watcher.wait_for(before + events).await;
    run.wall += published.elapsed();
    run.cpu.extend(cpu.since(nats, hourlogd));
    run
}

/// The processor time of the servers at one moment.
#[derive(Debug, Clone, Copy)]
struct Cpu {
    nats: Duration,
    hourlogd: Duration,
}

impl Cpu {
    fn of(nats: &NatsServer, hourlogd: &HourlogdProcess) -> Self {
        Self { nats: cpu_of(nats.id()), hourlogd: cpu_of(hourlogd.id()) }
    }

    fn since(self, nats: &NatsServer, hourlogd: &HourlogdProcess) -> Vec<(&'static str, Duration)> {
        let now = Self::of(nats, hourlogd);
        vec![("hourlogd", now.hourlogd - self.hourlogd), ("nats-server", now.nats - self.nats)]
    }
}

/// Runs a client, and measures the servers beside it.
pub(crate) async fn run_beside(nats: &NatsServer, hourlogd: Option<&HourlogdProcess>, job: &Job) -> Run {
    let cpu = |process: Option<u32>| process.map_or(Duration::ZERO, cpu_of);
    let processes = [("nats-server", Some(nats.id())), ("hourlogd", hourlogd.map(HourlogdProcess::id))];
    let before = processes.map(|(_, process)| cpu(process));
    let mut run = client::run(job).await.run();
    for ((name, process), before) in processes.into_iter().zip(before) {
        if process.is_some() {
            run.cpu.push((name, cpu(process) - before));
        }
    }
    run
}

/// Returns the times of the first and the last event of a log.
pub(crate) async fn times(remote: &Remote, log: &LogId) -> [Offset; 2] {
    let edge = async |reverse| {
        let to = if reverse { Some(When::End) } else { None };
        let request = ReplayRequest { reverse, to, limit: Some(1), ..ReplayRequest::default() };
        let page = remote.replay(log, &request).await.expect("the log can be read");
        page.events.first().expect("the log has events").position.offset
    };
    [edge(false).await, edge(true).await]
}

/// Sends a request for a page of a log as it is on the wire, and returns the reply.
pub(crate) async fn raw_page(
    remote: &Remote,
    log: &LogId,
    request: &ReplayRequest,
    accept_encoding: Option<&str>,
) -> Message {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, PROTOBUF);
    if let Some(encodings) = accept_encoding {
        headers.insert(ACCEPT_ENCODING, encodings);
    }
    let request = serde_json::to_vec(request).expect("a request is JSON").into();
    let subject = remote.subjects().replay(log);
    remote.client().request_with_headers(subject, headers, request).await.expect("the service answers")
}

/// Returns the directory with the files of JetStream.
pub(crate) fn stream_directory(nats: &NatsServer) -> PathBuf {
    nats.directory().join("jetstream")
}

/// The id of one of the benchmark's own logs.
pub(crate) fn log_id(number: u64) -> LogId {
    format!("bench.{number}").parse().expect("the benchmark's own id is valid")
}
