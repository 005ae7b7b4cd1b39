//! Reading over any store: pages in timeline order and in arrival order, and what the index tells without events.

use std::collections::VecDeque;

use crate::{
    Arrival, BINS, BucketRow, Error, ErrorKind, Event, LogId, LogRow, Offset, Position, Result, Scan, Seq, Store,
    Width, bucket::Bucket,
};

/// The rows of the index that one read fetches.
const INDEX_ROWS: usize = 256;
/// The events of a bucket that one read fetches when those in arrival order are picked out of them.
const ARRIVAL_EVENTS: usize = 512;
/// The bytes that they may weigh, roughly.
const ARRIVAL_BYTES: usize = 1 << 20;
/// Past so many events, or bytes, a bucket is slow to read and heavy to keep.
const BUCKET_EVENTS_GUIDE: u64 = 100_000;
/// See [`BUCKET_EVENTS_GUIDE`].
const BUCKET_BYTES_GUIDE: u64 = 100_000_000;

/// Which part of a log to read, in timeline order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// The first position, inclusive.
    pub from: Position,
    /// The end, exclusive; `None` is the end of the log.
    pub to: Option<Position>,
    /// From the end backwards.
    pub reverse: bool,
    /// The most events.
    pub limit: usize,
    /// Stop at so many bytes of data and metadata; the first event is there whatever it weighs.
    pub bytes: usize,
    /// Events above this seq are not archived for certain yet, and held back.
    pub visible: Seq,
}

impl Query {
    /// The whole log, forwards.
    pub const ALL: Self =
        Self { from: Position::MIN, to: None, reverse: false, limit: usize::MAX, bytes: usize::MAX, visible: Seq::MAX };
}

/// A part of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the order that was asked for.
    pub events: Vec<Event>,
    /// Why it ended.
    pub end: End,
    /// How many events were looked at.
    pub scanned: u64,
}

/// Why a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was full; there may be more.
    More,
    /// The bound that was asked for was reached.
    Bound,
    /// The end of the log was reached (its beginning, in reverse).
    CaughtUp,
    /// Time ran out.
    Deadline,
}

/// Reads one page in timeline order.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a log that was never written to, and what the store answers.
pub async fn page<S: Store>(store: &S, id: &LogId, query: &Query) -> Result<Page> {
    let mut page = Page { events: Vec::new(), end: End::More, scanned: 0 };
    let mut bytes = 0;
    // Of no bytes at all there would never be a page.
    let bytes_max = query.bytes.max(1);
    let last = match query.to {
        Some(to) => before(to),
        None => Some(Position::MAX),
    };
    let Some(last) = last.filter(|last| query.from <= *last) else {
        known(store, id).await?;
        page.end = End::Bound;
        return Ok(page);
    };
    let mut index = Index::new(id, query.from.offset, last.offset, query.reverse);
    let mut found_any_bucket = false;
    while let Some(row) = index.next(store).await? {
        found_any_bucket = true;
        if tells_of_none(&row) {
            continue;
        }
        let mut scan = Scan { from: query.from, to: last, reverse: query.reverse, limit: 0, bytes: 0 };
        loop {
            if page.events.len() >= query.limit || bytes >= bytes_max {
                return Ok(page);
            }
            scan.bytes = bytes_max - bytes;
            scan.limit = (query.limit - page.events.len()).min(fitting(&row, scan.bytes));
            let events = store.events(id, row.bucket, scan).await?;
            let Some(newest) = events.last().map(|event| event.position) else {
                break;
            };
            // Fewer than could have been: the bucket has no more, and need not be asked again.
            let scanned_bytes = events.iter().fold(0_usize, |sum, event| sum.saturating_add(event.record.bytes()));
            let exhausted = events.len() < scan.limit && scanned_bytes < scan.bytes;
            for event in events {
                page.scanned += 1;
                if event.position.seq > query.visible {
                    // What comes late may be passed over: it could as well come a moment later. The newest event may
                    // not, or a cursor behind it would never see it. In reverse nothing is read after it.
                    if event.arrived.is_none() && !query.reverse {
                        page.end = End::CaughtUp;
                        return Ok(page);
                    }
                    continue;
                }
                bytes += event.record.bytes();
                page.events.push(event);
            }
            if exhausted {
                break;
            }
            let next = if query.reverse { before(newest) } else { Some(newest.next()) };
            match (next, query.reverse) {
                (Some(next), true) if next >= scan.from => scan.to = next,
                (Some(next), false) if next <= scan.to => scan.from = next,
                _ => break,
            }
        }
    }
    if !found_any_bucket {
        known(store, id).await?;
    }
    page.end = match (query.reverse, query.to) {
        (false, Some(_)) => End::Bound,
        (true, _) if query.from > Position::MIN => End::Bound,
        _ => End::CaughtUp,
    };
    Ok(page)
}

