//! Bucket boundaries are invisible: events on both sides of one are adjacent.

use hourlog::{
    Log, Offset, Reason, Record,
    time::{DAY, HOUR, MINUTE, SECOND},
};

use crate::{
    guard::{Guard, Outcome, drain},
    kit::{assert_timeline_order, at, days_after, names, record},
};

pub async fn an_event_one_tick_before_the_hour_and_one_on_it_are_adjacent(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    log.write(record("11:00:00", "b")).await?;
    log.write(record("10:59:59.999999999", "a")).await?;
    log.write(record("11:00:00.000000001", "c")).await?;
    assert_eq!(names(&drain(&mut log).await?), ["a", "b", "c"]);
    for (time, rest) in [("10:59:59.999999999", 3), ("11:00:00", 2), ("11:00:00.000000001", 1)] {
        assert_eq!(log.seek(at(time)).await?.reason, Reason::Exact);
        assert_eq!(drain(&mut log).await?.len(), rest, "from {time}");
    }
    Ok(())
}

pub async fn events_around_every_bucket_boundary_are_read_in_order(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    let mut offsets: Vec<Offset> = [SECOND, 10 * SECOND, MINUTE, 13 * MINUTE, HOUR, DAY]
        .into_iter()
        .flat_map(|width| (-3..4).map(move |index| at("00:00:00").saturating_add_nanos(index * width)))
        .flat_map(|edge| (-1..2).map(move |tick| edge.saturating_add_nanos(tick)))
        .collect();
    // Written in reverse order, so that every bucket is created before the one that precedes it.
    offsets.sort_unstable();
    offsets.dedup();
    log.write_many(offsets.iter().rev().map(|offset| Record::new("x").at(*offset)).collect()).await?;
    let read = drain(&mut log).await?;
    assert_timeline_order(&read);
    assert_eq!(read.iter().map(|event| event.position.offset).collect::<Vec<_>>(), offsets);
    for (index, offset) in offsets.iter().enumerate().step_by(5) {
        assert_eq!(log.seek(*offset).await?.reason, Reason::Exact);
        let next = log.read_many(1).await?;
        assert_eq!(next.first(), read.get(index), "after a seek to {offset}");
    }
    Ok(())
}

pub async fn empty_stretches_are_skipped(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    let start = at("10:00:00");
    let days = [0_i64, 1, 400, 10_000 / 24, 3_000];
    let records = days.iter().map(|days| Record::new(days.to_string()).at(days_after(start, -days)));
    log.write_many(records.collect()).await?;
    assert_eq!(names(&drain(&mut log).await?), ["3000", "416", "400", "1", "0"]);
    assert_eq!(log.seek(days_after(start, -2_999)).await?.reason, Reason::Next);
    assert_eq!(names(&drain(&mut log).await?), ["416", "400", "1", "0"]);
    Ok(())
}
