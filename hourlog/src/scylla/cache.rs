//! A cache of log and index rows, which holds the counts that are not written yet.
//!
//! A log has one writer, so no other process changes its rows while they are cached. When the writer changes, the rows
//! of its logs are dropped. Rows that other writers have not stored yet are borrowed from them, for reads only.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::{
    LogId, Offset, Seq,
    store::{BucketRow, LogRow},
};

/// The most index rows in the cache. They are the ones that the next events are likely to count in.
const ROWS_MAX: usize = 65_536;

/// The number of logs that are remembered because they did not exist, above which all are forgotten: they may have
/// been refused.
const MISSING_MAX: usize = 65_536;

/// The cached rows of all logs.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// The number of times that the cache was cleared.
    ///
    /// The result of an operation that began before the last time must not enter it.
    generation: u64,
    logs: HashMap<LogId, CachedLog>,
    /// Logs that did not exist when they were looked up, and were never deleted. A hint: the database decides.
    missing: HashSet<LogId>,
    rows: usize,
    /// The number of rows that are newer than the stored ones.
    unwritten: usize,
    /// Rows that other writers have not stored yet, by writer and log.
    borrowed: HashMap<String, HashMap<LogId, Vec<BucketRow>>>,
}

#[derive(Debug, Default)]
struct CachedLog {
    row: Option<LogRow>,
    buckets: BTreeMap<Offset, CachedBucket>,
    /// Eras that are listed. A log has few.
    eras: BTreeSet<Offset>,
    /// Set if the cache was there when the log began: no bucket that begins later is in the index, except those in
    /// the cache.
    new_above: Option<Offset>,
}

#[derive(Debug)]
struct CachedBucket {
    row: BucketRow,
    /// The `counted_to` of the stored row.
    stored_to: Seq,
}

impl CachedBucket {
    fn is_unwritten(&self) -> bool {
        self.row.counted_to > self.stored_to
    }
}

impl Cache {
    /// Returns the generation to pass with what is read or written from now on.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Drops everything, and begins a new generation.
    pub(super) fn clear(&mut self) {
        *self = Self { generation: self.generation + 1, ..Self::default() };
    }

    /// Returns the row of a log.
    pub(super) fn log(&self, id: &LogId) -> Option<LogRow> {
        self.logs.get(id)?.row.clone()
    }

    /// Adds the row of a log.
    pub(super) fn put_log(&mut self, generation: u64, id: &LogId, row: LogRow) {
        if generation != self.generation {
            return;
        }
        self.logs.entry(id.clone()).or_default().row = Some(row);
    }

