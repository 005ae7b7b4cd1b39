//! The newest events of logs.

use std::pin::pin;

use futures_util::TryStreamExt;
use hourlog::{Event, LogId, Offset, Remote};

use crate::exit::Failure;

use super::merge::{Merged, Opened, Range};

/// Returns the time of the newest event of all logs that does not lie ahead of now.
pub(super) async fn newest_time(remote: &Remote, logs: &[LogId]) -> Result<Option<Offset>, Failure> {
    let range = Range { reverse: true, limit: Some(1), ..Range::default() };
    let (merged, _) = Merged::open(remote, logs, &range).await?;
    let newest = pin!(merged.events()).try_next().await?;
    Ok(newest.map(|event| event.position.offset))
}

/// Returns the newest `count` events in `range` of all logs, in time order.
pub(super) async fn newest_events(
    remote: &Remote,
    logs: &[LogId],
    range: &Range,
    count: u32,
) -> Result<(Vec<Event>, Vec<Opened>), Failure> {
    let range = Range { reverse: true, limit: Some(count), ..range.clone() };
    let (merged, opened) = Merged::open(remote, logs, &range).await?;
    let mut events: Vec<Event> = merged.events().try_collect().await?;
    events.reverse();
    Ok((events, opened))
}
