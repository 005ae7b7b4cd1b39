//! Events that are stored once: importing the same lines twice adds nothing.
//!
//! - `condition`: the condition under which an event is stored.
//! - `fingerprint`: hashes that only equal events share.
//! - `remembered`: the contents of a log's buckets, so that each bucket is read once.

mod condition;
mod fingerprint;
mod remembered;

use std::collections::{HashMap, hash_map::Entry};

use hourlog::{
    Event, LogId, Position, Result, Seq, header,
    store::{Bucket, BucketRow, EventRow, LogRow, Scan, Store},
};

use crate::{pending::PendingEvent, receipts::ReceiptMark};
pub(crate) use condition::Once;
use fingerprint::{Fingerprint, Fingerprints, without_source};
pub(crate) use remembered::{Budget, Remembered};

/// Number of events per read of the archive.
const SCAN_EVENTS: usize = 1_000;
/// Bytes of events per read of the archive.
const SCAN_BYTES: usize = 1 << 20;

/// The events of a write that are to be stored.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) rows: Vec<EventRow>,
    /// The fingerprints of each row.
    fingerprints: Vec<Fingerprints>,
}

/// Returns those of `events` that are to be stored: all except those that ask to be stored once and
/// are there already; their receipts learn that. A bucket that was empty at first is never read, and another
/// one at most twice.
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
    let mut passed_over = Vec::new();
    for PendingEvent { row, once, receipt } in events {
        let fingerprints = Fingerprints::of(&row.event);
        if let Some(once) = once {
            let equal = fingerprints.equal(once.is_lenient);
            let earlier: u64 = equal.filter_map(|fingerprint| written.get(&fingerprint)).sum();
            if earlier + archived.count_equal(&row.event, fingerprints, *once).await? > once.earlier_max {
                passed_over.extend(receipt);
                continue;
            }
        }
        fingerprints.keys().for_each(|fingerprint| *written.entry(fingerprint).or_default() += 1);
        missing.fingerprints.push(fingerprints);
        missing.rows.push(row.clone());
    }
    // Only now: after an error, the caller begins again.
    passed_over.into_iter().for_each(ReceiptMark::pass_over);
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
    /// Counts the archived events that equal `event`. May stop once it has found too many for `once`.
    async fn count_equal(&mut self, event: &Event, fingerprints: Fingerprints, once: Once) -> Result<u64> {
        let offset = event.position.offset;
        let Some(log_row) = &self.log_row else { return Ok(0) };
        let bucket = log_row.widths.bucket(offset);
        if let Some(count) = self.remembered.count(bucket, fingerprints.equal(once.is_lenient)) {
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
            let equal = fingerprints.equal(once.is_lenient).filter_map(|fingerprint| contents.get(&fingerprint));
            let found = equal.map(|count| u64::from(*count)).sum();
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
            found += u64::from(is_equal(other, event, once.is_lenient));
            found <= once.earlier_max
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
                for fingerprint in Fingerprints::of(event).keys() {
                    *contents.entry(fingerprint).or_default() += 1;
                }
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
            scan.from = last.position().next();
            if !events.iter().all(|event| visit(&event.decode(self.log))) || scan.from > scan.to {
                return Ok(read);
            }
        }
    }
}

