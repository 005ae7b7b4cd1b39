//! The writing thread: all waiting writes become one batch with one sync.

mod refill;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    ArrivalCursor, Error, ErrorKind, LogId, Offset, Result,
    backoff::Backoff,
    index::{self, Counts},
    store::{BucketRow, EventRow, LogRow, SourceRow, Width, Write},
};

use super::{
    Shared,
    compaction::{Compaction, DELETED},
    keys, open_files,
    tables::{BATCHES, Tables, broken},
    values,
    watermark::Watermark,
};

use refill::Refill;

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
/// The most cached rows of the index, and of the logs. The next events are likely to count in them.
const CACHED_ROWS_MAX: usize = 65_536;

/// Writes to make durable, and the channel for the outcome.
pub(super) struct Request {
    pub(super) writes: Vec<Write>,
    pub(super) reply: oneshot::Sender<Result<()>>,
}

/// Writes until every sender is dropped. `batches` is the number of batches written before.
pub(super) fn run(
    shared: &Arc<Shared>,
    mut requests: mpsc::Receiver<Request>,
    mut watermark: Watermark,
    mut batches: u64,
) {
    // If it cannot be read, the count begins at 0, and the next compaction is later than it could be.
    let mut cache = Cache { deleted: shared.with(|tables| tables.number(DELETED)).unwrap_or(0), ..Cache::default() };
    // As a read would, the next write fails if this cannot be read.
    cache.refill = shared.with(Refill::of).unwrap_or_default();
    let mut compaction = Compaction::default();
    let mut failed: Option<Failed> = None;
    while let Some(first) = requests.blocking_recv() {
        let mut group = vec![first];
        let mut bytes = group[0].bytes();
        while bytes < BATCH_BYTES_MAX {
            let Ok(request) = requests.try_recv() else { break };
            bytes += request.bytes();
            group.push(request);
        }
        let (writes, replies): (Vec<_>, Vec<_>) =
            group.into_iter().map(|request| (request.writes, request.reply)).unzip();
        // More deletions are likely to follow those of a sweep. Its last write has none.
        let deletes = writes.iter().flatten().any(|write| matches!(write, Write::DropBucket { .. }));
        let reopened = failed.as_mut().map_or(Ok(()), |failed| failed.reopen(shared, &mut batches));
        let outcome = reopened.and_then(|()| shared.with(|tables| cache.write(tables, writes, &mut batches)));
        match &outcome {
            Ok(()) => {
                failed = None;
                // If this fails, the file keeps an older count, which detects less but is never wrong.
                let _ = watermark.reached(batches);
                cache.deleted = cache.deleted.saturating_sub(compaction.given_back());
                let is_due = |tables: &Tables| Ok(!deletes && compaction.is_due(tables, cache.deleted));
                if shared.with(is_due).unwrap_or(false) {
                    compaction.begin(shared, cache.deleted);
                }
            }
            Err(error) => {
                // The cache may be ahead of the tables.
                cache = Cache { deleted: cache.deleted, refill: cache.refill.next_batch(), ..Cache::default() };
                if error.kind() == ErrorKind::Unavailable {
                    failed.get_or_insert_with(Failed::new).error = Some(error.flat_copy());
                }
            }
        }
        for reply in replies {
            // The requester may have left; that is not a failure.
            let _ = reply.send(outcome.as_ref().copied().map_err(Error::flat_copy));
        }
    }
    let _ = watermark.write(batches, failed.is_none());
    compaction.close();
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
    pub(super) logs: HashMap<LogId, LogRow>,
    pub(super) buckets: HashMap<(LogId, Offset), BucketRow>,
    sources: HashMap<Vec<u8>, SourceRow>,
    /// The number of events that were deleted since the last compaction.
    pub(super) deleted: u64,
    /// The events that a repaired archive reads again.
    refill: Refill,
    /// The rows of the index that the current batch changes, with their eras.
    changed: HashMap<(LogId, Offset), Offset>,
    /// The readers' cursors that the current batch changes; `None` if it deletes one.
    cursors: HashMap<Vec<u8>, Option<ArrivalCursor>>,
}

