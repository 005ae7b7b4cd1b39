//! A database that is far away.

use std::time::Duration;

use conformance::servers::Proxy;
use futures_util::{FutureExt, future::LocalBoxFuture};

use super::{Lines, Table};
use crate::{
    client::{AppendJob, EventTime, Job, PublishJob, ReplayJob, SeekJob},
    payload::{EVENT_BYTES, Payload},
    results::number,
    row::Bench,
    setup::{LARGE_STREAM, Watcher, catch_up, filled_stream, log_id, run_beside, service_on, times},
};

pub(super) const TABLE: Table = Table {
    name: "latency",
    title: "a database that is far away",
    how: "A proxy before Cassandra delays every answer. A stream of 100 logs is archived, and one log is read.",
    columns: &[
        "delay, ms",
        "archived/s",
        "append, one under way, ms",
        "appended/s, 128 under way",
        "replayed/s",
        "seek p50, ms",
    ],
    measure,
};

/// The logs of this table.
const LOGS: u64 = 100;

fn measure(bench: &Bench) -> LocalBoxFuture<'_, Lines> {
    async move {
        let proxy = Proxy::start(&bench.database.address().await).await;
        let mut lines = Vec::new();
        // The first line warms the database up, and does not count.
        for (delay, counts) in [(0, false), (0, true), (20, true)] {
            proxy.delay(Duration::from_millis(delay));
            let line = line(bench, &proxy, delay).await;
            if counts {
                lines.push(line);
            }
        }
        lines
    }
    .boxed_local()
}

async fn line(bench: &Bench, proxy: &Proxy, delay: u64) -> Vec<String> {
    let (events, payload) = (bench.size(200_000, 20_000), Payload::Random(EVENT_BYTES));
    let keyspace = bench.database.keyspace_at(Some(&proxy.address())).await;
    let nats = filled_stream(bench, |url| PublishJob::new(url, LOGS, events, payload, EventTime::Arrival)).await;
    let archived = catch_up(bench, &nats, events, &keyspace.store()).await;
    let flags: Vec<&str> = ["--adopt"].into_iter().chain(LARGE_STREAM).collect();
    let hourlogd = service_on(bench, &nats, &keyspace.store(), &flags).await;
    let append = |events, under_way| Job::Append(AppendJob { url: nats.url(), logs: LOGS, events, under_way, payload });
    let single = run_beside(&nats, Some(&hourlogd), &append(50, 1)).await;
    let many = run_beside(&nats, Some(&hourlogd), &append(5_000, 128)).await;
    let replay = ReplayJob { url: nats.url(), log: log_id(0), events: events / LOGS, readers: 1, compression: None };
    let replay = run_beside(&nats, Some(&hourlogd), &Job::Replay(replay)).await;
    let [first, last] = times(&Watcher::connect(&nats).await.remote(), &log_id(0)).await;
    let (first_nanos, last_nanos) = (first.nanos(), last.nanos());
    let seek = SeekJob { url: nats.url(), log: log_id(0), count: 100, first_nanos, last_nanos };
    let seek = run_beside(&nats, Some(&hourlogd), &Job::Seek(seek)).await;
    drop(hourlogd);
    keyspace.remove().await;
    vec![
        delay.to_string(),
        number(archived.rate()),
        number(1_000.0 / single.rate()),
        number(many.rate()),
        number(replay.rate()),
        number(seek.p50_micros / 1_000.0),
    ]
}
