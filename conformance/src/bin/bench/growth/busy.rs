//! Reading where a log has millions of events in one hour, which is one partition of a database.

use std::{sync::Arc, time::Instant};

use futures_util::{FutureExt, future::LocalBoxFuture};
use hourlog::{
    ArrivalCursor, LogId, Offset, Position, Record, Scylla, Seq,
    read::{ArrivalQuery, Query, arrivals_page, describe, page},
    store::{Arrival, EventRow, Store, Width, Write},
    time::HOUR,
};

use super::{Lines, Table};
use crate::{
    payload::{EVENT_BYTES, Payload},
    results::number,
    row::Bench,
    statistics::median,
};

pub(super) const TABLE: Table = Table {
    name: "busy",
    title: "more events in one hour of a log, in Cassandra",
    how: "The archive is read directly, without a service: the median time of a read, in milliseconds. All events of a \
          log are in one bucket.",
    columns: &["events", "newest 10", "newest 400", "arrivals at the end", "page inside", "describe"],
    measure,
};

/// The events of each line.
const SIZES: [u64; 4] = [1_000, 30_000, 300_000, 3_000_000];
/// The reads of each kind.
const READS: u64 = 50;
/// The events of a page of the console.
const CONSOLE_EVENTS: usize = 400;
/// The bytes of a page of the service.
const PAGE_BYTES: usize = 512 * 1024;
/// The events of one write.
const WRITE_EVENTS: usize = 5_000;
/// The time of the first event: an hour of 2025.
const BEGIN_NANOS: i64 = 490_000 * HOUR;

fn measure(bench: &Bench) -> LocalBoxFuture<'_, Lines> {
    async move {
        let keyspace = bench.database.keyspace().await;
        let store = keyspace.open().await;
        let mut lines = Vec::new();
        for events in SIZES.into_iter().filter(|events| *events <= bench.size(u64::MAX, 100_000)) {
            lines.push(line(&store, events).await);
        }
        keyspace.remove().await;
        lines
    }
    .boxed_local()
}

async fn line(store: &Scylla, events: u64) -> Vec<String> {
    let log: LogId = format!("busy.{events}").parse().expect("the benchmark's own id is valid");
    write(store, &log, events).await;
    store.flush().await.expect("the database accepts the counts");
    let mut cells = vec![number(events as f64)];
    for read in [Read::Newest(10), Read::Newest(CONSOLE_EVENTS), Read::Arrivals, Read::Inside, Read::Describe] {
        let mut millis = Vec::new();
        for _ in 0..READS {
            let begun = Instant::now();
            read.once(store, &log, events).await;
            millis.push(begun.elapsed().as_secs_f64() * 1_000.0);
        }
        cells.push(number(median(&millis)));
    }
    cells
}

/// A kind of read.
#[derive(Debug, Clone, Copy)]
enum Read {
    /// This many of the newest events, as `--tail`, `--reverse` and the console's `G` do.
    Newest(usize),
    /// The events after the newest but one: what a follower asks for.
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
                let after = ArrivalCursor { time: offset(events - 1, events), seq: Seq::new(1, events - 1) };
                let query = ArrivalQuery { after, limit: CONSOLE_EVENTS, bytes: PAGE_BYTES };
                let found = arrivals_page(store, log, &query, Seq::MAX).await.expect("the log can be read");
                assert_eq!(found.events.len(), 1, "events are missing");
            }
            Self::Inside => {
                let from = Position::at(offset(events / 2, events));
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

/// Writes a log of on-time events.
async fn write(store: &Scylla, log: &LogId, events: u64) {
    let numbers: Vec<u64> = (0..events).collect();
    for some in numbers.chunks(WRITE_EVENTS) {
        let row = |number: &u64| {
            let offset = offset(*number, events);
            // Sequences begin at 1.
            let arrival = Arrival { offset, time: offset, max_time: offset, seq: Seq::new(1, number + 1) };
            EventRow::new(log, arrival, Record::new(Payload::Random(EVENT_BYTES).data(*number)))
        };
        let rows: Arc<[EventRow]> = some.iter().map(row).collect();
        let write = Write::Events { log: log.clone(), rows, width: Width::default() };
        store.write(vec![write]).await.expect("the database accepts the write");
    }
}

/// Returns the offset of an event: they are spread over one hour.
fn offset(number: u64, events: u64) -> Offset {
    let nanos = i128::from(number) * i128::from(HOUR) / i128::from(events);
    Offset::from_nanos(BEGIN_NANOS + i64::try_from(nanos).expect("less than an hour fits"))
}
