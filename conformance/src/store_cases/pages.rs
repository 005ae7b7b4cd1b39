//! Pages are half-open ranges in either direction, limited in size, and end at the visible seq.

use hourlog::{
    ErrorKind, Event, Offset, Position, Record, Result, Seq,
    read::{End, Page, Query, page},
    store::{EventRow, Store},
    time::{HOUR, MINUTE},
};

use crate::{
    guard::{Outcome, StoreGuard, log_id},
    kit::{assert_timeline_order, at, names, refused},
    rows::{self, RowSource},
};

/// Writes three events per hour from ten o'clock on, named by their number.
async fn three_an_hour(store: &impl Store, hours: i64) -> Result<Vec<Event>> {
    let mut source = RowSource::new(log_id());
    let times = (0..hours * 3).map(|number| at("10:00:00").saturating_add_nanos(number * HOUR / 3));
    let written: Vec<EventRow> =
        times.enumerate().map(|(number, offset)| source.on_time(offset, &number.to_string())).collect();
    rows::write(store, &log_id(), &written).await?;
    Ok(written.into_iter().map(|row| row.event).collect())
}

async fn read(store: &impl Store, query: Query) -> Result<Page> {
    read_up_to(store, query, Seq::MAX).await
}

async fn read_up_to(store: &impl Store, query: Query, visible: Seq) -> Result<Page> {
    page(store, &log_id(), &query, visible).await
}

fn until(text: &str) -> Option<Position> {
    Some(Position::at(at(text)))
}

pub async fn a_reverse_page_is_a_forward_page_reversed(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let mut written = three_an_hour(store, 20).await?;
    assert_timeline_order(&written);
    assert_eq!(read(store, Query::ALL).await?.events, written);
    written.reverse();
    assert_eq!(read(store, Query { reverse: true, ..Query::ALL }).await?.events, written);
    Ok(())
}

pub async fn reverse_pages_continue_before_the_last_event(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let mut written = three_an_hour(store, 8).await?;
    written.reverse();
    let (mut events, mut to) = (Vec::new(), None);
    loop {
        let page = read(store, Query { to, reverse: true, limit: 5, ..Query::ALL }).await?;
        assert!(page.events.len() <= 5);
        to = page.events.last().map(|event| event.position);
        events.extend(page.events);
        if page.end != End::More {
            assert_eq!(page.end, End::CaughtUp);
            break;
        }
    }
    assert_eq!(events, written);
    Ok(())
}

pub async fn a_range_is_half_open(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    three_an_hour(store, 3).await?;
    for reverse in [false, true] {
        let query = Query { from: Position::at(at("10:20:00")), to: until("11:20:00"), reverse, ..Query::ALL };
        let page = read(store, query).await?;
        let mut expected = ["1", "2", "3"];
        if reverse {
            expected.reverse();
        }
        assert_eq!((names(&page.events), page.end), (expected.map(str::to_owned).to_vec(), End::Bound));
        let just = Query { to: Some(Position::at(at("11:20:00").saturating_add_nanos(1))), ..query };
        assert_eq!(read(store, just).await?.events.len(), 4, "one tick more includes the event at the bound");
        let empty = Query { to: Some(query.from), ..query };
        assert_eq!(
            read(store, empty).await?,
            Page { events: Vec::new(), end: End::Bound, scanned: 0, held_back: false }
        );
    }
    Ok(())
}

pub async fn a_range_can_begin_and_end_between_events_of_one_time(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let mut source = RowSource::new(log_id());
    let ties: Vec<EventRow> = ["a", "b", "c", "d"].iter().map(|name| source.on_time(at("10:00:00"), name)).collect();
    rows::write(store, &log_id(), &ties).await?;
    let at = |index: usize| ties[index].event.position;
    let query = Query { from: at(1), to: Some(at(3)), ..Query::ALL };
    assert_eq!(names(&read(store, query).await?.events), ["b", "c"]);
    assert_eq!(names(&read(store, Query { reverse: true, ..query }).await?.events), ["c", "b"]);
    assert_eq!(names(&read(store, Query { from: at(1).next(), ..query }).await?.events), ["c"]);
    Ok(())
}

pub async fn the_end_of_a_page_says_why_it_ended(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    three_an_hour(store, 2).await?;
    let end = async |query| Ok::<_, hourlog::Error>(read(store, query).await?.end);
    assert_eq!(end(Query { limit: 5, ..Query::ALL }).await?, End::More);
    assert_eq!(end(Query { limit: 7, ..Query::ALL }).await?, End::CaughtUp);
    assert_eq!(end(Query { to: until("11:00:00"), ..Query::ALL }).await?, End::Bound);
    assert_eq!(end(Query { to: until("23:00:00"), ..Query::ALL }).await?, End::Bound);
    assert_eq!(end(Query { reverse: true, ..Query::ALL }).await?, End::CaughtUp);
    assert_eq!(end(Query { reverse: true, from: Position::at(at("11:00:00")), ..Query::ALL }).await?, End::Bound);
    Ok(())
}

