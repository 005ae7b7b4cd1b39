//! Exact counts of events by time.
//!
//! The rows of the index count the parts of each bucket. A part that lies in one bin is counted from
//! its row. A part with an edge inside is counted by reading its events, up to a limit.

use crate::{
    Error, LogId, Offset, Position, Result, Seq,
    store::{BINS, BucketRow, EncodedEvent, Scan, Store},
};

use super::{IndexWalk, events_for, known};

/// The most bytes of one scan of events.
const SCAN_BYTES: usize = 4 << 20;

/// The bins to count in, and how much may be read for it.
///
/// ```
/// use hourlog::read::Counting;
/// let (from, to) = ("2018-02-04T10:00:00Z".parse()?, "2018-02-04T12:00:00Z".parse()?);
/// let counting = Counting::new(Counting::equal_bins(from, to, 2)?);
/// assert_eq!(counting.edges[1], "2018-02-04T11:00:00Z".parse()?);
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counting {
    /// The edges of the bins, ascending: one more than bins.
    pub edges: Vec<Offset>,
    /// Counts only events at or after this position: the [`next`](Histogram::next) of an answer, to
    /// continue it.
    pub after: Option<Position>,
    /// The most events to read.
    pub reads_max: u64,
    /// Ends the answer at `reads_max`, with a [`next`](Histogram::next). Without it, the rest is
    /// counted from the index alone, and the answer says that it is not exact.
    pub exact: bool,
}

impl Counting {
    /// Counts in the bins between `edges`, with all reads that are needed.
    pub fn new(edges: Vec<Offset>) -> Self {
        Self { edges, after: None, reads_max: u64::MAX, exact: true }
    }

    /// Returns the edges of equal bins: as many as `bins`, or one for each nanosecond of a shorter
    /// stretch.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if `from` is not before `to`, or there are no
    /// bins.
    pub fn equal_bins(from: Offset, to: Offset, bins: usize) -> Result<Vec<Offset>> {
        let length = i128::from(to.nanos()) - i128::from(from.nanos());
        let parts = (bins as i128).min(length);
        if parts <= 0 {
            return Err(Error::invalid(format!(
                "a timeline from {from} to {to} in {bins} bins is empty; give a later end and at least one bin"
            )));
        }
        let edge = |part: i128| i128::from(from.nanos()) + (length * part + parts - 1) / parts;
        Ok((0..=parts).map(|part| Offset::from_nanos(edge(part) as i64)).collect())
    }
}

/// The numbers of events in the bins of a stretch of time.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Record, time::system_clock};
/// use hourlog::read::{Counting, histogram};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let events = Archive::new(Memory::new(), system_clock);
/// # let id = "orders.eu".parse()?;
/// # let mut log = events.log(&id).await?;
/// for time in ["2018-02-04T10:00:00Z", "2018-02-04T11:00:00Z", "2018-02-04T11:30:00Z"] {
///     log.write(Record::new("paid").at(time.parse()?)).await?;
/// }
/// let (from, to) = ("2018-02-04T10:00:00Z".parse()?, "2018-02-04T12:00:00Z".parse()?);
/// let counting = Counting::new(Counting::equal_bins(from, to, 2)?);
/// let histogram = histogram(events.store(), &id, &counting).await?;
/// let counts: Vec<u64> = histogram.bins.iter().map(|bin| bin.count).collect();
/// assert_eq!((counts, histogram.count), (vec![1, 2], 3));
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// The bins, in order.
    pub bins: Vec<Bin>,
    /// The sum of all bins.
    pub count: u64,
    /// True if every bin holds exactly its events, up to `next`.
    pub is_exact: bool,
    /// The length in nanoseconds of the longest part that the index counts as one; 0 if it counts
    /// none. An inexact bin that is shorter may hold events of its neighbours.
    pub grain_nanos: i64,
    /// The events of parts that reach beyond the first or the last edge, and were not read. None of
    /// them is in a bin.
    pub edge: u64,
    /// The number of events that were read.
    pub read: u64,
    /// The most events that must be read to count exactly up to the end. Exact, unless an end of what is counted
    /// lies within a part of the index.
    pub to_read: u64,
    /// The position up to which everything is counted; `None` if that is the end.
    pub next: Option<Position>,
}

