//! Arrival order, as rows of the archive tell it: by seq, whatever clocks and times say.

use hourlog::{
    Arrival, ArrivalQuery, End, ErrorKind, MINUTE, Offset, Position, Record, Result, Row, Seq, Store, arrival_page,
};

use crate::{
    guard::{Outcome, StoreGuard, log_id},
    kit::{at, days_after, names, refused},
    rows::{self, Rows, positions},
};

const EVERYTHING: ArrivalQuery =
    ArrivalQuery { after: Arrival::FIRST, limit: usize::MAX, bytes: usize::MAX, visible: Seq::MAX };

/// Events that come over three hours: punctual, late, for times ahead, and while the source's clock is set back.
fn eventful_hours(source: &mut Rows) -> Vec<Row> {
    (0..600_i64)
        .map(|number| {
            let now = at("10:00:00").saturating_add_nanos(number / 3 * MINUTE);
            let record = Record::new(number.to_string());
            match number % 10 {
                0 => source.arrived(days_after(now, -number), now, record),
                1 => source.arrived(now.saturating_add_nanos(4 * MINUTE), now, record),
                2 => {
                    let set_back = now.saturating_add_nanos(-90 * MINUTE);
                    source.arrived(set_back, set_back, record)
                }
                3 => source.arrived(now.saturating_add_nanos(-30 * MINUTE), now, record),
                _ => source.arrived(now, now, record),
            }
        })
        .collect()
}

/// Every event, in pages of `limit`, the cursor kept as text in between.
async fn in_pages(store: &impl Store, limit: usize) -> Result<Vec<Position>> {
    let (mut found, mut after) = (Vec::new(), Arrival::FIRST);
    loop {
        let page = arrival_page(store, &log_id(), &ArrivalQuery { after, limit, ..EVERYTHING }).await?;
        found.extend(page.events.iter().map(|event| event.position));
        if page.end != End::More {
            assert_eq!(page.end, End::CaughtUp);
            return Ok(found);
        }
        after = page.next.to_string().parse()?;
    }
}

pub async fn every_event_comes_once_by_seq_in_pages_of_any_size(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let written = eventful_hours(&mut Rows::new(log_id()));
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
    let written = eventful_hours(&mut Rows::new(log_id()));
    let (mut found, mut after) = (Vec::new(), Arrival::FIRST);
    for part in written.chunks(7) {
        rows::write(store, &log_id(), part).await?;
        let page = arrival_page(store, &log_id(), &ArrivalQuery { after, ..EVERYTHING }).await?;
        assert_eq!(page.events.len(), part.len());
        found.extend(page.events.iter().map(|event| event.position));
        after = page.next;
    }
    assert_eq!(found, positions(&written));
    Ok(())
}

pub async fn what_comes_again_is_not_followed_again(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let written = eventful_hours(&mut Rows::new(log_id()));
    rows::write(store, &log_id(), &written).await?;
    let after = arrival_page(store, &log_id(), &EVERYTHING).await?.next;
    rows::write(store, &log_id(), &written[100..]).await?;
    let again = arrival_page(store, &log_id(), &ArrivalQuery { after, ..EVERYTHING }).await?;
    assert_eq!((again.events, again.next, again.end), (Vec::new(), after, End::CaughtUp));
    assert_eq!(in_pages(store, 64).await?, positions(&written));
    Ok(())
}

pub async fn nothing_above_the_visible_seq_is_followed_nor_passed_over(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let written = eventful_hours(&mut Rows::new(log_id()));
    rows::write(store, &log_id(), &written).await?;
    let (mut found, mut after) = (Vec::new(), Arrival::FIRST);
    for row in written.iter().step_by(11).chain(written.last()) {
        let visible = row.event.position.seq;
        let page = arrival_page(store, &log_id(), &ArrivalQuery { after, visible, ..EVERYTHING }).await?;
        assert!(page.events.iter().all(|event| event.position.seq <= visible));
        assert_eq!(page.end, End::CaughtUp);
        found.extend(page.events.iter().map(|event| event.position));
        assert_eq!(found.last(), Some(&row.event.position));
        after = page.next;
    }
    assert_eq!(found, positions(&written));
    Ok(())
}

pub async fn a_page_in_arrival_order_is_bounded_by_bytes(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let mut source = Rows::new(log_id());
    let written: Vec<Row> =
        (0..10).map(|_| source.arrived(at("10:00:00"), at("11:00:00"), Record::new("12345"))).collect();
    rows::write(store, &log_id(), &written).await?;
    for (bytes, count) in [(0, 1), (1, 1), (5, 1), (6, 2), (10, 2), (11, 3)] {
        let page = arrival_page(store, &log_id(), &ArrivalQuery { bytes, ..EVERYTHING }).await?;
        assert_eq!((page.events.len(), page.end), (count, End::More), "{bytes} bytes");
    }
    Ok(())
}

pub async fn a_log_that_is_not_there_cannot_be_followed(guard: impl StoreGuard) -> Outcome {
    refused(ErrorKind::NotFound, arrival_page(guard.store(), &log_id(), &EVERYTHING).await);
    Ok(())
}

pub async fn arrival_order_is_the_same_after_a_restart(guard: impl StoreGuard) -> Outcome {
    let written = eventful_hours(&mut Rows::new(log_id()));
    let (first, second) = written.split_at(333);
    rows::write(guard.store(), &log_id(), first).await?;
    let after = arrival_page(guard.store(), &log_id(), &EVERYTHING).await?.next;
    let guard = guard.restart().await;
    // The newest are handed out again, as after a crash before the cursor was stored.
    rows::write(guard.store(), &log_id(), &written[300..]).await?;
    let rest = arrival_page(guard.store(), &log_id(), &ArrivalQuery { after, ..EVERYTHING }).await?;
    assert_eq!(rest.events.iter().map(|event| event.position).collect::<Vec<_>>(), positions(second));
    assert_eq!(in_pages(guard.store(), 50).await?, positions(&written));
    Ok(())
}

pub async fn the_same_event_twice_is_two_events(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let mut source = Rows::new(log_id());
    let written = [source.punctual(Offset::from_nanos(5), "a"), source.punctual(Offset::from_nanos(5), "a")];
    rows::write(store, &log_id(), &written).await?;
    assert_eq!(names(&arrival_page(store, &log_id(), &EVERYTHING).await?.events), ["a", "a"]);
    Ok(())
}

pub async fn a_clock_that_is_set_back_and_goes_on_misleads_no_reader(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let mut source = Rows::new(log_id());
    let mut after = Arrival::FIRST;
    let hours = |hour: i64| at("00:00:00").saturating_add_nanos(hour * hourlog::HOUR);
    for (hour, name) in [(100, "a"), (50, "b"), (60, "c"), (100, "d"), (101, "e")] {
        let row = source.arrived(hours(hour), hours(hour), Record::new(name));
        rows::write(store, &log_id(), &[row]).await?;
        let page = arrival_page(store, &log_id(), &ArrivalQuery { after, ..EVERYTHING }).await?;
        assert_eq!(names(&page.events), [name]);
        after = page.next;
    }
    assert_eq!(names(&arrival_page(store, &log_id(), &EVERYTHING).await?.events), ["a", "b", "c", "d", "e"]);
    Ok(())
}
