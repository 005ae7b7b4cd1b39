//! Pages of a log, one after the other, with the next ones read ahead.

use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    Cursor, Error, ErrorKind, Event, LogId, Result,
    read::End,
    wire::{PAGE_EVENTS_MAX, ReplayRequest},
};

use super::{Remote, RemotePage, answer::Answer};

/// The events of the first page: few, so that the first event is there soon.
const FIRST_PAGE_EVENTS: u32 = 256;
/// The bytes of the later pages: what fits into a message of the usual size, with tags and lengths. Pages of half of it
/// take the NATS server a quarter more time for each event.
const PAGE_BYTES: u32 = 896 << 10;
/// The decoded pages that wait for their reader. Another one waits to become the second.
const WAITING_MAX: usize = 1;
/// The pages that are requested at once: the service reads the next one while one is on its way.
const ASKED_MAX: u32 = 4;

/// Requests page after page until the bound or the end of the log.
#[derive(Debug)]
pub(super) struct Pages {
    remote: Remote,
    log: LogId,
    /// The place after the pages that were returned.
    place: Place,
    ahead: Option<Ahead>,
}

/// The place of a reader: what it requests next.
#[derive(Debug, Clone)]
struct Place {
    request: ReplayRequest,
    /// The events that are still wanted; `None` for no limit.
    left: Option<u32>,
    page_events: u32,
    /// The most events of the later pages.
    page_events_max: u32,
    has_ended: bool,
}

impl Pages {
    /// The pages of `request`; its `limit` counts for all of them.
    pub(super) fn new(remote: Remote, log: LogId, request: ReplayRequest) -> Self {
        Self { remote, log, place: Place::new(request), ahead: None }
    }

    /// The same pages with at most `page_events_max` events each.
    pub(super) fn with_page_events_max(mut self, page_events_max: u32) -> Self {
        let page_events_max = page_events_max.clamp(1, PAGE_EVENTS_MAX);
        let page_events = self.place.page_events.min(page_events_max);
        self.place = Place { page_events, page_events_max, ..self.place };
        self
    }

    /// Returns true after the last page.
    pub(super) fn has_ended(&self) -> bool {
        self.place.has_ended
    }

    /// Returns the next page, or `None` after the last one. After an error, the next call requests the same
    /// page.
    pub(super) async fn next(&mut self) -> Result<Option<RemotePage>> {
        if self.place.has_ended {
            return Ok(None);
        }
        let page = match self.ahead.take() {
            Some(mut ahead) => {
                let page = ahead.next().await?;
                self.place.advance(page.next, page.end, page.events.len());
                self.ahead = Some(ahead);
                page
            }
            None => {
                let page = self.remote.encoded_page(&self.log, &self.place.ask()).await?;
                self.place.advance(page.next(), page.end(), page.events());
                if !self.place.has_ended {
                    self.ahead = Some(Ahead::begin(self.remote.clone(), self.log.clone(), self.place.clone()));
                }
                page.decode(&self.log)?
            }
        };
        Ok(Some(page))
    }
}

impl Place {
    fn new(request: ReplayRequest) -> Self {
        let left = request.limit;
        let (page_events, page_events_max, has_ended) = (FIRST_PAGE_EVENTS, PAGE_EVENTS_MAX, left == Some(0));
        Self { request, left, page_events, page_events_max, has_ended }
    }

    fn ask(&self) -> ReplayRequest {
        let limit = self.left.map_or(self.page_events, |left| left.min(self.page_events));
        let max_bytes = self.request.max_bytes.or(Some(PAGE_BYTES));
        ReplayRequest { limit: Some(limit), max_bytes, ..self.request.clone() }
    }

    /// Asks for several pages, which have no more events than are wanted.
    fn ask_for_several(&self) -> ReplayRequest {
        let pages = self.left.map_or(ASKED_MAX, |left| (left / self.page_events).clamp(1, ASKED_MAX));
        ReplayRequest { pages: Some(pages), ..self.ask() }
    }

    fn advance(&mut self, next: Option<Cursor>, end: End, events: usize) {
        self.page_events = self.page_events_max;
        if let Some(next) = next {
            self.request = std::mem::take(&mut self.request).after_page(next);
        }
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(u32::try_from(events).unwrap_or(u32::MAX));
        }
        self.has_ended = end.is_last() || self.left == Some(0);
    }
}

