//! The archive in a CQL database: a keyspace of its own on the node that `cargo xtask test` starts.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use futures_util::future::try_join_all;
use hourlog::{
    Archive, Scylla,
    store::{ScyllaUrl, Store},
    time::system_clock,
};
use scylla::client::{session::Session, session_builder::SessionBuilder};

use crate::guard::{Guard, StoreGuard};

/// The environment variable with the node to use, as `host:port` or `user:password@host:port`.
const VARIABLE: &str = "HOURLOG_CQL";

/// The tables of an archive.
const TABLES: [&str; 9] =
    ["events", "buckets", "eras", "arrivals", "logs", "sources", "epochs", "cursors", "properties"];

/// Keyspaces to reuse: emptying one is faster than creating one.
static UNUSED_KEYSPACES: Mutex<Vec<ScyllaUrl>> = Mutex::new(Vec::new());

/// An archive in a keyspace that no other test uses until this is dropped.
#[derive(Debug)]
pub struct InKeyspace {
    archive: Archive<Scylla>,
    url: ScyllaUrl,
}

/// Opens an empty archive.
///
/// # Panics
/// If `HOURLOG_CQL` is not set (the message says how to start a database), or the database does not
/// answer.
pub async fn scylla() -> InKeyspace {
    let unused = UNUSED_KEYSPACES.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let url = match unused {
        Some(url) => {
            empty(&session(&url).await, &url.keyspace).await;
            url
        }
        None => new_keyspace().parse().expect("the test's own URL is valid"),
    };
    let store = Scylla::open(&url, true).await.expect("the database answers");
    InKeyspace { archive: Archive::new(store, system_clock), url }
}

/// Returns the URL of a keyspace that does not exist yet.
///
/// # Panics
/// If `HOURLOG_CQL` is not set; the message says how to start a database.
pub fn new_keyspace() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let node = std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!("{VARIABLE} is not set: run `cargo xtask test`, or set it to the host:port of a node")
    });
    let (process, number) = (std::process::id(), NUMBER.fetch_add(1, Relaxed));
    format!("cql://{node}/test_{process}_{number}")
}

/// Opens a session of the driver with the database at `url`, for looking at its tables directly.
///
/// # Panics
/// If the database does not answer.
pub async fn session(url: &ScyllaUrl) -> Session {
    let mut builder = SessionBuilder::new().known_nodes(&url.nodes);
    if let Some((name, password)) = &url.user {
        builder = builder.user(name, password);
    }
    builder.build().await.expect("the database answers")
}

/// Counts that the database keeps for each table of a keyspace.
#[derive(Debug)]
pub struct TableCounts {
    session: Session,
    keyspace: String,
}

impl TableCounts {
    /// The counts of the archive at `url`.
    ///
    /// # Panics
    /// If the database does not answer.
    pub async fn of(url: &ScyllaUrl) -> Self {
        Self { session: session(url).await, keyspace: url.keyspace.clone() }
    }

    /// Returns how often a partition of `table` was read.
    ///
    /// # Panics
    /// If the database does not answer.
    pub async fn reads(&self, table: &str) -> i64 {
        self.count("local_read_latency", table).await
    }

    /// Returns how often a partition of `table` was written.
    ///
    /// # Panics
    /// If the database does not answer.
    pub async fn writes(&self, table: &str) -> i64 {
        self.count("local_write_latency", table).await
    }

    async fn count(&self, latencies: &str, table: &str) -> i64 {
        let statement =
            format!("SELECT count FROM system_views.{latencies} WHERE keyspace_name = ? AND table_name = ?");
        let rows = self.session.query_unpaged(statement, (&self.keyspace, table)).await.expect("the database answers");
        rows.into_rows_result().expect("the statement returns rows").single_row::<(i64,)>().expect("a count").0
    }
}

/// Empties the tables of a keyspace.
///
/// # Panics
/// If the database does not do it.
pub async fn empty(session: &Session, keyspace: &str) {
    let truncate = |table| session.query_unpaged(format!("TRUNCATE {keyspace}.{table}"), ());
    try_join_all(TABLES.map(truncate)).await.expect("the database empties the tables");
}

impl InKeyspace {
    /// Returns the URL of the keyspace.
    pub fn url(&self) -> &ScyllaUrl {
        &self.url
    }
}

impl Drop for InKeyspace {
    fn drop(&mut self) {
        UNUSED_KEYSPACES.lock().unwrap_or_else(PoisonError::into_inner).push(self.url.clone());
    }
}

impl Guard for InKeyspace {
    type Events = Archive<Scylla>;

    fn events(&self) -> &Archive<Scylla> {
        &self.archive
    }

    async fn restart(mut self) -> Self {
        // As the service does before it stops: this brings the counts up to date.
        self.store().flush().await.expect("the database answers");
        let store = Scylla::open(&self.url, false).await.expect("the database answers");
        self.archive = Archive::new(store, system_clock);
        self
    }
}

impl StoreGuard for InKeyspace {
    type Store = Scylla;

    fn store(&self) -> &Scylla {
        self.archive.store()
    }
}
