//! Logs with buckets of other widths than an hour, and logs whose width was changed.

use hourlog::{
    ArrivalCursor, Offset, Reason, Result, Seq,
    read::{ArrivalQuery, Query, arrivals_page, describe, page, seek},
    store::{BINS, EventRow, LogRow, Store, Width, Widths, Write},
    time::{HOUR, MINUTE, SECOND},
};

use crate::{
    guard::{Outcome, StoreGuard, log_id},
    kit::{at, id},
    rows::{self, RowSource, create_log},
};

/// Returns offsets around the boundaries of a hundred buckets of `width`, from 09:59 on.
fn around_boundaries(width: i64) -> Vec<Offset> {
    let edges = (0..100).map(|index| at("09:59:00").saturating_add_nanos(index * width));
    let edges = edges.map(|edge| Offset::from_nanos(edge.nanos().div_euclid(width) * width));
    edges.flat_map(|edge| [-1, 0, 1].map(|tick| edge.saturating_add_nanos(tick))).collect()
}

/// Writes events around every boundary, in order and in reverse, and reads them back in every way.
async fn check(store: &impl Store, width: Width) -> Result<()> {
    let log = log_id();
    let mut source = RowSource::new(log.clone());
    let offsets = around_boundaries(width.nanos());
    let now = at("23:00:00");
    let (early, late) = offsets.split_at(offsets.len() / 2);
    let written: Vec<EventRow> = late
        .iter()
        .chain(early.iter().rev())
        .map(|offset| source.arrival(*offset, now, hourlog::Record::new(offset.to_string())))
        .collect();
    rows::write(store, &log, &written).await?;

    let read = page(store, &log, &Query::ALL, Seq::MAX).await?.events;
    assert_eq!(read.iter().map(|event| event.position.offset).collect::<Vec<_>>(), offsets);
    let mut backwards = page(store, &log, &Query { reverse: true, ..Query::ALL }, Seq::MAX).await?.events;
    backwards.reverse();
    assert_eq!(backwards, read);
    let everything = ArrivalQuery { after: ArrivalCursor::FIRST, limit: usize::MAX, bytes: usize::MAX };
    let arrived = arrivals_page(store, &log, &everything, Seq::MAX).await?.events;
    assert!(arrived.iter().eq(written.iter().map(|row| &row.event)));
    for offset in offsets.iter().step_by(7) {
        assert_eq!(seek(store, &log, *offset, Seq::MAX).await?.reason, Reason::Exact);
    }

    let index = store.buckets(&log, Offset::MIN..=Offset::MAX, false, usize::MAX).await?;
    for row in index.iter().filter(|row| row.count > 0) {
        assert_eq!((row.bucket.width, row.bucket.start.nanos().rem_euclid(width.nanos())), (width, 0));
        let inside: Vec<&Offset> = offsets.iter().filter(|offset| row.bucket.contains(**offset)).collect();
        assert_eq!((row.count, &row.first, &row.last), (inside.len() as u64, inside[0], inside[inside.len() - 1]));
        assert_eq!(row.bins.len(), if width.has_bins() { BINS } else { 0 });
        assert_eq!(
            row.bins.iter().map(|count| u64::from(*count)).sum::<u64>(),
            if width.has_bins() { row.count } else { 0 }
        );
    }
    assert_eq!(index.iter().map(|row| row.count).sum::<u64>(), offsets.len() as u64);
    Ok(())
}

pub async fn buckets_of_thirteen_minutes(guard: impl StoreGuard) -> Outcome {
    let width = Width::from_seconds(13 * 60)?;
    create_log(guard.store(), &log_id(), Widths::new(width)).await?;
    check(guard.store(), width).await
}

pub async fn buckets_of_ten_seconds(guard: impl StoreGuard) -> Outcome {
    let width = Width::from_seconds(10)?;
    create_log(guard.store(), &log_id(), Widths::new(width)).await?;
    check(guard.store(), width).await
}

pub async fn buckets_of_a_second(guard: impl StoreGuard) -> Outcome {
    create_log(guard.store(), &log_id(), Widths::new(Width::SECOND)).await?;
    check(guard.store(), Width::SECOND).await
}

pub async fn buckets_of_a_day(guard: impl StoreGuard) -> Outcome {
    create_log(guard.store(), &log_id(), Widths::new(Width::DAY)).await?;
    check(guard.store(), Width::DAY).await
}

