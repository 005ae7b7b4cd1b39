//! The time until the first event at a random time, relative to a bare request.

use futures_util::{FutureExt, future::LocalBoxFuture};
use hourlog::wire::ReplayRequest;

use super::replay::ReadLog;
use crate::{
    client::{self, Job, PingJob, RespondJob, SeekJob},
    payload::{EVENT_BYTES, Payload},
    results::Figure,
    row::{About, Bench, Outcome, Row},
    setup::{log_id, nats_settings, raw_page, run_beside, times},
    statistics::Target,
};

const BARE: &str = "bench.bare";

#[derive(Debug)]
pub(crate) struct Seek;

impl Row for Seek {
    fn about(&self) -> About {
        About {
            name: "seek",
            title: "first event at a random time in a million events",
            how: "One client asks for one event at a random time, again and again. The baseline is a bare request over \
                  the same nats-server, answered from memory with as many bytes, in the same round.",
            limit: "Two trips through nats-server, which the baseline has too.",
        }
    }

    fn measure<'a>(&'a self, bench: &'a Bench) -> LocalBoxFuture<'a, Outcome> {
        async {
            let (events, count) = (bench.size(1_000_000, 200_000), bench.size(5_000, 1_000));
            let log = ReadLog::fill(bench, events, Payload::Random(EVENT_BYTES)).await;
            let remote = log.watcher.remote();
            let [first, last] = times(&remote, &log_id(0)).await;
            let request = ReplayRequest { from: Some(first.into()), limit: Some(1), ..ReplayRequest::default() };
            let bytes = raw_page(&remote, &log_id(0), &request, None).await.payload.len();
            let (url, subject) = (log.nats.url(), BARE.to_owned());
            let responder = Job::Respond(RespondJob { url: url.clone(), subject: subject.clone(), bytes });
            let _responder = client::start(&responder).await;
            let ping = Job::Ping(PingJob { url: url.clone(), subject, count });
            let (first_nanos, last_nanos) = (first.nanos(), last.nanos());
            let seek = Job::Seek(SeekJob { url, log: log_id(0), count, first_nanos, last_nanos });
            let rounds = bench
                .alternate(
                    1,
                    [&|| run_beside(&log.nats, None, &ping).boxed_local(), &|| {
                        run_beside(&log.nats, Some(&log.hourlogd), &seek).boxed_local()
                    }],
                )
                .await;
            let p50 = rounds.values(|[ping, seek]| (seek.p50_micros, ping.p50_micros));
            let p99 = rounds.values(|[ping, seek]| (seek.p99_micros, ping.p99_micros));
            let figures = vec![
                Figure::ratio("p50", "a bare request", "µs", &p50, Target::at_most(1.6, 1.25)),
                Figure::ratio("p99", "a bare request", "µs", &p99, Target::at_most(2.0, 1.5)),
            ];
            let settings = vec![
                nats_settings(),
                format!("{events} events in one log, {count} requests a round, one after the other"),
                format!("bare responder: {bytes} bytes a reply"),
            ];
            rounds.outcome(figures, ["bare request", "seek"], settings)
        }
        .boxed_local()
    }
}
