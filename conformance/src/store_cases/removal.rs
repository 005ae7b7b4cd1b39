//! What is taken away stays away, and what comes later lives.

use hourlog::{
    Arrival, ArrivalQuery, ErrorKind, LogRow, Offset, Query, Record, Result, Row, Seq, Store, Swept, Widths, Write,
    arrival_page, describe, page, sweep,
};

use crate::{
    guard::{Outcome, StoreGuard, log_id},
    kit::{at, names, refused},
    rows::{self, Rows},
};

/// The names of all events, by time.
async fn all(store: &impl Store) -> Result<Vec<String>> {
    Ok(names(&page(store, &log_id(), &Query::ALL).await?.events))
}

/// The names of all events, in the order of their arrival.
async fn followed(store: &impl Store) -> Result<Vec<String>> {
    let query = ArrivalQuery { after: Arrival::FIRST, limit: 100, bytes: usize::MAX, visible: Seq::MAX };
    Ok(names(&arrival_page(store, &log_id(), &query).await?.events))
}

/// Writes two events in each of three hours, and one that came late to the first.
async fn three_hours(store: &impl Store) -> Result<(Rows, Vec<Row>)> {
    let mut source = Rows::new(log_id());
    let mut rows: Vec<Row> = ["10:00:00", "10:59:59", "11:00:00", "11:59:59", "12:00:00", "12:30:00"]
        .map(|time| source.punctual(at(time), time))
        .into();
    rows.push(source.arrived(at("10:30:00"), at("12:45:00"), Record::new("late")));
    rows::write(store, &log_id(), &rows).await?;
    Ok((source, rows))
}

fn newest(rows: &[Row]) -> Seq {
    rows.last().expect("there are rows").event.position.seq
}

async fn delete(store: &impl Store, seq: Seq) -> Outcome {
    store.write(vec![Write::Delete { log: log_id(), seq }]).await
}

pub async fn a_sweep_takes_buckets_that_lie_wholly_before_its_horizon(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let (_, rows) = three_hours(store).await?;
    let swept = sweep(store, &log_id(), at("11:59:59"), newest(&rows), Seq::MIN).await?;
    assert_eq!(swept, Swept { buckets: 1, events: 3, unlisted: 0 });
    assert_eq!(all(store).await?, ["11:00:00", "11:59:59", "12:00:00", "12:30:00"]);
    let guard = guard.restart().await;
    let store = guard.store();
    assert_eq!(all(store).await?, ["11:00:00", "11:59:59", "12:00:00", "12:30:00"]);
    let told = describe(store, &log_id()).await?;
    assert_eq!((told.count, told.first, told.buckets), (4, Some(at("11:00:00")), 2));
    Ok(())
}

pub async fn who_follows_passes_over_what_was_swept(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let (_, rows) = three_hours(store).await?;
    sweep(store, &log_id(), at("11:30:00"), newest(&rows), Seq::MIN).await?;
    // The late one is listed where it arrived, in an hour that was kept.
    assert_eq!(followed(store).await?, ["11:00:00", "11:59:59", "12:00:00", "12:30:00"]);
    Ok(())
}

