//! nats-server and hourlogd, for as long as somebody looks.

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
    place::{Place, Programs},
    process::{self, Server},
    say,
};

/// How long the servers may take until they answer.
const READY_TIME_MAX: Duration = Duration::from_secs(30);
/// How much of a server's own words an error repeats.
const LAST_LINES: usize = 10;
/// Where NATS clients look unless they are told otherwise.
const USUAL_PORT: u16 = 4222;

/// Both servers. They are stopped when this is dropped: first the service, then what it needs.
#[derive(Debug)]
pub(crate) struct Servers {
    /// Where NATS listens.
    pub url: String,
    hourlogd: Server,
    nats_server: Server,
    database: Option<Node>,
    logs: [PathBuf; 2],
    /// Held as long as the directory is used.
    _lock: File,
}

/// How to start them.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    /// nats-server.
    pub nats_server: &'a Path,
    /// hourlogd, and the command line to ask it with.
    pub programs: &'a Programs,
    /// Where they keep what they keep.
    pub directory: PathBuf,
    /// Whether to throw away what was kept there.
    pub fresh: bool,
    /// Whether to listen where clients look first, if that is free.
    pub usual_port: bool,
    /// Where the archive is.
    pub archive: &'a Archive,
}

/// Where the archive is.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Archive {
    /// The archive, as hourlogd takes it: file:DIR, memory:, cql://…; or cql, as --cql [default: file: below target]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// Start a database for the archive: Cassandra, or ScyllaDB in a container. It is thrown away in the end
    #[arg(long, value_name = "SERVER", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "cassandra", conflicts_with = "store")]
    cql: Option<Kind>,
}

impl Archive {
    /// The database to start, if one is to be.
    fn database(&self) -> Option<Kind> {
        self.cql.or_else(|| self.store.as_ref().is_some_and(|store| store == "cql").then_some(Kind::Cassandra))
    }
}

impl Servers {
    /// Starts both and returns once they answer.
    pub(crate) fn start(setup: &Setup) -> Result<Self> {
        let lock = lock(&setup.directory)?;
        if setup.fresh && setup.directory.exists() {
            fs::remove_dir_all(&setup.directory)?;
        }
        fs::create_dir_all(&setup.directory)?;
        let logs = ["nats-server.log", "hourlogd.log"].map(|name| setup.directory.join(name));

        let (nats_server, url) =
            start_nats_server(setup, &logs[0]).map_err(|error| with_last_lines(error, &logs[0]))?;
        let database = setup.archive.database().map(Node::start).transpose()?;
        let mut hourlogd = Command::new(&setup.programs.hourlogd);
        hourlogd.args(["--nats", &url, "--store"]);
        match (&database, &setup.archive.store) {
            (Some(node), _) => hourlogd.arg(format!("cql://{}/hourlog", node.login())).arg("--migrate"),
            (None, Some(store)) => hourlogd.arg(store),
            (None, None) => hourlogd.arg(format!("file:{}", setup.directory.join("archive").display())),
        };
        let hourlogd = Server::start(written_to(&mut hourlogd, &logs[1])?)?;
        let mut servers = Self { url, hourlogd, nats_server, database, logs, _lock: lock };
        servers.wait_until_ready(&setup.programs.hourlog)?;
        Ok(servers)
    }

    fn wait_until_ready(&mut self, hourlog: &Path) -> Result<()> {
        let ready = process::wait_until(Some(READY_TIME_MAX), || {
            self.still_run()?;
            let mut ls = Command::new(hourlog);
            ls.args(["ls", "-o", "ndjson", "--server", &self.url]).stdin(Stdio::null());
            let status = ls.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
            Ok(status.success().then_some(()))
        })?;
        ready.ok_or_else(|| {
            with_last_lines(anyhow!("hourlogd does not answer after {} s", READY_TIME_MAX.as_secs()), &self.logs[1])
        })
    }

    /// An error if one of them has ended by itself.
    pub(crate) fn still_run(&mut self) -> Result<()> {
        self.nats_server.still_runs().map_err(|error| with_last_lines(error, &self.logs[0]))?;
        self.hourlogd.still_runs().map_err(|error| with_last_lines(error, &self.logs[1]))
    }

