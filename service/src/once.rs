//! Events that are stored once: importing the same lines twice adds nothing.
//!
//! - `remembered`: the contents of a log's buckets, so that each bucket is read once.

mod fingerprint;
mod remembered;

use std::collections::{HashMap, hash_map::Entry};

use hourlog::{
    Event, LogId, Position, Result, Seq,
    store::{Bucket, BucketRow, EventRow, LogRow, Scan, Store},
};

use crate::pending::PendingEvent;
use fingerprint::Fingerprint;
pub(crate) use remembered::{Budget, Remembered};

/// Number of events per read of the archive.
const SCAN_EVENTS: usize = 1_000;
/// Bytes of events per read of the archive.
const SCAN_BYTES: usize = 1 << 20;

/// The events of a write that are to be stored.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) rows: Vec<EventRow>,
    /// The fingerprint of each row.
    fingerprints: Vec<Fingerprint>,
}

/// Returns those of `events` that are to be stored: all except those that ask to be stored once and
/// are there already. A bucket that was empty at first is never read, and another one at most twice.
///
/// # Errors
/// The store's error.
pub(crate) async fn missing_rows<S: Store>(
    store: &S,
    log: &LogId,
    events: &[PendingEvent],
    remembered: &mut Remembered,
) -> Result<Missing> {
    let mut missing =
        Missing { rows: Vec::with_capacity(events.len()), fingerprints: Vec::with_capacity(events.len()) };
    // The earlier events of this write that may equal a later one.
    let mut written: HashMap<Fingerprint, u64> = HashMap::new();
    // An event of this write counts once, even if it is already there after an interrupted write.
    // So the archive is searched only for events before this write.
    let before = events.first().map_or(Seq::MAX, |event| event.row.event.position.seq);
    remembered.begin_write(before);
    let log_row = store.log(log).await?;
    let mut archived = ArchivedEvents { store, log, before, log_row, index: HashMap::new(), remembered };
    for PendingEvent { row, once } in events {
        let fingerprint = Fingerprint::of(&row.event);
        if let Some(n) = once {
            let earlier = written.get(&fingerprint).copied().unwrap_or(0);
            if earlier + archived.count_equal(&row.event, fingerprint, n + 1).await? > *n {
                continue;
            }
        }
        *written.entry(fingerprint).or_default() += 1;
        missing.fingerprints.push(fingerprint);
        missing.rows.push(row.clone());
    }
    Ok(missing)
}

/// The archived events of a log before a seq.
struct ArchivedEvents<'a, S> {
    store: &'a S,
    log: &'a LogId,
    before: Seq,
    /// The log's row; `None` if the log does not exist yet.
    log_row: Option<LogRow>,
    /// The index rows that were read for this write.
    index: HashMap<Bucket, Option<BucketRow>>,
    remembered: &'a mut Remembered,
}

