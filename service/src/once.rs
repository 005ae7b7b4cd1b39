//! Importing twice adds nothing: an event that is to be stored once is looked for among those that its log holds.

use std::collections::HashMap;

use hourlog::{Event, LogId, Offset, Position, Result, Row, Scan, Store};

use crate::log_actor::Arriving;

/// The rows of `events` that are to be stored: all but those that ask to be stored once and are there already. Reads only buckets
/// that hold events around an event's time, so that a first import reads none.
///
/// # Errors
/// What the store answers.
pub(crate) async fn wanted<S: Store>(store: &S, log: &LogId, events: &[Arriving]) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::with_capacity(events.len());
    // By time, the places in `rows` of what is written together and may be equal to what follows.
    let mut at: HashMap<Offset, Vec<usize>> = HashMap::new();
    for Arriving { row, once } in events {
        let event = &row.event;
        if let Some(n) = once {
            let together = at.get(&event.position.offset).into_iter().flatten();
            let together = together.filter(|place| equal(&rows[**place].event, event)).count() as u64;
            if together + stored(store, log, event, n + 1).await? > *n {
                continue;
            }
        }
        at.entry(event.position.offset).or_default().push(rows.len());
        rows.push(row.clone());
    }
    Ok(rows)
}

/// How many events that arrived before `event` are stored and equal to it; no more than `enough` are looked for.
async fn stored<S: Store>(store: &S, log: &LogId, event: &Event, enough: u64) -> Result<u64> {
    const EVENTS: usize = 64;
    let Position { offset, seq } = event.position;
    let mut found = 0;
    for row in store.buckets(log, offset..=offset, false, 1).await? {
        if row.count == 0 || offset < row.first || row.last < offset {
            continue;
        }
        let mut scan = Scan {
            from: Position::at(offset),
            to: Position { offset, seq: seq - 1 },
            reverse: false,
            limit: EVENTS,
            bytes: usize::MAX,
        };
        loop {
            let events = store.events(log, row.bucket, scan).await?;
            found += events.iter().filter(|other| equal(other, event)).count() as u64;
            match events.last() {
                Some(last) if events.len() == EVENTS && found < enough => scan.from = last.position.next(),
                _ => break,
            }
        }
    }
    Ok(found)
}

fn equal(one: &Event, other: &Event) -> bool {
    one.position.offset == other.position.offset && one.record == other.record
}
