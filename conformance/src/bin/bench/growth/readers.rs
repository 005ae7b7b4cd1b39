//! More readers at once.

use conformance::servers::NatsServer;
use futures_util::{FutureExt, future::LocalBoxFuture};

use super::{Lines, Table};
use crate::{
    client::{EventTime, Job, PublishJob, ReplayJob},
    payload::{EVENT_BYTES, Payload},
    results::number,
    row::Bench,
    setup::{LARGE_STREAM, directory, log_id, publish_until_archived, run_beside, service},
};

pub(super) const TABLE: Table = Table {
    name: "readers",
    title: "more readers at once",
    how: "Readers of one client process read the same log at once. In each line they read as many events together.",
    columns: &[
        "readers",
        "events of each",
        "replayed/s, all together",
        "hourlogd out, µs an event",
        "client, µs an event",
    ],
    measure,
};

fn measure(bench: &Bench) -> LocalBoxFuture<'_, Lines> {
    async move {
        let events = bench.size(1_000_000, 100_000);
        let (nats, directory) = (NatsServer::start().await, directory());
        let hourlogd = service(bench, &nats, directory.path(), &LARGE_STREAM).await;
        let publish = PublishJob::new(nats.url(), 1, events, Payload::Random(EVENT_BYTES), EventTime::Arrival);
        publish_until_archived(&nats, &hourlogd, publish, 0).await;
        let mut lines = Vec::new();
        for readers in [1, 10, 100, 1_000] {
            let of_each = events / readers;
            let replay = ReplayJob { url: nats.url(), log: log_id(0), events: of_each, readers, compression: None };
            let replay = run_beside(&nats, Some(&hourlogd), &Job::Replay(replay)).await;
            lines.push(vec![
                number(readers as f64),
                number(of_each as f64),
                number(replay.rate()),
                number(replay.cpu_micros("hourlogd")),
                number(replay.cpu_micros("client")),
            ]);
        }
        lines
    }
    .boxed_local()
}
