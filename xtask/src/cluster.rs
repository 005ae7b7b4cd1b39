//! Three of each server on one machine, for `cargo xtask up --cluster`. A server that ends is started again.

use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use cassandra_node::{Cassandra, Place, READY_TIME_MAX as NODE_READY_TIME_MAX, free_ports};

use crate::{
    cassandra, print,
    process::{self, Server},
    servers::{Lock, with_last_lines},
    workspace::{Programs, Workspace},
};

/// Number of servers of each kind: a quorum of them survives the failure of one.
const COUNT: u8 = 3;
/// Deadline for a server other than Cassandra to be ready. The first hourlogd creates the tables on every node.
const READY_TIME_MAX: Duration = Duration::from_secs(120);
/// Deadline for a part of a reply over HTTP. The service gives each check of its health a second.
const HTTP_TIME_MAX: Duration = Duration::from_secs(5);
/// Time after which an ended server is started again: long enough to watch the others work without it.
const RESTART_DELAY: Duration = Duration::from_secs(20);
/// Keyspace of the archive.
const KEYSPACE: &str = "hourlog";

/// All servers. Dropping it stops hourlogd first, then the servers it needs.
#[derive(Debug)]
pub(crate) struct Cluster {
    instances: Vec<Member>,
    nats_servers: Vec<Member>,
    nodes: Vec<Node>,
    directory: PathBuf,
    /// URLs of all nats-servers, separated by commas.
    urls: String,
    http_ports: [u16; COUNT as usize],
    /// Held while the directory is in use.
    _lock: Lock,
}

/// A server that is started again with the same command.
#[derive(Debug)]
struct Member {
    name: String,
    command: Command,
    server: Server,
    log: PathBuf,
    ended: Option<Instant>,
}

/// A node of the database, which is started again too.
#[derive(Debug)]
struct Node {
    name: String,
    cassandra: Cassandra,
    ended: Option<Instant>,
}

impl Cluster {
    /// Starts all servers, and waits until each hourlogd is ready. Deletes the content of `directory` before.
    pub(crate) fn start(nats_server: &Path, programs: &Programs, directory: PathBuf) -> Result<Self> {
        let lock = Lock::take(&directory)?;
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
        // Fails at once if an address is missing, before anything is started.
        let places = Place::in_cluster(COUNT)?;
        let (nats_servers, urls) = start_nats_servers(nats_server, &directory)?;
        let nodes = start_nodes(&places)?;
        let http_ports = free_ports(&[Ipv4Addr::LOCALHOST])?;
        let mut cluster = Self { instances: Vec::new(), nats_servers, nodes, directory, urls, http_ports, _lock: lock };
        for (number, port) in (1..).zip(http_ports) {
            cluster.start_instance(&programs.hourlogd, number, port)?;
        }
        Ok(cluster)
    }

    fn start_instance(&mut self, hourlogd: &Path, number: usize, port: u16) -> Result<()> {
        let mut command = Command::new(hourlogd);
        command.args(["--nats", &self.urls, "--wal-replicas", &COUNT.to_string(), "--migrate"]);
        command.arg("--store").arg(format!("cql://{}/{KEYSPACE}?replication={COUNT}", self.contact_points()));
        command.args(["--http", &format!("127.0.0.1:{port}")]);
        let instance = Member::start(format!("hourlogd {number}"), command, &self.directory)?;
        self.instances.push(instance);
        let instance = self.instances.last_mut().expect("it was pushed above");
        instance.wait_until(|| Ok(answers_ok(port, "/readyz")))
    }

    /// Waits for Ctrl-C. Meanwhile, starts servers again that have ended.
    pub(crate) fn wait_for_interrupt(&mut self) -> Result<()> {
        let waited = process::wait_until(None, || {
            for member in self.instances.iter_mut().chain(&mut self.nats_servers) {
                member.keep_running()?;
            }
            self.nodes.iter_mut().try_for_each(Node::keep_running)?;
            Ok(None::<()>)
        });
        match waited {
            Err(error) if error.is::<process::Interrupted>() => Ok(()),
            other => other.map(drop),
        }
    }

