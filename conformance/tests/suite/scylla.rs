//! The archive in a CQL database, compared with the archive in memory.

use conformance::{
    guard::log_id,
    guards::{scylla as open, session},
    kit::at,
    properties,
    rows::{self, RowSource},
    servers::CassandraNode,
    store_properties,
};
use hourlog::{
    Archive, Memory, Scylla, Seq,
    read::{Query, page},
    store::{ScyllaUrl, Store},
    time::{DAY, HOUR, system_clock},
};
use scylla::client::session::Session;

conformance::suite!(open);
conformance::store_suite!(open);

/// The number of random sequences, and of random logs: few, because each takes long over CQL.
const CASES: u32 = 12;

#[test]
fn random_operations_match_the_memory_archive() {
    properties::random_operations(open, &Archive::new(Memory::new(), system_clock), CASES);
}

#[test]
fn random_rows_match_a_list() {
    store_properties::random_rows(open, CASES);
}

/// The hours of a year.
const HOURS: i64 = 8_760;
/// The statements for reading one page of the index, and the rows of such a page.
const INDEX: (i64, i64) = (3, 256);

/// The database itself counts the statements; no other test uses it.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_takes_one_statement_per_bucket_and_those_of_the_index() {
    let node = CassandraNode::start().await;
    let url: ScyllaUrl = node.url("counted").parse().expect("the test's own URL is valid");
    let store = Scylla::open(&url, true).await.expect("the database answers");
    let session = session(&url).await;
    for (every, events) in [(HOUR, HOURS), (365 * DAY, 2)] {
        let log = format!("every.{}", every / HOUR).parse().expect("the test's own id is valid");
        let mut source = RowSource::new(log_id());
        let rows: Vec<_> = (0..events)
            .map(|number| source.on_time(at("10:00:00").saturating_add_nanos(number * every), "x"))
            .collect();
        rows::write(&store, &log, &rows).await.expect("the database accepts the write");
        let before = statements(&session).await;
        let found = page(&store, &log, &Query::ALL, Seq::MAX).await.expect("the database answers").events.len();
        let taken = statements(&session).await - before;
        assert_eq!(found as i64, events);
        // The log with two events has a single page of the index.
        let parts = events / INDEX.1 + 1;
        assert!(taken <= events + parts * INDEX.0, "{taken} statements for {events} buckets");
    }
    store.flush().await.expect("the database answers");
}

async fn statements(session: &Session) -> i64 {
    let statement = "SELECT value FROM system_views.cql_metrics WHERE name = 'prepared_statements_executed'";
    let rows = session
        .query_unpaged(statement, ())
        .await
        .expect("the database answers")
        .into_rows_result()
        .expect("the statement returns rows");
    rows.single_row::<(f64,)>().expect("the metric is one number").0 as i64
}
