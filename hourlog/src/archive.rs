//! The interface over any store: an archive used as a library, which is its own source.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    ArrivalCursor, Error, ErrorKind, Event, Events, Log, LogId, Offset, Position, Record, Result, Seeked, Seq,
    async_mutex::AsyncMutex,
    read::{ArrivalQuery, Query, arrivals_page, page, seek},
    store::{Arrival, EpochRow, EventRow, SourceRow, Store, Width, Write},
    time::Clock,
};

/// The events that `read` fetches at once.
const READ_AHEAD_EVENTS: usize = 256;
/// The bytes that `read` fetches at once.
const READ_AHEAD_BYTES: usize = 1 << 20;

/// [`Events`] over a [`Store`], without a service. Cheap to clone.
///
/// It is its own source: an event arrives when it is written, by the clock that was given. Only one
/// process at a time may write to its logs.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Record, time::system_clock};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let events = Archive::new(Memory::new(), system_clock);
/// let mut log = events.log(&"orders.eu".parse()?).await?;
/// let position = log.write(Record::new("x")).await?;
/// assert_eq!(log.read().await?.map(|event| event.position), Some(position));
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Archive<S>(Arc<Inner<S>>);

#[derive(Debug)]
struct Inner<S> {
    store: S,
    clock: Clock,
    writers: Mutex<HashMap<LogId, Arc<AsyncMutex<Writer>>>>,
}

impl<S> Clone for Archive<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Store> Archive<S> {
    /// An archive in `store`. An event arrives at the time that `clock` returns.
    pub fn new(store: S, clock: Clock) -> Self {
        Self(Arc::new(Inner { store, clock, writers: Mutex::new(HashMap::new()) }))
    }

    /// The store below.
    pub fn store(&self) -> &S {
        &self.0.store
    }
}

impl<S: Store> Events for Archive<S> {
    type Log = ArchiveLog<S>;

    async fn log(&self, id: &LogId) -> Result<ArchiveLog<S>> {
        Ok(ArchiveLog {
            archive: self.clone(),
            id: id.clone(),
            next: Position::MIN,
            ahead: VecDeque::new(),
            is_closed: false,
        })
    }
}

/// A [`Log`] over a [`Store`]: what [`Archive`] opens.
///
/// ```
/// use hourlog::{Archive, ErrorKind, Events, Log, Memory, store::ArchiveLog, time::system_clock};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let events = Archive::new(Memory::new(), system_clock);
/// let mut log: ArchiveLog<Memory> = events.log(&"orders.eu".parse()?).await?;
/// log.close().await?;
/// assert_eq!(log.read().await.unwrap_err().kind(), ErrorKind::Closed);
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct ArchiveLog<S> {
    archive: Archive<S>,
    id: LogId,
    /// The position of the first event in `ahead`, or of the next read.
    next: Position,
    ahead: VecDeque<Event>,
    is_closed: bool,
}

impl<S: Store> ArchiveLog<S> {
    fn store(&self) -> Result<&S> {
        if self.is_closed {
            return Err(Error::new(ErrorKind::Closed, format!("this handle on {} was closed; open another", self.id)));
        }
        Ok(&self.archive.0.store)
    }

    async fn fetch(&self, limit: usize, bytes: usize) -> Result<Vec<Event>> {
        let visible = visible(self.store()?, &self.id).await?;
        let query = Query { from: self.next, limit, bytes, ..Query::ALL };
        Ok(page(self.store()?, &self.id, &query, visible).await?.events)
    }

    fn writer(&self) -> Arc<AsyncMutex<Writer>> {
        let mut writers = self.archive.0.writers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(writers.entry(self.id.clone()).or_insert_with(|| Arc::new(AsyncMutex::new(Writer::default()))))
    }
}

impl<S: Store> Log for ArchiveLog<S> {
    fn id(&self) -> &LogId {
        &self.id
    }

    async fn read(&mut self) -> Result<Option<Event>> {
        self.store()?;
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
        self.store()?;
        let events = if self.ahead.is_empty() {
            self.fetch(limit, usize::MAX).await?
        } else {
            let count = self.ahead.len().min(limit);
            self.ahead.drain(..count).collect()
        };
        if let Some(event) = events.last() {
            self.next = event.position.next();
        }
        Ok(events)
    }

    async fn seek(&mut self, offset: Offset) -> Result<Seeked> {
        let visible = visible(self.store()?, &self.id).await?;
        let seeked = seek(self.store()?, &self.id, offset, visible).await?;
        self.ahead.clear();
        self.next = Position::at(offset);
        Ok(seeked)
    }

