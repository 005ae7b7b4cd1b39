//! What an archive keeps beside events: logs, sources, epochs and readers' cursors.

use hourlog::{Arrival, EpochRow, LogId, LogRow, Offset, Record, Row, Seq, SourceRow, Store, Width, Widths, Write};

use crate::{
    guard::{Outcome, StoreGuard, log_id},
    kit::{at, id},
    rows::{self, Rows},
};

/// A time that goes with a seq.
fn time_of(seq: Seq) -> Offset {
    at("10:00:00").saturating_add_nanos(seq % 1_000_000)
}

fn head(stream: &str, slot: u8, seq: Seq) -> Write {
    Write::Head { stream: stream.into(), slot, seq, time: time_of(seq) }
}

fn archived(stream: &str, slot: u8, seq: Seq) -> Write {
    let high = time_of(seq).saturating_add_nanos(1);
    Write::Archived { stream: stream.into(), slot, seq, time: time_of(seq), high }
}

/// A source whose messages up to `seq` are archived, of which none is newer.
fn source(seq: Seq) -> SourceRow {
    let high = time_of(seq).saturating_add_nanos(1);
    SourceRow { cursor: seq, cursor_time: time_of(seq), head: seq, head_time: time_of(seq), high }
}

fn epoch_row(epoch: u32, stream: &str) -> EpochRow {
    EpochRow { epoch, stream: stream.to_owned(), from: 1, started: at("10:00:00") }
}

pub async fn logs_are_listed_by_id_in_pages(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let mut ids: Vec<_> = ["b", "a", "a.b", "orders.eu", "orders", "Z", "_rejected", "a-b", "a0"].map(id).to_vec();
    for log in &ids {
        let row = Rows::new(log.clone()).punctual(at("10:00:00"), "x");
        rows::write(store, log, &[row]).await?;
    }
    ids.sort_unstable();
    for limit in [1, 2, 4, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.logs(after.as_ref(), limit).await?;
            assert!(page.len() <= limit);
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            found.extend(page.into_iter().map(|(log, row)| {
                assert_eq!(row.created, at("10:00:00"));
                log
            }));
        }
        assert_eq!(found, ids, "in pages of {limit}");
    }
    assert_eq!(store.logs(Some(&id("orders")), 1).await?[0].0, id("orders.eu"));
    assert_eq!(store.logs(Some(&id("nobody")), 1).await?[0].0, id("orders"), "from an id that is not there");
    Ok(())
}

pub async fn what_is_known_of_a_log_is_kept_as_it_was_written(guard: impl StoreGuard) -> Outcome {
    let changes = vec![(at("12:00:00"), Width::from_seconds(13 * 60)?), (at("13:05:00"), Width::DAY)];
    let widths = Widths::from_parts(Width::SECOND, changes)?;
    let row = LogRow { created: at("10:00:00"), widths, retention_seconds: Some(86_400 * 365), cut: (1 << 40) | 7 };
    guard.store().write(vec![Write::Log(log_id(), row.clone())]).await?;
    let other = LogRow { created: Offset::MIN, widths: Widths::default(), retention_seconds: None, cut: Seq::MIN };
    guard.store().write(vec![Write::Log(id("other"), other.clone())]).await?;
    let guard = guard.restart().await;
    assert_eq!(guard.store().log(&log_id()).await?, Some(row));
    assert_eq!(guard.store().log(&id("other")).await?, Some(other));
    assert_eq!(guard.store().log(&id("orders")).await?, None);
    Ok(())
}

pub async fn sources_are_kept_by_stream_and_slot(guard: impl StoreGuard) -> Outcome {
    assert_eq!(guard.store().sources("HOURLOG").await?, []);
    // A name that begins with another's is another's.
    let places = [("HOURLOG", 63, 1), ("HOURLOG", 0, Seq::MAX), ("HOURLOG2", 7, 3), ("HOUR", 7, 4), ("HOURLOG", 7, 5)];
    let writes =
        places.into_iter().flat_map(|(stream, slot, seq)| [head(stream, slot, seq), archived(stream, slot, seq)]);
    guard.store().write(writes.collect()).await?;
    let guard = guard.restart().await;
    assert_eq!(guard.store().sources("HOURLOG").await?, [(0, source(Seq::MAX)), (7, source(5)), (63, source(1))]);
    assert_eq!(guard.store().sources("HOUR").await?, [(7, source(4))]);
    assert_eq!(guard.store().sources("NOBODY").await?, []);
    Ok(())
}

