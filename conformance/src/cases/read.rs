//! Reading follows the timeline, does not wait at its end, and continues after a later write.

use hourlog::{Log, Record, time::MINUTE};

use crate::{
    guard::{Guard, Outcome, drain, take},
    kit::{assert_timeline_order, at, names, record},
};

pub async fn events_are_read_by_time_regardless_of_arrival_order(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    for (time, name) in [("11:00:00", "c"), ("10:00:00", "a"), ("10:30:00", "b"), ("12:00:00", "d")] {
        log.write(record(time, name)).await?;
    }
    let events = drain(&mut log).await?;
    assert_timeline_order(&events);
    assert_eq!(names(&events), ["a", "b", "c", "d"]);
    Ok(())
}

pub async fn reading_at_the_end_does_not_wait_and_a_later_write_is_read(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    log.write(record("10:00:00", "a")).await?;
    assert_eq!(names(&drain(&mut log).await?), ["a"]);
    for name in ["b", "c", "d"] {
        assert_eq!(log.read().await?, None);
        assert_eq!(log.read_many(10).await?, []);
        log.write(record("10:00:00", name)).await?;
        assert_eq!(names(&log.read().await?.into_iter().collect::<Vec<_>>()), [name]);
    }
    assert_eq!(log.read().await?, None);
    Ok(())
}

pub async fn a_reader_at_the_end_reads_what_another_handle_writes(guard: impl Guard) -> Outcome {
    let (mut reader, mut writer) = (guard.log().await?, guard.log().await?);
    writer.write(record("10:00:00", "a")).await?;
    assert_eq!(names(&drain(&mut reader).await?), ["a"]);
    assert_eq!(reader.read().await?, None);
    writer.write(record("10:00:01", "b")).await?;
    assert_eq!(names(&drain(&mut reader).await?), ["b"]);
    Ok(())
}

pub async fn a_late_event_is_read_only_after_seeking_back(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    log.write_many(vec![record("10:00:00", "a"), record("12:00:00", "c")]).await?;
    assert_eq!(names(&drain(&mut log).await?), ["a", "c"]);
    log.write(record("11:00:00", "b")).await?;
    assert_eq!(log.read().await?, None);
    log.seek(at("10:00:00")).await?;
    assert_eq!(names(&drain(&mut log).await?), ["a", "b", "c"]);
    Ok(())
}

pub async fn a_handle_reads_its_own_writes_ahead_of_its_position(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    log.write_many(vec![record("10:00:00", "a"), record("12:00:00", "c")]).await?;
    assert_eq!(names(&take(&mut log, 1).await?), ["a"]);
    log.write_many(vec![record("11:00:00", "b"), record("09:00:00", "before")]).await?;
    assert_eq!(names(&drain(&mut log).await?), ["b", "c"]);
    Ok(())
}

pub async fn single_reads_and_pages_can_be_mixed(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    let written: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    let start = at("00:00:00");
    let records = written.iter().enumerate();
    let records = records.map(|(n, name)| Record::new(name.as_str()).at(start.saturating_add_nanos(n as i64 * MINUTE)));
    log.write_many(records.collect()).await?;
    let mut read = Vec::new();
    for page in [1, 3, 300, 7].into_iter().cycle() {
        read.extend(log.read().await?);
        let events = log.read_many(page).await?;
        assert!(events.len() <= page, "a page of {} events, the limit was {page}", events.len());
        if events.is_empty() {
            break;
        }
        read.extend(events);
    }
    assert_timeline_order(&read);
    assert_eq!(names(&read), written);
    Ok(())
}

pub async fn events_of_any_size_are_read(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    let sizes = [0_usize, 1, 700_000, 10, 700_000, 700_000, 0, 300_000];
    let records = sizes.iter().map(|size| Record::new(vec![b'x'; *size]).at(at("10:00:00")));
    log.write_many(records.collect()).await?;
    let read = drain(&mut log).await?;
    assert_eq!(read.iter().map(|event| event.record.data.len()).collect::<Vec<_>>(), sizes);
    Ok(())
}
