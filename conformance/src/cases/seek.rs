//! A seek leads to the first event at or after a time, and says how the one relates to the other.

use hourlog::{Log, Offset, Reason, Record, Seeked};

use crate::{
    guard::{Guard, Outcome, drain, take},
    kit::{at, names, record},
};

/// A log of three events, an hour apart.
async fn three_events(log: &mut impl Log) -> Outcome {
    log.write_many(vec![record("10:00:00", "ten"), record("11:00:00", "eleven"), record("12:00:00", "twelve")]).await?;
    Ok(())
}

pub async fn a_time_that_an_event_has_is_exact(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    three_events(&mut log).await?;
    let seeked = log.seek(at("11:00:00")).await?;
    let event = log.read().await?.expect("eleven and twelve are there");
    assert_eq!(names(std::slice::from_ref(&event)), ["eleven"]);
    let expected = Seeked { requested: at("11:00:00"), resolved: Some(event.position), reason: Reason::Exact };
    assert_eq!(seeked, expected);
    Ok(())
}

pub async fn a_time_between_two_events_leads_to_the_next(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    three_events(&mut log).await?;
    let seeked = log.seek(at("10:00:00.000000001")).await?;
    assert_eq!((seeked.requested, seeked.reason), (at("10:00:00.000000001"), Reason::Next));
    assert_eq!(seeked.resolved.map(|position| position.offset), Some(at("11:00:00")));
    assert_eq!(names(&drain(&mut log).await?), ["eleven", "twelve"]);
    Ok(())
}

pub async fn a_time_before_the_first_event_leads_to_it(guard: impl Guard) -> Outcome {
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

pub async fn the_first_and_the_last_event_are_exact(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    three_events(&mut log).await?;
    for (time, name) in [("10:00:00", "ten"), ("12:00:00", "twelve")] {
        assert_eq!(log.seek(at(time)).await?.reason, Reason::Exact);
        assert_eq!(names(&take(&mut log, 1).await?), [name]);
    }
    Ok(())
}

pub async fn behind_the_newest_a_handle_waits_at_that_time(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    three_events(&mut log).await?;
    let seeked = log.seek(at("14:00:00")).await?;
    assert_eq!(seeked, Seeked { requested: at("14:00:00"), resolved: None, reason: Reason::AfterLast });
    assert_eq!(log.read().await?, None);
    log.write(record("13:59:59.999999999", "before the place")).await?;
    assert_eq!(log.read().await?, None);
    log.write(record("15:00:00", "behind it")).await?;
    log.write(record("14:00:00", "at it")).await?;
    assert_eq!(names(&drain(&mut log).await?), ["at it", "behind it"]);
    Ok(())
}

pub async fn behind_everything_there_is_nothing_to_read(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    three_events(&mut log).await?;
    let seeked = log.seek(Offset::MAX).await?;
    assert_eq!((seeked.resolved, seeked.reason), (None, Reason::AfterLast));
    assert_eq!(log.read().await?, None);
    Ok(())
}

pub async fn a_seek_back_reads_again(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    three_events(&mut log).await?;
    assert_eq!(names(&drain(&mut log).await?), ["ten", "eleven", "twelve"]);
    log.seek(at("10:30:00")).await?;
    assert_eq!(names(&drain(&mut log).await?), ["eleven", "twelve"]);
    Ok(())
}

pub async fn a_seek_leads_to_the_first_of_equal_times(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    log.write_many(["a", "b", "c"].map(|name| record("10:00:00", name)).to_vec()).await?;
    assert_eq!(log.seek(at("10:00:00")).await?.reason, Reason::Exact);
    assert_eq!(names(&drain(&mut log).await?), ["a", "b", "c"]);
    Ok(())
}

pub async fn what_resolved_says_is_what_is_read(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    let minutes = (0..120).map(|minute| at("10:00:00").saturating_add_nanos(minute * hourlog::MINUTE));
    log.write_many(minutes.map(|offset| Record::new("x").at(offset)).collect()).await?;
    for second in (0..7_300).step_by(431) {
        let seeked = log.seek(at("09:59:00").saturating_add_nanos(second * hourlog::SECOND)).await?;
        assert_eq!(log.read().await?.map(|event| event.position), seeked.resolved);
    }
    Ok(())
}
