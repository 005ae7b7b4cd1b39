//! A store that counts its reads, and can run a future between two of them.

use std::{
    fmt,
    future::Future,
    ops::RangeInclusive,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use hourlog::{
    ArrivalCursor, Event, LogId, Offset, Position, Result, Seq,
    store::{Bucket, BucketRow, EncodedEvent, EpochRow, LateEvent, LogRow, Scan, SourceRow, Store, Totals, Write},
};

/// A wrapper that counts the reads of a store. Cheap to clone; the clones share the counts.
#[derive(Clone)]
pub struct CountingStore<S> {
    store: S,
    counts: Arc<AtomicReadCounts>,
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
}

/// A future to run between two reads.
type Meanwhile = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Debug, Default)]
struct AtomicReadCounts {
    index: AtomicU64,
    buckets: AtomicU64,
    late: AtomicU64,
    events: AtomicU64,
}

/// The number of reads, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadCounts {
    /// Reads of index rows.
    pub index: u64,
    /// Reads of the events of a bucket.
    pub buckets: u64,
    /// Reads of the late events that are listed in a bucket.
    pub late: u64,
    /// Reads of one event.
    pub events: u64,
}

impl<S> CountingStore<S> {
    /// Wraps `store`, with all counts at zero.
    pub fn new(store: S) -> Self {
        Self { store, counts: Arc::default(), meanwhile: Arc::default() }
    }

    /// Runs `work` after the next read of events, before that read returns.
    pub fn meanwhile(&self, work: impl Future<Output = ()> + Send + 'static) {
        *self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(work));
    }

    /// Returns the counts since the last call, and resets them.
    pub fn take(&self) -> ReadCounts {
        let take = |count: &AtomicU64| count.swap(0, Relaxed);
        let AtomicReadCounts { index, buckets, late, events } = &*self.counts;
        ReadCounts { index: take(index), buckets: take(buckets), late: take(late), events: take(events) }
    }
}

impl<S: fmt::Debug> fmt::Debug for CountingStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountingStore").field("store", &self.store).finish_non_exhaustive()
    }
}

impl<S: Store> Store for CountingStore<S> {
    const KIND: &'static str = S::KIND;
    const WRITES_ARE_ATOMIC: bool = S::WRITES_ARE_ATOMIC;
    const DURABLE_AFTER: Duration = S::DURABLE_AFTER;
    const CONCURRENT_WRITES: Option<usize> = S::CONCURRENT_WRITES;
    const EVENTS_PER_WRITE: usize = S::EVENTS_PER_WRITE;
    const IN_FLIGHT_BYTES: usize = S::IN_FLIGHT_BYTES;

    async fn log(&self, id: &LogId) -> Result<Option<LogRow>> {
        self.store.log(id).await
    }

    async fn logs(&self, after: Option<&LogId>, limit: usize) -> Result<Vec<(LogId, LogRow)>> {
        self.store.logs(after, limit).await
    }

    async fn buckets(
        &self,
        id: &LogId,
        span: RangeInclusive<Offset>,
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<BucketRow>> {
        self.counts.index.fetch_add(1, Relaxed);
        self.store.buckets(id, span, reverse, limit).await
    }

    async fn events(&self, id: &LogId, bucket: Bucket, scan: Scan) -> Result<Vec<EncodedEvent>> {
        self.counts.buckets.fetch_add(1, Relaxed);
        let events = self.store.events(id, bucket, scan).await;
        let meanwhile = self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(meanwhile) = meanwhile {
            meanwhile.await;
        }
        events
    }

    async fn late_events(
        &self,
        id: &LogId,
        bucket: Bucket,
        after: Seq,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<LateEvent>> {
        self.counts.late.fetch_add(1, Relaxed);
        self.store.late_events(id, bucket, after, limit, bytes).await
    }

    async fn event(&self, id: &LogId, position: Position) -> Result<Option<Event>> {
        self.counts.events.fetch_add(1, Relaxed);
        self.store.event(id, position).await
    }

    async fn totals(&self, id: &LogId) -> Result<Totals> {
        self.counts.index.fetch_add(1, Relaxed);
        self.store.totals(id).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<()> {
        self.store.write(writes).await
    }

    async fn sources(&self, stream: &str) -> Result<Vec<(u8, SourceRow)>> {
        self.store.sources(stream).await
    }

    async fn epochs(&self, slot: u8) -> Result<Vec<EpochRow>> {
        self.store.epochs(slot).await
    }

    async fn begin_epoch(&self, slot: u8, row: EpochRow) -> Result<bool> {
        self.store.begin_epoch(slot, row).await
    }

    async fn cursor(&self, id: &LogId, name: &str) -> Result<Option<ArrivalCursor>> {
        self.store.cursor(id, name).await
    }

    async fn cursors(&self, id: &LogId) -> Result<Vec<(String, ArrivalCursor)>> {
        self.store.cursors(id).await
    }

    async fn deleted_to(&self, id: &LogId) -> Result<Seq> {
        self.store.deleted_to(id).await
    }

    async fn property(&self, name: &str) -> Result<Option<String>> {
        self.store.property(name).await
    }

    async fn set_property(&self, name: &str, value: &str, over: Option<&str>) -> Result<String> {
        self.store.set_property(name, value, over).await
    }

    async fn flush(&self) -> Result<()> {
        self.store.flush().await
    }

    async fn needs_catch_up(&self) -> bool {
        self.store.needs_catch_up().await
    }

    async fn forget(&self) {
        self.store.forget().await;
    }
}
