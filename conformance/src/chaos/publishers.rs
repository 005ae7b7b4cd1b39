//! Those who write: each sends one operation after the other, in one of four ways, to logs picked at random.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use async_nats::jetstream;
use hourlog::{Error, Position, Record, Remote, header, remote::header_map, wire::wal_subject};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{sync::RwLock, task::JoinSet, time::timeout};

use super::ledger::{self, Answer, Id, Ledger, Way};

/// How many there are: as many of each way.
const PUBLISHERS: u32 = 16;
/// How long one attempt may take.
const ATTEMPT_MAX: Duration = Duration::from_secs(2);
/// The pause before the next one.
const AGAIN_AFTER: Duration = Duration::from_millis(50);
/// The longest pause between two operations.
const PAUSE_MICROS_MAX: u64 = 4_000;

/// What they share.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Where NATS is.
    pub url: String,
    /// What they write down.
    pub ledger: Arc<Ledger>,
    /// Held by each operation; whoever holds it alone finds none under way.
    pub gate: Arc<RwLock<()>>,
    /// Set when they are to stop.
    pub stop: Arc<AtomicBool>,
}

/// Starts all of them. They end, each after its last operation was answered, once they are told to.
///
/// # Panics
/// Where the server is not there.
pub async fn start(stage: &Stage, seed: u64) -> JoinSet<()> {
    let mut publishers = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let remote = Remote::connect(&stage.url).await.expect("the server is there").timeout(ATTEMPT_MAX);
        let random = StdRng::seed_from_u64(seed ^ u64::from(publisher));
        publishers.spawn(Publisher { stage: stage.clone(), publisher, remote }.run(random));
    }
    publishers
}

struct Publisher {
    stage: Stage,
    publisher: u32,
    remote: Remote,
}

impl Publisher {
    async fn run(self, mut random: StdRng) {
        for number in 0.. {
            if self.stage.stop.load(Relaxed) {
                break;
            }
            let id = Id { publisher: self.publisher, number };
            let log = random.random_range(0..ledger::LOGS);
            {
                let _under_way = self.stage.gate.read().await;
                self.operate(id, log).await;
            }
            tokio::time::sleep(Duration::from_micros(random.random_range(0..PAUSE_MICROS_MAX))).await;
        }
    }

    async fn operate(&self, id: Id, log: u32) {
        let record = self.stage.ledger.send(id, log);
        loop {
            let answer = match Way::of(self.publisher) {
                Way::JetStream => self.publish(log, &record).await.ok().map(Answer::Sequence),
                Way::Append => self.append(log, &record).await.ok().map(Answer::Position),
                // Sent once: what is not answered may be there or not.
                Way::AppendOnce => {
                    if let Ok(position) = self.append(log, &record).await {
                        self.stage.ledger.answer(id, Answer::Position(position));
                    }
                    return;
                }
                Way::Plain => {
                    self.plain(log, &record).await;
                    return;
                }
            };
            if let Some(answer) = answer {
                self.stage.ledger.answer(id, answer);
                return;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    async fn publish(&self, log: u32, record: &Record) -> Result<u64, async_nats::Error> {
        let mut jetstream = jetstream::new(self.remote.client().clone());
        jetstream.set_timeout(ATTEMPT_MAX);
        let (subject, headers) = (wal_subject(&ledger::log(log)), header_map(&record.metadata)?);
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

    async fn plain(&self, log: u32, record: &Record) {
        debug_assert!(record.metadata.get(header::MSG_ID).is_empty());
        let headers = header_map(&record.metadata).expect("its own headers");
        let (subject, data) = (wal_subject(&ledger::log(log)), record.data.clone().into_bytes());
        // Nothing is promised to who does not ask.
        let _ = timeout(ATTEMPT_MAX, self.remote.client().publish_with_headers(subject, headers, data)).await;
    }
}
