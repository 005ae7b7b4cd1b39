//! The drift of a paced replay.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use conformance::servers::NatsServer;
use futures_util::{FutureExt, future::LocalBoxFuture};
use hourlog::{Events, Log, Offset, Player, Record, Remote, pace::Speed, wire::ReplayRequest};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    results::Figure,
    row::{About, Bench, Outcome, Row},
    run::Run,
    setup::{LARGE_STREAM, Watcher, directory, log_id, nats_settings, service},
    statistics::{Target, percentile},
};

/// The time between the first event and the last one.
const LENGTH: Duration = Duration::from_secs(10);
/// The events in it, at random times.
const EVENTS: u64 = 1_000;
const SEED: u64 = 42;

#[derive(Debug)]
pub(crate) struct Drift;

impl Row for Drift {
    fn about(&self) -> About {
        About {
            name: "drift",
            title: "a replay at the pace of its events",
            how: "A client plays a log back as fast as it was written: 1,000 events at random times in ten seconds. For each \
                  event, the time by which it comes later than the first one and the log's own times say.",
            limit: "The clock of the runtime, which wakes a task every millisecond.",
        }
    }

    fn measure<'a>(&'a self, bench: &'a Bench) -> LocalBoxFuture<'a, Outcome> {
        async {
            let (nats, directory) = (NatsServer::start().await, directory());
            let _hourlogd = service(bench, &nats, directory.path(), &LARGE_STREAM).await;
            let remote = Watcher::connect(&nats).await.remote();
            write(&remote).await;
            let rounds = bench.alternate(1, [&|| play(&remote).boxed_local()]).await;
            let figures = vec![
                Figure::plain("p99", "ms", &rounds.values(|[run]| run.p99_micros / 1_000.0))
                    .with_target(Target::at_most(5.0, 2.0)),
                Figure::plain("p50", "ms", &rounds.values(|[run]| run.p50_micros / 1_000.0)),
            ];
            rounds.outcome(figures, ["replay"], vec![nats_settings()])
        }
        .boxed_local()
    }
}

/// Writes the events of the log.
async fn write(remote: &Remote) {
    let mut random = StdRng::seed_from_u64(SEED);
    let start: Offset = "2018-02-04T10:00:00Z".parse().expect("a valid time");
    let length = LENGTH.as_nanos() as i64;
    let times = (0..EVENTS).map(|number| if number == 0 { 0 } else { random.random_range(0..length) });
    let records = times.map(|nanos| Record::new("x").at(start.saturating_add_nanos(nanos)));
    let mut log = remote.log(&log_id(0)).await.expect("the id is valid");
    log.write_many(records.collect()).await.expect("the service replies");
}

/// Plays the log back.
async fn play(remote: &Remote) -> Run {
    let events = pin!(remote.events(log_id(0), ReplayRequest::default()));
    let mut player = Player::new(events, Speed::NORMAL);
    let (mut begun, mut late) = (None, Vec::new());
    while let Some(event) = player.next().await.expect("the service replies") {
        let offset = event.position.offset;
        let (first, at) = *begun.get_or_insert((offset, Instant::now()));
        let due = offset.duration_since(first);
        late.push(at.elapsed().saturating_sub(due).as_secs_f64() * 1e6);
    }
    let wall = begun.map_or(Duration::ZERO, |(_, at)| at.elapsed());
    Run {
        events: late.len() as u64,
        wall,
        cpu: Vec::new(),
        p50_micros: percentile(&late, 50),
        p99_micros: percentile(&late, 99),
    }
}
