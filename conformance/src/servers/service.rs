//! A service with its own nats-server and its own directory.

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

use super::{
    HourlogdProcess, NatsServer,
    files::{copy_directory, replace_directory},
};

/// The time limit of everything in a test: much longer than it needs.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// The settings for starting the service.
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    /// The built `hourlogd`.
    pub binary: PathBuf,
    /// Flags in addition to those for the server and the archive.
    pub flags: Vec<String>,
    /// Its environment variables.
    pub environment: Vec<(String, String)>,
    /// A program and its arguments, which gets the command line of the service and executes it.
    pub wrapper: Vec<String>,
}

impl ServiceOptions {
    /// The settings for a built `hourlogd` with these flags.
    pub fn new(binary: impl Into<PathBuf>, flags: &[&str]) -> Self {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self { binary: binary.into(), flags, environment: Vec::new(), wrapper: Vec::new() }
    }

    /// The settings for the `hourlogd` in the directory of another program.
    ///
    /// # Panics
    /// If there is none.
    pub fn beside(program: &str, flags: &[&str]) -> Self {
        let binary = Path::new(program).with_file_name("hourlogd");
        assert!(binary.is_file(), "{} does not exist; run `cargo xtask test`, which builds it", binary.display());
        Self::new(binary, flags)
    }
}

/// A running service with its server and its directory. Dropping it cleans up everything.
#[derive(Debug)]
pub struct Service {
    // Dropped in this order: the service before its server and its archive.
    /// The process.
    pub process: HourlogdProcess,
    /// Its NATS server.
    pub nats: NatsServer,
    /// The directory of its archive.
    pub directory: TempDir,
    /// The settings that it is started with.
    pub options: ServiceOptions,
}

impl Service {
    /// Starts a service on an empty archive.
    ///
    /// # Panics
    /// If it does not start; the message has its output.
    pub async fn start(nats: NatsServer, options: ServiceOptions) -> Self {
        Self::start_in(nats, TempDir::new().expect("a temporary directory can be created"), options).await
    }

    /// Starts a service on the archive in `directory`.
    ///
    /// # Panics
    /// As [`Service::start`].
    pub async fn start_in(nats: NatsServer, directory: TempDir, options: ServiceOptions) -> Self {
        let process = Self::process(&nats, &directory, &options).await;
        Self { process, nats, directory, options }
    }

    /// Starts the service again after it has ended.
    ///
    /// # Panics
    /// As [`Service::start`].
    pub async fn start_again(&mut self) {
        self.process = Self::process(&self.nats, &self.directory, &self.options).await;
    }

    /// Copies the directory of its archive. The process must not be running.
    ///
    /// # Panics
    /// If the files cannot be copied.
    pub fn copy_archive(&self) -> TempDir {
        let copy = TempDir::new().expect("a temporary directory can be created");
        copy_directory(self.directory.path(), copy.path());
        copy
    }

    /// Puts a copy of its archive back and starts the service on it. The process must not be
    /// running.
    ///
    /// # Panics
    /// If the files cannot be copied, or the service does not start.
    pub async fn put_archive_back(&mut self, copy: &TempDir) {
        replace_directory(copy.path(), self.directory.path());
        self.start_again().await;
    }

    async fn process(nats: &NatsServer, directory: &TempDir, options: &ServiceOptions) -> HourlogdProcess {
        let ServiceOptions { binary, flags, environment, wrapper } = options;
        let own = std::iter::once(binary.display().to_string()).chain(Self::arguments(nats, directory.path(), flags));
        let mut line = wrapper.iter().cloned().chain(own);
        let program = PathBuf::from(line.next().expect("the command line contains the binary"));
        HourlogdProcess::start_in(&program, line, environment).await
    }

    /// Returns the arguments of `hourlogd`. It connects to `nats`, and its archive is in `directory`,
    /// unless `flags` name others.
    pub fn arguments(nats: &NatsServer, directory: &Path, flags: &[String]) -> Vec<String> {
        let mut arguments = Vec::new();
        if !flags.iter().any(|flag| flag == "--nats") {
            arguments.extend(["--nats".to_owned(), nats.url()]);
        }
        if !flags.iter().any(|flag| flag == "--store") {
            arguments.extend(["--store".to_owned(), format!("file:{}", directory.display())]);
        }
        arguments.extend(flags.iter().cloned());
        arguments
    }

    /// Returns a client with its own connection.
    ///
    /// # Panics
    /// If NATS does not answer.
    pub async fn remote(&self) -> Remote {
        Remote::connect(&self.nats.url()).await.expect("NATS answers").with_timeout(WAIT_MAX)
    }

    /// Returns a JetStream context with its own connection.
    ///
    /// # Panics
    /// If NATS does not answer.
    pub async fn jetstream(&self) -> jetstream::Context {
        let mut jetstream = jetstream::new(self.remote().await.client().clone());
        jetstream.set_timeout(WAIT_MAX);
        jetstream
    }

    /// Returns the service's report on itself, which is part of the statistics of every endpoint.
    ///
    /// # Panics
    /// If the service does not answer.
    pub async fn report(&self) -> serde_json::Value {
        let client = self.remote().await.client().clone();
        let stats = client.request("$SRV.STATS.hourlog", "".into()).await.expect("the service answers");
        let stats: serde_json::Value = serde_json::from_slice(&stats.payload).expect("statistics are JSON");
        stats["endpoints"][0]["data"].clone()
    }
}

/// Waits until everything that was published is archived, and returns the logs.
///
/// Retries while the service is unavailable, because it may be reconnecting.
///
/// # Panics
/// If that takes longer than [`WAIT_MAX`].
pub async fn archived(remote: &Remote) -> LogsReply {
    let request = LogsRequest { fresh: true, all: true, ..LogsRequest::default() };
    let begun = Instant::now();
    loop {
        match remote.logs(&request).await {
            Ok(logs) => return logs,
            Err(error) if error.kind() == ErrorKind::Unavailable && begun.elapsed() < WAIT_MAX => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}
