//! Other programs: started, waited for, and stopped when this one is.

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

/// How often it is looked whether a program has ended, or the user has had enough.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a program may take to stop before it is killed.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);
/// What a program answers that the user interrupted.
const EXIT_INTERRUPTED: i32 = 130;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The user pressed Ctrl-C, or something asked this program to end.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl error::Error for Interrupted {}

/// From here on Ctrl-C ends what is waited for, and this program in order.
pub(crate) fn watch_interrupts() -> Result<()> {
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::SeqCst)).context("cannot listen for Ctrl-C")
}

/// Asks `ready` again and again until it answers something, the user interrupts or time is over.
pub(crate) fn wait_until<T>(
    time_max: Option<Duration>,
    mut ready: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let started = Instant::now();
    loop {
        if let Some(answer) = ready()? {
            return Ok(Some(answer));
        }
        if INTERRUPTED.load(Ordering::SeqCst) {
            bail!(Interrupted);
        }
        if time_max.is_some_and(|most| started.elapsed() >= most) {
            return Ok(None);
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Runs a program to its end, with the user's own terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let mut child = spawn(command)?;
    let status = wait(&mut child)?;
    succeeded(command, status)
}

/// Runs a program to its end and answers what it wrote to stdout.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let mut child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let mut stdout = child.stdout.take().expect("it was piped");
    let reader = thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let status = wait(&mut child)?;
    let text = reader.join().expect("reading does not panic");
    succeeded(command, status)?;
    text.with_context(|| format!("cannot read what {} wrote", name(command)))
}

fn spawn(command: &mut Command) -> Result<Child> {
    command.spawn().with_context(|| format!("cannot start {}", name(command)))
}

fn wait(child: &mut Child) -> Result<ExitStatus> {
    let status = wait_until(None, || Ok(child.try_wait()?));
    if status.is_err() {
        stop(child)?;
    }
    Ok(status?.expect("there was no deadline"))
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

/// Asks a program to end, and waits for it; a program that does not is killed.
fn stop(child: &mut Child) -> Result<ExitStatus> {
    if let Some(status) = child.try_wait()? {
        return Ok(status);
    }
    ask_to_end(child)?;
    let asked = Instant::now();
    while asked.elapsed() < STOP_TIME_MAX {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(LOOK_EVERY);
    }
    child.kill()?;
    Ok(child.wait()?)
}

#[cfg(unix)]
fn ask_to_end(child: &Child) -> Result<()> {
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };
    let id = i32::try_from(child.id()).context("a process id is an i32")?;
    Ok(kill(Pid::from_raw(id), Signal::SIGTERM)?)
}

#[cfg(not(unix))]
fn ask_to_end(child: &mut Child) -> Result<()> {
    Ok(child.kill()?)
}

/// A program that runs beside this one, and never longer.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    child: Child,
}

impl Server {
    /// Starts it, with its own place among the programs of the terminal: Ctrl-C reaches this program alone, which
    /// then stops its servers in the right order.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let child = spawn(command.stdin(Stdio::null()))?;
        Ok(Self { name: name(command), child })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// An error if it has ended by itself.
    pub(crate) fn still_runs(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended by itself ({status})", self.name),
        }
    }

    /// Stops it and answers how it ended.
    pub(crate) fn stop(mut self) -> Result<ExitStatus> {
        stop(&mut self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if stop(&mut self.child).is_err() {
            // It could not be asked. There is nobody left to tell.
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
    fn a_program_that_fails_is_an_error_that_names_it() {
        assert_eq!(output(&mut shell("echo a; echo b")).expect("it ends well"), "a\nb\n");
        let error = run(&mut shell("exit 3")).expect_err("it failed").to_string();
        assert!(error.starts_with("sh -c exit 3 failed"), "{error}");
        assert!(run(&mut Command::new("no-such-program-anywhere")).is_err());
    }

    #[test]
    fn a_server_ends_with_its_guard() {
        let directory = tempfile::tempdir().expect("a directory");
        let ended = directory.path().join("ended");
        let started = directory.path().join("started");
        let script = format!(
            "trap 'touch {}; exit 0' TERM; touch {}; while :; do sleep 0.01; done",
            ended.display(),
            started.display()
        );
        let mut server = Server::start(&mut shell(&script)).expect("it starts");
        wait_until(Some(STOP_TIME_MAX), || Ok(started.exists().then_some(()))).expect("no interrupt").expect("started");
        server.still_runs().expect("nobody stopped it");
        drop(server);
        assert!(ended.exists(), "it was killed instead of asked");
    }

    #[test]
    fn a_server_that_ends_by_itself_is_noticed() {
        let mut server = Server::start(&mut shell("exit 4")).expect("it starts");
        let error = wait_until(Some(STOP_TIME_MAX), || Ok(server.still_runs().err())).expect("no interrupt");
        assert!(error.expect("it ended").to_string().contains("ended by itself"));
    }
}
