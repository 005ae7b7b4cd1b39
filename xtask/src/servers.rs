//! nats-server and hourlogd for the demo and for `cargo xtask up`.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use crate::{
    cassandra::{Kind, Node},
    print,
    process::{self, Server},
    workspace::{Programs, Workspace},
};

/// Deadline for a started server to answer.
const READY_TIME_MAX: Duration = Duration::from_secs(30);
/// Lines of a server's log that an error shows.
const LAST_LINES: usize = 10;
/// Default port of NATS clients.
const DEFAULT_PORT: u16 = 4222;

/// Both servers. Dropping it stops the service first, then the servers it needs.
#[derive(Debug)]
pub(crate) struct Servers {
    /// URL of nats-server.
    pub url: String,
    hourlogd: Server,
    nats_server: Server,
    database: Option<Node>,
    logs: [PathBuf; 2],
    /// Held while the directory is in use.
    _lock: Lock,
}

/// Options to start the servers with.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    /// Path of nats-server.
    pub nats_server: &'a Path,
    /// hourlogd, and the command line that checks whether it is ready.
    pub programs: &'a Programs,
    /// Directory for data and logs.
    pub directory: PathBuf,
    /// Whether to delete the content of the directory first.
    pub empty: bool,
    /// Whether to listen on the default port of NATS if it is free.
    pub prefer_default_port: bool,
    /// Archive to start hourlogd with.
    pub archive: &'a Archive,
}

/// Options for the archive.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Archive {
    /// Archive, as for hourlogd: file:DIR, memory: or cql://… [default: file: in target]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// Start a database for the archive, and delete it at the end
    #[arg(long, value_name = "SERVER", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "cassandra", conflicts_with = "store")]
    cql: Option<Kind>,
}

impl Servers {
    /// Starts both servers and waits until they answer.
    pub(crate) fn start(setup: &Setup) -> Result<Self> {
        let lock = Lock::take(&setup.directory)?;
        if setup.empty && setup.directory.exists() {
            fs::remove_dir_all(&setup.directory)?;
        }
        fs::create_dir_all(&setup.directory)?;
        let logs = ["nats-server.log", "hourlogd.log"].map(|name| setup.directory.join(name));

        let (nats_server, url) =
            start_nats_server(setup, &logs[0]).map_err(|error| with_last_lines(error, &logs[0]))?;
        let database = setup.archive.cql.map(Node::start).transpose()?;
        let mut hourlogd = Command::new(&setup.programs.hourlogd);
        let store = match (&database, &setup.archive.store) {
            (Some(node), _) => {
                hourlogd.arg("--migrate");
                format!("cql://{}/hourlog", node.login())
            }
            (None, Some(store)) => store.clone(),
            (None, None) => format!("file:{}", setup.directory.join("archive").display()),
        };
        // Other users of the machine see the arguments of a process, but not its environment.
        hourlogd.args(["--nats", &url]).env("HOURLOG_STORE", store);
        let hourlogd = Server::start(log_output(&mut hourlogd, &logs[1])?)?;
        let mut servers = Self { url, hourlogd, nats_server, database, logs, _lock: lock };
        servers.wait_until_ready(&setup.programs.hourlog)?;
        Ok(servers)
    }

    fn wait_until_ready(&mut self, hourlog: &Path) -> Result<()> {
        let ready = process::wait_until(Some(READY_TIME_MAX), || {
            self.check_running()?;
            let mut ls = Command::new(hourlog);
            ls.args(["ls", "-o", "ndjson", "--server", &self.url]).stdin(Stdio::null());
            let status = ls.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
            Ok(status.success().then_some(()))
        })?;
        ready.ok_or_else(|| {
            with_last_lines(anyhow!("hourlogd did not answer within {} s", READY_TIME_MAX.as_secs()), &self.logs[1])
        })
    }

    /// Fails if one of the servers has exited.
    pub(crate) fn check_running(&mut self) -> Result<()> {
        self.nats_server.check_running().map_err(|error| with_last_lines(error, &self.logs[0]))?;
        self.hourlogd.check_running().map_err(|error| with_last_lines(error, &self.logs[1]))
    }

