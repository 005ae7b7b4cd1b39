//! The writing thread: all waiting writes become one batch with one sync.

mod events;
mod inbox;
mod refill;
mod rest;

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;

use crate::{
    ArrivalCursor, Error, ErrorKind, LogId, Offset, Result, Seq,
    backoff::Backoff,
    heap,
    store::{BucketRow, LogRow, SourceRow, Totals, Write},
};

use super::{
    Shared,
    compaction::{Compaction, DELETED},
    journals,
    keys::{self, LogNumber},
    lanes::{Ends, Lanes},
    listing::Listing,
    open_files,
    tables::{BATCHES, NUMBERED, Tables, broken},
    values,
    view::View,
    watermark::Watermark,
};

pub(in crate::embedded) use inbox::Inbox;
use inbox::Next;
use refill::Refill;
use rest::Rest;

/// The bytes of events at which a batch is full. A larger one gains nothing and makes writers wait longer.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// The most bytes of an unfinished batch in a journal: [`BATCH_BYTES_MAX`], one more write, and the index
/// rows.
pub(super) const UNFINISHED_BYTES_MAX: u64 = 64 << 20;
/// The first and the longest pause before the tables are reopened after a failed write.
const REOPEN_PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// The free bytes of the disk required before that. With fewer, the next write would fail at once, and
/// readers would have waited for nothing.
const FREE_BYTES_MIN: u64 = 32 << 20;
/// The longest time for writing out what is in memory when an archive with long journals is closed.
const WRITE_OUT_MAX: Duration = Duration::from_secs(3);
/// The most cached rows of the index, and of the logs. The next events are likely to count in them. A row takes half a
/// kilobyte, and more time to read than all else that an event needs.
const CACHED_ROWS_MAX: usize = 262_144;

/// Writes to make durable, and what to do with the outcome.
pub(super) struct Request {
    pub(super) writes: Vec<Write>,
    pub(super) done: Box<dyn FnOnce(Result<()>) + Send>,
}

/// Writes until every sender is dropped. `batches` is the number of batches written before.
pub(super) fn run(shared: &Arc<Shared>, mut inbox: Inbox<Request>, mut watermark: Watermark, mut batches: u64) {
    // If it cannot be read, the count begins at 0, and the next compaction is later than it could be.
    let mut cache = Cache { deleted: shared.with(|tables| tables.number(DELETED)).unwrap_or(0), ..Cache::default() };
    // As a read would, the next write fails if this cannot be read.
    cache.refill = shared.with(|tables| Refill::of(tables)).unwrap_or_default();
    let mut compaction = Compaction::default();
    let mut failed: Option<Failed> = None;
    let mut rest = Rest::Awake;
    loop {
        let first = match inbox.next(rest.pause()) {
            Next::Write(first) => first,
            Next::Pause => {
                cache = cache.emptied();
                // If this fails, so does the next write.
                let _ = shared.with(|tables| rest.step(tables));
                if rest == Rest::Done {
                    heap::collect();
                }
                continue;
            }
            Next::End => break,
        };
        let mut group = vec![first];
        let mut bytes = group[0].bytes();
        while bytes < BATCH_BYTES_MAX {
            let Some(request) = inbox.waiting() else { break };
            bytes += request.bytes();
            group.push(request);
        }
        let (writes, done): (Vec<_>, Vec<_>) = group.into_iter().map(|request| (request.writes, request.done)).unzip();
        // More deletions are likely to follow those of a sweep. Its last write has none.
        let deletes = writes.iter().flatten().any(|write| matches!(write, Write::DropBucket { .. }));
        let reopened = failed.as_mut().map_or(Ok(()), |failed| failed.reopen(shared, &mut batches));
        let write = |tables: &Arc<Tables>| {
            tables.wait_for_room()?;
            cache.write(tables, writes, &mut batches)
        };
        let outcome = reopened.and_then(|()| shared.with(write));
        match &outcome {
            Ok(()) => {
                failed = None;
                // If this fails, the file keeps an older count, which detects less but is never wrong.
                let _ = watermark.reached(batches);
                cache.deleted = cache.deleted.saturating_sub(compaction.given_back());
                let is_due = |tables: &Arc<Tables>| Ok(!deletes && compaction.is_due(tables, cache.deleted));
                if shared.with(is_due).unwrap_or(false) {
                    compaction.begin(shared, cache.deleted);
                }
                // If this fails, so does the next write.
                let _ = shared.with(|tables| rest.written(tables));
            }
            Err(error) => {
                // The cache may be ahead of the tables.
                cache = cache.emptied();
                if error.kind() == ErrorKind::Unavailable {
                    failed.get_or_insert_with(Failed::new).error = Some(error.flat_copy());
                }
            }
        }
        for done in done {
            done(outcome.as_ref().copied().map_err(Error::flat_copy));
        }
    }
    if failed.is_none() {
        // If this fails, the next start has more to read.
        let _ = shared.with(|tables| close(&shared.directory, tables));
    }
    let _ = watermark.write(batches, failed.is_none());
    compaction.close();
}

