//! A store that counts how often it is asked, and in which something may happen between two reads.

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
    Arrival, Bucket, BucketRow, EpochRow, Event, LogId, LogRow, Offset, Position, Result, Scan, Seq, SourceRow, Store,
    Write,
};

/// Another store, whose reads are counted. Cheap to clone; the clones count together.
#[derive(Clone)]
pub struct Counting<S> {
    store: S,
    counts: Arc<Counts>,
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
}

/// What happens between two reads.
type Meanwhile = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Debug, Default)]
struct Counts {
    index: AtomicU64,
    buckets: AtomicU64,
    arrivals: AtomicU64,
    events: AtomicU64,
}

/// How often a store was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reads {
    /// For rows of the index.
    pub index: u64,
    /// For events of a bucket.
    pub buckets: u64,
    /// For the placed events of a bucket's time.
    pub arrivals: u64,
    /// For one event.
    pub events: u64,
}

impl<S> Counting<S> {
    /// `store`, counted from now on.
    pub fn new(store: S) -> Self {
        Self { store, counts: Arc::default(), meanwhile: Arc::default() }
    }

    /// `work` is done behind the next read of events.
    pub fn meanwhile(&self, work: impl Future<Output = ()> + Send + 'static) {
        *self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(work));
    }

    /// The reads since the last call.
    pub fn take(&self) -> Reads {
        let take = |count: &AtomicU64| count.swap(0, Relaxed);
        let Counts { index, buckets, arrivals, events } = &*self.counts;
        Reads { index: take(index), buckets: take(buckets), arrivals: take(arrivals), events: take(events) }
    }
}

impl<S: fmt::Debug> fmt::Debug for Counting<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counting").field("store", &self.store).finish_non_exhaustive()
    }
}

impl<S: Store> Store for Counting<S> {
    const WRITES_ARE_WHOLE: bool = S::WRITES_ARE_WHOLE;
    const SURE_AFTER: Duration = S::SURE_AFTER;
    const WRITES_AT_ONCE: Option<usize> = S::WRITES_AT_ONCE;
    const WRITE_EVENTS: usize = S::WRITE_EVENTS;
    const UNDER_WAY_BYTES: usize = S::UNDER_WAY_BYTES;

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

    async fn events(&self, id: &LogId, bucket: Bucket, scan: Scan) -> Result<Vec<Event>> {
        self.counts.buckets.fetch_add(1, Relaxed);
        let events = self.store.events(id, bucket, scan).await;
        let meanwhile = self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(meanwhile) = meanwhile {
            meanwhile.await;
        }
        events
    }

    async fn arrivals(&self, id: &LogId, bucket: Bucket, after: Seq, limit: usize) -> Result<Vec<Position>> {
        self.counts.arrivals.fetch_add(1, Relaxed);
        self.store.arrivals(id, bucket, after, limit).await
    }

    async fn event(&self, id: &LogId, position: Position) -> Result<Option<Event>> {
        self.counts.events.fetch_add(1, Relaxed);
        self.store.event(id, position).await
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

    async fn cursor(&self, id: &LogId, name: &str) -> Result<Option<Arrival>> {
        self.store.cursor(id, name).await
    }

    async fn settle(&self) -> Result<()> {
        self.store.settle().await
    }

    async fn has_come_back(&self) -> bool {
        self.store.has_come_back().await
    }

    async fn forget(&self) {
        self.store.forget().await;
    }
}
