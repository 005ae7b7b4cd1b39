//! The walk over the rows of the index that touch a stretch of time, fetched in bounded parts.

use std::collections::VecDeque;

use crate::{
    LogId, Offset, Result,
    store::{BucketRow, Store},
};

/// The index rows of the first fetch. A page is mostly full after one or two.
const ROWS_PER_FIRST_FETCH: usize = 4;
/// The factor by which each fetch is larger than the one before.
const GROWTH: usize = 4;
/// The most index rows of one fetch.
const ROWS_PER_FETCH_MAX: usize = 256;

/// A walk over the index of one log.
pub(crate) struct IndexWalk<'a> {
    id: &'a LogId,
    from: Offset,
    to: Offset,
    reverse: bool,
    rows: VecDeque<BucketRow>,
    /// The rows to ask for in the next fetch.
    rows_per_fetch: usize,
    /// The start of the last bucket that was fetched.
    fetched_to: Option<Offset>,
    is_complete: bool,
}

impl<'a> IndexWalk<'a> {
    /// A walk from `from` to `to`, both inclusive; backwards with `reverse`.
    pub(crate) fn new(id: &'a LogId, from: Offset, to: Offset, reverse: bool) -> Self {
        let (rows, rows_per_fetch) = (VecDeque::new(), ROWS_PER_FIRST_FETCH);
        Self { id, from, to, reverse, rows, rows_per_fetch, fetched_to: None, is_complete: false }
    }

    /// The same walk for one that needs all rows: its first fetch is as large as the others.
    pub(crate) fn of_all(self) -> Self {
        Self { rows_per_fetch: ROWS_PER_FETCH_MAX, ..self }
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
            let rows = store.buckets(self.id, span, self.reverse, self.rows_per_fetch).await?;
            self.is_complete = rows.len() < self.rows_per_fetch;
            self.rows_per_fetch = (self.rows_per_fetch * GROWTH).min(ROWS_PER_FETCH_MAX);
            // A forward fetch begins with the row that the one before ended with.
            let repeated = self.fetched_to.filter(|_| !self.reverse);
            self.fetched_to = rows.last().map(|row| row.bucket.start);
            self.rows = rows.into_iter().filter(|row| Some(row.bucket.start) != repeated).collect();
        }
        Ok(self.rows.pop_front())
    }
}