pub async fn a_page_is_limited_by_bytes_but_holds_at_least_one_event(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let mut source = RowSource::new(log_id());
    let sizes = [10_usize, 1_000, 10, 10, 0, 10, 500];
    let written: Vec<EventRow> = sizes
        .iter()
        .zip(0_i64..)
        .map(|(size, number)| {
            // Two events per bucket.
            let offset = at("10:00:00").saturating_add_nanos(number * HOUR / 2);
            source.arrival(offset, offset, Record::new(vec![b'x'; *size]))
        })
        .collect();
    rows::write(store, &log_id(), &written).await?;
    for bytes in [0, 1, 20, 25, 1_010, 5_000] {
        for reverse in [false, true] {
            let (mut events, mut query) = (Vec::new(), Query { bytes, reverse, ..Query::ALL });
            loop {
                let page = read(store, query).await?;
                let all_but_last: usize = page.events.iter().rev().skip(1).map(|event| event.record.bytes()).sum();
                assert!(
                    all_but_last < bytes.max(1),
                    "the page went on after {all_but_last} bytes, the limit was {bytes}"
                );
                match page.events.last() {
                    Some(last) if reverse => query.to = Some(last.position),
                    Some(last) => query.from = last.position.next(),
                    None => assert_ne!(page.end, End::More, "an empty page must be the last"),
                }
                let end = page.end;
                events.extend(page.events);
                if end != End::More {
                    break;
                }
            }
            if reverse {
                events.reverse();
            }
            assert!(events.iter().eq(written.iter().map(|row| &row.event)), "in pages of {bytes} bytes");
        }
    }
    Ok(())
}

pub async fn a_page_holds_nothing_above_the_visible_seq(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let written = three_an_hour(store, 4).await?;
    for (index, event) in written.iter().enumerate() {
        let visible = event.position.seq;
        let forwards = read_up_to(store, Query::ALL, visible).await?;
        assert_eq!((forwards.events.as_slice(), forwards.end), (&written[..=index], End::CaughtUp));
        let newest = read_up_to(store, Query { reverse: true, limit: 1, ..Query::ALL }, visible).await?;
        assert_eq!(newest.events, std::slice::from_ref(event));
    }
    let nothing = read_up_to(store, Query::ALL, Seq::MIN).await?;
    assert_eq!((nothing.events.len(), nothing.end), (0, End::CaughtUp));
    Ok(())
}

pub async fn an_invisible_late_event_does_not_hide_the_visible_ones(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let mut source = RowSource::new(log_id());
    let written = [
        source.on_time(at("10:00:00"), "a"),
        source.on_time(at("12:00:00"), "b"),
        source.arrival(at("11:00:00"), at("12:30:00"), Record::new("late, not visible")),
        source.on_time(at("13:00:00"), "not visible"),
    ];
    rows::write(store, &log_id(), &written).await?;
    let visible = written[1].event.position.seq;
    assert_eq!(names(&read_up_to(store, Query::ALL, visible).await?.events), ["a", "b"]);
    let reverse = Query { reverse: true, ..Query::ALL };
    assert_eq!(names(&read_up_to(store, reverse, visible).await?.events), ["b", "a"]);
    Ok(())
}

pub async fn a_page_of_an_unknown_log_is_not_found(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    refused(ErrorKind::NotFound, read(store, Query::ALL).await);
    refused(ErrorKind::NotFound, read(store, Query { reverse: true, ..Query::ALL }).await);
    refused(ErrorKind::NotFound, read(store, Query { to: Some(Position::MIN), ..Query::ALL }).await);
    assert_eq!(store.log(&log_id()).await?, None);
    assert_eq!(store.logs(None, 10).await?, []);
    Ok(())
}

pub async fn bounds_at_both_ends_of_time_are_respected(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let written = three_an_hour(store, 2).await?;
    for to in [Position::MAX, Position::at(Offset::MAX)] {
        assert_eq!(read(store, Query { to: Some(to), ..Query::ALL }).await?.events, written);
    }
    assert_eq!(read(store, Query { from: Position::MAX, ..Query::ALL }).await?.events, []);
    let far = Position::at(at("23:00:00").saturating_add_nanos(Record::AHEAD_NANOS_MAX + MINUTE));
    assert_eq!(read(store, Query { from: far, ..Query::ALL }).await?.events, []);
    assert_eq!(read(store, Query { to: Some(Position::MIN), reverse: true, ..Query::ALL }).await?.events, []);
    Ok(())
}
