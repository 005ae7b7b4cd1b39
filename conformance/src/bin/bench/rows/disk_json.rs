//! The bytes on disk for each event of JSON, relative to the block files of JetStream.

use async_nats::jetstream::{self, stream::Compression};
use conformance::servers::NatsServer;
use futures_util::{FutureExt, future::LocalBoxFuture};
use hourlog::wire::WAL_STREAM;

use crate::{
    client::{self, EventTime, Job, PublishJob},
    machine::disk_bytes,
    payload::Payload,
    results::Figure,
    row::{About, Bench, Outcome, Row},
    setup::{Watcher, directory, service, stream_directory},
    statistics::Target,
};

/// The logs of the earthquakes.
const LOGS: u64 = 12;

#[derive(Debug)]
pub(crate) struct DiskJson;

impl Row for DiskJson {
    fn about(&self) -> About {
        About {
            name: "disk-json",
            title: "bytes an event on disk, JSON of real logs, journals included",
            how: "Earthquakes as JSON in 12 logs: the lines of examples/quakes.jsonl, with other digits each time. All \
                  files of the archive, and all files of a stream with the same messages that nobody purges.",
            limit: "How well JSON compresses; journals have a fixed share, which is large in a small archive.",
        }
    }

    fn measure<'a>(&'a self, bench: &'a Bench) -> LocalBoxFuture<'a, Outcome> {
        async {
            let events = bench.size(5_000_000, 200_000);
            let plain = stream(events, Compression::None).await;
            let compressed = stream(events, Compression::S2).await;
            let (nats, directory) = (NatsServer::start().await, directory());
            let _hourlogd = service(bench, &nats, directory.path(), &["--wal-max-bytes", "8GB"]).await;
            client::run(&publish(&nats, events)).await;
            Watcher::connect(&nats).await.wait_for(events).await;
            let archive = disk_bytes(directory.path()) as f64 / events as f64;
            let figure = Figure::ratio(
                "to JetStream",
                "JetStream's block files",
                "bytes",
                &[(archive, plain)],
                Target::at_most(0.6, 0.35),
            );
            // The target is for an archive that is larger than its journals.
            let figure = if bench.is_quick { figure.without_target() } else { figure };
            let figures = vec![
                figure,
                Figure::plain("JetStream with compression s2", "bytes", &[compressed]),
                Figure::plain("payload", "bytes", &[Payload::Json.mean_bytes()]),
            ];
            let settings = vec![format!("{events} events"), "stream: file storage, without compression".to_owned()];
            Outcome { figures, settings, rounds: 1, ..Outcome::default() }
        }
        .boxed_local()
    }
}

fn publish(nats: &NatsServer, events: u64) -> Job {
    Job::Publish(PublishJob::new(nats.url(), LOGS, events, Payload::Json, EventTime::Arrival))
}

/// Returns the bytes an event of a stream alone.
async fn stream(events: u64, compression: Compression) -> f64 {
    let mut nats = NatsServer::start().await;
    let jetstream = jetstream::new(async_nats::connect(nats.url()).await.expect("NATS answers"));
    let config = jetstream::stream::Config {
        name: WAL_STREAM.to_owned(),
        subjects: vec!["log.>".to_owned()],
        compression: Some(compression),
        ..jetstream::stream::Config::default()
    };
    jetstream.create_stream(config).await.expect("the stream can be created");
    client::run(&publish(&nats, events)).await;
    // A stopped server has written everything.
    nats.stop().await;
    disk_bytes(&stream_directory(&nats)) as f64 / events as f64
}
