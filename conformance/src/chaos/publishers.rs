//! The publishers: each sends one operation after the other to random logs, with one of four
//! methods.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use async_nats::jetstream;
use hourlog::{Error, Position, Record, Remote, header, remote::header_map, wire::wal_subject};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{sync::RwLock, task::JoinSet, time::timeout};

use super::{
    ledger::{self, Acknowledgement, Ledger, OperationId, PublishMethod},
    waits::Waits,
};

/// The number of publishers: equally many for each method.
const PUBLISHERS: u32 = 16;
/// The longest time of one attempt.
const ATTEMPT_MAX: Duration = Duration::from_secs(2);
/// The pause before a retry.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// The context that all publishers share.
#[derive(Debug, Clone)]
pub struct PublisherContext {
    /// The URL of NATS.
    pub url: String,
    /// Notes every operation.
    pub ledger: Arc<Ledger>,
    /// Held for reading by each operation; nothing is in flight while it is held for writing.
    pub gate: Arc<RwLock<()>>,
    /// The longest pause of a publisher between two operations.
    pub pause_max: Duration,
    /// Notes how long the publishers wait for answers.
    pub waits: Arc<Waits>,
    /// Tells the publishers to stop.
    pub stop: Arc<AtomicBool>,
}

/// Starts all publishers. Once told to stop, each ends after its last operation.
///
/// # Panics
/// If NATS does not answer.
pub async fn start(context: &PublisherContext, seed: u64) -> JoinSet<()> {
    let mut publishers = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let remote = Remote::connect(&context.url).await.expect("NATS answers").with_timeout(ATTEMPT_MAX);
        let random = StdRng::seed_from_u64(seed ^ u64::from(publisher));
        publishers.spawn(ChaosPublisher { context: context.clone(), publisher, remote }.run(random));
    }
    publishers
}

struct ChaosPublisher {
    context: PublisherContext,
    publisher: u32,
    remote: Remote,
}

impl ChaosPublisher {
    async fn run(self, mut random: StdRng) {
        for number in 0.. {
            if self.context.stop.load(Relaxed) {
                break;
            }
            let id = OperationId { publisher: self.publisher, number };
            let log = random.random_range(0..ledger::LOGS);
            {
                let _in_flight = self.context.gate.read().await;
                self.operate(id, log).await;
            }
            tokio::time::sleep(random.random_range(Duration::ZERO..self.context.pause_max)).await;
        }
    }

    async fn operate(&self, id: OperationId, log: u32) {
        let record = self.context.ledger.send(id, log);
        let begun = Instant::now();
        loop {
            let answer = match PublishMethod::of(self.publisher) {
                PublishMethod::JetStream => self.publish(log, &record).await.ok().map(Acknowledgement::Sequence),
                PublishMethod::Append => self.append(log, &record).await.ok().map(Acknowledgement::Position),
                // Never retried: without an answer, the event may or may not be archived.
                PublishMethod::AppendOnce => {
                    if let Ok(position) = self.append(log, &record).await {
                        self.context.ledger.answer(id, Acknowledgement::Position(position));
                    }
                    return;
                }
                PublishMethod::Plain => {
                    self.publish_plain(log, &record).await;
                    return;
                }
            };
            if let Some(answer) = answer {
                self.context.ledger.answer(id, answer);
                if let Acknowledgement::Position(position) = answer {
                    self.context.waits.appended(log, position.seq, begun.elapsed());
                }
                return;
            }
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }

    async fn publish(&self, log: u32, record: &Record) -> Result<u64, async_nats::Error> {
        let mut jetstream = jetstream::new(self.remote.client().clone());
        jetstream.set_timeout(ATTEMPT_MAX);
        let (subject, headers) = (wal_subject(&ledger::log(log)), header_map(record)?);
        let data = record.data.clone().into_bytes();
        let acked = async {
            let ack = jetstream.publish_with_headers(subject, headers, data).await?.await?;
            Ok::<_, async_nats::Error>(ack.sequence)
        };
        timeout(ATTEMPT_MAX * 2, acked).await?
    }

    async fn append(&self, log: u32, record: &Record) -> Result<Position, Error> {
        self.remote.append(&ledger::log(log), record.clone()).await.map(|appended| appended.position)
    }

    async fn publish_plain(&self, log: u32, record: &Record) {
        debug_assert!(record.metadata.get(header::MSG_ID).is_empty());
        let headers = header_map(record).expect("the publisher's own headers are valid");
        let (subject, data) = (wal_subject(&ledger::log(log)), record.data.clone().into_bytes());
        // A plain publish promises nothing, so an error is fine.
        let _ = timeout(ATTEMPT_MAX, self.remote.client().publish_with_headers(subject, headers, data)).await;
    }
}
