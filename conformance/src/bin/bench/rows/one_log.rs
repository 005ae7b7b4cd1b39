//! Reading one log of many.

use conformance::servers::NatsServer;
use futures_util::{FutureExt, future::LocalBoxFuture};
use hourlog::wire::{PAGE_EVENTS_MAX, ReplayRequest};

use crate::{
    client::{self, EventTime, Job, PingJob, PublishJob, ReadLogsJob, RespondJob},
    payload::{EVENT_BYTES, Payload},
    results::Figure,
    row::{About, Bench, Outcome, Row},
    setup::{LARGE_STREAM, Watcher, directory, log_id, nats_settings, raw_page, run_beside, service},
    statistics::Target,
};

const BARE: &str = "bench.bare";
/// The events of each log.
const EVENTS: u64 = 500;

#[derive(Debug)]
pub(crate) struct OneLog;

impl Row for OneLog {
    fn about(&self) -> About {
        About {
            name: "one-log",
            title: "reading one log of 500 events among 1,000",
            how: "One client reads whole logs, chosen at random, one after the other. Beside it, a bare request that is \
                  answered from memory with as many bytes. Redis is not run here: its XRANGE took 0.46 ms.",
            limit: "128 KB through nats-server, which the bare request has too.",
        }
    }

    fn measure<'a>(&'a self, bench: &'a Bench) -> LocalBoxFuture<'a, Outcome> {
        async {
            let (logs, count) = (bench.size(1_000, 200), bench.size(2_000, 500));
            let (nats, directory) = (NatsServer::start().await, directory());
            let hourlogd = service(bench, &nats, directory.path(), &LARGE_STREAM).await;
            let payload = Payload::Random(EVENT_BYTES);
            let publish = PublishJob::new(nats.url(), logs, logs * EVENTS, payload, EventTime::Arrival);
            client::run(&Job::Publish(publish)).await;
            let watcher = Watcher::connect(&nats).await;
            watcher.wait_for(logs * EVENTS).await;
            let request = ReplayRequest { limit: Some(PAGE_EVENTS_MAX), ..ReplayRequest::default() };
            let bytes = raw_page(&watcher.remote(), &log_id(0), &request, None).await.payload.len();
            let (url, subject) = (nats.url(), BARE.to_owned());
            let responder = Job::Respond(RespondJob { url: url.clone(), subject: subject.clone(), bytes });
            let _responder = client::start(&responder).await;
            let ping = Job::Ping(PingJob { url: url.clone(), subject, count });
            let read = Job::ReadLogs(ReadLogsJob { url, logs, events: EVENTS, count });
            let rounds = bench
                .alternate(
                    1,
                    [&|| run_beside(&nats, None, &ping).boxed_local(), &|| {
                        run_beside(&nats, Some(&hourlogd), &read).boxed_local()
                    }],
                )
                .await;
            let millis = |micros: f64| micros / 1_000.0;
            let figures = vec![
                Figure::plain("p50", "ms", &rounds.values(|[_, read]| millis(read.p50_micros)))
                    .with_target(Target::at_most(0.6, 0.4)),
                Figure::plain("bare request, p50", "ms", &rounds.values(|[ping, _]| millis(ping.p50_micros))),
                Figure::plain("p99", "ms", &rounds.values(|[_, read]| millis(read.p99_micros))),
            ];
            let settings = vec![
                nats_settings(),
                format!("{logs} logs of {EVENTS} events of 256 random bytes, {count} reads a round"),
                format!("bare responder: {bytes} bytes a reply"),
            ];
            rounds.outcome(figures, ["bare request", "read"], settings)
        }
        .boxed_local()
    }
}
