//! A nats-server with JetStream, for one test.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::{
    files::{copy_directory, replace_directory},
    process::Process,
};

/// The version that is got where there is none.
const VERSION: &str = "2.15.2";
/// How often a restart on a port that somebody else has taken meanwhile is tried again.
const RESTARTS_MAX: usize = 20;

/// How a server is to be set up.
#[derive(Debug, Clone, Default)]
pub struct NatsOptions {
    /// The most bytes of a message; a mebibyte unless said otherwise.
    pub max_payload: Option<u64>,
    /// More lines of its configuration.
    pub config: String,
}

/// A running nats-server. It keeps its port and its directory over restarts, and is killed on drop.
#[derive(Debug)]
pub struct NatsServer {
    process: Process,
    port: u16,
    directory: TempDir,
}

impl NatsServer {
    /// Starts one with JetStream on, on a free port and an empty directory.
    ///
    /// # Panics
    /// Where there is no nats-server, with how to get one, and where it does not start, with what it said.
    pub async fn start() -> Self {
        Self::start_with(NatsOptions::default()).await
    }

    /// As [`NatsServer::start`], set up as `options` say.
    ///
    /// # Panics
    /// As [`NatsServer::start`].
    pub async fn start_with(options: NatsOptions) -> Self {
        let directory = TempDir::new().expect("a directory can be made");
        let mut config = format!("jetstream {{ store_dir: {:?} }}\n", directory.path().join("jetstream"));
        if let Some(bytes) = options.max_payload {
            config.push_str(&format!("max_payload: {bytes}\n"));
        }
        config.push_str(&options.config);
        std::fs::write(config_file(&directory), config).expect("the directory can be written to");
        // The server looks for a free port itself, and says which: no other test can be given the same one.
        let (process, port) = Process::start("nats-server", command(&directory, None), ready()).await;
        Self { process, port, directory }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where JetStream keeps its files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What it has said on stderr since it was started, by line.
    pub fn said(&self) -> Vec<String> {
        self.process.said()
    }

    /// Kills it as a crash does (SIGKILL). What it had acknowledged is in its directory.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Has it end in good order (SIGTERM), and waits until it has.
    ///
    /// # Panics
    /// Where it does not.
    pub async fn stop(&mut self) -> ExitStatus {
        self.process.signal(Signal::SIGTERM);
        self.process.wait().await
    }

    /// Starts it again on its port and its directory, after killing it if it runs.
    ///
    /// # Panics
    /// Where it does not start, with what it said.
    pub async fn restart(&mut self) {
        self.process.kill();
        let mut tries = 0;
        self.process = loop {
            match Process::try_start("nats-server", &mut command(&self.directory, Some(self.port)), ready()).await {
                Ok((process, _)) => break process,
                Err(why) => {
                    tries += 1;
                    assert!(why.contains("address already in use") && tries < RESTARTS_MAX, "{why}");
                }
            }
        };
    }

    /// Its files as they are at this moment: it is held while they are copied.
    ///
    /// # Panics
    /// Where they cannot be copied.
    pub fn snapshot(&mut self) -> TempDir {
        let copy = TempDir::new().expect("a directory can be made");
        self.pause();
        copy_directory(&self.store(), copy.path());
        self.resume();
        copy
    }

    /// Kills it and lets it start from files of before: what came since is lost.
    ///
    /// # Panics
    /// Where it does not start.
    pub async fn set_back(&mut self, snapshot: &TempDir) {
        self.kill();
        replace_directory(snapshot.path(), &self.store());
        self.restart().await;
    }

    fn store(&self) -> PathBuf {
        self.directory.path().join("jetstream")
    }

    /// Holds it (SIGSTOP): it answers nothing, its connections stay open.
    pub fn pause(&mut self) {
        self.process.signal(Signal::SIGSTOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&mut self) {
        self.process.signal(Signal::SIGCONT);
    }
}

fn config_file(directory: &TempDir) -> PathBuf {
    directory.path().join("nats.conf")
}

fn command(directory: &TempDir, port: Option<u16>) -> Command {
    let mut command = Command::new(nats_server_binary());
    command.arg("--config").arg(config_file(directory)).args(["--addr", "127.0.0.1", "--port"]);
    command.arg(port.map_or_else(|| "-1".to_owned(), |port| port.to_string()));
    command
}

/// Knows the line that says that the server is ready, and the port of an earlier one.
fn ready() -> impl Fn(&str) -> Option<u16> + Send + 'static {
    let port = std::cell::Cell::new(None);
    move |line| {
        if let Some((_, address)) = line.split_once("Listening for client connections on ") {
            port.set(address.rsplit_once(':').and_then(|(_, port)| port.trim().parse().ok()));
        }
        line.contains("Server is ready").then(|| port.get()).flatten()
    }
}

/// Where nats-server is: what `HOURLOG_NATS_SERVER` names, or the one on `PATH`, or the one that `cargo xtask test` got.
///
/// # Panics
/// Where there is none, with how to get one.
pub fn nats_server_binary() -> PathBuf {
    if let Some(named) = env::var_os("HOURLOG_NATS_SERVER") {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "HOURLOG_NATS_SERVER names {}, which is not there", named.display());
        return named;
    }
    let on_path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .map(|cache| cache.join(format!("hourlog/tools/nats-server-{VERSION}")));
    let found = on_path.into_iter().chain(cache).map(|directory| directory.join("nats-server"));
    found.into_iter().find(|file| file.is_file()).unwrap_or_else(|| {
        panic!(
            "no nats-server: run `cargo xtask test`, which gets version {VERSION}, put one on PATH, or name one in \
             HOURLOG_NATS_SERVER"
        )
    })
}
