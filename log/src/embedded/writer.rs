//! The one thread that writes: all the writes that wait become one batch with one sync.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    Arrival, BucketRow, Error, ErrorKind, LogId, LogRow, Offset, Result, Row, SourceRow, Write,
    index::{self, Counts},
};

use super::{BATCHES, Shared, Tables, broken, keys, values, watermark::Watermark};

/// The events' bytes after which a batch takes no further writes: more makes those that wait wait longer, and gains nothing.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// The bytes of a batch that may stand in a journal unfinished: of one write more than [`BATCH_BYTES_MAX`], and what belongs to it.
pub(super) const UNFINISHED_BYTES_MAX: u64 = 64 << 20;
/// The pauses before the tables are opened again after a write that failed.
const OPEN_AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// The room that the disk must have before that: else it would fail again at once, and readers would have waited for nothing.
const ROOM_BYTES_MIN: u64 = 32 << 20;
/// The rows of the index, and of the logs, that are remembered. They are those that the next events count in.
const REMEMBERED_MAX: usize = 65_536;

/// Writes that are to become durable, and who waits for it.
pub(super) struct Request {
    pub(super) writes: Vec<Write>,
    pub(super) reply: oneshot::Sender<Result<()>>,
}

/// Writes until nobody can ask for it any more. `batches` were written before.
pub(super) fn run(shared: &Shared, mut requests: mpsc::Receiver<Request>, mut watermark: Watermark, mut batches: u64) {
    let mut known = Known::default();
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
        let mended = failed.as_mut().map_or(Ok(()), |failed| failed.mend(shared, &mut batches));
        let outcome = mended.and_then(|()| shared.with(|tables| known.write(tables, writes, &mut batches)));
        match &outcome {
            Ok(()) => {
                failed = None;
                // A watermark that is not written is an older one: it promises less.
                let _ = watermark.reached(batches);
            }
            Err(error) => {
                // What was remembered may be ahead of what is stored.
                known = Known::default();
                if error.kind() == ErrorKind::Unavailable {
                    failed.get_or_insert_with(Failed::new).error = Some(error.again());
                }
            }
        }
        for reply in replies {
            // Who asked may have left; that is no failure.
            let _ = reply.send(outcome.as_ref().copied().map_err(Error::again));
        }
    }
    let _ = watermark.write(batches, failed.is_none());
}

/// A write has failed: none is taken until the tables have been opened again.
struct Failed {
    /// Why; `None` once they have been.
    error: Option<Error>,
    pause: Duration,
    again_at: Instant,
}

impl Failed {
    fn new() -> Self {
        Self { error: None, pause: OPEN_AGAIN.0, again_at: Instant::now() + OPEN_AGAIN.0 }
    }

    /// Opens the tables again, if it is time and there is room.
    fn mend(&mut self, shared: &Shared, batches: &mut u64) -> Result<()> {
        let Some(error) = &self.error else { return Ok(()) };
        if Instant::now() < self.again_at {
            return Err(error.again());
        }
        self.again_at = Instant::now() + self.pause;
        let room = room(shared)?;
        if room < ROOM_BYTES_MIN {
            let context = format!(
                "the disk of the archive in {} has {} MiB left; it takes writes again when it has {}",
                shared.directory.display(),
                room >> 20,
                ROOM_BYTES_MIN >> 20
            );
            return Err(Error::new(ErrorKind::Unavailable, context));
        }
        self.pause = (self.pause * 2).min(OPEN_AGAIN.1);
        let found = shared.open_again()?;
        if found < *batches {
            let context = format!(
                "of {batches} acknowledged batches of writes the archive in {} has kept {found}; start again, so that what is \
                 missing is read from the stream again",
                shared.directory.display()
            );
            return Err(Error::new(ErrorKind::Integrity, context));
        }
        // One more may be there: it was written, and then could not be synced.
        *batches = found;
        self.error = None;
        Ok(())
    }
}

/// The bytes that may still be written to the archive's disk.
fn room(shared: &Shared) -> Result<u64> {
    let disk = nix::sys::statvfs::statvfs(&shared.directory).map_err(|error| {
        Error::new(ErrorKind::Unavailable, "cannot see how much room the archive's disk has").because(error)
    })?;
    #[allow(clippy::useless_conversion, reason = "on other systems these numbers are shorter")]
    Ok(u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size())))
}

impl Request {
    fn bytes(&self) -> usize {
        let of_write = |write: &Write| match write {
            Write::Events { rows, .. } => rows.iter().map(|row| row.event.record.bytes() + 64).sum(),
            _ => 64,
        };
        self.writes.iter().map(of_write).sum()
    }
}

