//! The contents of a log's buckets, as its writer remembers them.
//!
//! Without it, each event that is stored once would be compared with all others of its time. A log
//! has one writer, so what it has read of a bucket stays true as long as it adds its own writes. A
//! job, a restart or a rollback of the log ends that; the next write then begins without memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use hourlog::{
    Offset, Seq,
    store::{Bucket, EventRow},
};

use super::{
    Missing,
    fingerprint::{Fingerprint, Fingerprints},
};

/// The memory for the buckets of all logs. Holds 1.4 million fingerprints: an event with a source has two.
const BYTES_MAX: usize = 64 << 20;
/// The memory beyond it for logs that have at most [`LOG_SMALL_BYTES`], so that large imports leave something
/// for all others.
const RESERVE_BYTES: usize = 16 << 20;
/// The memory that a log may take from the reserve.
const LOG_SMALL_BYTES: usize = 1 << 20;
/// The memory for the buckets of one log, so that an import leaves room for a second one.
const LOG_BYTES_MAX: usize = 32 << 20;
/// The memory of a fingerprint with its count, while the table that holds it grows.
const ENTRY_BYTES: usize = 48;
/// The memory of a bucket beside its fingerprints.
const BUCKET_BYTES: usize = 256;
/// A bucket with at most this many events is read as a whole at once: that is one read, as looking
/// up one event is.
const SMALL_BUCKET: u64 = 1_000;
/// The cost of looking up an event in reading events of a bucket: the read itself costs as much.
const LOOKUP_COST: u64 = 16;

/// The memory that all logs share.
#[derive(Debug, Default)]
pub(crate) struct Budget(AtomicUsize);

impl Budget {
    /// Takes `bytes` for a log that has `own` of them, if they are left.
    fn take(&self, bytes: usize, own: usize) -> bool {
        let max = if own + bytes <= LOG_SMALL_BYTES { BYTES_MAX + RESERVE_BYTES } else { BYTES_MAX };
        self.0.fetch_update(Relaxed, Relaxed, |taken| Some(taken + bytes).filter(|taken| *taken <= max)).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Relaxed);
    }
}

/// The buckets of one log that its writer remembers.
#[derive(Debug)]
pub(crate) struct Remembered {
    budget: Arc<Budget>,
    /// The bytes taken from the budget.
    bytes: usize,
    /// By their start. No two overlap, because a change of the log's width is a job.
    buckets: BTreeMap<Offset, RememberedBucket>,
    /// The newest event of the last write.
    written: Seq,
    /// Number of uses so far.
    uses: u64,
    /// The last write had events that are stored once.
    is_in_use: bool,
}

#[derive(Debug)]
struct RememberedBucket {
    bucket: Bucket,
    contents: Contents,
    /// The number of the last use.
    used: u64,
}

#[derive(Debug)]
enum Contents {
    /// All of the bucket's events, with their number.
    Known(HashMap<Fingerprint, u32>),
    /// Not read as a whole. Looking single events up has cost so much.
    LookedUp(u64),
}

impl RememberedBucket {
    fn bytes(&self) -> usize {
        BUCKET_BYTES
            + match &self.contents {
                Contents::Known(known) => known.len() * ENTRY_BYTES,
                Contents::LookedUp(_) => 0,
            }
    }
}

