//! Replaying one whole log, decoded, relative to JetStream's fastest consumer and to a bare responder.

use conformance::servers::{HourlogdProcess, NatsServer};
use futures_util::{FutureExt, future::LocalBoxFuture};
use hourlog::wire::{PAGE_EVENTS_MAX, ReplayRequest, proto};
use tempfile::TempDir;

use crate::{
    client::{self, ConsumeJob, ConsumerKind, EventTime, Job, PagesJob, PublishJob, ReplayJob, RespondJob},
    payload::{EVENT_BYTES, Payload},
    results::Figure,
    row::{About, Bench, Outcome, Row},
    setup::{LARGE_STREAM, Watcher, directory, filled_stream, log_id, nats_settings, raw_page, run_beside, service},
    statistics::Target,
};

/// The subject of the bare responder.
const BARE: &str = "bench.bare";

#[derive(Debug)]
pub(crate) struct Replay;

impl Row for Replay {
    fn about(&self) -> About {
        About {
            name: "replay",
            title: "replay of one log, embedded, random payload, decoded by the Rust client",
            how: "One client reads a whole log of on-time events. The first baseline is the faster one of a pull and a \
                  push consumer of JetStream over the same events, in the same round. The second is a bare responder \
                  that answers requests with as many bytes as a page has, from memory, one page ahead.",
            limit: "Copies of a page: out of the archive, through nats-server, into the client.",
        }
    }

    fn measure<'a>(&'a self, bench: &'a Bench) -> LocalBoxFuture<'a, Outcome> {
        async {
            let events = bench.size(500_000, 200_000);
            let log = ReadLog::fill(bench, events, Payload::Random(EVENT_BYTES)).await;
            let reply = raw_page(
                &log.watcher.remote(),
                &log_id(0),
                &ReplayRequest { limit: Some(PAGE_EVENTS_MAX), ..ReplayRequest::default() },
                None,
            )
            .await;
            let (page_bytes, page_events) = (reply.payload.len(), page_events(reply.payload));
            let _responder = client::start(&Job::Respond(RespondJob {
                url: log.nats.url(),
                subject: BARE.to_owned(),
                bytes: page_bytes,
            }))
            .await;
            let pages = Job::Pages(PagesJob {
                url: log.nats.url(),
                subject: BARE.to_owned(),
                pages: events.div_ceil(page_events),
                page_events,
            });
            let [pull, push, replay] = log.jobs();
            let rounds = bench
                .alternate(
                    1,
                    [
                        &|| run_beside(&log.nats, None, &pull).boxed_local(),
                        &|| run_beside(&log.nats, None, &push).boxed_local(),
                        &|| run_beside(&log.nats, None, &pages).boxed_local(),
                        &|| run_beside(&log.nats, Some(&log.hourlogd), &replay).boxed_local(),
                    ],
                )
                .await;
            let consumer = rounds.values(|[pull, push, _, replay]| (replay.rate(), pull.rate().max(push.rate())));
            let responder = rounds.values(|[_, _, pages, replay]| (replay.rate(), pages.rate()));
            let figures = vec![
                Figure::ratio(
                    "to JetStream",
                    "JetStream's faster consumer",
                    "events/s",
                    &consumer,
                    Target::at_least(2.2, 4.0),
                ),
                Figure::ratio(
                    "to a bare responder",
                    "a bare responder",
                    "events/s",
                    &responder,
                    Target::at_least(0.4, 0.7),
                ),
                Figure::plain("pull consumer", "events/s", &rounds.values(|[pull, ..]| pull.rate())),
                Figure::plain("push consumer", "events/s", &rounds.values(|[_, push, ..]| push.rate())),
            ];
            let mut settings = log.settings(events);
            settings.push(format!("bare responder: pages of {page_bytes} bytes, which hold {page_events} events"));
            rounds.outcome(figures, ["pull consumer", "push consumer", "bare responder", "replay"], settings)
        }
        .boxed_local()
    }
}

/// Returns the number of events in a page.
fn page_events(payload: bytes::Bytes) -> u64 {
    let page = proto::decode(payload).expect("the reply is a page");
    page.events.len().max(1) as u64
}

/// A log in an archive, and its events in the stream.
pub(super) struct ReadLog {
    pub(super) hourlogd: HourlogdProcess,
    pub(super) watcher: Watcher,
    pub(super) nats: NatsServer,
    events: u64,
    _directory: TempDir,
}

impl ReadLog {
    pub(super) async fn fill(bench: &Bench, events: u64, payload: Payload) -> Self {
        let nats = filled_stream(bench, |url| PublishJob::new(url, 1, events, payload, EventTime::Arrival)).await;
        let directory = directory();
        let flags: Vec<&str> = ["--adopt"].into_iter().chain(LARGE_STREAM).collect();
        let hourlogd = service(bench, &nats, directory.path(), &flags).await;
        let watcher = Watcher::connect(&nats).await;
        watcher.wait_for(events).await;
        Self { hourlogd, watcher, nats, events, _directory: directory }
    }

    /// The jobs that read all of it: two consumers, and the replay.
    pub(super) fn jobs(&self) -> [Job; 3] {
        let consume = |kind| Job::Consume(ConsumeJob { url: self.nats.url(), events: self.events, kind });
        [consume(ConsumerKind::Pull), consume(ConsumerKind::Push), self.replay(None)]
    }

    /// The job that replays all of it, with pages of a compression.
    pub(super) fn replay(&self, compression: Option<&str>) -> Job {
        let (url, log, compression) = (self.nats.url(), log_id(0), compression.map(str::to_owned));
        Job::Replay(ReplayJob { url, log, events: self.events, readers: 1, compression })
    }

    pub(super) fn settings(&self, events: u64) -> Vec<String> {
        let kinds = [ConsumerKind::Pull, ConsumerKind::Push].map(ConsumerKind::settings);
        [nats_settings()].into_iter().chain(kinds).chain([format!("{events} events in one log")]).collect()
    }
}
