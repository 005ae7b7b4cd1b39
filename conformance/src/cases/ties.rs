//! Events with one offset are read once each, in arrival order.

use hourlog::{ArrivalCursor, Log, Record};

use crate::{
    guard::{Guard, Outcome, take_arrived},
    kit::{assert_arrival_order, assert_timeline_order, at, record},
};

/// The number of events that share one offset.
const TIES: usize = 10_000;

pub async fn ten_thousand_events_at_one_time_are_read_once_each_in_pages_of_seven(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    let records = (0..TIES).map(|number| Record::new(number.to_string()).at(at("10:00:00")));
    let positions = log.write_many(records.collect()).await?;
    assert_eq!(positions.len(), TIES);

    let mut read = Vec::new();
    loop {
        let page = log.read_many(7).await?;
        assert!(page.len() <= 7, "a page of {} events", page.len());
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    assert_timeline_order(&read);
    assert!(read.iter().map(|event| event.position).eq(positions), "{} events were read", read.len());
    let in_order = read.iter().enumerate().all(|(number, event)| &*event.record.data == number.to_string().as_bytes());
    assert!(in_order, "the data is not in the order of the positions");

    let (arrived, _) = take_arrived(&mut log, ArrivalCursor::FIRST, usize::MAX).await?;
    assert_arrival_order(&arrived);
    assert!(arrived == read, "arrival order and timeline differ: {} and {} events", arrived.len(), read.len());
    Ok(())
}

pub async fn a_tie_written_while_its_time_is_being_read_is_read_last(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    log.write_many(vec![record("10:00:00", "a"), record("10:00:00", "b")]).await?;
    let first = log.read().await?.expect("two events were written");
    let late = log.write(record("10:00:00", "c")).await?;
    let rest: Vec<_> = log.read_many(10).await?.iter().map(|event| event.position).collect();
    assert_eq!(rest.len(), 2);
    assert!(first.position < rest[0] && rest[0] < late && rest[1] == late);
    Ok(())
}
