//! The settings of a log: how they change, and what is known of removed events.

use std::time::Duration;

use hourlog::{
    Offset, Position, Reason, Record, Seq,
    read::{End, Query, describe, page, seek},
    store::{EventRow, LogRow, Removed, Store, Width, Widths, Write, newest_seq, plan_sweep, sweep},
};

use crate::{
    guard::{Outcome, StoreGuard, log_id},
    kit::{at, names},
    rows::{self, RowSource, create_log},
};

const DAY: Duration = Duration::from_secs(86_400);

fn settings_at(seq: Seq) -> LogRow {
    LogRow { retention: Some(DAY), settings_at: seq, ..LogRow::new(at("10:00:00"), Widths::default()) }
}

/// Writes one event at each of three hours.
async fn three_hours(store: &impl Store) -> hourlog::Result<(RowSource, Vec<EventRow>)> {
    let mut source = RowSource::new(log_id());
    let rows = ["10:30:00", "11:30:00", "12:30:00"].map(|time| source.on_time(at(time), time)).to_vec();
    rows::write(store, &log_id(), &rows).await?;
    Ok((source, rows))
}

pub async fn settings_change_and_only_move_forward(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let (_, rows) = three_hours(store).await?;
    let before = store.log(&log_id()).await?.expect("its events created it");
    assert_eq!(newest_seq(store, &log_id()).await?, rows[2].event.position.seq);
    let mut widths = before.widths.clone();
    widths.change(Width::MINUTE, at("12:40:00"));
    let removed = Some(Removed { to: at("10:00:00"), seq: Seq::new(1, 1) });
    let changed = LogRow { widths, retention: Some(DAY), removed, ..before.clone() };
    let changed = changed.with_next_settings(newest_seq(store, &log_id()).await?);
    store.write(vec![Write::Settings(log_id(), changed.clone())]).await?;
    assert_eq!(store.log(&log_id()).await?, Some(changed.clone()));
    // A delayed change, and one with the same seq.
    for seq in [Seq::new(1, 1), changed.settings_at] {
        store.write(vec![Write::Settings(log_id(), LogRow { settings_at: seq, ..before.clone() })]).await?;
    }
    let guard = guard.restart().await;
    assert_eq!(guard.store().log(&log_id()).await?, Some(changed.clone()));
    // Settings can be removed again.
    let cleared = LogRow { retention: None, ..changed }.with_next_settings(Seq::ZERO);
    guard.store().write(vec![Write::Settings(log_id(), cleared.clone())]).await?;
    assert_eq!(guard.store().log(&log_id()).await?, Some(cleared));
    Ok(())
}

pub async fn settings_of_an_unknown_or_deleted_log_create_nothing(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    store.write(vec![Write::Settings(log_id(), settings_at(Seq::new(1, 9)))]).await?;
    assert_eq!(store.log(&log_id()).await?, None);
    let (mut source, _) = three_hours(store).await?;
    let seq = newest_seq(store, &log_id()).await?;
    store.write(vec![Write::DeleteLog { log: log_id(), seq }]).await?;
    store.write(vec![Write::Settings(log_id(), settings_at(seq))]).await?;
    assert_eq!(store.log(&log_id()).await?, None);
    // The next event creates the log, and the delayed change does not reach it.
    rows::write(store, &log_id(), &[source.on_time(at("13:00:00"), "new")]).await?;
    store.write(vec![Write::Settings(log_id(), settings_at(seq))]).await?;
    let guard = guard.restart().await;
    let row = guard.store().log(&log_id()).await?.expect("its event created it");
    assert_eq!((row.retention, row.removed), (None, None));
    assert_eq!(describe(guard.store(), &log_id()).await?.count, 1);
    Ok(())
}

pub async fn a_changed_width_applies_to_the_next_events(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let (mut source, _) = three_hours(store).await?;
    let mut row = store.log(&log_id()).await?.expect("its events created it");
    assert_eq!(row.widths.change(Width::MINUTE, at("12:40:00")), at("13:00:00"));
    let row = row.with_next_settings(newest_seq(store, &log_id()).await?);
    store.write(vec![Write::Settings(log_id(), row)]).await?;
    let later = ["12:59:59", "13:00:00", "13:00:59", "13:01:00"].map(|time| source.on_time(at(time), time));
    rows::write(store, &log_id(), &later).await?;
    let guard = guard.restart().await;
    let index = guard.store().buckets(&log_id(), at("12:00:00")..=Offset::MAX, false, 10).await?;
    let found: Vec<_> = index.iter().map(|row| (row.bucket.start, row.bucket.width, row.count)).collect();
    let expected =
        [(at("12:00:00"), Width::HOUR, 2), (at("13:00:00"), Width::MINUTE, 2), (at("13:01:00"), Width::MINUTE, 1)];
    assert_eq!(found, expected);
    assert_eq!(page(guard.store(), &log_id(), &Query::ALL, Seq::MAX).await?.events.len(), 7);
    Ok(())
}