    /// Returns when the user has had enough, which is no error, or a server has ended by itself, which is one.
    pub(crate) fn stay(&mut self) -> Result<()> {
        match process::wait_until(None, || self.still_run().map(|()| None::<()>)) {
            Err(error) if error.is::<process::Interrupted>() => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    /// Stops both, the service first.
    pub(crate) fn stop(self) -> Result<()> {
        let status = self.hourlogd.stop()?;
        if !status.success() {
            return Err(with_last_lines(anyhow!("hourlogd did not stop in order ({status})"), &self.logs[1]));
        }
        self.nats_server.stop()?;
        Ok(())
    }

    /// Lines that show how to reach them.
    pub(crate) fn how_to_reach(&self, hourlog: &Path) -> String {
        let Self { url, logs: [nats_server, hourlogd], .. } = self;
        let database = self.database.as_ref().map_or_else(String::new, |node| {
            format!("the database is cql://{}/hourlog, and thrown away in the end\n", node.login())
        });
        format!(
            "{database}nats-server listens at {url} (traces: {}, {})\n  \
             export NATS_URL={url} PATH=\"$PATH:{}\"\n  \
             hourlog ls\n  \
             hourlog pub orders.eu '{{\"id\":7}}' -H kind:paid\n  \
             hourlog read orders.eu -f\n  \
             nats req hourlog.replay.orders.eu '{{\"from\":\"first\",\"limit\":10}}'",
            Place::shown(nats_server),
            Place::shown(hourlogd),
            hourlog.parent().unwrap_or(hourlog).display()
        )
    }
}

fn start_nats_server(setup: &Setup, log: &Path) -> Result<(Server, String)> {
    let port = match TcpListener::bind(("127.0.0.1", USUAL_PORT)) {
        Ok(_) if setup.usual_port => USUAL_PORT.to_string(),
        Err(_) if setup.usual_port => {
            say::note(format_args!("port {USUAL_PORT} is taken; another one will do"));
            "-1".into()
        }
        _ => "-1".into(),
    };
    let ports = tempfile::tempdir()?;
    let mut nats_server = Command::new(setup.nats_server);
    nats_server.args(["-a", "127.0.0.1", "-p", &port, "-js", "-sd"]).arg(setup.directory.join("nats"));
    nats_server.arg("--ports_file_dir").arg(ports.path());
    let mut server = Server::start(written_to(&mut nats_server, log)?)?;
    // It says itself which port it got, so that nobody else can have taken it meanwhile.
    let suffix = format!("_{}.ports", server.id());
    let url = process::wait_until(Some(READY_TIME_MAX), || {
        server.still_runs()?;
        let mut files = fs::read_dir(ports.path())?.filter_map(Result::ok).map(|entry| entry.path());
        let Some(file) = files.find(|path| path.to_string_lossy().ends_with(&suffix)) else {
            return Ok(None);
        };
        // Half written, it is looked at again.
        let ports: Option<Value> = serde_json::from_str(&fs::read_to_string(file)?).ok();
        Ok(ports.and_then(|ports| ports["nats"][0].as_str().map(str::to_owned)))
    })?;
    let url = url.with_context(|| format!("nats-server does not listen after {} s", READY_TIME_MAX.as_secs()))?;
    Ok((server, url))
}

/// One at a time: two would throw away each other's files.
fn lock(directory: &Path) -> Result<File> {
    let path = directory.with_extension("lock");
    fs::create_dir_all(directory.parent().context("it lies in the target directory")?)?;
    let file = File::create(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            bail!("the servers of {} run already; stop them first", Place::shown(directory))
        }
        Err(fs::TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

fn written_to<'a>(command: &'a mut Command, log: &Path) -> Result<&'a mut Command> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    Ok(command.stdout(file.try_clone()?).stderr(file))
}

/// The error, after the last words of the server that it is about.
pub(crate) fn with_last_lines(error: anyhow::Error, log: &Path) -> anyhow::Error {
    if error.is::<process::Interrupted>() {
        return error;
    }
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    say::note(format_args!("-- {} ends with", Place::shown(log)));
    lines[lines.len().saturating_sub(LAST_LINES)..].iter().for_each(say::note);
    error
}
