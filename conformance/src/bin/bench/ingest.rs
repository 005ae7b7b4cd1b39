//! Ingesting from the stream into the embedded archive, relative to the harmonic bound of its two
//! halves.
//!
//! The halves are reading the stream without writing, and writing batches to fjall with one sync
//! each.

use std::{path::Path, time::Duration};

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, pull},
};
use conformance::servers::NatsServer;
use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use futures_util::{FutureExt, StreamExt};
use hourlog::{Embedded, store::Store};
use hourlogd::Settings;
use tempfile::TempDir;

use crate::{
    BenchOptions, EVENT_BYTES,
    measure::{Figure, Measurement, harmonic, in_turn},
};

/// The events of a batch that is written to fjall directly.
const BATCH_EVENTS: usize = 1_000;
/// The most unacknowledged messages while publishing.
const ACKS_AHEAD_MAX: usize = 1_000;
/// The interval between checks if everything is archived.
const CHECK_INTERVAL: Duration = Duration::from_millis(1);

pub(crate) async fn measure(options: &BenchOptions) -> Vec<Figure> {
    let nats = NatsServer::start().await;
    let jetstream = jetstream::new(async_nats::connect(nats.url()).await.expect("NATS answers"));
    create_stream(&nats).await;
    fill(&jetstream, options.events, |number| format!("log.bench.{}", number % options.logs)).await;
    let runs = in_turn(
        options.pairs,
        1,
        [
            &|| drain_bare(&jetstream, options.events).boxed_local(),
            &|| write_bare(options.events, options.logs).boxed_local(),
            &|| ingest(&nats, options.events).boxed_local(),
        ],
    )
    .await;
    vec![
        Figure {
            name: "ingest, embedded, synced",
            against: "H of a bare drain and bare synced batches",
            pairs: runs.iter().map(|[drain, bare, whole]| (*whole, harmonic(drain, bare))).collect(),
        },
        Figure {
            name: "ingest, embedded, synced (drain)",
            against: "a bare drain",
            pairs: runs.iter().map(|[drain, _, whole]| (*whole, drain.per_second())).collect(),
        },
    ]
}

/// Creates the stream with the settings of the service.
pub(crate) async fn create_stream(nats: &NatsServer) {
    let settings = Settings { nats: nats.url(), ..Settings::default() };
    let running = hourlogd::start(settings, hourlog::Memory::new()).await.expect("the service starts");
    running.stop().await.expect("the service stops");
}

/// Publishes `events` events and waits until the stream has stored them.
pub(crate) async fn fill(jetstream: &jetstream::Context, events: u64, subject: impl Fn(u64) -> String) {
    let payload = payload();
    let mut acks = std::collections::VecDeque::new();
    for number in 0..events {
        if acks.len() == ACKS_AHEAD_MAX {
            let oldest: jetstream::context::PublishAckFuture = acks.pop_front().expect("the queue is full");
            oldest.await.expect("the stream stores it");
        }
        acks.push_back(jetstream.publish(subject(number), payload.clone().into()).await.expect("the message is sent"));
    }
    for ack in acks {
        ack.await.expect("the stream stores it");
    }
}

/// Returns the data of an event: random bytes, which do not compress.
pub(crate) fn payload() -> Vec<u8> {
    (0..EVENT_BYTES).map(|_| rand::random()).collect()
}

pub(crate) async fn drain_bare(jetstream: &jetstream::Context, events: u64) -> Measurement {
    let stream = jetstream.get_stream("HOURLOG").await.expect("the stream exists");
    Measurement::of(events, async {
        let config = pull::Config {
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::None,
            memory_storage: true,
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await.expect("a consumer can be created");
        let messages = consumer.stream().max_messages_per_batch(16_384).max_bytes_per_batch(8 << 20).messages();
        let mut messages = messages.await.expect("the consumer can be read");
        for _ in 0..events {
            let message = messages.next().await.expect("every event is delivered").expect("the message can be read");
            message.info().expect("a JetStream message has its sequence");
        }
    })
    .await
}

async fn write_bare(events: u64, logs: u64) -> Measurement {
    let directory = TempDir::new().expect("a temporary directory can be created");
    Measurement::of(events, async {
        let path = directory.path().to_owned();
        let write = move || write_batches(&path, events, logs);
        tokio::task::spawn_blocking(write).await.expect("the task does not panic");
    })
    .await
}

fn write_batches(path: &Path, events: u64, logs: u64) {
    let database = Database::builder(path).open().expect("the database opens");
    let table = database.keyspace("events", KeyspaceCreateOptions::default).expect("the table opens");
    let payload = payload();
    let numbers: Vec<u64> = (0..events).collect();
    for batch_numbers in numbers.chunks(BATCH_EVENTS) {
        let mut batch = database.batch().durability(Some(PersistMode::SyncData));
        for number in batch_numbers {
            let mut key = format!("bench.{}", number % logs).into_bytes();
            key.extend([0; 9]);
            key.extend(number.to_be_bytes());
            key.extend(number.to_be_bytes());
            batch.insert(&table, key, payload.clone());
        }
        batch.commit().expect("the batch is written");
    }
}

async fn ingest(nats: &NatsServer, events: u64) -> Measurement {
    let directory = TempDir::new().expect("a temporary directory can be created");
    archive(nats, events, Embedded::open(directory.path()).expect("the archive opens")).await
}

/// Runs the service until it has archived the whole stream in the empty `store`.
pub(crate) async fn archive<S: Store>(nats: &NatsServer, events: u64, store: S) -> Measurement {
    let settings = Settings { nats: nats.url(), ..Settings::default() };
    Measurement::of(events, async {
        let running = hourlogd::start(settings, store).await.expect("the service starts");
        while running.report()["archived"].as_u64() < Some(events) {
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
        running.stop().await.expect("the service stops");
    })
    .await
}
