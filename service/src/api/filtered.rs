//! Filtered pages: reads events in slices and asks the filter for each, on another thread, until the page is full, the
//! log ends, or the time of a page is over.

use std::{sync::Arc, time::Duration};

use hourlog::{
    Cursor, LogId, Result,
    read::End,
    store::{Run, Store},
};
use tokio::time::Instant;

use crate::{
    filter::Filter,
    reading::{Reading, elsewhere},
};

use super::{
    Api,
    page::{AnyPage, cursor_after},
};

/// The time after which a page returns with what it has found.
const TIME_MAX: Duration = Duration::from_secs(1);
/// The events and the bytes of a slice.
pub(super) const SLICE: (usize, usize) = (4_000, 1 << 20);

/// The events of a slice that were selected.
#[derive(Debug, Default)]
struct Found {
    runs: Vec<Run>,
    /// The number of events that the filter has seen, and the last of them.
    scanned: usize,
    last: Option<Run>,
}

impl<S: Store> Api<S> {
    /// Reads a page of the events that `filter` selects, after the cursor `after`. Its `next` passes over all that the
    /// filter has seen.
    pub(super) async fn filtered(
        &self,
        log: &LogId,
        reading: &Reading,
        after: Option<Cursor>,
        filter: &Arc<Filter>,
    ) -> Result<AnyPage> {
        let deadline = Instant::now() + TIME_MAX;
        let (mut limit, mut bytes) = reading.limits();
        let mut page: Option<AnyPage> = None;
        loop {
            let next = page.as_ref().map_or(after, |page| page.next);
            let slice = reading.after(next).with_limits(SLICE.0, SLICE.1);
            let mut slice = AnyPage::new(self.read(log, &slice).await?, next);
            let (count, runs) = (slice.count(), std::mem::take(&mut slice.runs));
            let found = {
                let (filter, log) = (Arc::clone(filter), log.clone());
                elsewhere(move || Some(select(&filter, &log, runs, limit, bytes, deadline))).await?
            };
            limit -= found.runs.len();
            bytes = bytes.saturating_sub(found.runs.iter().map(Run::record_bytes).sum());
            let is_full = limit == 0 || bytes == 0;
            if found.scanned < count {
                slice.next = found.last.as_ref().map(|last| cursor_after(last, slice.next)).or(next);
                slice.end = End::More;
            }
            let end = match slice.end {
                End::More if !is_full && Instant::now() >= deadline => End::Deadline,
                end => end,
            };
            let read = match page.take() {
                Some(mut page) => {
                    page.runs.extend(found.runs);
                    page.scanned += found.scanned as u64;
                    AnyPage { next: slice.next, end, ..page }
                }
                None => AnyPage { runs: found.runs, scanned: found.scanned as u64, end, ..slice },
            };
            if end != End::More || is_full {
                return Ok(read);
            }
            page = Some(read);
        }
    }
}

/// Returns the first events of `runs` that `filter` selects, at most `limit` and no more once they have `bytes`.
fn select(
    filter: &Filter,
    log: &LogId,
    runs: Vec<Run>,
    limit: usize,
    bytes: usize,
    deadline: Instant,
) -> Result<Found> {
    let (mut found, mut found_bytes) = (Found::default(), 0);
    for run in runs {
        for event in run.into_events()? {
            if found.runs.len() >= limit || found_bytes >= bytes || found.scanned > 0 && Instant::now() >= deadline {
                return Ok(found);
            }
            found.scanned += 1;
            let is_selected = !filter.rules_out(event.as_field()) && filter.selects(&event.decode(log));
            let run = Run::from(event);
            if is_selected {
                found_bytes += run.record_bytes();
                found.runs.push(run.clone());
            }
            found.last = Some(run);
        }
    }
    Ok(found)
}
