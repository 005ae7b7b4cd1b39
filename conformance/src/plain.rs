//! The plainest log there is, which shares no line with the others: a list, looked through from one end to the other.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hourlog::{
    Arrival, Error, ErrorKind, Event, Events, Log, LogId, Offset, Position, Reason, Record, Result, Seeked, seq,
    system_clock,
};

/// Logs as lists. Cheap to clone; the clones share what they hold.
#[derive(Debug, Clone, Default)]
pub struct Plain(Arc<Mutex<BTreeMap<LogId, Vec<Event>>>>);

/// A log as a list, in the order of arrival.
#[derive(Debug)]
pub struct PlainLog {
    logs: Plain,
    id: LogId,
    next: Position,
    closed: bool,
}

impl Plain {
    fn logs(&self) -> MutexGuard<'_, BTreeMap<LogId, Vec<Event>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events for Plain {
    type Log = PlainLog;

    async fn log(&self, id: &LogId) -> Result<PlainLog> {
        Ok(PlainLog { logs: self.clone(), id: id.clone(), next: Position::MIN, closed: false })
    }
}

impl PlainLog {
    fn open(&self) -> Result<()> {
        if self.closed {
            return Err(Error::new(ErrorKind::Closed, "this handle was closed"));
        }
        Ok(())
    }

    fn events(&self) -> Result<Vec<Event>> {
        self.open()?;
        let not_found = || Error::new(ErrorKind::NotFound, "nobody wrote to this log");
        self.logs.logs().get(&self.id).cloned().ok_or_else(not_found)
    }
}

impl Log for PlainLog {
    fn id(&self) -> &LogId {
        &self.id
    }

    async fn read(&mut self) -> Result<Option<Event>> {
        Ok(self.read_many(1).await?.pop())
    }

    async fn read_many(&mut self, limit: usize) -> Result<Vec<Event>> {
        let mut events = self.events()?;
        events.retain(|event| event.position >= self.next);
        events.sort_unstable_by_key(|event| event.position);
        events.truncate(limit);
        if let Some(last) = events.last() {
            self.next = Position { offset: last.position.offset, seq: last.position.seq + 1 };
        }
        Ok(events)
    }

    async fn seek(&mut self, offset: Offset) -> Result<Seeked> {
        let events = self.events()?;
        self.next = Position { offset, seq: i64::MIN };
        let positions = || events.iter().map(|event| event.position);
        let resolved = positions().filter(|position| position.offset >= offset).min();
        let any_before = positions().any(|position| position.offset < offset);
        let reason = match resolved {
            None => Reason::AfterLast,
            Some(position) if position.offset == offset => Reason::Exact,
            Some(_) if any_before => Reason::Next,
            Some(_) => Reason::BeforeFirst,
        };
        Ok(Seeked { requested: offset, resolved, reason })
    }

    async fn write(&mut self, record: Record) -> Result<Position> {
        Ok(self.write_many(vec![record]).await?[0])
    }

    async fn write_many(&mut self, mut records: Vec<Record>) -> Result<Vec<Position>> {
        self.open()?;
        let now = system_clock();
        let offsets = records.iter_mut().map(|record| record.take_offset(now)).collect::<Result<Vec<Offset>>>()?;
        let mut logs = self.logs.logs();
        let mut positions = Vec::new();
        for (record, offset) in records.into_iter().zip(offsets) {
            let events = logs.entry(self.id.clone()).or_default();
            let position = Position { offset, seq: seq(1, events.len() as u64 + 1) };
            let arrived = (offset != now).then_some(now);
            events.push(Event { log: self.id.clone(), position, arrived, record });
            positions.push(position);
        }
        Ok(positions)
    }

    async fn follow(&mut self, after: Arrival, limit: usize) -> Result<(Vec<Event>, Arrival)> {
        let mut events = self.events()?;
        events.retain(|event| event.position.seq > after.seq);
        events.truncate(limit);
        let next = events.last().map_or(after, |last| Arrival { time: after.time, seq: last.position.seq });
        Ok((events, next))
    }

    async fn close(&mut self) -> Result<()> {
        self.open()?;
        self.closed = true;
        Ok(())
    }
}
