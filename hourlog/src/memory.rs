//! The archive in memory, on std alone. It is plain, because the others are compared with it.

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    ArrivalCursor, Event, LogId, Offset, Position, Result, Seq,
    index::{self, Counts},
    store::{
        Bucket, BucketRow, EncodedEvent, EpochRow, EventRow, LateEvent, LogRow, Scan, SourceRow, Store, Totals, Width,
        Widths, Write, no_property,
    },
};

/// An archive in memory. Cheap to clone; the clones share its contents, which are lost with the last clone.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Record, time::system_clock};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let events = Archive::new(Memory::new(), system_clock);
/// let mut log = events.log(&"orders.eu".parse()?).await?;
/// log.write(Record::new("paid")).await?;
/// assert_eq!(&*log.read().await?.expect("the event").record.data, b"paid");
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<Tables>>);

#[derive(Debug, Default)]
struct Tables {
    logs: BTreeMap<LogId, LogRow>,
    /// The seq up to which the events of a deleted log were deleted.
    deletions: BTreeMap<LogId, Seq>,
    events: BTreeMap<(LogId, Position), EncodedEvent>,
    buckets: BTreeMap<(LogId, Offset), BucketRow>,
    arrivals: BTreeMap<(LogId, Offset, Seq), Offset>,
    sources: BTreeMap<(String, u8), SourceRow>,
    epochs: BTreeMap<(u8, u32), EpochRow>,
    cursors: BTreeMap<(LogId, String), ArrivalCursor>,
    properties: BTreeMap<String, String>,
}

impl Memory {
    /// Creates an empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    const KIND: &'static str = "memory";
    const IS_TEMPORARY: bool = true;

    async fn log(&self, id: &LogId) -> Result<Option<LogRow>> {
        Ok(self.tables().logs.get(id).cloned())
    }

    async fn logs(&self, after: Option<&LogId>, limit: usize) -> Result<Vec<(LogId, LogRow)>> {
        let tables = self.tables();
        let following = tables.logs.iter().filter(|(id, _)| after.is_none_or(|after| *id > after));
        Ok(following.take(limit).map(|(id, row)| (id.clone(), row.clone())).collect())
    }

