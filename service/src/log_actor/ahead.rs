//! The next page of a reader, read while it has the one before.
//!
//! A page of a database takes some ten milliseconds. Without this, the database would wait while the page is sent and
//! decoded, and the reader while the next one is read. Nothing depends on it: a page that nobody requests is dropped, and
//! so is one that a write or a change of the log may have made old.

use std::{sync::Arc, time::Duration};

use hourlog::{
    Position, Result,
    read::{End, Query},
    store::{Run, Store},
};
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use super::{LogArgs, LogMsg, LogRef};
use crate::reading::{self, Read, ReadPage, Reading};

/// Number of pages that are read ahead at the same time, of all logs. Each takes up to some megabytes.
pub(crate) const PAGES_AHEAD_MAX: usize = 8;
/// Time for which a page waits for its request.
const KEPT: Duration = Duration::from_secs(1);
/// Size of a page, in events or in bytes, from which the next one is read ahead. A reader of less often wants no more.
const LARGE: (usize, usize) = (1_000, 256 << 10);

/// A page that is likely to be requested next.
#[derive(Debug)]
pub(super) struct PageAhead {
    query: Query,
    /// Tells it from those before it.
    pub(super) number: u64,
    page: oneshot::Receiver<Result<ReadPage>>,
    /// Reads the page, then waits for the end of its time.
    task: AbortOnDropHandle<()>,
}

impl PageAhead {
    /// Begins to read the page of `query`. Tells the log by [`LogMsg::AheadExpired`] when nobody has requested it.
    pub(super) fn begin<S: Store>(
        args: Arc<LogArgs<S>>,
        query: Query,
        number: u64,
        permit: OwnedSemaphorePermit,
        mut visible: watch::Receiver<hourlog::Seq>,
        myself: LogRef,
    ) -> Self {
        let (reply, page) = oneshot::channel();
        let task = tokio::spawn(async move {
            let _permit = permit;
            let reading = Reading::Timeline(query);
            let read = reading::visible(&args.store, &args.removed, &args.id, &reading, &mut visible).await;
            // It would keep the log awake.
            drop(visible);
            // Nobody may want it by now.
            let _ = reply.send(read);
            tokio::time::sleep(KEPT).await;
            let _ = myself.send_message(LogMsg::AheadExpired(number));
        });
        Self { query, number, page, task: AbortOnDropHandle::new(task) }
    }

    /// Returns true if it is the page of `reading`.
    pub(super) fn is_of(&self, reading: &Reading) -> bool {
        matches!(reading, Reading::Timeline(query) if *query == self.query)
    }

    /// Waits for the page. Returns `None` if it could not be read.
    pub(super) async fn page(self) -> Option<ReadPage> {
        let page = self.page.await.ok()?.ok();
        drop(self.task);
        page
    }
}

/// Returns the query for the page after `page`, if its reader is likely to request it soon: a large page that is not the
/// first one, read forwards.
pub(super) fn next_query(reading: &Reading, page: &ReadPage) -> Option<Query> {
    let (Reading::Timeline(query), Read::Timeline(page)) = (reading, &page.read) else { return None };
    if page.end != End::More || query.reverse || query.from == Position::MIN {
        return None;
    }
    let sum = |of: fn(&Run) -> usize| page.events.iter().map(of).sum::<usize>();
    let is_large = sum(Run::count) >= LARGE.0 || sum(Run::record_bytes) >= LARGE.1;
    let last = page.events.last().filter(|_| is_large)?;
    Some(query.after(last.last()))
}
