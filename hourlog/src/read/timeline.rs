//! Pages in timeline order, by `(offset, seq)`: for looking back.

use crate::{
    Event, LogId, Offset, Position, Reason, Result, Seeked, Seq,
    store::{Run, Scan, Store},
};

use super::{End, IndexWalk, events_for, is_known_empty, known};

/// The part of a log to read in timeline order.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Position, Record, Seq, time::system_clock};
/// use hourlog::read::{Query, page};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let events = Archive::new(Memory::new(), system_clock);
/// # let id = "orders.eu".parse()?;
/// # let mut log = events.log(&id).await?;
/// for time in ["2018-02-04T10:00:00Z", "2018-02-04T11:00:00Z", "2018-02-04T11:30:00Z"] {
///     log.write(Record::new("paid").at(time.parse()?)).await?;
/// }
/// // From eleven to noon.
/// let query = Query {
///     from: Position::at("2018-02-04T11:00:00Z".parse()?),
///     to: Some(Position::at("2018-02-04T12:00:00Z".parse()?)),
///     ..Query::ALL
/// };
/// assert_eq!(page(events.store(), &id, &query, Seq::MAX).await?.events.len(), 2);
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// The first position, inclusive.
    pub from: Position,
    /// The end, exclusive; `None` is the end of the log.
    pub to: Option<Position>,
    /// Reads from the end backwards.
    pub reverse: bool,
    /// The most events.
    pub limit: usize,
    /// The most bytes of data and metadata. The first event is returned whatever its size.
    pub bytes: usize,
}

impl Query {
    /// The whole log, forwards.
    pub const ALL: Self = Self { from: Position::MIN, to: None, reverse: false, limit: usize::MAX, bytes: usize::MAX };

    /// Returns the query for what follows the event at `last`, in this direction.
    #[must_use]
    pub fn after(self, last: Position) -> Self {
        if self.reverse {
            Self { to: Some(self.to.map_or(last, |to| to.min(last))), ..self }
        } else {
            Self { from: self.from.max(last.next()), ..self }
        }
    }
}

/// A part of a log.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Record, Seq, time::system_clock};
/// use hourlog::read::{End, Query, page};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let events = Archive::new(Memory::new(), system_clock);
/// # let id = "orders.eu".parse()?;
/// # let mut log = events.log(&id).await?;
/// for time in ["2018-02-04T10:00:00Z", "2018-02-04T11:00:00Z", "2018-02-04T11:30:00Z"] {
///     log.write(Record::new("paid").at(time.parse()?)).await?;
/// }
/// let (mut query, mut count) = (Query { limit: 2, ..Query::ALL }, 0);
/// loop {
///     let page = page(events.store(), &id, &query, Seq::MAX).await?;
///     count += page.events.len();
///     match page.events.last() {
///         Some(last) if page.end == End::More => query.from = last.position.next(),
///         _ => break,
///     }
/// }
/// assert_eq!(count, 3);
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<E = Event> {
    /// The events, in the order of the query.
    pub events: Vec<E>,
    /// The reason why the page ended.
    pub end: End,
    /// The number of events that were read to build the page.
    pub scanned: u64,
    /// True if something above the seq `visible` was held back, or may have been: nothing was if it is false.
    pub held_back: bool,
}

/// Reads one page in timeline order.
///
/// Events above the seq `visible` are held back: they may not be archived completely yet.
///
/// # Errors
/// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for a log that does not exist, and the errors of the
/// store.
pub async fn page<S: Store>(store: &S, id: &LogId, query: &Query, visible: Seq) -> Result<Page> {
    page_of_runs(store, id, query, visible).await?.decode(id)
}

impl Page<Run> {
    /// Decodes the events, as those of `log`.
    ///
    /// # Errors
    /// [`ErrorKind::Integrity`](crate::ErrorKind::Integrity) if they are damaged.
    pub fn decode(self, log: &LogId) -> Result<Page> {
        let mut events = Vec::new();
        for run in self.events {
            events.extend(run.into_events()?.iter().map(|event| event.decode(log)));
        }
        Ok(Page { events, end: self.end, scanned: self.scanned, held_back: self.held_back })
    }
}

