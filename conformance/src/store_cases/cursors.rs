//! The cursors of readers.

use hourlog::{
    ArrivalCursor, Seq,
    store::{CursorChange, Store, Write},
};

use crate::{
    guard::{Outcome, StoreGuard, log_id},
    kit::{at, id},
};

fn cursor(number: i64) -> ArrivalCursor {
    ArrivalCursor { time: at("10:00:00"), seq: Seq::from_number(number) }
}

fn change(name: &str, change: CursorChange) -> Write {
    Write::Cursor { log: log_id(), name: name.to_owned(), change }
}

fn advance(name: &str, number: i64) -> Write {
    change(name, CursorChange::Advance(cursor(number)))
}

fn reset(name: &str, number: i64) -> Write {
    change(name, CursorChange::Reset(cursor(number)))
}

pub async fn the_newest_cursor_of_a_reader_wins(guard: impl StoreGuard) -> Outcome {
    guard.store().write(vec![advance("reader", 5), advance("reader2", 9)]).await?;
    guard.store().write(vec![advance("reader", 3)]).await?;
    assert_eq!(
        guard.store().cursor(&log_id(), "reader").await?,
        Some(cursor(5)),
        "an older cursor must not replace it"
    );
    guard.store().write(vec![advance("reader", 8), advance("reader", 7)]).await?;
    let guard = guard.restart().await;
    assert_eq!(guard.store().cursor(&log_id(), "reader").await?, Some(cursor(8)));
    assert_eq!(guard.store().cursor(&log_id(), "reader2").await?, Some(cursor(9)));
    assert_eq!(guard.store().cursor(&log_id(), "nobody").await?, None);
    assert_eq!(guard.store().cursor(&id("orders"), "reader").await?, None);
    Ok(())
}

pub async fn a_cursor_can_be_reset_to_an_earlier_place(guard: impl StoreGuard) -> Outcome {
    guard.store().write(vec![advance("reader", 9)]).await?;
    guard.store().write(vec![reset("reader", 2)]).await?;
    let guard = guard.restart().await;
    assert_eq!(guard.store().cursor(&log_id(), "reader").await?, Some(cursor(2)));
    guard.store().write(vec![advance("reader", 1)]).await?;
    guard.store().write(vec![advance("reader", 3)]).await?;
    assert_eq!(guard.store().cursor(&log_id(), "reader").await?, Some(cursor(3)), "it moves on from there");
    guard.store().write(vec![reset("new", 4)]).await?;
    assert_eq!(guard.store().cursor(&log_id(), "new").await?, Some(cursor(4)));
    Ok(())
}

pub async fn a_deleted_cursor_can_be_created_again_at_an_earlier_place(guard: impl StoreGuard) -> Outcome {
    guard.store().write(vec![advance("reader", 9), advance("reader2", 9)]).await?;
    guard.store().write(vec![change("reader", CursorChange::Delete), change("nobody", CursorChange::Delete)]).await?;
    let guard = guard.restart().await;
    assert_eq!(guard.store().cursor(&log_id(), "reader").await?, None);
    guard.store().write(vec![advance("reader", 2)]).await?;
    let guard = guard.restart().await;
    let expected = [("reader".to_owned(), cursor(2)), ("reader2".to_owned(), cursor(9))];
    assert_eq!(guard.store().cursors(&log_id()).await?, expected);
    Ok(())
}

pub async fn changes_of_one_write_apply_in_their_order(guard: impl StoreGuard) -> Outcome {
    let delete = |name| change(name, CursorChange::Delete);
    let writes = vec![
        advance("a", 5),
        reset("a", 1),
        advance("a", 3),
        advance("b", 5),
        delete("b"),
        advance("b", 2),
        advance("c", 5),
        delete("c"),
    ];
    guard.store().write(writes).await?;
    let guard = guard.restart().await;
    let expected = [("a".to_owned(), cursor(3)), ("b".to_owned(), cursor(2))];
    assert_eq!(guard.store().cursors(&log_id()).await?, expected);
    Ok(())
}

pub async fn cursors_are_listed_by_name(guard: impl StoreGuard) -> Outcome {
    assert_eq!(guard.store().cursors(&log_id()).await?, []);
    let names = ["b", "a", "a-b", "Z", "a.b"];
    let mut writes: Vec<Write> = names.iter().map(|name| advance(name, 5)).collect();
    // An id that begins with the log's own.
    let other = id(&format!("{}.west", log_id()));
    writes.push(Write::Cursor { log: other, name: "x".to_owned(), change: CursorChange::Advance(cursor(1)) });
    guard.store().write(writes).await?;
    let guard = guard.restart().await;
    let listed = guard.store().cursors(&log_id()).await?;
    let expected = ["Z", "a", "a-b", "a.b", "b"].map(|name| (name.to_owned(), cursor(5)));
    assert_eq!(listed, expected);
    Ok(())
}

pub async fn concurrent_readers_leave_the_newest_cursor(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let readers = (1..=16).map(|number| {
        let store = store.clone();
        tokio::spawn(async move { store.write(vec![advance("reader", number)]).await })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.expect("the task does not panic")?;
    }
    assert_eq!(store.cursor(&log_id(), "reader").await?, Some(cursor(16)));
    Ok(())
}