pub async fn a_row_that_comes_again_after_it_was_swept_stays_away(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let (_, rows) = three_hours(store).await?;
    sweep(store, &log_id(), at("11:30:00"), newest(&rows), Seq::MIN).await?;
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

pub async fn what_comes_late_to_a_swept_bucket_lives_until_the_next_sweep(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let (mut source, rows) = three_hours(store).await?;
    sweep(store, &log_id(), at("11:30:00"), newest(&rows), Seq::MIN).await?;
    let later = [source.arrived(at("10:00:00"), at("12:50:00"), Record::new("later"))];
    rows::write(store, &log_id(), &later).await?;
    assert_eq!(all(store).await?, ["later", "11:00:00", "11:59:59", "12:00:00", "12:30:00"]);
    let guard = guard.restart().await;
    let store = guard.store();
    assert_eq!(followed(store).await?, ["11:00:00", "11:59:59", "12:00:00", "12:30:00", "later"]);
    let swept = sweep(store, &log_id(), at("11:30:00"), newest(&later), Seq::MIN).await?;
    assert_eq!(swept, Swept { buckets: 1, events: 1, unlisted: 0 });
    assert_eq!(all(store).await?, ["11:00:00", "11:59:59", "12:00:00", "12:30:00"]);
    Ok(())
}

pub async fn an_empty_row_leaves_the_index_once_nothing_of_it_can_come_again(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let (mut source, rows) = three_hours(store).await?;
    let seq = newest(&rows);
    let count = async |store: &_| Store::buckets(store, &log_id(), Offset::MIN..=Offset::MAX, false, 100).await;
    sweep(store, &log_id(), at("11:30:00"), seq, seq).await?;
    assert_eq!(count(store).await?.len(), 3);
    let swept = sweep(store, &log_id(), at("11:30:00"), seq, seq + 1).await?;
    assert_eq!(swept, Swept { buckets: 0, events: 0, unlisted: 1 });
    assert_eq!(count(store).await?.len(), 2);
    // A bucket may come to be anew.
    let later = [
        source.punctual(at("13:00:00"), "13:00:00"),
        source.arrived(at("10:00:00"), at("13:00:01"), Record::new("later")),
    ];
    rows::write(store, &log_id(), &later).await?;
    let guard = guard.restart().await;
    assert_eq!(all(guard.store()).await?[0], "later");
    assert_eq!(describe(guard.store(), &log_id()).await?.count, 6);
    Ok(())
}

pub async fn a_deleted_log_is_not_there_and_does_not_come_back_when_its_source_is_read_again(
    guard: impl StoreGuard,
) -> Outcome {
    let store = guard.store();
    let (_, rows) = three_hours(store).await?;
    let cursor = Write::Cursor {
        log: log_id(),
        name: "me".to_owned(),
        cursor: Arrival { time: at("10:00:00"), seq: newest(&rows) },
    };
    store.write(vec![cursor]).await?;
    delete(store, newest(&rows)).await?;
    refused(ErrorKind::NotFound, all(store).await);
    let guard = guard.restart().await;
    let store = guard.store();
    // The stored place of the source was behind, and everything comes again.
    for some in rows.chunks(3) {
        rows::write(store, &log_id(), some).await?;
    }
    refused(ErrorKind::NotFound, all(store).await);
    assert_eq!((store.log(&log_id()).await?, store.logs(None, 10).await?), (None, vec![]));
    assert_eq!(store.cursor(&log_id(), "me").await?, None);
    let guard = guard.restart().await;
    refused(ErrorKind::NotFound, followed(guard.store()).await);
    Ok(())
}

pub async fn what_is_imported_again_after_a_delete_lives(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let (mut source, rows) = three_hours(store).await?;
    let seq = newest(&rows);
    delete(store, seq).await?;
    // The same events, at the same times; the first is the very next message.
    let again = ["10:00:00", "10:59:59", "12:30:00"];
    let imported = again.map(|time| source.arrived(at(time), at("13:00:00"), Record::new(time)));
    rows::write(store, &log_id(), &imported).await?;
    assert_eq!(all(store).await?, again);
    let guard = guard.restart().await;
    let store = guard.store();
    assert_eq!(
        (all(store).await?, followed(store).await?),
        (again.map(str::to_owned).into(), again.map(str::to_owned).into())
    );
    assert_eq!(describe(store, &log_id()).await?.count, 3);
    assert_eq!(store.log(&log_id()).await?.map(|row| row.cut), Some(seq));
    // And what was there before stays dead beside it.
    rows::write(store, &log_id(), &rows).await?;
    assert_eq!(all(store).await?, again);
    assert_eq!(describe(store, &log_id()).await?.count, 3);
    Ok(())
}

pub async fn a_log_that_is_made_again_after_it_was_deleted_keeps_what_was_cut(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let (_, rows) = three_hours(store).await?;
    delete(store, newest(&rows)).await?;
    let widths = Widths::new("1m".parse()?);
    rows::make(store, &log_id(), widths.clone()).await?;
    let made = store.log(&log_id()).await?;
    let expected = LogRow { created: Offset::from_nanos(0), widths, retention_seconds: None, cut: newest(&rows) };
    assert_eq!(made, Some(expected));
    rows::write(store, &log_id(), &rows).await?;
    assert_eq!(all(store).await?, [""; 0]);
    Ok(())
}
