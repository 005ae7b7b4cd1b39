//! Arrival order is the order of the seqs, independent of clocks and event times.

use hourlog::{
    ArrivalCursor, ErrorKind, Offset, Position, Record, Result, Seq,
    read::{ArrivalQuery, End, arrivals_page},
    store::{EventRow, Store},
    time::MINUTE,
};

use crate::{
    guard::{Outcome, StoreGuard, log_id},
    kit::{at, days_after, names, refused},
    rows::{self, RowSource, positions},
};

const EVERYTHING: ArrivalQuery = ArrivalQuery { after: ArrivalCursor::FIRST, limit: usize::MAX, bytes: usize::MAX };

/// Creates rows over three hours: on time, late, ahead of time, and some while the source's clock
/// is set back.
fn eventful_hours(source: &mut RowSource) -> Vec<EventRow> {
    (0..600_i64)
        .map(|number| {
            let now = at("10:00:00").saturating_add_nanos(number / 3 * MINUTE);
            let record = Record::new(number.to_string());
            match number % 10 {
                0 => source.arrival(days_after(now, -number), now, record),
                1 => source.arrival(now.saturating_add_nanos(4 * MINUTE), now, record),
                2 => {
                    let set_back = now.saturating_add_nanos(-90 * MINUTE);
                    source.arrival(set_back, set_back, record)
                }
                3 => source.arrival(now.saturating_add_nanos(-30 * MINUTE), now, record),
                _ => source.arrival(now, now, record),
            }
        })
        .collect()
}

/// Reads every event in pages of `limit`. Keeps the cursor as text between pages.
async fn in_pages(store: &impl Store, limit: usize) -> Result<Vec<Position>> {
    let (mut found, mut after) = (Vec::new(), ArrivalCursor::FIRST);
    loop {
        let page = arrivals_page(store, &log_id(), &ArrivalQuery { after, limit, ..EVERYTHING }, Seq::MAX).await?;
        found.extend(page.events.iter().map(|event| event.position));
        if page.end != End::More {
            assert_eq!(page.end, End::CaughtUp);
            return Ok(found);
        }
        after = page.next.to_string().parse()?;
    }
}

pub async fn every_event_is_returned_once_by_seq_for_any_page_size(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let written = eventful_hours(&mut RowSource::new(log_id()));
    for part in written.chunks(50) {
        rows::write(store, &log_id(), part).await?;
    }
    for limit in [1, 7, 100, 599, 600, 5_000] {
        assert_eq!(in_pages(store, limit).await?, positions(&written), "in pages of {limit}");
    }
    Ok(())
}

pub async fn a_reader_that_keeps_up_misses_nothing(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let written = eventful_hours(&mut RowSource::new(log_id()));
    let (mut found, mut after) = (Vec::new(), ArrivalCursor::FIRST);
    for part in written.chunks(7) {
        rows::write(store, &log_id(), part).await?;
        let page = arrivals_page(store, &log_id(), &ArrivalQuery { after, ..EVERYTHING }, Seq::MAX).await?;
        assert_eq!(page.events.len(), part.len());
        found.extend(page.events.iter().map(|event| event.position));
        after = page.next;
    }
    assert_eq!(found, positions(&written));
    Ok(())
}

pub async fn a_redelivered_event_is_not_returned_again(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let written = eventful_hours(&mut RowSource::new(log_id()));
    rows::write(store, &log_id(), &written).await?;
    let after = arrivals_page(store, &log_id(), &EVERYTHING, Seq::MAX).await?.next;
    rows::write(store, &log_id(), &written[100..]).await?;
    let again = arrivals_page(store, &log_id(), &ArrivalQuery { after, ..EVERYTHING }, Seq::MAX).await?;
    assert_eq!((again.events, again.next, again.end), (Vec::new(), after, End::CaughtUp));
    assert_eq!(in_pages(store, 64).await?, positions(&written));
    Ok(())
}

pub async fn events_above_the_visible_seq_are_neither_returned_nor_skipped(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let written = eventful_hours(&mut RowSource::new(log_id()));
    rows::write(store, &log_id(), &written).await?;
    let (mut found, mut after) = (Vec::new(), ArrivalCursor::FIRST);
    for row in written.iter().step_by(11).chain(written.last()) {
        let visible = row.event.position.seq;
        let page = arrivals_page(store, &log_id(), &ArrivalQuery { after, ..EVERYTHING }, visible).await?;
        assert!(page.events.iter().all(|event| event.position.seq <= visible));
        assert_eq!(page.end, End::CaughtUp);
        found.extend(page.events.iter().map(|event| event.position));
        assert_eq!(found.last(), Some(&row.event.position));
        after = page.next;
    }
    assert_eq!(found, positions(&written));
    Ok(())
}