    async fn buckets(
        &self,
        id: &LogId,
        span: RangeInclusive<Offset>,
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<BucketRow>> {
        let tables = self.tables();
        let (from, to) = span.into_inner();
        let earlier = tables.buckets.range((id.clone(), Offset::MIN)..=(id.clone(), from));
        let first = earlier.last().map_or(from, |((_, start), _)| *start);
        if first > to {
            return Ok(Vec::new());
        }
        let rows = tables.buckets.range((id.clone(), first)..=(id.clone(), to)).map(|(_, row)| row.clone());
        Ok(if reverse { rows.rev().take(limit).collect() } else { rows.take(limit).collect() })
    }

    async fn events(&self, id: &LogId, bucket: Bucket, scan: Scan) -> Result<Vec<EncodedEvent>> {
        let tables = self.tables();
        let from = scan.from.max(Position::at(bucket.start));
        let to = scan.to.min(Position { offset: bucket.last(), seq: Seq::MAX });
        if from > to {
            return Ok(Vec::new());
        }
        let events = tables.events.range((id.clone(), from)..=(id.clone(), to)).map(|(_, event)| event.clone());
        let mut bytes = 0;
        let fits = |event: &EncodedEvent| {
            let before = bytes;
            bytes += event.record_bytes();
            before < scan.bytes
        };
        Ok(if scan.reverse {
            events.rev().take(scan.limit).take_while(fits).collect()
        } else {
            events.take(scan.limit).take_while(fits).collect()
        })
    }

    async fn late_events(
        &self,
        id: &LogId,
        bucket: Bucket,
        after: Seq,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<LateEvent>> {
        let tables = self.tables();
        let listed = tables
            .arrivals
            .range((id.clone(), bucket.start, after)..=(id.clone(), bucket.start, Seq::MAX))
            .filter(|((_, _, seq), _)| *seq > after);
        let (mut late, mut late_bytes) = (Vec::new(), 0);
        for ((_, _, seq), offset) in listed.take(limit) {
            if late_bytes >= bytes && !late.is_empty() {
                break;
            }
            let position = Position { offset: *offset, seq: *seq };
            let event = tables.events.get(&(id.clone(), position)).cloned();
            late_bytes += event.as_ref().map_or(0, EncodedEvent::record_bytes);
            late.push(LateEvent { position, event });
        }
        Ok(late)
    }

    async fn event(&self, id: &LogId, position: Position) -> Result<Option<Event>> {
        Ok(self.tables().events.get(&(id.clone(), position)).map(|event| event.decode(id)))
    }

    async fn totals(&self, id: &LogId) -> Result<Totals> {
        let tables = self.tables();
        let rows = tables.buckets.iter().filter(|((log, _), _)| log == id);
        Ok(rows.fold(Totals::default(), |sum, (_, row)| sum.with(Totals::from(row))))
    }

    async fn write(&self, writes: Vec<Write>) -> Result<()> {
        let mut tables = self.tables();
        for write in writes {
            match write {
                Write::Events { log, rows, width } => tables.write_events(log, &rows, width)?,
                Write::Log(id, row) => {
                    let deleted_to = tables.deletions.get(&id).copied().unwrap_or(Seq::MIN).max(row.deleted_to);
                    let settings_at = row.settings_at.max(deleted_to);
                    tables.logs.entry(id).or_insert(LogRow { deleted_to, settings_at, ..row });
                }
                Write::Settings(id, row) => {
                    if let Some(stored) = tables.logs.get_mut(&id) {
                        stored.apply(&row);
                    }
                }
                Write::Head { ref stream, slot, .. } | Write::Archived { ref stream, slot, .. } => {
                    tables.sources.entry((stream.to_string(), slot)).or_insert(SourceRow::NOTHING).apply(&write);
                }
                Write::DropBucket { log, bucket, seq, arrivals } => tables.drop_bucket(&log, bucket, seq, arrivals),
                Write::UnlistBucket { log, bucket, seq } => {
                    let key = (log, bucket.start);
                    if tables.buckets.get(&key).is_some_and(|row| row.is_empty() && row.counted_to < seq) {
                        tables.buckets.remove(&key);
                    }
                }
                Write::DeleteLog { log, seq } => tables.delete(&log, seq),
                Write::Cursor { log, name, change } => {
                    let key = (log, name);
                    let stored = tables.cursors.remove(&key);
                    if let Some(cursor) = change.apply(stored) {
                        tables.cursors.insert(key, cursor);
                    }
                }
            }
        }
        Ok(())
    }

    async fn sources(&self, stream: &str) -> Result<Vec<(u8, SourceRow)>> {
        let tables = self.tables();
        let of_stream = tables.sources.iter().filter(|((name, _), _)| name == stream);
        Ok(of_stream.map(|((_, slot), row)| (*slot, *row)).collect())
    }

    async fn epochs(&self, slot: u8) -> Result<Vec<EpochRow>> {
        Ok(self.tables().epochs.range((slot, 0)..=(slot, u32::MAX)).map(|(_, row)| row.clone()).collect())
    }

    async fn begin_epoch(&self, slot: u8, row: EpochRow) -> Result<bool> {
        let mut tables = self.tables();
        let key = (slot, row.epoch);
        if tables.epochs.contains_key(&key) {
            return Ok(false);
        }
        tables.epochs.insert(key, row);
        Ok(true)
    }

    async fn cursor(&self, id: &LogId, name: &str) -> Result<Option<ArrivalCursor>> {
        Ok(self.tables().cursors.get(&(id.clone(), name.to_owned())).copied())
    }

    async fn cursors(&self, id: &LogId) -> Result<Vec<(String, ArrivalCursor)>> {
        let tables = self.tables();
        let of_log = tables.cursors.iter().filter(|((log, _), _)| log == id);
        Ok(of_log.map(|((_, name), cursor)| (name.clone(), *cursor)).collect())
    }

    async fn deleted_to(&self, id: &LogId) -> Result<Seq> {
        let tables = self.tables();
        let of_row = tables.logs.get(id).map(|row| row.deleted_to);
        Ok(of_row.or_else(|| tables.deletions.get(id).copied()).unwrap_or(Seq::MIN))
    }

    async fn property(&self, name: &str) -> Result<Option<String>> {
        Ok(self.tables().properties.get(name).cloned())
    }

    async fn set_property(&self, name: &str, value: &str, over: Option<&str>) -> Result<String> {
        let mut tables = self.tables();
        let present = tables.properties.get(name).cloned();
        if present.as_deref() == over {
            tables.properties.insert(name.to_owned(), value.to_owned());
            return Ok(value.to_owned());
        }
        present.ok_or_else(|| no_property(name))
    }
}

impl Tables {
    fn write_events(&mut self, log: LogId, rows: &[EventRow], width: Width) -> Result<()> {
        let row = self.logs.get(&log);
        let deleted_to =
            row.map_or_else(|| self.deletions.get(&log).copied().unwrap_or(Seq::MIN), |row| row.deleted_to);
        let Some(first) = rows.iter().find(|row| row.event.position.seq > deleted_to) else {
            return Ok(());
        };
        let widths: Widths = self
            .logs
            .entry(log.clone())
            .or_insert_with(|| LogRow::of_first_event(&first.event, width, deleted_to))
            .widths
            .clone();
        let load = |log: &LogId, bucket: Bucket| Ok(self.buckets.get(&(log.clone(), bucket.start)).cloned());
        let Counts { rows: counted, deleted, .. } = index::count(&log, &widths, deleted_to, rows, load)?;
        for counted in counted {
            self.buckets.insert((log.clone(), counted.row.bucket.start), counted.row);
        }
        for EventRow { event, late } in rows.iter().filter(|row| !deleted.contains(&row.event.position.seq)) {
            let Position { offset, seq } = event.position;
            if let Some(late) = late {
                self.arrivals.insert((log.clone(), widths.bucket(late.max_time).start, seq), offset);
            }
            self.events.insert((log.clone(), event.position), EncodedEvent::from(event));
        }
        Ok(())
    }

    fn drop_bucket(&mut self, log: &LogId, bucket: Bucket, seq: Seq, arrivals: bool) {
        let Some(row) = self.buckets.get_mut(&(log.clone(), bucket.start)) else { return };
        *row = row.emptied(seq, arrivals);
        self.events.retain(|(id, position), _| id != log || !bucket.contains(position.offset));
        if arrivals {
            self.arrivals.retain(|(id, start, _), _| id != log || *start != bucket.start);
        }
    }

    fn delete(&mut self, log: &LogId, seq: Seq) {
        self.logs.remove(log);
        self.deletions.insert(log.clone(), seq);
        self.events.retain(|(id, _), _| id != log);
        self.buckets.retain(|(id, _), _| id != log);
        self.arrivals.retain(|(id, _, _), _| id != log);
        self.cursors.retain(|(id, _), _| id != log);
    }
}