    async fn write(&mut self, record: Record) -> Result<Position> {
        let positions = self.write_many(vec![record]).await?;
        Ok(*positions.first().expect("a record has a position"))
    }

    async fn write_many(&mut self, records: Vec<Record>) -> Result<Vec<Position>> {
        let store = self.store()?;
        let writer = self.writer();
        let mut writer = writer.lock().await;
        let positions = writer.write(store, &self.id, self.archive.0.clock, records).await?;
        self.ahead.clear();
        Ok(positions)
    }

    async fn arrivals_page(&mut self, after: ArrivalCursor, limit: usize) -> Result<(Vec<Event>, ArrivalCursor)> {
        let visible = visible(self.store()?, &self.id).await?;
        let query = ArrivalQuery { after, limit, bytes: usize::MAX };
        let page = arrivals_page(self.store()?, &self.id, &query, visible).await?;
        Ok((page.events, page.next))
    }

    async fn close(&mut self) -> Result<()> {
        self.store()?;
        self.is_closed = true;
        self.ahead.clear();
        Ok(())
    }
}

/// Returns the seq up to which everything is in the archive.
///
/// A page takes several reads of the store, so it could show a concurrent write in part.
async fn visible<S: Store>(store: &S, id: &LogId) -> Result<Seq> {
    let own = source_name(id);
    // The writers of other logs share the slot; their epochs say nothing about this log.
    let concerns = |row: &EpochRow| *row.stream == *own || !row.stream.starts_with('/');
    let newest = store.epochs(id.slot()).await?.into_iter().rfind(concerns);
    Ok(match newest {
        // The last write of a service may be there in part; everything up to its checkpoint is complete.
        Some(newest) if *newest.stream == *own || !S::WRITES_ARE_ATOMIC => {
            let sources = store.sources(&newest.stream).await?;
            let written =
                sources.iter().find(|(slot, _)| *slot == id.slot()).map_or(Seq::ZERO, |(_, row)| row.checkpoint);
            if *newest.stream == *own { written.max(Seq::new(newest.epoch, 0)) } else { written }
        }
        // The next write of this archive to the log belongs to a later epoch.
        newest => Seq::last_of(newest.map_or(0, |newest| newest.epoch)),
    })
}

/// The name of the log's writer as a source. The slash at the beginning keeps it apart from names of
/// streams, none of which contains one.
fn source_name(id: &LogId) -> Arc<str> {
    Arc::from(format!("/{id}"))
}

/// The writer of one log; its source is opened with the first write.
#[derive(Debug, Default)]
struct Writer(Option<OwnSource>);

/// The source of one log: assigns seqs, and knows the greatest arrival time.
#[derive(Debug)]
struct OwnSource {
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
        // Check all records before writing the first.
        let records: Vec<(Record, Offset)> = records
            .into_iter()
            .map(|mut record| record.take_offset(arrived).map(|offset| (record, offset)))
            .collect::<Result<_>>()?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        if self.0.is_none() {
            self.0 = Some(OwnSource::open(store, id, arrived).await?);
        }
        let source = self.0.as_mut().expect("it was opened above");
        let max_time = source.row.max_time.max(arrived);
        let rows: Arc<[EventRow]> = (source.row.checkpoint.sequence() + 1..)
            .zip(records)
            .map(|(sequence, (record, offset))| {
                let seq = Seq::new(source.epoch, sequence);
                EventRow::new(id, Arrival { offset, time: arrived, max_time, seq }, record)
            })
            .collect();
        let positions: Vec<Position> = rows.iter().map(|row| row.event.position).collect();
        // A failed write may have been carried out in part, so its seqs are not assigned again.
        let seq = positions.last().expect("there is a record").seq;
        source.row = SourceRow { checkpoint: seq, checkpoint_time: arrived, head: seq, head_time: arrived, max_time };
        let (stream, slot) = (&source.stream, id.slot());
        let head = Write::Head { stream: Arc::clone(stream), slot, seq, time: arrived };
        let archived = Write::Archived { stream: Arc::clone(stream), slot, seq, time: arrived, max_time };
        store.write(vec![head, Write::Events { log: id.clone(), rows, width: Width::default() }, archived]).await?;
        Ok(positions)
    }
}

impl OwnSource {
    async fn open<S: Store>(store: &S, id: &LogId, now: Offset) -> Result<Self> {
        let stream = source_name(id);
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
        // A write that was cut off may have used seqs above the checkpoint.
        row.checkpoint = row.checkpoint.max(row.head);
        Ok(Self { stream, epoch, row })
    }
}
