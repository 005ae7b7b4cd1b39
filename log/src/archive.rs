//! The interface over any store: an archive used as a library, which is its own source.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    Arrival, Clock, EpochRow, Error, ErrorKind, Event, Events, Log, LogId, Offset, Placed, Position, Query, Reason,
    Record, Result, Row, Seeked, Seq, SourceRow, Store, Write,
    pages::{ArrivalQuery, arrival_page, page},
    position,
    turn::Turn,
};

/// The events that `read` fetches at once.
const READ_AHEAD_EVENTS: usize = 256;
/// The bytes that `read` fetches at once.
const READ_AHEAD_BYTES: usize = 1 << 20;

/// [`Events`] over a [`Store`], without a service. Cheap to clone.
///
/// It is its own source: an event arrives when it is written, by the clock that was given. Its logs are to be written by one
/// process at a time.
#[derive(Debug)]
pub struct Archive<S>(Arc<Inner<S>>);

#[derive(Debug)]
struct Inner<S> {
    store: S,
    clock: Clock,
    writers: Mutex<HashMap<LogId, Arc<Turn<Writer>>>>,
}

impl<S> Clone for Archive<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Store> Archive<S> {
    /// An archive in `store`, where an event arrives at the time that `clock` tells.
    pub fn new(store: S, clock: Clock) -> Self {
        Self(Arc::new(Inner { store, clock, writers: Mutex::new(HashMap::new()) }))
    }

    /// The store below.
    pub fn store(&self) -> &S {
        &self.0.store
    }
}

impl<S: Store> Events for Archive<S> {
    type Log = Stored<S>;

    async fn log(&self, id: &LogId) -> Result<Stored<S>> {
        Ok(Stored { archive: self.clone(), id: id.clone(), next: Position::MIN, ahead: VecDeque::new(), closed: false })
    }
}

/// A [`Log`] over a [`Store`].
#[derive(Debug)]
pub struct Stored<S> {
    archive: Archive<S>,
    id: LogId,
    /// Where the events ahead begin; without any, where to read next.
    next: Position,
    ahead: VecDeque<Event>,
    closed: bool,
}

impl<S: Store> Stored<S> {
    fn open(&self) -> Result<&S> {
        if self.closed {
            return Err(Error::new(ErrorKind::Closed, format!("this handle on {} was closed; open another", self.id)));
        }
        Ok(&self.archive.0.store)
    }

    async fn fetch(&self, limit: usize, bytes: usize) -> Result<Vec<Event>> {
        let visible = visible(self.open()?, &self.id).await?;
        let query = Query { from: self.next, limit, bytes, visible, ..Query::ALL };
        Ok(page(self.open()?, &self.id, &query).await?.events)
    }

    fn writer(&self) -> Arc<Turn<Writer>> {
        let mut writers = self.archive.0.writers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(writers.entry(self.id.clone()).or_insert_with(|| Arc::new(Turn::new(Writer::default()))))
    }
}

impl<S: Store> Log for Stored<S> {
    fn id(&self) -> &LogId {
        &self.id
    }

    async fn read(&mut self) -> Result<Option<Event>> {
        self.open()?;
        if self.ahead.is_empty() {
            self.ahead = self.fetch(READ_AHEAD_EVENTS, READ_AHEAD_BYTES).await?.into();
        }
        let event = self.ahead.pop_front();
        if let Some(event) = &event {
            self.next = event.position.next();
        }
        Ok(event)
    }

    async fn read_many(&mut self, limit: usize) -> Result<Vec<Event>> {
        self.open()?;
        let events = if self.ahead.is_empty() {
            self.fetch(limit, usize::MAX).await?
        } else {
            let some = self.ahead.len().min(limit);
            self.ahead.drain(..some).collect()
        };
        if let Some(event) = events.last() {
            self.next = event.position.next();
        }
        Ok(events)
    }

    async fn seek(&mut self, offset: Offset) -> Result<Seeked> {
        let visible = visible(self.open()?, &self.id).await?;
        let seeked = seek(self.open()?, &self.id, offset, visible).await?;
        self.ahead.clear();
        self.next = Position::at(offset);
        Ok(seeked)
    }

    async fn write(&mut self, record: Record) -> Result<Position> {
        let positions = self.write_many(vec![record]).await?;
        Ok(*positions.first().expect("a record has a position"))
    }

    async fn write_many(&mut self, records: Vec<Record>) -> Result<Vec<Position>> {
        let store = self.open()?;
        let writer = self.writer();
        let mut writer = writer.take().await;
        let positions = writer.write(store, &self.id, self.archive.0.clock, records).await?;
        self.ahead.clear();
        Ok(positions)
    }

    async fn follow(&mut self, after: Arrival, limit: usize) -> Result<(Vec<Event>, Arrival)> {
        let visible = visible(self.open()?, &self.id).await?;
        let query = ArrivalQuery { after, limit, bytes: usize::MAX, visible };
        let page = arrival_page(self.open()?, &self.id, &query).await?;
        Ok((page.events, page.next))
    }

    async fn close(&mut self) -> Result<()> {
        self.open()?;
        self.closed = true;
        self.ahead.clear();
        Ok(())
    }
}

