//! One whole log, decoded, against JetStream's ordered consumer over the same events by start time.

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
    Options,
    ingest::{fill, make_stream},
    measure::{Figure, Run, in_turn},
};

pub(crate) async fn measure(options: &Options) -> Figure {
    let nats = NatsServer::start().await;
    let jetstream = jetstream::new(async_nats::connect(nats.url()).await.expect("the server is there"));
    make_stream(&nats).await;
    fill(&jetstream, options.events, |_| "log.bench".to_owned()).await;
    let directory = TempDir::new().expect("a directory can be made");
    let store = Embedded::open(directory.path()).expect("it opens");
    let settings = Settings { nats: nats.url(), ..Settings::default() };
    let running = hourlogd::start(settings, store).await.expect("the service starts");
    let remote = Remote::connect(&nats.url()).await.expect("the server is there");
    while running.report()["archived"].as_u64() < Some(options.events) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let log: LogId = "bench".parse().expect("a good id");
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

async fn ordered(jetstream: &jetstream::Context, events: u64) -> Run {
    let mut stream = jetstream.get_stream("HOURLOG").await.expect("the stream is there");
    let start_time = stream.info().await.expect("the stream answers").state.first_timestamp;
    Run::of(events, async {
        let config = pull::OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartTime { start_time },
            ..pull::OrderedConfig::default()
        };
        let consumer = stream.create_consumer(config).await.expect("a consumer is made");
        let mut messages = consumer.messages().await.expect("it is read");
        for _ in 0..events {
            let message = messages.next().await.expect("there is one").expect("it is read");
            message.info().expect("it is JetStream's");
        }
    })
    .await
}

async fn replay(remote: &Remote, log: &LogId, events: u64) -> Run {
    Run::of(events, async {
        let found = remote.events(log.clone(), ReplayRequest::default());
        let count = found.try_fold(0, |count, _| async move { Ok(count + 1) }).await.expect("the log is read");
        assert_eq!(count, events, "events are missing");
    })
    .await
}
