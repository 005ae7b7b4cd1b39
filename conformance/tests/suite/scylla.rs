//! The archive in a CQL database, compared with the archive in memory.

use conformance::{
    guard::{StoreGuard, log_id},
    guards::{TableCounts, scylla as open, session},
    kit::at,
    properties,
    rows::{self, RowSource},
    servers::CassandraNode,
    store_properties,
};
use futures_util::future::join_all;
use hourlog::{
    Archive, ErrorKind, LogId, Memory, Record, Scylla, Seq,
    read::{Query, page},
    store::{ScyllaUrl, Store, Width, Widths, Write},
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
/// The statements for reading one part of the index, and the rows of a large part. A page begins with three small
/// ones.
const INDEX: (i64, i64, i64) = (2, 256, 3);
/// The statements of a write beside those of its events: the row of the log, and its eras.
const LOG: i64 = 6;
/// The index rows that one statement reads.
const ROWS_PER_READ: i64 = 100;

/// The database itself counts the statements, except those of batches; no other test uses it.
#[tokio::test(flavor = "multi_thread")]
async fn pages_and_writes_take_one_statement_per_bucket_and_few_for_the_index() {
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
        let before = statements(&session).await;
        rows::write(&store, &log, &rows).await.expect("the database accepts the write");
        let taken = statements(&session).await - before;
        assert!(taken <= events + LOG, "{taken} statements to write {events} new buckets");
        store.flush().await.expect("the database answers");

        // Another process does not know which buckets there are.
        let reopened = Scylla::open(&url, false).await.expect("the database answers");
        let before = statements(&session).await;
        rows::write(&reopened, &log, &rows).await.expect("the database accepts the write");
        let taken = statements(&session).await - before;
        assert!(taken <= events + events / ROWS_PER_READ + 1 + LOG, "{taken} statements to write {events} buckets");

        let before = statements(&session).await;
        let found = page(&store, &log, &Query::ALL, Seq::MAX).await.expect("the database answers").events.len();
        let taken = statements(&session).await - before;
        assert_eq!(found as i64, events);
        // The log with two events has a single part of the index.
        let parts = if events > INDEX.1 { events / INDEX.1 + 1 + INDEX.2 } else { 1 };
        // A first part begins with the eras.
        assert!(taken <= events + parts * INDEX.0 + 1, "{taken} statements for {events} buckets");
    }

    // Late events of the bucket that lists them are one batch with their list, and statements of batches are not counted.
    let log = "late.today".parse().expect("the test's own id is valid");
    let mut source = RowSource::new(log_id());
    let mut late = || source.arrival(at("10:00:00"), at("10:30:00"), Record::new("x"));
    rows::write(&store, &log, &[late()]).await.expect("the database accepts the write");
    let before = statements(&session).await;
    rows::write(&store, &log, &[late(), late(), late()]).await.expect("the database accepts the write");
    assert_eq!(statements(&session).await - before, 0);
}

/// An import costs one statement more for each write, not one for each event.
#[tokio::test(flavor = "multi_thread")]
async fn late_events_are_listed_in_one_row_a_write() {
    let guard = open().await;
    let (store, url) = (guard.store(), guard.url().clone());
    let mut source = RowSource::new(log_id());
    let written: Vec<_> = (0..200)
        .map(|number| source.arrival(at("10:00:00"), at("12:00:00"), Record::new(number.to_string())))
        .collect();
    for part in written.chunks(50) {
        rows::write(store, &log_id(), part).await.expect("the database accepts the write");
    }
    let count = format!("SELECT count(*) FROM {}.arrivals", url.keyspace);
    let rows = session(&url).await.query_unpaged(count, ()).await.expect("the database answers");
    let rows = rows.into_rows_result().expect("the statement returns rows");
    assert_eq!(rows.single_row::<(i64,)>().expect("a count").0, 4);
    let (_, by_arrival) = rows::read_all(store, &log_id()).await.expect("the database answers");
    assert_eq!(by_arrival, rows::positions(&written));
}

/// Logs that begin together, of which many are in each of the 16 partitions of logs.
const NEW_LOGS: usize = 320;
/// The partitions, each of which is read once, and written by some transactions: for the first log, and for those that
/// came meanwhile.
const SHARDS: i64 = 16;

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_begin_together_are_created_together_unless_they_are_there_by_then() {
    let guard = open().await;
    let (store, url) = (guard.store(), guard.url().clone());
    let counts = TableCounts::of(&url).await;
    let logs = |prefix: &str| -> Vec<LogId> {
        (0..NEW_LOGS).map(|number| format!("{prefix}.{number}").parse().expect("the test's own id is valid")).collect()
    };
    let write_all = async |logs: &[LogId]| {
        let writes = logs.iter().map(|log| async {
            let row = RowSource::new(log.clone()).on_time(at("10:00:00"), "x");
            rows::write(store, log, &[row]).await.expect("the database accepts the write");
        });
        join_all(writes).await;
    };
    let lengths = async |logs: &[LogId]| {
        let lengths = logs.iter().map(|log| async {
            let found = page(store, log, &Query::ALL, Seq::MAX).await;
            found.map_or_else(|error| Err(error.kind()), |page| Ok(page.events.len()))
        });
        join_all(lengths).await
    };

    // The keyspace has been used before.
    let (read_before, written_before) = (counts.reads("logs").await, counts.writes("logs").await);
    let new = logs("new");
    let found = store.look_up(&new).await.expect("the database answers");
    assert!(found.iter().all(|(row, deleted_to)| row.is_none() && *deleted_to == Seq::MIN));
    let reads = counts.reads("logs").await - read_before;
    assert!(reads <= SHARDS, "{reads} reads look {NEW_LOGS} logs up");
    write_all(&new).await;
    let reads = counts.reads("logs").await - read_before;
    let writes = counts.writes("logs").await - written_before;
    assert!(reads <= 7 * SHARDS && writes <= 6 * SHARDS, "{reads} reads and {writes} writes of {NEW_LOGS} logs");
    assert_eq!(lengths(&new).await, vec![Ok(1); NEW_LOGS]);

    // Logs that wait for a permit to write are created meanwhile.
    let prepared = logs("prepared");
    store.look_up(&prepared).await.expect("the database answers");
    join_all(prepared.iter().map(|log| store.prepare_log(log, at("10:00:00"), Width::default()))).await;
    let writes = counts.writes("logs").await;
    assert_eq!(lengths(&prepared).await, vec![Ok(0); NEW_LOGS]);
    write_all(&prepared).await;
    assert_eq!((lengths(&prepared).await, counts.writes("logs").await), (vec![Ok(1); NEW_LOGS], writes));

    // Another process creates one of them after it was looked up, and deletes another with all its events.
    let others = logs("other");
    store.look_up(&others).await.expect("the database answers");
    let other = Scylla::open(&url, false).await.expect("the database answers");
    let minute = Widths::new("1m".parse().expect("a valid width"));
    rows::create_log(&other, &others[0], minute.clone()).await.expect("the database creates the log");
    let deletion = Write::DeleteLog { log: others[1].clone(), seq: Seq::new(1, 5) };
    other.write(vec![deletion]).await.expect("the database deletes the log");
    write_all(&others).await;
    assert_eq!(store.log(&others[0]).await.expect("the database answers").map(|row| row.widths), Some(minute));
    let lengths = lengths(&others).await;
    assert_eq!(
        (&lengths[..3], lengths.iter().filter(|length| **length == Ok(1)).count()),
        (&[Ok(1), Err(ErrorKind::NotFound), Ok(1)][..], NEW_LOGS - 1,)
    );
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
