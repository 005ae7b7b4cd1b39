//! Real CQL nodes without a container: Apache Cassandra on the installed JDK.
//!
//! A node has its own directory and ports, and is killed when it is dropped. A test can kill it,
//! pause it and roll back its files. The arguments are those of Cassandra's start script for JDK
//! 17, without the ones that make a node wait for others.
//!
//! - [`Cassandra`]: a node, by itself or in a cluster; [`Place`]: its address and its share of the cluster.
//! - [`free_ports`]: ports for it, and for other servers that restart.

mod place;
mod ports;
mod settings;

use std::{
    collections::HashSet,
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

pub use self::{place::Place, ports::free_ports};

/// The timeout of a start. It takes ten seconds, and longer on a busy machine.
pub const READY_TIME_MAX: Duration = Duration::from_secs(120);
/// The interval between checks that a node is ready.
pub const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The user of a node by itself, and its password. Clusters accept every user.
pub const USER: &str = "cassandra";

/// The environment variable with the Java of [`Programs`].
const JAVA_VARIABLE: &str = "HOURLOG_JAVA";
/// The environment variable with the libraries of [`Programs`].
const LIBRARIES_VARIABLE: &str = "HOURLOG_CASSANDRA";

/// The line that a node logs once it accepts connections.
const READY: &str = "Starting listening for CQL clients";
/// The line that a node logs on its first start, once its user exists.
const USER_CREATED: &str = "Created default superuser role";
/// The ends of the lines that a node logs about each other node of its cluster.
const PEER_STATES: [(&str, bool); 2] = [(" is now UP", true), (" is now DOWN", false)];

/// The programs that a node consists of.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The `java` of a JDK 17.
    pub java: PathBuf,
    /// The directory with the libraries of Cassandra.
    pub libraries: PathBuf,
}

impl Programs {
    /// Reads the programs from the environment, where [`export_to`](Self::export_to) has put them.
    ///
    /// # Errors
    /// If a variable is not set; the error says how to set it.
    pub fn from_environment() -> Result<Self> {
        let variable = |name| {
            let path = env::var_os(name).map(PathBuf::from);
            path.with_context(|| {
                format!("{name} is not set: run `cargo xtask test`, which downloads Cassandra and sets it")
            })
        };
        Ok(Self { java: variable(JAVA_VARIABLE)?, libraries: variable(LIBRARIES_VARIABLE)? })
    }

    /// Puts the programs into the environment of a command.
    pub fn export_to(&self, command: &mut Command) {
        command.env(JAVA_VARIABLE, &self.java).env(LIBRARIES_VARIABLE, &self.libraries);
    }
}

/// A running node with its files.
#[derive(Debug)]
pub struct Cassandra {
    programs: Programs,
    directory: TempDir,
    /// The part of `cassandra.yaml` that every node needs.
    settings: String,
    place: Place,
    child: Child,
    /// True once the node has created its user, or if it needs none.
    has_user: bool,
}

impl Cassandra {
    /// Starts a node on an empty directory and free ports. Poll [`ready`](Self::ready) before using
    /// it.
    ///
    /// # Errors
    /// If its files cannot be written or Java cannot be started.
    pub fn start(programs: &Programs) -> Result<Self> {
        Self::start_with(programs, "")
    }

