//! Reading one page of a log: of a snapshot, or of what is archived completely.

mod expired;

use futures_util::FutureExt;
use hourlog::{
    Cursor, Error, ErrorKind, LogId, Offset, Position, Result, Seq,
    read::{ArrivalPage, ArrivalQuery, End, Page, Query, encoded_arrivals_page, page_of_runs},
    store::{EncodedEvent, Run, Store},
};
use tokio::sync::watch;

pub(crate) use expired::RemovedCache;

/// Size of a page, in events, up to which it is read where the request is answered. Reading a larger one takes longer
/// than handing it to another thread.
const READ_HERE_EVENTS_MAX: usize = 100;
/// The same in bytes for the begin of a page in timeline order. Its rest is read by another thread.
const READ_HERE_BYTES_MAX: usize = 192 << 10;

/// A query in either order.
#[derive(Debug, Clone)]
pub(crate) enum Reading {
    /// In timeline order.
    Timeline(Query),
    /// In arrival order.
    Arrival(ArrivalQuery),
}

impl Reading {
    /// Returns the limits of a page, in events and in bytes.
    pub(crate) fn limits(&self) -> (usize, usize) {
        match self {
            Self::Timeline(query) => (query.limit, query.bytes),
            Self::Arrival(query) => (query.limit, query.bytes),
        }
    }

    /// Returns the same reading with other limits.
    pub(crate) fn with_limits(&self, limit: usize, bytes: usize) -> Self {
        match self {
            Self::Timeline(query) => Self::Timeline(Query { limit, bytes, ..*query }),
            Self::Arrival(query) => Self::Arrival(ArrivalQuery { limit, bytes, ..*query }),
        }
    }

    /// Returns the reading of what comes after `next`, the cursor of its last page.
    pub(crate) fn after(&self, next: Option<Cursor>) -> Self {
        match (self, next) {
            (Self::Timeline(query), Some(Cursor::Timeline(last))) => Self::Timeline(query.after(last)),
            (Self::Arrival(query), Some(Cursor::Arrival(after))) => Self::Arrival(ArrivalQuery { after, ..*query }),
            _ => self.clone(),
        }
    }
}

/// A page in either order, with its events as they are stored and sent.
#[derive(Debug)]
pub(crate) enum Read {
    /// In timeline order.
    Timeline(Page<Run>),
    /// In arrival order.
    Arrival(ArrivalPage<EncodedEvent>),
}

/// A page, and what the reader has missed.
#[derive(Debug)]
pub(crate) struct ReadPage {
    pub(crate) read: Read,
    /// The time before which events were removed, if the read begins before it.
    pub(crate) expired: Option<Offset>,
}

impl Read {
    /// Returns true if the page is the same whatever lies above the seq up to which it was read. A reader at the end of
    /// the log may want to wait there, which only the owner of the log can.
    pub(crate) fn is_below(&self) -> bool {
        match self {
            Self::Timeline(page) => !page.held_back && !page.events.is_empty(),
            // A page that ends before its limit has reached what is not visible.
            Self::Arrival(page) => page.end == End::More,
        }
    }

    /// Returns true if the page is empty because it begins at the end of the log.
    pub(crate) fn is_empty_end(&self) -> bool {
        match self {
            Self::Timeline(page) => page.events.is_empty() && page.end == End::CaughtUp,
            Self::Arrival(page) => page.events.is_empty() && page.end == End::CaughtUp,
        }
    }
}

/// Reads a page of a snapshot, which shows complete writes only. Looks into `removed`, if it is given, for what was
/// removed.
pub(crate) async fn of_snapshot<S: Store>(
    snapshot: S,
    removed: Option<&RemovedCache>,
    id: &LogId,
    reading: &Reading,
) -> Result<ReadPage> {
    let expired = expired::expired(removed, &snapshot, id, reading).await?;
    let read = match reading {
        Reading::Timeline(query) => Read::Timeline(timeline_page(snapshot, id, query).await?),
        Reading::Arrival(query) if query.limit <= READ_HERE_EVENTS_MAX => {
            Read::Arrival(encoded_arrivals_page(&snapshot, id, query, Seq::MAX).await?)
        }
        Reading::Arrival(query) => {
            let (id, query) = (id.clone(), *query);
            let read = move || encoded_arrivals_page(&snapshot, &id, &query, Seq::MAX).now_or_never();
            Read::Arrival(elsewhere(read).await?)
        }
    };
    Ok(ReadPage { read, expired })
}

