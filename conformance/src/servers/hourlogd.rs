//! The service as a process of its own, to be killed.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, ExitStatus},
};

use nix::sys::signal::Signal;

use super::process::Process;

/// What the service says once its endpoints answer.
const READY: &str = "hourlogd ready";

/// A running `hourlogd`, killed on drop.
#[derive(Debug)]
pub struct HourlogdProcess(Process);

impl HourlogdProcess {
    /// Starts `binary` with `arguments` and waits until its endpoints answer.
    ///
    /// # Panics
    /// Where it does not get there, with what it said.
    pub async fn start(binary: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        Self::start_in(binary, arguments, &[]).await
    }

    /// As [`HourlogdProcess::start`], with variables of its environment.
    ///
    /// # Panics
    /// As [`HourlogdProcess::start`].
    pub async fn start_in(
        binary: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        environment: &[(String, String)],
    ) -> Self {
        let mut command = command(binary, arguments);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let (process, ()) = Process::start("hourlogd", command, ready).await;
        Self(process)
    }

    /// As [`HourlogdProcess::start`], for one that may refuse to start.
    ///
    /// # Errors
    /// What it said before it ended.
    pub async fn try_start(
        binary: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<Self, String> {
        let (process, ()) = Process::try_start("hourlogd", &mut command(binary, arguments), ready).await?;
        Ok(Self(process))
    }

    /// The number that the system knows it by.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// The most memory that it has had resident so far, in MiB.
    ///
    /// # Panics
    /// Where the system does not tell.
    #[cfg(target_os = "linux")]
    pub fn resident_mib_max(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.expect("the system tells") / 1024
    }

    /// What it has said on stderr so far, by line.
    pub fn said(&self) -> Vec<String> {
        self.0.said()
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.ended()
    }

    /// Kills it as a crash does (SIGKILL).
    pub fn kill(&mut self) {
        self.0.kill();
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Panics
    /// Where it does not.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.0.signal(Signal::SIGTERM);
        self.0.wait().await
    }

    /// As [`HourlogdProcess::terminate`], as a terminal does (SIGINT).
    ///
    /// # Panics
    /// Where it does not end.
    pub async fn interrupt(&mut self) -> ExitStatus {
        self.0.signal(Signal::SIGINT);
        self.0.wait().await
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// Where it does not.
    pub async fn wait(&mut self) -> ExitStatus {
        self.0.wait().await
    }

    /// Holds it (SIGSTOP).
    pub fn pause(&mut self) {
        self.0.signal(Signal::SIGSTOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&mut self) {
        self.0.signal(Signal::SIGCONT);
    }
}

fn command(binary: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(binary);
    command.args(arguments).env("NO_COLOR", "1");
    command
}

fn ready(line: &str) -> Option<()> {
    line.contains(READY).then_some(())
}
