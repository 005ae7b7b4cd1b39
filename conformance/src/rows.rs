//! Rows to write to a store directly, as a service does: the arrival of each is said, not taken from a clock.

use hourlog::{Arrived, LogId, LogRow, Offset, Position, Record, Result, Row, Seq, Store, Widths, Write, row, seq};

/// A source of rows for one log.
#[derive(Debug)]
pub struct Rows {
    log: LogId,
    seq: Seq,
    high: Offset,
}

impl Rows {
    /// A source that has not given out anything yet.
    pub fn new(log: LogId) -> Self {
        Self { log, seq: seq(1, 0), high: Offset::MIN }
    }

    /// The row of a record that arrived at its own time.
    pub fn punctual(&mut self, offset: Offset, name: &str) -> Row {
        self.arrived(offset, offset, Record::new(name))
    }

    /// The row of `record` that arrived `at` and is kept at `offset`.
    pub fn arrived(&mut self, offset: Offset, at: Offset, record: Record) -> Row {
        self.seq += 1;
        self.high = self.high.max(at);
        row(&self.log, Arrived { offset, at, high: self.high, seq: self.seq }, record)
    }
}

/// Writes `rows` to `log` at once.
///
/// # Errors
/// What the store answers.
pub async fn write(store: &impl Store, log: &LogId, rows: &[Row]) -> Result<()> {
    store.write(vec![Write::Events { log: log.clone(), rows: rows.into() }]).await
}

/// Makes `log`, with `widths`.
///
/// # Errors
/// What the store answers.
pub async fn make(store: &impl Store, log: &LogId, widths: Widths) -> Result<()> {
    let created = Offset::from_nanos(0);
    let row = LogRow { created, widths, retention_seconds: None, cut: Seq::MIN };
    store.write(vec![Write::Log(log.clone(), row)]).await
}

/// The positions of `rows`.
pub fn positions(rows: &[Row]) -> Vec<Position> {
    rows.iter().map(|row| row.event.position).collect()
}
