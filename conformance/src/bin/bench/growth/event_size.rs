//! Larger events.

use conformance::servers::NatsServer;
use futures_util::{FutureExt, future::LocalBoxFuture};

use super::{Lines, Table};
use crate::{
    client::{EventTime, Job, PublishJob, ReplayJob},
    machine::disk_bytes,
    payload::Payload,
    results::number,
    row::Bench,
    setup::{LARGE_STREAM, directory, log_id, publish_until_archived, run_beside, service},
};

pub(super) const TABLE: Table = Table {
    name: "event-size",
    title: "larger events",
    how: "About as many bytes in each line, as events of random data, are published to one log of a new archive, and then \
          read.",
    columns: &[
        "bytes",
        "events",
        "archived, MB/s",
        "hourlogd in, µs an event",
        "replayed, MB/s",
        "bytes on disk × payload",
    ],
    measure,
};

fn measure(bench: &Bench) -> LocalBoxFuture<'_, Lines> {
    async move {
        let mut lines = Vec::new();
        for bytes in [100, 1_000, 10_000, 100_000] {
            let events = (bench.size(500_000_000, 50_000_000) / bytes).min(1_000_000);
            lines.push(line(bench, bytes, events).await);
        }
        lines
    }
    .boxed_local()
}

async fn line(bench: &Bench, bytes: u64, events: u64) -> Vec<String> {
    /// More would be more than what nats-server holds for a slow connection.
    const BYTES_UNDER_WAY: u64 = 16 << 20;
    let (nats, directory) = (NatsServer::start().await, directory());
    let hourlogd = service(bench, &nats, directory.path(), &LARGE_STREAM).await;
    let publish = PublishJob::new(nats.url(), 1, events, Payload::Random(bytes as usize), EventTime::Arrival);
    let publish = PublishJob { window: publish.window.min(BYTES_UNDER_WAY / bytes), ..publish };
    let archived = publish_until_archived(&nats, &hourlogd, publish, 0).await;
    let replay = ReplayJob { url: nats.url(), log: log_id(0), events, readers: 1, compression: None };
    let replay = run_beside(&nats, Some(&hourlogd), &Job::Replay(replay)).await;
    let megabytes = |rate: f64| number(rate * bytes as f64 / 1e6);
    vec![
        number(bytes as f64),
        number(events as f64),
        megabytes(archived.rate()),
        number(archived.cpu_micros("hourlogd")),
        megabytes(replay.rate()),
        number(disk_bytes(directory.path()) as f64 / (events * bytes) as f64),
    ]
}