    /// Waits for Ctrl-C. Fails if a server exits before.
    pub(crate) fn wait_for_interrupt(&mut self) -> Result<()> {
        match process::wait_until(None, || self.check_running().map(|()| None::<()>)) {
            Err(error) if error.is::<process::Interrupted>() => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    /// Stops both servers, the service first.
    pub(crate) fn stop(self) -> Result<()> {
        let status = self.hourlogd.stop()?;
        if !status.success() {
            return Err(with_last_lines(anyhow!("hourlogd failed while stopping ({status})"), &self.logs[1]));
        }
        self.nats_server.stop()?;
        Ok(())
    }

    /// Returns lines that show how to use the servers.
    pub(crate) fn instructions(&self, hourlog: &Path) -> String {
        let Self { url, logs: [nats_server, hourlogd], .. } = self;
        let database = self.database.as_ref().map_or_else(String::new, |node| {
            format!("the database is cql://{}/hourlog; it is deleted at the end\n", node.login())
        });
        format!(
            "{database}nats-server listens at {url} (traces: {}, {})\n  \
             export NATS_URL={url} PATH=\"$PATH:{}\"\n  \
             hourlog ls\n  \
             hourlog pub orders.eu '{{\"id\":7}}' -H kind:paid\n  \
             hourlog read orders.eu -f\n  \
             nats req hourlog.replay.orders.eu '{{\"from\":\"first\",\"limit\":10}}'",
            Workspace::short_path(nats_server),
            Workspace::short_path(hourlogd),
            hourlog.parent().unwrap_or(hourlog).display()
        )
    }
}

fn start_nats_server(setup: &Setup, log: &Path) -> Result<(Server, String)> {
    let port = match TcpListener::bind(("127.0.0.1", DEFAULT_PORT)) {
        Ok(_) if setup.prefer_default_port => DEFAULT_PORT.to_string(),
        Err(_) if setup.prefer_default_port => {
            print::note(format_args!("port {DEFAULT_PORT} is in use; taking another one"));
            "-1".into()
        }
        _ => "-1".into(),
    };
    let ports = tempfile::tempdir()?;
    let mut nats_server = Command::new(setup.nats_server);
    nats_server.args(["-a", "127.0.0.1", "-p", &port, "-js", "-sd"]).arg(setup.directory.join("nats"));
    nats_server.arg("--ports_file_dir").arg(ports.path());
    let mut server = Server::start(log_output(&mut nats_server, log)?)?;
    // nats-server reports the port it got. Choosing a free one for it would leave time for others
    // to take it.
    let suffix = format!("_{}.ports", server.id());
    let url = process::wait_until(Some(READY_TIME_MAX), || {
        server.check_running()?;
        let mut files = fs::read_dir(ports.path())?.filter_map(Result::ok).map(|entry| entry.path());
        let Some(file) = files.find(|path| path.to_string_lossy().ends_with(&suffix)) else {
            return Ok(None);
        };
        // A half-written file does not parse; the next round reads it again.
        let ports: Option<Value> = serde_json::from_str(&fs::read_to_string(file)?).ok();
        Ok(ports.and_then(|ports| ports["nats"][0].as_str().map(str::to_owned)))
    })?;
    let url = url.with_context(|| format!("nats-server did not listen within {} s", READY_TIME_MAX.as_secs()))?;
    Ok((server, url))
}

/// The lock of a directory: two runs would delete each other's files.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl Lock {
    /// Locks the directory until it is dropped. Fails if another run holds it.
    pub(crate) fn take(directory: &Path) -> Result<Self> {
        let path = directory.with_extension("lock");
        fs::create_dir_all(directory.parent().context("the directory has no parent")?)?;
        let file = File::create(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(fs::TryLockError::WouldBlock) => {
                bail!("other servers already use {}; stop them first", Workspace::short_path(directory))
            }
            Err(fs::TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }
}

fn log_output<'a>(command: &'a mut Command, log: &Path) -> Result<&'a mut Command> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    Ok(command.stdout(file.try_clone()?).stderr(file))
}

/// Prints the last lines of a server's log, and returns the error.
pub(crate) fn with_last_lines(error: anyhow::Error, log: &Path) -> anyhow::Error {
    if error.is::<process::Interrupted>() {
        return error;
    }
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    print::note(format_args!("-- last lines of {}:", Workspace::short_path(log)));
    lines[lines.len().saturating_sub(LAST_LINES)..].iter().for_each(print::note);
    error
}
