//! Ingesting into Cassandra, relative to the bare driver.

use conformance::servers::NatsServer;
use futures_util::{FutureExt, future::LocalBoxFuture};

use crate::{
    client::{BareWriteJob, EventTime, Job, PublishJob},
    database::{Keyspace, WARM_UPS, WARM_UPS_QUICK},
    payload::{EVENT_BYTES, Payload},
    results::Figure,
    row::{About, Bench, Outcome, Row},
    run::Run,
    setup::{catch_up, filled_stream, nats_settings, run_beside},
    statistics::Target,
};

/// The logs of this row.
const LOGS: u64 = 1_000;

#[derive(Debug)]
pub(crate) struct CqlIngest;

impl Row for CqlIngest {
    fn about(&self) -> About {
        About {
            name: "cql-ingest",
            title: "ingest into Cassandra, 1,000 logs",
            how: "Two streams are filled before: one with JetStream's times, one with a Hourlog-Time in each message. \
                  In each round a new hourlogd archives each of them in an empty keyspace. The baseline is a program \
                  that reads the first stream with a pull consumer, and writes unlogged batches of 50 rows of one \
                  partition with the bare driver, 64 under way.",
            limit: "Cassandra takes most of the two processors. The index and the late events are rows more.",
        }
    }

    fn measure<'a>(&'a self, bench: &'a Bench) -> LocalBoxFuture<'a, Outcome> {
        async {
            let events = bench.size(300_000, 50_000);
            let payload = Payload::Random(EVENT_BYTES);
            let job = |url, time| PublishJob::new(url, LOGS, events, payload, time);
            let own = filled_stream(bench, |url| job(url, EventTime::Arrival)).await;
            let given = filled_stream(bench, |url| job(url, EventTime::Now)).await;
            let keyspace = bench.database.keyspace().await;
            let warm_ups = bench.size(WARM_UPS, WARM_UPS_QUICK) as usize;
            let rounds = bench
                .alternate(
                    warm_ups,
                    [
                        &|| bare(bench, &own, &keyspace, events, true).boxed_local(),
                        &|| archive(bench, &own, &keyspace, events).boxed_local(),
                        &|| archive(bench, &given, &keyspace, events).boxed_local(),
                    ],
                )
                .await;
            let target = Target::at_least(0.45, 0.6);
            let of = |name, pairs: &[(f64, f64)]| {
                Figure::ratio(name, "the bare driver's batches", "events/s", pairs, target)
            };
            let figures = vec![
                of("JetStream's time", &rounds.values(|[bare, own, _]| (own.rate(), bare.rate()))),
                of("event time", &rounds.values(|[bare, _, given]| (given.rate(), bare.rate()))),
            ];
            keyspace.remove().await;
            let settings = vec![
                nats_settings(),
                "one node of Cassandra, one replica, a heap of 1 GB; JVM warmed up by rounds that do not count"
                    .to_owned(),
                format!("{events} events of 256 random bytes in {LOGS} logs"),
            ];
            rounds.outcome(figures, ["bare driver", "hourlogd", "hourlogd, event time"], settings)
        }
        .boxed_local()
    }
}

/// Writes the stream with the bare driver.
pub(super) async fn bare(bench: &Bench, nats: &NatsServer, keyspace: &Keyspace, events: u64, in_batches: bool) -> Run {
    keyspace.empty_bare_table().await;
    let job = BareWriteJob { url: nats.url(), database: keyspace.database.clone(), events, in_batches };
    bench.database.beside(run_beside(nats, None, &Job::BareWrite(job))).await
}

/// Archives the stream in an empty keyspace.
pub(super) async fn archive(bench: &Bench, nats: &NatsServer, keyspace: &Keyspace, events: u64) -> Run {
    keyspace.empty_archive().await;
    bench.database.beside(catch_up(bench, nats, events, &keyspace.store())).await
}