/// Where a reader that asks for `offset` is led.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a log that was never written to, and what the store answers.
pub async fn seek<S: Store>(store: &S, id: &LogId, offset: Offset, visible: Seq) -> Result<Seeked> {
    let forwards = Query { from: Position::at(offset), limit: 1, visible, ..Query::ALL };
    let resolved = page(store, id, &forwards).await?.events.first().map(|event| event.position);
    let reason = match resolved {
        Some(position) if position.offset == offset => Reason::Exact,
        None => Reason::AfterLast,
        Some(_) => {
            let backwards = Query { from: Position::MIN, to: Some(Position::at(offset)), reverse: true, ..forwards };
            let earlier = page(store, id, &backwards).await?;
            if earlier.events.is_empty() { Reason::BeforeFirst } else { Reason::Next }
        }
    };
    Ok(Seeked { requested: offset, resolved, reason })
}

/// The seq up to which everything is in the archive: a page is more than one read of it, and a write that another handle
/// has begun meanwhile would be on it in part.
async fn visible<S: Store>(store: &S, id: &LogId) -> Result<Seq> {
    let own = stream(id);
    // Those of other logs' writers, which share the slot, say nothing of this one.
    let concerns = |row: &EpochRow| *row.stream == *own || !row.stream.starts_with('/');
    let newest = store.epochs(id.slot()).await?.into_iter().rfind(concerns);
    Ok(match newest {
        // A service's writes may be there in part, but for those behind its stored place.
        Some(newest) if *newest.stream == *own || !S::WRITES_ARE_WHOLE => {
            let sources = store.sources(&newest.stream).await?;
            let written = sources.iter().find(|(slot, _)| *slot == id.slot()).map_or(0, |(_, row)| row.cursor);
            if *newest.stream == *own { written.max(position::seq(newest.epoch, 0)) } else { written }
        }
        // Whatever this archive writes to the log next is of a later epoch.
        newest => position::seq(newest.map_or(0, |newest| newest.epoch), position::SEQUENCES_IN_EPOCH - 1),
    })
}

/// The name of the source that a log's writer is. No stream is called so: their names have no slash.
fn stream(id: &LogId) -> Arc<str> {
    Arc::from(format!("/{id}"))
}

/// The source of one log: gives out seqs, and says which events are placed.
#[derive(Debug, Default)]
struct Writer(Option<Source>);

#[derive(Debug)]
struct Source {
    stream: Arc<str>,
    epoch: u32,
    row: SourceRow,
}

impl Writer {
    async fn write<S: Store>(
        &mut self,
        store: &S,
        id: &LogId,
        clock: Clock,
        records: Vec<Record>,
    ) -> Result<Vec<Position>> {
        let arrived = clock();
        // All of them are looked at before one is written.
        let records: Vec<(Record, Offset)> = records
            .into_iter()
            .map(|mut record| record.take_offset(arrived).map(|offset| (record, offset)))
            .collect::<Result<_>>()?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        if self.0.is_none() {
            self.0 = Some(Source::open(store, id, arrived).await?);
        }
        let source = self.0.as_mut().expect("it was opened above");
        let high = source.row.high.max(arrived);
        let rows: Arc<[Row]> = (position::parts(source.row.cursor).1 + 1..)
            .zip(records)
            .map(|(sequence, (record, offset))| {
                let seq = position::seq(source.epoch, sequence);
                row(id, Arrived { offset, at: arrived, high, seq }, record)
            })
            .collect();
        let positions: Vec<Position> = rows.iter().map(|row| row.event.position).collect();
        // The numbers are used up even if the write fails: it may have been carried out in part.
        let seq = positions.last().expect("there is a record").seq;
        source.row = SourceRow { cursor: seq, cursor_time: arrived, head: seq, head_time: arrived, high };
        let (stream, slot) = (&source.stream, id.slot());
        let head = Write::Head { stream: Arc::clone(stream), slot, seq, time: arrived };
        let archived = Write::Archived { stream: Arc::clone(stream), slot, seq, time: arrived, high };
        store.write(vec![head, archived, Write::Events { log: id.clone(), rows }]).await?;
        Ok(positions)
    }
}

impl Source {
    async fn open<S: Store>(store: &S, id: &LogId, now: Offset) -> Result<Self> {
        let stream = stream(id);
        let row = store.sources(&stream).await?.first().map(|(_, row)| *row);
        let epochs = store.epochs(id.slot()).await?;
        let epoch = match epochs.iter().rfind(|row| *row.stream == *stream) {
            Some(row) => row.epoch,
            None => {
                let mut epoch = epochs.last().map_or(1, |row| row.epoch + 1);
                while !store
                    .begin_epoch(id.slot(), EpochRow { epoch, stream: stream.to_string(), from: 1, started: now })
                    .await?
                {
                    epoch += 1;
                }
                epoch
            }
        };
        let mut row = row.unwrap_or(SourceRow::NOTHING);
        // Of a write that broke off, some numbers may be used up.
        row.cursor = row.cursor.max(row.head);
        Ok(Self { stream, epoch, row })
    }
}

/// How an event came: what, beside the record, decides where it is kept.
#[derive(Debug, Clone, Copy)]
pub struct Arrived {
    /// Its place in the timeline.
    pub offset: Offset,
    /// The time at which its source took it.
    pub at: Offset,
    /// The greatest such time so far, this one included.
    pub high: Offset,
    /// Its place in arrival order.
    pub seq: Seq,
}

/// The row of a record that arrived so.
pub fn row(log: &LogId, arrived: Arrived, record: Record) -> Row {
    let Arrived { offset, at, high, seq } = arrived;
    let placed = (offset != at || at < high).then_some(Placed { high });
    let event = Event { log: log.clone(), position: Position { offset, seq }, arrived: placed.map(|_| at), record };
    Row { event, placed }
}
