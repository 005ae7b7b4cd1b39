//! The tables: creates and migrates them if allowed, and refuses tables of a newer version.

use std::time::Duration;

use scylla::{client::session::Session, cluster::metadata::Keyspace, serialize::row::SerializeRow};
use uuid::Uuid;

use crate::{Error, ErrorKind, Result};

use super::{
    ScyllaUrl,
    errors::{request_error, unreadable},
    session::was_applied,
};

/// The migration steps, in order. A released step is never changed; a change is another step.
const STEPS: [&str; 1] = [include_str!("../../../schema/cql/0001_tables.cql")];

/// The tables that the steps create.
const TABLES: [&str; 9] =
    ["events", "buckets", "eras", "arrivals", "logs", "sources", "epochs", "cursors", "properties"];
/// Columns that older versions did not have, with their tables.
const NEWER_COLUMNS: [(&str, &str); 3] = [("logs", "deleted_to"), ("cursors", "seq"), ("arrivals", "last_seq")];
/// The time after which the lock of an instance that creates tables expires.
const LOCK_SECONDS: i32 = 60;
/// The interval between retries while another instance creates tables.
const RETRY_EVERY: Duration = Duration::from_millis(200);
/// The most attempts at something that should succeed soon.
const TRIES_MAX: usize = 50;

/// The compaction of events, as each database calls it.
///
/// Cassandra merges eight tables at once instead of four. Events that are read together were mostly
/// written together and lie in few tables, so merging less often costs readers little.
const COMPACTIONS: [&str; 2] =
    ["'class': 'UnifiedCompactionStrategy', 'scaling_parameters': 'T8'", "'class': 'IncrementalCompactionStrategy'"];

const VERSION_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS schema_version (one int PRIMARY KEY, version int, migrating uuid)";
const READ_VERSION: &str = "SELECT version FROM schema_version WHERE one = 1";
// All three are transactions: of several instances that start at once, one creates the tables.
const LOCK: &str = "UPDATE schema_version USING TTL ? SET migrating = ? WHERE one = 1 IF migrating = null";
const RECORD: &str = "UPDATE schema_version SET version = ? WHERE one = 1 IF migrating = ?";
const UNLOCK: &str = "UPDATE schema_version SET migrating = null WHERE one = 1 IF migrating = ?";

/// Creates the keyspace and the tables if they are missing and `migrate` is true.
///
/// # Errors
/// - [`ErrorKind::NotFound`] if something is missing and `migrate` is false, or a table was
///   dropped.
/// - [`ErrorKind::Refused`] if the tables are newer than this version, or there are fewer nodes
///   than copies.
pub(super) async fn prepare(session: &Session, url: &ScyllaUrl, migrate: bool) -> Result<()> {
    let keyspace = &url.keyspace;
    if session.get_cluster_state().get_keyspace(keyspace).is_none() {
        if !migrate {
            let context =
                format!("keyspace {keyspace} does not exist; start once with --migrate to create it, or name another");
            return Err(Error::new(ErrorKind::NotFound, context));
        }
        create_keyspace(session, url).await?;
    }
    // Another instance may be creating it at this moment.
    let tries = if migrate { TRIES_MAX } else { 1 };
    retry(tries, async || {
        let used = session.use_keyspace(keyspace, false).await;
        used.map_err(|error| {
            request_error(
                &format!("cannot use the keyspace {keyspace}; check it and the permissions of the user"),
                error,
            )
        })
    })
    .await?;
    let version = retry(tries, async || version(session, keyspace).await).await?;
    match usize::try_from(version).unwrap_or(usize::MAX) {
        version if version == STEPS.len() => check_tables(session, keyspace),
        version if version > STEPS.len() => Err(Error::new(
            ErrorKind::Refused,
            format!(
                "the tables of {keyspace} have version {version}, and this program knows {}; start a newer one",
                STEPS.len()
            ),
        )),
        _ if !migrate => Err(Error::new(
            ErrorKind::NotFound,
            format!("the tables of {keyspace} are missing or old; start once with --migrate to create them"),
        )),
        _ => migrate_with_lock(session).await,
    }
}

async fn create_keyspace(session: &Session, url: &ScyllaUrl) -> Result<()> {
    let state = session.get_cluster_state();
    let nodes = state.get_nodes_info();
    if url.replication as usize > nodes.len() {
        let count = nodes.len();
        let context =
            format!("cannot keep {} copies on {count} nodes; use replication={count}, or add nodes", url.replication);
        return Err(Error::new(ErrorKind::Refused, context));
    }
    // Both names were checked when the address was parsed, so they are safe to format in.
    let factor = url.datacenter.as_deref().unwrap_or("replication_factor");
    let statement = format!(
        "CREATE KEYSPACE IF NOT EXISTS {} WITH replication = {{'class': 'NetworkTopologyStrategy', '{factor}': {}}}",
        url.keyspace, url.replication
    );
    // Only ScyllaDB has shards. Some of its versions have no transactions in a keyspace with
    // tablets, and older ones do not know the word.
    if nodes.iter().any(|node| node.sharder().is_some())
        && run(session, &format!("{statement} AND tablets = {{'enabled': false}}")).await.is_ok()
    {
        return Ok(());
    }
    run(session, &statement).await
}