pub async fn the_places_of_a_source_move_forward_only(guard: impl StoreGuard) -> Outcome {
    guard.store().write(vec![head("HOURLOG", 7, 10), archived("HOURLOG", 7, 5)]).await?;
    let expected = SourceRow { head: 10, head_time: time_of(10), ..source(5) };
    assert_eq!(guard.store().sources("HOURLOG").await?, [(7, expected)]);
    guard.store().write(vec![head("HOURLOG", 7, 9), archived("HOURLOG", 7, 4)]).await?;
    assert_eq!(guard.store().sources("HOURLOG").await?, [(7, expected)], "an old owner moved them back");
    guard.store().write(vec![archived("HOURLOG", 7, 12), archived("HOURLOG", 7, 11), head("HOURLOG", 7, 12)]).await?;
    assert_eq!(guard.store().sources("HOURLOG").await?, [(7, source(12))]);
    Ok(())
}

pub async fn an_epoch_is_begun_once(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    assert!(store.begin_epoch(7, epoch_row(1, "HOURLOG")).await?);
    assert!(!store.begin_epoch(7, epoch_row(1, "HOURLOG")).await?);
    assert!(!store.begin_epoch(7, epoch_row(1, "OTHER")).await?, "begun by another stream");
    assert!(store.begin_epoch(8, epoch_row(1, "HOURLOG")).await?, "another slot");
    for epoch in [300, 2] {
        assert!(store.begin_epoch(7, epoch_row(epoch, "OTHER")).await?);
    }
    let guard = guard.restart().await;
    let expected = [epoch_row(1, "HOURLOG"), epoch_row(2, "OTHER"), epoch_row(300, "OTHER")];
    assert_eq!(guard.store().epochs(7).await?, expected);
    assert!(!guard.store().begin_epoch(7, epoch_row(2, "HOURLOG")).await?);
    assert_eq!(guard.store().epochs(9).await?, []);
    Ok(())
}

pub async fn of_many_who_begin_one_epoch_at_once_one_has_begun_it(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    for epoch in 1..20 {
        let askers = (0..8).map(|asker| {
            let store = store.clone();
            tokio::spawn(async move { store.begin_epoch(7, epoch_row(epoch, &format!("asker {asker}"))).await })
        });
        let mut begun = Vec::new();
        for (number, asker) in askers.collect::<Vec<_>>().into_iter().enumerate() {
            if asker.await.expect("it does not panic")? {
                begun.push(format!("asker {number}"));
            }
        }
        let stored = store.epochs(7).await?.pop().expect("one was begun");
        assert_eq!((begun, stored.epoch), (vec![stored.stream], epoch));
    }
    Ok(())
}

pub async fn the_newest_cursor_of_a_reader_wins(guard: impl StoreGuard) -> Outcome {
    let cursor = |seq| Arrival { time: at("10:00:00"), seq };
    let write = |name: &str, cursor| Write::Cursor { log: log_id(), name: name.to_owned(), cursor };
    guard.store().write(vec![write("reader", cursor(5)), write("reader2", cursor(9))]).await?;
    guard.store().write(vec![write("reader", cursor(3))]).await?;
    assert_eq!(guard.store().cursor(&log_id(), "reader").await?, Some(cursor(5)), "an old one came late");
    guard.store().write(vec![write("reader", cursor(8)), write("reader", cursor(7))]).await?;
    let guard = guard.restart().await;
    assert_eq!(guard.store().cursor(&log_id(), "reader").await?, Some(cursor(8)));
    assert_eq!(guard.store().cursor(&log_id(), "reader2").await?, Some(cursor(9)));
    assert_eq!(guard.store().cursor(&log_id(), "nobody").await?, None);
    assert_eq!(guard.store().cursor(&id("orders"), "reader").await?, None);
    Ok(())
}

pub async fn everything_that_is_written_together_is_there_together(guard: impl StoreGuard) -> Outcome {
    let (mut here, mut there) = (Rows::new(log_id()), Rows::new(id("other")));
    let events = |log: LogId, rows: Vec<Row>| Write::Events { log, rows: rows.into() };
    let written = vec![
        head("HOURLOG", 7, 1),
        archived("HOURLOG", 7, 1),
        events(log_id(), vec![here.arrived(at("10:00:00"), at("11:00:00"), Record::new("a"))]),
        events(id("other"), vec![there.punctual(at("10:00:00"), "b")]),
        events(log_id(), vec![here.punctual(at("12:00:00"), "c")]),
        Write::Cursor { log: log_id(), name: "reader".to_owned(), cursor: Arrival { time: at("10:00:00"), seq: 1 } },
    ];
    guard.store().write(written).await?;
    guard.store().write(Vec::new()).await?;
    guard.store().write(vec![events(id("nobody"), Vec::new())]).await?;
    let guard = guard.restart().await;
    assert_eq!(hourlog::describe(guard.store(), &log_id()).await?.count, 2);
    assert_eq!(hourlog::describe(guard.store(), &id("other")).await?.count, 1);
    assert_eq!(guard.store().sources("HOURLOG").await?, [(7, source(1))]);
    assert_eq!(guard.store().log(&id("nobody")).await?, None, "no events make no log");
    Ok(())
}