pub async fn a_log_that_its_first_event_creates_has_the_width_of_the_write(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let mut source = RowSource::new(log_id());
    for time in ["10:00:00", "10:05:00"] {
        let (log, rows) = (log_id(), vec![source.on_time(at(time), time)].into());
        store.write(vec![Write::Events { log, rows, width: Width::MINUTE }]).await?;
    }
    // The width of a later write changes nothing.
    rows::write(store, &log_id(), &[source.on_time(at("10:06:00"), "later")]).await?;
    let row = store.log(&log_id()).await?.expect("its events created it");
    assert_eq!((row.widths, row.created), (Widths::new(Width::MINUTE), at("10:00:00")));
    assert_eq!(describe(store, &log_id()).await?.buckets, 3);
    Ok(())
}

pub async fn a_reader_of_removed_events_is_told(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let (_, rows) = three_hours(store).await?;
    let plan = plan_sweep(store, &log_id(), Offset::MIN..at("11:45:00"), Seq::ZERO, Seq::ZERO).await?;
    assert_eq!((plan.swept.events, plan.kept_from), (1, at("11:00:00")));
    assert_eq!(plan.removed, Some(Removed { to: at("11:00:00"), seq: rows[0].event.position.seq }));
    let row = LogRow { removed: plan.removed, ..store.log(&log_id()).await?.expect("its events created it") };
    let row = row.with_next_settings(newest_seq(store, &log_id()).await?);
    store.write(vec![Write::Settings(log_id(), row)]).await?;
    plan.execute(store).await?;
    let seeked = seek(store, &log_id(), at("10:15:00"), Seq::MAX).await?;
    assert_eq!((seeked.reason, seeked.resolved), (Reason::Expired, Some(rows[1].event.position)));
    assert_eq!(seek(store, &log_id(), at("11:15:00"), Seq::MAX).await?.reason, Reason::BeforeFirst);
    let end = async |to: &str| {
        let query = Query { to: Some(Position::at(at(to))), ..Query::ALL };
        hourlog::Result::Ok(page(store, &log_id(), &query, Seq::MAX).await?.end)
    };
    assert_eq!((end("10:45:00").await?, end("11:00:00").await?), (End::Expired, End::Expired));
    assert_eq!((end("11:15:00").await?, end("11:45:00").await?), (End::Bound, End::Bound));
    Ok(())
}

pub async fn events_imported_again_after_a_sweep_are_kept(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let (mut source, rows) = three_hours(store).await?;
    let swept = sweep(store, &log_id(), at("13:00:00"), Seq::ZERO).await?;
    assert_eq!((swept.events, swept.buckets), (3, 3));
    let again = ["10:30:00", "11:30:00"];
    let imported = again.map(|time| source.arrival(at(time), at("13:10:00"), Record::new(time)));
    rows::write(store, &log_id(), &imported).await?;
    // A redelivery of the swept events brings none of them back.
    rows::write(store, &log_id(), &rows).await?;
    let guard = guard.restart().await;
    assert_eq!(names(&page(guard.store(), &log_id(), &Query::ALL, Seq::MAX).await?.events), again);
    assert_eq!(describe(guard.store(), &log_id()).await?.count, 2);
    Ok(())
}

pub async fn a_created_log_can_be_deleted_and_created_again(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    for width in [Width::MINUTE, Width::SECOND] {
        create_log(store, &log_id(), Widths::new(width)).await?;
        assert_eq!(store.log(&log_id()).await?.map(|row| row.widths), Some(Widths::new(width)));
        let seq = newest_seq(store, &log_id()).await?;
        store.write(vec![Write::DeleteLog { log: log_id(), seq }]).await?;
        assert_eq!(store.log(&log_id()).await?, None);
    }
    Ok(())
}
