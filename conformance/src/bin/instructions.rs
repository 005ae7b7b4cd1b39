//! Fixed work for counting instructions: `cargo xtask instructions` runs it under callgrind.
//!
//! A count of few events is subtracted from a count of more, so that opening the archive does not matter.

use std::{hint::black_box, sync::Arc};

use clap::{Parser, ValueEnum};
use hourlog::{
    Embedded, LogId, Offset, Record, Seq,
    read::{End, Query, page_of_runs},
    store::{Arrival, EventRow, Store, Width, Write},
    time::{HOUR, SECOND},
    wire::proto,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tempfile::TempDir;

/// Does fixed work on an embedded archive
#[derive(Debug, Parser)]
#[command(name = "instructions")]
struct Options {
    #[arg(value_enum)]
    work: Work,
    /// Number of times
    times: u64,
}

/// The work that is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Work {
    /// A write of on-time and late events of several logs
    Ingest,
    /// Reading a whole log in pages, and encoding each as a reply
    Page,
}

/// The events of one log in one write.
const ROWS: u64 = 50;
/// The logs of one write.
const LOGS: u64 = 8;
/// The writes of the archive that is read.
const WRITES_READ: u64 = 8;
/// One of this many events is late.
const LATE: u64 = 10;
/// The bytes of an event.
const EVENT_BYTES: usize = 256;
/// The events of a page.
const PAGE_EVENTS: usize = 100;
/// The time of the first event: an hour of 2025.
const BEGIN_NANOS: i64 = 490_000 * HOUR;
/// The seed of the data.
const SEED: u64 = 42;

fn main() {
    let Options { work, times } = Options::parse();
    let directory = TempDir::new().expect("a temporary directory can be created");
    let store = Embedded::open(directory.path()).expect("the archive opens");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("the system allows a runtime");
    let mut source = Source { seq: Seq::new(1, 0), random: StdRng::seed_from_u64(SEED) };
    runtime.block_on(async {
        let writes = if work == Work::Ingest { times } else { WRITES_READ };
        for number in 0..writes {
            store.write(source.write(number)).await.expect("the archive accepts it");
        }
        if work == Work::Page {
            for _ in 0..times {
                read(&store, &log(0)).await;
            }
        }
    });
}

fn log(number: u64) -> LogId {
    format!("instructions.{number}").parse().expect("the id is valid")
}

/// A source of the same rows in every run.
struct Source {
    seq: Seq,
    random: StdRng,
}

impl Source {
    /// Returns one write: rows of each log.
    fn write(&mut self, number: u64) -> Vec<Write> {
        let arrived = Offset::from_nanos(BEGIN_NANOS + number.cast_signed() * SECOND);
        let of_log = |index| {
            let log = log(index);
            let rows: Arc<[EventRow]> = (0..ROWS).map(|row| self.row(&log, arrived, row)).collect();
            Write::Events { log, rows, width: Width::default() }
        };
        (0..LOGS).map(of_log).collect()
    }

    fn row(&mut self, log: &LogId, arrived: Offset, row: u64) -> EventRow {
        self.seq = self.seq.next().expect("few seqs are used");
        let mut data = vec![0; EVENT_BYTES];
        self.random.fill(&mut data[..]);
        let offset = if row.is_multiple_of(LATE) { arrived.saturating_add_nanos(-SECOND / 2) } else { arrived };
        let arrival = Arrival { offset, time: arrived, max_time: arrived, seq: self.seq };
        EventRow::new(log, arrival, Record::new(data).with("kind", "paid"))
    }
}

/// Reads a log, and encodes each page as the service does.
async fn read(store: &Embedded, log: &LogId) {
    let (mut query, mut count) = (Query { limit: PAGE_EVENTS, ..Query::ALL }, 0);
    loop {
        let found = page_of_runs(store, log, &query, Seq::MAX).await.expect("the log can be read");
        count += found.events.iter().map(|run| run.count() as u64).sum::<u64>();
        // A page is its events as they are stored, and the rest.
        let mut reply = Vec::new();
        for run in &found.events {
            run.fields().append_to(&mut reply).expect("the archive is whole");
        }
        reply.extend(proto::encode(&proto::Page { scanned: found.scanned, ..proto::Page::default() }));
        black_box(reply);
        match found.events.last() {
            Some(last) if found.end == End::More => query.from = last.last().next(),
            _ => break,
        }
    }
    assert_eq!(count, ROWS * WRITES_READ, "events are missing");
}
