//! One of several instances of the service, with its own connections to the NATS servers.

use std::{
    path::{Path, PathBuf},
    process::ExitStatus,
};

use hourlog::failpoint::Failpoint;

use crate::servers::{HourlogdProcess, NatsCluster, Proxy};

/// The environment variable with the file that stops an instance's lease while it exists.
const LEASE_FAULT_FILE: &str = "HOURLOG_LEASE_FAULT_FILE";

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
    lease_fault_file: PathBuf,
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
        let lease_fault_file = directory.join(format!("lease-fault-{number}"));
        let process = start_process(&options, &proxies, &lease_fault_file).await;
        Self { process, options, proxies, lease_fault_file }
    }

    /// Starts it again after it has ended.
    ///
    /// # Panics
    /// As [`Instance::start`].
    pub async fn start_again(&mut self) {
        self.process = start_process(&self.options, &self.proxies, &self.lease_fault_file).await;
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
        match is_stopped {
            true => std::fs::write(&self.lease_fault_file, "").expect("the run's own directory is writable"),
            false => std::fs::remove_file(&self.lease_fault_file).expect("the file was written before"),
        }
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

async fn start_process(options: &InstanceOptions, proxies: &[Proxy], lease_fault_file: &Path) -> HourlogdProcess {
    let InstanceOptions { hourlogd, store, wal_replicas, failpoint } = options;
    let urls: Vec<String> = proxies.iter().map(|proxy| format!("nats://{}", proxy.address())).collect();
    let (urls, replicas) = (urls.join(","), wal_replicas.to_string());
    let arguments = ["--nats", &urls, "--store", store, "--migrate", "--wal-replicas", &replicas];
    let mut environment = vec![(LEASE_FAULT_FILE.to_owned(), lease_fault_file.display().to_string())];
    let failpoint = failpoint.map(|failpoint| (Failpoint::VARIABLE.to_owned(), failpoint.name().to_owned()));
    environment.extend(failpoint);
    HourlogdProcess::start_in(hourlogd, arguments, &environment).await
}
