//! `read --cursor`: goes on where the last reader of this name stopped.
//!
//! The cursor is stored after the events before it were written to stdout. So a reader that is stopped prints
//! each event exactly once over all its runs, and one that is killed prints at most one page again.

use std::{pin::pin, time::Duration};

use futures_util::{Stream, StreamExt, future::Either, stream};
use hourlog::{
    ArrivalCursor, Cursor, Error, ErrorKind, LogId, Remote,
    nats::Backoff,
    remote::RemotePage,
    wire::{CursorName, Order, ReplayRequest, SetCursorRequest},
};

use crate::{
    arrival::arrival,
    exit::Failure,
    session::Session,
    typed::Typed,
    when::{self, Moment},
};

use super::{EventPrinter, Read, follow::arrived_since, notes::tell_moved};

/// The most events of a page. Small, because a killed reader prints a page again.
const PAGE_EVENTS: u32 = 1_000;
/// The first and the longest pause before a cursor is stored again after an outage.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

impl Read {
    /// Prints the events after the cursor `name`, page by page, and stores it after each.
    pub(super) async fn read_by_cursor(
        &self,
        remote: &Remote,
        log: &LogId,
        name: &CursorName,
        since: Option<Moment>,
        printer: &mut EventPrinter<'_>,
    ) -> Result<(), Failure> {
        let session = printer.session;
        session.resume_with(session.typed.hint("go on"));
        let stored = remote.cursor(log, name).await?;
        let mut is_new = stored.is_none();
        let since = match (stored, since) {
            (Some(cursor), Some(_)) => {
                session.out.note(&format!("cursor {name} is at {cursor}, so --since does not apply"));
                None
            }
            (_, since) => since,
        };
        let arrived_since = arrived_since(since);
        let mut left = self.limit.map_or(u64::MAX, u64::from);
        let request = ReplayRequest {
            from: when::lower_bound(since),
            after: stored.map(Cursor::Arrival),
            order: Order::Arrival,
            limit: Some(self.limit.map_or(PAGE_EVENTS, |limit| limit.min(PAGE_EVENTS))),
            ..self.conditions.request()
        };
        let mut pages = pin!(match self.follow {
            true => Either::Left(remote.tail_pages(log.clone(), request)),
            false => Either::Right(pages_to_the_end(remote, log, request)),
        });
        while left > 0 {
            let Some(page) = pages.next().await.transpose()? else { break };
            tell_moved(session, &page);
            let _complete = session.uninterrupted().await;
            let mut reached = match page.next {
                Some(Cursor::Arrival(next)) => Some(next),
                _ => None,
            };
            for event in page.events.iter().filter(|event| event.arrival_time() >= arrived_since) {
                printer.print(event)?;
                left -= 1;
                if left == 0 {
                    reached = Some(arrival(event));
                    break;
                }
            }
            // A new cursor is stored before its first event too, so that a time such as `now` stays.
            if let Some(reached) = reached.filter(|_| is_new || !page.events.is_empty()) {
                session.out.flush()?;
                self.store(remote, log, name, reached).await?;
                is_new = false;
                session.resume_with(self.rest(session, left).hint("go on"));
            }
        }
        Ok(())
    }

    /// Returns the command that prints the rest. The place is with the service.
    fn rest(&self, session: &Session, left: u64) -> Typed {
        let typed = session.typed.clone().without(&["since"]);
        match self.limit {
            Some(_) => typed.without(&["limit"]).with("--limit", left.to_string()),
            None => typed,
        }
    }

    /// Stores the cursor. While following, retries until an outage is over, as the pages do.
    async fn store(
        &self,
        remote: &Remote,
        log: &LogId,
        name: &CursorName,
        cursor: ArrivalCursor,
    ) -> Result<(), Failure> {
        let request = SetCursorRequest { name: name.clone(), cursor, force: false };
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        let reply = loop {
            match remote.set_cursor(log, &request).await {
                Err(error) if self.follow && matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Deadline) => {
                    tokio::time::sleep(backoff.next_pause()).await;
                }
                reply => break reply?,
            }
        };
        if reply.stored {
            return Ok(());
        }
        let context = format!(
            "cursor {name} of {log} is already at {}, after the events that were read; another reader with this name runs: \
             give each a name of its own",
            reply.cursor
        );
        Err(Error::new(ErrorKind::Refused, context).into())
    }
}

/// Returns the pages of `request` up to the present end of the log.
fn pages_to_the_end(
    remote: &Remote,
    log: &LogId,
    request: ReplayRequest,
) -> impl Stream<Item = hourlog::Result<RemotePage>> {
    stream::try_unfold(Some(request), async move |request| {
        let Some(request) = request else { return Ok(None) };
        let page = remote.replay(log, &request).await?;
        let next = (!page.end.is_last()).then_some(ReplayRequest { from: None, after: page.next, ..request });
        Ok(Some((page, next)))
    })
}