/// Whether the index knows that a bucket holds no event. One that is listed and was never counted may hold what a writer left that was
/// killed, and that never came again.
fn tells_of_none(row: &BucketRow) -> bool {
    row.count == 0 && row.through > Seq::MIN
}

/// How many events of a bucket are worth asking for at once where `bytes` are wanted: twice as many as weigh that on average. A database
/// sends all that it was asked for.
fn fitting(row: &BucketRow, bytes: usize) -> usize {
    const EVENTS_MIN: usize = 16;
    let each = usize::try_from(row.bytes / row.count.max(1)).unwrap_or(usize::MAX).max(1);
    (bytes / each).saturating_mul(2).saturating_add(EVENTS_MIN)
}

/// The last position before this one.
fn before(position: Position) -> Option<Position> {
    match position.seq.checked_sub(1) {
        Some(seq) => Some(Position { seq, ..position }),
        None if position.offset == Offset::MIN => None,
        None => Some(Position { offset: position.offset.saturating_add_nanos(-1), seq: Seq::MAX }),
    }
}

/// The row of a log that exists.
async fn known<S: Store>(store: &S, id: &LogId) -> Result<LogRow> {
    store
        .log(id)
        .await?
        .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no log {id}; it comes to be with its first event")))
}

/// Walks the rows of the index that touch a span of time.
pub(crate) struct Index<'a> {
    id: &'a LogId,
    from: Offset,
    to: Offset,
    reverse: bool,
    rows: VecDeque<BucketRow>,
    /// The start of the last bucket that was fetched.
    fetched: Option<Offset>,
    whole: bool,
}

impl<'a> Index<'a> {
    pub(crate) fn new(id: &'a LogId, from: Offset, to: Offset, reverse: bool) -> Self {
        Self { id, from, to, reverse, rows: VecDeque::new(), fetched: None, whole: false }
    }

    pub(crate) async fn next<S: Store>(&mut self, store: &S) -> Result<Option<BucketRow>> {
        while self.rows.is_empty() && !self.whole {
            let span = match (self.fetched, self.reverse) {
                (None, _) => self.from..=self.to,
                (Some(start), false) => start..=self.to,
                (Some(start), true) if start <= self.from => return Ok(None),
                (Some(start), true) => self.from..=start.saturating_add_nanos(-1),
            };
            let rows = store.buckets(self.id, span, self.reverse, INDEX_ROWS).await?;
            self.whole = rows.len() < INDEX_ROWS;
            // Going on forwards, the first row is the one that the last read ended with.
            let known = self.fetched.filter(|_| !self.reverse);
            self.fetched = rows.last().map(|row| row.bucket.start);
            self.rows = rows.into_iter().filter(|row| Some(row.bucket.start) != known).collect();
        }
        Ok(self.rows.pop_front())
    }
}

/// Which part of a log to read, in arrival order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrivalQuery {
    /// What comes behind this.
    pub after: Arrival,
    /// The most events.
    pub limit: usize,
    /// Stop at so many bytes of data and metadata; the first event is there whatever it weighs.
    pub bytes: usize,
    /// Events above this seq are not archived for certain yet, and held back.
    pub visible: Seq,
}

/// A part of a log in arrival order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrivalPage {
    /// By seq.
    pub events: Vec<Event>,
    /// What to ask for next.
    pub next: Arrival,
    /// Why it ended: never [`End::Bound`].
    pub end: End,
    /// How many events were looked at.
    pub scanned: u64,
}

/// Reads one page in arrival order: the merge by seq of the events that arrived at their own time, which the timeline
/// has in this order already, and of the placed ones, which are listed by the time that they arrived in.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a log that was never written to, and what the store answers.
pub async fn arrival_page<S: Store>(store: &S, id: &LogId, query: &ArrivalQuery) -> Result<ArrivalPage> {
    let mut page = ArrivalPage { events: Vec::new(), next: query.after, end: End::More, scanned: 0 };
    let mut bytes = 0;
    let bytes_max = query.bytes.max(1);
    let mut index = Index::new(id, query.after.time, Offset::MAX, false);
    let mut found_any_bucket = false;
    while let Some(row) = index.next(store).await? {
        found_any_bucket = true;
        let mut punctual = Punctual::new(id, row.bucket, page.next, fitting(&row, ARRIVAL_BYTES).min(ARRIVAL_EVENTS));
        let placed_ones = row.arrivals > 0 || row.through == Seq::MIN;
        let mut placed = PlacedOnes::new(id, row.bucket, page.next.seq, placed_ones);
        punctual.whole = tells_of_none(&row);
        loop {
            if page.events.len() >= query.limit || bytes >= bytes_max {
                return Ok(page);
            }
            let punctual_seq = punctual.peek(store, &mut page.scanned).await?;
            let placed_seq = placed.peek(store).await?;
            let (event, time) = match (punctual_seq, placed_seq) {
                (None, None) => break,
                (Some(seq), other) if other.is_none_or(|placed| seq < placed) => {
                    let event = punctual.take();
                    let time = event.position.offset;
                    (event, time)
                }
                _ => {
                    let position = placed.take();
                    page.scanned += 1;
                    let time = page.next.time.max(row.bucket.start);
                    match store.event(id, position).await? {
                        Some(event) => (event, time),
                        None if position.seq > query.visible || is_gone(store, id, position).await? => continue,
                        None => {
                            let context = format!("event {position} of {id} is listed but not there");
                            return Err(Error::new(ErrorKind::Integrity, context));
                        }
                    }
                }
            };
            if event.position.seq > query.visible {
                page.end = End::CaughtUp;
                return Ok(page);
            }
            page.next = Arrival { time, seq: event.position.seq };
            bytes += event.record.bytes();
            page.events.push(event);
        }
    }
    if !found_any_bucket {
        known(store, id).await?;
    }
    page.end = End::CaughtUp;
    Ok(page)
}

