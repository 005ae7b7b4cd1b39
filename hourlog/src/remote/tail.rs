//! Following a log without end: pages in arrival order that wait at the end of the log.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::{
    Stream, StreamExt, TryStreamExt,
    future::{Either, select},
    stream,
};

use crate::{
    Error, ErrorKind, Event, LogId, Result,
    backoff::Backoff,
    time::SECOND,
    wire::{Order, PAGE_EVENTS_MAX, ReplayRequest, Span},
};

use super::{Remote, RemotePage};

/// The time for which the service holds a request at the end of the log.
///
/// Short, because the client notices a killed service only when this time is over.
const WAIT: Span = Span(5 * SECOND);
/// The first and the longest pause between retries.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// The interval between checks for a reconnect, which loses the reply of the old connection.
const CONNECTION_CHECK: Duration = Duration::from_millis(200);

/// See [`Remote::tail`].
pub(super) fn tail(
    remote: Remote,
    log: LogId,
    request: ReplayRequest,
) -> impl Stream<Item = Result<Event>> + Send + use<> {
    pages(remote, log, request).map_ok(|page| stream::iter(page.events).map(Ok)).try_flatten()
}

/// See [`Remote::tail_pages`].
pub(super) fn pages(
    remote: Remote,
    log: LogId,
    mut request: ReplayRequest,
) -> impl Stream<Item = Result<RemotePage>> + Send + use<> {
    request.order = Order::Arrival;
    request.limit.get_or_insert(PAGE_EVENTS_MAX);
    let wait = request.wait.take().unwrap_or(WAIT);
    let tail = Tail { remote, log, request, wait, was_answered: false, has_ended: false };
    stream::unfold(tail, |mut tail| async move {
        let item = tail.next().await?;
        Some((item, tail))
    })
}

#[derive(Debug)]
struct Tail {
    remote: Remote,
    log: LogId,
    /// The next request. It waits only once the end of the log was reached, so that a reader of several logs knows
    /// at once which of them have nothing for it.
    request: ReplayRequest,
    wait: Span,
    /// The service has answered once, so the request itself is good and an outage will pass.
    was_answered: bool,
    has_ended: bool,
}

impl Tail {
    async fn next(&mut self) -> Option<Result<RemotePage>> {
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        loop {
            if self.has_ended {
                return None;
            }
            match self.page().await {
                Ok(page) => {
                    self.was_answered = true;
                    if page.next.is_some() {
                        // The cursor is past a start such as `last`, which may be another event by now.
                        self.request.from = None;
                        self.request.after = page.next;
                    }
                    if page.end.is_last() {
                        self.request.wait = Some(self.wait);
                    }
                    return Some(Ok(page));
                }
                Err(error) if is_passing(&error, self.was_answered) => {
                    tokio::time::sleep(backoff.next_pause()).await;
                }
                Err(error) => {
                    self.has_ended = true;
                    return Some(Err(error));
                }
            }
        }
    }

    /// Requests the next page. Gives up if the client reconnects meanwhile.
    async fn page(&self) -> Result<RemotePage> {
        let asked = std::pin::pin!(self.remote.replay(&self.log, &self.request));
        match select(asked, std::pin::pin!(self.reconnected())).await {
            Either::Left((page, _)) => page,
            Either::Right(_) => Err(Error::new(ErrorKind::Unavailable, "the connection was lost during the request")),
        }
    }

    async fn reconnected(&self) {
        let connects = || self.remote.client.statistics().connects.load(Ordering::Relaxed);
        let before = connects();
        while connects() == before {
            tokio::time::sleep(CONNECTION_CHECK).await;
        }
    }
}

/// Returns true if a retry may help. Only a limit refuses a read, so that passes before the first answer, too.
fn is_passing(error: &Error, was_answered: bool) -> bool {
    match error.kind() {
        ErrorKind::Refused => true,
        ErrorKind::Unavailable | ErrorKind::Deadline => was_answered,
        _ => false,
    }
}