impl<S: Store> ArchivedEvents<'_, S> {
    /// Counts the archived events that equal `event`. May stop once it has found `enough`.
    async fn count_equal(&mut self, event: &Event, fingerprint: Fingerprint, enough: u64) -> Result<u64> {
        let offset = event.position.offset;
        let Some(log_row) = &self.log_row else { return Ok(0) };
        let bucket = log_row.widths.bucket(offset);
        if let Some(count) = self.remembered.count(bucket, fingerprint) {
            return Ok(count);
        }
        let row = match self.index.entry(bucket) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let rows = self.store.buckets(self.log, offset..=offset, false, 1).await?;
                entry.insert(rows.into_iter().find(|row| row.bucket == bucket && row.count > 0))
            }
        };
        let Some(row) = row else {
            self.remembered.know(bucket, HashMap::new());
            return Ok(0);
        };
        if offset < row.first || row.last < offset {
            return Ok(0);
        }
        let count = row.count;
        if self.remembered.is_worth_reading(bucket, count) {
            let contents = self.contents(bucket).await?;
            let found = contents.get(&fingerprint).map_or(0, |count| u64::from(*count));
            self.remembered.know(bucket, contents);
            return Ok(found);
        }
        let at = Scan {
            from: Position::at(offset),
            to: Position { offset, seq: self.before.saturating_previous() },
            reverse: false,
            limit: SCAN_EVENTS,
            bytes: SCAN_BYTES,
        };
        let mut found = 0;
        let equal = |other: &Event| {
            found += u64::from(is_equal(other, event));
            found < enough
        };
        let read = self.scan(bucket, at, equal).await?;
        self.remembered.looked_up(bucket, read);
        Ok(found)
    }

    /// Reads the fingerprints of all events of a bucket.
    async fn contents(&self, bucket: Bucket) -> Result<HashMap<Fingerprint, u32>> {
        let all =
            Scan { from: Position::MIN, to: Position::MAX, reverse: false, limit: SCAN_EVENTS, bytes: SCAN_BYTES };
        let mut contents = HashMap::new();
        let add = |event: &Event| {
            if event.position.seq < self.before {
                *contents.entry(Fingerprint::of(event)).or_default() += 1;
            }
            true
        };
        self.scan(bucket, all, add).await?;
        Ok(contents)
    }

    /// Shows `visit` the events that `scan` selects, page by page, while it returns true. Returns the
    /// number of events that were read.
    async fn scan(&self, bucket: Bucket, mut scan: Scan, mut visit: impl FnMut(&Event) -> bool) -> Result<u64> {
        let mut read = 0;
        loop {
            let events = self.store.events(self.log, bucket, scan).await?;
            let Some(last) = events.last() else { return Ok(read) };
            read += events.len() as u64;
            scan.from = last.position.next();
            if !events.iter().all(&mut visit) || scan.from > scan.to {
                return Ok(read);
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
    use hourlog::{Memory, Offset, Record, time::MINUTE};
    use std::sync::Arc;

    /// Returns the lines of a file, a minute apart, as pending events.
    fn lines(source: &mut RowSource, count: i64) -> Vec<PendingEvent> {
        let line = |number: i64| {
            let offset = at("10:00:00").saturating_add_nanos(number * MINUTE);
            let row = source.arrival(offset, at("2018-03-01T00:00:00Z"), Record::new(number.to_string()));
            PendingEvent { row, once: Some(0) }
        };
        (0..count).map(line).collect()
    }

    /// A log in memory, and its writer.
    struct Writer {
        store: CountingStore<Memory>,
        log: LogId,
        source: RowSource,
        remembered: Remembered,
    }

    impl Writer {
        fn new() -> Self {
            let (log, remembered) = (id("imported"), Remembered::new(Arc::default()));
            Self { store: CountingStore::new(Memory::new()), source: RowSource::new(log.clone()), log, remembered }
        }

        /// Returns a line of a file as a pending event.
        fn line(&mut self, offset: Offset, text: impl Into<String>, once: Option<u64>) -> PendingEvent {
            let row = self.source.arrival(offset, at("2018-03-01T00:00:00Z"), Record::new(text.into()));
            PendingEvent { row, once }
        }

        /// Writes what is missing, and returns its number of events.
        async fn write(&mut self, events: &[PendingEvent]) -> usize {
            let Self { store, log, remembered, .. } = self;
            let missing = missing_rows(store, log, events, remembered).await.expect("memory answers");
            rows::write(store, log, &missing.rows).await.expect("memory takes the rows");
            let last = events.last().expect("a write has an event").row.event.position.seq;
            remembered.end_write(last, Some(&missing), &missing.rows);
            missing.rows.len()
        }
    }

    #[tokio::test]
    async fn a_first_import_reads_no_events_and_few_index_rows() {
        let mut writer = Writer::new();
        let lines = lines(&mut writer.source, 300);
        let mut index = Vec::new();
        for part in lines.chunks(100) {
            assert_eq!(writer.write(part).await, part.len());
            let ReadCounts { index: rows, buckets, arrivals, events } = writer.store.take();
            assert_eq!((buckets, arrivals, events), (0, 0, 0));
            index.push(rows);
        }
        // A new log has no index. A bucket that was empty at first needs no index any more.
        assert_eq!(index, [0, 3, 1]);
    }

    #[tokio::test]
    async fn many_events_of_one_time_are_read_at_most_twice() {
        const EVENTS: usize = 20_000;
        let mut writer = Writer::new();
        let first: Vec<_> =
            (0..EVENTS).map(|number| writer.line(at("10:00:00"), number.to_string(), Some(0))).collect();
        for part in first.chunks(2_000) {
            assert_eq!(writer.write(part).await, part.len());
        }
        let reads = writer.store.take().buckets;
        // One event is looked up among the first 2,000; then these are read and remembered.
        assert!(reads <= 6, "{reads} reads of 1,000 events");
        // Another actor of the log knows nothing.
        writer.remembered = Remembered::new(Arc::default());
        let again: Vec<_> =
            (0..EVENTS).map(|number| writer.line(at("10:00:00"), number.to_string(), Some(0))).collect();
        for part in again.chunks(2_000) {
            assert_eq!(writer.write(part).await, 0);
        }
        let reads = writer.store.take().buckets;
        let twice = 2 * EVENTS.div_ceil(SCAN_EVENTS) as u64 + 2;
        assert!(reads <= twice, "{reads} reads of 1,000 events");
    }

    #[tokio::test]
    async fn remembered_contents_agree_with_those_that_are_read() {
        use rand::{Rng, SeedableRng};
        for seed in 0..50 {
            let mut random = rand::rngs::StdRng::seed_from_u64(seed);
            let (mut with_memory, mut without) = (Writer::new(), Writer::new());
            let mut events: Vec<PendingEvent> = Vec::new();
            for _ in 0..200 {
                let hour = ["10:00:00", "10:00:01", "11:00:00", "09:00:00"][random.random_range(0..4)];
                let once = random.random_bool(0.8).then(|| random.random_range(0..3));
                events.push(with_memory.line(at(hour), random.random_range(0..6).to_string(), once));
            }
            let mut from = 0;
            while from < events.len() {
                let to = (from + random.random_range(1..30)).min(events.len());
                without.remembered = Remembered::new(Arc::default());
                let stored = with_memory.write(&events[from..to]).await;
                assert_eq!(stored, without.write(&events[from..to]).await, "seed {seed}");
                // A part of the stream is read again now and then.
                from = if random.random_bool(0.2) { to.saturating_sub(random.random_range(0..40)) } else { to };
            }
            let [one, other] = [&with_memory, &without].map(|writer| rows::read_all(&writer.store, &writer.log));
            assert_eq!(one.await.expect("memory answers"), other.await.expect("memory answers"), "seed {seed}");
        }
    }

    #[tokio::test]
    async fn equal_lines_survive_a_retry_after_an_interrupted_write() {
        let mut writer = Writer::new();
        let lines: Vec<_> = (0..3).map(|number| writer.line(at("10:00:00"), "the same", Some(number))).collect();
        // A write that was interrupted after the first line.
        let first = [lines[0].row.clone()];
        rows::write(&writer.store, &writer.log, &first).await.expect("memory takes the rows");
        assert_eq!(writer.write(&lines).await, 3);
    }

    #[tokio::test]
    async fn a_second_import_adds_only_the_new_line() {
        let mut writer = Writer::new();
        let first = lines(&mut writer.source, 300);
        assert_eq!(writer.write(&first).await, 300);
        assert!(writer.remembered.is_in_use());
        let second = lines(&mut writer.source, 301);
        assert_eq!(writer.write(&second).await, 1);
    }
}
