//! A record is read as it was written: position, time, data and metadata.

use hourlog::{
    ArrivalCursor, ErrorKind, Log, Record, header,
    time::{MINUTE, system_clock},
};

use crate::{
    guard::{Guard, Outcome, drain},
    kit::{assert_arrival_order, at, names, record, refused},
};

/// The size of the largest data: close to the default limit of a NATS server.
const LARGE_BYTES: usize = 900 * 1024;

pub async fn an_event_is_read_at_the_position_that_its_write_returned(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    let position = log.write(record("10:00:00.123456789", "a")).await?;
    assert_eq!(position.offset, at("10:00:00.123456789"));
    let event = log.read().await?.expect("the event was written");
    assert_eq!((event.position, &event.log), (position, log.id()));
    assert_eq!(log.id().as_str(), "orders.eu");
    Ok(())
}

pub async fn data_is_returned_byte_for_byte(guard: impl Guard) -> Outcome {
    let large: Vec<u8> = (0..LARGE_BYTES).map(|index| (index % 251) as u8).collect();
    let all_bytes: Vec<u8> = (0..=u8::MAX).collect();
    let samples: [&[u8]; 7] = [
        b"",
        b"{\"id\":7}",
        b"\xff\xfe\x00\x80",
        b" \r\n\r\n ",
        "gr\u{f6}\u{df}e \u{202e}".as_bytes(),
        &all_bytes,
        &large,
    ];
    let mut log = guard.log().await?;
    for data in samples {
        log.write(Record::new(data).at(at("10:00:00"))).await?;
    }
    let events = drain(&mut log).await?;
    assert_eq!(events.len(), samples.len());
    for (event, data) in events.iter().zip(samples) {
        assert!(&*event.record.data == data, "{} bytes were returned as {}", data.len(), event.record.data.len());
        assert!(event.record.metadata.is_empty(), "unexpected metadata {:?}", event.record.metadata);
    }
    Ok(())
}

pub async fn metadata_is_returned_value_for_value(guard: impl Guard) -> Outcome {
    let written = Record::new("x")
        .with("kind", "paid")
        .with("kind", "twice")
        .with("Kind", "another name")
        .with("kind", "paid")
        .with("note", "colons: and, commas; \"quotes\"")
        .with("city", "K\u{f6}ln")
        .with("empty", "");
    let mut log = guard.log().await?;
    log.write(written.clone().at(at("10:00:00"))).await?;
    let event = log.read().await?.expect("the event was written");
    assert_eq!(event.record, written);
    assert_eq!(event.record.metadata.get("kind"), ["paid", "twice", "paid"]);
    Ok(())
}

pub async fn large_metadata_is_returned(guard: impl Guard) -> Outcome {
    let written = (0..64).fold(Record::new("x"), |record, name| record.with(format!("name-{name}"), "v".repeat(1_000)));
    let mut log = guard.log().await?;
    log.write(written.clone().at(at("10:00:00"))).await?;
    let found = log.read().await?.expect("the event was written").record;
    assert_eq!((found.data.len(), found.metadata.len(), found.bytes()), (1, 64, written.bytes()));
    assert!(found == written, "a value has changed");
    Ok(())
}

pub async fn spaces_around_a_value_are_trimmed(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    log.write(record("10:00:00", "x").with("kind", "  paid in full\t").with("kind", "   ")).await?;
    let event = log.read().await?.expect("the event was written");
    assert_eq!(event.record.metadata.get("kind"), ["paid in full", ""]);
    Ok(())
}

pub async fn an_event_without_a_time_is_stored_at_its_arrival_time(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    let before = system_clock();
    let position = log.write(Record::new("now")).await?;
    let after = system_clock();
    assert!(before <= position.offset && position.offset <= after, "{before} {} {after}", position.offset);
    let event = log.read().await?.expect("the event was written");
    assert_eq!(event.arrived, None, "only an event whose offset is not its arrival time has one");
    Ok(())
}

