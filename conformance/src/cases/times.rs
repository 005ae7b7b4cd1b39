//! Times before 1970, and the earliest representable time.

use hourlog::{
    ArrivalCursor, Log, Offset, Reason, Record,
    time::{HOUR, MINUTE},
};

use crate::{
    guard::{Guard, Outcome, drain, take_arrived},
    kit::{assert_arrival_order, assert_timeline_order, at, names, record},
};

pub async fn times_before_1970_are_read_in_order(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    log.write_many(vec![
        record("1970-01-01T00:00:00Z", "epoch"),
        record("1969-12-31T23:59:59.999999999Z", "a tick before"),
        record("1970-01-01T00:00:00.000000001Z", "a tick after"),
        record("1912-06-23T02:00:00Z", "born"),
    ])
    .await?;
    assert_eq!(names(&drain(&mut log).await?), ["born", "a tick before", "epoch", "a tick after"]);
    assert_eq!(log.seek(Offset::from_nanos(-1)).await?.reason, Reason::Exact);
    assert_eq!(log.seek(Offset::from_nanos(-2)).await?.reason, Reason::Next);
    assert_eq!(names(&drain(&mut log).await?), ["a tick before", "epoch", "a tick after"]);
    Ok(())
}

pub async fn the_earliest_representable_time_can_be_used(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    // The earliest time is twelve minutes into an hour of 1677, so the bucket of that hour is
    // incomplete.
    let ticks = [0, 1, 10 * MINUTE, 45 * MINUTE, 48 * MINUTE, HOUR - 1, HOUR, HOUR + 1, 2 * HOUR];
    let offsets = ticks.map(|ticks| Offset::MIN.saturating_add_nanos(ticks));
    let positions = log.write_many(offsets.iter().map(|offset| Record::new("x").at(*offset)).collect()).await?;
    assert_eq!(positions[0].offset, at("1677-09-21T00:12:43.145224192Z"));
    let read = drain(&mut log).await?;
    assert_timeline_order(&read);
    assert_eq!(read.iter().map(|event| event.position).collect::<Vec<_>>(), positions);
    let seeked = log.seek(Offset::MIN).await?;
    assert_eq!((seeked.reason, seeked.resolved), (Reason::Exact, Some(positions[0])));
    let (arrived, _) = take_arrived(&mut log, ArrivalCursor::FIRST, usize::MAX).await?;
    assert_arrival_order(&arrived);
    assert_eq!(arrived, read);
    Ok(())
}

pub async fn events_centuries_apart_are_read_in_order(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    let times = ["1677-09-22T00:00:00Z", "1815-12-10T00:00:00Z", "1969-12-31T23:00:00Z", "2018-02-04T10:00:00Z"];
    log.write_many(times.iter().rev().map(|time| record(time, time)).collect()).await?;
    let now = log.write(Record::new("now")).await?;
    let read = drain(&mut log).await?;
    assert_eq!(names(&read[..4]), times);
    assert_eq!(read[4].position, now);
    Ok(())
}
