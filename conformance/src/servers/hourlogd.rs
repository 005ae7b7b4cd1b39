//! The service as a separate process, which a test may kill.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, ExitStatus},
};

use nix::sys::signal::Signal;

use super::{Memory, process::Process};

/// The text that the service logs once its endpoints answer.
const READY: &str = "hourlogd ready";

/// A running `hourlogd`, killed on drop.
#[derive(Debug)]
pub struct HourlogdProcess(Process);

impl HourlogdProcess {
    /// Starts `binary` with `arguments` and waits until its endpoints answer.
    ///
    /// # Panics
    /// If it does not; the message has its output.
    pub async fn start(binary: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        Self::start_in(binary, arguments, &[]).await
    }

    /// As [`HourlogdProcess::start`], with environment variables.
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

    /// As [`HourlogdProcess::start`], for a service that may refuse to start.
    ///
    /// # Errors
    /// The output of a process that has ended before it was ready.
    pub async fn try_start(
        binary: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<Self, String> {
        let (process, ()) = Process::try_start("hourlogd", &mut command(binary, arguments), ready).await?;
        Ok(Self(process))
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Returns the peak of its resident memory so far, in MiB.
    ///
    /// # Panics
    /// If `/proc` does not have it.
    #[cfg(target_os = "linux")]
    pub fn resident_mib_max(&self) -> u64 {
        Memory::of_process(self.id()).max_mib
    }

    /// Returns its memory now, in MiB.
    ///
    /// # Panics
    /// If it has ended.
    pub fn resident_mib(&self) -> u64 {
        Memory::of_process(self.id()).now_mib
    }

    /// Returns the number of its open files.
    ///
    /// # Panics
    /// If `/proc` does not have it.
    #[cfg(target_os = "linux")]
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).expect("the process is running").count()
    }

    /// Returns the lines of its stderr so far.
    pub fn stderr_lines(&self) -> Vec<String> {
        self.0.stderr_lines()
    }

    /// Returns its exit status if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.ended()
    }

    /// Kills the service as a crash does (SIGKILL).
    pub fn kill(&mut self) {
        self.0.kill();
    }

    /// Asks the service to shut down (SIGTERM), and waits until it has ended.
    ///
    /// # Panics
    /// If it does not end.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.0.signal(Signal::SIGTERM);
        self.0.wait().await
    }

    /// As [`HourlogdProcess::terminate`], with the signal of a terminal (SIGINT).
    ///
    /// # Panics
    /// If it does not end.
    pub async fn interrupt(&mut self) -> ExitStatus {
        self.0.signal(Signal::SIGINT);
        self.0.wait().await
    }

    /// Waits until the service ends by itself.
    ///
    /// # Panics
    /// If it does not end.
    pub async fn wait(&mut self) -> ExitStatus {
        self.0.wait().await
    }

    /// Pauses the service (SIGSTOP).
    pub fn pause(&mut self) {
        self.0.signal(Signal::SIGSTOP);
    }

    /// Resumes the service (SIGCONT).
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