/// Reads pages ahead, in a task that ends on drop.
#[derive(Debug)]
struct Ahead {
    pages: mpsc::Receiver<Result<RemotePage>>,
    task: JoinHandle<()>,
}

impl Ahead {
    /// Reads the pages from `place` on, up to the last one or the first error.
    fn begin(remote: Remote, log: LogId, place: Place) -> Self {
        let (tx, pages) = mpsc::channel(WAITING_MAX);
        let task = tokio::spawn(async move {
            if let Err(error) = read_ahead(&remote, &log, place, &tx).await {
                // The reader may have left.
                let _ = tx.send(Err(error)).await;
            }
        });
        Self { pages, task }
    }

    async fn next(&mut self) -> Result<RemotePage> {
        let failed = || Error::new(ErrorKind::Unexpected, "the task that reads pages ahead has failed");
        self.pages.recv().await.unwrap_or_else(|| Err(failed()))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads the pages from `place` on, up to the last one or until their reader has left.
async fn read_ahead(
    remote: &Remote,
    log: &LogId,
    mut place: Place,
    pages: &mpsc::Sender<Result<RemotePage>>,
) -> Result<()> {
    let mut answer = Answer::ask(remote, log, &place.ask_for_several()).await?;
    loop {
        let page = answer.next().await?;
        place.advance(page.next(), page.end(), page.events());
        if !place.has_ended && !answer.is_followed() {
            // The request goes out first, so that the service works while this page is decoded.
            answer = Answer::ask(remote, log, &place.ask_for_several()).await?;
        }
        if pages.send(page.decode(log)).await.is_err() || place.has_ended {
            return Ok(());
        }
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
    // The state of the pages is moved once a page, and not once an event.
    let pages = stream(Pages::new(remote, log, request));
    pages.map_ok(|page| stream::iter(page.events).map(Ok)).try_flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::When;

    fn cursor(text: &str) -> Option<Cursor> {
        Some(text.parse().expect("a cursor"))
    }

    #[test]
    fn a_limit_counts_for_all_pages_and_a_cursor_replaces_the_start() {
        let request = ReplayRequest { from: Some(When::First), limit: Some(1_000), ..ReplayRequest::default() };
        let mut place = Place::new(request);
        assert_eq!((place.ask().limit, place.ask().from), (Some(FIRST_PAGE_EVENTS), Some(When::First)));
        place.advance(cursor("5-42"), End::More, 256);
        let next = place.ask();
        assert_eq!((next.limit, next.from, next.after), (Some(744), None, cursor("5-42")));
        // A page without a cursor is asked for again.
        place.advance(None, End::Deadline, 0);
        assert_eq!(place.ask(), next);
        place.advance(cursor("6-43"), End::More, 744);
        assert!(place.has_ended);
    }

    #[test]
    fn no_more_pages_are_asked_for_than_hold_the_wanted_events() {
        for (limit, pages) in [(Some(100), 1), (Some(2 * PAGE_EVENTS_MAX + 256), 2), (Some(u32::MAX), 4), (None, 4)] {
            let mut place = Place::new(ReplayRequest { limit, ..ReplayRequest::default() });
            place.advance(cursor("5-42"), End::More, limit.map_or(256, |limit| limit.min(256)) as usize);
            let asked = place.ask_for_several();
            assert_eq!(asked.pages, Some(pages), "{limit:?}");
            assert!(limit.is_none_or(|limit| asked.limit.unwrap_or(0) * pages <= limit));
        }
    }

    #[test]
    fn the_last_page_ends_a_read_and_a_reverse_one_keeps_its_start() {
        let request =
            ReplayRequest { from: Some(When::Now), to: Some(When::Last), reverse: true, ..Default::default() };
        let mut place = Place::new(request);
        place.advance(cursor("5-42"), End::More, 256);
        let next = place.ask();
        assert_eq!((next.limit, next.from, next.to), (Some(PAGE_EVENTS_MAX), Some(When::Now), None));
        place.advance(cursor("6-43"), End::Bound, 9);
        assert!(place.has_ended);
        assert!(Place::new(ReplayRequest { limit: Some(0), ..Default::default() }).has_ended);
    }
}