impl Cache {
    /// Writes `writes` in as few batches as possible, and adds these to `batches`.
    fn write(&mut self, tables: &Tables, writes: Vec<Vec<Write>>, batches: &mut u64) -> Result<()> {
        let mut batch = tables.batch();
        for write in writes.into_iter().flatten() {
            match write {
                Write::DropBucket { .. } | Write::UnlistBucket { .. } | Write::DeleteLog { .. } => {
                    // A removal reads the tables, so earlier writes must be in them.
                    self.commit(tables, std::mem::replace(&mut batch, tables.batch()), batches)?;
                    self.remove(tables, write, batches)?;
                }
                Write::Events { log, rows, width } => self.add_events(tables, &mut batch, &log, &rows, width)?,
                Write::Log(id, row) => {
                    if !self.logs.contains_key(&id) && tables.log(&id)?.is_none() {
                        let deleted_to = row.deleted_to.max(tables.deleted_to(&id)?);
                        let row = LogRow { deleted_to, settings_at: row.settings_at.max(deleted_to), ..row };
                        batch.insert(&tables.logs, id.as_str(), values::log(&row));
                        self.logs.insert(id, row);
                    }
                }
                Write::Settings(id, row) => {
                    let stored = self.logs.get(&id).cloned().map_or_else(|| tables.log(&id), |row| Ok(Some(row)))?;
                    let Some(mut stored) = stored else { continue };
                    if stored.apply(&row) {
                        batch.insert(&tables.logs, id.as_str(), values::log(&stored));
                        self.logs.insert(id, stored);
                    }
                }
                Write::Head { ref stream, slot, .. } | Write::Archived { ref stream, slot, .. } => {
                    let key = keys::source(stream, slot);
                    let row = match self.sources.get(&key) {
                        Some(row) => *row,
                        None => tables.source(&key)?.unwrap_or(SourceRow::NOTHING),
                    };
                    let mut moved = row;
                    moved.apply(&write);
                    self.sources.insert(key.clone(), moved);
                    if moved != row {
                        batch.insert(&tables.sources, key, values::source(&moved));
                    }
                }
                Write::Cursor { log, name, change } => {
                    let key = keys::cursor(&log, &name);
                    let stored = match self.cursors.get(&key) {
                        Some(changed) => *changed,
                        None => {
                            let stored = tables.cursors.get(&key).map_err(broken)?;
                            stored.map(|value| values::read_cursor(&value)).transpose()?
                        }
                    };
                    let changed = change.apply(stored);
                    if changed != stored {
                        self.cursors.insert(key, changed);
                    }
                }
            }
        }
        self.commit(tables, batch, batches)
    }

    /// Commits a batch with the changed rows of the index and the changed cursors.
    pub(super) fn commit(
        &mut self,
        tables: &Tables,
        mut batch: fjall::OwnedWriteBatch,
        batches: &mut u64,
    ) -> Result<()> {
        for (bucket, era) in self.changed.drain() {
            let row = self.buckets.get(&bucket).ok_or_else(|| {
                Error::new(ErrorKind::Unexpected, "a changed row of the index was evicted before it was written")
            })?;
            batch.insert(&tables.buckets, keys::bucket(&bucket.0, era, bucket.1), values::bucket(row));
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
        if self.logs.len() > CACHED_ROWS_MAX {
            self.logs.clear();
        }
        Ok(())
    }

    fn add_events(
        &mut self,
        tables: &Tables,
        batch: &mut fjall::OwnedWriteBatch,
        log: &LogId,
        rows: &[EventRow],
        width: Width,
    ) -> Result<()> {
        if !self.logs.contains_key(log) {
            let row = match tables.log(log)? {
                Some(row) => row,
                None => {
                    let deleted_to = tables.deleted_to(log)?;
                    let Some(first) = rows.iter().find(|row| row.event.position.seq > deleted_to) else {
                        return Ok(());
                    };
                    let row = LogRow::of_first_event(&first.event, width, deleted_to);
                    batch.insert(&tables.logs, log.as_str(), values::log(&row));
                    row
                }
            };
            self.logs.insert(log.clone(), row);
        }
        if self.refill.concerns(rows) {
            let row = self.logs[log].clone();
            self.refill(tables, log, &row, rows)?;
        }
        let LogRow { widths, deleted_to, .. } = &self.logs[log];
        let Counts { rows: counted, deleted } = index::count(log, widths, *deleted_to, rows, |log, bucket| match self
            .buckets
            .get(&(log.clone(), bucket.start))
        {
            Some(row) => Ok(Some(row.clone())),
            None => tables.bucket(log, widths.era(bucket.start), bucket.start),
        })?;
        for index::Counted { row, new } in counted {
            let era = widths.era(row.bucket.start);
            if new {
                batch.insert(&tables.eras, keys::era(log, era), Vec::new());
            }
            let key = (log.clone(), row.bucket.start);
            self.changed.insert(key.clone(), era);
            self.buckets.insert(key, row);
        }
        for row in rows.iter().filter(|row| !deleted.contains(&row.event.position.seq)) {
            let position = row.event.position;
            if let Some(late) = row.late {
                let bucket = widths.bucket(late.max_time).start;
                let key = keys::arrival(log, bucket, position.seq);
                batch.insert(&tables.arrivals, key, keys::ordered(position.offset.nanos()).to_vec());
            }
            let key = keys::event(log, widths.bucket(position.offset).start, position);
            batch.insert(&tables.events, key, values::event(&row.event));
        }
        Ok(())
    }
}
