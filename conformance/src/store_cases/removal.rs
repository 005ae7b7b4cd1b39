//! Swept and deleted events stay deleted, and events that are written later are kept.

use hourlog::{
    ArrivalCursor, ErrorKind, Offset, Record, Result, Seq,
    read::{ArrivalQuery, Query, arrivals_page, describe, page},
    store::{BucketRow, CursorChange, EventRow, LogRow, Store, Swept, Widths, Write, plan_sweep, sweep},
};

use crate::{
    guard::{Outcome, StoreGuard, log_id},
    kit::{at, names, refused},
    rows::{self, RowSource},
};

/// Returns the names of all events, by time.
async fn all(store: &impl Store) -> Result<Vec<String>> {
    Ok(names(&page(store, &log_id(), &Query::ALL, Seq::MAX).await?.events))
}

/// Returns the names of all events, in arrival order.
async fn followed(store: &impl Store) -> Result<Vec<String>> {
    let query = ArrivalQuery { after: ArrivalCursor::FIRST, limit: 100, bytes: usize::MAX };
    Ok(names(&arrivals_page(store, &log_id(), &query, Seq::MAX).await?.events))
}

/// Writes two events in each of three hours, and a late one in the first hour.
async fn three_hours(store: &impl Store) -> Result<(RowSource, Vec<EventRow>)> {
    let mut source = RowSource::new(log_id());
    let mut rows: Vec<EventRow> = ["10:00:00", "10:59:59", "11:00:00", "11:59:59", "12:00:00", "12:30:00"]
        .map(|time| source.on_time(at(time), time))
        .into();
    rows.push(source.arrival(at("10:30:00"), at("12:45:00"), Record::new("late")));
    rows::write(store, &log_id(), &rows).await?;
    Ok((source, rows))
}

fn newest(rows: &[EventRow]) -> Seq {
    rows.last().expect("the rows are not empty").event.position.seq
}

/// Returns the index row of the bucket from 10:00 to 11:00.
async fn row_of_ten(store: &impl Store) -> Result<Option<BucketRow>> {
    let rows = store.buckets(&log_id(), at("10:00:00")..=at("10:59:59"), false, 1).await?;
    Ok(rows.into_iter().next())
}

async fn delete(store: &impl Store, seq: Seq) -> Outcome {
    store.write(vec![Write::DeleteLog { log: log_id(), seq }]).await
}

pub async fn a_sweep_deletes_the_buckets_that_end_before_its_horizon(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    three_hours(store).await?;
    let swept = sweep(store, &log_id(), at("11:59:59"), Seq::MIN).await?;
    assert_eq!(swept, Swept { buckets: 1, events: 3, bytes: 20, unlisted: 0 });
    assert_eq!(all(store).await?, ["11:00:00", "11:59:59", "12:00:00", "12:30:00"]);
    let guard = guard.restart().await;
    let store = guard.store();
    assert_eq!(all(store).await?, ["11:00:00", "11:59:59", "12:00:00", "12:30:00"]);
    let described = describe(store, &log_id()).await?;
    assert_eq!((described.count, described.first, described.buckets), (4, Some(at("11:00:00")), 2));
    Ok(())
}

pub async fn followers_skip_swept_events(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    three_hours(store).await?;
    sweep(store, &log_id(), at("11:30:00"), Seq::MIN).await?;
    // The swept late event is still listed in the hour of its arrival, which was kept.
    assert_eq!(followed(store).await?, ["11:00:00", "11:59:59", "12:00:00", "12:30:00"]);
    Ok(())
}

pub async fn a_swept_row_stays_deleted_when_it_is_redelivered(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let (_, rows) = three_hours(store).await?;
    sweep(store, &log_id(), at("11:30:00"), Seq::MIN).await?;
    let guard = guard.restart().await;
    let store = guard.store();
    rows::write(store, &log_id(), &rows).await?;
    let kept = ["11:00:00", "11:59:59", "12:00:00", "12:30:00"];
    assert_eq!(all(store).await?, kept);
    assert_eq!(describe(store, &log_id()).await?.count, 4);
    let guard = guard.restart().await;
    assert_eq!(all(guard.store()).await?, kept);
    assert_eq!(describe(guard.store(), &log_id()).await?.count, 4);
    Ok(())
}

