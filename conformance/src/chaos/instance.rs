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
    /// The messages that its former processes have read again.
    read_again: u64,
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
        Self { process, options, proxies, fault_files, read_again: 0 }
    }

    /// Starts it again after it has ended.
    ///
    /// # Panics
    /// As [`Instance::start`].
    pub async fn start_again(&mut self) {
        self.read_again = self.read_again();
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

    /// Returns the number of messages that it has read again, because it took slots over, since its first start.
    pub fn read_again(&self) -> u64 {
        self.read_again + self.process.stderr_lines().iter().filter_map(|line| read_again(line)).sum::<u64>()
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

/// Returns the number of messages that an instance reads again, if the line of its trace says so.
fn read_again(line: &str) -> Option<u64> {
    let (_, fields) = line.split_once(": reading the stream for other slots ")?;
    let field = |name: &str| fields.split(' ').find_map(|field| field.strip_prefix(name)?.parse::<u64>().ok());
    Some((field("until=")? + 1).saturating_sub(field("from=")?))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_says_how_many_messages_are_read_again() {
        let line = |rest: &str| format!("2026-11-28T04:28:31.7Z  INFO hourlogd::ingest: {rest}");
        let taken_over = r#"reading the stream for other slots stream="HOURLOG" slots=32 gained=9 from=101 until=350"#;
        assert_eq!(read_again(&line(taken_over)), Some(250));
        let at_the_start = r#"reading the stream for other slots stream="HOURLOG" slots=64 gained=0 from=1 until=0"#;
        assert_eq!(read_again(&line(at_the_start)), Some(0));
        assert_eq!(read_again(&line("hourlogd ready")), None);
    }
}
