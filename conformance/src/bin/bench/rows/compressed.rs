//! Replaying a log of JSON with compressed pages, relative to JetStream's fastest consumer.

use futures_util::{FutureExt, future::LocalBoxFuture};
use hourlog::wire::{CONTENT_ENCODING, PAGE_EVENTS_MAX, ReplayRequest};

use super::replay::ReadLog;
use crate::{
    payload::Payload,
    results::{Figure, number},
    row::{About, Bench, Outcome, Row},
    setup::{log_id, raw_page, run_beside},
    statistics::Target,
};

/// The compressions that are tried.
const COMPRESSIONS: [&str; 2] = ["zstd", "lz4"];

#[derive(Debug)]
pub(crate) struct Compressed;

impl Row for Compressed {
    fn about(&self) -> About {
        About {
            name: "replay-compressed",
            title: "replay of JSON logs with compressed pages",
            how: "As the row `replay`, over earthquakes as JSON. The client asks for compressed pages, once with zstd and \
                  once with lz4; the faster one is judged. Server and client are on one machine, where compression saves \
                  no time on a network.",
            limit: "Decompressing and decoding in the client. With lz4, hourlogd copies what is stored; with zstd, it compresses.",
        }
    }

    fn measure<'a>(&'a self, bench: &'a Bench) -> LocalBoxFuture<'a, Outcome> {
        async {
            let events = bench.size(500_000, 100_000);
            let log = ReadLog::fill(bench, events, Payload::Json).await;
            let [pull, push, plain] = log.jobs();
            let [zstd, lz4] = COMPRESSIONS.map(|name| log.replay(Some(name)));
            let replay = |job| run_beside(&log.nats, Some(&log.hourlogd), job).boxed_local();
            let rounds = bench
                .alternate(
                    1,
                    [
                        &|| run_beside(&log.nats, None, &pull).boxed_local(),
                        &|| run_beside(&log.nats, None, &push).boxed_local(),
                        &|| replay(&plain),
                        &|| replay(&zstd),
                        &|| replay(&lz4),
                    ],
                )
                .await;
            let pairs =
                rounds.values(|[pull, push, _, zstd, lz4]| (zstd.rate().max(lz4.rate()), pull.rate().max(push.rate())));
            let target = Target::at_least(3.0, 6.0);
            let mut figures =
                vec![Figure::ratio("to JetStream", "JetStream's faster consumer", "events/s", &pairs, target)];
            for (name, side) in [("plain pages", 2), ("zstd", 3), ("lz4", 4)] {
                figures.push(Figure::plain(name, "events/s", &rounds.values(|runs| runs[side].rate())));
            }
            let mut settings = log.settings(events);
            settings.push(format!("{} bytes of JSON an event, on average", number(Payload::Json.mean_bytes())));
            for name in COMPRESSIONS {
                let request = ReplayRequest { limit: Some(PAGE_EVENTS_MAX), ..ReplayRequest::default() };
                let reply = raw_page(&log.watcher.remote(), &log_id(0), &request, Some(name)).await;
                let encoding = reply.headers.as_ref().and_then(|headers| headers.get(CONTENT_ENCODING));
                let encoding = encoding.expect("the service compresses a page of JSON");
                settings.push(format!("a page with {encoding}: {} bytes", number(reply.payload.len() as f64)));
            }
            rounds.outcome(figures, ["pull consumer", "push consumer", "plain pages", "zstd", "lz4"], settings)
        }
        .boxed_local()
    }
}
