//! Pages of a log, one after the other, with the next one read ahead.

use std::collections::VecDeque;

use futures_util::{Stream, stream};
use tokio::task::JoinHandle;

use crate::{
    Error, ErrorKind, Event, LogId, Result,
    wire::{PAGE_EVENTS_MAX, ReplayRequest},
};

use super::{Remote, RemotePage};

/// The events of the first page: few, so that the first event is there soon.
const FIRST_PAGE_EVENTS: u32 = 256;

/// Requests page after page until the bound or the end of the log.
#[derive(Debug)]
pub(super) struct Pages {
    remote: Remote,
    log: LogId,
    /// The next request.
    request: ReplayRequest,
    /// The events that are still wanted; `None` for no limit.
    left: Option<u32>,
    page_events: u32,
    /// The most events of the later pages.
    page_events_max: u32,
    ahead: Option<Fetching>,
    has_ended: bool,
}

impl Pages {
    /// The pages of `request`; its `limit` counts for all of them.
    pub(super) fn new(remote: Remote, log: LogId, request: ReplayRequest) -> Self {
        let left = request.limit;
        Self {
            remote,
            log,
            request,
            left,
            page_events: FIRST_PAGE_EVENTS,
            page_events_max: PAGE_EVENTS_MAX,
            ahead: None,
            has_ended: left == Some(0),
        }
    }

    /// The same pages with at most `page_events_max` events each.
    pub(super) fn with_page_events_max(self, page_events_max: u32) -> Self {
        let page_events_max = page_events_max.clamp(1, PAGE_EVENTS_MAX);
        Self { page_events: self.page_events.min(page_events_max), page_events_max, ..self }
    }

    /// Returns true after the last page.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Returns the next page, or `None` after the last one. After an error, the next call requests the same
    /// page.
    pub(super) async fn next(&mut self) -> Result<Option<RemotePage>> {
        if self.has_ended {
            return Ok(None);
        }
        let page = match self.ahead.take() {
            Some(fetching) => fetching.page().await?,
            None => self.remote.replay(&self.log, &self.ask()).await?,
        };
        self.advance(&page);
        if !self.has_ended {
            let (remote, log, request) = (self.remote.clone(), self.log.clone(), self.ask());
            self.ahead = Some(Fetching(tokio::spawn(async move { remote.replay(&log, &request).await })));
        }
        Ok(Some(page))
    }

    fn ask(&self) -> ReplayRequest {
        let limit = self.left.map_or(self.page_events, |left| left.min(self.page_events));
        ReplayRequest { limit: Some(limit), ..self.request.clone() }
    }

    fn advance(&mut self, page: &RemotePage) {
        self.page_events = self.page_events_max;
        if let Some(next) = &page.next {
            // A bound such as `last` may have moved by now, and the cursor is past it anyway.
            if self.request.reverse {
                self.request.to = None;
            } else {
                self.request.from = None;
            }
            self.request.after = Some(*next);
        }
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(u32::try_from(page.events.len()).unwrap_or(u32::MAX));
        }
        self.has_ended = page.end.is_last() || self.left == Some(0);
    }
}

/// A page in flight; aborted on drop.
#[derive(Debug)]
struct Fetching(JoinHandle<Result<RemotePage>>);

impl Fetching {
    async fn page(mut self) -> Result<RemotePage> {
        (&mut self.0).await.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::Unexpected, "the task that reads a page ahead has failed").because(error))
        })
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// All pages, as a stream.
pub(super) fn stream(pages: Pages) -> impl Stream<Item = Result<RemotePage>> + Send + use<> {
    stream::try_unfold(pages, |mut pages| async move {
        let page = pages.next().await?;
        Ok(page.map(|page| (page, pages)))
    })
}

/// The events of all pages, as a stream.
pub(super) fn events(
    remote: Remote,
    log: LogId,
    request: ReplayRequest,
) -> impl Stream<Item = Result<Event>> + Send + use<> {
    let pages = Pages::new(remote, log, request);
    stream::try_unfold((pages, VecDeque::new()), |(mut pages, mut events)| async move {
        loop {
            if let Some(event) = events.pop_front() {
                return Ok(Some((event, (pages, events))));
            }
            match pages.next().await? {
                Some(page) => events = page.events.into(),
                None => return Ok(None),
            }
        }
    })
}
