//! More events in one log.

use conformance::servers::NatsServer;
use futures_util::{FutureExt, future::LocalBoxFuture};

use super::{Lines, Table};
use crate::{
    client::{EventTime, Job, PublishJob, ReplayJob, SeekJob},
    machine::disk_bytes,
    payload::{EVENT_BYTES, Payload},
    results::number,
    row::Bench,
    setup::{Watcher, directory, log_id, publish_until_archived, run_beside, service, times},
};

pub(super) const TABLE: Table = Table {
    name: "events",
    title: "more events in one log",
    how: "Events of 256 random bytes are published to one log of a new archive, at their time of arrival, and then read.",
    columns: &[
        "events",
        "archived/s",
        "hourlogd in, µs an event",
        "replayed/s",
        "seek p50, µs",
        "seek p99, µs",
        "bytes an event",
    ],
    measure,
};

fn measure(bench: &Bench) -> LocalBoxFuture<'_, Lines> {
    async move {
        let mut lines = Vec::new();
        let mut events = 10_000;
        while events <= bench.size(10_000_000, 100_000) {
            lines.push(line(bench, events).await);
            events *= 10;
        }
        lines
    }
    .boxed_local()
}

async fn line(bench: &Bench, events: u64) -> Vec<String> {
    let (nats, directory) = (NatsServer::start().await, directory());
    let hourlogd = service(bench, &nats, directory.path(), &["--wal-max-bytes", "8GB"]).await;
    let publish = PublishJob::new(nats.url(), 1, events, Payload::Random(EVENT_BYTES), EventTime::Arrival);
    let archived = publish_until_archived(&nats, &hourlogd, publish, 0).await;
    // A log of ten million events takes half a minute to read.
    let read = events.min(1_000_000);
    let replay = ReplayJob { url: nats.url(), log: log_id(0), events: read, readers: 1, compression: None };
    let replay = run_beside(&nats, Some(&hourlogd), &Job::Replay(replay)).await;
    let [first, last] = times(&Watcher::connect(&nats).await.remote(), &log_id(0)).await;
    let (first_nanos, last_nanos) = (first.nanos(), last.nanos());
    let seek = SeekJob { url: nats.url(), log: log_id(0), count: 1_000, first_nanos, last_nanos };
    let seek = run_beside(&nats, Some(&hourlogd), &Job::Seek(seek)).await;
    vec![
        number(events as f64),
        number(archived.rate()),
        number(archived.cpu_micros("hourlogd")),
        number(replay.rate()),
        number(seek.p50_micros),
        number(seek.p99_micros),
        number(disk_bytes(directory.path()) as f64 / events as f64),
    ]
}
