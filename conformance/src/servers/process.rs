//! A child process that reports on stderr when it is ready, and does not outlive the test.

use std::{
    fmt,
    io::{BufRead, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::sync::watch;

/// The time in which a server must be ready. It takes milliseconds, but longer on a busy machine.
pub const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// The time in which a process must end after it was asked to.
const EXIT_TIMEOUT: Duration = Duration::from_secs(30);
/// The interval between checks if a process has ended.
const CHECK_INTERVAL: Duration = Duration::from_millis(5);

/// A running child.
pub(super) struct Process {
    name: &'static str,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts `command` and waits for a line on its stderr for which `ready` returns a value.
    ///
    /// # Panics
    /// If the process ends before, or takes longer than [`READY_TIMEOUT`]; the message has its
    /// output.
    pub(super) async fn start<T: Clone + Send + Sync + 'static>(
        name: &'static str,
        mut command: Command,
        ready: impl Fn(&str) -> Option<T> + Send + 'static,
    ) -> (Self, T) {
        match Self::try_start(name, &mut command, ready).await {
            Ok(started) => started,
            Err(why) => panic!("{why}"),
        }
    }

    /// As [`Process::start`], but returns the failure as an error.
    pub(super) async fn try_start<T: Clone + Send + Sync + 'static>(
        name: &'static str,
        command: &mut Command,
        ready: impl Fn(&str) -> Option<T> + Send + 'static,
    ) -> Result<(Self, T), String> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot start {name}: {command:?}: {error}"))?;
        let stderr = child.stderr.take().expect("stderr is piped");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (ready_tx, mut ready_rx) = watch::channel(None);
        let shared_lines = Arc::clone(&lines);
        // Ends when the child closes the pipe, which also drops the sender.
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if let Some(value) = ready(&line) {
                    ready_tx.send_replace(Some(value));
                }
                shared_lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let process = Self { name, child, lines, reader: Some(reader) };
        let waited = tokio::time::timeout(READY_TIMEOUT, ready_rx.wait_for(Option::is_some)).await;
        match waited {
            Ok(Ok(value)) => {
                let value = value.clone().expect("wait_for() returns at a value");
                Ok((process, value))
            }
            Ok(Err(_)) => {
                Err(format!("{name} ended before it was ready; its output:\n{}", process.stderr_lines().join("\n")))
            }
            Err(_) => Err(format!(
                "{name} is not ready after {READY_TIMEOUT:?}; its output:\n{}",
                process.stderr_lines().join("\n")
            )),
        }
    }

    /// Returns the lines of its stderr so far.
    pub(super) fn stderr_lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends `signal`, unless it has ended.
    pub(super) fn signal(&mut self, signal: Signal) {
        // Only this struct waits for the child, so its id cannot belong to another process yet.
        if self.ended().is_none() {
            let id = i32::try_from(self.child.id()).expect("a process id fits into 32 bits");
            kill(Pid::from_raw(id), signal).expect("a child that was not waited for can be signalled");
        }
    }

    /// Returns its exit status if it has ended.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Kills the process, and waits until it has ended.
    pub(super) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().expect("a child can be waited for");
        self.join();
    }

    /// Waits until the process ends by itself.
    ///
    /// # Panics
    /// If that takes longer than [`EXIT_TIMEOUT`].
    pub(super) async fn wait(&mut self) -> ExitStatus {
        let status = tokio::time::timeout(EXIT_TIMEOUT, async {
            loop {
                if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                    return status;
                }
                tokio::time::sleep(CHECK_INTERVAL).await;
            }
        });
        let Ok(status) = status.await else {
            panic!(
                "{} has not ended after {EXIT_TIMEOUT:?}; its output:\n{}",
                self.name,
                self.stderr_lines().join("\n")
            );
        };
        self.join();
        status
    }

    fn join(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Must not panic, because the test may be panicking already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.join();
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("name", &self.name).field("id", &self.child.id()).finish_non_exhaustive()
    }
}
