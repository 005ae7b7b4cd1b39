//! The archive in a CQL database: a keyspace of its own in the one that `cargo xtask test` has started.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use futures_util::future::try_join_all;
use hourlog::{Archive, Scylla, ScyllaUrl, Store, system_clock};
use scylla::client::{session::Session, session_builder::SessionBuilder};

use crate::guard::{Guard, StoreGuard};

/// Names the node to use, as `host:port` or `user:password@host:port`.
const VARIABLE: &str = "HOURLOG_CQL";

/// The tables that hold something.
const TABLES: [&str; 8] = ["events", "buckets", "eras", "arrivals", "logs", "sources", "epochs", "cursors"];

/// Keyspaces that tests have done with: to empty one is quicker than to make one.
static DONE_WITH: Mutex<Vec<ScyllaUrl>> = Mutex::new(Vec::new());

/// An archive in a keyspace that is the test's own for as long as this lives.
#[derive(Debug)]
pub struct InKeyspace {
    archive: Archive<Scylla>,
    url: ScyllaUrl,
}

/// An empty archive.
///
/// # Panics
/// Where no database is named, with how to get one, and where it does not answer.
pub async fn scylla() -> InKeyspace {
    let done_with = DONE_WITH.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let url = match done_with {
        Some(url) => {
            empty(&session(&url).await, &url.keyspace).await;
            url
        }
        None => new_keyspace().parse().expect("it is well formed"),
    };
    let store = Scylla::open(&url, true).await.expect("the database answers");
    InKeyspace { archive: Archive::new(store, system_clock), url }
}

/// The address of a keyspace that is not there yet.
///
/// # Panics
/// Where no database is named, with how to get one.
pub fn new_keyspace() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let node = std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!("{VARIABLE} names no database; `cargo xtask test` starts one, or name the host:port of a node")
    });
    let (process, number) = (std::process::id(), NUMBER.fetch_add(1, Relaxed));
    format!("cql://{node}/test_{process}_{number}")
}

/// A session of the bare driver's with the database at `url`, to look at what is there.
///
/// # Panics
/// Where it does not answer.
pub async fn session(url: &ScyllaUrl) -> Session {
    let mut builder = SessionBuilder::new().known_nodes(&url.nodes);
    if let Some((name, password)) = &url.user {
        builder = builder.user(name, password);
    }
    builder.build().await.expect("the database answers")
}

/// Takes out what was written to the tables of a keyspace.
///
/// # Panics
/// Where the database does not do it.
pub async fn empty(session: &Session, keyspace: &str) {
    let truncate = |table| session.query_unpaged(format!("TRUNCATE {keyspace}.{table}"), ());
    try_join_all(TABLES.map(truncate)).await.expect("the database empties them");
}

impl Drop for InKeyspace {
    fn drop(&mut self) {
        DONE_WITH.lock().unwrap_or_else(PoisonError::into_inner).push(self.url.clone());
    }
}

impl Guard for InKeyspace {
    type Events = Archive<Scylla>;

    fn events(&self) -> &Archive<Scylla> {
        &self.archive
    }

    async fn restart(mut self) -> Self {
        // As a service does before it stops: what is counted behind is written.
        self.store().settle().await.expect("the database answers");
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