    /// As [`start`](Self::start), with more lines in its `cassandra.yaml`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(programs: &Programs, more_settings: &str) -> Result<Self> {
        Self::start_at(programs, Place::alone()?, more_settings)
    }

    /// As [`start_with`](Self::start_with), at a given place.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_at(programs: &Programs, place: Place, more_settings: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let certificate = match place.is_alone() {
            true => Some(settings::make_certificate(&programs.java, directory.path())?),
            false => None,
        };
        let settings = settings::node(&data_directory(directory.path()), &place, certificate.as_ref());
        write_settings(directory.path(), &settings, more_settings)?;
        fs::write(directory.path().join("logback.xml"), settings::LOGBACK)?;
        let child = run(programs, directory.path(), &place)?;
        let has_user = !place.is_alone();
        Ok(Self { programs: programs.clone(), directory, settings, place, child, has_user })
    }

    /// Replaces the additional settings. They apply once it is [started again](Self::start_again).
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn configure(&self, more_settings: &str) -> Result<()> {
        write_settings(self.directory.path(), &self.settings, more_settings)
    }

    /// Returns its address, as `host:port`.
    pub fn address(&self) -> String {
        format!("{}:{}", self.place.address, self.place.port)
    }

    /// Returns its user, password and address: the part of a URL between `cql://` and the keyspace.
    pub fn login(&self) -> String {
        format!("{USER}:{USER}@{}", self.address())
    }

    /// Returns the PEM file with its CA certificate. Clients of a node by itself may use TLS or not.
    pub fn authority(&self) -> PathBuf {
        self.directory.path().join(settings::AUTHORITY)
    }

    /// Returns its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns true once it accepts connections. Poll it for up to [`READY_TIME_MAX`].
    ///
    /// # Errors
    /// If it has exited; the error quotes its last lines.
    pub fn ready(&mut self) -> Result<bool> {
        if let Some(status) = self.child.try_wait()? {
            bail!("Cassandra exited ({status}):\n{}", self.last_log_lines());
        }
        let log = self.log();
        self.has_user |= log.contains(USER_CREATED);
        Ok(self.has_user && log.contains(READY))
    }

    /// Returns the number of other nodes that it can reach now.
    pub fn live_peers(&self) -> usize {
        live_peers(&self.log())
    }

    /// Returns true if it has exited.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Returns the file with its output since the last start.
    pub fn log_path(&self) -> PathBuf {
        log_path(self.directory.path())
    }

    /// Returns the last lines of its output.
    pub fn last_log_lines(&self) -> String {
        const LINES: usize = 10;
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    /// Kills it as a crash would (SIGKILL).
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Pauses it (SIGSTOP): it does not answer, and its connections stay open.
    ///
    /// # Errors
    /// If it has exited.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Resumes it (SIGCONT).
    ///
    /// # Errors
    /// If it has exited.
    pub fn resume(&mut self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Restarts it with the same directory and ports after a kill. Poll [`ready`](Self::ready)
    /// before using it.
    ///
    /// # Errors
    /// If Java cannot be started.
    pub fn start_again(&mut self) -> Result<()> {
        self.child = run(&self.programs, self.directory.path(), &self.place)?;
        Ok(())
    }

    /// Returns the directory with all its data.
    pub fn data_directory(&self) -> PathBuf {
        data_directory(self.directory.path())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        // Only this struct waits for the child, so its process id cannot have been reused.
        ensure!(self.child.try_wait()?.is_none(), "Cassandra has exited:\n{}", self.last_log_lines());
        kill(Pid::from_raw(i32::try_from(self.child.id())?), signal).context("cannot send a signal to Cassandra")
    }
}

impl Drop for Cassandra {
    fn drop(&mut self) {
        // Must not panic: the test may be panicking already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the process. Its output replaces that of an earlier start.
fn run(programs: &Programs, directory: &Path, place: &Place) -> Result<Child> {
    let log = File::create(log_path(directory))?;
    let mut command = Command::new(&programs.java);
    command.args(settings::java(directory, &programs.libraries, place)).current_dir(directory);
    command.stdin(Stdio::null()).stdout(log).stderr(Stdio::null());
    // Ctrl-C reaches the parent process, which then stops this one.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().with_context(|| format!("cannot start {}", programs.java.display()))
}

fn write_settings(directory: &Path, settings: &str, more_settings: &str) -> Result<()> {
    Ok(fs::write(directory.join("cassandra.yaml"), format!("{settings}{more_settings}"))?)
}

fn data_directory(directory: &Path) -> PathBuf {
    directory.join("kept")
}

fn log_path(directory: &Path) -> PathBuf {
    directory.join("cassandra.log")
}

/// Returns the number of other nodes that were last logged as reachable.
fn live_peers(log: &str) -> usize {
    let mut live = HashSet::new();
    for line in log.lines() {
        for (ending, is_live) in PEER_STATES {
            // The line ends in `InetAddress /127.0.0.2:7000 is now UP`.
            let Some((_, peer)) = line.strip_suffix(ending).and_then(|start| start.rsplit_once(' ')) else { continue };
            if is_live {
                live.insert(peer)
            } else {
                live.remove(peer)
            };
        }
    }
    live.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_live_while_the_last_line_about_it_says_so() {
        let line = |peer: u8, state: &str| format!("INFO 2026-01-01 InetAddress /127.0.0.{peer}:7000 is now {state}\n");
        let log = [line(2, "UP"), line(3, "UP"), line(2, "UP"), line(2, "DOWN")].concat();
        assert_eq!((live_peers(""), live_peers(&log), live_peers(&(log + &line(2, "UP")))), (0, 1, 2));
    }
}
