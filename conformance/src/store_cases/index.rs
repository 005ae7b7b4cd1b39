//! The rows of the index and the events of one bucket, as a store returns them.

use hourlog::{
    Offset, Position, Record, Result, Seq,
    store::{Bucket, ERA_BUCKETS, EncodedEvent, EventRow, Scan, Store, Width},
    time::{DAY, HOUR},
};

use crate::{
    guard::{Outcome, StoreGuard, log_id},
    kit::{at, days_after, names},
    rows::{self, RowSource},
};

const EVERYTHING: Scan =
    Scan { from: Position::MIN, to: Position::MAX, reverse: false, limit: usize::MAX, bytes: usize::MAX };

fn hour(text: &str) -> Bucket {
    Bucket { start: at(text), width: Width::HOUR }
}

/// Writes one event in each of the hours 10, 12 and 13, and a late one in hour 10.
async fn three_hours(store: &impl Store) -> Result<Vec<EventRow>> {
    let mut source = RowSource::new(log_id());
    let written = vec![
        source.on_time(at("10:30:00"), "ten"),
        source.on_time(at("12:30:00"), "twelve"),
        source.arrival(at("10:15:00"), at("12:45:00"), Record::new("late")),
        source.on_time(at("13:30:00"), "thirteen"),
    ];
    rows::write(store, &log_id(), &written).await?;
    Ok(written)
}

pub async fn a_span_selects_the_bucket_that_begins_before_it_and_those_within_it(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    three_hours(store).await?;
    let starts = async |from: &str, to: &str, reverse: bool, limit: usize| -> Result<Vec<Offset>> {
        let rows = store.buckets(&log_id(), at(from)..=at(to), reverse, limit).await?;
        Ok(rows.iter().map(|row| row.bucket.start).collect())
    };
    let [ten, twelve, thirteen] = ["10:00:00", "12:00:00", "13:00:00"].map(at);
    for (from, to, expected) in [
        ("00:00:00", "23:59:59", vec![ten, twelve, thirteen]),
        ("10:00:00", "13:00:00", vec![ten, twelve, thirteen]),
        ("10:59:00", "12:59:00", vec![ten, twelve]),
        ("11:30:00", "11:31:00", vec![ten]),
        ("12:00:00", "12:00:00", vec![twelve]),
        ("20:00:00", "21:00:00", vec![thirteen]),
        ("08:00:00", "09:00:00", vec![]),
    ] {
        assert_eq!(starts(from, to, false, 10).await?, expected, "{from} to {to}");
        let backwards: Vec<Offset> = expected.into_iter().rev().collect();
        assert_eq!(starts(from, to, true, 10).await?, backwards, "{from} to {to}, reverse");
    }
    assert_eq!(starts("00:00:00", "23:00:00", false, 2).await?, [ten, twelve]);
    assert_eq!(starts("00:00:00", "23:00:00", true, 2).await?, [thirteen, twelve]);
    Ok(())
}

pub async fn index_rows_far_apart_in_time_are_in_order(guard: impl StoreGuard) -> Outcome {
    let (store, log) = (guard.store(), log_id());
    let mut source = RowSource::new(log.clone());
    // So far apart that each is in its own era, on both sides of 1970.
    let era_days = ERA_BUCKETS * HOUR / DAY;
    let offsets: Vec<Offset> = (-60..60).map(|era| days_after(Offset::from_nanos(1), era * (era_days + 1))).collect();
    let written: Vec<EventRow> =
        offsets.iter().rev().map(|offset| source.arrival(*offset, at("12:00:00"), Record::new("x"))).collect();
    rows::write(store, &log, &written).await?;
    for reverse in [false, true] {
        let rows = store.buckets(&log, Offset::MIN..=Offset::MAX, reverse, usize::MAX).await?;
        let firsts: Vec<Offset> = rows.iter().filter(|row| row.count > 0).map(|row| row.first).collect();
        let mut expected = offsets.clone();
        if reverse {
            expected.reverse();
        }
        assert_eq!(firsts, expected, "reverse: {reverse}");
    }
    for pair in offsets.windows(2) {
        let rows = store.buckets(&log, pair[0]..=pair[1], false, usize::MAX).await?;
        let firsts: Vec<Offset> = rows.iter().filter(|row| row.count > 0).map(|row| row.first).collect();
        assert_eq!(firsts, pair);
    }
    Ok(())
}

