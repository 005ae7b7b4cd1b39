//! One of several instances of the service, with its own connections to the NATS servers.

use std::{
    path::{Path, PathBuf},
    process::ExitStatus,
};

use hourlog::failpoint::Failpoint;

use crate::servers::{HourlogdProcess, NatsCluster, Proxy};

/// The environment variable with the file that stops an instance's lease while it exists.
const LEASE_FAULT_FILE: &str = "HOURLOG_LEASE_FAULT_FILE";
/// The environment variable with the file that makes the archive of an instance fail for half of the logs while it
/// exists.
const FAULT_FILE: &str = "HOURLOG_FAULT_FILE";

/// The settings that all instances share.
#[derive(Debug, Clone)]
pub struct InstanceOptions {
    /// The built `hourlogd`, with the feature `chaos`.
    pub hourlogd: PathBuf,
    /// The URL of the archive.
    pub store: String,
    /// Number of servers that hold the stream.
    pub wal_replicas: usize,
    /// A deliberate bug.
    pub failpoint: Option<Failpoint>,
}

/// A running instance. Keeps its proxies when it is restarted; its id is another one then.
#[derive(Debug)]
pub struct Instance {
    process: HourlogdProcess,
    options: InstanceOptions,
    /// One before each NATS server.
    proxies: Vec<Proxy>,
    fault_files: FaultFiles,
}

/// The files that make a part of an instance fail while they exist.
#[derive(Debug)]
struct FaultFiles {
    lease: PathBuf,
    archive: PathBuf,
}

impl Instance {
    /// Starts an instance. Its files are in `directory`, under names with `number`.
    ///
    /// # Panics
    /// If it does not start; the message has its output.
    pub async fn start(options: InstanceOptions, number: usize, nats: &NatsCluster, directory: &Path) -> Self {
        let mut proxies = Vec::new();
        for server in nats.servers() {
            proxies.push(Proxy::start(&format!("127.0.0.1:{}", server.port())).await);
        }
        let file = |name: &str| directory.join(format!("{name}-fault-{number}"));
        let fault_files = FaultFiles { lease: file("lease"), archive: file("archive") };
        let process = start_process(&options, &proxies, &fault_files).await;
        Self { process, options, proxies, fault_files }
    }

    /// Starts it again after it has ended.
    ///
    /// # Panics
    /// As [`Instance::start`].
    pub async fn start_again(&mut self) {
        self.process = start_process(&self.options, &self.proxies, &self.fault_files).await;
    }

    /// Returns its process.
    pub fn process(&mut self) -> &mut HourlogdProcess {
        &mut self.process
    }

    /// Returns its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Returns its exit status and its last lines if it has ended.
    pub fn ended(&mut self) -> Option<(ExitStatus, String)> {
        const LINES: usize = 10;
        let status = self.process.ended()?;
        let lines = self.process.stderr_lines();
        Some((status, lines[lines.len().saturating_sub(LINES)..].join("\n")))
    }

    /// Stops the renewal of its lease, or lets it go on. It works otherwise.
    ///
    /// # Panics
    /// If its file cannot be written or deleted.
    pub fn stop_lease(&self, is_stopped: bool) {
        set(&self.fault_files.lease, is_stopped);
    }

    /// Makes its archive fail for half of the logs, or work again.
    ///
    /// # Panics
    /// As [`Instance::stop_lease`].
    pub fn fail_archive(&self, fails: bool) {
        set(&self.fault_files.archive, fails);
    }

    /// Holds back everything between it and the NATS servers while `is_silent`.
    pub fn silence(&self, is_silent: bool) {
        self.proxies.iter().for_each(|proxy| proxy.silence(is_silent));
    }

    /// Ends all its connections to the NATS servers. It may connect again at once.
    pub fn disconnect(&self) {
        self.proxies.iter().for_each(Proxy::cut);
    }
}

/// Writes a file, or deletes it.
fn set(file: &Path, exists: bool) {
    match exists {
        true => std::fs::write(file, "").expect("the run's own directory is writable"),
        false => std::fs::remove_file(file).expect("the file was written before"),
    }
}

async fn start_process(options: &InstanceOptions, proxies: &[Proxy], fault_files: &FaultFiles) -> HourlogdProcess {
    let InstanceOptions { hourlogd, store, wal_replicas, failpoint } = options;
    let urls: Vec<String> = proxies.iter().map(|proxy| format!("nats://{}", proxy.address())).collect();
    let (urls, replicas) = (urls.join(","), wal_replicas.to_string());
    // Without a margin, the stream keeps only what not all instances have stored.
    let arguments = [
        &["--nats", &urls, "--store", store, "--migrate", "--wal-replicas", &replicas][..],
        &["--wal-keep-seconds", "0", "--wal-keep-bytes", "0"],
    ];
    let arguments = arguments.concat();
    let file = |name: &str, file: &Path| (name.to_owned(), file.display().to_string());
    let mut environment = vec![file(LEASE_FAULT_FILE, &fault_files.lease), file(FAULT_FILE, &fault_files.archive)];
    let failpoint = failpoint.map(|failpoint| (Failpoint::VARIABLE.to_owned(), failpoint.name().to_owned()));
    environment.extend(failpoint);
    HourlogdProcess::start_in(hourlogd, arguments, &environment).await
}
