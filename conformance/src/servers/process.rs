//! A child process that says on stderr when it is ready, and that does not outlive the test.

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

/// How long a server may take to be ready. It takes milliseconds; on a machine that is busy with other tests, more.
pub const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long a process may take to end after it was asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(30);
/// How often a process that was asked to end is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A running child.
pub(super) struct Process {
    name: &'static str,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts `command` and waits for a line on its stderr of which `ready` makes something.
    ///
    /// # Panics
    /// Where it ends before, or takes longer than [`READY_WITHIN`]; the message holds what it said.
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

    /// As [`Process::start`]; answers why it is not there instead of panicking.
    pub(super) async fn try_start<T: Clone + Send + Sync + 'static>(
        name: &'static str,
        command: &mut Command,
        ready: impl Fn(&str) -> Option<T> + Send + 'static,
    ) -> Result<(Self, T), String> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{name} does not start: {command:?}: {error}"))?;
        let stderr = child.stderr.take().expect("it is piped");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (found, mut finding) = watch::channel(None);
        let kept = Arc::clone(&lines);
        // Ends with the pipe, which ends with the child; the sender goes with it.
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if let Some(value) = ready(&line) {
                    found.send_replace(Some(value));
                }
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let process = Self { name, child, lines, reader: Some(reader) };
        let waited = tokio::time::timeout(READY_WITHIN, finding.wait_for(Option::is_some)).await;
        match waited {
            Ok(Ok(value)) => {
                let value = value.clone().expect("it was waited for");
                Ok((process, value))
            }
            Ok(Err(_)) => Err(format!("{name} ended before it was ready; it said:\n{}", process.said().join("\n"))),
            Err(_) => {
                Err(format!("{name} is not ready after {READY_WITHIN:?}; it said:\n{}", process.said().join("\n")))
            }
        }
    }

    /// What it has said on stderr so far, by line.
    pub(super) fn said(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The number that the system knows it by.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends `signal`, unless it has ended.
    pub(super) fn signal(&mut self, signal: Signal) {
        // It is waited for in this struct only, so until then the number is its own.
        if self.ended().is_none() {
            let id = i32::try_from(self.child.id()).expect("the system's numbers are small");
            kill(Pid::from_raw(id), signal).expect("it is a child of this process that was not waited for");
        }
    }

    /// How it has ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Kills it, and waits until it is gone.
    pub(super) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().expect("a child can be waited for");
        self.join();
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// Where that takes longer than [`ENDS_WITHIN`].
    pub(super) async fn wait(&mut self) -> ExitStatus {
        let status = tokio::time::timeout(ENDS_WITHIN, async {
            loop {
                if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                    return status;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        let Ok(status) = status.await else {
            panic!("{} has not ended after {ENDS_WITHIN:?}; it said:\n{}", self.name, self.said().join("\n"));
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
        // Nothing here may panic: a test may be failing already.
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
