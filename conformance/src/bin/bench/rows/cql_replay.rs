//! Replaying a log from Cassandra through the service, relative to bare pages of the driver.

use futures_util::{FutureExt, future::LocalBoxFuture};
use hourlog::time::{DAY, HOUR};

use super::cql_ingest::bare;
use crate::{
    client::{BareReadJob, EventTime, Job, PublishJob, ReplayJob},
    database::{WARM_UPS, WARM_UPS_QUICK},
    payload::{EVENT_BYTES, Payload},
    results::Figure,
    row::{About, Bench, Outcome, Row},
    setup::{LARGE_STREAM, Watcher, filled_stream, log_id, nats_settings, run_beside, service_on},
    statistics::Target,
};

/// The first event: 2025-01-01.
const BEGIN_NANOS: i64 = 20_089 * DAY;
/// The events of an hour: half of what a partition should have at most.
const HOUR_EVENTS: u64 = 50_000;
/// The rows of a page of the bare driver: the fastest of those that were tried.
const PAGE_ROWS: i32 = 5_000;

#[derive(Debug)]
pub(crate) struct CqlReplay;

impl Row for CqlReplay {
    fn about(&self) -> About {
        About {
            name: "cql-replay",
            title: "replay of one log from Cassandra, through the service",
            how: "One client reads a whole log, 50,000 events an hour. The baseline is a program that reads the same \
                  events from a table of the same form with the bare driver, in pages of 5,000 rows.",
            limit: "Cassandra takes most of the processor time of a row.",
        }
    }

    fn measure<'a>(&'a self, bench: &'a Bench) -> LocalBoxFuture<'a, Outcome> {
        async {
            let hours = bench.size(6, 2);
            let events = hours * HOUR_EVENTS;
            let time = EventTime::Spaced { begin_nanos: BEGIN_NANOS, step_nanos: HOUR / HOUR_EVENTS.cast_signed() };
            let payload = Payload::Random(EVENT_BYTES);
            let nats = filled_stream(bench, |url| PublishJob::new(url, 1, events, payload, time)).await;
            let keyspace = bench.database.keyspace().await;
            bare(bench, &nats, &keyspace, events, true).await;
            let flags: Vec<&str> = ["--adopt"].into_iter().chain(LARGE_STREAM).collect();
            let hourlogd = service_on(bench, &nats, &keyspace.store(), &flags).await;
            Watcher::connect(&nats).await.wait_for(events).await;
            let select = Job::BareRead(BareReadJob {
                database: keyspace.database.clone(),
                log: log_id(0).to_string(),
                first_nanos: BEGIN_NANOS,
                hours: hours.cast_signed(),
                events,
                page_rows: PAGE_ROWS,
            });
            let replay =
                Job::Replay(ReplayJob { url: nats.url(), log: log_id(0), events, readers: 1, compression: None });
            let warm_ups = bench.size(WARM_UPS, WARM_UPS_QUICK) as usize;
            let rounds = bench
                .alternate(
                    warm_ups,
                    [&|| bench.database.beside(run_beside(&nats, None, &select)).boxed_local(), &|| {
                        bench.database.beside(run_beside(&nats, Some(&hourlogd), &replay)).boxed_local()
                    }],
                )
                .await;
            let pairs = rounds.values(|[select, replay]| (replay.rate(), select.rate()));
            let target = Target::at_least(0.7, 0.9);
            let figure = Figure::ratio("throughput", "a bare paged SELECT", "events/s", &pairs, target);
            drop(hourlogd);
            keyspace.remove().await;
            let settings = vec![
                nats_settings(),
                format!("bare SELECT: pages of {PAGE_ROWS} rows"),
                format!("{events} events of 256 random bytes in one log"),
            ];
            rounds.outcome(vec![figure], ["bare SELECT", "replay"], settings)
        }
        .boxed_local()
    }
}
