//! Appends that are archived and synced, relative to a stream that syncs each message.

use conformance::servers::{NatsOptions, NatsServer};
use futures_util::{FutureExt, future::LocalBoxFuture};

use crate::{
    client::{AppendJob, EventTime, Job, PublishJob},
    payload::{EVENT_BYTES, Payload},
    results::Figure,
    row::{About, Bench, Outcome, Row},
    setup::{directory, nats_settings, run_beside, service, stream_alone},
    statistics::Target,
};

/// The records under way.
const UNDER_WAY: u64 = 128;
/// The logs that are written.
const LOGS: u64 = 128;

#[derive(Debug)]
pub(crate) struct Append;

impl Row for Append {
    fn about(&self) -> About {
        About {
            name: "append",
            title: "append, archived and synced, 128 under way",
            how: "One client appends to 128 logs, 128 records under way. The baseline publishes the same to a stream of \
                  a nats-server with sync_interval: always, 128 messages under way. Both answer once the disk has it.",
            limit: "The time of a sync, and two trips through nats-server instead of one.",
        }
    }

    fn measure<'a>(&'a self, bench: &'a Bench) -> LocalBoxFuture<'a, Outcome> {
        async {
            let events = bench.size(30_000, 4_000);
            let payload = Payload::Random(EVENT_BYTES);
            let streams = self::directory();
            let config = format!("jetstream {{ store_dir: {:?}, sync_interval: always }}\n", streams.path());
            let always =
                NatsServer::start_with(NatsOptions { config, without_jetstream: true, ..NatsOptions::default() }).await;
            stream_alone(bench, &always, &[]).await;
            let (nats, directory) = (NatsServer::start().await, directory());
            let hourlogd = service(bench, &nats, directory.path(), &[]).await;
            let publish = Job::Publish(PublishJob {
                window: UNDER_WAY,
                ..PublishJob::new(always.url(), LOGS, events, payload, EventTime::Arrival)
            });
            let append = Job::Append(AppendJob { url: nats.url(), logs: LOGS, events, under_way: UNDER_WAY, payload });
            let rounds = bench
                .alternate(
                    1,
                    [&|| run_beside(&always, None, &publish).boxed_local(), &|| {
                        run_beside(&nats, Some(&hourlogd), &append).boxed_local()
                    }],
                )
                .await;
            let pairs = rounds.values(|[publish, append]| (append.rate(), publish.rate()));
            let figure = Figure::ratio(
                "throughput",
                "JetStream with sync_interval: always",
                "events/s",
                &pairs,
                Target::at_least(4.0, 8.0),
            );
            let settings = vec![
                "baseline: nats-server with sync_interval: always".to_owned(),
                format!("hourlogd: {}", nats_settings()),
                format!("{events} events of 256 random bytes a round"),
            ];
            rounds.outcome(vec![figure], ["JetStream, always synced", "append"], settings)
        }
        .boxed_local()
    }
}
