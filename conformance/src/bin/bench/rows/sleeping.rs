//! The cost of logs that were written and sleep: memory, a list of all, a start.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use conformance::servers::NatsServer;
use futures_util::{FutureExt, future::LocalBoxFuture};
use hourlog::{Remote, wire::LogsRequest};

use crate::{
    client::{self, EventTime, Job, PublishJob},
    machine::resident_bytes,
    payload::Payload,
    results::{Figure, number},
    row::{About, Bench, Outcome, Row},
    run::Run,
    setup::{LARGE_STREAM, Watcher, directory, nats_settings, service, stream_alone},
    statistics::{Target, median},
};

/// The bytes of an event here.
const SMALL_BYTES: usize = 100;
/// The time in which all logs must sleep, or a service must answer.
const WAIT_MAX: Duration = Duration::from_secs(120);
/// The time after which the service has forgotten logs that sleep, and has given back the memory of their events.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(90);
/// The interval between attempts to get the first reply.
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(1);
/// Flags that let many logs begin at once, and sleep soon.
pub(crate) const MANY_LOGS: [&str; 4] = ["--new-logs-a-second", "10000000", "--idle-seconds", "1"];

#[derive(Debug)]
pub(crate) struct Sleeping;

impl Row for Sleeping {
    fn about(&self) -> About {
        About {
            name: "sleeping",
            title: "100,000 logs that were written and sleep",
            how: "Logs of three events are written, and sleep for a minute and a half. Resident memory of hourlogd above \
                  that of one with an empty archive, for each log; the time to list all of them, in pages of 1,000. \
                  Then events are added, up to ten million, and the service is started again and again: time from its \
                  start to the first good reply, beside one with an empty archive.",
            limit: "What is remembered of a log that sleeps; one scan for a list; opening files at a start.",
        }
    }

    fn measure<'a>(&'a self, bench: &'a Bench) -> LocalBoxFuture<'a, Outcome> {
        async {
            let (logs, events) = (bench.size(100_000, 10_000), bench.size(10_000_000, 200_000));
            let (nats, archive) = (NatsServer::start().await, directory());
            let (empty_nats, empty) = (NatsServer::start().await, directory());
            stream_alone(bench, &empty_nats, &LARGE_STREAM).await;
            let flags: Vec<&str> = ["--wal-max-bytes", "8GB"].into_iter().chain(MANY_LOGS).collect();
            let mut hourlogd = service(bench, &nats, archive.path(), &flags).await;
            let before = resident_bytes(hourlogd.id());
            let publish =
                |count| PublishJob::new(nats.url(), logs, count, Payload::Random(SMALL_BYTES), EventTime::Arrival);
            client::run(&Job::Publish(publish(3 * logs))).await;
            let watcher = Watcher::connect(&nats).await;
            watcher.wait_for(3 * logs).await;
            wait_until_asleep(&watcher).await;
            tokio::time::sleep(FORGOTTEN_AFTER).await;
            let memory = resident_bytes(hourlogd.id()).saturating_sub(before) as f64 / logs as f64;
            let remote = watcher.remote();
            let mut listing = Vec::new();
            for _ in 0..bench.pairs {
                listing.push(list_all(&remote, logs).await.as_secs_f64());
            }
            if events > 3 * logs {
                client::run(&Job::Publish(publish(events - 3 * logs))).await;
                watcher.wait_for(events).await;
            }
            hourlogd.terminate().await;
            let starts = bench
                .alternate(
                    1,
                    [&|| start(bench, &empty_nats, empty.path()).boxed_local(), &|| {
                        start(bench, &nats, archive.path()).boxed_local()
                    }],
                )
                .await;
            let millis = |run: &Run| run.wall.as_secs_f64() * 1_000.0;
            let pairs = starts.values(|[empty, full]| (millis(full), millis(empty)));
            let list = Figure::plain("listing all", "s", &listing).with_target(Target::at_most(1.0, 0.3));
            let figures = vec![
                Figure::plain("resident memory a log", "B", &[memory]).with_target(Target::at_most(1_024.0, 200.0)),
                if bench.is_quick { list.without_target() } else { list },
                Figure::plain("listing, for each log", "µs", &[median(&listing) * 1e6 / logs as f64]),
                Figure::ratio("start to first good reply", "an empty archive", "ms", &pairs, Target::at_most(2.0, 1.2)),
            ];
            let settings = vec![
                nats_settings(),
                format!("hourlogd with {}", MANY_LOGS.join(" ")),
                format!("{} logs, {} events of {SMALL_BYTES} bytes", number(logs as f64), number(events as f64)),
            ];
            starts.outcome(figures, ["empty archive", "full archive"], settings)
        }
        .boxed_local()
    }
}

async fn wait_until_asleep(watcher: &Watcher) {
    let begun = Instant::now();
    while watcher.actors().await > 0 {
        assert!(begun.elapsed() < WAIT_MAX, "logs are still awake after {WAIT_MAX:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Lists all logs, and returns the time.
pub(crate) async fn list_all(remote: &Remote, logs: u64) -> Duration {
    let (begun, mut request, mut count) = (Instant::now(), LogsRequest::default(), 0);
    loop {
        let reply = remote.logs(&request).await.expect("the logs can be listed");
        count += reply.logs.len() as u64;
        match reply.next {
            Some(next) => request.after = Some(next),
            None => break,
        }
    }
    assert_eq!(count, logs, "logs are missing");
    begun.elapsed()
}

/// Starts the service, waits for its first good reply, and stops it.
async fn start(bench: &Bench, nats: &NatsServer, directory: &Path) -> Run {
    let watcher = Watcher::connect(nats).await;
    let remote = watcher.remote();
    let begun = Instant::now();
    let answered = async {
        let request = LogsRequest { limit: Some(1), ..LogsRequest::default() };
        while remote.logs(&request).await.is_err() {
            assert!(begun.elapsed() < WAIT_MAX, "the service does not answer");
            tokio::time::sleep(ATTEMPT_INTERVAL).await;
        }
        begun.elapsed()
    };
    let (mut hourlogd, wall) = tokio::join!(service(bench, nats, directory, &MANY_LOGS), answered);
    hourlogd.terminate().await;
    Run { events: 1, wall, ..Run::default() }
}
