//! Importing twice adds nothing: an event that is to be stored once is looked for among those that its log holds.

use std::collections::{HashMap, hash_map::Entry};

use hourlog::{Bucket, BucketRow, Event, LogId, Offset, Position, Result, Row, Scan, Seq, Store};

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
    // What is written together counts once, whether it is there already, as after a write that broke off, or not.
    let first = events.first().map_or(Seq::MAX, |event| event.row.event.position.seq);
    let mut stored = Stored::look(store, log, first).await?;
    for Arriving { row, once } in events {
        let event = &row.event;
        if let Some(n) = once {
            let together = at.get(&event.position.offset).into_iter().flatten();
            let together = together.filter(|place| equal(&rows[**place].event, event)).count() as u64;
            if together + stored.equal(event, n + 1).await? > *n {
                continue;
            }
        }
        at.entry(event.position.offset).or_default().push(rows.len());
        rows.push(row.clone());
    }
    Ok(rows)
}

/// What the archive holds of a log, as far as it was looked at.
struct Stored<'a, S> {
    store: &'a S,
    log: &'a LogId,
    /// What lies before it.
    before: Seq,
    /// How the log is cut; `None` where it holds nothing.
    known: Option<hourlog::LogRow>,
    /// The rows of the index, each read once.
    rows: HashMap<Bucket, Option<BucketRow>>,
}

impl<'a, S: Store> Stored<'a, S> {
    async fn look(store: &'a S, log: &'a LogId, before: Seq) -> Result<Self> {
        Ok(Self { store, log, before, known: store.log(log).await?, rows: HashMap::new() })
    }

    /// How many events that arrived before all of these are stored and equal to it; no more than `enough` are looked for.
    async fn equal(&mut self, event: &Event, enough: u64) -> Result<u64> {
        const EVENTS: usize = 64;
        let offset = event.position.offset;
        let Some(known) = &self.known else { return Ok(0) };
        let bucket = known.widths.bucket(offset);
        let row = match self.rows.entry(bucket) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let rows = self.store.buckets(self.log, offset..=offset, false, 1).await?;
                entry.insert(rows.into_iter().find(|row| row.bucket == bucket && row.count > 0))
            }
        };
        if row.as_ref().is_none_or(|row| offset < row.first || row.last < offset) {
            return Ok(0);
        }
        let mut scan = Scan {
            from: Position::at(offset),
            to: Position { offset, seq: self.before - 1 },
            reverse: false,
            limit: EVENTS,
            bytes: usize::MAX,
        };
        let mut found = 0;
        loop {
            let events = self.store.events(self.log, bucket, scan).await?;
            found += events.iter().filter(|other| equal(other, event)).count() as u64;
            match events.last() {
                Some(last) if events.len() == EVENTS && found < enough => scan.from = last.position.next(),
                _ => return Ok(found),
            }
        }
    }
}

fn equal(one: &Event, other: &Event) -> bool {
    one.position.offset == other.position.offset && one.record == other.record
}

#[cfg(test)]
mod tests {
    use super::*;
    use conformance::{
        counting::{Counting, Reads},
        kit::{at, id},
        rows::{self, Rows},
    };
    use hourlog::{MINUTE, Memory, Record};

    /// Lines of a file, a minute apart, as they arrive.
    fn lines(source: &mut Rows, count: i64) -> Vec<Arriving> {
        let line = |number: i64| {
            let offset = at("10:00:00").saturating_add_nanos(number * MINUTE);
            let row = source.arrived(offset, at("2018-03-01T00:00:00Z"), Record::new(number.to_string()));
            Arriving { row, once: Some(0) }
        };
        (0..count).map(line).collect()
    }

    #[tokio::test]
    async fn a_first_import_reads_no_events_and_each_row_of_the_index_once() {
        let (store, log) = (Counting::new(Memory::new()), id("imported"));
        let mut source = Rows::new(log.clone());
        let lines = lines(&mut source, 300);
        let mut index = Vec::new();
        for part in lines.chunks(100) {
            store.take();
            let wanted = wanted(&store, &log, part).await.expect("memory answers");
            let Reads { index: rows, buckets, arrivals, events } = store.take();
            assert_eq!((wanted.len(), buckets, arrivals, events), (part.len(), 0, 0, 0));
            index.push(rows);
            rows::write(&store, &log, &wanted).await.expect("memory takes it");
        }
        // Nothing is known of a new log; then a hundred minutes lie in two or three hours.
        assert_eq!(index, [0, 3, 2]);
    }

    #[tokio::test]
    async fn equal_lines_of_which_some_are_there_already_are_all_kept_when_they_come_again() {
        let (store, log) = (Memory::new(), id("imported"));
        let mut source = Rows::new(log.clone());
        let line = |number: u64| {
            let row = source.arrived(at("10:00:00"), at("2018-03-01T00:00:00Z"), Record::new("the same"));
            Arriving { row, once: Some(number) }
        };
        let lines: Vec<Arriving> = (0..3).map(line).collect();
        // A write that broke off behind the first of them.
        rows::write(&store, &log, &[lines[0].row.clone()]).await.expect("memory takes it");
        let again = wanted(&store, &log, &lines).await.expect("memory answers");
        assert_eq!(again.len(), 3);
    }

    #[tokio::test]
    async fn a_second_import_is_recognised_line_by_line() {
        let (store, log) = (Counting::new(Memory::new()), id("imported"));
        let mut source = Rows::new(log.clone());
        let first = lines(&mut source, 300);
        let first = wanted(&store, &log, &first).await.expect("memory answers");
        rows::write(&store, &log, &first).await.expect("memory takes it");
        let second = lines(&mut source, 301);
        let second = wanted(&store, &log, &second).await.expect("memory answers");
        assert_eq!(second.len(), 1);
    }
}
