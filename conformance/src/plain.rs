//! The simplest log: a list that is searched from one end to the other.
//!
//! Shares no code with the other implementations, so it can serve as a model for them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{Stream, stream};
use hourlog::{
    ArrivalCursor, Error, ErrorKind, Event, Events, Log, LogId, Offset, Position, Reason, Record, Result, Seeked, Seq,
    time::system_clock,
};

/// Logs as lists. Cheap to clone; the clones share the lists.
#[derive(Debug, Clone, Default)]
pub struct Plain(Arc<Mutex<BTreeMap<LogId, Vec<Event>>>>);

/// A handle on a log, which is a list in arrival order.
#[derive(Debug)]
pub struct PlainLog {
    logs: Plain,
    id: LogId,
    next: Position,
    is_closed: bool,
}

impl Plain {
    fn logs(&self) -> MutexGuard<'_, BTreeMap<LogId, Vec<Event>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events for Plain {
    type Log = PlainLog;

    async fn log(&self, id: &LogId) -> Result<PlainLog> {
        Ok(PlainLog { logs: self.clone(), id: id.clone(), next: Position::MIN, is_closed: false })
    }
}

impl PlainLog {
    fn check_open(&self) -> Result<()> {
        if self.is_closed {
            return Err(Error::new(ErrorKind::Closed, "this handle was closed; open another"));
        }
        Ok(())
    }

    fn all_events(&self) -> Result<Vec<Event>> {
        self.check_open()?;
        let not_found = || Error::new(ErrorKind::NotFound, "this log has no events; write one first");
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
        let mut events = self.all_events()?;
        events.retain(|event| event.position >= self.next);
        events.sort_unstable_by_key(|event| event.position);
        events.truncate(limit);
        if let Some(last) = events.last() {
            self.next = last.position.next();
        }
        Ok(events)
    }

    async fn seek(&mut self, offset: Offset) -> Result<Seeked> {
        let events = self.all_events()?;
        self.next = Position::at(offset);
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
        self.check_open()?;
        let now = system_clock();
        let offsets = records.iter_mut().map(|record| record.take_offset(now)).collect::<Result<Vec<Offset>>>()?;
        let mut logs = self.logs.logs();
        let mut positions = Vec::new();
        for (record, offset) in records.into_iter().zip(offsets) {
            let events = logs.entry(self.id.clone()).or_default();
            let position = Position { offset, seq: Seq::new(1, events.len() as u64 + 1) };
            let arrived = (offset != now).then_some(now);
            events.push(Event { log: self.id.clone(), position, arrived, record });
            positions.push(position);
        }
        Ok(positions)
    }

    async fn arrivals_page(&mut self, after: ArrivalCursor, limit: usize) -> Result<(Vec<Event>, ArrivalCursor)> {
        let mut events = self.all_events()?;
        events.retain(|event| event.position.seq > after.seq);
        events.truncate(limit);
        let next = events.last().map_or(after, |last| ArrivalCursor { time: after.time, seq: last.position.seq });
        Ok((events, next))
    }

    fn tail(&mut self, after: ArrivalCursor) -> impl Stream<Item = Result<Event>> + Send {
        stream::try_unfold((self, after), |(log, mut after)| async move {
            loop {
                let (events, next) = log.arrivals_page(after, 1).await?;
                after = next;
                match events.into_iter().next() {
                    Some(event) => return Ok(Some((event, (log, after)))),
                    None => tokio::task::yield_now().await,
                }
            }
        })
    }

    async fn close(&mut self) -> Result<()> {
        self.check_open()?;
        self.is_closed = true;
        Ok(())
    }
}
