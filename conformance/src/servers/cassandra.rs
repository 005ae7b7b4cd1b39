//! A CQL server for one test, that may be killed: Cassandra.

use cassandra_node::{Cassandra, LOOK_EVERY, Programs, READY_TIME_MAX};
use tempfile::TempDir;

use super::files::{copy_directory, replace_directory};

/// A running node. It keeps its port and its directory over restarts, and is killed on drop.
#[derive(Debug)]
pub struct CassandraNode(Cassandra);

impl CassandraNode {
    /// Starts one on an empty directory, and returns when it answers.
    ///
    /// # Panics
    /// Where nobody has said what to start, with how to, and where it does not start, with what it said.
    pub async fn start() -> Self {
        let programs = Programs::told().expect("a test that kills a database starts one of its own");
        let mut node = Self(Cassandra::start(&programs).expect("Cassandra starts"));
        node.wait().await;
        node
    }

    /// Its address with the keyspace `name`, as `hourlogd` takes it.
    pub fn url(&self, name: &str) -> String {
        format!("cql://{}/{name}", self.0.login())
    }

    /// The same, to be talked to by TLS.
    pub fn tls_url(&self, name: &str) -> String {
        format!("{}?tls={}", self.url(name), self.0.authority().display())
    }

    /// Kills it as a crash does (SIGKILL).
    ///
    /// # Panics
    /// Where it cannot be waited for.
    pub fn kill(&mut self) {
        self.0.kill().expect("it can be killed");
    }

    /// Holds it (SIGSTOP).
    ///
    /// # Panics
    /// Where it has ended.
    pub fn pause(&mut self) {
        self.0.pause().expect("it runs");
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Panics
    /// Where it has ended.
    pub fn resume(&mut self) {
        self.0.resume().expect("it runs");
    }

    /// Starts it again after it was killed, and returns when it answers.
    ///
    /// # Panics
    /// Where it does not, with what it said.
    pub async fn start_again(&mut self) {
        self.0.start_again().expect("Cassandra starts");
        self.wait().await;
    }

    /// Its files as they are at this moment: it is held while they are copied.
    ///
    /// # Panics
    /// Where they cannot be copied.
    pub fn snapshot(&mut self) -> TempDir {
        let copy = TempDir::new().expect("a directory can be made");
        self.pause();
        copy_directory(&self.0.kept(), copy.path());
        self.resume();
        copy
    }

    /// Kills it and lets it start from files of before: what came since is lost. Returns when it answers.
    ///
    /// # Panics
    /// Where it does not start.
    pub async fn set_back(&mut self, snapshot: &TempDir) {
        self.kill();
        replace_directory(snapshot.path(), &self.0.kept());
        self.start_again().await;
    }

    async fn wait(&mut self) {
        let ready = tokio::time::timeout(READY_TIME_MAX, async {
            while !self.0.ready().expect("Cassandra starts") {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        if ready.await.is_err() {
            panic!("Cassandra does not answer after {READY_TIME_MAX:?}:\n{}", self.0.said_last());
        }
    }
}