    /// Remembers logs that do not exist and were never deleted.
    pub(super) fn put_missing<'a>(&mut self, generation: u64, ids: impl Iterator<Item = &'a LogId>) {
        if generation == self.generation {
            if self.missing.len() > MISSING_MAX {
                self.missing.clear();
            }
            self.missing.extend(ids.cloned());
        }
    }

    /// Returns true if the log did not exist lately, and forgets it: it is about to be created.
    pub(super) fn take_missing(&mut self, id: &LogId) -> bool {
        self.missing.remove(id)
    }

    /// Records that the index of the log is empty.
    pub(super) fn put_new(&mut self, generation: u64, id: &LogId) {
        if generation == self.generation {
            self.logs.entry(id.clone()).or_default().new_above = Some(Offset::MIN);
        }
    }

    /// Returns true if the bucket that begins at `start`, which is not cached, is certainly not in the index.
    pub(super) fn is_new(&self, id: &LogId, start: Offset) -> bool {
        self.logs.get(id).and_then(|log| log.new_above).is_some_and(|above| start > above)
    }

    /// Returns true if the era is certainly listed.
    pub(super) fn lists_era(&self, id: &LogId, era: Offset) -> bool {
        self.logs.get(id).is_some_and(|log| log.eras.contains(&era))
    }

    /// Returns the row of the bucket that begins at `start`.
    pub(super) fn bucket(&self, id: &LogId, start: Offset) -> Option<&BucketRow> {
        self.logs.get(id)?.buckets.get(&start).map(|bucket| &bucket.row)
    }

    /// Adds rows that are stored as they are.
    pub(super) fn put_stored(&mut self, generation: u64, id: &LogId, rows: impl IntoIterator<Item = BucketRow>) {
        for row in rows {
            let stored_to = row.counted_to;
            self.put(generation, id, CachedBucket { row, stored_to });
        }
    }

    /// Adds rows of an era that are stored as they are, and the era, which is listed.
    pub(super) fn put_listed(
        &mut self,
        generation: u64,
        id: &LogId,
        era: Offset,
        rows: impl IntoIterator<Item = BucketRow>,
    ) {
        self.put_stored(generation, id, rows);
        if generation == self.generation {
            self.logs.entry(id.clone()).or_default().eras.insert(era);
        }
    }

    /// Adds rows of a log that must still be written.
    pub(super) fn put_unwritten(
        &mut self,
        generation: u64,
        id: &LogId,
        log_row: &LogRow,
        rows: impl IntoIterator<Item = BucketRow>,
    ) {
        for row in rows {
            let before = self.logs.get(id).and_then(|log| log.buckets.get(&row.bucket.start));
            let stored_to = before.map_or(Seq::MIN, |before| before.stored_to);
            self.put(generation, id, CachedBucket { row, stored_to });
        }
        if let Some(log) = self.logs.get_mut(id).filter(|_| generation == self.generation) {
            // The row may have been evicted meanwhile. Writing the counts needs its widths.
            log.row.get_or_insert_with(|| log_row.clone());
        }
    }

    fn put(&mut self, generation: u64, id: &LogId, bucket: CachedBucket) {
        if generation != self.generation {
            return;
        }
        let unwritten = bucket.is_unwritten();
        let log = self.logs.entry(id.clone()).or_default();
        let before = log.buckets.insert(bucket.row.bucket.start, bucket);
        self.rows += usize::from(before.is_none());
        self.unwritten += usize::from(unwritten);
        self.unwritten -= usize::from(before.is_some_and(|before| before.is_unwritten()));
    }

    /// Returns the number of rows that must still be written.
    pub(super) fn unwritten(&self) -> usize {
        self.unwritten
    }

    /// Returns the rows that must still be written, by their logs.
    pub(super) fn unwritten_rows(&self) -> Vec<(LogId, LogRow, Vec<BucketRow>)> {
        let unwritten = |(id, log): (&LogId, &CachedLog)| {
            let rows = log.buckets.values().filter(|bucket| bucket.is_unwritten()).map(|bucket| bucket.row.clone());
            let rows: Vec<_> = rows.collect();
            (!rows.is_empty()).then_some((id.clone(), log.row.clone()?, rows))
        };
        self.logs.iter().filter_map(unwritten).collect()
    }

    /// Records that a row was stored as it was when it counted up to `counted_to`.
    pub(super) fn mark_written(&mut self, id: &LogId, start: Offset, counted_to: Seq) {
        let Some(bucket) = self.logs.get_mut(id).and_then(|log| log.buckets.get_mut(&start)) else { return };
        let before = bucket.is_unwritten();
        bucket.stored_to = bucket.stored_to.max(counted_to);
        self.unwritten -= usize::from(before && !bucket.is_unwritten());
    }

    /// Evicts all rows that can be read again, once there are too many.
    pub(super) fn evict(&mut self) {
        let too_many_logs = self.logs.len() > ROWS_MAX;
        if self.rows <= ROWS_MAX && !too_many_logs {
            return;
        }
        self.logs.retain(|_, log| {
            let last = log.buckets.keys().next_back().copied();
            log.new_above = log.new_above.map(|above| above.max(last.unwrap_or(above)));
            log.buckets.retain(|_, bucket| bucket.is_unwritten());
            !too_many_logs || !log.buckets.is_empty()
        });
        self.rows = self.unwritten;
    }

    /// Removes the logs that are chosen, and their index rows, and gives all borrowed rows back.
    pub(super) fn remove_logs(&mut self, is_chosen: impl Fn(&LogId) -> bool) {
        self.borrowed.clear();
        let chosen: Vec<LogId> = self.logs.keys().filter(|id| is_chosen(id)).cloned().collect();
        chosen.iter().for_each(|id| self.remove_log(id));
        self.missing.retain(|id| !is_chosen(id));
    }

    /// Takes the rows that a writer has not stored yet, in place of those that it lent before.
    pub(super) fn put_borrowed(&mut self, lender: &str, rows: Vec<(LogId, Vec<BucketRow>)>) {
        if rows.is_empty() {
            self.borrowed.remove(lender);
        } else {
            self.borrowed.insert(lender.to_owned(), rows.into_iter().collect());
        }
    }

    /// Removes a log and its index rows.
    pub(super) fn remove_log(&mut self, id: &LogId) {
        let Some(log) = self.logs.remove(id) else { return };
        self.rows -= log.buckets.len();
        self.unwritten -= log.buckets.values().filter(|bucket| bucket.is_unwritten()).count();
    }

    /// Removes the row of the bucket that begins at `start`.
    pub(super) fn remove_bucket(&mut self, id: &LogId, start: Offset) {
        let removed = self.logs.get_mut(id).and_then(|log| log.buckets.remove(&start));
        self.rows -= usize::from(removed.is_some());
        self.unwritten -= usize::from(removed.is_some_and(|bucket| bucket.is_unwritten()));
    }

    /// Replaces stored rows by newer ones that must still be written.
    pub(super) fn apply_unwritten(&self, id: &LogId, rows: &mut [BucketRow]) {
        let own = self.logs.get(id);
        let borrowed: Vec<&BucketRow> = self.borrowed.values().filter_map(|lent| lent.get(id)).flatten().collect();
        if own.is_none() && borrowed.is_empty() {
            return;
        }
        for row in rows {
            let start = row.bucket.start;
            let own = own.and_then(|log| log.buckets.get(&start)).map(|bucket| &bucket.row);
            let lent = borrowed.iter().copied().filter(|lent| lent.bucket == row.bucket);
            let newest = own.into_iter().chain(lent).max_by_key(|newer| newer.counted_to);
            if let Some(newer) = newest.filter(|newer| newer.counted_to > row.counted_to) {
                *row = newer.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        store::{Bucket, Width},
        time::HOUR,
    };

    fn row(hour: i64, count: u64, counted_to: i64) -> BucketRow {
        let bucket = Bucket { start: Offset::from_nanos(hour * HOUR), width: Width::HOUR };
        BucketRow { count, counted_to: Seq::from_number(counted_to), ..BucketRow::new(bucket) }
    }

    #[test]
    fn a_row_stays_unwritten_until_its_newest_count_is_stored() {
        let (mut cache, id): (_, LogId) = (Cache::default(), "a".parse().expect("a valid id"));
        let log_row = LogRow::new(Offset::MIN, crate::store::Widths::default());
        cache.put_log(0, &id, log_row.clone());
        cache.put_stored(0, &id, [row(0, 1, 1)]);
        assert_eq!(cache.unwritten(), 0);
        cache.put_unwritten(0, &id, &log_row, [row(0, 2, 2), row(1, 1, 3)]);
        let rows: usize = cache.unwritten_rows().iter().map(|(_, _, rows)| rows.len()).sum();
        assert_eq!((cache.unwritten(), rows), (2, 2));
        cache.mark_written(&id, Offset::from_nanos(0), Seq::from_number(1));
        assert_eq!(cache.unwritten(), 2, "an older count was stored");
        let mut stored = [row(0, 1, 1), row(1, 0, Seq::MIN.get()), row(2, 9, 1)];
        cache.apply_unwritten(&id, &mut stored);
        assert_eq!(stored.map(|row| row.count), [2, 1, 9]);
        cache.mark_written(&id, Offset::from_nanos(0), Seq::from_number(2));
        cache.remove_log(&id);
        assert_eq!((cache.unwritten(), cache.rows), (0, 0));
        cache.clear();
        cache.put_unwritten(0, &id, &log_row, [row(0, 3, 3)]);
        assert_eq!(cache.unwritten(), 0, "the write began before the cache was cleared");
    }

    #[test]
    fn rows_of_another_writer_are_shown_where_they_are_newer_and_are_gone_when_it_lends_others_or_slots_move() {
        let (mut cache, id): (_, LogId) = (Cache::default(), "a".parse().expect("a valid id"));
        let shown = |cache: &Cache| {
            let mut stored = [row(0, 1, 1), row(1, 5, 9)];
            cache.apply_unwritten(&id, &mut stored);
            stored.map(|row| row.count)
        };
        cache.put_borrowed("b", vec![(id.clone(), vec![row(0, 2, 2), row(1, 4, 8)])]);
        assert_eq!(shown(&cache), [2, 5], "the stored row of the second bucket is newer");
        let log_row = LogRow::new(Offset::MIN, crate::store::Widths::default());
        cache.put_log(0, &id, log_row.clone());
        cache.put_unwritten(0, &id, &log_row, [row(0, 3, 3)]);
        assert_eq!(shown(&cache), [3, 5], "the own row is newer");
        cache.remove_log(&id);
        assert_eq!((cache.unwritten(), shown(&cache)), (0, [2, 5]));
        cache.put_borrowed("b", Vec::new());
        assert_eq!(shown(&cache), [1, 5]);
        cache.put_borrowed("b", vec![(id.clone(), vec![row(0, 2, 2)])]);
        cache.remove_logs(|_| false);
        assert_eq!(shown(&cache), [1, 5]);
    }

    #[test]
    fn a_missing_log_is_a_hint_that_serves_once() {
        let (mut cache, id): (_, LogId) = (Cache::default(), "a".parse().expect("a valid id"));
        cache.put_missing(0, std::iter::once(&id));
        assert!(cache.take_missing(&id) && !cache.take_missing(&id));
        cache.put_missing(0, std::iter::once(&id));
        cache.clear();
        assert!(!cache.take_missing(&id), "what was missing before a rollback may be missing or not");
        cache.put_missing(0, std::iter::once(&id));
        assert!(!cache.take_missing(&id), "it was looked up before the cache was cleared");
        let many: Vec<LogId> =
            (0..=MISSING_MAX).map(|number| format!("b.{number}").parse().expect("a valid id")).collect();
        cache.put_missing(1, many.iter());
        cache.put_missing(1, std::iter::once(&id));
        assert_eq!((cache.missing.len(), cache.take_missing(&id)), (1, true), "those that were refused are forgotten");
    }

    #[test]
    fn a_bucket_is_certainly_new_only_after_those_that_were_evicted() {
        let (mut cache, id): (_, LogId) = (Cache::default(), "a".parse().expect("a valid id"));
        let hour = |hour: i64| Offset::from_nanos(hour * HOUR);
        cache.put_listed(0, &id, hour(0), [row(1, 0, 1)]);
        assert!(!cache.is_new(&id, hour(9)), "the log may have been there before");
        assert!(cache.lists_era(&id, hour(0)) && !cache.lists_era(&id, hour(1)));
        cache.remove_log(&id);
        cache.put_new(0, &id);
        assert!(cache.is_new(&id, hour(-9)) && cache.is_new(&id, hour(9)));
        let rows = i64::try_from(ROWS_MAX).expect("a small number");
        cache.put_listed(0, &id, hour(0), (0..=rows).map(|hour| row(hour, 0, 1)));
        cache.evict();
        assert_eq!((cache.rows, cache.is_new(&id, hour(rows)), cache.is_new(&id, hour(rows + 1))), (0, false, true));
        cache.clear();
        cache.put_new(0, &id);
        assert!(!cache.is_new(&id, hour(9)), "the log was created before the cache was cleared");
    }
}
