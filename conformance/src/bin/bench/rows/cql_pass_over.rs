//! The price of a message for an instance that does not own its log.

use std::time::{Duration, Instant};

use conformance::servers::{HourlogdProcess, NatsServer};
use futures_util::{
    FutureExt,
    future::{LocalBoxFuture, join_all},
};
use hourlog::{Remote, store::SLOTS, wire::StatusReply};

use crate::{
    client::{self, ConsumeJob, ConsumerKind, EventTime, Job, PublishJob},
    machine::cpu_of,
    payload::{EVENT_BYTES, Payload},
    results::Figure,
    row::{About, Bench, Outcome, Row},
    run::Run,
    setup::{LARGE_STREAM, Watcher, nats_settings, run_beside, service_on},
    statistics::Target,
};

/// The instances: one owns the log of this row, the others pass over its messages.
const INSTANCES: usize = 3;
/// The interval between checks of how far they are. A check costs each of them a request.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// The time after which no further instance answers.
const STATUS_GAP: Duration = Duration::from_millis(50);
/// The time in which the instances divide the slots, or read the messages of a round.
const PROGRESS_TIME_MAX: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct CqlPassOver;

impl Row for CqlPassOver {
    fn about(&self) -> About {
        About {
            name: "cql-pass-over",
            title: "processor time of hourlogd for a message that belongs to another instance",
            how: "Three instances share a keyspace. In each round, events are published to one log until each instance \
                  has read all of them. One instance owns the log and archives them; the other two pass over them, and \
                  the figure is the mean of these two: user and system time, heartbeats and checks included. The rate \
                  goes by the time until these two have read everything. A bare pull consumer reads as many events of \
                  the same stream.",
            limit: "The client library, which makes a message of what arrives. The instances, nats-server, the \
                    publisher and Cassandra share the processors, and none waits for another.",
        }
    }

    fn measure<'a>(&'a self, bench: &'a Bench) -> LocalBoxFuture<'a, Outcome> {
        async {
            let events = bench.size(500_000, 100_000);
            let keyspace = bench.database.keyspace().await;
            let (nats, store) = (NatsServer::start().await, keyspace.store());
            let instances = join_all((0..INSTANCES).map(|_| service_on(bench, &nats, &store, &LARGE_STREAM))).await;
            let remote = Watcher::connect(&nats).await.remote();
            wait(&remote, |statuses| {
                let slots = statuses.iter().filter_map(|status| status.share.as_ref()).map(|share| share.slots);
                slots.sum::<u32>() == u32::from(SLOTS)
            })
            .await;
            // For the consumer of the first round.
            publish_beside(&nats, &instances, &remote, events).await;
            let drain = Job::Consume(ConsumeJob { url: nats.url(), events, kind: ConsumerKind::Pull });
            let rounds = bench
                .alternate(
                    1,
                    [&|| run_beside(&nats, None, &drain).boxed_local(), &|| {
                        let run = publish_beside(&nats, &instances, &remote, events);
                        bench.database.beside(run).boxed_local()
                    }],
                )
                .await;
            let drained = rounds.values(|[drain, _]| drain.cpu_micros("client"));
            let passed = rounds.values(|[_, passed]| passed.cpu_micros(PASSES));
            let beyond: Vec<f64> = passed.iter().zip(&drained).map(|(passed, drained)| passed - drained).collect();
            let figures = vec![
                Figure::plain("a message passed over", "µs", &passed),
                Figure::plain("beyond a bare drain", "µs", &beyond).with_target(Target::at_most(1.0, 0.3)),
                Figure::plain("passed over by each, a second", "", &rounds.values(|[_, passed]| passed.rate())),
            ];
            drop(instances);
            keyspace.remove().await;
            let settings = vec![
                nats_settings(),
                ConsumerKind::Pull.settings(),
                "one node of Cassandra, one replica, a heap of 1 GB".to_owned(),
                format!("{events} events of 256 random bytes in one log"),
            ];
            rounds.outcome(figures, ["bare drain", "three instances"], settings)
        }
        .boxed_local()
    }
}

const OWNER: &str = "hourlogd that archives";
const PASSES: &str = "hourlogd that passes over";

/// Publishes to one log until each instance has read everything. Returns the time until all but one have.
async fn publish_beside(nats: &NatsServer, instances: &[HourlogdProcess], remote: &Remote, events: u64) -> Run {
    let before = wait(remote, |_| true).await;
    let goal = read_by(&before)[0] + events;
    let cpu = || -> Vec<Duration> { instances.iter().map(|instance| cpu_of(instance.id())).collect() };
    let (cpu_before, nats_before, begun) = (cpu(), cpu_of(nats.id()), Instant::now());
    let payload = Payload::Random(EVENT_BYTES);
    let publish = Job::Publish(PublishJob::new(nats.url(), 1, events, payload, EventTime::Arrival));
    let client = client::run(&publish).await.run();
    // The one that archives is the last one.
    wait(remote, |statuses| read_by(statuses)[1] >= goal).await;
    let wall = begun.elapsed();
    wait(remote, |statuses| read_by(statuses)[0] >= goal).await;
    let mut spent: Vec<Duration> = cpu().iter().zip(cpu_before).map(|(after, before)| *after - before).collect();
    spent.sort_unstable();
    // Archiving costs several times as much as passing over.
    let owner = spent.pop().expect("there are instances");
    let others = spent.iter().sum::<Duration>() / u32::try_from(spent.len()).expect("there are few instances");
    let nats_server = cpu_of(nats.id()) - nats_before;
    let cpu = [client.cpu, vec![(OWNER, owner), (PASSES, others), ("nats-server", nats_server)]].concat();
    Run { events, wall, cpu, ..Run::default() }
}

/// Returns the sequences of the stream up to which each instance has read it, and archived what belongs to it; the one
/// that lags most first.
fn read_by(statuses: &[StatusReply]) -> Vec<u64> {
    let archived = |status: &StatusReply| status.sources.first().map_or(0, |source| source.archived);
    let mut sequences: Vec<u64> = statuses.iter().map(archived).collect();
    sequences.sort_unstable();
    sequences
}

/// Waits until the statuses of all instances are as wanted, and returns them.
///
/// # Panics
/// If they do not become so.
async fn wait(remote: &Remote, is_done: impl Fn(&[StatusReply]) -> bool) -> Vec<StatusReply> {
    let begun = Instant::now();
    loop {
        let statuses = remote.statuses(STATUS_GAP).await.expect("the instances answer");
        if statuses.len() == INSTANCES && is_done(&statuses) {
            return statuses;
        }
        assert!(begun.elapsed() < PROGRESS_TIME_MAX, "the instances are not ready: {statuses:?}");
        tokio::time::sleep(CHECK_INTERVAL).await;
    }
}
