//! Reading one page of a log: of a snapshot, or of what is archived completely.

mod expired;

use futures_util::FutureExt;
use hourlog::{
    Error, ErrorKind, LogId, Offset, Result, Seq,
    read::{ArrivalPage, ArrivalQuery, End, Page, Query, encoded_arrivals_page, encoded_page},
    store::{EncodedEvent, Store},
};
use tokio::sync::watch;

pub(crate) use expired::RemovedCache;

/// Size of a page, in events, up to which it is read where the request is answered. Reading a larger one takes longer
/// than handing it to another thread.
const READ_HERE_EVENTS_MAX: usize = 100;

/// A query in either order.
#[derive(Debug, Clone)]
pub(crate) enum Reading {
    /// In timeline order.
    Timeline(Query),
    /// In arrival order.
    Arrival(ArrivalQuery),
}

/// A page in either order, with its events as they are stored and sent.
#[derive(Debug)]
pub(crate) enum Read {
    /// In timeline order.
    Timeline(Page<EncodedEvent>),
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
    /// Returns true if the page is empty because it begins at the end of the log.
    pub(crate) fn is_empty_end(&self) -> bool {
        match self {
            Self::Timeline(page) => page.events.is_empty() && page.end == End::CaughtUp,
            Self::Arrival(page) => page.events.is_empty() && page.end == End::CaughtUp,
        }
    }
}

impl Reading {
    fn limit(&self) -> usize {
        match self {
            Self::Timeline(query) => query.limit,
            Self::Arrival(query) => query.limit,
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
    let read = if reading.limit() <= READ_HERE_EVENTS_MAX {
        page(&snapshot, id, reading, Seq::MAX).await?
    } else {
        let (id, reading) = (id.clone(), reading.clone());
        elsewhere(move || page(&snapshot, &id, &reading, Seq::MAX).now_or_never()).await?
    };
    Ok(ReadPage { read, expired })
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

/// Reads a page of what is archived up to the seq `visible`.
async fn page<S: Store>(store: &S, id: &LogId, reading: &Reading, visible: Seq) -> Result<Read> {
    Ok(match reading {
        Reading::Timeline(query) => Read::Timeline(encoded_page(store, id, query, visible).await?),
        Reading::Arrival(query) => Read::Arrival(encoded_arrivals_page(store, id, query, visible).await?),
    })
}
