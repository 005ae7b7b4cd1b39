//! Handles are independent of each other, usable until they are closed, and do not create an
//! unknown log.

use hourlog::{ArrivalCursor, ErrorKind, Events, Log, LogId, Offset, Record};

use crate::{
    guard::{Guard, Outcome, drain, take},
    ids::odd_ids,
    kit::{at, id, names, record, refused},
};

pub async fn two_handles_on_one_log_do_not_move_each_other(guard: impl Guard) -> Outcome {
    let (mut first, mut second) = (guard.log().await?, guard.log().await?);
    first.write_many(vec![record("10:00:00", "a"), record("11:00:00", "b"), record("12:00:00", "c")]).await?;
    assert_eq!(names(&take(&mut first, 2).await?), ["a", "b"]);
    assert_eq!(names(&take(&mut second, 1).await?), ["a"]);
    second.seek(at("12:00:00")).await?;
    assert_eq!(names(&drain(&mut first).await?), ["c"]);
    assert_eq!(names(&drain(&mut second).await?), ["c"]);
    second.close().await?;
    first.seek(at("10:00:00")).await?;
    assert_eq!(names(&drain(&mut first).await?), ["a", "b", "c"]);
    Ok(())
}

pub async fn two_handles_can_write_concurrently(guard: impl Guard) -> Outcome {
    let (mut first, mut second) = (guard.log().await?, guard.log().await?);
    for round in 0..20 {
        let (a, b) = tokio::join!(
            first.write(Record::new(format!("first {round}")).at(at("10:00:00"))),
            second.write(Record::new(format!("second {round}")).at(at("10:00:00"))),
        );
        assert_ne!(a?.seq, b?.seq);
    }
    let mut reader = guard.log().await?;
    let mut read = names(&drain(&mut reader).await?);
    read.sort_unstable();
    read.dedup();
    assert_eq!(read.len(), 40);
    Ok(())
}

pub async fn logs_do_not_see_each_others_events(guard: impl Guard) -> Outcome {
    // Ids that begin with one another, as text and as bytes.
    let ids: Vec<LogId> = ["a.b", "a.b.c", "a-b", "ab"].map(id).into_iter().chain(odd_ids()).collect();
    for id in &ids {
        guard.events().log(id).await?.write(record("10:00:00", id.as_str())).await?;
    }
    for id in &ids {
        let mut log = guard.events().log(id).await?;
        let events = drain(&mut log).await?;
        assert_eq!(names(&events), [id.as_str()]);
        assert_eq!(&events[0].log, id);
        let (arrived, _) = log.arrivals_page(ArrivalCursor::FIRST, 10).await?;
        assert_eq!(names(&arrived), [id.as_str()]);
    }
    let guard = guard.restart().await;
    for id in &ids {
        let mut log = guard.events().log(id).await?;
        log.write(record("11:00:00", "later")).await?;
        assert_eq!(names(&drain(&mut log).await?), [id.as_str(), "later"]);
    }
    Ok(())
}

pub async fn a_closed_handle_refuses_everything(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    log.write_many(vec![record("10:00:00", "a"), record("11:00:00", "b")]).await?;
    assert!(log.read().await?.is_some(), "the handle may have read a page ahead");
    log.close().await?;
    refused(ErrorKind::Closed, log.read().await);
    refused(ErrorKind::Closed, log.read_many(1).await);
    refused(ErrorKind::Closed, log.seek(at("10:00:00")).await);
    refused(ErrorKind::Closed, log.write(record("12:00:00", "c")).await);
    refused(ErrorKind::Closed, log.write_many(Vec::new()).await);
    refused(ErrorKind::Closed, log.arrivals_page(ArrivalCursor::FIRST, 1).await);
    refused(ErrorKind::Closed, log.close().await);
    assert_eq!(log.id().as_str(), "orders.eu");
    assert_eq!(names(&drain(&mut guard.log().await?).await?), ["a", "b"]);
    Ok(())
}

pub async fn reading_an_unknown_log_fails_and_does_not_create_it(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    for _ in 0..2 {
        refused(ErrorKind::NotFound, log.read().await);
        refused(ErrorKind::NotFound, log.read_many(10).await);
        refused(ErrorKind::NotFound, log.seek(at("10:00:00")).await);
        refused(ErrorKind::NotFound, log.seek(Offset::MAX).await);
        refused(ErrorKind::NotFound, log.arrivals_page(ArrivalCursor::FIRST, 10).await);
        log = guard.log().await?;
    }
    Ok(())
}

pub async fn a_handle_opened_before_the_log_exists_reads_it_later(guard: impl Guard) -> Outcome {
    let (mut reader, mut writer) = (guard.log().await?, guard.log().await?);
    refused(ErrorKind::NotFound, reader.read().await);
    writer.write(record("10:00:00", "a")).await?;
    assert_eq!(names(&drain(&mut reader).await?), ["a"]);
    Ok(())
}
