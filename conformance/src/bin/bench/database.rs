//! A Cassandra node for the rows that need a database, started by the first of them.

use std::cell::Cell;

use cassandra_node::{Cassandra, POLL_INTERVAL, Programs, READY_TIME_MAX, USER};
use conformance::guards::empty;
use hourlog::{Scylla, store::ScyllaUrl};
use scylla::client::session::Session;
use tokio::sync::OnceCell;

use crate::{
    client::{Database, MAKE_TABLE},
    machine::cpu_of,
    note::note,
    run::Run,
};

/// The rounds that are not counted: the database needs time until its hot code is compiled.
pub(crate) const WARM_UPS: u64 = 4;
/// The same in a quick run.
pub(crate) const WARM_UPS_QUICK: u64 = 1;

/// The node, once a row has asked for it.
#[derive(Debug, Default)]
pub(crate) struct LazyNode {
    node: OnceCell<Cassandra>,
    keyspaces: Cell<u64>,
}

/// A keyspace with the tables of an archive, and the table of the bare driver.
#[derive(Debug)]
pub(crate) struct Keyspace {
    pub database: Database,
    url: ScyllaUrl,
    address: String,
    session: Session,
}

impl LazyNode {
    /// Creates a keyspace, on a node that is started if there is none.
    ///
    /// # Panics
    /// If the node does not start; the message has its output.
    pub(crate) async fn keyspace(&self) -> Keyspace {
        self.keyspace_at(None).await
    }

    /// As [`LazyNode::keyspace`]; its archive reaches the node at another address.
    pub(crate) async fn keyspace_at(&self, address: Option<&str>) -> Keyspace {
        let node = self.node.get_or_init(start).await;
        self.keyspaces.set(self.keyspaces.get() + 1);
        let name = format!("bench_{}", self.keyspaces.get());
        let url: ScyllaUrl =
            format!("cql://{}/{name}", node.login()).parse().expect("the benchmark's own URL is valid");
        // Creates the keyspace and the tables.
        drop(Scylla::open(&url, true).await.expect("the database answers"));
        let (user, password) = (USER.to_owned(), USER.to_owned());
        let database = Database { address: node.address(), user, password, keyspace: name };
        let session = database.connect().await;
        session.query_unpaged(MAKE_TABLE, ()).await.expect("the table can be created");
        let address = address.map_or_else(|| node.address(), str::to_owned);
        Keyspace { database, url, address, session }
    }

    /// Adds the processor time of the node to that of a run.
    pub(crate) async fn beside(&self, run: impl Future<Output = Run>) -> Run {
        let process = self.node.get_or_init(start).await.id();
        let before = cpu_of(process);
        let mut run = run.await;
        run.cpu.push(("cassandra", cpu_of(process) - before));
        run
    }

    /// The address of the node.
    pub(crate) async fn address(&self) -> String {
        self.node.get_or_init(start).await.address()
    }
}

async fn start() -> Cassandra {
    note("   starting Cassandra");
    let programs = Programs::from_environment().expect("cargo xtask bench names the programs");
    let mut node = Cassandra::start(&programs).expect("Cassandra starts");
    let ready = tokio::time::timeout(READY_TIME_MAX, async {
        while !node.ready().expect("Cassandra starts") {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    });
    ready.await.unwrap_or_else(|_| panic!("Cassandra does not answer"));
    node
}

impl Keyspace {
    /// The archive in it, as the service gets it on its command line.
    pub(crate) fn store(&self) -> String {
        format!("cql://{}:{}@{}/{}", self.database.user, self.database.password, self.address, self.url.keyspace)
    }

    /// Opens the archive in it.
    pub(crate) async fn open(&self) -> Scylla {
        Scylla::open(&self.url, false).await.expect("the database answers")
    }

    /// Empties the tables of the archive.
    pub(crate) async fn empty_archive(&self) {
        empty(&self.session, &self.url.keyspace).await;
    }

    /// Empties the table of the bare driver.
    pub(crate) async fn empty_bare_table(&self) {
        self.session.query_unpaged("TRUNCATE bare_events", ()).await.expect("the database empties the table");
    }

    /// Deletes it.
    pub(crate) async fn remove(self) {
        let statement = format!("DROP KEYSPACE {}", self.url.keyspace);
        self.session.query_unpaged(statement, ()).await.expect("the database drops it");
    }
}

/// Returns the name and the version of the database, if its programs are known.
pub(crate) fn version() -> Option<String> {
    let libraries = std::fs::read_dir(Programs::from_environment().ok()?.libraries).ok()?;
    libraries.filter_map(Result::ok).find_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let version = name.strip_prefix("cassandra-all-")?.strip_suffix(".jar")?;
        Some(format!("Apache Cassandra {version}"))
    })
}
