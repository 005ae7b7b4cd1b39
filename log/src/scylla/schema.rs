//! The tables: made when that is allowed, and never touched where a newer version has made them.

use scylla::client::session::Session;

use crate::{Error, ErrorKind, Result};

use super::{ScyllaUrl, unavailable};

/// The steps, in order. What has been applied once is never changed: there are steps to come.
const STEPS: [&str; 1] = [include_str!("../../../schema/cql/0001_tables.cql")];

/// Makes the keyspace and the tables where they are not there, if `migrate` allows it.
///
/// # Errors
/// [`ErrorKind::NotFound`] where something has to be made and may not, [`ErrorKind::Refused`] where the database is newer than this
/// version, or has fewer nodes than there are to be copies.
pub(super) async fn prepare(session: &Session, url: &ScyllaUrl, migrate: bool) -> Result<()> {
    let keyspace = &url.keyspace;
    let known = session.get_cluster_state().get_keyspace(keyspace).is_some();
    if !known {
        if !migrate {
            let context =
                format!("there is no keyspace {keyspace}; start once with --migrate, which makes it, or name another");
            return Err(Error::new(ErrorKind::NotFound, context));
        }
        make_keyspace(session, url).await?;
    }
    session
        .use_keyspace(keyspace, false)
        .await
        .map_err(|error| unavailable(&format!("the keyspace {keyspace} cannot be used"), error))?;
    let version = version(session, keyspace).await?;
    match usize::try_from(version).unwrap_or(usize::MAX) {
        version if version == STEPS.len() => Ok(()),
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
        done => {
            for (step, text) in STEPS.iter().enumerate().skip(done) {
                apply(session, text).await?;
                let record = "INSERT INTO schema_version (one, version) VALUES (1, ?)";
                let version = i32::try_from(step + 1).expect("there are few steps");
                session
                    .query_unpaged(record, (version,))
                    .await
                    .map_err(|error| unavailable("the tables cannot be made", error))?;
            }
            Ok(())
        }
    }
}

async fn make_keyspace(session: &Session, url: &ScyllaUrl) -> Result<()> {
    let nodes = session.get_cluster_state().get_nodes_info().len();
    if url.replication as usize > nodes {
        let context =
            format!("{} copies cannot lie on {nodes} nodes; give replication={nodes}, or add nodes", url.replication);
        return Err(Error::new(ErrorKind::Refused, context));
    }
    // Both names are checked when the address is read, and nothing else comes from outside.
    let place = url.datacenter.as_deref().unwrap_or("replication_factor");
    let statement = format!(
        "CREATE KEYSPACE IF NOT EXISTS {} WITH replication = {{'class': 'NetworkTopologyStrategy', '{place}': {}}}",
        url.keyspace, url.replication
    );
    run(session, &statement).await
}

/// How many steps have been applied.
async fn version(session: &Session, keyspace: &str) -> Result<i32> {
    let state = session.get_cluster_state();
    let has_table = state.get_keyspace(keyspace).is_some_and(|known| known.tables.contains_key("schema_version"));
    if !has_table {
        return Ok(0);
    }
    let answer = session.query_unpaged("SELECT version FROM schema_version WHERE one = 1", ()).await;
    let rows = answer
        .map_err(|error| unavailable("the version of the tables cannot be read", error))?
        .into_rows_result()
        .map_err(|error| unavailable("the version of the tables cannot be read", error))?;
    let row = rows
        .maybe_first_row::<(i32,)>()
        .map_err(|error| unavailable("the version of the tables cannot be read", error))?;
    Ok(row.map_or(0, |(version,)| version))
}

async fn apply(session: &Session, step: &str) -> Result<()> {
    run(session, "CREATE TABLE IF NOT EXISTS schema_version (one int PRIMARY KEY, version int)").await?;
    for statement in statements(step) {
        run(session, &statement).await?;
    }
    Ok(())
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