/// What the thread knows of the tables without reading them: it alone changes them.
#[derive(Default)]
pub(super) struct Known {
    pub(super) logs: HashMap<LogId, LogRow>,
    pub(super) buckets: HashMap<(LogId, Offset), BucketRow>,
    sources: HashMap<Vec<u8>, SourceRow>,
    /// The rows of the index that the batch at hand changes, with their eras.
    changed: HashMap<(LogId, Offset), Offset>,
    /// The readers' places in the batch at hand.
    cursors: HashMap<Vec<u8>, Arrival>,
}

impl Known {
    /// Writes all of it, in as few batches as can be. Counts them.
    fn write(&mut self, tables: &Tables, writes: Vec<Vec<Write>>, batches: &mut u64) -> Result<()> {
        let mut batch = tables.batch();
        for write in writes.into_iter().flatten() {
            match write {
                Write::Drop { .. } | Write::Unlist { .. } | Write::Delete { .. } => {
                    // What is taken away is looked for in the tables.
                    self.commit(tables, std::mem::replace(&mut batch, tables.batch()), batches)?;
                    self.remove(tables, write, batches)?;
                }
                Write::Events { log, rows } => self.add_events(tables, &mut batch, &log, &rows)?,
                Write::Log(id, row) => {
                    if !self.logs.contains_key(&id) && tables.log(&id)?.is_none() {
                        let row = LogRow { cut: row.cut.max(tables.cut(&id)?), ..row };
                        batch.insert(&tables.logs, id.as_str(), values::log(&row));
                        self.logs.insert(id, row);
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
                Write::Cursor { log, name, cursor } => {
                    let key = keys::cursor(&log, &name);
                    let newest = match self.cursors.get(&key) {
                        Some(newest) => Some(*newest),
                        None => {
                            let stored = tables.cursors.get(&key).map_err(broken)?;
                            stored.map(|value| values::read_cursor(&value)).transpose()?
                        }
                    };
                    if newest.is_none_or(|newest| newest.seq <= cursor.seq) {
                        batch.insert(&tables.cursors, key.clone(), values::cursor(cursor));
                        self.cursors.insert(key, cursor);
                    }
                }
            }
        }
        self.commit(tables, batch, batches)
    }

    /// Commits a batch, with the rows of the index that it changes.
    pub(super) fn commit(
        &mut self,
        tables: &Tables,
        mut batch: fjall::OwnedWriteBatch,
        batches: &mut u64,
    ) -> Result<()> {
        for (bucket, era) in self.changed.drain() {
            let row = self.buckets.get(&bucket).ok_or_else(|| {
                Error::new(ErrorKind::Unexpected, "a changed row of the index was forgotten before it was written")
            })?;
            batch.insert(&tables.buckets, keys::bucket(&bucket.0, era, bucket.1), values::bucket(row));
        }
        batch.insert(&tables.meta, BATCHES, keys::ordered(*batches as i64 + 1).to_vec());
        batch.commit().map_err(broken)?;
        *batches += 1;
        self.cursors.clear();
        if self.buckets.len() > REMEMBERED_MAX {
            self.buckets.clear();
        }
        if self.logs.len() > REMEMBERED_MAX {
            self.logs.clear();
        }
        Ok(())
    }

    fn add_events(
        &mut self,
        tables: &Tables,
        batch: &mut fjall::OwnedWriteBatch,
        log: &LogId,
        rows: &[Row],
    ) -> Result<()> {
        if !self.logs.contains_key(log) {
            let row = match tables.log(log)? {
                Some(row) => row,
                None => {
                    let cut = tables.cut(log)?;
                    let Some(first) = rows.iter().find(|row| row.event.position.seq > cut) else { return Ok(()) };
                    let row = LogRow::of_first_event(&first.event, cut);
                    batch.insert(&tables.logs, log.as_str(), values::log(&row));
                    row
                }
            };
            self.logs.insert(log.clone(), row);
        }
        let LogRow { widths, cut, .. } = &self.logs[log];
        let Counts { rows: counted, gone } = index::count(log, widths, *cut, rows, |log, bucket| {
            match self.buckets.get(&(log.clone(), bucket.start)) {
                Some(row) => Ok(Some(row.clone())),
                None => tables.bucket(log, widths.era(bucket.start), bucket.start),
            }
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
        for row in rows.iter().filter(|row| !gone.contains(&row.event.position.seq)) {
            let position = row.event.position;
            if let Some(placed) = row.placed {
                let bucket = widths.bucket(placed.high).start;
                let key = keys::arrival(log, bucket, position.seq);
                batch.insert(&tables.arrivals, key, keys::ordered(position.offset.nanos()).to_vec());
            }
            let key = keys::event(log, widths.bucket(position.offset).start, position);
            batch.insert(&tables.events, key, values::event(&row.event));
        }
        Ok(())
    }
}