pub async fn a_scan_is_inclusive_and_limited(guard: impl StoreGuard) -> Outcome {
    let (store, log) = (guard.store(), log_id());
    let mut source = RowSource::new(log.clone());
    let minutes = (0..6).map(|minute| at("10:00:00").saturating_add_nanos(minute * hourlog::time::MINUTE));
    let written: Vec<EventRow> =
        minutes.zip(["a", "b", "c", "d", "e", "f"]).map(|(t, n)| source.on_time(t, n)).collect();
    rows::write(store, &log, &written).await?;
    let at_index = |index: usize| written[index].event.position;
    let scan = async |scan: Scan| {
        Ok::<_, hourlog::Error>(names(&rows::decoded(&log, &store.events(&log, hour("10:00:00"), scan).await?)))
    };
    let middle = Scan { from: at_index(1), to: at_index(4), ..EVERYTHING };
    assert_eq!(scan(EVERYTHING).await?, ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(scan(middle).await?, ["b", "c", "d", "e"]);
    assert_eq!(scan(Scan { reverse: true, ..middle }).await?, ["e", "d", "c", "b"]);
    assert_eq!(scan(Scan { limit: 2, ..middle }).await?, ["b", "c"]);
    assert_eq!(scan(Scan { limit: 2, reverse: true, ..middle }).await?, ["e", "d"]);
    assert_eq!(scan(Scan { bytes: 1, ..middle }).await?, ["b"]);
    assert_eq!(scan(Scan { bytes: 3, reverse: true, ..middle }).await?, ["e", "d", "c"]);
    assert_eq!(scan(Scan { from: at_index(4), to: at_index(1), ..EVERYTHING }).await?, Vec::<String>::new());
    assert_eq!(store.events(&log, hour("11:00:00"), EVERYTHING).await?, []);
    assert_eq!(store.events(&crate::kit::id("orders"), hour("10:00:00"), EVERYTHING).await?, []);
    Ok(())
}

pub async fn one_event_is_found_by_its_position(guard: impl StoreGuard) -> Outcome {
    let (store, log) = (guard.store(), log_id());
    for row in three_hours(store).await? {
        let position = row.event.position;
        assert_eq!(store.event(&log, position).await?, Some(row.event));
        assert_eq!(store.event(&log, position.next()).await?, None);
        assert_eq!(store.event(&crate::kit::id("orders"), position).await?, None);
    }
    Ok(())
}

pub async fn late_events_are_listed_by_their_arrival_time(guard: impl StoreGuard) -> Outcome {
    let (store, log) = (guard.store(), log_id());
    let written = three_hours(store).await?;
    let late = written[2].event.position;
    let listed = async |bucket: &str, after: Seq, limit: usize| {
        let late = store.late_events(&log, hour(bucket), after, limit, usize::MAX).await?;
        for late in &late {
            assert_eq!(late.event.as_ref().map(EncodedEvent::position), Some(late.position));
        }
        Ok::<_, hourlog::Error>(late.iter().map(|late| late.position).collect::<Vec<_>>())
    };
    assert_eq!(listed("12:00:00", Seq::MIN, 10).await?, [late]);
    assert_eq!(listed("12:00:00", Seq::MIN, 0).await?, []);
    assert_eq!(listed("12:00:00", late.seq.saturating_previous(), 10).await?, [late]);
    assert_eq!(listed("12:00:00", late.seq, 10).await?, []);
    assert_eq!(listed("12:00:00", Seq::MAX, 10).await?, []);
    for other in ["10:00:00", "13:00:00"] {
        assert_eq!(listed(other, Seq::MIN, 10).await?, []);
    }
    let rows = store.buckets(&log, Offset::MIN..=Offset::MAX, false, 10).await?;
    let counts: Vec<(u64, u64)> = rows.iter().map(|row| (row.count, row.arrivals)).collect();
    assert_eq!(counts, [(2, 0), (1, 1), (1, 0)]);
    Ok(())
}