    /// Stops all servers: hourlogd first.
    pub(crate) fn stop(self) -> Result<()> {
        for instance in self.instances.into_iter().filter(|instance| instance.ended.is_none()) {
            let status = instance.server.stop()?;
            if !status.success() {
                let error = anyhow!("{} failed while stopping ({status})", instance.name);
                return Err(with_last_lines(error, &instance.log));
            }
        }
        self.nats_servers.into_iter().try_for_each(|member| member.server.stop().map(drop))
    }

    /// Returns lines that show how to use the servers.
    pub(crate) fn instructions(&self, hourlog: &Path) -> String {
        let Self { urls, http_ports, .. } = self;
        let mut lines = vec!["The servers, their processes and where to see more:".to_owned()];
        for (instance, port) in self.instances.iter().zip(http_ports) {
            lines.push(format!("{}  http://127.0.0.1:{port}/readyz", instance.described()));
        }
        lines.extend(self.nats_servers.iter().map(Member::described));
        lines.extend(self.nodes.iter().map(Node::described));
        let (first, node) = (&self.instances[0], &self.nodes[1]);
        lines.push(format!(
            "The database is {}, without a login (cqlsh {}; keyspace {KEYSPACE})\n\
             To use them:\n  \
             export NATS_URL={urls} PATH=\"$PATH:{}\"\n  \
             hourlog doctor\n  \
             hourlog pub orders.eu '{{\"id\":7}}' -H kind:paid\n  \
             hourlog read orders.eu -f\n\
             To see them survive a failure; each is started again after {} s:\n  \
             kill -9 {}    # {}\n  \
             kill -9 {}    # {}\n\
             Everything is deleted at the next start.",
            self.contact_points(),
            node.cassandra.address().replace(':', " "),
            hourlog.parent().unwrap_or(hourlog).display(),
            RESTART_DELAY.as_secs(),
            first.server.id(),
            first.name,
            node.cassandra.id(),
            node.name,
        ));
        lines.join("\n")
    }

    /// Returns the addresses of all nodes of the database, separated by commas.
    fn contact_points(&self) -> String {
        self.nodes.iter().map(|node| node.cassandra.address()).collect::<Vec<_>>().join(",")
    }
}

impl Member {
    fn start(name: String, mut command: Command, directory: &Path) -> Result<Self> {
        let log = directory.join(format!("{}.log", name.replace(' ', "-")));
        print::note(format_args!("starting {name} of {COUNT}: {}", Workspace::short_path(&log)));
        let file = OpenOptions::new().create(true).append(true).open(&log);
        let file = file.with_context(|| format!("cannot write {}", log.display()))?;
        command.stdout(file.try_clone()?).stderr(file);
        let server = Server::start(&mut command)?;
        Ok(Self { name, command, server, log, ended: None })
    }

    /// Calls `ready` until it returns true. Fails if the server ends or takes too long.
    fn wait_until(&mut self, mut ready: impl FnMut() -> Result<bool>) -> Result<()> {
        let waited = process::wait_until(Some(READY_TIME_MAX), || {
            self.server.check_running()?;
            Ok(ready()?.then_some(()))
        });
        let late = || anyhow!("{} is not ready after {} s", self.name, READY_TIME_MAX.as_secs());
        waited.and_then(|ready| ready.ok_or_else(late)).map_err(|error| with_last_lines(error, &self.log))
    }

    fn keep_running(&mut self) -> Result<()> {
        let has_ended = self.server.check_running().is_err();
        if is_restart_due(&self.name, has_ended, &mut self.ended) {
            self.server = Server::start(&mut self.command)?;
            print::note(format_args!("started {} again, as process {}", self.name, self.server.id()));
        }
        Ok(())
    }

    fn described(&self) -> String {
        format!("  {:<14} {:>7}  {}", self.name, self.server.id(), Workspace::short_path(&self.log))
    }
}

impl Node {
    fn keep_running(&mut self) -> Result<()> {
        let has_ended = self.cassandra.has_ended()?;
        if is_restart_due(&self.name, has_ended, &mut self.ended) {
            self.cassandra.start_again()?;
            print::note(format_args!("started {} again, as process {}", self.name, self.cassandra.id()));
        }
        Ok(())
    }

