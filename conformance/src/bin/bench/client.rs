//! The clients of a measurement, each a process of its own, so that its processor time is told apart.
//!
//! The benchmark starts itself with a job as JSON on the command line, and reads the report as JSON.

mod append;
mod bare_cql;
mod consume;
mod latency;
mod publish;
mod read;
mod respond;

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
};

pub(crate) use self::{
    append::AppendJob,
    bare_cql::{BareReadJob, BareWriteJob, Database, MAKE_TABLE},
    consume::{ConsumeJob, ConsumerKind},
    latency::{PingJob, ReadLogsJob, SeekJob, WaitJob},
    publish::{EventTime, PublishJob, WINDOW},
    read::{PagesJob, ReplayJob},
    respond::RespondJob,
};
use crate::{machine::own_cpu, run::Run, statistics::percentile};

/// The subcommand with which the benchmark starts itself.
pub(crate) const SUBCOMMAND: &str = "client";
/// The line with which a job says that it is ready to be used by others.
const READY: &str = "ready";

/// The work of a client.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Job {
    Publish(PublishJob),
    Consume(ConsumeJob),
    Replay(ReplayJob),
    Pages(PagesJob),
    Respond(RespondJob),
    Append(AppendJob),
    Seek(SeekJob),
    Ping(PingJob),
    ReadLogs(ReadLogsJob),
    Wait(WaitJob),
    BareWrite(BareWriteJob),
    BareRead(BareReadJob),
}

/// The result of a job.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub events: u64,
    pub wall: Duration,
    /// The processor time of the client.
    pub cpu: Duration,
    /// Latencies, of jobs that measure them.
    pub p50_micros: f64,
    pub p99_micros: f64,
}

impl Report {
    /// Measures `work`, which handles `events` events.
    async fn of(events: u64, work: impl Future<Output = ()>) -> Self {
        let (begun, cpu) = (Instant::now(), own_cpu());
        work.await;
        Self { events, wall: begun.elapsed(), cpu: own_cpu() - cpu, ..Self::default() }
    }

    fn with_latencies(self, latencies: &[Duration]) -> Self {
        let micros: Vec<f64> = latencies.iter().map(|latency| latency.as_secs_f64() * 1e6).collect();
        Self { p50_micros: percentile(&micros, 50), p99_micros: percentile(&micros, 99), ..self }
    }

    /// Returns it as one side of a round.
    pub(crate) fn run(self) -> Run {
        let Self { events, wall, cpu, p50_micros, p99_micros } = self;
        Run { events, wall, cpu: vec![("client", cpu)], p50_micros, p99_micros }
    }
}

/// Does the job in this process, and prints its report.
#[expect(clippy::print_stdout, reason = "the benchmark reads it")]
pub(crate) async fn be_the_client(job: &str) {
    let job: Job = serde_json::from_str(job).expect("the benchmark writes its own jobs");
    let report = match job {
        Job::Publish(job) => job.run().await,
        Job::Consume(job) => job.run().await,
        Job::Replay(job) => job.run().await,
        Job::Pages(job) => job.run().await,
        Job::Respond(job) => job.run(|| println!("{READY}")).await,
        Job::Append(job) => job.run().await,
        Job::Seek(job) => job.run().await,
        Job::Ping(job) => job.run().await,
        Job::ReadLogs(job) => job.run().await,
        Job::Wait(job) => job.run().await,
        Job::BareWrite(job) => job.run().await,
        Job::BareRead(job) => job.run().await,
    };
    println!("{}", serde_json::to_string(&report).expect("a report is JSON"));
}

/// Starts a client for `job`, waits for its end, and returns its report.
///
/// # Panics
/// If the client fails; it has printed why.
pub(crate) async fn run(job: &Job) -> Report {
    let mut child = spawn(job);
    let mut output = String::new();
    child.stdout.take().expect("stdout is piped").read_to_string(&mut output).await.expect("the output is text");
    let status = child.wait().await.expect("a child can be waited for");
    assert!(status.success(), "the client failed ({status})");
    parse(&output)
}

/// A client that works until it is dropped.
#[derive(Debug)]
pub(crate) struct Running(#[expect(dead_code, reason = "killed on drop")] Child);

/// Starts a client that others use, and waits until it is ready.
///
/// # Panics
/// If it fails.
pub(crate) async fn start(job: &Job) -> Running {
    let mut child = spawn(job);
    let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
    let line = lines.next_line().await.expect("the output is text");
    assert_eq!(line.as_deref(), Some(READY), "the client failed");
    Running(child)
}

fn spawn(job: &Job) -> Child {
    let this = std::env::current_exe().expect("a program knows its file");
    let job = serde_json::to_string(job).expect("a job is JSON");
    let mut command = Command::new(this);
    command.args([SUBCOMMAND, &job]).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    command.spawn().expect("the benchmark can start itself")
}

fn parse<T: DeserializeOwned>(output: &str) -> T {
    let last = output.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("the client printed {output:?}: {error}"))
}
