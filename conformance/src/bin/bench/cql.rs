//! Ingesting into a CQL database and replaying from it, relative to the driver alone.
//!
//! Ingest is compared with the harmonic bound of reading the stream and of batches of the driver.
//! Replay is compared with pages of the driver.

use std::sync::Arc;

use async_nats::jetstream;
use conformance::{
    guards::{empty, new_keyspace},
    servers::NatsServer,
};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use hourlog::{
    Data, LogId, Offset, Record, Scylla, Seq,
    read::{End, Query, page},
    store::{Arrival, EventRow, ScyllaUrl, Store, Width, Write},
    time::HOUR,
};
use scylla::{
    client::{execution_profile::ExecutionProfile, session::Session, session_builder::SessionBuilder},
    policies::load_balancing::DefaultPolicy,
    statement::{
        batch::{Batch, BatchType},
        prepared::PreparedStatement,
    },
    value::CqlTimestamp,
};

use crate::{
    BenchOptions,
    ingest::{archive, create_stream, drain_bare, fill, payload},
    measure::{Figure, Measurement, harmonic, in_turn},
};

/// The runs that are not counted: the database needs time until its hot code is compiled.
const WARM_UPS: usize = 6;
/// The factor for the number of events, so that creating the logs in each run has less weight.
const INGESTED_TIMES: u64 = 5;
/// The rows of a batch of the driver, all in one partition.
const BATCH_ROWS: usize = 50;
/// The concurrent batches of the driver.
const BATCHES_AT_ONCE: usize = 64;
/// The events of a page, of both the archive and the driver.
pub(crate) const PAGE_EVENTS: usize = 5_000;
/// The events per bucket of the log that is read: half the recommended maximum of a partition.
const BUCKET_EVENTS: u64 = 50_000;
/// The time of the first event: an hour of 2025.
pub(crate) const BEGIN: i64 = 490_000 * HOUR;
/// The log that is read.
const LOG: &str = "bench";

const INSERT: &str =
    "INSERT INTO events (log_id, hour_bucket, time, seq, data) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?";
const SELECT: &str = "SELECT time, seq, data FROM events WHERE log_id = ? AND hour_bucket = ?";

pub(crate) async fn ingest(options: &BenchOptions) -> Figure {
    let events = options.events * INGESTED_TIMES;
    let nats = NatsServer::start().await;
    let jetstream = jetstream::new(async_nats::connect(nats.url()).await.expect("NATS answers"));
    create_stream(&nats).await;
    fill(&jetstream, events, |number| format!("log.bench.{}", number % options.logs)).await;
    let (bare_keyspace, own_keyspace) = (Keyspace::create().await, Keyspace::create().await);
    let runs = in_turn(
        options.pairs,
        WARM_UPS,
        [
            &|| drain_bare(&jetstream, events).boxed_local(),
            &|| write_bare(&bare_keyspace, events, options.logs).boxed_local(),
            &|| ingest_into(&own_keyspace, &nats, events).boxed_local(),
        ],
    )
    .await;
    let pairs = runs.iter().map(|[drain, bare, whole]| (*whole, harmonic(drain, bare))).collect();
    bare_keyspace.remove().await;
    own_keyspace.remove().await;
    Figure {
        // Leaked once per program, because the name of a figure is `'static`.
        name: format!("ingest, CQL, durable, {} logs", options.logs).leak(),
        against: "H of a bare drain and the bare driver's batches",
        pairs,
    }
}

pub(crate) async fn replay(options: &BenchOptions) -> Figure {
    let keyspace = Keyspace::create().await;
    let store = keyspace.open().await;
    let log: LogId = LOG.parse().expect("the benchmark's own id is valid");
    write(&store, &log, options.events).await;
    let mut select = keyspace.prepare(SELECT).await;
    select.set_page_size(PAGE_EVENTS as i32);
    let runs = in_turn(
        options.pairs,
        WARM_UPS,
        [&|| read_bare(&keyspace.session, &select, options.events).boxed_local(), &|| {
            read(&store, &log, options.events).boxed_local()
        }],
    )
    .await;
    let pairs = runs.into_iter().map(|[baseline, candidate]| (candidate, baseline.per_second())).collect();
    keyspace.remove().await;
    Figure { name: "replay, CQL, one log, decoded", against: "the bare driver's pages", pairs }
}

/// A keyspace with the tables of an archive, and a session of the driver in it.
#[derive(Debug)]
pub(crate) struct Keyspace {
    url: ScyllaUrl,
    session: Session,
}

impl Keyspace {
    /// Creates a keyspace. The archive creates the tables for the driver too, so they have the same
    /// shape.
    pub(crate) async fn create() -> Self {
        let url: ScyllaUrl = new_keyspace().parse().expect("the benchmark's own URL is valid");
        Scylla::open(&url, true).await.expect("the database answers");
        let profile = ExecutionProfile::builder()
            .consistency(url.consistency)
            .load_balancing_policy(DefaultPolicy::builder().token_aware(true).build())
            .build();
        let mut builder = SessionBuilder::new()
            .known_nodes(&url.nodes)
            .use_keyspace(&url.keyspace, false)
            .default_execution_profile_handle(profile.into_handle());
        if let Some((name, password)) = &url.user {
            builder = builder.user(name, password);
        }
        let session = builder.build().await.expect("the database answers");
        Self { url, session }
    }

    /// Opens an archive without the caches of an earlier run.
    pub(crate) async fn open(&self) -> Scylla {
        Scylla::open(&self.url, false).await.expect("the database answers")
    }

    async fn prepare(&self, statement: &str) -> PreparedStatement {
        let mut prepared = self.session.prepare(statement).await.expect("the tables exist");
        prepared.set_is_idempotent(true);
        prepared
    }