impl Remembered {
    /// Returns a memory without buckets.
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self { budget, bytes: 0, buckets: BTreeMap::new(), written: Seq::MIN, uses: 0, is_in_use: false }
    }

    /// Begins a write whose first event has the seq `first`. Forgets everything if it was written
    /// before: it counts only events before itself.
    pub(crate) fn begin_write(&mut self, first: Seq) {
        if first <= self.written {
            self.forget();
        }
    }

    /// Adds the rows of a write that the archive has taken, up to the seq `last`. `missing` is `None`
    /// if none of them was to be stored once.
    pub(crate) fn end_write(&mut self, last: Seq, missing: Option<&Missing>, rows: &[EventRow]) {
        self.written = last;
        self.is_in_use = missing.is_some();
        if self.buckets.is_empty() {
            return;
        }
        for (index, row) in rows.iter().enumerate() {
            let Some(start) = self.known_at(row.event.position.offset) else { continue };
            let fingerprints =
                missing.map_or_else(|| Fingerprints::of(&row.event), |missing| missing.fingerprints[index]);
            if !fingerprints.keys().all(|key| self.add(start, key)) {
                self.drop_bucket(start);
            }
        }
    }

    /// Counts one more event in the bucket at `start`. Returns false if there is no room for it.
    fn add(&mut self, start: Offset, fingerprint: Fingerprint) -> bool {
        if let Some(RememberedBucket { contents: Contents::Known(known), .. }) = self.buckets.get_mut(&start)
            && let Some(count) = known.get_mut(&fingerprint)
        {
            *count = count.saturating_add(1);
            return true;
        }
        let has_room = self.take(ENTRY_BYTES, start);
        if has_room
            && let Some(RememberedBucket { contents: Contents::Known(known), .. }) = self.buckets.get_mut(&start)
        {
            known.insert(fingerprint, 1);
        }
        has_room
    }

    /// Returns true if the last write had events that are stored once.
    pub(crate) fn is_in_use(&self) -> bool {
        self.is_in_use
    }

    /// Counts the events of `bucket` with these fingerprints. Returns `None` if that is not remembered.
    pub(super) fn count(&mut self, bucket: Bucket, fingerprints: impl Iterator<Item = Fingerprint>) -> Option<u64> {
        self.uses += 1;
        let remembered = self.buckets.get_mut(&bucket.start).filter(|remembered| remembered.bucket == bucket)?;
        let Contents::Known(known) = &remembered.contents else { return None };
        remembered.used = self.uses;
        Some(fingerprints.filter_map(|fingerprint| known.get(&fingerprint)).map(|count| u64::from(*count)).sum())
    }

    /// Returns true if the `count` events of a bucket should be read and remembered: if that costs no
    /// more than looking single events up has cost, and there is room.
    pub(super) fn is_worth_reading(&mut self, bucket: Bucket, count: u64) -> bool {
        let cost = match self.buckets.get(&bucket.start).map(|remembered| &remembered.contents) {
            Some(Contents::LookedUp(cost)) => *cost,
            _ => 0,
        };
        if count > SMALL_BUCKET.max(cost) {
            return false;
        }
        let bytes = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(ENTRY_BYTES);
        // Taken only to see that it is there: `know` takes what it needs.
        let has_room = bytes < LOG_BYTES_MAX && self.take(bytes + BUCKET_BYTES, bucket.start);
        if has_room {
            self.give_back(bytes + BUCKET_BYTES);
        }
        has_room
    }

    /// Remembers the whole contents of a bucket.
    pub(super) fn know(&mut self, bucket: Bucket, contents: HashMap<Fingerprint, u32>) {
        self.put(bucket, Contents::Known(contents));
    }

    /// Remembers that looking an event up has read `read` events of a bucket.
    pub(super) fn looked_up(&mut self, bucket: Bucket, read: u64) {
        match self.buckets.get_mut(&bucket.start).filter(|remembered| remembered.bucket == bucket) {
            Some(RememberedBucket { contents: Contents::LookedUp(cost), .. }) => *cost += LOOKUP_COST + read,
            _ => self.put(bucket, Contents::LookedUp(LOOKUP_COST + read)),
        }
    }

    fn put(&mut self, bucket: Bucket, contents: Contents) {
        self.drop_bucket(bucket.start);
        self.uses += 1;
        let remembered = RememberedBucket { bucket, contents, used: self.uses };
        if self.take(remembered.bytes(), bucket.start) {
            self.buckets.insert(bucket.start, remembered);
        } else if matches!(remembered.contents, Contents::Known(_)) {
            // Events with a source take more than was expected. Looking them up must cost as much again before
            // the bucket is read again.
            self.put(bucket, Contents::LookedUp(0));
        }
    }

    /// Returns the start of the bucket that holds `offset`, if all of its events are known.
    fn known_at(&self, offset: Offset) -> Option<Offset> {
        let (start, remembered) = self.buckets.range(..=offset).next_back()?;
        let holds = offset <= remembered.bucket.last() && matches!(remembered.contents, Contents::Known(_));
        holds.then_some(*start)
    }

    /// Takes `bytes` for the bucket at `start`. Drops others, beginning with the one whose last use is
    /// longest ago, until there is room.
    fn take(&mut self, bytes: usize, start: Offset) -> bool {
        loop {
            if self.bytes + bytes <= LOG_BYTES_MAX && self.budget.take(bytes, self.bytes) {
                self.bytes += bytes;
                return true;
            }
            let others = self.buckets.iter().filter(|(other, _)| **other != start);
            let Some((oldest, _)) = others.min_by_key(|(_, remembered)| remembered.used) else { return false };
            let oldest = *oldest;
            self.drop_bucket(oldest);
        }
    }

    fn drop_bucket(&mut self, start: Offset) {
        if let Some(dropped) = self.buckets.remove(&start) {
            self.give_back(dropped.bytes());
        }
    }

    fn give_back(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.budget.give_back(bytes);
    }

    fn forget(&mut self) {
        self.buckets.clear();
        let bytes = self.bytes;
        self.give_back(bytes);
    }
}

