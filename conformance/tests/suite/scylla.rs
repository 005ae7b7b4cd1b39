//! The archive in a CQL database, against the archive in memory.

use conformance::{
    guard::log_id,
    guards::{scylla as open, session},
    kit::at,
    properties,
    rows::{self, Rows},
    servers::CassandraNode,
    store_properties,
};
use hourlog::{Archive, DAY, HOUR, Memory, Query, Scylla, ScyllaUrl, Store, page, system_clock};
use scylla::client::session::Session;

conformance::suite!(open);
conformance::store_suite!(open);

/// Random sequences of operations, and random archives: each takes a while over CQL.
const CASES: u32 = 12;

#[test]
fn random_operations_are_answered_as_memory_answers_them() {
    properties::random_operations(open, &Archive::new(Memory::new(), system_clock), CASES);
}

#[test]
fn random_rows_are_found_as_in_a_list() {
    store_properties::random_rows(open, CASES);
}

/// The hours of a year.
const HOURS: i64 = 8_760;
/// The statements that reading a part of the index takes, and the rows of a part.
const INDEX: (i64, i64) = (3, 256);

/// Counted by the database itself, which nobody else uses.
#[tokio::test(flavor = "multi_thread")]
async fn a_year_of_hours_takes_a_statement_a_bucket_and_the_index_and_two_events_a_year_apart_take_two() {
    let node = CassandraNode::start().await;
    let url: ScyllaUrl = node.url("counted").parse().expect("it is well formed");
    let store = Scylla::open(&url, true).await.expect("it answers");
    let session = session(&url).await;
    for (every, events) in [(HOUR, HOURS), (365 * DAY, 2)] {
        let log = format!("every.{}", every / HOUR).parse().expect("a good id");
        let mut source = Rows::new(log_id());
        let rows: Vec<_> = (0..events)
            .map(|number| source.punctual(at("10:00:00").saturating_add_nanos(number * every), "x"))
            .collect();
        rows::write(&store, &log, &rows).await.expect("it is written");
        let before = statements(&session).await;
        let found = page(&store, &log, &Query::ALL).await.expect("it answers").events.len();
        let taken = statements(&session).await - before;
        assert_eq!(found as i64, events);
        // Of the second kind of log there is one part of the index.
        let parts = events / INDEX.1 + 1;
        assert!(taken <= events + parts * INDEX.0, "{taken} statements for {events} buckets");
    }
    store.settle().await.expect("it answers");
}

async fn statements(session: &Session) -> i64 {
    let statement = "SELECT value FROM system_views.cql_metrics WHERE name = 'prepared_statements_executed'";
    let rows = session.query_unpaged(statement, ()).await.expect("it answers").into_rows_result().expect("rows");
    rows.single_row::<(f64,)>().expect("a number").0 as i64
}
