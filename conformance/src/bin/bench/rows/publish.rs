//! Publishing until everything is archived, relative to the same publisher on JetStream alone.

use conformance::servers::NatsServer;
use futures_util::{FutureExt, future::LocalBoxFuture};

use crate::{
    client::{EventTime, Job, PublishJob, WINDOW},
    payload::{EVENT_BYTES, Payload},
    results::Figure,
    row::{About, Bench, Outcome, Row},
    run::Run,
    setup::{directory, nats_settings, publish_until_archived, run_beside, service, stream_alone},
    statistics::Target,
};

/// The logs of this row.
const LOGS: u64 = 1_000;

#[derive(Debug)]
pub(crate) struct Publish;

impl Row for Publish {
    fn about(&self) -> About {
        About {
            name: "publish",
            title: "publish until archived, sustained, 1,000 logs, event time given",
            how: "One client publishes as fast as its acknowledgements allow, with a Hourlog-Time in each message. The \
                  baseline is the same client on a new stream with nobody else. The candidate ends when hourlogd has \
                  archived the last event. Each side has a new nats-server.",
            limit: "Two processors are shared by publisher, nats-server and hourlogd: a service that takes as long for \
                    an event as a bare drain reaches about 0.7.",
        }
    }

    fn measure<'a>(&'a self, bench: &'a Bench) -> LocalBoxFuture<'a, Outcome> {
        async {
            let events = bench.size(500_000, 100_000);
            let rounds = bench
                .alternate(1, [&|| alone(bench, events).boxed_local(), &|| archived(bench, events).boxed_local()])
                .await;
            let pairs = rounds.values(|[alone, archived]| (archived.rate(), alone.rate()));
            let target = Target::at_least(0.52, 0.62);
            let figure = Figure::ratio("throughput", "JetStream alone", "events/s", &pairs, target);
            let settings = vec![nats_settings(), publisher_settings(), format!("{events} events of 256 random bytes")];
            rounds.outcome(vec![figure], ["JetStream alone", "with hourlogd"], settings)
        }
        .boxed_local()
    }
}

/// Describes the publisher.
fn publisher_settings() -> String {
    format!("publisher: one connection, an acknowledgement for each message, {WINDOW} under way")
}

fn job(nats: &NatsServer, events: u64) -> PublishJob {
    PublishJob::new(nats.url(), LOGS, events, Payload::Random(EVENT_BYTES), EventTime::Now)
}

async fn alone(bench: &Bench, events: u64) -> Run {
    let nats = NatsServer::start().await;
    stream_alone(bench, &nats, &[]).await;
    run_beside(&nats, None, &Job::Publish(job(&nats, events))).await
}

async fn archived(bench: &Bench, events: u64) -> Run {
    let (nats, directory) = (NatsServer::start().await, directory());
    let mut hourlogd = service(bench, &nats, directory.path(), &[]).await;
    let run = publish_until_archived(&nats, &hourlogd, job(&nats, events), 0).await;
    hourlogd.terminate().await;
    run
}