pub async fn a_late_event_in_a_swept_bucket_is_kept_until_the_next_sweep(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let (mut source, _) = three_hours(store).await?;
    sweep(store, &log_id(), at("11:30:00"), Seq::MIN).await?;
    let later = [source.arrival(at("10:00:00"), at("12:50:00"), Record::new("later"))];
    rows::write(store, &log_id(), &later).await?;
    assert_eq!(all(store).await?, ["later", "11:00:00", "11:59:59", "12:00:00", "12:30:00"]);
    let guard = guard.restart().await;
    let store = guard.store();
    assert_eq!(followed(store).await?, ["11:00:00", "11:59:59", "12:00:00", "12:30:00", "later"]);
    let swept = sweep(store, &log_id(), at("11:30:00"), Seq::MIN).await?;
    assert_eq!(swept, Swept { buckets: 1, events: 1, bytes: 5, unlisted: 0 });
    assert_eq!(all(store).await?, ["11:00:00", "11:59:59", "12:00:00", "12:30:00"]);
    Ok(())
}

pub async fn an_empty_index_row_is_removed_once_no_redelivery_can_reach_it(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let (mut source, rows) = three_hours(store).await?;
    let seq = newest(&rows);
    let count = async |store: &_| Store::buckets(store, &log_id(), Offset::MIN..=Offset::MAX, false, 100).await;
    sweep(store, &log_id(), at("11:30:00"), seq).await?;
    assert_eq!(count(store).await?.len(), 3);
    let swept = sweep(store, &log_id(), at("11:30:00"), Seq::from_number(seq.get() + 1)).await?;
    assert_eq!(swept, Swept { unlisted: 1, ..Swept::default() });
    assert_eq!(count(store).await?.len(), 2);
    // The bucket can be created again.
    let later = [
        source.on_time(at("13:00:00"), "13:00:00"),
        source.arrival(at("10:00:00"), at("13:00:01"), Record::new("later")),
    ];
    rows::write(store, &log_id(), &later).await?;
    let guard = guard.restart().await;
    assert_eq!(all(guard.store()).await?[0], "later");
    assert_eq!(describe(guard.store(), &log_id()).await?.count, 6);
    Ok(())
}

pub async fn a_bucket_is_dropped_again_once_its_late_events_are_too_old(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let mut source = RowSource::new(log_id());
    let rows = [
        source.on_time(at("10:00:00"), "on time"),
        source.arrival(at("09:30:00"), at("10:30:00"), Record::new("late")),
        source.on_time(at("12:30:00"), "kept"),
    ];
    rows::write(store, &log_id(), &rows).await?;
    // An event that is listed as late may be up to five minutes ahead, so the list is kept at first.
    sweep(store, &log_id(), at("11:02:00"), Seq::ZERO).await?;
    let row = row_of_ten(store).await?.expect("its late event is listed");
    assert_eq!((row.count, row.arrivals), (0, 1));
    // Until more is archived, a second deletion would have the seq of the first.
    assert_eq!(sweep(store, &log_id(), at("11:10:00"), row.emptied_at).await?, Swept::default());
    let stored = newest(&rows);
    sweep(store, &log_id(), at("11:10:00"), stored).await?;
    let guard = guard.restart().await;
    let store = guard.store();
    assert_eq!(row_of_ten(store).await?.map(|row| (row.count, row.arrivals)), Some((0, 0)));
    let swept = sweep(store, &log_id(), at("11:10:00"), Seq::from_number(stored.get() + 1)).await?;
    assert_eq!(swept.events, 0);
    assert_eq!(row_of_ten(store).await?, None);
    assert_eq!(all(store).await?, ["kept"]);
    Ok(())
}