impl Drop for Remembered {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conformance::{
        kit::{at, id},
        rows::RowSource,
    };
    use hourlog::{Record, store::Widths};

    fn bucket(hour: &str) -> Bucket {
        Widths::default().bucket(at(hour))
    }

    #[test]
    fn the_bucket_that_was_used_longest_ago_is_dropped_first() {
        let budget = Arc::new(Budget::default());
        let mut remembered = Remembered::new(Arc::clone(&budget));
        let row = RowSource::new(id("a")).arrival(at("10:00:00"), at("2018-03-01T00:00:00Z"), Record::new("x"));
        let fingerprints = Fingerprints::of(&row.event);
        let fingerprint = fingerprints.keys().next().expect("an event has a fingerprint");
        let [first, second, third] = ["10:00:00", "11:00:00", "12:00:00"].map(bucket);
        remembered.know(first, HashMap::from([(fingerprint, 2)]));
        remembered.know(second, HashMap::new());
        assert_eq!(remembered.count(first, fingerprints.equal(false)), Some(2));
        // As many events as leave room for one other bucket.
        let large = (LOG_BYTES_MAX - 3 * BUCKET_BYTES) / ENTRY_BYTES - 3;
        remembered.looked_up(third, large as u64);
        assert!(remembered.is_worth_reading(third, large as u64));
        assert_eq!(remembered.count(second, fingerprints.equal(false)), None);
        assert_eq!(remembered.count(first, fingerprints.equal(false)), Some(2));
        drop(remembered);
        assert_eq!(budget.0.load(Relaxed), 0);
    }

    #[test]
    fn a_log_takes_no_more_than_its_share_and_all_together_no_more_than_the_budget() {
        let budget = Arc::new(Budget::default());
        let mut logs: Vec<Remembered> = (0..20).map(|_| Remembered::new(Arc::clone(&budget))).collect();
        let start = bucket("10:00:00").start;
        let (large, small) = logs.split_at_mut(2);
        let taken = large.iter_mut().map(|log| [LOG_BYTES_MAX, 1].map(|bytes| log.take(bytes, start)));
        assert_eq!(taken.collect::<Vec<_>>(), [[true, false], [true, false]]);
        // A little is left for others.
        let taken = small.iter_mut().map(|log| [LOG_SMALL_BYTES, 1].map(|bytes| log.take(bytes, start)));
        let taken: Vec<_> = taken.collect();
        assert_eq!((&taken[..16], &taken[16..]), (&[[true, false]; 16][..], &[[false, false], [false, false]][..]));
        assert_eq!(budget.0.load(Relaxed), BYTES_MAX + RESERVE_BYTES);
        logs.clear();
        assert_eq!(budget.0.load(Relaxed), 0);
    }

    #[test]
    fn a_write_that_was_written_before_begins_without_memory() {
        let mut remembered = Remembered::new(Arc::default());
        let row = RowSource::new(id("a")).arrival(at("10:00:00"), at("2018-03-01T00:00:00Z"), Record::new("x"));
        let (seq, fingerprints, bucket) = (row.event.position.seq, Fingerprints::of(&row.event), bucket("10:00:00"));
        remembered.begin_write(seq);
        remembered.know(bucket, HashMap::new());
        remembered.end_write(seq, None, std::slice::from_ref(&row));
        assert!(!remembered.is_in_use(), "the event was not to be stored once");
        assert_eq!(remembered.count(bucket, fingerprints.equal(false)), Some(1));
        remembered.begin_write(seq);
        assert_eq!(remembered.count(bucket, fingerprints.equal(false)), None);
    }
}
