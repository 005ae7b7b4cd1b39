//! Reading the newest events of a log with millions of events in one hour, relative to a small log.

use futures_util::FutureExt;
use hourlog::{
    ArrivalCursor, LogId, Offset, Scylla, Seq,
    read::{ArrivalQuery, Query, arrivals_page, describe, page},
    store::Store,
    time::HOUR,
};

use crate::{
    BenchOptions,
    cql::{BEGIN, Keyspace, seq_of, write_at},
    measure::{Figure, Measurement, in_turn},
};

/// The events of the busy log, for each event of the other figures: 3 million by default.
const BUSY_TIMES: u64 = 15;
/// The events of the small log.
const SMALL_EVENTS: u64 = 1_000;
/// The reads of each kind in one run.
const READS: u64 = 50;
/// The runs that are not counted.
const WARM_UPS: usize = 2;
/// The events of a page of the console.
const CONSOLE_EVENTS: usize = 400;
/// The bytes of a page of the service.
const PAGE_BYTES: usize = 512 * 1024;

pub(crate) async fn measure(options: &BenchOptions) -> Vec<Figure> {
    let keyspace = Keyspace::create().await;
    let store = keyspace.open().await;
    let [busy, small] = ["busy", "small"].map(|id| id.parse::<LogId>().expect("the benchmark's own id is valid"));
    for (log, events) in [(&busy, options.events * BUSY_TIMES), (&small, SMALL_EVENTS)] {
        // All of them are in one bucket.
        write_at(&store, log, events, |number| offset(number, events)).await;
    }
    store.flush().await.expect("the database accepts the counts");
    let mut figures = Vec::new();
    for (name, read) in [
        ("newest 10 events of a busy log, CQL", Read::Newest(10)),
        ("newest 400 events of a busy log, CQL", Read::Newest(CONSOLE_EVENTS)),
        ("arrivals at the end of a busy log, CQL", Read::Arrivals),
        ("page inside a busy log, CQL", Read::Inside),
        ("describe a busy log, CQL", Read::Describe),
    ] {
        let run = async |log: &LogId, events: u64| {
            Measurement::of(READS, async {
                for _ in 0..READS {
                    read.once(&store, log, events).await;
                }
            })
            .await
        };
        let runs = in_turn(
            options.pairs,
            WARM_UPS,
            [&|| run(&small, SMALL_EVENTS).boxed_local(), &|| run(&busy, options.events * BUSY_TIMES).boxed_local()],
        )
        .await;
        let pairs = runs.into_iter().map(|[small, busy]| (busy, small.per_second())).collect();
        figures.push(Figure { name, against: "a small log", pairs });
    }
    keyspace.remove().await;
    figures
}

/// A kind of read.
#[derive(Debug, Clone, Copy)]
enum Read {
    /// This many of the newest events, as `--tail`, `--reverse` and the console's `G` do.
    Newest(usize),
    /// The events after the newest: what a follower asks for.
    Arrivals,
    /// A page from the middle on.
    Inside,
    Describe,
}

impl Read {
    async fn once(self, store: &Scylla, log: &LogId, events: u64) {
        let query = Query { bytes: PAGE_BYTES, ..Query::ALL };
        match self {
            Self::Newest(limit) => {
                let query = Query { reverse: true, limit, ..query };
                let found = page(store, log, &query, Seq::MAX).await.expect("the log can be read");
                assert_eq!(found.events.len(), limit, "events are missing");
            }
            Self::Arrivals => {
                let after = ArrivalCursor { time: offset(events - 1, events), seq: seq_of(events - 2) };
                let query = ArrivalQuery { after, limit: CONSOLE_EVENTS, bytes: PAGE_BYTES };
                let found = arrivals_page(store, log, &query, Seq::MAX).await.expect("the log can be read");
                assert_eq!(found.events.len(), 1, "events are missing");
            }
            Self::Inside => {
                let from = hourlog::Position::at(offset(events / 2, events));
                let query = Query { from, limit: CONSOLE_EVENTS, ..query };
                let found = page(store, log, &query, Seq::MAX).await.expect("the log can be read");
                assert_eq!(found.events.len(), CONSOLE_EVENTS, "events are missing");
            }
            Self::Describe => {
                let found = describe(store, log).await.expect("the log can be read");
                assert_eq!(found.count, events, "events are missing");
            }
        }
    }
}

/// Returns the offset of an event: they are spread over one hour.
fn offset(number: u64, events: u64) -> Offset {
    let nanos = i128::from(number) * i128::from(HOUR) / i128::from(events);
    Offset::from_nanos(BEGIN + i64::try_from(nanos).expect("less than an hour fits"))
}
