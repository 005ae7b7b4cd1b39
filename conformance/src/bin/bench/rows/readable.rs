//! The time from publishing an event until a waiting reader has it, relative to a bare acknowledgement.

use std::cell::Cell;

use conformance::servers::{HourlogdProcess, NatsServer};
use futures_util::{FutureExt, future::LocalBoxFuture};
use hourlog::LogId;

use crate::{
    client::{EventTime, Job, PublishJob, WaitJob},
    payload::{EVENT_BYTES, Payload},
    results::{Figure, number},
    row::{About, Bench, Outcome, Row},
    run::Run,
    setup::{LARGE_STREAM, directory, nats_settings, publish_until_archived, run_beside, service, stream_alone},
    statistics::Target,
};

/// The logs that are written.
const LOGS: u64 = 1_000;

#[derive(Debug)]
pub(crate) struct Readable;

impl Row for Readable {
    fn about(&self) -> About {
        About {
            name: "readable",
            title: "publish until a waiting reader has the event, at half load",
            how: "The throughput of publishing until archived is measured first. Then one client publishes half as many \
                  events a second to 1,000 logs, one in ten of them to the log that a reader follows. Time from \
                  publishing an event until the reader has it, without the first second. The baseline is the time until the acknowledgement, at \
                  the same rate, on a nats-server without hourlogd.",
            limit: "A sync of the archive, and the wake-ups on the way.",
        }
    }

    fn measure<'a>(&'a self, bench: &'a Bench) -> LocalBoxFuture<'a, Outcome> {
        async {
            let (bare, nats, directory) = (NatsServer::start().await, NatsServer::start().await, directory());
            stream_alone(bench, &bare, &LARGE_STREAM).await;
            let hourlogd = service(bench, &nats, directory.path(), &LARGE_STREAM).await;
            let rate = full_load(bench, &nats, &hourlogd).await / 2;
            let events = rate * bench.size(10, 3);
            let acks = wait(&bare, events, rate, None);
            let round = Cell::new(0_u64);
            let rounds = bench
                .alternate(
                    1,
                    [&|| run_beside(&bare, None, &acks).boxed_local(), &|| {
                        round.set(round.get() + 1);
                        follow(&nats, &hourlogd, events, rate, round.get()).boxed_local()
                    }],
                )
                .await;
            let millis = |micros: f64| micros / 1_000.0;
            let p99 = rounds.values(|[acks, reader]| (millis(reader.p99_micros), millis(acks.p99_micros)));
            let figures = vec![
                Figure::ratio("p99", "a bare acknowledgement", "ms", &p99, Target::at_most(6.0, 3.0)),
                Figure::plain("p50", "ms", &rounds.values(|[_, reader]| millis(reader.p50_micros))),
                Figure::plain("p50 of an acknowledgement", "ms", &rounds.values(|[acks, _]| millis(acks.p50_micros))),
            ];
            let settings = vec![
                nats_settings(),
                format!("half load: {} events/s of 256 random bytes, one publisher", number(rate as f64)),
            ];
            rounds.outcome(figures, ["bare acknowledgement", "waiting reader"], settings)
        }
        .boxed_local()
    }
}

/// Returns the events a second that are published until archived.
async fn full_load(bench: &Bench, nats: &NatsServer, hourlogd: &HourlogdProcess) -> u64 {
    let (events, payload) = (bench.size(500_000, 100_000), Payload::Random(EVENT_BYTES));
    let publish = PublishJob::new(nats.url(), LOGS, events, payload, EventTime::Arrival);
    publish_until_archived(nats, hourlogd, publish, 0).await.rate() as u64
}

fn wait(nats: &NatsServer, events: u64, events_a_second: u64, reader: Option<LogId>) -> Job {
    Job::Wait(WaitJob { url: nats.url(), logs: LOGS, events, events_a_second, reader })
}

async fn follow(nats: &NatsServer, hourlogd: &HourlogdProcess, events: u64, rate: u64, round: u64) -> Run {
    let log = format!("wait.{round}").parse().expect("the benchmark's own id is valid");
    run_beside(nats, Some(hourlogd), &wait(nats, events, rate, Some(log))).await
}