/// Reads one page in timeline order, as [`page`] does, with its events as they are stored and sent.
///
/// # Errors
/// Those of [`page`].
pub async fn page_of_runs<S: Store>(store: &S, id: &LogId, query: &Query, visible: Seq) -> Result<Page<Run>> {
    let mut page = Page { events: Vec::new(), end: End::More, scanned: 0, held_back: false };
    let (mut count, mut bytes) = (0, 0);
    // A page of zero bytes would never end.
    let bytes_max = query.bytes.max(1);
    let last = match query.to {
        Some(to) => to.previous(),
        None => Some(Position::MAX),
    };
    let Some(last) = last.filter(|last| query.from <= *last) else {
        known(store, id).await?;
        page.end = End::Bound;
        return Ok(page);
    };
    let mut index = IndexWalk::new(id, query.from.offset, last.offset, query.reverse);
    let mut found_any_bucket = false;
    while let Some(row) = index.next(store).await? {
        found_any_bucket = true;
        if is_known_empty(&row) {
            // Another process may have written events that its row does not count yet.
            page.held_back = true;
            continue;
        }
        let mut scan = Scan { from: query.from, to: last, reverse: query.reverse, limit: 0, bytes: 0 };
        loop {
            if count >= query.limit || bytes >= bytes_max {
                return Ok(page);
            }
            scan.bytes = bytes_max - bytes;
            scan.limit = (query.limit - count).min(events_for(&row, scan.bytes));
            let runs = store.runs(id, row.bucket, scan).await?;
            let Some(newest) = runs.last().map(Run::last) else {
                break;
            };
            // Fewer than asked for: the bucket has no more, and a second scan would find nothing.
            let scanned_bytes = runs.iter().fold(0_usize, |sum, run| sum.saturating_add(run.record_bytes()));
            let is_exhausted = runs.iter().map(Run::count).sum::<usize>() < scan.limit && scanned_bytes < scan.bytes;
            for run in runs {
                if run.newest() <= visible {
                    page.scanned += run.count() as u64;
                    count += run.count();
                    bytes += run.record_bytes();
                    page.events.push(run);
                    continue;
                }
                for event in run.into_events()? {
                    page.scanned += 1;
                    if event.position().seq > visible {
                        page.held_back = true;
                        // Skipping a late event is safe: it could have arrived a moment later. Skipping an
                        // on-time one would move the cursor past it. In reverse nothing is read after it.
                        if event.arrived().is_none() && !query.reverse {
                            page.end = End::CaughtUp;
                            return Ok(page);
                        }
                        continue;
                    }
                    count += 1;
                    bytes += event.record_bytes();
                    page.events.push(event.into());
                }
            }
            if is_exhausted {
                break;
            }
            let next = if query.reverse { newest.previous() } else { Some(newest.next()) };
            match (next, query.reverse) {
                (Some(next), true) if next >= scan.from => scan.to = next,
                (Some(next), false) if next <= scan.to => scan.from = next,
                _ => break,
            }
        }
    }
    // The row of the log is read only if there is nothing else to show.
    let log = if !found_any_bucket || (page.events.is_empty() && query.to.is_some()) {
        Some(known(store, id).await?)
    } else {
        None
    };
    let removed = log.filter(|_| page.events.is_empty()).and_then(|log| log.removed);
    page.end = match (query.reverse, query.to) {
        (_, Some(to)) if removed.is_some_and(|removed| to.offset <= removed.to) => End::Expired,
        (false, Some(_)) => End::Bound,
        (true, _) if query.from > Position::MIN => End::Bound,
        _ => End::CaughtUp,
    };
    Ok(page)
}

/// Finds the first event at or after `offset`, among those up to the seq `visible`.
///
/// # Errors
/// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for a log that does not exist, and the errors of the
/// store.
pub async fn seek<S: Store>(store: &S, id: &LogId, offset: Offset, visible: Seq) -> Result<Seeked> {
    let forwards = Query { from: Position::at(offset), limit: 1, ..Query::ALL };
    let resolved = page_of_runs(store, id, &forwards, visible).await?.events.first().map(Run::first);
    let reason = match resolved {
        Some(position) if position.offset == offset => Reason::Exact,
        None => Reason::AfterLast,
        Some(_) => {
            let backwards = Query { from: Position::MIN, to: Some(Position::at(offset)), reverse: true, ..forwards };
            let earlier = page_of_runs(store, id, &backwards, visible).await?;
            if !earlier.events.is_empty() {
                Reason::Next
            } else if known(store, id).await?.removed.is_some_and(|removed| offset < removed.to) {
                Reason::Expired
            } else {
                Reason::BeforeFirst
            }
        }
    };
    Ok(Seeked { requested: offset, resolved, reason })
}
