//! The tables: made when that is allowed, and never touched where a newer version has made them.

use std::time::Duration;

use scylla::{client::session::Session, serialize::row::SerializeRow};
use uuid::Uuid;

use crate::{Error, ErrorKind, Result};

use super::{ScyllaUrl, applied, unavailable};

/// The steps, in order. What has been applied once is never changed: there are steps to come.
const STEPS: [&str; 1] = [include_str!("../../../schema/cql/0001_tables.cql")];

/// The tables that the steps make.
const TABLES: [&str; 8] = ["events", "buckets", "eras", "arrivals", "logs", "sources", "epochs", "cursors"];
/// For how long one instance has the others wait while it makes tables; after that another one may.
const LOCK_SECONDS: i32 = 60;
/// How often those who wait look.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often they look for what should be there at once.
const LOOKS_MAX: usize = 50;

/// How events are compacted, in each database's words. Cassandra merges eight tables at once, where four are its default: what is
/// read together was mostly written together, and lies in few tables however many there are, so that merging less costs no reader much.
const COMPACTIONS: [&str; 2] =
    ["'class': 'UnifiedCompactionStrategy', 'scaling_parameters': 'T8'", "'class': 'IncrementalCompactionStrategy'"];

const VERSION_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS schema_version (one int PRIMARY KEY, version int, migrating uuid)";
const READ_VERSION: &str = "SELECT version FROM schema_version WHERE one = 1";
// All of them transactions: of instances that start at once, one makes the tables.
const LOCK: &str = "UPDATE schema_version USING TTL ? SET migrating = ? WHERE one = 1 IF migrating = null";
const RECORD: &str = "UPDATE schema_version SET version = ? WHERE one = 1 IF migrating = ?";
const UNLOCK: &str = "UPDATE schema_version SET migrating = null WHERE one = 1 IF migrating = ?";

/// Makes the keyspace and the tables where they are not there, if `migrate` allows it.
///
/// # Errors
/// [`ErrorKind::NotFound`] where something has to be made and may not, or is missing, [`ErrorKind::Refused`] where the database is newer
/// than this version, or has fewer nodes than there are to be copies.
pub(super) async fn prepare(session: &Session, url: &ScyllaUrl, migrate: bool) -> Result<()> {
    let keyspace = &url.keyspace;
    if session.get_cluster_state().get_keyspace(keyspace).is_none() {
        if !migrate {
            let context =
                format!("there is no keyspace {keyspace}; start once with --migrate, which makes it, or name another");
            return Err(Error::new(ErrorKind::NotFound, context));
        }
        make_keyspace(session, url).await?;
    }
    // Made by another instance at this moment, it may not be there yet.
    let tries = if migrate { LOOKS_MAX } else { 1 };
    patiently(tries, async || {
        let used = session.use_keyspace(keyspace, false).await;
        used.map_err(|error| unavailable(&format!("the keyspace {keyspace} cannot be used"), error))
    })
    .await?;
    let version = patiently(tries, async || version(session, keyspace).await).await?;
    match usize::try_from(version).unwrap_or(usize::MAX) {
        version if version == STEPS.len() => check_tables(session, keyspace),
        version if version > STEPS.len() => Err(Error::new(
            ErrorKind::Refused,
            format!(
                "the tables of {keyspace} are of version {version}, and this program knows {}; start a newer one",
                STEPS.len()
            ),
        )),
        _ if !migrate => Err(Error::new(
            ErrorKind::NotFound,
            format!("the tables of {keyspace} are not there, or old; start once with --migrate, which makes them"),
        )),
        _ => migrate_alone(session).await,
    }
}

async fn make_keyspace(session: &Session, url: &ScyllaUrl) -> Result<()> {
    let state = session.get_cluster_state();
    let nodes = state.get_nodes_info();
    if url.replication as usize > nodes.len() {
        let count = nodes.len();
        let context =
            format!("{} copies cannot lie on {count} nodes; give replication={count}, or add nodes", url.replication);
        return Err(Error::new(ErrorKind::Refused, context));
    }
    // Both names are checked when the address is read, and nothing else comes from outside.
    let place = url.datacenter.as_deref().unwrap_or("replication_factor");
    let statement = format!(
        "CREATE KEYSPACE IF NOT EXISTS {} WITH replication = {{'class': 'NetworkTopologyStrategy', '{place}': {}}}",
        url.keyspace, url.replication
    );
    // ScyllaDB, by its shards. Where a keyspace has tablets, some of its versions have no transactions; older ones do not know the word.
    if nodes.iter().any(|node| node.sharder().is_some())
        && run(session, &format!("{statement} AND tablets = {{'enabled': false}}")).await.is_ok()
    {
        return Ok(());
    }
    run(session, &statement).await
}

