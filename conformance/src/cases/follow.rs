//! Arrival order: every event is returned exactly once, however late it is, and after resuming from
//! any cursor.

use hourlog::{ArrivalCursor, Event, Log, Position, Record, Result, time::HOUR};

use crate::{
    guard::{Guard, Outcome, drain, take_arrived},
    kit::{assert_arrival_order, at, names, record},
};

/// Reads all arrivals in pages of `limit`. Keeps the cursor as text between pages, as a reader does
/// over a restart.
async fn follow_in_pages(log: &mut impl Log, limit: usize) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    let mut cursor = ArrivalCursor::FIRST.to_string();
    // The first cursor cannot be parsed from its text: its seq is below zero, and no event has such
    // a seq.
    let mut after = ArrivalCursor::FIRST;
    loop {
        let (page, next) = log.arrivals_page(after, limit).await?;
        assert!(page.len() <= limit, "a page of {} events, the limit was {limit}", page.len());
        if page.is_empty() {
            assert!(
                events.is_empty() || next.to_string() == cursor,
                "{next} follows {cursor} without an event between them"
            );
            return Ok(events);
        }
        events.extend(page);
        cursor = next.to_string();
        after = cursor.parse()?;
    }
}

/// Writes events on time, late events, and events that share one time.
async fn mixed_events(log: &mut impl Log) -> Result<Vec<Position>> {
    let mut positions = Vec::new();
    for round in 0..30_i64 {
        positions.push(log.write(Record::new("now")).await?);
        let late = at("10:00:00").saturating_add_nanos((round * 7 % 11 - 5) * HOUR);
        let records = [Record::new("late").at(late), Record::new("tie").at(at("10:00:00")), Record::new("now too")];
        positions.extend(log.write_many(records.to_vec()).await?);
    }
    Ok(positions)
}

pub async fn arrivals_are_returned_in_arrival_order(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    for (time, name) in [("12:00:00", "a"), ("10:00:00", "b"), ("11:00:00", "c"), ("10:00:00", "d")] {
        log.write(record(time, name)).await?;
    }
    let (events, _) = take_arrived(&mut log, ArrivalCursor::FIRST, usize::MAX).await?;
    assert_arrival_order(&events);
    assert_eq!(names(&events), ["a", "b", "c", "d"]);
    Ok(())
}

pub async fn every_arrival_is_returned_once_for_any_page_size(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    let written = mixed_events(&mut log).await?;
    for limit in [1, 2, 7, 1_000] {
        let events = follow_in_pages(&mut log, limit).await?;
        let followed: Vec<Position> = events.iter().map(|event| event.position).collect();
        assert_eq!(followed, written, "in pages of {limit}");
    }
    Ok(())
}

pub async fn a_follower_resumes_from_its_cursor_and_gets_late_events(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    log.write_many(vec![record("10:00:00", "a"), record("12:00:00", "b")]).await?;
    let (events, cursor) = take_arrived(&mut log, ArrivalCursor::FIRST, usize::MAX).await?;
    assert_eq!(names(&events), ["a", "b"]);

    let mut resumed = guard.log().await?;
    let after: ArrivalCursor = cursor.to_string().parse()?;
    assert_eq!(resumed.arrivals_page(after, 10).await?, (Vec::new(), after));
    log.write_many(vec![record("11:00:00", "late"), Record::new("now")]).await?;
    log.write(record("1970-01-01T00:00:00Z", "very late")).await?;
    let (events, after) = take_arrived(&mut resumed, after, usize::MAX).await?;
    assert_eq!(names(&events), ["late", "now", "very late"]);
    assert_eq!(take_arrived(&mut resumed, after, usize::MAX).await?, (Vec::new(), after));
    Ok(())
}

pub async fn following_does_not_move_the_handle(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    log.write_many(vec![record("10:00:00", "a"), record("11:00:00", "b")]).await?;
    log.seek(at("11:00:00")).await?;
    let (events, _) = take_arrived(&mut log, ArrivalCursor::FIRST, usize::MAX).await?;
    assert_eq!(names(&events), ["a", "b"]);
    assert_eq!(names(&drain(&mut log).await?), ["b"]);
    Ok(())
}

pub async fn arrivals_and_timeline_hold_the_same_events(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    mixed_events(&mut log).await?;
    let mut followed = follow_in_pages(&mut log, 13).await?;
    followed.sort_unstable_by_key(|event| event.position);
    assert_eq!(followed, drain(&mut log).await?);
    Ok(())
}
