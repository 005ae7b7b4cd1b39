//! Written events survive a restart.

use hourlog::{ArrivalCursor, Log, Record};

use crate::{
    guard::{Guard, Outcome, drain, take_arrived},
    kit::{assert_arrival_order, names, record},
};

pub async fn events_survive_a_restart(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    log.write_many(vec![record("10:00:00", "a").with("kind", "paid"), record("09:00:00", "b"), Record::new("now")])
        .await?;
    let before = drain(&mut log).await?;
    drop(log);
    let guard = guard.restart().await;
    assert_eq!(drain(&mut guard.log().await?).await?, before);
    Ok(())
}

pub async fn seqs_and_arrival_order_continue_after_restarts(mut guard: impl Guard) -> Outcome {
    let mut cursor = ArrivalCursor::FIRST;
    let mut expected = Vec::new();
    for life in ["first", "second", "third"] {
        let mut log = guard.log().await?;
        let records = [record("12:00:00", life), record("10:00:00", life), Record::new(life)];
        expected.extend(log.write_many(records.to_vec()).await?);
        let (events, next) = take_arrived(&mut log, cursor, usize::MAX).await?;
        assert_eq!(names(&events), [life, life, life]);
        cursor = next;
        drop(log);
        guard = guard.restart().await;
    }
    let mut log = guard.log().await?;
    assert_eq!(take_arrived(&mut log, cursor, usize::MAX).await?, (Vec::new(), cursor));
    let (events, _) = take_arrived(&mut log, ArrivalCursor::FIRST, usize::MAX).await?;
    assert_arrival_order(&events);
    assert_eq!(events.iter().map(|event| event.position).collect::<Vec<_>>(), expected);
    Ok(())
}
