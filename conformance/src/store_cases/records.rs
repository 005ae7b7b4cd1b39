//! The other rows of an archive: logs, sources and epochs.

use hourlog::{
    ArrivalCursor, LogId, Offset, Record, Seq,
    store::{CursorChange, EpochRow, EventRow, LogRow, Removed, SourceRow, Store, Width, Widths, Write},
};

use crate::{
    guard::{Outcome, StoreGuard, log_id},
    ids::odd_ids,
    kit::{at, id},
    rows::{self, RowSource},
};

/// Returns a time that depends on the seq.
fn time_of(seq: Seq) -> Offset {
    at("10:00:00").saturating_add_nanos(seq.get() % 1_000_000)
}

fn number(number: i64) -> Seq {
    Seq::from_number(number)
}

fn head(stream: &str, slot: u8, seq: i64) -> Write {
    let seq = number(seq);
    Write::Head { stream: stream.into(), slot, seq, time: time_of(seq) }
}

fn archived(stream: &str, slot: u8, seq: i64) -> Write {
    let seq = number(seq);
    let max_time = time_of(seq).saturating_add_nanos(1);
    Write::Archived { stream: stream.into(), slot, seq, time: time_of(seq), max_time }
}

/// The row of a source whose newest message is `seq`, with everything archived.
fn source(seq: i64) -> SourceRow {
    let seq = number(seq);
    let max_time = time_of(seq).saturating_add_nanos(1);
    SourceRow { checkpoint: seq, checkpoint_time: time_of(seq), head: seq, head_time: time_of(seq), max_time }
}

fn epoch_row(epoch: u32, stream: &str) -> EpochRow {
    EpochRow { epoch, stream: stream.to_owned(), from: 1, started: at("10:00:00") }
}

