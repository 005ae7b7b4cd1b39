//! Replaying one whole log, decoded, relative to JetStream's ordered consumer over the same events.

use async_nats::jetstream::{
    self,
    consumer::{DeliverPolicy, pull},
};
use conformance::servers::NatsServer;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use hourlog::{Embedded, LogId, Remote, wire::ReplayRequest};
use hourlogd::Settings;
use tempfile::TempDir;

use crate::{
    BenchOptions,
    ingest::{create_stream, fill},
    measure::{Figure, Measurement, in_turn},
};

pub(crate) async fn measure(options: &BenchOptions) -> Figure {
    let nats = NatsServer::start().await;
    let jetstream = jetstream::new(async_nats::connect(nats.url()).await.expect("NATS answers"));
    create_stream(&nats).await;
    fill(&jetstream, options.events, |_| "log.bench".to_owned()).await;
    let directory = TempDir::new().expect("a temporary directory can be created");
    let store = Embedded::open(directory.path()).expect("the archive opens");
    let settings = Settings { nats: nats.url(), ..Settings::default() };
    let running = hourlogd::start(settings, store).await.expect("the service starts");
    let remote = Remote::connect(&nats.url()).await.expect("NATS answers");
    while running.report()["archived"].as_u64() < Some(options.events) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let log: LogId = "bench".parse().expect("the benchmark's own id is valid");
    let runs = in_turn(
        options.pairs,
        1,
        [&|| ordered(&jetstream, options.events).boxed_local(), &|| {
            replay(&remote, &log, options.events).boxed_local()
        }],
    )
    .await;
    let pairs = runs.into_iter().map(|[baseline, candidate]| (candidate, baseline.per_second())).collect();
    running.stop().await.expect("the service stops");
    Figure { name: "replay, embedded, one log, decoded", against: "JetStream's ordered consumer", pairs }
}

async fn ordered(jetstream: &jetstream::Context, events: u64) -> Measurement {
    let mut stream = jetstream.get_stream("HOURLOG").await.expect("the stream exists");
    let start_time = stream.info().await.expect("the stream answers").state.first_timestamp;
    Measurement::of(events, async {
        let config = pull::OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartTime { start_time },
            ..pull::OrderedConfig::default()
        };
        let consumer = stream.create_consumer(config).await.expect("a consumer can be created");
        let mut messages = consumer.messages().await.expect("the consumer can be read");
        for _ in 0..events {
            let message = messages.next().await.expect("every event is delivered").expect("the message can be read");
            message.info().expect("a JetStream message has its sequence");
        }
    })
    .await
}

async fn replay(remote: &Remote, log: &LogId, events: u64) -> Measurement {
    Measurement::of(events, async {
        let found = remote.events(log.clone(), ReplayRequest::default());
        let count = found.try_fold(0, |count, _| async move { Ok(count + 1) }).await.expect("the log can be read");
        assert_eq!(count, events, "events are missing");
    })
    .await
}