pub async fn a_skipped_duplicate_is_not_stored_after_a_sweep(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let (mut source, rows) = three_hours(store).await?;
    // It was skipped because the log held an equal event, so no row counts it.
    let skipped = source.arrival(at("10:00:00"), at("12:50:00"), Record::new("10:00:00"));
    let written = skipped.event.position.seq;
    let plan = plan_sweep(store, &log_id(), Offset::MIN..at("11:00:00"), Seq::ZERO, written).await?;
    // A follower whose cursor lies after the last event has missed none.
    assert_eq!(plan.removed.map(|removed| removed.seq), Some(newest(&rows)));
    plan.execute(store).await?;
    let guard = guard.restart().await;
    rows::write(guard.store(), &log_id(), &[skipped]).await?;
    assert_eq!(all(guard.store()).await?, ["11:00:00", "11:59:59", "12:00:00", "12:30:00"]);
    Ok(())
}

pub async fn a_deleted_log_stays_deleted_when_its_source_is_read_again(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let (_, rows) = three_hours(store).await?;
    let cursor = Write::Cursor {
        log: log_id(),
        name: "me".to_owned(),
        change: CursorChange::Advance(ArrivalCursor { time: at("10:00:00"), seq: newest(&rows) }),
    };
    store.write(vec![cursor]).await?;
    assert_eq!(store.deleted_to(&log_id()).await?, Seq::MIN);
    delete(store, newest(&rows)).await?;
    assert_eq!(store.deleted_to(&log_id()).await?, newest(&rows));
    refused(ErrorKind::NotFound, all(store).await);
    let guard = guard.restart().await;
    let store = guard.store();
    // The stored checkpoint of the source was older, so everything is redelivered.
    for some in rows.chunks(3) {
        rows::write(store, &log_id(), some).await?;
    }
    refused(ErrorKind::NotFound, all(store).await);
    assert_eq!((store.log(&log_id()).await?, store.logs(None, 10).await?), (None, vec![]));
    assert_eq!((store.cursor(&log_id(), "me").await?, store.cursors(&log_id()).await?), (None, vec![]));
    let guard = guard.restart().await;
    refused(ErrorKind::NotFound, followed(guard.store()).await);
    Ok(())
}

pub async fn events_imported_again_after_a_delete_are_kept(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let (mut source, rows) = three_hours(store).await?;
    let seq = newest(&rows);
    delete(store, seq).await?;
    // The same events at the same times. The first has the very next seq.
    let again = ["10:00:00", "10:59:59", "12:30:00"];
    let imported = again.map(|time| source.arrival(at(time), at("13:00:00"), Record::new(time)));
    rows::write(store, &log_id(), &imported).await?;
    assert_eq!(all(store).await?, again);
    let guard = guard.restart().await;
    let store = guard.store();
    assert_eq!(
        (all(store).await?, followed(store).await?),
        (again.map(str::to_owned).into(), again.map(str::to_owned).into())
    );
    assert_eq!(describe(store, &log_id()).await?.count, 3);
    assert_eq!(store.log(&log_id()).await?.map(|row| row.deleted_to), Some(seq));
    // The deleted events stay deleted beside them.
    rows::write(store, &log_id(), &rows).await?;
    assert_eq!(all(store).await?, again);
    assert_eq!(describe(store, &log_id()).await?.count, 3);
    Ok(())
}

pub async fn a_log_created_again_after_a_delete_keeps_its_deleted_to(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let (_, rows) = three_hours(store).await?;
    delete(store, newest(&rows)).await?;
    let widths = Widths::new("1m".parse()?);
    rows::create_log(store, &log_id(), widths.clone()).await?;
    let created = store.log(&log_id()).await?;
    let seq = newest(&rows);
    let expected = LogRow { settings_at: seq, deleted_to: seq, ..LogRow::new(Offset::from_nanos(0), widths) };
    assert_eq!(created, Some(expected));
    rows::write(store, &log_id(), &rows).await?;
    assert_eq!(all(store).await?, [""; 0]);
    Ok(())
}