/// One part of a histogram.
///
/// ```
/// use hourlog::read::Bin;
/// let (ten, eleven) = ("2018-02-04T10:00:00Z".parse()?, "2018-02-04T11:00:00Z".parse()?);
/// let bin = Bin { from: ten, to: eleven, count: 7_200 };
/// let per_second = bin.count as f64 / bin.to.duration_since(bin.from).as_secs_f64();
/// assert_eq!(per_second, 2.0);
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bin {
    /// Its start, inclusive.
    pub from: Offset,
    /// Its end, exclusive.
    pub to: Offset,
    /// The number of events.
    pub count: u64,
}

/// Counts the events of a log by time.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the edges are not ascending or fewer than two,
/// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for a log that does not exist, and the errors of
/// the store.
pub async fn histogram<S: Store>(store: &S, id: &LogId, counting: &Counting) -> Result<Histogram> {
    let mut count = Count::new(counting)?;
    let mut index = IndexWalk::new(id, count.from.offset, count.last, false).of_all();
    let mut found_any_bucket = false;
    while let Some(row) = index.next(store).await? {
        found_any_bucket = true;
        let (from, last) = (count.from.offset, count.last);
        let touches = move |part: &Part| part.last >= from && part.first <= last;
        let mut parts = parts(&row).filter(touches).peekable();
        while let Some(mut part) = parts.next() {
            count.grain_nanos = count.grain_nanos.max(part.grain_nanos);
            if let Some(bin) = count.bin_of(&part) {
                // After the limit of reads, only what is left to read is added up.
                if count.next.is_none() {
                    count.counts[bin] += part.events;
                }
                continue;
            }
            count.to_read += part.events;
            if count.next.is_some() {
                continue;
            }
            if !count.may_read(part.events) {
                count.add_unread(&part);
                continue;
            }
            // One scan for all parts in a row that must be read.
            while let Some(next) =
                parts.next_if(|next| count.bin_of(next).is_none() && count.may_read(part.events + next.events))
            {
                count.to_read += next.events;
                part = Part { last: next.last, events: part.events + next.events, ..part };
            }
            count.read_part(store, id, &row, &part).await?;
        }
    }
    if !found_any_bucket {
        known(store, id).await?;
    }
    Ok(count.finish())
}

/// Events that the index counts as one number.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// No event is earlier.
    first: Offset,
    /// No event is later.
    last: Offset,
    events: u64,
    grain_nanos: i64,
}

/// Returns the parts of a bucket that hold events.
fn parts(row: &BucketRow) -> impl Iterator<Item = Part> + '_ {
    let (bucket, width) = (row.bucket, row.bucket.width.nanos());
    let whole = (row.bins.is_empty() && row.count > 0).then_some(Part {
        first: row.first,
        last: row.last,
        events: row.count,
        grain_nanos: width,
    });
    let bins = row.bins.iter().enumerate().filter(|(_, events)| **events > 0).map(move |(bin, events)| {
        let end = if bin + 1 == BINS { bucket.last() } else { bucket.bin_start(bin + 1).saturating_add_nanos(-1) };
        Part {
            first: bucket.bin_start(bin).max(row.first),
            last: end.min(row.last),
            events: u64::from(*events),
            grain_nanos: width / BINS as i64,
        }
    });
    whole.into_iter().chain(bins)
}

/// The counts so far.
struct Count<'a> {
    counting: &'a Counting,
    /// The first position to count.
    from: Position,
    /// The last time to count.
    last: Offset,
    counts: Vec<u64>,
    is_exact: bool,
    grain_nanos: i64,
    edge: u64,
    read: u64,
    to_read: u64,
    next: Option<Position>,
}

