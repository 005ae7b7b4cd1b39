//! Runs other programs, and stops them when this one stops.

use std::{
    error, fmt,
    io::Read,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// Interval between checks for an exited program or Ctrl-C.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Time for a program to stop before it is killed.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);
/// Exit code of a program that Ctrl-C ended.
const EXIT_INTERRUPTED: i32 = 130;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The user pressed Ctrl-C, or this program received SIGTERM.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl error::Error for Interrupted {}

/// Makes Ctrl-C end every wait with [`Interrupted`], so that guards stop their servers.
pub(crate) fn watch_interrupts() -> Result<()> {
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::SeqCst)).context("cannot listen for Ctrl-C")
}

/// Calls `ready` until it returns a value. Returns `None` after `time_max`, and fails on Ctrl-C.
pub(crate) fn wait_until<T>(
    time_max: Option<Duration>,
    mut ready: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let started = Instant::now();
    loop {
        if let Some(value) = ready()? {
            return Ok(Some(value));
        }
        if INTERRUPTED.load(Ordering::SeqCst) {
            bail!(Interrupted);
        }
        if time_max.is_some_and(|most| started.elapsed() >= most) {
            return Ok(None);
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// Runs a program to its end. It shares our terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let mut child = spawn(command)?;
    let status = wait(&mut child)?;
    succeeded(command, status)
}

/// Runs a program to its end and returns its stdout.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let mut child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let mut stdout = child.stdout.take().expect("stdout is piped");
    let reader = thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let status = wait(&mut child)?;
    let text = reader.join().expect("reading does not panic");
    succeeded(command, status)?;
    text.with_context(|| format!("cannot read the output of {}", name(command)))
}

fn spawn(command: &mut Command) -> Result<Child> {
    command.spawn().with_context(|| format!("cannot start {}", name(command)))
}

fn wait(child: &mut Child) -> Result<ExitStatus> {
    let status = wait_until(None, || Ok(child.try_wait()?));
    if status.is_err() {
        stop(child)?;
    }
    Ok(status?.expect("the wait has no deadline"))
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    if status.code() == Some(EXIT_INTERRUPTED) || INTERRUPTED.load(Ordering::SeqCst) {
        bail!(Interrupted);
    }
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    bail!("{} {} failed ({status})", name(command), arguments.join(" "))
}

fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
}

/// Asks a program to stop, and kills it if it takes too long.
fn stop(child: &mut Child) -> Result<ExitStatus> {
    if let Some(status) = child.try_wait()? {
        return Ok(status);
    }
    terminate(child)?;
    let asked = Instant::now();
    while asked.elapsed() < STOP_TIME_MAX {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(POLL_INTERVAL);
    }
    child.kill()?;
    Ok(child.wait()?)
}

#[cfg(unix)]
fn terminate(child: &Child) -> Result<()> {
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };
    let id = i32::try_from(child.id()).context("a process id is an i32")?;
    Ok(kill(Pid::from_raw(id), Signal::SIGTERM)?)
}

#[cfg(not(unix))]
fn terminate(child: &mut Child) -> Result<()> {
    Ok(child.kill()?)
}

/// A program that runs beside this one. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    child: Child,
}

impl Server {
    /// Starts the program in its own process group. Ctrl-C reaches only us, and we stop the servers
    /// in the right order.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let child = spawn(command.stdin(Stdio::null()))?;
        Ok(Self { name: name(command), child })
    }

    /// Process id of the server.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails if the server has exited.
    pub(crate) fn check_running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} exited early ({status})", self.name),
        }
    }

    /// Stops the server and returns its exit status.
    pub(crate) fn stop(mut self) -> Result<ExitStatus> {
        stop(&mut self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if stop(&mut self.child).is_err() {
            // Drop cannot report a failure; killing is the last resort.
            let _ = self.child.kill();
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    #[test]
    fn a_failed_program_is_an_error_that_names_it() {
        assert_eq!(output(&mut shell("echo a; echo b")).expect("echo succeeds"), "a\nb\n");
        let error = run(&mut shell("exit 3")).expect_err("exit 3 is a failure").to_string();
        assert!(error.starts_with("sh -c exit 3 failed"), "{error}");
        assert!(run(&mut Command::new("no-such-program-anywhere")).is_err());
    }

    #[test]
    fn dropping_a_server_asks_it_to_stop() {
        let directory = tempfile::tempdir().expect("the system has room for a directory");
        let ended = directory.path().join("ended");
        let started = directory.path().join("started");
        let script = format!(
            "trap 'touch {}; exit 0' TERM; touch {}; while :; do sleep 0.01; done",
            ended.display(),
            started.display()
        );
        let mut server = Server::start(&mut shell(&script)).expect("sh starts");
        wait_until(Some(STOP_TIME_MAX), || Ok(started.exists().then_some(()))).expect("no interrupt").expect("started");
        server.check_running().expect("the script loops");
        drop(server);
        assert!(ended.exists(), "it was killed instead of asked to stop");
    }

    #[test]
    fn a_server_that_exits_early_is_reported() {
        let mut server = Server::start(&mut shell("exit 4")).expect("sh starts");
        let error = wait_until(Some(STOP_TIME_MAX), || Ok(server.check_running().err())).expect("no interrupt");
        assert!(error.expect("the script exits").to_string().contains("exited early"));
    }
}