/// Returns the number of steps that were applied.
async fn version(session: &Session, keyspace: &str) -> Result<i32> {
    let state = session.get_cluster_state();
    let has_table = state.get_keyspace(keyspace).is_some_and(|known| known.tables.contains_key("schema_version"));
    if has_table { stored_version(session).await } else { Ok(0) }
}

/// Reads the number of steps that were applied.
async fn stored_version(session: &Session) -> Result<i32> {
    let answer = session.query_unpaged(READ_VERSION, ()).await;
    let context = "cannot read the version of the tables; check the database and try again";
    let answer = answer.map_err(|error| request_error(context, error))?;
    let rows = answer.into_rows_result().map_err(|error| unreadable(&error))?;
    let row = rows.maybe_first_row::<(Option<i32>,)>().map_err(|error| unreadable(&error))?;
    Ok(row.and_then(|(version,)| version).unwrap_or(0))
}

/// Applies the missing steps, or waits until another instance has done so.
async fn migrate_with_lock(session: &Session) -> Result<()> {
    // Of two instances that create one table at once, one may get an error, or not see it for a
    // moment.
    retry(TRIES_MAX, async || run(session, VERSION_TABLE).await).await?;
    let own = Uuid::new_v4();
    loop {
        let done = retry(TRIES_MAX, async || stored_version(session).await).await?;
        let done = usize::try_from(done).unwrap_or(0);
        if done >= STEPS.len() {
            return Ok(());
        }
        if !retry(TRIES_MAX, async || decide(session, LOCK, (LOCK_SECONDS, own)).await).await? {
            tokio::time::sleep(RETRY_EVERY).await;
            continue;
        }
        // Another instance may have migrated and unlocked since the version was read.
        let done = usize::try_from(stored_version(session).await?).unwrap_or(0);
        for (step, text) in STEPS.iter().enumerate().skip(done) {
            for statement in statements(text) {
                run(session, &statement).await?;
            }
            if step == 0 {
                choose_compaction(session).await;
            }
            let version = i32::try_from(step + 1).expect("the number of steps fits an i32");
            if !decide(session, RECORD, (version, own)).await? {
                let context = "another instance took over the migration; start again";
                return Err(Error::new(ErrorKind::Unavailable, context));
            }
        }
        decide(session, UNLOCK, (own,)).await?;
    }
}

/// Sets the compaction of events by density, if the database supports it.
///
/// Not part of the steps, because each database has its own name for it.
async fn choose_compaction(session: &Session) {
    for compaction in COMPACTIONS {
        if run(session, &format!("ALTER TABLE events WITH compaction = {{{compaction}}}")).await.is_ok() {
            return;
        }
    }
}

/// Retries an attempt that another instance may block while it creates tables.
async fn retry<T>(tries: usize, mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    for _ in 1..tries {
        match attempt().await {
            Err(error) if error.kind() == ErrorKind::Unavailable => tokio::time::sleep(RETRY_EVERY).await,
            done => return done,
        }
    }
    attempt().await
}

/// Runs a transaction, and returns true if it was applied.
async fn decide(session: &Session, statement: &str, values: impl SerializeRow) -> Result<bool> {
    let answer = session.query_unpaged(statement, values).await;
    let answer = answer.map_err(|error| {
        request_error("cannot create the tables; check the database and the permissions of the user", error)
    })?;
    was_applied(answer.into_rows_result().ok())
}

/// Checks that all tables of the current version exist.
fn check_tables(session: &Session, keyspace: &str) -> Result<()> {
    let state = session.get_cluster_state();
    let known = state.get_keyspace(keyspace);
    check_columns(known, keyspace)?;
    let is_missing = |table: &&str| known.is_some_and(|known| !known.tables.contains_key(*table));
    let missing: Vec<&str> = TABLES.into_iter().filter(is_missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let context = format!(
        "keyspace {keyspace} lacks these tables: {}; restore them from a backup, or name another keyspace",
        missing.join(", ")
    );
    Err(Error::new(ErrorKind::NotFound, context))
}

/// Refuses tables of a version whose columns had other names.
fn check_columns(known: Option<&Keyspace>, keyspace: &str) -> Result<()> {
    let tables = known.map(|known| &known.tables);
    let lacks = |(table, column): (&str, &str)| {
        tables.and_then(|tables| tables.get(table)).is_some_and(|table| !table.columns.contains_key(column))
    };
    if !NEWER_COLUMNS.into_iter().any(lacks) {
        return Ok(());
    }
    let context = format!(
        "the tables of {keyspace} are those of an older version; export its logs with that version, and import them into \
         a new keyspace"
    );
    Err(Error::new(ErrorKind::Refused, context))
}

/// Returns the statements of a step, without its comments.
fn statements(step: &str) -> Vec<String> {
    let lines = step.lines().map(|line| line.split("--").next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join("\n");
    text.split(';').map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}

async fn run(session: &Session, statement: &str) -> Result<()> {
    let done = session.query_unpaged(statement, ()).await;
    done.map(drop).map_err(|error| {
        request_error("cannot create the tables; check the database and the permissions of the user", error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_consists_of_create_statements() {
        let all: Vec<String> = STEPS.iter().flat_map(|step| statements(step)).collect();
        assert_eq!(all.len(), 10);
        assert!(all.iter().all(|statement| statement.starts_with("CREATE ")), "{all:?}");
    }
}
