//! Following: every event exactly once, in the order of arrival, however late it came and wherever one resumes.

use hourlog::{Arrival, Event, HOUR, Log, Position, Record, Result};

use crate::{
    guard::{Guard, Outcome, drain, take_arrived},
    kit::{assert_arrival_order, at, names, record},
};

/// Follows to the end in pages of `limit`, keeping the cursor as text in between as a reader would over a restart.
async fn follow_in_pages(log: &mut impl Log, limit: usize) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    let mut cursor = Arrival::FIRST.to_string();
    // The text of the first cursor has a seq below zero, which no event has: it is not for keeping.
    let mut after = Arrival::FIRST;
    loop {
        let (page, next) = log.follow(after, limit).await?;
        assert!(page.len() <= limit, "a page of {} events, {limit} were asked for", page.len());
        if page.is_empty() {
            assert!(events.is_empty() || next.to_string() == cursor, "{next} follows {cursor} without an event");
            return Ok(events);
        }
        events.extend(page);
        cursor = next.to_string();
        after = cursor.parse()?;
    }
}

/// Events as they come: some now, some for another time, some for the same one.
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

pub async fn events_are_followed_in_the_order_they_came(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    for (time, name) in [("12:00:00", "a"), ("10:00:00", "b"), ("11:00:00", "c"), ("10:00:00", "d")] {
        log.write(record(time, name)).await?;
    }
    let (events, _) = take_arrived(&mut log, Arrival::FIRST, usize::MAX).await?;
    assert_arrival_order(&events);
    assert_eq!(names(&events), ["a", "b", "c", "d"]);
    Ok(())
}

pub async fn every_event_is_followed_once_whatever_the_page(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    let written = mixed_events(&mut log).await?;
    for limit in [1, 2, 7, 1_000] {
        let events = follow_in_pages(&mut log, limit).await?;
        let followed: Vec<Position> = events.iter().map(|event| event.position).collect();
        assert_eq!(followed, written, "in pages of {limit}");
    }
    Ok(())
}

pub async fn a_follower_resumes_from_its_cursor_however_late_the_rest_comes(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    log.write_many(vec![record("10:00:00", "a"), record("12:00:00", "b")]).await?;
    let (events, cursor) = take_arrived(&mut log, Arrival::FIRST, usize::MAX).await?;
    assert_eq!(names(&events), ["a", "b"]);

    let mut resumed = guard.log().await?;
    let after: Arrival = cursor.to_string().parse()?;
    assert_eq!(resumed.follow(after, 10).await?, (Vec::new(), after));
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
    let (events, _) = take_arrived(&mut log, Arrival::FIRST, usize::MAX).await?;
    assert_eq!(names(&events), ["a", "b"]);
    assert_eq!(names(&drain(&mut log).await?), ["b"]);
    Ok(())
}

pub async fn what_is_followed_is_what_is_read(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    mixed_events(&mut log).await?;
    let mut followed = follow_in_pages(&mut log, 13).await?;
    followed.sort_unstable_by_key(|event| event.position);
    assert_eq!(followed, drain(&mut log).await?);
    Ok(())
}
