//! Ingesting sparse events into Cassandra, relative to the bare driver's single inserts.

use futures_util::{FutureExt, future::LocalBoxFuture};
use hourlog::time::{DAY, HOUR};

use super::cql_ingest::{archive, bare};
use crate::{
    client::{EventTime, PublishJob},
    database::{WARM_UPS, WARM_UPS_QUICK},
    payload::{EVENT_BYTES, Payload},
    results::Figure,
    row::{About, Bench, Outcome, Row},
    setup::{filled_stream, nats_settings},
    statistics::Target,
};

/// The logs of this row.
const LOGS: u64 = 10;
/// The first event: 2025-01-01.
const BEGIN_NANOS: i64 = 20_089 * DAY;
/// The time between two events of one log: 1.6 an hour.
const STEP_NANOS: i64 = HOUR * 10 / 16;

#[derive(Debug)]
pub(crate) struct CqlSparse;

impl Row for CqlSparse {
    fn about(&self) -> About {
        About {
            name: "cql-sparse",
            title: "ingest of sparse events into Cassandra: a year, 1.6 events an hour and log",
            how: "A stream is filled before, in order of time, with a Hourlog-Time in each message. In each round a new \
                  hourlogd archives it in an empty keyspace. The baseline is a program that reads the stream with a pull \
                  consumer and inserts each event with the bare driver, 512 under way. Nearly every event has a bucket of \
                  its own.",
            limit: "A row of the index for nearly every event.",
        }
    }

    fn measure<'a>(&'a self, bench: &'a Bench) -> LocalBoxFuture<'a, Outcome> {
        async {
            // A year in full; five weeks in a quick run.
            let events = LOGS * bench.size(14_016, 1_400);
            let time = EventTime::Spaced { begin_nanos: BEGIN_NANOS, step_nanos: STEP_NANOS / LOGS.cast_signed() };
            let payload = Payload::Random(EVENT_BYTES);
            let nats = filled_stream(bench, |url| PublishJob::new(url, LOGS, events, payload, time)).await;
            let keyspace = bench.database.keyspace().await;
            let warm_ups = bench.size(WARM_UPS, WARM_UPS_QUICK) as usize;
            let rounds = bench
                .alternate(
                    warm_ups,
                    [&|| bare(bench, &nats, &keyspace, events, false).boxed_local(), &|| {
                        archive(bench, &nats, &keyspace, events).boxed_local()
                    }],
                )
                .await;
            let pairs = rounds.values(|[bare, service]| (service.rate(), bare.rate()));
            let target = Target::at_least(0.5, 0.8);
            let figure = Figure::ratio("throughput", "the bare driver's single inserts", "events/s", &pairs, target);
            keyspace.remove().await;
            let settings = vec![nats_settings(), format!("{events} events of 256 random bytes in {LOGS} logs")];
            rounds.outcome(vec![figure], ["bare driver", "hourlogd"], settings)
        }
        .boxed_local()
    }
}