/// Whether the event that was at `position` was taken away with its bucket, or its log. It stays listed where it arrived.
async fn is_gone<S: Store>(store: &S, id: &LogId, position: Position) -> Result<bool> {
    let offset = position.offset;
    let rows = store.buckets(id, offset..=offset, false, 1).await?;
    let row = rows.into_iter().find(|row| row.bucket.contains(offset));
    Ok(row.is_none_or(|row| position.seq <= row.dropped))
}

/// The events of a bucket that arrived at their own time, by seq.
struct Punctual<'a> {
    id: &'a LogId,
    bucket: Bucket,
    from: Position,
    above: Seq,
    /// The events of one read.
    limit: usize,
    fetched: VecDeque<Event>,
    whole: bool,
}

impl<'a> Punctual<'a> {
    fn new(id: &'a LogId, bucket: Bucket, after: Arrival, limit: usize) -> Self {
        let from = Position::at(after.time.max(bucket.start));
        Self { id, bucket, from, above: after.seq, limit, fetched: VecDeque::new(), whole: false }
    }

    async fn peek<S: Store>(&mut self, store: &S, scanned: &mut u64) -> Result<Option<Seq>> {
        while self.fetched.is_empty() && !self.whole {
            let scan =
                Scan { from: self.from, to: Position::MAX, reverse: false, limit: self.limit, bytes: usize::MAX };
            let events = store.events(self.id, self.bucket, scan).await?;
            *scanned += events.len() as u64;
            self.whole = events.len() < self.limit;
            if let Some(event) = events.last() {
                self.from = event.position.next();
            }
            let above = self.above;
            self.fetched =
                events.into_iter().filter(|event| event.arrived.is_none() && event.position.seq > above).collect();
        }
        Ok(self.fetched.front().map(|event| event.position.seq))
    }

    fn take(&mut self) -> Event {
        self.fetched.pop_front().expect("peek has answered a seq")
    }
}

/// The positions of the placed events that arrived in the time of a bucket, by seq.
struct PlacedOnes<'a> {
    id: &'a LogId,
    bucket: Bucket,
    above: Seq,
    fetched: VecDeque<Position>,
    whole: bool,
}

impl<'a> PlacedOnes<'a> {
    fn new(id: &'a LogId, bucket: Bucket, above: Seq, any: bool) -> Self {
        Self { id, bucket, above, fetched: VecDeque::new(), whole: !any }
    }

    async fn peek<S: Store>(&mut self, store: &S) -> Result<Option<Seq>> {
        if self.fetched.is_empty() && !self.whole {
            let positions = store.arrivals(self.id, self.bucket, self.above, ARRIVAL_EVENTS).await?;
            self.whole = positions.len() < ARRIVAL_EVENTS;
            if let Some(position) = positions.last() {
                self.above = position.seq;
            }
            self.fetched = positions.into();
        }
        Ok(self.fetched.front().map(|position| position.seq))
    }

    fn take(&mut self) -> Position {
        self.fetched.pop_front().expect("peek has answered a seq")
    }
}

/// What the index tells of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// What is known of it.
    pub row: LogRow,
    /// The offset of its earliest event.
    pub first: Option<Offset>,
    /// The offset of its latest event.
    pub last: Option<Offset>,
    /// How many events it holds.
    pub count: u64,
    /// The bytes of their data and metadata.
    pub bytes: u64,
    /// How many buckets hold events.
    pub buckets: u64,
    /// The most events in one bucket.
    pub fullest: u64,
    /// What its keeper should know, with what to do; empty when all is well.
    pub warnings: Vec<String>,
}

