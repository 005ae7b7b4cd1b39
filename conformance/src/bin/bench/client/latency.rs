//! Latencies: of reads through the service, of bare requests, and of events that a reader waits for.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use hourlog::{
    LogId, Offset, Record, Remote,
    wire::{Order, ReplayRequest, wal_subject},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

use super::{
    Report,
    publish::{check, connect},
};
use crate::payload::{EVENT_BYTES, Payload};

/// The time in which everything is answered.
pub(super) const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// The seed of random places in a log: each round has the same.
const SEED: u64 = 7;
/// One of this many events of a [`WaitJob`] goes to the log that is read.
const SAMPLED: u64 = 10;
/// The interval at which a [`WaitJob`] publishes what is due.
const TICK: Duration = Duration::from_millis(1);

/// Reads the first event at a random time, `count` times, one after the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SeekJob {
    pub url: String,
    pub log: LogId,
    pub count: u64,
    /// The times of the first and the last event.
    pub first_nanos: i64,
    pub last_nanos: i64,
}

/// Sends bare requests, one after the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PingJob {
    pub url: String,
    pub subject: String,
    pub count: u64,
}

/// Reads the first `events` events of logs that are chosen at random, one after the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReadLogsJob {
    pub url: String,
    pub logs: u64,
    pub events: u64,
    pub count: u64,
}

/// The time after which a load is steady.
const WARM_UP: Duration = Duration::from_secs(1);

/// Publishes at a steady rate, and measures the time of the events of one log: until they are acknowledged, or until
/// a waiting reader has them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WaitJob {
    pub url: String,
    pub logs: u64,
    pub events: u64,
    pub events_a_second: u64,
    /// The log to read, which must not exist yet; `None` to measure acknowledgements.
    pub reader: Option<LogId>,
}

impl SeekJob {
    pub(super) async fn run(self) -> Report {
        let remote = Remote::new(connect(&self.url).await).with_timeout(ANSWER_TIME_MAX);
        let mut random = StdRng::seed_from_u64(SEED);
        each(self.count, async || {
            let from = Offset::from_nanos(random.random_range(self.first_nanos..=self.last_nanos));
            let request = ReplayRequest { from: Some(from.into()), limit: Some(1), ..ReplayRequest::default() };
            let page = remote.replay(&self.log, &request).await.expect("the log can be read");
            assert_eq!(page.events.len(), 1, "no event at {from}");
        })
        .await
    }
}

impl PingJob {
    pub(super) async fn run(self) -> Report {
        let client = connect(&self.url).await;
        each(self.count, async || {
            let request = Bytes::from_static(br#"{"from":"2018-02-04T21:56:42.123456789Z","limit":1}"#);
            client.request(self.subject.clone(), request).await.expect("the responder answers");
        })
        .await
    }
}

impl ReadLogsJob {
    pub(super) async fn run(self) -> Report {
        let remote = Remote::new(connect(&self.url).await).with_timeout(ANSWER_TIME_MAX);
        let mut random = StdRng::seed_from_u64(SEED);
        each(self.count, async || {
            let log: LogId = format!("bench.{}", random.random_range(0..self.logs)).parse().expect("a valid id");
            let request = ReplayRequest { limit: Some(self.events as u32), ..ReplayRequest::default() };
            let page = remote.replay(&log, &request).await.expect("the log can be read");
            assert_eq!(page.events.len() as u64, self.events, "a log has other events");
        })
        .await
    }
}

/// Measures `count` calls, one after the other.
async fn each(count: u64, mut call: impl AsyncFnMut()) -> Report {
    let mut latencies = Vec::new();
    let report = Report::of(count, async {
        for _ in 0..count {
            let begun = Instant::now();
            call().await;
            latencies.push(begun.elapsed());
        }
    })
    .await;
    report.with_latencies(&latencies)
}

impl WaitJob {
    pub(super) async fn run(self) -> Report {
        let client = connect(&self.url).await;
        let (begun, sampled) = (Instant::now(), self.events.div_ceil(SAMPLED) as usize);
        let inbox = client.new_inbox();
        let mut acks = client.subscribe(format!("{inbox}.*")).await.expect("NATS answers");
        let collected = match &self.reader {
            None => tokio::spawn(async move {
                let mut arrived = Vec::new();
                while arrived.len() < sampled {
                    let ack = acks.next().await.expect("the stream acknowledges every message");
                    check(&ack);
                    let (_, sent) = ack.subject.rsplit_once('.').expect("the subject ends with the time");
                    arrived.push(SentEvent::now(begun, sent.parse().expect("a number")));
                }
                arrived
            }),
            Some(log) => {
                // With a session of its own: a reader and a publisher do not share a connection.
                let remote = Remote::new(connect(&self.url).await).with_timeout(ANSWER_TIME_MAX);
                remote.append(log, Record::new("begin")).await.expect("the archive accepts it");
                let request = ReplayRequest { order: Order::Arrival, ..ReplayRequest::default() };
                let mut events = Box::pin(remote.tail(log.clone(), request));
                events.next().await.expect("the log has an event").expect("the log can be read");
                tokio::spawn(async move {
                    let mut arrived = Vec::new();
                    while arrived.len() < sampled {
                        let event = events.next().await.expect("a tail does not end").expect("the log can be read");
                        let sent = event.record.data.first_chunk().expect("the data begins with the time");
                        arrived.push(SentEvent::now(begun, u64::from_be_bytes(*sent)));
                    }
                    arrived
                })
            }
        };
        let report = Report::of(self.events, self.publish(&client, &inbox, begun)).await;
        let arrived = tokio::time::timeout(ANSWER_TIME_MAX, collected).await.expect("all events arrive in time");
        report.with_latencies(&steady(&arrived.expect("the task does not panic")))
    }

    async fn publish(&self, client: &async_nats::Client, inbox: &str, begun: Instant) {
        let log = self.reader.as_ref().map_or_else(|| "log.bench.wait".to_owned(), wal_subject);
        let data = Payload::Random(EVENT_BYTES);
        let (mut ticks, started) = (tokio::time::interval(TICK), Instant::now());
        let mut number = 0;
        while number < self.events {
            ticks.tick().await;
            let due = (started.elapsed().as_secs_f64() * self.events_a_second as f64) as u64;
            while number < due.min(self.events) {
                let sent = if number.is_multiple_of(SAMPLED) {
                    let nanos = begun.elapsed().as_nanos() as u64;
                    let mut data = data.data(number).to_vec();
                    data[..8].copy_from_slice(&nanos.to_be_bytes());
                    client.publish_with_reply(log.clone(), format!("{inbox}.{nanos}"), data.into()).await
                } else {
                    client.publish(format!("log.bench.{}", number % self.logs), data.data(number)).await
                };
                sent.expect("the message can be sent");
                number += 1;
            }
        }
    }
}

/// An event that has arrived.
struct SentEvent {
    /// Since the beginning.
    sent: Duration,
    latency: Duration,
}

impl SentEvent {
    /// An event that was sent `sent_nanos` after `begun`, and arrives now.
    fn now(begun: Instant, sent_nanos: u64) -> Self {
        let sent = Duration::from_nanos(sent_nanos);
        Self { sent, latency: begun.elapsed().saturating_sub(sent) }
    }
}

/// Returns the latencies of all but the events of the first second, which find everything asleep.
fn steady(arrived: &[SentEvent]) -> Vec<Duration> {
    let first = arrived.iter().map(|event| event.sent).min().unwrap_or_default();
    arrived.iter().filter(|event| event.sent >= first + WARM_UP).map(|event| event.latency).collect()
}