/// Writes out what is in memory before the archive is closed, if the next start would take long to read it.
fn close(directory: &Path, tables: &Tables) -> Result<()> {
    let is_short = journals::used_bytes(directory).is_ok_and(|bytes| bytes < journals::LONG_JOURNALS_BYTES);
    if is_short { Ok(()) } else { tables.write_out(WRITE_OUT_MAX) }
}

/// The state after a failed write. None is accepted until the tables have been reopened.
struct Failed {
    /// The cause; `None` once they have been reopened.
    error: Option<Error>,
    backoff: Backoff,
    pause: Duration,
    retry_at: Instant,
}

impl Failed {
    fn new() -> Self {
        let mut backoff = Backoff::new(REOPEN_PAUSES.0, REOPEN_PAUSES.1);
        let pause = backoff.next_pause();
        Self { error: None, backoff, pause, retry_at: Instant::now() + pause }
    }

    /// Reopens the tables if the pause is over, the disk has room, and files may be opened.
    fn reopen(&mut self, shared: &Shared, batches: &mut u64) -> Result<()> {
        let Some(error) = &self.error else { return Ok(()) };
        if Instant::now() < self.retry_at {
            return Err(error.flat_copy());
        }
        self.retry_at = Instant::now() + self.pause;
        let (free, _) = shared.disk_bytes()?;
        if free < FREE_BYTES_MIN {
            let context = format!(
                "the disk of the archive in {} has {} MiB left; free some: writes are accepted again from {} MiB",
                shared.directory.display(),
                free >> 20,
                FREE_BYTES_MIN >> 20
            );
            return Err(Error::new(ErrorKind::Unavailable, context));
        }
        open_files::check_free(&shared.directory)?;
        self.pause = self.backoff.next_pause();
        let found = shared.reopen()?;
        if found < *batches {
            let context = format!(
                "the archive in {} has {found} of {batches} acknowledged batches of writes; restart, so that the missing \
                 ones are ingested again from the stream",
                shared.directory.display()
            );
            return Err(Error::new(ErrorKind::Integrity, context));
        }
        // There may be one more: it was written, and then its sync failed.
        *batches = found;
        self.error = None;
        Ok(())
    }
}

impl Request {
    fn bytes(&self) -> usize {
        let write_bytes = |write: &Write| match write {
            Write::Events { rows, .. } => rows.iter().map(|row| row.event.record.bytes() + 64).sum(),
            _ => 64,
        };
        self.writes.iter().map(write_bytes).sum()
    }
}

/// Rows of the tables. They stay valid because only this thread changes the tables.
#[derive(Default)]
pub(super) struct Cache {
    pub(super) logs: HashMap<LogId, (LogNumber, LogRow), RandomState>,
    pub(super) buckets: HashMap<(LogNumber, Offset), CachedBucket, RandomState>,
    sources: HashMap<(Arc<str>, u8), SourceRow>,
    /// The number of logs that were ever numbered; `None` until it is read.
    numbered: Option<u32>,
    /// The number of entries that were deleted since the last compaction.
    pub(super) deleted: u64,
    /// The events that a repaired archive reads again.
    refill: Refill,
    /// The sums of the rows of an era.
    pub(super) eras: HashMap<(LogNumber, Offset), Totals, RandomState>,
    /// The rows of the index that the current batch changes. Some are there twice.
    changed: Vec<(LogNumber, Offset)>,
    /// The eras whose sums the current batch changes. Some are there twice.
    changed_eras: Vec<(LogNumber, Offset)>,
    /// The listings of late events that the current batch changes.
    listings: HashMap<[u8; keys::ARRIVAL_BYTES], Listing>,
    /// The newest head of each source in the current batch. One tells as much as those of all slots.
    heads: HashMap<Arc<str>, (Seq, Write)>,
    /// The sources and slots whose rows the current batch changes.
    changed_sources: HashSet<(Arc<str>, u8)>,
    /// The readers' cursors that the current batch changes; `None` if it deletes one.
    cursors: HashMap<Vec<u8>, Option<ArrivalCursor>>,
}