/// Sums up the index of a log.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a log that was never written to, and what the store answers.
pub async fn describe<S: Store>(store: &S, id: &LogId) -> Result<Description> {
    let row = known(store, id).await?;
    let mut sum =
        Description { row, first: None, last: None, count: 0, bytes: 0, buckets: 0, fullest: 0, warnings: Vec::new() };
    let mut heaviest: Option<(u64, BucketRow)> = None;
    let mut index = Index::new(id, Offset::MIN, Offset::MAX, false);
    while let Some(row) = index.next(store).await? {
        if row.count == 0 {
            continue;
        }
        sum.first = Some(sum.first.map_or(row.first, |first| first.min(row.first)));
        sum.last = Some(sum.last.map_or(row.last, |last| last.max(row.last)));
        sum.count += row.count;
        sum.bytes += row.bytes;
        sum.buckets += 1;
        sum.fullest = sum.fullest.max(row.count);
        let times_over = row.count.div_ceil(BUCKET_EVENTS_GUIDE).max(row.bytes.div_ceil(BUCKET_BYTES_GUIDE));
        if times_over > heaviest.as_ref().map_or(1, |(most, _)| *most) {
            heaviest = Some((times_over, row));
        }
    }
    if let Some((times_over, row)) = heaviest {
        let fits = fitting_width(row.bucket.width, times_over);
        sum.warnings.push(format!(
            "the bucket of {} holds {} events ({} bytes), past the guide of {BUCKET_EVENTS_GUIDE} events or \
             {BUCKET_BYTES_GUIDE} bytes; a width of {fits} would fit",
            row.bucket.start, row.count, row.bytes
        ));
    }
    Ok(sum)
}

/// The widest usual width that is at least `times_over` times narrower than `width`.
fn fitting_width(width: Width, times_over: u64) -> Width {
    const USUAL_SECONDS: [i64; 10] = [21_600, 3_600, 1_800, 900, 600, 300, 60, 30, 10, 5];
    let narrow = width.nanos() / i64::try_from(times_over).unwrap_or(i64::MAX) / crate::time::SECOND;
    let seconds = USUAL_SECONDS.into_iter().find(|seconds| *seconds <= narrow).unwrap_or(1);
    Width::from_seconds(seconds).expect("the usual widths are within bounds")
}

/// How a log's events are spread over a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// Equal parts of the stretch, in order.
    pub bins: Vec<Bin>,
    /// The events in all of them.
    pub count: u64,
}

/// One part of a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bin {
    /// Where it begins, inclusive.
    pub from: Offset,
    /// Where it ends, exclusive.
    pub to: Offset,
    /// How many events the index knows in it. Where it is narrower than what the index tells apart, they
    /// stand in the bin in which the index's own part begins.
    pub count: u64,
}

/// Counts the events of `from..to` in `bins` equal parts, from the rows of the index alone.
///
/// # Errors
/// [`ErrorKind::Invalid`] for an empty stretch or no bins, [`ErrorKind::NotFound`] for a log that was never written to, and
/// what the store answers.
pub async fn timeline<S: Store>(store: &S, id: &LogId, from: Offset, to: Offset, bins: usize) -> Result<Timeline> {
    if from >= to || bins == 0 {
        return Err(Error::invalid(format!("a timeline from {from} to {to} in {bins} bins is empty")));
    }
    let (start, length) = (i128::from(from.nanos()), i128::from(to.nanos()) - i128::from(from.nanos()));
    let parts = bins as i128;
    let edge = |part: i128| Offset::from_nanos((start + (length * part + parts - 1) / parts) as i64);
    let mut counts = vec![0_u64; bins];
    let mut add = |offset: Offset, count: u64| {
        // An index's part that begins before the stretch is counted where the stretch begins.
        let into = (i128::from(offset.nanos()) - start).max(0);
        counts[(into * parts / length) as usize] += count;
    };
    let mut index = Index::new(id, from, to.saturating_add_nanos(-1), false);
    let mut found_any_bucket = false;
    while let Some(row) = index.next(store).await? {
        found_any_bucket = true;
        if row.count == 0 || row.last < from || row.first >= to {
            continue;
        }
        if row.bins.is_empty() {
            add(row.bucket.start.max(row.first), row.count);
            continue;
        }
        for (bin, count) in row.bins.iter().enumerate().filter(|(_, count)| **count > 0) {
            let (bin_from, bin_to) = (row.bucket.bin_start(bin), row.bucket.bin_start(bin + 1).min(row.bucket.last()));
            if bin_from < to && (bin_to > from || bin + 1 == BINS && bin_to >= from) {
                add(bin_from, u64::from(*count));
            }
        }
    }
    if !found_any_bucket {
        known(store, id).await?;
    }
    let bins: Vec<Bin> =
        (0..parts).zip(counts).map(|(part, count)| Bin { from: edge(part), to: edge(part + 1), count }).collect();
    Ok(Timeline { count: bins.iter().map(|bin| bin.count).sum(), bins })
}