/// How many steps have been applied.
async fn version(session: &Session, keyspace: &str) -> Result<i32> {
    let state = session.get_cluster_state();
    let has_table = state.get_keyspace(keyspace).is_some_and(|known| known.tables.contains_key("schema_version"));
    if has_table { stored_version(session).await } else { Ok(0) }
}

async fn stored_version(session: &Session) -> Result<i32> {
    let unread = |error: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Unavailable, format!("the version of the tables cannot be read: {error}"))
    };
    let answer = session.query_unpaged(READ_VERSION, ()).await.map_err(|error| unread(&error))?;
    let rows = answer.into_rows_result().map_err(|error| unread(&error))?;
    let row = rows.maybe_first_row::<(Option<i32>,)>().map_err(|error| unread(&error))?;
    Ok(row.and_then(|(version,)| version).unwrap_or(0))
}

/// Applies the steps that are missing, or waits until another instance has.
async fn migrate_alone(session: &Session) -> Result<()> {
    // Of two who make one table at once, one may be told that it cannot be done, or not see it for a moment.
    patiently(LOOKS_MAX, async || run(session, VERSION_TABLE).await).await?;
    let own = Uuid::new_v4();
    loop {
        let done = patiently(LOOKS_MAX, async || stored_version(session).await).await?;
        let done = usize::try_from(done).unwrap_or(0);
        if done >= STEPS.len() {
            return Ok(());
        }
        if !patiently(LOOKS_MAX, async || decide(session, LOCK, (LOCK_SECONDS, own)).await).await? {
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        // Somebody else may have made them, and unlocked, since the version was read.
        let done = usize::try_from(stored_version(session).await?).unwrap_or(0);
        for (step, text) in STEPS.iter().enumerate().skip(done) {
            for statement in statements(text) {
                run(session, &statement).await?;
            }
            if step == 0 {
                choose_compaction(session).await;
            }
            let version = i32::try_from(step + 1).expect("there are few steps");
            if !decide(session, RECORD, (version, own)).await? {
                let context = "another instance has begun to make the tables meanwhile; start again";
                return Err(Error::new(ErrorKind::Unavailable, context));
            }
        }
        decide(session, UNLOCK, (own,)).await?;
    }
}

/// Has events compacted by density, where the database can: it is no part of the tables, for each database calls it otherwise.
async fn choose_compaction(session: &Session) {
    for compaction in COMPACTIONS {
        if run(session, &format!("ALTER TABLE events WITH compaction = {{{compaction}}}")).await.is_ok() {
            return;
        }
    }
}

/// Tries again, some times, what an instance that makes tables at this moment may be in the way of.
async fn patiently<T>(tries: usize, mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    for _ in 1..tries {
        match attempt().await {
            Err(error) if error.kind() == ErrorKind::Unavailable => tokio::time::sleep(LOOK_EVERY).await,
            done => return done,
        }
    }
    attempt().await
}

/// Whether a transaction was applied.
async fn decide(session: &Session, statement: &str, values: impl SerializeRow) -> Result<bool> {
    let answer = session.query_unpaged(statement, values).await;
    let answer = answer.map_err(|error| unavailable("the tables cannot be made", error))?;
    applied(answer.into_rows_result().ok())
}

/// Sees that all tables are there that the version speaks of.
fn check_tables(session: &Session, keyspace: &str) -> Result<()> {
    let state = session.get_cluster_state();
    let known = state.get_keyspace(keyspace);
    let is_missing = |table: &&str| known.is_some_and(|known| !known.tables.contains_key(*table));
    let missing: Vec<&str> = TABLES.into_iter().filter(is_missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let context = format!(
        "of the tables of {keyspace} some are missing: {}; put them back from a copy, or name another keyspace",
        missing.join(", ")
    );
    Err(Error::new(ErrorKind::NotFound, context))
}

/// The statements of a step, without its comments.
fn statements(step: &str) -> Vec<String> {
    let lines = step.lines().map(|line| line.split("--").next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join("\n");
    text.split(';').map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}

async fn run(session: &Session, statement: &str) -> Result<()> {
    let done = session.query_unpaged(statement, ()).await;
    done.map(drop).map_err(|error| unavailable("the tables cannot be made", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_are_statements() {
        let all: Vec<String> = STEPS.iter().flat_map(|step| statements(step)).collect();
        assert_eq!(all.len(), 9);
        assert!(all.iter().all(|statement| statement.starts_with("CREATE ")), "{all:?}");
    }
}