    /// Drops the keyspace.
    pub(crate) async fn remove(self) {
        let statement = format!("DROP KEYSPACE {}", self.url.keyspace);
        self.session.query_unpaged(statement, ()).await.expect("the database drops it");
    }
}

async fn ingest_into(keyspace: &Keyspace, nats: &NatsServer, events: u64) -> Measurement {
    empty(&keyspace.session, &keyspace.url.keyspace).await;
    archive(nats, events, keyspace.open().await).await
}

async fn write_bare(keyspace: &Keyspace, events: u64, logs: u64) -> Measurement {
    empty(&keyspace.session, &keyspace.url.keyspace).await;
    let insert = keyspace.prepare(INSERT).await;
    let batches: Vec<Batch> = (1..=BATCH_ROWS).map(|rows| batch(&insert, rows)).collect();
    let payload = payload();
    Measurement::of(events, async {
        let write = |numbers: Vec<u64>| {
            let batch = &batches[numbers.len() - 1];
            write_batch(&keyspace.session, batch, numbers, logs, &payload)
        };
        stream::iter(partitions(events, logs)).for_each_concurrent(BATCHES_AT_ONCE, write).await;
    })
    .await
}

/// Creates a batch of `rows` inserts.
fn batch(insert: &PreparedStatement, rows: usize) -> Batch {
    let mut batch = Batch::new_with_statements(BatchType::Unlogged, vec![insert.clone().into(); rows]);
    batch.set_is_idempotent(true);
    batch
}

/// Returns the numbers of the events of each batch. All events of a batch are in one log.
fn partitions(events: u64, logs: u64) -> impl Iterator<Item = Vec<u64>> {
    let of_round = logs * BATCH_ROWS as u64;
    (0..events.div_ceil(of_round))
        .flat_map(move |round| (0..logs).map(move |log| round * of_round + log))
        .map(move |first| (first..events).step_by(logs as usize).take(BATCH_ROWS).collect::<Vec<u64>>())
        .filter(|numbers| !numbers.is_empty())
}

async fn write_batch(session: &Session, batch: &Batch, numbers: Vec<u64>, logs: u64, payload: &[u8]) {
    let log = format!("bench.{}", numbers[0] % logs);
    let row = |number: &u64| {
        let seq = seq_of(*number);
        // One microsecond apart, so that all of them are in one hour.
        let time = BEGIN + number.cast_signed() * 1_000;
        (log.as_str(), hour_bucket(0), time, seq, payload, seq)
    };
    let rows: Vec<_> = numbers.iter().map(row).collect();
    session.batch(batch, rows).await.expect("the database accepts the write");
}

/// Writes the log for the replay.
async fn write(store: &Scylla, log: &LogId, events: u64) {
    let within_bucket = HOUR / BUCKET_EVENTS.cast_signed();
    let offset = |number: u64| {
        let (hour, within) = ((number / BUCKET_EVENTS).cast_signed(), (number % BUCKET_EVENTS).cast_signed());
        Offset::from_nanos(BEGIN + hour * HOUR + within * within_bucket)
    };
    write_at(store, log, events, offset).await;
}

/// Writes a log of on-time events. `offset` returns that of an event by its number.
pub(crate) async fn write_at(store: &Scylla, log: &LogId, events: u64, offset: impl Fn(u64) -> Offset) {
    let data = Data::from(payload());
    let numbers: Vec<u64> = (0..events).collect();
    for some in numbers.chunks(PAGE_EVENTS) {
        let rows: Arc<[EventRow]> = some
            .iter()
            .map(|number| {
                let offset = offset(*number);
                let arrived = Arrival { offset, time: offset, max_time: offset, seq: seq_of(*number) };
                EventRow::new(log, arrived, Record::new(data.clone()))
            })
            .collect();
        store
            .write(vec![Write::Events { log: log.clone(), rows, width: Width::default() }])
            .await
            .expect("the database accepts the write");
    }
}

async fn read(store: &Scylla, log: &LogId, events: u64) -> Measurement {
    Measurement::of(events, async {
        let (mut query, mut count) = (Query { limit: PAGE_EVENTS, ..Query::ALL }, 0_u64);
        loop {
            let found = page(store, log, &query, Seq::MAX).await.expect("the log can be read");
            count += found.events.len() as u64;
            match found.events.last() {
                Some(last) if found.end == End::More => query.from = last.position.next(),
                _ => break,
            }
        }
        assert_eq!(count, events, "events are missing");
    })
    .await
}

async fn read_bare(session: &Session, select: &PreparedStatement, events: u64) -> Measurement {
    Measurement::of(events, async {
        let mut count = 0_u64;
        for hour in 0..events.div_ceil(BUCKET_EVENTS) {
            let pager = session.execute_iter(select.clone(), (LOG, hour_bucket(hour.cast_signed()))).await;
            let rows = pager.expect("the partition can be read").rows_stream::<(i64, i64, Vec<u8>)>();
            let rows = rows.expect("the columns have these types");
            count +=
                rows.try_fold(0, |count, _| async move { Ok(count + 1) }).await.expect("the partition can be read");
        }
        assert_eq!(count, events, "events are missing");
    })
    .await
}

/// Returns the seq of an event. Sequences begin at 1.
pub(crate) fn seq_of(number: u64) -> Seq {
    Seq::new(1, number + 1)
}

/// Returns the bucket that begins `hour` hours after [`BEGIN`], as a value of its column.
fn hour_bucket(hour: i64) -> CqlTimestamp {
    CqlTimestamp((BEGIN + hour * HOUR) / 1_000_000)
}
