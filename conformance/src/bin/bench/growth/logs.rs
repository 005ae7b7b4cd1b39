//! More logs.

use conformance::servers::NatsServer;
use futures_util::{FutureExt, future::LocalBoxFuture};

use super::{Lines, Table};
use crate::{
    client::{EventTime, Job, PublishJob, ReadLogsJob},
    machine::resident_bytes,
    payload::{EVENT_BYTES, Payload},
    results::number,
    row::Bench,
    rows::sleeping::{MANY_LOGS, list_all},
    setup::{Watcher, directory, publish_until_archived, run_beside, service},
};

pub(super) const TABLE: Table = Table {
    name: "logs",
    title: "more logs",
    how: "As many events of 256 random bytes in each line are published to the logs of a new archive in turn. A log is \
          read as a whole, in one page of up to 1,000 events.",
    columns: &[
        "logs",
        "events",
        "archived/s",
        "hourlogd in, µs an event",
        "resident, MiB",
        "listing all, ms",
        "reading one log, p50, ms",
    ],
    measure,
};

/// The most events that are read of a log.
const PAGE_EVENTS: u64 = 1_000;

fn measure(bench: &Bench) -> LocalBoxFuture<'_, Lines> {
    async move {
        let events = bench.size(500_000, 100_000);
        let mut lines = Vec::new();
        let mut logs = 10;
        while logs <= bench.size(100_000, 1_000) {
            lines.push(line(bench, logs, events).await);
            logs *= 10;
        }
        lines
    }
    .boxed_local()
}

async fn line(bench: &Bench, logs: u64, events: u64) -> Vec<String> {
    let (nats, directory) = (NatsServer::start().await, directory());
    let hourlogd = service(bench, &nats, directory.path(), &MANY_LOGS).await;
    let publish = PublishJob::new(nats.url(), logs, events, Payload::Random(EVENT_BYTES), EventTime::Arrival);
    let archived = publish_until_archived(&nats, &hourlogd, publish, 0).await;
    let resident = resident_bytes(hourlogd.id()) >> 20;
    let listing = list_all(&Watcher::connect(&nats).await.remote(), logs).await;
    let read = ReadLogsJob { url: nats.url(), logs, events: (events / logs).min(PAGE_EVENTS), count: 300 };
    let read = run_beside(&nats, Some(&hourlogd), &Job::ReadLogs(read)).await;
    vec![
        number(logs as f64),
        number(events as f64),
        number(archived.rate()),
        number(archived.cpu_micros("hourlogd")),
        number(resident as f64),
        number(listing.as_secs_f64() * 1_000.0),
        number(read.p50_micros / 1_000.0),
    ]
}
