//! Pages in arrival order, by `seq`: for following. Every event is there exactly once, however late it is.

use std::collections::VecDeque;

use crate::{
    ArrivalCursor, Error, ErrorKind, Event, LogId, Offset, Position, Result, Seq,
    store::{Bucket, EncodedEvent, LateEvent, Removed, Scan, Store},
};

use super::{End, IndexWalk, events_for, is_known_empty, known};

/// The most events that one fetch reads.
const EVENTS_PER_FETCH: usize = 512;
/// The approximate number of bytes of one fetch.
const BYTES_PER_FETCH: usize = 1 << 20;

/// The part of a log to read in arrival order.
///
/// ```
/// use hourlog::{Archive, ArrivalCursor, Events, Log, Memory, Record, Seq, time::system_clock};
/// use hourlog::read::{ArrivalQuery, arrivals_page};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let events = Archive::new(Memory::new(), system_clock);
/// # let id = "orders.eu".parse()?;
/// # let mut log = events.log(&id).await?;
/// log.write(Record::new("on time")).await?;
/// log.write(Record::new("late").at("2018-02-04T10:00:00Z".parse()?)).await?;
///
/// let query = ArrivalQuery { after: ArrivalCursor::FIRST, limit: 100, bytes: 1 << 20 };
/// let page = arrivals_page(events.store(), &id, &query, Seq::MAX).await?;
/// assert_eq!(&*page.events[1].record.data, b"late"); // by its arrival, not by its time
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrivalQuery {
    /// The page begins after this cursor.
    pub after: ArrivalCursor,
    /// The most events.
    pub limit: usize,
    /// The most bytes of data and metadata. The first event is returned whatever its size.
    pub bytes: usize,
}

/// A part of a log in arrival order.
///
/// ```
/// use hourlog::{Archive, ArrivalCursor, Events, Log, Memory, Record, Seq, time::system_clock};
/// use hourlog::read::{ArrivalQuery, End, arrivals_page};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let events = Archive::new(Memory::new(), system_clock);
/// # let id = "orders.eu".parse()?;
/// # let mut log = events.log(&id).await?;
/// log.write_many(vec![Record::new("a"), Record::new("b")]).await?;
///
/// let mut query = ArrivalQuery { after: ArrivalCursor::FIRST, limit: 1, bytes: usize::MAX };
/// let first = arrivals_page(events.store(), &id, &query, Seq::MAX).await?;
/// query = ArrivalQuery { after: first.next, limit: 100, ..query };
/// let second = arrivals_page(events.store(), &id, &query, Seq::MAX).await?;
/// assert_eq!(&*second.events[0].record.data, b"b");
/// assert_eq!((first.end, second.end), (End::More, End::CaughtUp));
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrivalPage<E = Event> {
    /// The events, by seq.
    pub events: Vec<E>,
    /// The cursor of the next page.
    pub next: ArrivalCursor,
    /// The reason why the page ended; never [`End::Bound`].
    pub end: End,
    /// The number of events that were read to build the page.
    pub scanned: u64,
}

/// Reads one page in arrival order.
///
/// Merges two sequences by seq: the on-time events, which the timeline has in this order already, and the
/// late ones, which are listed in the bucket of the source's `max_time` at their arrival. Events above the
/// seq `visible` are held back: they may not be archived completely yet.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a log that does not exist, [`ErrorKind::Integrity`] if a listed
/// event is missing, and the errors of the store.
pub async fn arrivals_page<S: Store>(store: &S, id: &LogId, query: &ArrivalQuery, visible: Seq) -> Result<ArrivalPage> {
    let ArrivalPage { events, next, end, scanned } = encoded_arrivals_page(store, id, query, visible).await?;
    Ok(ArrivalPage { events: events.iter().map(|event| event.decode(id)).collect(), next, end, scanned })
}

/// Reads one page in arrival order, as [`arrivals_page`] does, with its events as they are stored and sent.
///
/// # Errors
/// Those of [`arrivals_page`].
pub async fn encoded_arrivals_page<S: Store>(
    store: &S,
    id: &LogId,
    query: &ArrivalQuery,
    visible: Seq,
) -> Result<ArrivalPage<EncodedEvent>> {
    let mut page = ArrivalPage { events: Vec::new(), next: query.after, end: End::More, scanned: 0 };
    let mut bytes = 0;
    let bytes_max = query.bytes.max(1);
    let mut index = IndexWalk::new(id, query.after.time, Offset::MAX, false);
    let mut found_any_bucket = false;
    while let Some(row) = index.next(store).await? {
        found_any_bucket = true;
        let limit = events_for(&row, BYTES_PER_FETCH).min(EVENTS_PER_FETCH);
        let mut on_time = OnTime::new(id, row.bucket, page.next, limit);
        // A bucket that was never counted may list late events, too.
        let any_late = row.arrivals > 0 || row.counted_to == Seq::MIN;
        let mut late = LateEvents::new(id, row.bucket, page.next.seq, any_late);
        on_time.is_complete = is_known_empty(&row);
        loop {
            if page.events.len() >= query.limit || bytes >= bytes_max {
                return Ok(page);
            }
            let on_time_seq = on_time.peek(store, &mut page.scanned).await?;
            let late_seq = late.peek(store).await?;
            let (event, time) = match (on_time_seq, late_seq) {
                (None, None) => break,
                (Some(seq), other) if other.is_none_or(|late| seq < late) => {
                    let event = on_time.take();
                    let time = event.position().offset;
                    (event, time)
                }
                _ => {
                    let LateEvent { position, event } = late.take();
                    page.scanned += 1;
                    // A late event does not move the cursor's time by its offset: it is listed in this
                    // bucket.
                    let time = page.next.time.max(row.bucket.start);
                    match event {
                        Some(event) => (event, time),
                        None if position.seq > visible || was_deleted(store, id, position).await? => continue,
                        None => {
                            let context = format!("event {position} of {id} is listed but missing");
                            return Err(Error::new(ErrorKind::Integrity, context));
                        }
                    }
                }
            };
            let seq = event.position().seq;
            if seq > visible {
                page.end = End::CaughtUp;
                return Ok(page);
            }
            page.next = ArrivalCursor { time, seq };
            bytes += event.record_bytes();
            page.events.push(event);
        }
    }
    if !found_any_bucket {
        known(store, id).await?;
    }
    page.end = End::CaughtUp;
    Ok(page)
}