/// A bucket that is likely to take the next events.
pub(super) struct CachedBucket {
    pub(super) row: BucketRow,
    pub(super) lanes: Lanes,
    /// The ends of its lanes in order; `None` until they are needed.
    pub(super) ends: Option<Ends>,
}

impl Cache {
    /// Returns a cache without rows.
    fn emptied(&mut self) -> Self {
        Self { deleted: self.deleted, refill: self.refill.next_batch(), ..Self::default() }
    }

    /// Writes `writes` in as few batches as possible, and adds these to `batches`.
    fn write(&mut self, tables: &Arc<Tables>, writes: Vec<Vec<Write>>, batches: &mut u64) -> Result<()> {
        let mut batch = tables.batch();
        let mut view = View::of(tables);
        for write in writes.into_iter().flatten() {
            match write {
                Write::DropBucket { .. } | Write::UnlistBucket { .. } | Write::DeleteLog { .. } => {
                    // A removal reads the tables, so earlier writes must be in them.
                    self.apply_heads(&view)?;
                    self.commit(tables, std::mem::replace(&mut batch, tables.batch()), batches)?;
                    self.remove(tables, write, batches)?;
                    view = View::of(tables);
                }
                Write::Events { log, rows, width } => self.add_events(&view, &mut batch, &log, &rows, width)?,
                Write::Log(id, row) => {
                    if self.log(&view, &id)?.is_none() {
                        let deleted_to = row.deleted_to.max(view.deleted_to(&id)?);
                        let row = LogRow { deleted_to, settings_at: row.settings_at.max(deleted_to), ..row };
                        self.create_log(&view, &mut batch, &id, row)?;
                    }
                }
                Write::Settings(id, row) => {
                    let Some((number, mut stored)) = self.log(&view, &id)? else { continue };
                    if stored.apply(&row) {
                        batch.insert(&tables.logs, id.as_str(), values::log(number, &stored));
                        self.logs.insert(id, (number, stored));
                    }
                }
                Write::Head { ref stream, slot, seq, .. } => {
                    let stored = self.source(&view, stream, slot)?.head;
                    match self.heads.get(stream) {
                        // The first head of an epoch is stored on its own: sequences of two epochs do not compare.
                        _ if stored == Seq::ZERO || stored.epoch() != seq.epoch() => {
                            self.apply_to_source(&view, &write)?;
                        }
                        Some(newer) if newer.0.sequence() >= seq.sequence() => {}
                        _ => drop(self.heads.insert(Arc::clone(stream), (seq, write))),
                    }
                }
                Write::Archived { .. } => self.apply_to_source(&view, &write)?,
                Write::Cursor { log, name, change } => {
                    let key = keys::cursor(&log, &name);
                    let stored = match self.cursors.get(&key) {
                        Some(changed) => *changed,
                        None => view.cursor(&key)?,
                    };
                    let changed = change.apply(stored);
                    if changed != stored {
                        self.cursors.insert(key, changed);
                    }
                }
            }
        }
        self.apply_heads(&view)?;
        self.commit(tables, batch, batches)
    }

    /// Applies the newest heads.
    fn apply_heads(&mut self, view: &View) -> Result<()> {
        let heads = std::mem::take(&mut self.heads);
        heads.values().try_for_each(|(_, head)| self.apply_to_source(view, head))
    }

