//! The streams of a handle: `events` ends with the timeline, `tail` waits for what arrives later.

use std::pin::pin;

use futures_util::{StreamExt, TryStreamExt};
use hourlog::{ArrivalCursor, ErrorKind, Event, Log, Record, Result};

use crate::{
    guard::{Guard, Outcome, take, take_arrived},
    kit::{assert_arrival_order, assert_timeline_order, at, names, record},
};

pub async fn events_streams_the_timeline_from_the_position_to_the_end(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    log.write_many(vec![record("12:00:00", "d"), record("10:00:00", "a"), record("11:00:00", "b")]).await?;
    log.write_many(vec![record("11:00:00", "c"), Record::new("now")]).await?;
    let mut one_by_one = Vec::new();
    while let Some(event) = log.read().await? {
        one_by_one.push(event);
    }
    assert_eq!(names(&one_by_one), ["a", "b", "c", "d", "now"]);

    let mut reader = guard.log().await?;
    let streamed: Vec<Event> = reader.events().try_collect().await?;
    assert_timeline_order(&streamed);
    assert_eq!(streamed, one_by_one);
    assert_eq!(reader.read().await?, None, "the stream has moved the handle to the end");

    reader.seek(at("10:30:00")).await?;
    assert_eq!(names(&take(&mut reader, 1).await?), ["b"]);
    let rest: Vec<Event> = reader.events().try_collect().await?;
    assert_eq!(rest, one_by_one[2..]);
    Ok(())
}

pub async fn tail_streams_the_arrivals_and_then_an_event_that_another_handle_writes(guard: impl Guard) -> Outcome {
    let (mut reader, mut writer) = (guard.log().await?, guard.log().await?);
    writer.write_many(vec![record("10:00:00", "a"), record("12:00:00", "b")]).await?;
    let (before, after) = take_arrived(&mut reader, ArrivalCursor::FIRST, usize::MAX).await?;
    assert_eq!(names(&before), ["a", "b"]);
    writer.write_many(vec![record("11:00:00", "late"), Record::new("now")]).await?;
    {
        let mut tail = pin!(reader.tail(after));
        let stored: Vec<Event> = tail.by_ref().take(2).try_collect().await?;
        assert_arrival_order(&stored);
        assert_eq!(names(&stored), ["late", "now"]);
        writer.write(record("09:00:00", "later")).await?;
        let next: Option<Result<Event>> = tail.next().await;
        assert_eq!(names(&[next.expect("a tail does not end")?]), ["later"]);
    }
    assert_eq!(names(&take(&mut reader, 1).await?), ["later"], "the tail has not moved the handle");
    let all: Vec<Event> = reader.tail(ArrivalCursor::FIRST).take(5).try_collect().await?;
    assert_eq!(names(&all), ["a", "b", "late", "now", "later"]);
    Ok(())
}

pub async fn a_tail_of_a_missing_log_or_a_closed_handle_is_an_error(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    let first: Option<Result<Event>> = pin!(log.tail(ArrivalCursor::FIRST)).next().await;
    assert_eq!(first.expect("an error is an item").expect_err("nobody wrote").kind(), ErrorKind::NotFound);
    log.write(Record::new("x")).await?;
    log.close().await?;
    let first: Option<Result<Event>> = pin!(log.tail(ArrivalCursor::FIRST)).next().await;
    assert_eq!(first.expect("an error is an item").expect_err("it is closed").kind(), ErrorKind::Closed);
    Ok(())
}
