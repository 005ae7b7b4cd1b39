//! The service over a nats-server and in a directory that are the test's own.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use async_nats::jetstream;
use hourlog::{
    ErrorKind, Remote,
    wire::{LogsReply, LogsRequest},
};
use tempfile::TempDir;

use super::{HourlogdProcess, NatsServer};

/// How long anything in a test may take; far longer than it does.
pub const LONG: Duration = Duration::from_secs(60);

/// How to start the service.
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    /// The built `hourlogd`.
    pub binary: PathBuf,
    /// Flags beside those that say where the server and the archive are.
    pub flags: Vec<String>,
    /// Variables of its environment.
    pub environment: Vec<(String, String)>,
    /// A program, with arguments, that is given the command line of the service and becomes it.
    pub wrapper: Vec<String>,
}

impl ServiceOptions {
    /// A built `hourlogd` with these flags.
    pub fn new(binary: impl Into<PathBuf>, flags: &[&str]) -> Self {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self { binary: binary.into(), flags, environment: Vec::new(), wrapper: Vec::new() }
    }

    /// The `hourlogd` that was built beside another program.
    ///
    /// # Panics
    /// Where there is none.
    pub fn beside(program: &str, flags: &[&str]) -> Self {
        let binary = Path::new(program).with_file_name("hourlogd");
        assert!(binary.is_file(), "{} is not there; `cargo xtask test` builds it", binary.display());
        Self::new(binary, flags)
    }
}

/// A running service and what it stands on; all of it goes when this is dropped.
#[derive(Debug)]
pub struct Service {
    // In this order: the service goes before what it stands on.
    /// The process.
    pub process: HourlogdProcess,
    /// The server that it reads.
    pub nats: NatsServer,
    /// Where its archive is.
    pub directory: TempDir,
    /// How it is started.
    pub options: ServiceOptions,
}

impl Service {
    /// Starts it on an empty archive.
    ///
    /// # Panics
    /// Where it does not start, with what it said.
    pub async fn start(nats: NatsServer, options: ServiceOptions) -> Self {
        Self::start_in(nats, TempDir::new().expect("a directory can be made"), options).await
    }

    /// Starts it on an archive in `directory`.
    ///
    /// # Panics
    /// As [`Service::start`].
    pub async fn start_in(nats: NatsServer, directory: TempDir, options: ServiceOptions) -> Self {
        let process = Self::process(&nats, &directory, &options).await;
        Self { process, nats, directory, options }
    }

    /// Starts it again, after it was ended.
    ///
    /// # Panics
    /// As [`Service::start`].
    pub async fn start_again(&mut self) {
        self.process = Self::process(&self.nats, &self.directory, &self.options).await;
    }

    async fn process(nats: &NatsServer, directory: &TempDir, options: &ServiceOptions) -> HourlogdProcess {
        let ServiceOptions { binary, flags, environment, wrapper } = options;
        let own = std::iter::once(binary.display().to_string()).chain(Self::arguments(nats, directory.path(), flags));
        let mut line = wrapper.iter().cloned().chain(own);
        let program = PathBuf::from(line.next().expect("the binary is part of it"));
        HourlogdProcess::start_in(&program, line, environment).await
    }

    /// The arguments of `hourlogd` for an archive in `directory`, unless `flags` name another.
    pub fn arguments(nats: &NatsServer, directory: &Path, flags: &[String]) -> Vec<String> {
        let mut arguments = vec!["--nats".to_owned(), nats.url()];
        if !flags.iter().any(|flag| flag == "--store") {
            arguments.extend(["--store".to_owned(), format!("file:{}", directory.display())]);
        }
        arguments.extend(flags.iter().cloned());
        arguments
    }

    /// A client with a connection of its own.
    ///
    /// # Panics
    /// Where the server is not there.
    pub async fn remote(&self) -> Remote {
        Remote::connect(&self.nats.url()).await.expect("the server is there").timeout(LONG)
    }

    /// JetStream, over a connection of its own.
    ///
    /// # Panics
    /// Where the server is not there.
    pub async fn jetstream(&self) -> jetstream::Context {
        let mut jetstream = jetstream::new(self.remote().await.client().clone());
        jetstream.set_timeout(LONG);
        jetstream
    }

    /// What the service says of itself, as every endpoint's statistics carry it.
    ///
    /// # Panics
    /// Where it does not answer.
    pub async fn report(&self) -> serde_json::Value {
        let client = self.remote().await.client().clone();
        let stats = client.request("$SRV.STATS.hourlog", "".into()).await.expect("the service answers");
        let stats: serde_json::Value = serde_json::from_slice(&stats.payload).expect("it is JSON");
        stats["endpoints"][0]["data"].clone()
    }
}

/// The logs, once everything that was published is archived. A service that comes back to its server meanwhile is waited for.
///
/// # Panics
/// Where that takes longer than [`LONG`].
pub async fn archived(remote: &Remote) -> LogsReply {
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