    /// Returns the row of a source in a slot.
    fn source(&mut self, view: &View, stream: &Arc<str>, slot: u8) -> Result<&mut SourceRow> {
        Ok(match self.sources.entry((Arc::clone(stream), slot)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let stored = view.source(&keys::source(stream, slot))?;
                entry.insert(stored.unwrap_or(SourceRow::NOTHING))
            }
        })
    }

    /// Applies a head or a checkpoint.
    fn apply_to_source(&mut self, view: &View, write: &Write) -> Result<()> {
        let (Write::Head { stream, slot, .. } | Write::Archived { stream, slot, .. }) = write else { return Ok(()) };
        let row = self.source(view, stream, *slot)?;
        let before = *row;
        row.apply(write);
        if *row != before {
            self.changed_sources.insert((Arc::clone(stream), *slot));
        }
        Ok(())
    }

    /// Returns the number and the settings of a log.
    pub(super) fn log(&self, view: &View, id: &LogId) -> Result<Option<(LogNumber, LogRow)>> {
        self.logs.get(id).cloned().map_or_else(|| view.log(id), |log| Ok(Some(log)))
    }

    /// Returns a bucket that has a row.
    pub(super) fn bucket(&mut self, view: &View, log: LogNumber, start: Offset) -> Result<Option<&mut CachedBucket>> {
        Ok(match self.buckets.entry((log, start)) {
            Entry::Occupied(entry) => Some(entry.into_mut()),
            Entry::Vacant(entry) => {
                let stored = view.bucket(log, start)?;
                stored.map(|(row, lanes)| entry.insert(CachedBucket { row, lanes, ends: None }))
            }
        })
    }

    /// Adds events to the sums of an era.
    pub(super) fn add_to_era(&mut self, view: &View, log: LogNumber, era: Offset, added: Totals) -> Result<()> {
        let totals = match self.eras.get(&(log, era)) {
            Some(totals) => *totals,
            None => view.era_totals(log, era)?,
        };
        self.eras.insert((log, era), totals.with(added));
        self.changed_eras.push((log, era));
        Ok(())
    }

    /// Creates a log, with the next number.
    fn create_log(
        &mut self,
        view: &View,
        batch: &mut fjall::OwnedWriteBatch,
        id: &LogId,
        row: LogRow,
    ) -> Result<LogNumber> {
        let tables = view.tables();
        let numbered = match self.numbered {
            Some(numbered) => numbered,
            None => u32::try_from(tables.number(NUMBERED)?).unwrap_or(u32::MAX),
        };
        let next = numbered.checked_add(1).ok_or_else(|| {
            Error::new(
                ErrorKind::Refused,
                format!("the archive has had {numbered} logs and takes no more; begin another"),
            )
        })?;
        let number = LogNumber(next);
        self.numbered = Some(next);
        batch.insert(&tables.meta, NUMBERED, keys::ordered(i64::from(next)).to_vec());
        batch.insert(&tables.numbers, keys::log_number(number), values::log_id(id));
        batch.insert(&tables.logs, id.as_str(), values::log(number, &row));
        self.logs.insert(id.clone(), (number, row));
        Ok(number)
    }

    /// Commits a batch with the changed rows of the index, the changed listings and the changed cursors.
    pub(super) fn commit(
        &mut self,
        tables: &Tables,
        mut batch: fjall::OwnedWriteBatch,
        batches: &mut u64,
    ) -> Result<()> {
        for (log, start) in drain_in_order(&mut self.changed) {
            let CachedBucket { row, lanes, .. } = self.buckets.get(&(log, start)).ok_or_else(|| {
                Error::new(ErrorKind::Unexpected, "a changed row of the index was evicted before it was written")
            })?;
            batch.insert(&tables.buckets, keys::bucket(log, start), values::bucket(row, *lanes));
        }
        for (log, era) in drain_in_order(&mut self.changed_eras) {
            let totals = self.eras.get(&(log, era)).copied().unwrap_or_default();
            batch.insert(&tables.eras, keys::era(log, era), values::totals(&totals));
        }
        for (key, listing) in self.listings.drain() {
            batch.insert(&tables.arrivals, key, listing.encode());
        }
        for (stream, slot) in self.changed_sources.drain() {
            let key = (stream, slot);
            if let Some(row) = self.sources.get(&key) {
                batch.insert(&tables.sources, keys::source(&key.0, slot), values::source(row));
            }
        }
        for (key, cursor) in self.cursors.drain() {
            match cursor {
                Some(cursor) => batch.insert(&tables.cursors, key, values::cursor(cursor)),
                None => batch.remove(&tables.cursors, key),
            }
        }
        batch.insert(&tables.meta, BATCHES, keys::ordered(*batches as i64 + 1).to_vec());
        batch.commit().map_err(broken)?;
        *batches += 1;
        self.refill = self.refill.next_batch();
        if self.buckets.len() > CACHED_ROWS_MAX {
            self.buckets.clear();
        }
        if self.eras.len() > CACHED_ROWS_MAX {
            self.eras.clear();
        }
        if self.logs.len() > CACHED_ROWS_MAX {
            self.logs.clear();
        }
        Ok(())
    }
}

/// Takes all `rows`, each once, in the order of their keys: a table finds the place of an entry sooner if it is near
/// that of the one before.
fn drain_in_order(rows: &mut Vec<(LogNumber, Offset)>) -> std::vec::Drain<'_, (LogNumber, Offset)> {
    rows.sort_unstable();
    rows.dedup();
    rows.drain(..)
}