pub async fn a_log_created_by_its_first_event_has_buckets_of_an_hour(guard: impl StoreGuard) -> Outcome {
    check(guard.store(), Width::HOUR).await?;
    let row = guard.store().log(&log_id()).await?.expect("the log has events");
    assert_eq!((row.widths, row.retention, row.deleted_to), (Widths::default(), None, Seq::MIN));
    assert_eq!(row.created, at("23:00:00"), "the log was created when its first event arrived");
    Ok(())
}

pub async fn a_log_created_without_events_is_known_and_empty(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let row = LogRow {
        retention: Some(std::time::Duration::from_secs(3_600)),
        settings_at: Seq::new(0, 7),
        deleted_to: Seq::new(0, 7),
        ..LogRow::new(at("08:00:00"), Widths::new(Width::MINUTE))
    };
    store.write(vec![Write::Log(log_id(), row.clone())]).await?;
    assert_eq!(store.log(&log_id()).await?, Some(row.clone()));
    let described = describe(store, &log_id()).await?;
    assert_eq!((described.row, described.count, described.first, described.last), (row, 0, None, None));
    Ok(())
}

pub async fn a_new_width_applies_from_its_time_on_and_the_old_one_before(guard: impl StoreGuard) -> Outcome {
    let (store, log) = (guard.store(), log_id());
    let mut widths = Widths::default();
    assert_eq!(widths.change(Width::from_seconds(13 * 60)?, at("13:30:00")), at("14:00:00"));
    create_log(store, &log, widths).await?;
    let mut source = RowSource::new(log.clone());
    let hours = (0..4).map(|hour| at("10:00:00").saturating_add_nanos(hour * HOUR));
    let before: Vec<EventRow> = hours.map(|offset| source.on_time(offset, "old")).collect();
    rows::write(store, &log, &before).await?;

    let times = ["13:59:59.999999999", "14:00:00", "14:12:59.999999999", "14:13:00", "14:26:00", "13:40:00"];
    let after: Vec<EventRow> =
        times.iter().map(|time| source.arrival(at(time), at("20:00:00"), hourlog::Record::new("new"))).collect();
    rows::write(store, &log, &after).await?;

    let mut offsets: Vec<Offset> = before.iter().chain(&after).map(|row| row.event.position.offset).collect();
    offsets.sort_unstable();
    for reverse in [false, true] {
        let read = page(store, &log, &Query { reverse, ..Query::ALL }, Seq::MAX).await?.events;
        assert_eq!(read.iter().map(|event| event.position.offset).collect::<Vec<_>>(), offsets, "reverse: {reverse}");
        offsets.reverse();
    }
    let index = store.buckets(&log, at("13:00:00")..=at("14:30:00"), false, 10).await?;
    let of = |minutes: i64| Width::from_seconds(minutes * 60).expect("the width is valid");
    let found: Vec<_> = index.iter().map(|row| (row.bucket.start, row.bucket.width, row.count)).collect();
    let start = |minutes: i64| at("14:00:00").saturating_add_nanos(minutes * MINUTE);
    assert_eq!(
        found,
        [(at("13:00:00"), of(60), 3), (start(0), of(13), 2), (start(13), of(13), 1), (start(26), of(13), 1)]
    );
    for time in times {
        let page = seek(store, &log, at(time), Seq::MAX).await?;
        assert_eq!(page.reason, Reason::Exact, "{time}");
    }
    assert_eq!(seek(store, &log, start(26).saturating_add_nanos(SECOND), Seq::MAX).await?.resolved, None);
    Ok(())
}

pub async fn a_log_is_created_once(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    rows::write(store, &log_id(), &[RowSource::new(log_id()).on_time(at("10:00:00"), "first")]).await?;
    let created = store.log(&log_id()).await?;
    create_log(store, &log_id(), Widths::new(Width::SECOND)).await?;
    assert_eq!(store.log(&log_id()).await?, created, "the first event had created the log");
    create_log(store, &id("other"), Widths::new(Width::MINUTE)).await?;
    create_log(store, &id("other"), Widths::new(Width::SECOND)).await?;
    assert_eq!(store.log(&id("other")).await?.map(|row| row.widths), Some(Widths::new(Width::MINUTE)));
    Ok(())
}