/// Returns true if the event at `position` was deleted with its bucket or its log.
///
/// Its entry stays listed in the bucket of the source's `max_time` at its arrival. The bucket's row tells of the
/// deletion only once it is complete, so the log's row, which tells of it before it begins, counts as well.
async fn was_deleted<S: Store>(store: &S, id: &LogId, position: Position) -> Result<bool> {
    let offset = position.offset;
    let rows = store.buckets(id, offset..=offset, false, 1).await?;
    let row = rows.into_iter().find(|row| row.bucket.contains(offset));
    if row.is_none_or(|row| position.seq <= row.emptied_at) {
        return Ok(true);
    }
    let is_removed = |removed: Removed| offset < removed.to && position.seq <= removed.seq;
    Ok(store.log(id).await?.is_none_or(|log| position.seq <= log.deleted_to || log.removed.is_some_and(is_removed)))
}

/// The on-time events of a bucket, by seq.
struct OnTime<'a> {
    id: &'a LogId,
    bucket: Bucket,
    /// The position at which the next fetch begins.
    from: Position,
    /// Events up to this seq were returned before.
    above: Seq,
    /// The most events of one fetch.
    limit: usize,
    fetched: VecDeque<EncodedEvent>,
    is_complete: bool,
}

impl<'a> OnTime<'a> {
    fn new(id: &'a LogId, bucket: Bucket, after: ArrivalCursor, limit: usize) -> Self {
        let from = Position::at(after.time.max(bucket.start));
        Self { id, bucket, from, above: after.seq, limit, fetched: VecDeque::new(), is_complete: false }
    }

    async fn peek<S: Store>(&mut self, store: &S, scanned: &mut u64) -> Result<Option<Seq>> {
        while self.fetched.is_empty() && !self.is_complete {
            let (limit, bytes) = (self.limit, BYTES_PER_FETCH);
            let scan = Scan { from: self.from, to: Position::MAX, reverse: false, limit, bytes };
            let events = store.events(self.id, self.bucket, scan).await?;
            *scanned += events.len() as u64;
            let fetched_bytes = events.iter().map(|event| event.record_bytes()).sum::<usize>();
            self.is_complete = events.len() < limit && fetched_bytes < bytes;
            if let Some(event) = events.last() {
                self.from = event.position().next();
            }
            let above = self.above;
            self.fetched =
                events.into_iter().filter(|event| event.arrived().is_none() && event.position().seq > above).collect();
        }
        Ok(self.fetched.front().map(|event| event.position().seq))
    }

    fn take(&mut self) -> EncodedEvent {
        self.fetched.pop_front().expect("peek returned a seq")
    }
}

/// The late events listed in the bucket of the source's `max_time` at their arrival, by seq.
struct LateEvents<'a> {
    id: &'a LogId,
    bucket: Bucket,
    /// Events up to this seq were returned before.
    above: Seq,
    fetched: VecDeque<LateEvent>,
    is_complete: bool,
}

impl<'a> LateEvents<'a> {
    fn new(id: &'a LogId, bucket: Bucket, above: Seq, any: bool) -> Self {
        Self { id, bucket, above, fetched: VecDeque::new(), is_complete: !any }
    }

    async fn peek<S: Store>(&mut self, store: &S) -> Result<Option<Seq>> {
        if self.fetched.is_empty() && !self.is_complete {
            let (limit, bytes) = (EVENTS_PER_FETCH, BYTES_PER_FETCH);
            let events = store.late_events(self.id, self.bucket, self.above, limit, bytes).await?;
            let fetched_bytes: usize = events.iter().filter_map(|late| Some(late.event.as_ref()?.record_bytes())).sum();
            self.is_complete = events.len() < limit && fetched_bytes < bytes;
            if let Some(event) = events.last() {
                self.above = event.position.seq;
            }
            self.fetched = events.into();
        }
        Ok(self.fetched.front().map(|event| event.position.seq))
    }

    fn take(&mut self) -> LateEvent {
        self.fetched.pop_front().expect("peek returned a seq")
    }
}