    fn described(&self) -> String {
        format!("  {:<14} {:>7}  {}", self.name, self.cassandra.id(), self.cassandra.log_path().display())
    }
}

/// Notes when a server has ended, and returns true once it is time to start it again.
fn is_restart_due(name: &str, has_ended: bool, ended: &mut Option<Instant>) -> bool {
    match *ended {
        None if has_ended => {
            print::note(format_args!("{name} has ended; it is started again in {} s", RESTART_DELAY.as_secs()));
            *ended = Some(Instant::now());
            false
        }
        Some(at) if at.elapsed() >= RESTART_DELAY => {
            *ended = None;
            true
        }
        _ => false,
    }
}

/// Starts the nats-servers, and waits until they have elected a leader of JetStream. Returns their URLs too.
fn start_nats_servers(nats_server: &Path, directory: &Path) -> Result<(Vec<Member>, String)> {
    // For clients, for the other servers and for the check of their health.
    let [ports, route_ports, http_ports]: [[u16; COUNT as usize]; 3] = three_each()?;
    let urls = |ports: &[u16]| {
        let urls = ports.iter().map(|port| format!("nats://127.0.0.1:{port}"));
        urls.collect::<Vec<_>>().join(",")
    };
    let mut servers = Vec::new();
    for number in 0..usize::from(COUNT) {
        let name = format!("nats-server {}", number + 1);
        let mut command = Command::new(nats_server);
        command.args(["--addr", "127.0.0.1", "--port", &ports[number].to_string()]);
        command.args(["--http_port", &http_ports[number].to_string(), "--name", &name.replace(' ', "-")]);
        command.args(["--jetstream", "--store_dir"]).arg(directory.join(format!("nats-{}", number + 1)));
        command.args(["--cluster_name", "hourlog", "--cluster", &urls(&route_ports[number..=number])]);
        command.args(["--routes", &urls(&route_ports)]);
        servers.push(Member::start(name, command, directory)?);
    }
    for (server, port) in servers.iter_mut().zip(http_ports) {
        server.wait_until(|| Ok(answers_ok(port, "/healthz")))?;
    }
    Ok((servers, urls(&ports)))
}

fn three_each() -> Result<[[u16; COUNT as usize]; 3]> {
    let ports: [u16; 9] = free_ports(&[Ipv4Addr::LOCALHOST])?;
    Ok([0, 3, 6].map(|from| [ports[from], ports[from + 1], ports[from + 2]]))
}

/// Starts the nodes one after the other, and waits until each reaches all others.
fn start_nodes(places: &[Place]) -> Result<Vec<Node>> {
    let programs = cassandra::programs()?;
    let mut nodes: Vec<Node> = Vec::new();
    for (number, place) in (1..).zip(places) {
        let cassandra = Cassandra::start_at(&programs, *place, "")?;
        print::note(format_args!(
            "starting Cassandra {number} of {COUNT} on {}; it takes some seconds",
            cassandra.address()
        ));
        nodes.push(Node { name: format!("Cassandra {number}"), cassandra, ended: None });
        let node = &mut nodes.last_mut().expect("it was pushed above").cassandra;
        let ready = process::wait_until(Some(NODE_READY_TIME_MAX), || Ok(node.ready()?.then_some(())))?;
        ready.with_context(|| format!("Cassandra did not answer:\n{}", node.last_log_lines()))?;
    }
    print::note("waiting until the nodes of Cassandra reach each other");
    let whole = process::wait_until(Some(NODE_READY_TIME_MAX), || {
        let whole = nodes.iter().all(|node| node.cassandra.live_peers() + 1 == places.len());
        Ok(whole.then_some(()))
    })?;
    whole.context("the nodes of Cassandra do not reach each other")?;
    Ok(nodes)
}

/// Returns true if a GET request for `path` on this machine is answered with 200.
fn answers_ok(port: u16, path: &str) -> bool {
    let status = || {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), HTTP_TIME_MAX)?;
        stream.set_read_timeout(Some(HTTP_TIME_MAX))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; "HTTP/1.1 200".len()];
        stream.read_exact(&mut status)?;
        Ok::<_, std::io::Error>(status)
    };
    status().is_ok_and(|status| status == *b"HTTP/1.1 200")
}