fn is_equal(one: &Event, other: &Event, is_lenient: bool) -> bool {
    let has_no_source = |event: &Event| event.record.metadata.get(header::SOURCE).is_empty();
    one.position.offset == other.position.offset
        && if is_lenient && (has_no_source(one) || has_no_source(other)) {
            one.record.data == other.record.data
                && without_source(&one.record.metadata).eq(without_source(&other.record.metadata))
        } else {
            one.record == other.record
        }
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

    fn once(earlier_max: u64) -> Once {
        Once { earlier_max, is_lenient: false }
    }

    /// Returns the lines of a file, a minute apart, as pending events.
    fn lines(source: &mut RowSource, count: i64) -> Vec<PendingEvent> {
        let line = |number: i64| {
            let offset = at("10:00:00").saturating_add_nanos(number * MINUTE);
            let row = source.arrival(offset, at("2018-03-01T00:00:00Z"), Record::new(number.to_string()));
            PendingEvent { row, once: Some(once(0)), receipt: None }
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
        fn line(&mut self, offset: Offset, text: impl Into<String>, once: Option<Once>) -> PendingEvent {
            self.record(offset, Record::new(text.into()), once)
        }

        fn record(&mut self, offset: Offset, record: Record, once: Option<Once>) -> PendingEvent {
            let row = self.source.arrival(offset, at("2018-03-01T00:00:00Z"), record);
            PendingEvent { row, once, receipt: None }
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
            let ReadCounts { index: rows, buckets, late, events } = writer.store.take();
            assert_eq!((buckets, late, events), (0, 0, 0));
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
            (0..EVENTS).map(|number| writer.line(at("10:00:00"), number.to_string(), Some(once(0)))).collect();
        for part in first.chunks(2_000) {
            assert_eq!(writer.write(part).await, part.len());
        }
        let reads = writer.store.take().buckets;
        // One event is looked up among the first 2,000; then these are read and remembered.
        assert!(reads <= 6, "{reads} reads of 1,000 events");
        // Another actor of the log knows nothing.
        writer.remembered = Remembered::new(Arc::default());
        let again: Vec<_> =
            (0..EVENTS).map(|number| writer.line(at("10:00:00"), number.to_string(), Some(once(0)))).collect();
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
                let once = random
                    .random_bool(0.8)
                    .then(|| Once { earlier_max: random.random_range(0..3), is_lenient: random.random_bool(0.5) });
                let mut record = Record::new(random.random_range(0..4).to_string());
                if let Some(source) = ["a", "b"].get(random.random_range(0..3)) {
                    record = record.with(header::SOURCE, *source);
                }
                events.push(with_memory.record(at(hour), record, once));
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
        let lines: Vec<_> = (0..3).map(|number| writer.line(at("10:00:00"), "the same", Some(once(number)))).collect();
        // A write that was interrupted after the first line.
        let first = [lines[0].row.clone()];
        rows::write(&writer.store, &writer.log, &first).await.expect("memory takes the rows");
        assert_eq!(writer.write(&lines).await, 3);
    }

    #[tokio::test]
    async fn imports_of_any_sources_add_each_line_once_and_a_copy_keeps_all() {
        use rand::{Rng, SeedableRng};
        for seed in 0..100 {
            let mut random = rand::rngs::StdRng::seed_from_u64(seed);
            let mut writer = Writer::new();
            // Files of one source each, or of none, and events that were published before.
            for _ in 0..random.random_range(0..3) {
                let event = writer.line(at("10:00:00"), "x", None);
                writer.write(&[event]).await;
            }
            let files: Vec<(Option<&str>, u64)> = (0..4)
                .map(|_| ([None, Some("a"), Some("b")][random.random_range(0..3)], random.random_range(1..4)))
                .collect();
            let record = |source: Option<&str>| {
                source.map_or(Record::new("x"), |name| Record::new("x").with(header::SOURCE, name))
            };
            for turn in 0..2 {
                for (source, lines) in &files {
                    let once = |earlier_max| Some(Once { earlier_max, is_lenient: true });
                    let events: Vec<_> =
                        (0..*lines).map(|n| writer.record(at("10:00:00"), record(*source), once(n))).collect();
                    let added = writer.write(&events).await;
                    assert!(turn == 0 || added == 0, "seed {seed}: {files:?}");
                }
            }
            // An export of it all, imported again and into another log. Equal events are told apart by number.
            let (rows, _) = rows::read_all(&writer.store, &writer.log).await.expect("memory answers");
            let mut copy = Writer::new();
            for (writer, expected) in [(&mut writer, 0), (&mut copy, rows.len())] {
                let mut numbers: HashMap<Vec<String>, u64> = HashMap::new();
                let mut events = Vec::new();
                for event in &rows {
                    let number = numbers.entry(event.record.metadata.get(header::SOURCE).to_vec()).or_default();
                    events.push(writer.record(event.position.offset, event.record.clone(), Some(once(*number))));
                    *number += 1;
                }
                assert_eq!(writer.write(&events).await, expected, "seed {seed}: {files:?}");
            }
        }
    }

    #[tokio::test]
    async fn equal_lines_of_two_files_are_two_events_and_those_without_a_source_keep_their_meaning() {
        let mut writer = Writer::new();
        let lenient = |number| Some(Once { earlier_max: number, is_lenient: true });
        let sourced = |name: &str| Record::new("x").with(header::SOURCE, name);
        let unsourced = || Record::new("x");
        // An import of before there were sources, of a file with the line in it.
        let mut import = [(unsourced(), 1)].to_vec();
        import.extend([(sourced("a"), 0), (sourced("a"), 0)]);
        for (record, added) in import {
            let event = writer.record(at("10:00:00"), record, lenient(0));
            assert_eq!(writer.write(&[event]).await, added);
        }
        for (record, added) in
            [(sourced("a"), 1), (sourced("b"), 1), (sourced("a"), 0), (sourced("b"), 0), (unsourced(), 0)]
        {
            let event = writer.record(at("11:00:00"), record, lenient(0));
            assert_eq!(writer.write(&[event]).await, added);
        }
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
