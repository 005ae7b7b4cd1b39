//! A seek finds the first event at or after a time, and returns how the two are related.

use hourlog::{Log, Offset, Reason, Record, Seeked};

use crate::{
    guard::{Guard, Outcome, drain, take},
    kit::{at, names, record},
};

/// Writes three events, an hour apart.
async fn three_events(log: &mut impl Log) -> Outcome {
    log.write_many(vec![record("10:00:00", "ten"), record("11:00:00", "eleven"), record("12:00:00", "twelve")]).await?;
    Ok(())
}

pub async fn seeking_to_the_time_of_an_event_is_exact(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    three_events(&mut log).await?;
    let seeked = log.seek(at("11:00:00")).await?;
    let event = log.read().await?.expect("two events follow the seek");
    assert_eq!(names(std::slice::from_ref(&event)), ["eleven"]);
    let expected = Seeked { requested: at("11:00:00"), resolved: Some(event.position), reason: Reason::Exact };
    assert_eq!(seeked, expected);
    Ok(())
}

pub async fn seeking_between_two_events_finds_the_next(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    three_events(&mut log).await?;
    let seeked = log.seek(at("10:00:00.000000001")).await?;
    assert_eq!((seeked.requested, seeked.reason), (at("10:00:00.000000001"), Reason::Next));
    assert_eq!(seeked.resolved.map(|position| position.offset), Some(at("11:00:00")));
    assert_eq!(names(&drain(&mut log).await?), ["eleven", "twelve"]);
    Ok(())
}

pub async fn seeking_before_the_first_event_finds_it(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    three_events(&mut log).await?;
    for early in [Offset::MIN, at("09:59:59.999999999")] {
        let seeked = log.seek(early).await?;
        assert_eq!(seeked.reason, Reason::BeforeFirst);
        assert_eq!(seeked.resolved.map(|position| position.offset), Some(at("10:00:00")));
        assert_eq!(names(&take(&mut log, 1).await?), ["ten"]);
    }
    Ok(())
}

pub async fn seeking_to_the_first_and_the_last_event_is_exact(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    three_events(&mut log).await?;
    for (time, name) in [("10:00:00", "ten"), ("12:00:00", "twelve")] {
        assert_eq!(log.seek(at(time)).await?.reason, Reason::Exact);
        assert_eq!(names(&take(&mut log, 1).await?), [name]);
    }
    Ok(())
}

pub async fn after_the_newest_event_a_handle_waits_at_the_requested_time(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    three_events(&mut log).await?;
    let seeked = log.seek(at("14:00:00")).await?;
    assert_eq!(seeked, Seeked { requested: at("14:00:00"), resolved: None, reason: Reason::AfterLast });
    assert_eq!(log.read().await?, None);
    log.write(record("13:59:59.999999999", "before the position")).await?;
    assert_eq!(log.read().await?, None);
    log.write(record("15:00:00", "after it")).await?;
    log.write(record("14:00:00", "at it")).await?;
    assert_eq!(names(&drain(&mut log).await?), ["at it", "after it"]);
    Ok(())
}

pub async fn nothing_is_read_after_seeking_to_the_end_of_time(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    three_events(&mut log).await?;
    let seeked = log.seek(Offset::MAX).await?;
    assert_eq!((seeked.resolved, seeked.reason), (None, Reason::AfterLast));
    assert_eq!(log.read().await?, None);
    Ok(())
}

pub async fn seeking_back_reads_events_again(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    three_events(&mut log).await?;
    assert_eq!(names(&drain(&mut log).await?), ["ten", "eleven", "twelve"]);
    log.seek(at("10:30:00")).await?;
    assert_eq!(names(&drain(&mut log).await?), ["eleven", "twelve"]);
    Ok(())
}

pub async fn a_seek_finds_the_first_of_several_events_at_one_time(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    log.write_many(["a", "b", "c"].map(|name| record("10:00:00", name)).to_vec()).await?;
    assert_eq!(log.seek(at("10:00:00")).await?.reason, Reason::Exact);
    assert_eq!(names(&drain(&mut log).await?), ["a", "b", "c"]);
    Ok(())
}

pub async fn the_resolved_position_is_read_next(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    let minutes = (0..120).map(|minute| at("10:00:00").saturating_add_nanos(minute * hourlog::time::MINUTE));
    log.write_many(minutes.map(|offset| Record::new("x").at(offset)).collect()).await?;
    for second in (0..7_300).step_by(431) {
        let seeked = log.seek(at("09:59:00").saturating_add_nanos(second * hourlog::time::SECOND)).await?;
        assert_eq!(log.read().await?.map(|event| event.position), seeked.resolved);
    }
    Ok(())
}
