//! Reading over any store: pages in timeline order and in arrival order, and what the index tells
//! without reading events.
//!
//! - [`page`], [`seek`]: by time, for looking back.
//! - [`arrivals_page`]: by arrival, for following.
//! - [`describe`]: from the rows of the index alone. [`ahead`]: the events after a time.
//! - [`near`]: the buckets and bursts around a moment.
//! - [`histogram`]: from the rows of the index where they are fine enough, else from the events.
//!
//! ```
//! use hourlog::{Archive, Events, Log, Memory, Record, Seq, read, time::system_clock};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let events = Archive::new(Memory::new(), system_clock);
//! let id = "orders.eu".parse()?;
//! events.log(&id).await?.write_many(vec![Record::new("a"), Record::new("b")]).await?;
//!
//! let query = read::Query { reverse: true, limit: 1, ..read::Query::ALL };
//! let page = read::page(events.store(), &id, &query, Seq::MAX).await?;
//! assert_eq!(&*page.events[0].record.data, b"b");
//! assert_eq!(page.end, read::End::More);
//! # Ok::<(), hourlog::Error>(())
//! # }).unwrap();
//! ```

mod ahead;
mod arrival;
mod describe;
mod histogram;
mod index_walk;
mod near;
mod timeline;

use crate::{
    Error, ErrorKind, LogId, Result, Seq,
    store::{BucketRow, LogRow, Store},
};

pub(crate) use self::index_walk::IndexWalk;
pub use self::{
    ahead::{Ahead, ahead},
    arrival::{ArrivalPage, ArrivalQuery, arrivals_page, encoded_arrivals_page},
    describe::{Description, describe, fitting_width, rate_warning, totals},
    histogram::{Bin, Counting, Histogram, histogram},
    near::{Near, near},
    timeline::{Page, Query, page, page_of_runs, seek},
};

/// The reason why a page ended.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Position, Record, Seq, time::system_clock};
/// use hourlog::read::{End, Query, page};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let events = Archive::new(Memory::new(), system_clock);
/// # let id = "orders.eu".parse()?;
/// # let mut log = events.log(&id).await?;
/// log.write(Record::new("paid").at("2018-02-04T10:00:00Z".parse()?)).await?;
/// let noon = Position::at("2018-02-04T12:00:00Z".parse()?);
/// for (to, end) in [(None, End::CaughtUp), (Some(noon), End::Bound)] {
///     let query = Query { to, ..Query::ALL };
///     assert_eq!(page(events.store(), &id, &query, Seq::MAX).await?.end, end);
/// }
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The page was full; there may be more.
    More,
    /// The bound of the query was reached.
    Bound,
    /// The end of the log was reached; its beginning, in reverse.
    CaughtUp,
    /// The time for the request ran out.
    Deadline,
    /// Retention or a purge has removed everything up to the bound of the query.
    Expired,
}

impl End {
    /// Returns true if a request for the next page would find nothing now.
    pub fn is_last(self) -> bool {
        matches!(self, Self::Bound | Self::CaughtUp | Self::Expired)
    }
}

/// Returns the row of a log, or [`ErrorKind::NotFound`].
async fn known<S: Store>(store: &S, id: &LogId) -> Result<LogRow> {
    let row = store.log(id).await?;
    row.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no log {id}; its first event creates it")))
}

/// Returns true if the index knows that the bucket holds no event.
///
/// A row that was never counted is another matter: a killed writer may have left events there that
/// were never redelivered.
fn is_known_empty(row: &BucketRow) -> bool {
    row.count == 0 && row.counted_to > Seq::MIN
}

/// The number of events to ask a bucket for when `bytes` are wanted: those that fit, by their average size, and a
/// few more.
///
/// A database sends everything that it is asked for, and the next page reads it again. If fewer fit because some are
/// larger, or more because some are smaller, the rest takes one more small read.
fn events_for(row: &BucketRow, bytes: usize) -> usize {
    /// The part that is added: most pages are then full at once.
    const MARGIN: usize = 32;
    let each = usize::try_from(row.bytes / row.count.max(1)).unwrap_or(usize::MAX).max(1);
    let fitting = bytes.div_ceil(each);
    fitting.saturating_add(fitting / MARGIN + 1)
}