pub async fn logs_are_listed_by_id_in_pages(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let mut ids: Vec<_> =
        ["b", "a.b", "orders.eu", "orders", "Z", "_rejected", "_rejected.ORDERS", "a-b", "a0"].map(id).to_vec();
    ids.extend(odd_ids());
    for log in &ids {
        let row = RowSource::new(log.clone()).on_time(at("10:00:00"), "x");
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
    assert_eq!(store.logs(Some(&id("nobody")), 1).await?[0].0, id("orders"), "after an id that does not exist");
    Ok(())
}

pub async fn the_settings_of_a_log_are_stored_unchanged(guard: impl StoreGuard) -> Outcome {
    let changes = vec![(at("12:00:00"), Width::from_seconds(13 * 60)?), (at("13:05:00"), Width::DAY)];
    let widths = Widths::from_parts(Width::SECOND, changes)?;
    let row = LogRow {
        created: at("10:00:00"),
        widths,
        retention: Some(std::time::Duration::from_secs(86_400 * 365)),
        removed: Some(Removed { to: at("09:00:00"), seq: Seq::new(1, 5) }),
        settings_at: Seq::new(1, 9),
        deleted_to: Seq::new(1, 7),
    };
    guard.store().write(vec![Write::Log(log_id(), row.clone())]).await?;
    let other = LogRow { retention: Some(LogRow::FOREVER), ..LogRow::new(Offset::MIN, Widths::default()) };
    guard.store().write(vec![Write::Log(id("other"), other.clone())]).await?;
    let guard = guard.restart().await;
    assert_eq!(guard.store().log(&log_id()).await?, Some(row));
    assert_eq!(guard.store().log(&id("other")).await?, Some(other));
    assert_eq!(guard.store().log(&id("orders")).await?, None);
    Ok(())
}

pub async fn sources_are_stored_by_stream_and_slot(guard: impl StoreGuard) -> Outcome {
    assert_eq!(guard.store().sources("HOURLOG").await?, []);
    // Some names begin with one another. Those with a slash are of an archive's own writers.
    let rows = [
        ("HOURLOG", 63, 1),
        ("HOURLOG", 0, i64::MAX),
        ("HOURLOG2", 7, 3),
        ("HOUR", 7, 4),
        ("/HOUR", 7, 6),
        ("//HOUR", 7, 8),
        ("HOURLOG", 7, 5),
    ];
    let writes =
        rows.into_iter().flat_map(|(stream, slot, seq)| [head(stream, slot, seq), archived(stream, slot, seq)]);
    guard.store().write(writes.collect()).await?;
    let guard = guard.restart().await;
    assert_eq!(guard.store().sources("HOURLOG").await?, [(0, source(i64::MAX)), (7, source(5)), (63, source(1))]);
    assert_eq!(guard.store().sources("HOUR").await?, [(7, source(4))]);
    assert_eq!(guard.store().sources("/HOUR").await?, [(7, source(6))]);
    assert_eq!(guard.store().sources("//HOUR").await?, [(7, source(8))]);
    assert_eq!(guard.store().sources("NOBODY").await?, []);
    Ok(())
}

pub async fn the_checkpoint_and_head_of_a_source_only_move_forward(guard: impl StoreGuard) -> Outcome {
    guard.store().write(vec![head("HOURLOG", 7, 10), archived("HOURLOG", 7, 5)]).await?;
    let expected = SourceRow { head: number(10), head_time: time_of(number(10)), ..source(5) };
    assert_eq!(guard.store().sources("HOURLOG").await?, [(7, expected)]);
    guard.store().write(vec![head("HOURLOG", 7, 9), archived("HOURLOG", 7, 4)]).await?;
    assert_eq!(guard.store().sources("HOURLOG").await?, [(7, expected)], "a previous owner must not move them back");
    guard.store().write(vec![archived("HOURLOG", 7, 12), archived("HOURLOG", 7, 11), head("HOURLOG", 7, 12)]).await?;
    assert_eq!(guard.store().sources("HOURLOG").await?, [(7, source(12))]);
    Ok(())
}

pub async fn an_epoch_is_begun_once(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    assert!(store.begin_epoch(7, epoch_row(1, "HOURLOG")).await?);
    assert!(!store.begin_epoch(7, epoch_row(1, "HOURLOG")).await?);
    assert!(!store.begin_epoch(7, epoch_row(1, "OTHER")).await?, "another stream cannot begin it again");
    assert!(store.begin_epoch(8, epoch_row(1, "HOURLOG")).await?, "epochs of slots are independent");
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

pub async fn one_of_several_concurrent_attempts_to_begin_an_epoch_succeeds(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    for epoch in 1..20 {
        let askers = (0..8).map(|asker| {
            let store = store.clone();
            tokio::spawn(async move { store.begin_epoch(7, epoch_row(epoch, &format!("asker {asker}"))).await })
        });
        let mut begun = Vec::new();
        for (number, asker) in askers.collect::<Vec<_>>().into_iter().enumerate() {
            if asker.await.expect("the task does not panic")? {
                begun.push(format!("asker {number}"));
            }
        }
        let stored = store.epochs(7).await?.pop().expect("an epoch was begun");
        assert_eq!((begun, stored.epoch), (vec![stored.stream], epoch));
    }
    Ok(())
}

pub async fn rows_written_together_are_stored_together(guard: impl StoreGuard) -> Outcome {
    let (mut here, mut there) = (RowSource::new(log_id()), RowSource::new(id("other")));
    let events = |log: LogId, rows: Vec<EventRow>| Write::Events { log, rows: rows.into(), width: Width::default() };
    let written = vec![
        head("HOURLOG", 7, 1),
        archived("HOURLOG", 7, 1),
        events(log_id(), vec![here.arrival(at("10:00:00"), at("11:00:00"), Record::new("a"))]),
        events(id("other"), vec![there.on_time(at("10:00:00"), "b")]),
        events(log_id(), vec![here.on_time(at("12:00:00"), "c")]),
        Write::Cursor {
            log: log_id(),
            name: "reader".to_owned(),
            change: CursorChange::Advance(ArrivalCursor { time: at("10:00:00"), seq: number(1) }),
        },
    ];
    guard.store().write(written).await?;
    guard.store().write(Vec::new()).await?;
    guard.store().write(vec![events(id("nobody"), Vec::new())]).await?;
    let guard = guard.restart().await;
    assert_eq!(hourlog::read::describe(guard.store(), &log_id()).await?.count, 2);
    assert_eq!(hourlog::read::describe(guard.store(), &id("other")).await?.count, 1);
    assert_eq!(guard.store().sources("HOURLOG").await?, [(7, source(1))]);
    assert_eq!(guard.store().log(&id("nobody")).await?, None, "an empty write creates no log");
    Ok(())
}
