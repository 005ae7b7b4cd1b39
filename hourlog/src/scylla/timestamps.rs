//! Checks at start that the database takes seqs as write timestamps, and that its tables have them.
//!
//! No later request shows either: a guardrail that only warns is quiet, and a write to a reloaded
//! table succeeds without effect.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::future::join_all;
use scylla::{
    client::session::Session,
    cluster::Node,
    deserialize::row::DeserializeRow,
    policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy},
    statement::prepared::PreparedStatement,
    value::MaybeUnset,
};

use crate::{Error, ErrorKind, Result, Seq};

use super::{
    ScyllaUrl,
    errors::{request_error, unreadable},
    guardrail::Guardrail,
    values::BucketCounts,
};

/// A write without effect: its only column is unset. The database checks its timestamp all the
/// same.
const PROBE: &str = "UPDATE sources USING TIMESTAMP ? SET head = ? WHERE stream = ? AND slot = ?";
const NOT_WRITTEN: &str = "the database does not accept a write; check its health and try again";
/// The most rows that are read from a table.
const SAMPLE_ROWS: i32 = 100;
const SOURCES: &str = "SELECT checkpoint, WRITETIME(checkpoint) FROM sources LIMIT ?";
const BUCKETS: &str = "SELECT counts, WRITETIME(counts) FROM buckets PER PARTITION LIMIT 1 LIMIT ?";
const EVENTS: &str = "SELECT seq, WRITETIME(data) FROM events PER PARTITION LIMIT 1 LIMIT ?";

/// Checks the guardrails and a sample of each table. Returns warnings for the operator.
///
/// # Errors
/// - [`ErrorKind::Refused`] if a guardrail refuses seqs, or a table was reloaded with other
///   timestamps.
/// - [`ErrorKind::NotAllowed`] if the user may not read or write.
/// - [`ErrorKind::Unavailable`] if no node answers.
pub(super) async fn check(session: &Session, url: &ScyllaUrl) -> Result<Vec<String>> {
    let mut warnings = check_guardrails(session, url).await?;
    type SampledSource = (Option<(i64, i64, i64)>, Option<i64>);
    let sources = sample(session, SOURCES, |(checkpoint, written): SampledSource| Some((checkpoint?.0, written?)));
    let buckets = sample(session, BUCKETS, |(counts, written): (Option<BucketCounts>, Option<i64>)| {
        Some((counts?.counted_to(), written?))
    });
    let events = sample(session, EVENTS, |(seq, written): (i64, Option<i64>)| Some((seq, written?)));
    for (table, sampled) in [("sources", sources.await), ("buckets", buckets.await), ("events", events.await)] {
        match sampled {
            Ok(rows) if rows.iter().any(|(seq, written)| is_foreign(*seq, *written)) => {
                return Err(reloaded(&url.keyspace, table));
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotAllowed => return Err(error),
            // A big table may need longer than a request may take. It must not prevent a start.
            Err(error) => warnings.push(format!(
                "cannot read a sample of the table {table}, which would show whether it was reloaded with other write \
                 timestamps; restart once the database is healthy: {error}"
            )),
        }
    }
    Ok(warnings)
}

/// Probes every node, because each has settings of its own. Returns the warnings.
async fn check_guardrails(session: &Session, url: &ScyllaUrl) -> Result<Vec<String>> {
    let prepared = session.prepare(PROBE).await;
    let mut statement = prepared.map_err(|error| request_error(NOT_WRITTEN, error))?;
    statement.set_is_idempotent(true);
    let state = session.get_cluster_state();
    let is_used = |node: &&Arc<Node>| url.datacenter.is_none() || node.datacenter == url.datacenter;
    let nodes = state.get_nodes_info().iter().filter(is_used);
    let mut warnings = BTreeSet::new();
    let (mut answered, mut failed) = (false, None);
    for probed in join_all(nodes.map(|node| probe(session, &statement, node))).await {
        match probed {
            Ok(more) => {
                answered = true;
                warnings.extend(more);
            }
            Err(error) if error.kind() == ErrorKind::Unavailable => failed = Some(error),
            Err(error) => return Err(error),
        }
    }
    // Some nodes may be down.
    match failed {
        Some(error) if !answered => Err(error),
        _ => Ok(warnings.into_iter().collect()),
    }
}

/// Writes to one node. Returns its warnings.
async fn probe(session: &Session, statement: &PreparedStatement, node: &Arc<Node>) -> Result<Vec<String>> {
    let mut statement = statement.clone();
    let target = NodeIdentifier::Node(Arc::clone(node));
    statement.set_load_balancing_policy(Some(SingleTargetLoadBalancingPolicy::new(target, None)));
    // The smallest seq that is ever written.
    let values = (Seq::new(1, 1), MaybeUnset::<(i64, i64)>::Unset, "probe", 0);
    let answer = session.execute_unpaged(&statement, values).await;
    let answer = answer.map_err(|error| request_error(NOT_WRITTEN, error))?;
    Ok(answer.warnings().filter_map(Guardrail::named_in).map(Guardrail::warning).collect())
}

/// Reads the seqs of some rows, each with the write timestamp of the row.
async fn sample<R>(
    session: &Session,
    statement: &str,
    seq_and_timestamp: impl Fn(R) -> Option<(i64, i64)>,
) -> Result<Vec<(i64, i64)>>
where
    R: for<'f, 'm> DeserializeRow<'f, 'm>,
{
    let answer = session.query_unpaged(statement, (SAMPLE_ROWS,)).await;
    let answer = answer.map_err(|error| request_error("the database did not answer in time", error))?;
    let rows = answer.into_rows_result().map_err(|error| unreadable(&error))?;
    let rows = rows.rows::<R>().map_err(|error| unreadable(&error))?;
    let rows: std::result::Result<Vec<R>, _> = rows.collect();
    Ok(rows.map_err(|error| unreadable(&error))?.into_iter().filter_map(seq_and_timestamp).collect())
}

/// Returns true if a row was not written by an archive, which never writes with a timestamp above
/// the row's seq.
///
/// A row of the index that was not counted yet has no seq to compare with.
fn is_foreign(seq: i64, timestamp: i64) -> bool {
    seq > 0 && timestamp > seq
}

fn reloaded(keyspace: &str, table: &str) -> Error {
    let context = format!(
        "the table {table} of keyspace {keyspace} was reloaded with other write timestamps, so that new writes would \
         lose silently; drop the keyspace and move the archive with hourlog export and import, or with snapshots, \
         which keep the timestamps"
    );
    Error::new(ErrorKind::Refused, context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_above_the_seq_is_foreign() {
        let seq = Seq::new(3, 7).get();
        assert!(!is_foreign(seq, seq));
        assert!(!is_foreign(seq, Seq::new(1, 7).get()), "counts may lag behind their row");
        assert!(is_foreign(seq, 1_795_608_831_083_001), "the wall clock in microseconds");
        assert!(!is_foreign(Seq::MIN.get(), seq), "a bucket that was never counted");
    }
}
