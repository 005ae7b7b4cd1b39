//! The bytes on disk for each event of random data, with journals, as the archive grows.

use conformance::servers::NatsServer;
use futures_util::{FutureExt, future::LocalBoxFuture};

use crate::{
    client::{self, EventTime, Job, PublishJob},
    machine::disk_bytes,
    payload::{EVENT_BYTES, Payload},
    results::{Figure, number},
    row::{About, Bench, Outcome, Row},
    setup::{Watcher, directory, service},
    statistics::Target,
};

/// The events for which the target holds.
const EVENTS: u64 = 10_000_000;
/// The sizes at which the archive is measured.
const STEPS: [u64; 4] = [10_000, 100_000, 1_000_000, EVENTS];

#[derive(Debug)]
pub(crate) struct DiskRandom;

impl Row for DiskRandom {
    fn about(&self) -> About {
        About {
            name: "disk-random",
            title: "bytes an event on disk, random payload, journals included",
            how: "Events of 256 random bytes in 1,000 logs, archived while they are published. All files of the archive \
                  are counted, with the room that they take on the disk.",
            limit: "Random bytes do not compress. Journals have a fixed share, which is large in a small archive.",
        }
    }

    fn measure<'a>(&'a self, bench: &'a Bench) -> LocalBoxFuture<'a, Outcome> {
        async {
            let events_max = bench.size(EVENTS, 300_000);
            let (nats, directory) = (NatsServer::start().await, directory());
            // The default stream is purged while it grows.
            let _hourlogd = service(bench, &nats, directory.path(), &["--wal-max-bytes", "8GB"]).await;
            let watcher = Watcher::connect(&nats).await;
            let (mut figures, mut archived) = (Vec::new(), 0);
            for step in STEPS.into_iter().filter(|step| *step < events_max).chain([events_max]) {
                let payload = Payload::Random(EVENT_BYTES);
                let publish = PublishJob::new(nats.url(), 1_000, step - archived, payload, EventTime::Arrival);
                client::run(&Job::Publish(publish)).await;
                archived = step;
                watcher.wait_for(archived).await;
                let ratio = disk_bytes(directory.path()) as f64 / archived as f64 / EVENT_BYTES as f64;
                let figure = Figure::plain(&format!("{} events", number(archived as f64)), "× payload", &[ratio])
                    .with_target(Target::at_most(1.25, 1.1));
                figures.push(if step == EVENTS { figure } else { figure.without_target() });
            }
            let settings = vec!["hourlogd with its defaults, events at their time of arrival".to_owned()];
            Outcome { figures, settings, rounds: 1, ..Outcome::default() }
        }
        .boxed_local()
    }
}