impl<'a> Count<'a> {
    fn new(counting: &'a Counting) -> Result<Self> {
        let edges = &counting.edges;
        let (Some(first), Some(end)) = (edges.first(), edges.last().filter(|_| edges.len() > 1)) else {
            return Err(Error::invalid("a timeline has at least one bin; give two edges or more"));
        };
        if let Some(pair) = edges.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(Error::invalid(format!(
                "a bin from {} to {} is empty; give the edges in order, each once",
                pair[0], pair[1]
            )));
        }
        Ok(Self {
            counting,
            from: counting.after.map_or(Position::at(*first), |after| after.max(Position::at(*first))),
            last: end.saturating_add_nanos(-1),
            counts: vec![0; edges.len() - 1],
            is_exact: true,
            grain_nanos: 0,
            edge: 0,
            read: 0,
            to_read: 0,
            next: None,
        })
    }

    /// Returns true if so many more events may be read for one part.
    fn may_read(&self, events: u64) -> bool {
        self.counting.exact || self.read + events <= self.counting.reads_max
    }

    /// Returns true if the part reaches beyond what is counted.
    fn is_cut(&self, part: &Part) -> bool {
        Position::at(part.first) < self.from || part.last > self.last
    }

    /// Returns the bin that `offset` lies in, which must be between the edges.
    fn bin_at(&self, offset: Offset) -> usize {
        self.counting.edges.partition_point(|edge| *edge <= offset) - 1
    }

    /// Returns the bin that holds the whole part.
    fn bin_of(&self, part: &Part) -> Option<usize> {
        if self.is_cut(part) {
            return None;
        }
        let bin = self.bin_at(part.first);
        (bin == self.bin_at(part.last)).then_some(bin)
    }

    /// Adds a part that is not read: to the bin in which it begins, or to the edge.
    fn add_unread(&mut self, part: &Part) {
        self.is_exact = false;
        if self.is_cut(part) {
            self.edge += part.events;
        } else {
            let bin = self.bin_at(part.first);
            self.counts[bin] += part.events;
        }
    }

    /// Counts the events of a part by reading them. Sets `next` at the limit of reads.
    async fn read_part<S: Store>(&mut self, store: &S, id: &LogId, row: &BucketRow, part: &Part) -> Result<()> {
        let to = Position { offset: part.last.min(self.last), seq: Seq::MAX };
        // Every event has a greater seq, and this position has a text.
        let mut from = Position { offset: part.first, seq: Seq::ZERO }.max(self.from);
        loop {
            let left = if self.counting.exact { self.counting.reads_max.saturating_sub(self.read) } else { u64::MAX };
            if left == 0 {
                self.next = Some(from);
                return Ok(());
            }
            let limit = events_for(row, SCAN_BYTES).min(usize::try_from(left).unwrap_or(usize::MAX));
            let scan = Scan { from, to, reverse: false, limit, bytes: SCAN_BYTES };
            let events = store.events(id, row.bucket, scan).await?;
            self.read += events.len() as u64;
            let Some(newest) = events.last().map(EncodedEvent::position) else { return Ok(()) };
            for event in &events {
                let bin = self.bin_at(event.position().offset);
                self.counts[bin] += 1;
            }
            from = newest.next();
            if from > to {
                return Ok(());
            }
        }
    }

    fn finish(self) -> Histogram {
        let edges = self.counting.edges.windows(2);
        let bins: Vec<Bin> =
            edges.zip(self.counts).map(|(edge, count)| Bin { from: edge[0], to: edge[1], count }).collect();
        Histogram {
            count: bins.iter().map(|bin| bin.count).sum(),
            bins,
            is_exact: self.is_exact,
            grain_nanos: self.grain_nanos,
            edge: self.edge,
            read: self.read,
            to_read: self.to_read,
            next: self.next,
        }
    }
}