pub async fn an_explicit_time_becomes_the_offset_and_is_removed_from_the_metadata(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    let before = system_clock();
    log.write(record("10:00:00", "then").with("kind", "late")).await?;
    let after = system_clock();
    let event = log.read().await?.expect("the event was written");
    assert_eq!(event.position.offset, at("10:00:00"));
    assert_eq!(event.record, Record::new("then").with("kind", "late"));
    let arrived = event.arrived.expect("an event with an explicit time has an arrival time");
    assert!(before <= arrived && arrived <= after, "{before} {arrived} {after}");
    Ok(())
}

pub async fn a_time_in_seconds_is_accepted(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    let position = log.write(Record::new("x").with(header::TIME, "@1517781402.5")).await?;
    assert_eq!(position.offset, at("2018-02-04T21:56:42.5Z"));
    Ok(())
}

pub async fn a_time_too_far_ahead_is_rejected_and_nothing_is_stored(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    let ahead = |nanos| system_clock().saturating_add_nanos(nanos);
    refused(ErrorKind::Rejected, log.write(Record::new("x").at(ahead(Record::AHEAD_NANOS_MAX + MINUTE))).await);
    refused(ErrorKind::NotFound, log.read().await);
    let near = ahead(Record::AHEAD_NANOS_MAX - MINUTE);
    let position = log.write(Record::new("a little ahead").at(near)).await?;
    assert_eq!(position.offset, near);
    assert_eq!(names(&drain(&mut log).await?), ["a little ahead"]);
    Ok(())
}

pub async fn an_unparsable_time_is_rejected(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    refused(ErrorKind::Rejected, log.write(Record::new("x").with(header::TIME, "soon")).await);
    refused(ErrorKind::Rejected, log.write(record("10:00:00", "x").with(header::TIME, "@5")).await);
    refused(ErrorKind::NotFound, log.read().await);
    Ok(())
}

pub async fn a_batch_is_written_in_its_order(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    let times = ["10:00:05", "10:00:01", "10:00:03", "10:00:01", "11:00:00", "09:00:00"];
    let written: Vec<Record> = times.iter().zip(["a", "b", "c", "d", "e", "f"]).map(|(t, n)| record(t, n)).collect();
    let positions = log.write_many(written).await?;
    assert_eq!(positions.iter().map(|position| position.offset).collect::<Vec<_>>(), times.map(at));
    assert!(positions.is_sorted_by(|a, b| a.seq < b.seq), "the seqs of {positions:?} do not increase");
    assert_eq!(names(&drain(&mut log).await?), ["f", "b", "d", "c", "a", "e"]);
    let (arrived, _) = log.arrivals_page(ArrivalCursor::FIRST, 10).await?;
    assert_arrival_order(&arrived);
    assert_eq!(arrived.iter().map(|event| event.position).collect::<Vec<_>>(), positions);
    Ok(())
}

pub async fn a_batch_without_times_stays_in_its_order(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    let written: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    let positions = log.write_many(written.iter().map(|name| Record::new(name.as_str())).collect()).await?;
    assert!(positions.is_sorted_by(|a, b| a < b), "the positions do not increase");
    assert_eq!(names(&drain(&mut log).await?), written);
    Ok(())
}

pub async fn writing_no_records_creates_nothing(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    assert_eq!(log.write_many(Vec::new()).await?, []);
    refused(ErrorKind::NotFound, log.read().await);
    Ok(())
}

pub async fn seqs_increase_with_every_write(guard: impl Guard) -> Outcome {
    let mut log = guard.log().await?;
    let mut last = log.write(record("12:00:00", "0")).await?;
    for name in ["1", "2", "3"] {
        let position = log.write(record("10:00:00", name)).await?;
        assert!(position.seq > last.seq, "seq {} follows {}", position.seq, last.seq);
        last = position;
    }
    Ok(())
}
