//! The arrival cursors at which a reader in arrival order begins.

use std::pin::pin;

use futures_util::StreamExt;
use hourlog::{
    ArrivalCursor, Cursor, Error, ErrorKind, Event, LogId, Position, Remote,
    wire::{Order, PAGE_EVENTS_MAX, ReplayRequest, When},
};

use crate::exit::Failure;

/// Returns the arrival cursor just after an event.
pub(crate) fn arrival(event: &Event) -> ArrivalCursor {
    ArrivalCursor { time: event.arrival_time(), seq: event.position.seq }
}

/// Returns the arrival cursor just after the event at `position`.
pub(crate) async fn arrival_at(remote: &Remote, log: &LogId, position: Position) -> Result<ArrivalCursor, Failure> {
    let before = Position { seq: position.seq.saturating_previous(), ..position };
    let request = ReplayRequest { after: Some(Cursor::Timeline(before)), limit: Some(1), ..ReplayRequest::default() };
    match first(remote, log, request).await? {
        Some(event) if event.position == position => Ok(arrival(&event)),
        _ => Err(Error::new(
            ErrorKind::NotFound,
            format!("{log} has no event at {position}; give a position that read has printed, or a time with --since"),
        )
        .into()),
    }
}

/// Returns the cursor after everything that has arrived so far; `None` for an empty log.
pub(crate) async fn newest_arrival(remote: &Remote, log: &LogId) -> Result<Option<ArrivalCursor>, Failure> {
    let request = |to| ReplayRequest { to, reverse: true, limit: Some(1), ..ReplayRequest::default() };
    // Arrivals are read from the event on, so one that lies ahead of now is the last resort: it may have arrived long ago.
    let newest = match first(remote, log, request(None)).await? {
        Some(newest) => Some(newest),
        None => first(remote, log, request(Some(When::End))).await?,
    };
    let Some(newest) = newest else { return Ok(None) };
    let mut after = arrival(&newest);
    loop {
        let request = ReplayRequest {
            after: Some(Cursor::Arrival(after)),
            order: Order::Arrival,
            limit: Some(PAGE_EVENTS_MAX),
            ..ReplayRequest::default()
        };
        let page = remote.replay(log, &request).await?;
        after = match page.next {
            Some(Cursor::Arrival(next)) => next,
            None => after,
            Some(Cursor::Timeline(_)) => {
                return Err(
                    Error::new(ErrorKind::Unexpected, "a page in arrival order has a cursor of the timeline").into()
                );
            }
        };
        if page.end.is_last() {
            return Ok(Some(after));
        }
    }
}

async fn first(remote: &Remote, log: &LogId, request: ReplayRequest) -> Result<Option<Event>, Failure> {
    Ok(pin!(remote.events(log.clone(), request)).next().await.transpose()?)
}
