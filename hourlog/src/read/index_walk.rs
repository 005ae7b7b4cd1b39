//! The walk over the rows of the index that touch a stretch of time, fetched in bounded parts.

use std::collections::VecDeque;

use crate::{
    LogId, Offset, Result,
    store::{BucketRow, Store},
};

/// The index rows of one fetch.
const ROWS_PER_FETCH: usize = 256;

/// A walk over the index of one log.
pub(crate) struct IndexWalk<'a> {
    id: &'a LogId,
    from: Offset,
    to: Offset,
    reverse: bool,
    rows: VecDeque<BucketRow>,
    /// The start of the last bucket that was fetched.
    fetched_to: Option<Offset>,
    is_complete: bool,
}

impl<'a> IndexWalk<'a> {
    /// A walk from `from` to `to`, both inclusive; backwards with `reverse`.
    pub(crate) fn new(id: &'a LogId, from: Offset, to: Offset, reverse: bool) -> Self {
        Self { id, from, to, reverse, rows: VecDeque::new(), fetched_to: None, is_complete: false }
    }

    /// Returns the next row, or `None` after the last one.
    pub(crate) async fn next<S: Store>(&mut self, store: &S) -> Result<Option<BucketRow>> {
        while self.rows.is_empty() && !self.is_complete {
            let span = match (self.fetched_to, self.reverse) {
                (None, _) => self.from..=self.to,
                (Some(start), false) => start..=self.to,
                (Some(start), true) if start <= self.from => return Ok(None),
                (Some(start), true) => self.from..=start.saturating_add_nanos(-1),
            };
            let rows = store.buckets(self.id, span, self.reverse, ROWS_PER_FETCH).await?;
            self.is_complete = rows.len() < ROWS_PER_FETCH;
            // A forward fetch begins with the row that the one before ended with.
            let repeated = self.fetched_to.filter(|_| !self.reverse);
            self.fetched_to = rows.last().map(|row| row.bucket.start);
            self.rows = rows.into_iter().filter(|row| Some(row.bucket.start) != repeated).collect();
        }
        Ok(self.rows.pop_front())
    }
}