pub async fn an_arrivals_page_is_limited_by_bytes(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let mut source = RowSource::new(log_id());
    let written: Vec<EventRow> =
        (0..10).map(|_| source.arrival(at("10:00:00"), at("11:00:00"), Record::new("12345"))).collect();
    rows::write(store, &log_id(), &written).await?;
    for (bytes, count) in [(0, 1), (1, 1), (5, 1), (6, 2), (10, 2), (11, 3)] {
        let page = arrivals_page(store, &log_id(), &ArrivalQuery { bytes, ..EVERYTHING }, Seq::MAX).await?;
        assert_eq!((page.events.len(), page.end), (count, End::More), "{bytes} bytes");
    }
    Ok(())
}

pub async fn following_an_unknown_log_is_not_found(guard: impl StoreGuard) -> Outcome {
    refused(ErrorKind::NotFound, arrivals_page(guard.store(), &log_id(), &EVERYTHING, Seq::MAX).await);
    Ok(())
}

pub async fn arrival_order_is_the_same_after_a_restart(guard: impl StoreGuard) -> Outcome {
    let written = eventful_hours(&mut RowSource::new(log_id()));
    let (first, second) = written.split_at(333);
    rows::write(guard.store(), &log_id(), first).await?;
    let after = arrivals_page(guard.store(), &log_id(), &EVERYTHING, Seq::MAX).await?.next;
    let guard = guard.restart().await;
    // The newest events are redelivered, as after a crash before the checkpoint was stored.
    rows::write(guard.store(), &log_id(), &written[300..]).await?;
    let rest = arrivals_page(guard.store(), &log_id(), &ArrivalQuery { after, ..EVERYTHING }, Seq::MAX).await?;
    assert_eq!(rest.events.iter().map(|event| event.position).collect::<Vec<_>>(), positions(second));
    assert_eq!(in_pages(guard.store(), 50).await?, positions(&written));
    Ok(())
}

pub async fn late_events_that_are_redelivered_in_other_parts_are_returned_once(guard: impl StoreGuard) -> Outcome {
    let mut source = RowSource::new(log_id());
    let written: Vec<EventRow> = (0..300_i64)
        .map(|number| {
            source.arrival(days_after(at("10:00:00"), -number % 3), at("11:00:00"), Record::new(number.to_string()))
        })
        .collect();
    for part in written[..200].chunks(7) {
        rows::write(guard.store(), &log_id(), part).await?;
    }
    // The writer is killed twice, each time before the checkpoint has moved.
    let guard = guard.restart().await;
    for part in written[3..250].chunks(50) {
        rows::write(guard.store(), &log_id(), part).await?;
    }
    let guard = guard.restart().await;
    for part in written[31..].chunks(23) {
        rows::write(guard.store(), &log_id(), part).await?;
    }
    for limit in [1, 13, 50, 299, 1_000] {
        assert_eq!(in_pages(guard.store(), limit).await?, positions(&written), "in pages of {limit}");
    }
    let rows = guard.store().buckets(&log_id(), at("11:00:00")..=at("11:00:00"), false, 1).await?;
    assert_eq!(rows[0].arrivals, 300);
    Ok(())
}

pub async fn two_equal_records_are_two_events(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let mut source = RowSource::new(log_id());
    let written = [source.on_time(Offset::from_nanos(5), "a"), source.on_time(Offset::from_nanos(5), "a")];
    rows::write(store, &log_id(), &written).await?;
    assert_eq!(names(&arrivals_page(store, &log_id(), &EVERYTHING, Seq::MAX).await?.events), ["a", "a"]);
    Ok(())
}

pub async fn a_clock_set_back_hides_no_event_from_a_follower(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let mut source = RowSource::new(log_id());
    let mut after = ArrivalCursor::FIRST;
    let hours = |hour: i64| at("00:00:00").saturating_add_nanos(hour * hourlog::time::HOUR);
    for (hour, name) in [(100, "a"), (50, "b"), (60, "c"), (100, "d"), (101, "e")] {
        let row = source.arrival(hours(hour), hours(hour), Record::new(name));
        rows::write(store, &log_id(), &[row]).await?;
        let page = arrivals_page(store, &log_id(), &ArrivalQuery { after, ..EVERYTHING }, Seq::MAX).await?;
        assert_eq!(names(&page.events), [name]);
        after = page.next;
    }
    assert_eq!(names(&arrivals_page(store, &log_id(), &EVERYTHING, Seq::MAX).await?.events), ["a", "b", "c", "d", "e"]);
    Ok(())
}