/// Reads a page in timeline order of a snapshot: its begin here, its rest on another thread.
async fn timeline_page<S: Store>(snapshot: S, id: &LogId, query: &Query) -> Result<Page<Run>> {
    let begin = Query { bytes: query.bytes.min(READ_HERE_BYTES_MAX), ..*query };
    let mut page = page_of_runs(&snapshot, id, &begin, Seq::MAX).await?;
    let Some(rest) = rest(&page, query) else { return Ok(page) };
    let id = id.clone();
    let rest = elsewhere(move || page_of_runs(&snapshot, &id, &rest, Seq::MAX).now_or_never()).await?;
    page.events.extend(rest.events);
    page.scanned += rest.scanned;
    page.held_back |= rest.held_back;
    page.end = match rest.end {
        // Only a page without events says this.
        End::Expired if query.reverse && query.from == Position::MIN => End::CaughtUp,
        End::Expired => End::Bound,
        end => end,
    };
    Ok(page)
}

/// Returns the query for what `page`, which is the begin of what `query` asks for, leaves out.
fn rest(page: &Page<Run>, query: &Query) -> Option<Query> {
    let last = page.events.last().filter(|_| page.end == End::More)?.last();
    let read = |of: fn(&Run) -> usize| page.events.iter().map(of).sum::<usize>();
    let limit = query.limit.checked_sub(read(Run::count)).filter(|limit| *limit > 0)?;
    let bytes = query.bytes.checked_sub(read(Run::record_bytes)).filter(|bytes| *bytes > 0)?;
    Some(Query { limit, bytes, ..query.after(last) })
}

/// Runs a read of a snapshot on a thread that may block. Its reads are ready at once, so `read` returns a result.
pub(crate) async fn elsewhere<T: Send + 'static>(
    read: impl FnOnce() -> Option<Result<T>> + Send + 'static,
) -> Result<T> {
    let read = tokio::task::spawn_blocking(read).await.ok().flatten();
    read.unwrap_or_else(|| Err(Error::new(ErrorKind::Unexpected, "a read of a snapshot was aborted")))
}

/// Reads a page of what is archived completely. Marks as seen the change of `visible` that the page shows.
pub(crate) async fn visible<S: Store>(
    store: &S,
    removed: &RemovedCache,
    id: &LogId,
    reading: &Reading,
    visible: &mut watch::Receiver<Seq>,
) -> Result<ReadPage> {
    let read = loop {
        let last_visible = *visible.borrow_and_update();
        if let Some(snapshot) = store.snapshot()? {
            return of_snapshot(snapshot, Some(removed), id, reading).await;
        }
        let read = page(store, id, reading, last_visible).await?;
        // A page takes several reads of the archive. If everything was visible and a write has
        // begun meanwhile, the page may contain a part of that write.
        if last_visible < Seq::MAX || !visible.has_changed().unwrap_or(false) {
            break read;
        }
    };
    let expired = expired::expired(Some(removed), store, id, reading).await?;
    Ok(ReadPage { read, expired })
}

/// Reads a page of the log of another instance, which has archived it up to the seq `visible`.
pub(crate) async fn of_other<S: Store>(store: &S, id: &LogId, reading: &Reading, visible: Seq) -> Result<ReadPage> {
    let read = page(store, id, reading, visible).await?;
    let expired = expired::expired(None, store, id, reading).await?;
    Ok(ReadPage { read, expired })
}

/// Reads a page of what is archived up to the seq `visible`.
async fn page<S: Store>(store: &S, id: &LogId, reading: &Reading, visible: Seq) -> Result<Read> {
    Ok(match reading {
        Reading::Timeline(query) => Read::Timeline(page_of_runs(store, id, query, visible).await?),
        Reading::Arrival(query) => Read::Arrival(encoded_arrivals_page(store, id, query, visible).await?),
    })
}
