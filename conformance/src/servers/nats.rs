//! A nats-server with JetStream, for one test.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::{
    disk::with_small_disk,
    files::{copy_directory, replace_directory},
    process::Process,
};

/// The version that `cargo xtask test` downloads.
const VERSION: &str = "2.15.2";
/// The most attempts to restart on a port that another process has taken.
const RESTARTS_MAX: usize = 20;

/// The settings of a server.
#[derive(Debug, Clone, Default)]
pub struct NatsOptions {
    /// The most bytes of a message; 1 MiB by default.
    pub max_payload: Option<u64>,
    /// Further lines of its configuration file.
    pub config: String,
    /// The size of the disk with the files of JetStream, if it has one of its own. Linux only; a restart
    /// finds it empty.
    pub disk_bytes: Option<u64>,
    /// True for a server without JetStream, unless `config` switches it on.
    pub without_jetstream: bool,
}

/// A running nats-server. Keeps its port and its directory over restarts, and is killed on drop.
#[derive(Debug)]
pub struct NatsServer {
    process: Process,
    port: u16,
    directory: TempDir,
    disk_bytes: Option<u64>,
}

impl NatsServer {
    /// Starts a server with JetStream, on a free port and an empty directory.
    ///
    /// # Panics
    /// If nats-server is not installed (the message says how to get it), or does not start.
    pub async fn start() -> Self {
        Self::start_with(NatsOptions::default()).await
    }

    /// As [`NatsServer::start`], with `options`.
    ///
    /// # Panics
    /// As [`NatsServer::start`].
    pub async fn start_with(options: NatsOptions) -> Self {
        let directory = TempDir::new().expect("a temporary directory can be created");
        let mut config = match options.without_jetstream {
            true => String::new(),
            false => {
                // With a limit far above a small disk, the disk is what gets full.
                let limit = options.disk_bytes.map_or("", |_| ", max_file_store: 1TB");
                format!("jetstream {{ store_dir: {:?}{limit} }}\n", store(&directory))
            }
        };
        if let Some(bytes) = options.max_payload {
            config.push_str(&format!("max_payload: {bytes}\n"));
        }
        config.push_str(&options.config);
        std::fs::write(config_file(&directory), config).expect("the test's own directory is writable");
        // The server picks a free port itself and logs it, so two tests never get the same one.
        let (process, port) =
            Process::start("nats-server", command(&directory, options.disk_bytes, None), ready()).await;
        Self { process, port, directory, disk_bytes: options.disk_bytes }
    }

    /// The URL of the server.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory with its configuration and the files of JetStream.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the lines of its stderr since the last start.
    pub fn stderr_lines(&self) -> Vec<String> {
        self.process.stderr_lines()
    }

    /// Kills the server as a crash does (SIGKILL). Its directory keeps everything that it had
    /// acknowledged.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Shuts the server down (SIGTERM), and waits until it has ended.
    ///
    /// # Panics
    /// If it does not end.
    pub async fn stop(&mut self) -> ExitStatus {
        self.process.signal(Signal::SIGTERM);
        self.process.wait().await
    }

    /// Restarts the server on its port and its directory. Kills it before if it is running.
    ///
    /// # Panics
    /// If it does not start; the message has its output.
    pub async fn restart(&mut self) {
        self.process.kill();
        let mut tries = 0;
        self.process = loop {
            let mut command = command(&self.directory, self.disk_bytes, Some(self.port));
            match Process::try_start("nats-server", &mut command, ready()).await {
                Ok((process, _)) => break process,
                Err(why) => {
                    tries += 1;
                    assert!(why.contains("address already in use") && tries < RESTARTS_MAX, "{why}");
                }
            }
        };
    }

    /// Copies the files of JetStream. The server is paused meanwhile.
    ///
    /// # Panics
    /// If the files cannot be copied.
    pub fn snapshot(&mut self) -> TempDir {
        let copy = TempDir::new().expect("a temporary directory can be created");
        self.pause();
        copy_directory(&self.store(), copy.path());
        self.resume();
        copy
    }

    /// Rolls the server back: kills it and restarts it from earlier files. Later messages are lost.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn roll_back(&mut self, snapshot: &TempDir) {
        self.kill();
        replace_directory(snapshot.path(), &self.store());
        self.restart().await;
    }

    fn store(&self) -> PathBuf {
        store(&self.directory)
    }

    /// Pauses the server (SIGSTOP). It answers nothing, and its connections stay open.
    pub fn pause(&mut self) {
        self.process.signal(Signal::SIGSTOP);
    }

    /// Resumes the server (SIGCONT).
    pub fn resume(&mut self) {
        self.process.signal(Signal::SIGCONT);
    }
}

fn config_file(directory: &TempDir) -> PathBuf {
    directory.path().join("nats.conf")
}

fn store(directory: &TempDir) -> PathBuf {
    directory.path().join("jetstream")
}

fn command(directory: &TempDir, disk_bytes: Option<u64>, port: Option<u16>) -> Command {
    let mut command = match disk_bytes {
        None => Command::new(nats_server_binary()),
        Some(bytes) => {
            std::fs::create_dir_all(store(directory)).expect("the test's own directory is writable");
            let wrapper = with_small_disk(&store(directory), bytes);
            let mut command = Command::new(&wrapper[0]);
            command.args(&wrapper[1..]).arg(nats_server_binary());
            command
        }
    };
    command.arg("--config").arg(config_file(directory)).args(["--addr", "127.0.0.1", "--port"]);
    command.arg(port.map_or_else(|| "-1".to_owned(), |port| port.to_string()));
    command
}

/// Returns a function that finds the port in the output. It returns the port once the server is
/// ready.
fn ready() -> impl Fn(&str) -> Option<u16> + Send + 'static {
    let port = std::cell::Cell::new(None);
    move |line| {
        if let Some((_, address)) = line.split_once("Listening for client connections on ") {
            port.set(address.rsplit_once(':').and_then(|(_, port)| port.trim().parse().ok()));
        }
        line.contains("Server is ready").then(|| port.get()).flatten()
    }
}

/// Returns the path of nats-server.
///
/// It is the value of `HOURLOG_NATS_SERVER`, or a program on `PATH`, or the download of `cargo
/// xtask test`.
///
/// # Panics
/// If there is none; the message says how to get one.
pub fn nats_server_binary() -> PathBuf {
    if let Some(named) = env::var_os("HOURLOG_NATS_SERVER") {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "HOURLOG_NATS_SERVER is {}, which does not exist", named.display());
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
            "nats-server not found: run `cargo xtask test`, which downloads version {VERSION}, put one on PATH, or set \
             HOURLOG_NATS_SERVER to its path"
        )
    })
}
