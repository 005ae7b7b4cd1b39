//! A CQL server for one test, that may be killed: Cassandra.

use std::{env, path::PathBuf};

use cassandra_node::{Cassandra, LOOK_EVERY, Programs, READY_TIME_MAX};
use tempfile::TempDir;

/// Names the directory with Cassandra's libraries.
const LIBRARIES_VARIABLE: &str = "HOURLOG_CASSANDRA";
/// Names the Java that it runs on.
const JAVA_VARIABLE: &str = "HOURLOG_JAVA";

/// A running node. It keeps its port and its directory over restarts, and is killed on drop.
#[derive(Debug)]
pub struct CassandraNode(Cassandra);

impl CassandraNode {
    /// Starts one on an empty directory, and returns when it answers.
    ///
    /// # Panics
    /// Where nobody has said what to start, with how to, and where it does not start, with what it said.
    pub async fn start() -> Self {
        let path = |name| env::var_os(name).map(PathBuf::from);
        let (Some(java), Some(libraries)) = (path(JAVA_VARIABLE), path(LIBRARIES_VARIABLE)) else {
            panic!(
                "a test that kills a database starts one of its own: run `cargo xtask test`, which gets Cassandra and names it in {LIBRARIES_VARIABLE} and {JAVA_VARIABLE}"
            );
        };
        let mut node = Self(Cassandra::start(&Programs { java, libraries }).expect("Cassandra starts"));
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

    /// Its files as they are at this moment.
    ///
    /// # Panics
    /// Where they cannot be copied.
    pub fn snapshot(&mut self) -> TempDir {
        self.0.snapshot().expect("its files can be copied")
    }

    /// Kills it and lets it start from files of before: what came since is lost. Returns when it answers.
    ///
    /// # Panics
    /// Where it does not start.
    pub async fn set_back(&mut self, snapshot: &TempDir) {
        self.kill();
        self.0.set_back(snapshot).expect("its files can be replaced");
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
