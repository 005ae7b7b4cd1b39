//! Rows that are written to a store directly, as the service writes them, and reading them back.
//!
//! The arrival time of each is given, not taken from a clock.

use hourlog::{
    ArrivalCursor, Event, LogId, Offset, Position, Record, Result, Seq,
    read::{ArrivalQuery, End, Query, arrivals_page, page},
    store::{Arrival, EncodedEvent, EventRow, LogRow, Store, Width, Widths, Write},
};

/// The events of one page when a whole log is read.
const PAGE_EVENTS: usize = 4_000;

/// A source of rows for one log.
#[derive(Debug)]
pub struct RowSource {
    log: LogId,
    seq: Seq,
    max_time: Offset,
}

impl RowSource {
    /// A source whose first row has the sequence 1.
    pub fn new(log: LogId) -> Self {
        Self { log, seq: Seq::new(1, 0), max_time: Offset::MIN }
    }

    /// Returns the row of a record whose offset is its arrival time.
    pub fn on_time(&mut self, offset: Offset, name: &str) -> EventRow {
        self.arrival(offset, offset, Record::new(name))
    }

    /// Returns the row of `record` with `offset`, which arrived `at`.
    pub fn arrival(&mut self, offset: Offset, at: Offset, record: Record) -> EventRow {
        self.seq = self.seq.next().expect("a test uses few seqs");
        self.max_time = self.max_time.max(at);
        EventRow::new(&self.log, Arrival { offset, time: at, max_time: self.max_time, seq: self.seq }, record)
    }
}

/// Writes `rows` to `log` in one write.
///
/// # Errors
/// Those of [`Store::write`].
pub async fn write(store: &impl Store, log: &LogId, rows: &[EventRow]) -> Result<()> {
    store.write(vec![Write::Events { log: log.clone(), rows: rows.into(), width: Width::default() }]).await
}

/// Creates `log` with `widths`.
///
/// # Errors
/// Those of [`Store::write`].
pub async fn create_log(store: &impl Store, log: &LogId, widths: Widths) -> Result<()> {
    let created = Offset::from_nanos(0);
    store.write(vec![Write::Log(log.clone(), LogRow::new(created, widths))]).await
}

/// Returns the positions of `rows`.
pub fn positions(rows: &[EventRow]) -> Vec<Position> {
    rows.iter().map(|row| row.event.position).collect()
}

/// Returns the decoded events of `log`.
pub fn decoded(log: &LogId, events: &[EncodedEvent]) -> Vec<Event> {
    events.iter().map(|event| event.decode(log)).collect()
}

/// Reads all events of `log` in timeline order, and the positions of all in arrival order.
///
/// # Errors
/// Those of reading a page.
pub async fn read_all(store: &impl Store, log: &LogId) -> Result<(Vec<Event>, Vec<Position>)> {
    let (mut by_time, mut by_arrival) = (Vec::new(), Vec::new());
    let mut query = Query { limit: PAGE_EVENTS, ..Query::ALL };
    loop {
        let page = page(store, log, &query, Seq::MAX).await?;
        by_time.extend(page.events);
        match by_time.last() {
            Some(last) if page.end == End::More => query.from = last.position.next(),
            _ => break,
        }
    }
    let mut query = ArrivalQuery { after: ArrivalCursor::FIRST, limit: PAGE_EVENTS, bytes: usize::MAX };
    loop {
        let page = arrivals_page(store, log, &query, Seq::MAX).await?;
        by_arrival.extend(page.events.iter().map(|event| event.position));
        query.after = page.next;
        if page.end != End::More {
            return Ok((by_time, by_arrival));
        }
    }
}
