//! Events that are stored once: importing the same lines twice adds nothing.

use std::collections::{HashMap, hash_map::Entry};

use hourlog::{
    Event, LogId, Offset, Position, Result, Seq,
    store::{Bucket, BucketRow, EventRow, LogRow, Scan, Store},
};

use crate::pending::PendingEvent;

/// Number of events per read of the archive.
const SCAN_EVENTS: usize = 64;

/// Returns the rows of `events` to store: all except those that ask to be stored once and are there
/// already. Reads only buckets with events around an event's time, so that a first import reads
/// none.
///
/// # Errors
/// The store's error.
pub(crate) async fn missing_rows<S: Store>(store: &S, log: &LogId, events: &[PendingEvent]) -> Result<Vec<EventRow>> {
    let mut rows: Vec<EventRow> = Vec::with_capacity(events.len());
    // The indices in `rows` by offset: the earlier events of this write that may equal a later one.
    let mut rows_at: HashMap<Offset, Vec<usize>> = HashMap::new();
    // An event of this write counts once, even if it is already there after an interrupted write.
    // So the archive is searched only for events before this write.
    let before = events.first().map_or(Seq::MAX, |event| event.row.event.position.seq);
    let mut archived = ArchivedEvents::before(store, log, before).await?;
    for PendingEvent { row, once } in events {
        let event = &row.event;
        if let Some(n) = once {
            let earlier = rows_at.get(&event.position.offset).into_iter().flatten();
            let earlier = earlier.filter(|index| is_equal(&rows[**index].event, event)).count() as u64;
            if earlier + archived.count_equal(event, n + 1).await? > *n {
                continue;
            }
        }
        rows_at.entry(event.position.offset).or_default().push(rows.len());
        rows.push(row.clone());
    }
    Ok(rows)
}

/// The archived events of a log before a seq. Remembers the index rows that it has read.
struct ArchivedEvents<'a, S> {
    store: &'a S,
    log: &'a LogId,
    before: Seq,
    /// The log's row; `None` if the log does not exist yet.
    log_row: Option<LogRow>,
    index: HashMap<Bucket, Option<BucketRow>>,
}

impl<'a, S: Store> ArchivedEvents<'a, S> {
    async fn before(store: &'a S, log: &'a LogId, before: Seq) -> Result<Self> {
        Ok(Self { store, log, before, log_row: store.log(log).await?, index: HashMap::new() })
    }

    /// Counts the archived events that equal `event`. Stops once it has found `enough`.
    async fn count_equal(&mut self, event: &Event, enough: u64) -> Result<u64> {
        let offset = event.position.offset;
        let Some(log_row) = &self.log_row else { return Ok(0) };
        let bucket = log_row.widths.bucket(offset);
        let row = match self.index.entry(bucket) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let rows = self.store.buckets(self.log, offset..=offset, false, 1).await?;
                entry.insert(rows.into_iter().find(|row| row.bucket == bucket && row.count > 0))
            }
        };
        if row.as_ref().is_none_or(|row| offset < row.first || row.last < offset) {
            return Ok(0);
        }
        let mut scan = Scan {
            from: Position::at(offset),
            to: Position { offset, seq: self.before.saturating_previous() },
            reverse: false,
            limit: SCAN_EVENTS,
            bytes: usize::MAX,
        };
        let mut found = 0;
        loop {
            let events = self.store.events(self.log, bucket, scan).await?;
            found += events.iter().filter(|other| is_equal(other, event)).count() as u64;
            match events.last() {
                Some(last) if events.len() == SCAN_EVENTS && found < enough => scan.from = last.position.next(),
                _ => return Ok(found),
            }
        }
    }
}

fn is_equal(one: &Event, other: &Event) -> bool {
    one.position.offset == other.position.offset && one.record == other.record
}

#[cfg(test)]
mod tests {
    use super::*;
    use conformance::{
        counting::{CountingStore, ReadCounts},
        kit::{at, id},
        rows::{self, RowSource},
    };
    use hourlog::{Memory, Record, time::MINUTE};

    /// Returns the lines of a file, a minute apart, as pending events.
    fn lines(source: &mut RowSource, count: i64) -> Vec<PendingEvent> {
        let line = |number: i64| {
            let offset = at("10:00:00").saturating_add_nanos(number * MINUTE);
            let row = source.arrival(offset, at("2018-03-01T00:00:00Z"), Record::new(number.to_string()));
            PendingEvent { row, once: Some(0) }
        };
        (0..count).map(line).collect()
    }

    #[tokio::test]
    async fn a_first_import_reads_no_events_and_each_index_row_once() {
        let (store, log) = (CountingStore::new(Memory::new()), id("imported"));
        let mut source = RowSource::new(log.clone());
        let lines = lines(&mut source, 300);
        let mut index = Vec::new();
        for part in lines.chunks(100) {
            store.take();
            let missing = missing_rows(&store, &log, part).await.expect("memory answers");
            let ReadCounts { index: rows, buckets, arrivals, events } = store.take();
            assert_eq!((missing.len(), buckets, arrivals, events), (part.len(), 0, 0, 0));
            index.push(rows);
            rows::write(&store, &log, &missing).await.expect("memory takes the rows");
        }
        // A new log has no index; later, a hundred minutes lie in two or three buckets of an hour.
        assert_eq!(index, [0, 3, 2]);
    }

    #[tokio::test]
    async fn equal_lines_survive_a_retry_after_an_interrupted_write() {
        let (store, log) = (Memory::new(), id("imported"));
        let mut source = RowSource::new(log.clone());
        let line = |number: u64| {
            let row = source.arrival(at("10:00:00"), at("2018-03-01T00:00:00Z"), Record::new("the same"));
            PendingEvent { row, once: Some(number) }
        };
        let lines: Vec<PendingEvent> = (0..3).map(line).collect();
        // A write that was interrupted after the first line.
        rows::write(&store, &log, &[lines[0].row.clone()]).await.expect("memory takes the rows");
        let again = missing_rows(&store, &log, &lines).await.expect("memory answers");
        assert_eq!(again.len(), 3);
    }

    #[tokio::test]
    async fn a_second_import_adds_only_the_new_line() {
        let (store, log) = (CountingStore::new(Memory::new()), id("imported"));
        let mut source = RowSource::new(log.clone());
        let first = lines(&mut source, 300);
        let first = missing_rows(&store, &log, &first).await.expect("memory answers");
        rows::write(&store, &log, &first).await.expect("memory takes the rows");
        let second = lines(&mut source, 301);
        let second = missing_rows(&store, &log, &second).await.expect("memory answers");
        assert_eq!(second.len(), 1);
    }
}
