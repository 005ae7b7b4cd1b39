//! One node of a real CQL server without a container: Apache Cassandra, on the JDK that is there.
//!
//! It has a directory and ports of its own, can be killed, held and set back, and is gone when it is dropped. The arguments are
//! those that its own start script gives for JDK 17, with what makes one node wait for others taken out.

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

/// It starts in ten seconds; on a machine that is busy, in more.
pub const READY_TIME_MAX: Duration = Duration::from_secs(120);
/// How often to ask whether it is ready.
pub const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The user that every node has, and the password.
pub const USER: &str = "cassandra";

/// Names the Java of [`Programs`] to tests.
const JAVA_VARIABLE: &str = "HOURLOG_JAVA";
/// Names the libraries of [`Programs`] to tests.
const LIBRARIES_VARIABLE: &str = "HOURLOG_CASSANDRA";

/// What it says once it answers.
const READY: &str = "Starting listening for CQL clients";
/// What it says once its user is there, when it is started for the first time.
const USER_MADE: &str = "Created default superuser role";

/// The programs that make a node.
#[derive(Debug, Clone)]
pub struct Programs {
    /// A Java that it runs on: 17.
    pub java: PathBuf,
    /// The directory with Cassandra's libraries.
    pub libraries: PathBuf,
}

impl Programs {
    /// Those that were [told](Self::tell) to this process.
    ///
    /// # Errors
    /// Where none were, with how to be told.
    pub fn told() -> Result<Self> {
        let told = |name| {
            let path = env::var_os(name).map(PathBuf::from);
            path.with_context(|| {
                format!("{name} is not set: run `cargo xtask test`, which gets Cassandra and says where it is")
            })
        };
        Ok(Self { java: told(JAVA_VARIABLE)?, libraries: told(LIBRARIES_VARIABLE)? })
    }

    /// Tells a program that is to be started where they are.
    pub fn tell(&self, command: &mut Command) {
        command.env(JAVA_VARIABLE, &self.java).env(LIBRARIES_VARIABLE, &self.libraries);
    }
}

/// A node, with everything that it keeps.
#[derive(Debug)]
pub struct Cassandra {
    programs: Programs,
    directory: TempDir,
    ports: [u16; 2],
    child: Child,
    /// Whether it has made its user.
    has_user: bool,
}

impl Cassandra {
    /// Starts a node on an empty directory and free ports. It is to be asked whether it is [ready](Self::ready).
    ///
    /// # Errors
    /// Where its files cannot be written, or Java cannot be started.
    pub fn start(programs: &Programs) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let ports = free_ports()?;
        let certificate = settings::make_certificate(&programs.java, directory.path())?;
        fs::write(
            directory.path().join("cassandra.yaml"),
            settings::node(&kept(directory.path()), ports, &certificate),
        )?;
        fs::write(directory.path().join("logback.xml"), settings::LOGBACK)?;
        let child = run(programs, directory.path())?;
        Ok(Self { programs: programs.clone(), directory, ports, child, has_user: false })
    }

    /// Where it listens, `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// User, password and where it listens: what stands between `cql://` and a keyspace.
    pub fn login(&self) -> String {
        format!("{USER}:{USER}@{}", self.address())
    }

    /// The certificate of its authority, as PEM: it speaks TLS to who wants it.
    pub fn authority(&self) -> PathBuf {
        self.directory.path().join(settings::AUTHORITY)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it answers. To be asked until it does, or for [`READY_TIME_MAX`].
    ///
    /// # Errors
    /// Where it has ended, with what it said last.
    pub fn ready(&mut self) -> Result<bool> {
        if let Some(status) = self.child.try_wait()? {
            bail!("Cassandra ended by itself ({status}):\n{}", self.said_last());
        }
        let said = fs::read_to_string(self.said()).unwrap_or_default();
        self.has_user |= said.contains(USER_MADE);
        Ok(self.has_user && said.contains(READY))
    }

    /// What it said last.
    pub fn said_last(&self) -> String {
        const LINES: usize = 10;
        let said = fs::read_to_string(self.said()).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    /// Kills it as a crash does (SIGKILL).
    ///
    /// # Errors
    /// Where it cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Holds it (SIGSTOP): it answers nothing, its connections stay open.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// Where it has ended.
    pub fn resume(&mut self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Starts it again, on its directory and its ports, after it was killed. It is to be asked whether it is [ready](Self::ready).
    ///
    /// # Errors
    /// Where Java cannot be started.
    pub fn start_again(&mut self) -> Result<()> {
        self.child = run(&self.programs, self.directory.path())?;
        Ok(())
    }

    /// The directory of all that it keeps.
    pub fn kept(&self) -> PathBuf {
        kept(self.directory.path())
    }

    fn said(&self) -> PathBuf {
        self.directory.path().join("said.log")
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        // It is waited for in this struct only, so until then the number is its own.
        ensure!(self.child.try_wait()?.is_none(), "Cassandra has ended:\n{}", self.said_last());
        kill(Pid::from_raw(i32::try_from(self.child.id())?), signal).context("Cassandra takes no signal")
    }
}

impl Drop for Cassandra {
    fn drop(&mut self) {
        // Nothing here may panic: a test may be failing already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the process. What it says replaces what it said before.
fn run(programs: &Programs, directory: &Path) -> Result<Child> {
    let said = File::create(directory.join("said.log"))?;
    let mut command = Command::new(&programs.java);
    command.args(settings::java(directory, &programs.libraries)).current_dir(directory);
    command.stdin(Stdio::null()).stdout(said).stderr(Stdio::null());
    // Ctrl-C reaches who started it, who stops it in its turn.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().with_context(|| format!("{} does not start", programs.java.display()))
}

fn kept(directory: &Path) -> PathBuf {
    directory.join("kept")
}

/// Two ports that are free now.
fn free_ports() -> Result<[u16; 2]> {
    let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let [one, other] = &listeners;
    Ok([one.local_addr()?.port(), other.local_addr()?.port()])
}
