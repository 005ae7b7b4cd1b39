//! The bare driver of a CQL database: what a program without Hourlog would do with the same events.

use std::{collections::HashMap, sync::Arc};

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, pull},
};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use hourlog::{Offset, header, time::HOUR};
use scylla::{
    client::{session::Session, session_builder::SessionBuilder},
    statement::{
        batch::{Batch, BatchType},
        prepared::PreparedStatement,
    },
    value::CqlTimestamp,
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::{Report, publish::connect};

/// The rows of a batch, all in one partition: the fastest of those that were tried.
pub(crate) const BATCH_ROWS: usize = 50;
/// The batches under way.
const BATCHES_UNDER_WAY: usize = 64;
/// The single inserts under way.
const INSERTS_UNDER_WAY: usize = 512;

/// The table of the bare driver: a partition for each hour of a log, as in the archive.
pub(crate) const MAKE_TABLE: &str = "CREATE TABLE IF NOT EXISTS bare_events (log_id text, hour_bucket timestamp, time bigint, seq bigint, data blob, \
     PRIMARY KEY ((log_id, hour_bucket), time, seq)) WITH compaction = {'class': 'UnifiedCompactionStrategy'}";
const INSERT: &str = "INSERT INTO bare_events (log_id, hour_bucket, time, seq, data) VALUES (?, ?, ?, ?, ?)";
const SELECT: &str = "SELECT time, seq, data FROM bare_events WHERE log_id = ? AND hour_bucket = ?";

/// The login of a database, and a keyspace with [`MAKE_TABLE`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Database {
    pub address: String,
    pub user: String,
    pub password: String,
    pub keyspace: String,
}

/// Reads the stream, and writes each event to the table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BareWriteJob {
    pub url: String,
    pub database: Database,
    pub events: u64,
    /// True for unlogged batches of [`BATCH_ROWS`] of one partition, false for single inserts.
    pub in_batches: bool,
}

/// Reads the partitions of a log, page by page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BareReadJob {
    pub database: Database,
    pub log: String,
    /// The first hour, and the number of hours.
    pub first_nanos: i64,
    pub hours: i64,
    pub events: u64,
    pub page_rows: i32,
}

/// A row of the table.
type Row = (String, CqlTimestamp, i64, i64, Bytes);

impl Database {
    pub(crate) async fn connect(&self) -> Session {
        let builder = SessionBuilder::new().known_node(&self.address).user(&self.user, &self.password);
        let session = builder.build().await.expect("the database answers");
        session.use_keyspace(&self.keyspace, false).await.expect("the keyspace exists");
        session
    }
}

impl BareWriteJob {
    pub(super) async fn run(self) -> Report {
        let client = connect(&self.url).await;
        let stream = jetstream::new(client).get_stream("HOURLOG").await.expect("the stream exists");
        let writer = Arc::new(Writer::new(self.database.connect().await).await);
        Report::of(self.events, async {
            let config = pull::Config {
                deliver_policy: DeliverPolicy::All,
                ack_policy: AckPolicy::None,
                memory_storage: true,
                ..pull::Config::default()
            };
            let consumer = stream.create_consumer(config).await.expect("a consumer can be created");
            let messages = consumer.stream().max_messages_per_batch(16_384).max_bytes_per_batch(8 << 20).messages();
            let mut messages = messages.await.expect("the consumer can be read");
            let rows_max = if self.in_batches { BATCH_ROWS } else { 1 };
            let under_way_max = if self.in_batches { BATCHES_UNDER_WAY } else { INSERTS_UNDER_WAY };
            let (mut groups, mut under_way) = (HashMap::<(String, i64), Vec<Row>>::new(), JoinSet::new());
            for _ in 0..self.events {
                let message = messages.next().await.expect("every event is delivered").expect("it can be read");
                let row = row(&message);
                let group = groups.entry((row.0.clone(), row.1.0)).or_default();
                group.push(row);
                if group.len() == rows_max {
                    send(&writer, &mut under_way, under_way_max, std::mem::take(group)).await;
                }
            }
            for rows in groups.into_values().filter(|rows| !rows.is_empty()) {
                send(&writer, &mut under_way, under_way_max, rows).await;
            }
            under_way.join_all().await;
        })
        .await
    }
}

/// Returns the row of a message, with the time in its header if it has one.
fn row(message: &jetstream::Message) -> Row {
    let info = message.info().expect("a JetStream message has its sequence");
    let given = message.headers.as_ref().and_then(|headers| headers.get(header::TIME));
    let time = match given {
        Some(time) => time.as_str().parse::<Offset>().expect("the publisher wrote a time").nanos(),
        None => i64::try_from(info.published.unix_timestamp_nanos()).expect("the present fits"),
    };
    let log = message.subject.strip_prefix("log.").unwrap_or(&message.subject).to_owned();
    (log, hour(time), time, info.stream_sequence.cast_signed(), message.payload.clone())
}

fn hour(nanos: i64) -> CqlTimestamp {
    CqlTimestamp(nanos.div_euclid(HOUR) * HOUR / 1_000_000)
}

async fn send(writer: &Arc<Writer>, under_way: &mut JoinSet<()>, under_way_max: usize, rows: Vec<Row>) {
    while under_way.len() >= under_way_max {
        under_way.join_next().await.expect("some are under way").expect("the task does not panic");
    }
    let writer = Arc::clone(writer);
    under_way.spawn(async move { writer.write(rows).await });
}

struct Writer {
    session: Session,
    insert: PreparedStatement,
    /// Batches by their number of rows.
    batches: Vec<Batch>,
}

impl Writer {
    async fn new(session: Session) -> Self {
        let mut insert = session.prepare(INSERT).await.expect("the table exists");
        insert.set_is_idempotent(true);
        let batch = |rows| {
            let mut batch = Batch::new_with_statements(BatchType::Unlogged, vec![insert.clone().into(); rows]);
            batch.set_is_idempotent(true);
            batch
        };
        let batches = (0..=BATCH_ROWS).map(batch).collect();
        Self { session, insert, batches }
    }

    async fn write(&self, mut rows: Vec<Row>) {
        match rows.len() {
            1 => {
                let row = rows.remove(0);
                self.session.execute_unpaged(&self.insert, row).await.expect("the database accepts the write");
            }
            count => {
                self.session.batch(&self.batches[count], rows).await.expect("the database accepts the write");
            }
        }
    }
}

impl BareReadJob {
    pub(super) async fn run(self) -> Report {
        let session = self.database.connect().await;
        let mut select = session.prepare(SELECT).await.expect("the table exists");
        select.set_page_size(self.page_rows);
        Report::of(self.events, async {
            let mut count = 0_u64;
            for bucket in 0..self.hours {
                let values = (&self.log, hour(self.first_nanos + bucket * HOUR));
                let pager = session.execute_iter(select.clone(), values).await.expect("the partition can be read");
                let rows = pager.rows_stream::<(i64, i64, Bytes)>().expect("the columns have these types");
                let found = rows.try_fold(0, |count, _| async move { Ok(count + 1) });
                count += found.await.expect("the partition can be read");
            }
            assert_eq!(count, self.events, "events are missing");
        })
        .await
    }
}
