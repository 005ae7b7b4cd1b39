//! The processor time of the service for each event that it archives, beside a bare drain.

use futures_util::{FutureExt, future::LocalBoxFuture};

use crate::{
    client::{ConsumeJob, ConsumerKind, EventTime, Job, PublishJob},
    payload::{EVENT_BYTES, Payload},
    results::Figure,
    row::{About, Bench, Outcome, Row},
    setup::{catch_up, directory, filled_stream, nats_settings, run_beside},
    statistics::Target,
};

#[derive(Debug)]
pub(crate) struct IngestCpu;

impl Row for IngestCpu {
    fn about(&self) -> About {
        About {
            name: "ingest-cpu",
            title: "processor time of hourlogd for each event ingested, embedded, synced",
            how: "A stream is filled before. In each round a new hourlogd archives it in an empty directory, and a bare \
                  pull consumer reads it. User and system time of hourlogd from its start on until everything is \
                  archived, without the start itself.",
            limit: "Decoding a message and handing it to its log; the archive's thread; the kernel clearing pages.",
        }
    }

    fn measure<'a>(&'a self, bench: &'a Bench) -> LocalBoxFuture<'a, Outcome> {
        async {
            let many = part(bench, 1_000, "1,000 logs", Target::at_most(7.0, 5.0)).await;
            many.with(part(bench, 1, "one log", Target::at_most(4.5, 3.0)).await)
        }
        .boxed_local()
    }
}

async fn part(bench: &Bench, logs: u64, name: &str, target: Target) -> Outcome {
    let events = bench.size(500_000, 100_000);
    let payload = Payload::Random(EVENT_BYTES);
    let nats = filled_stream(bench, |url| PublishJob::new(url, logs, events, payload, EventTime::Arrival)).await;
    let drain = Job::Consume(ConsumeJob { url: nats.url(), events, kind: ConsumerKind::Pull });
    let rounds = bench
        .alternate(
            1,
            [&|| run_beside(&nats, None, &drain).boxed_local(), &|| {
                async {
                    let directory = directory();
                    let store = format!("file:{}", directory.path().display());
                    catch_up(bench, &nats, events, &store).await
                }
                .boxed_local()
            }],
        )
        .await;
    let figures = vec![
        Figure::plain(name, "µs", &rounds.values(|[_, service]| service.cpu_micros("hourlogd"))).with_target(target),
        Figure::plain(
            &format!("{name}, client of a bare drain"),
            "µs",
            &rounds.values(|[drain, _]| drain.cpu_micros("client")),
        ),
        Figure::plain(&format!("{name}, archived a second"), "", &rounds.values(|[_, service]| service.rate())),
    ];
    let settings = vec![nats_settings(), ConsumerKind::Pull.settings(), format!("{events} events of 256 random bytes")];
    rounds.outcome(figures, [&format!("bare drain, {name}"), &format!("hourlogd, {name}")], settings)
}
