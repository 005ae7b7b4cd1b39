//! What arrives in a log, for ever: pages in arrival order that wait at the end.

use std::{collections::VecDeque, sync::atomic::Ordering, time::Duration};

use futures_util::{
    Stream,
    future::{Either, select},
    stream,
};

use crate::{
    Error, ErrorKind, Event, LogId, Result, SECOND,
    wire::{Order, PAGE_EVENTS_MAX, ReplayRequest, Span},
};

use super::{Remote, RemotePage};

/// How long a request is held at the end of the log. Short, because the answer of a service that was killed
/// meanwhile is missed only when this is over.
const WAIT: Span = Span(5 * SECOND);
/// The pause before the first new attempt; doubled for each further one.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How often to see whether the connection was made anew, and the answer with the old one is lost.
const CONNECTION_CHECK: Duration = Duration::from_millis(200);

/// See [`Remote::follow`].
pub(super) fn follow(
    remote: Remote,
    log: LogId,
    mut request: ReplayRequest,
) -> impl Stream<Item = Result<Event>> + Send + use<> {
    request.order = Order::Arrival;
    request.wait.get_or_insert(WAIT);
    request.limit.get_or_insert(PAGE_EVENTS_MAX);
    let following = Following { remote, log, request, events: VecDeque::new(), answered: false, ended: false };
    stream::unfold(following, |mut following| async move {
        let item = following.next().await?;
        Some((item, following))
    })
}

#[derive(Debug)]
struct Following {
    remote: Remote,
    log: LogId,
    request: ReplayRequest,
    events: VecDeque<Event>,
    answered: bool,
    ended: bool,
}

impl Following {
    async fn next(&mut self) -> Option<Result<Event>> {
        let mut pause = PAUSE_MIN;
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(Ok(event));
            }
            if self.ended {
                return None;
            }
            match self.page().await {
                Ok(page) => {
                    self.answered = true;
                    pause = PAUSE_MIN;
                    if page.next.is_some() {
                        self.request.after = page.next;
                    }
                    self.events = page.events.into();
                }
                Err(error) if self.answered && passes(&error) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
    }

    /// The next page, given up when the connection was lost and made anew under it.
    async fn page(&self) -> Result<RemotePage> {
        let asked = std::pin::pin!(self.remote.replay(&self.log, &self.request));
        match select(asked, std::pin::pin!(self.reconnected())).await {
            Either::Left((page, _)) => page,
            Either::Right(_) => Err(Error::new(ErrorKind::Unavailable, "the connection was lost and made anew")),
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

/// Whether asking again may help.
fn passes(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Deadline)
}
