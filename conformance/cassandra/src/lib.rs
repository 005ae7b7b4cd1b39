//! One real CQL node without a container: Apache Cassandra on the installed JDK.
//!
//! A node has its own directory and ports, and is killed when it is dropped. A test can kill it,
//! pause it and roll back its files. The arguments are those of Cassandra's start script for JDK
//! 17, without the ones that make a node wait for others.

mod settings;

use std::{
    env,
    fs::{self, File},
    net::TcpListener,
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

/// The timeout of a start. It takes ten seconds, and longer on a busy machine.
pub const READY_TIME_MAX: Duration = Duration::from_secs(120);
/// The interval between checks that a node is ready.
pub const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The user of every node, and its password.
pub const USER: &str = "cassandra";

/// The environment variable with the Java of [`Programs`].
const JAVA_VARIABLE: &str = "HOURLOG_JAVA";
/// The environment variable with the libraries of [`Programs`].
const LIBRARIES_VARIABLE: &str = "HOURLOG_CASSANDRA";

/// The line that a node logs once it accepts connections.
const READY: &str = "Starting listening for CQL clients";
/// The line that a node logs on its first start, once its user exists.
const USER_CREATED: &str = "Created default superuser role";

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
    ports: [u16; 2],
    child: Child,
    /// True once the node has created its user.
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
        let directory = tempfile::tempdir()?;
        let ports = free_ports()?;
        let certificate = settings::make_certificate(&programs.java, directory.path())?;
        let settings = settings::node(&data_directory(directory.path()), ports, &certificate);
        write_settings(directory.path(), &settings, more_settings)?;
        fs::write(directory.path().join("logback.xml"), settings::LOGBACK)?;
        let child = run(programs, directory.path())?;
        Ok(Self { programs: programs.clone(), directory, settings, ports, child, has_user: false })
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
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// Returns its user, password and address: the part of a URL between `cql://` and the keyspace.
    pub fn login(&self) -> String {
        format!("{USER}:{USER}@{}", self.address())
    }

    /// Returns the PEM file with its CA certificate. Clients may use TLS or not.
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
        let log = fs::read_to_string(self.log_path()).unwrap_or_default();
        self.has_user |= log.contains(USER_CREATED);
        Ok(self.has_user && log.contains(READY))
    }

    /// Returns the last lines of its output.
    pub fn last_log_lines(&self) -> String {
        const LINES: usize = 10;
        let log = fs::read_to_string(self.log_path()).unwrap_or_default();
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
        self.child = run(&self.programs, self.directory.path())?;
        Ok(())
    }

    /// Returns the directory with all its data.
    pub fn data_directory(&self) -> PathBuf {
        data_directory(self.directory.path())
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("cassandra.log")
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
fn run(programs: &Programs, directory: &Path) -> Result<Child> {
    let log = File::create(directory.join("cassandra.log"))?;
    let mut command = Command::new(&programs.java);
    command.args(settings::java(directory, &programs.libraries)).current_dir(directory);
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

/// Returns two ports that are currently free.
fn free_ports() -> Result<[u16; 2]> {
    let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let [one, other] = &listeners;
    Ok([one.local_addr()?.port(), other.local_addr()?.port()])
}
