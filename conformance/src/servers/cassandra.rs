//! A Cassandra node for one test, which may kill it.

use std::sync::Arc;

use cassandra_node::{Cassandra, POLL_INTERVAL, Place, Programs, READY_TIME_MAX, USER};
use scylla::{client::session_builder::SessionBuilder, policies::host_filter::AllowListHostFilter};
use tempfile::TempDir;

use super::files::{copy_directory, replace_directory};

/// Limit of the starts of a node whose port is taken.
const STARTS_MAX: usize = 5;
/// The text with which Cassandra ends if its port is taken.
const PORT_TAKEN: &str = "Failed to bind port";

/// A running node. Keeps its port and its directory over restarts, and is killed on drop.
#[derive(Debug)]
pub struct CassandraNode(Cassandra);

impl CassandraNode {
    /// Starts a node on an empty directory, and waits until it answers.
    ///
    /// # Panics
    /// If Cassandra is not installed (the message says how to get it), or does not start.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// As [`CassandraNode::start`], with additional lines in `cassandra.yaml`.
    ///
    /// # Panics
    /// As [`CassandraNode::start`].
    pub async fn start_with(settings: &str) -> Self {
        Self::start_at(Place::alone().expect("ports are free"), settings).await
    }

    /// As [`CassandraNode::start_with`], at a given place.
    ///
    /// # Panics
    /// As [`CassandraNode::start`].
    pub async fn start_at(place: Place, settings: &str) -> Self {
        let programs = Programs::from_environment().expect("the programs for a node of the test's own are known");
        let mut node = Self(Cassandra::start_at(&programs, place, settings).expect("Cassandra starts"));
        node.wait().await;
        node
    }

    /// Restarts the node with other additional lines in `cassandra.yaml`.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart_with(&mut self, settings: &str) {
        self.0.configure(settings).expect("the settings can be written");
        self.kill();
        self.start_again().await;
    }

    /// Returns its address, as `host:port`.
    pub fn address(&self) -> String {
        self.0.address()
    }

    /// Returns its user, password and address: the part of a URL between `cql://` and the keyspace.
    pub(super) fn login(&self) -> String {
        self.0.login()
    }

    /// Returns its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Returns the number of other nodes that it can reach now.
    pub fn live_peers(&self) -> usize {
        self.0.live_peers()
    }

    /// Returns the URL of the keyspace `name`, as `hourlogd` accepts it.
    pub fn url(&self, name: &str) -> String {
        format!("cql://{}/{name}", self.login())
    }

    /// Returns the URL of the keyspace `name` with TLS.
    pub fn tls_url(&self, name: &str) -> String {
        format!("{}?tls={}", self.url(name), self.0.authority().display())
    }

    /// Kills the node as a crash does (SIGKILL).
    ///
    /// # Panics
    /// If the process cannot be waited for.
    pub fn kill(&mut self) {
        self.0.kill().expect("the test's own process can be killed");
    }

    /// Pauses the node (SIGSTOP).
    ///
    /// # Panics
    /// If it has ended.
    pub fn pause(&mut self) {
        self.0.pause().expect("the node is running");
    }

    /// Resumes the node (SIGCONT).
    ///
    /// # Panics
    /// If it has ended.
    pub fn resume(&mut self) {
        self.0.resume().expect("the node is running");
    }

    /// Starts the killed node again, and waits until it answers.
    ///
    /// # Panics
    /// If it does not; the message has its output.
    pub async fn start_again(&mut self) {
        self.0.start_again().expect("Cassandra starts");
        self.wait().await;
    }

    /// Copies the files of the node. It is paused meanwhile.
    ///
    /// # Panics
    /// If the files cannot be copied.
    pub fn snapshot(&mut self) -> TempDir {
        let copy = TempDir::new().expect("a temporary directory can be created");
        self.pause();
        copy_directory(&self.0.data_directory(), copy.path());
        self.resume();
        copy
    }

    /// Rolls the node back: kills it and restarts it from earlier files. Later writes are lost.
    ///
    /// Waits until it answers.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn roll_back(&mut self, snapshot: &TempDir) {
        self.kill();
        replace_directory(snapshot.path(), &self.0.data_directory());
        self.start_again().await;
    }

    async fn wait(&mut self) {
        let ready = tokio::time::timeout(READY_TIME_MAX, async {
            let mut starts_left = STARTS_MAX;
            loop {
                match self.0.ready() {
                    Ok(true) if self.answers().await => return,
                    // A client that tried to connect meanwhile may have got the node's port as its own.
                    Err(error) if starts_left > 0 && error.to_string().contains(PORT_TAKEN) => {
                        starts_left -= 1;
                        self.0.start_again().expect("Cassandra starts");
                    }
                    state => drop(state.expect("Cassandra starts")),
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        });
        if ready.await.is_err() {
            panic!("Cassandra does not answer after {READY_TIME_MAX:?}:\n{}", self.0.last_log_lines());
        }
    }

    /// Returns true if a login succeeds. The first one after a start can take longer than a client
    /// waits, because the JVM is cold.
    async fn answers(&self) -> bool {
        // Other nodes of the cluster may be down or paused.
        let only_this = AllowListHostFilter::new([self.address()]).expect("the address is one of this machine");
        let builder =
            SessionBuilder::new().known_node(self.address()).user(USER, USER).host_filter(Arc::new(only_this));
        builder.connection_timeout(READY_TIME_MAX).build().await.is_ok()
    }
}
