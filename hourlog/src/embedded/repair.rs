//! Repairing a damaged archive: everything that can be read is written to new files, and the old ones are kept aside.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use fjall::Keyspace;

use crate::{
    Error, ErrorKind, LogId, Result,
    maintenance::{Finding, Summary},
    store::BucketRow,
};

use super::{
    check::{self, Sink, Walk},
    disk_bytes,
    files::{cannot_read, database::Files, no_archive},
    keys,
    listing::Listing,
    recovery, swap,
    tables::{HOLES, NUMBERED, Tables, broken},
    values,
    view::View,
    watermark::Watermark,
};

/// The free bytes that a repair leaves on the disk.
const FREE_BYTES_LEFT_MIN: u64 = 256 << 20;

/// The result of a repair.
///
/// ```
/// use hourlog::{Embedded, maintenance::repair_directory};
/// let directory = tempfile::tempdir().expect("a temporary directory");
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// drop(Embedded::open(directory.path())?);
/// let repaired = repair_directory(directory.path(), false, |_| {})?;
/// assert!(repaired.before.is_whole() && repaired.aside.is_none()); // there was nothing to do
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// The state before the repair.
    pub before: Summary,
    /// The directory that the damaged files were moved to; `None` if nothing was changed.
    pub aside: Option<PathBuf>,
}

/// Keeps what can be read of the archive in `directory`. With `dry_run`, only tells what that is.
///
/// The old files are moved to a directory `damaged-TIME` in it. The checkpoints of all sources are reset, so that
/// the service reads the stream again from the oldest message that it still has.
///
/// # Errors
/// As [`check_directory`](crate::maintenance::check_directory), and [`ErrorKind::Refused`] if the disk has no room
/// for a second set of files. After an error, the archive is as it was, unless the error says that a start completes the repair.
pub fn repair_directory(
    directory: impl AsRef<Path>,
    dry_run: bool,
    mut observe: impl FnMut(Finding),
) -> Result<Repaired> {
    let directory = directory.as_ref();
    if dry_run {
        let before = check::check_directory(directory, observe)?;
        return Ok(Repaired { before, aside: None });
    }
    let cannot = |error| cannot_read(directory, error);
    // Locking creates the directory and a file in it.
    if !swap::is_decided(directory) && !Files::are_in_use(directory).map_err(cannot)? {
        return Err(no_archive(directory));
    }
    let _lock = recovery::lock(directory)?;
    swap::finish(directory).map_err(cannot)?;
    let before = check::check(directory, &mut observe)?;
    if before.is_whole() {
        return Ok(Repaired { before, aside: None });
    }
    let rewritten = rewrite(directory).and_then(|()| swap::commit(directory, swap::DAMAGED));
    if rewritten.is_err() {
        swap::abandon(directory);
    }
    Ok(Repaired { before, aside: Some(rewritten?) })
}

/// Writes everything that can be read into the directory of the next tables, and checks the result.
fn rewrite(directory: &Path) -> Result<()> {
    let cannot = |error| cannot_read(directory, error);
    let mut ignore = |_: Finding| {};
    let mut walk = Walk::new(directory, &mut ignore)?;
    let (needed, free) = (walk.bytes().saturating_add(FREE_BYTES_LEFT_MIN), disk_bytes(directory)?.0);
    if free < needed {
        let context = format!(
            "the disk of the archive in {} has {} MiB left, and a repair needs {} MiB for a second set of files; free some",
            directory.display(),
            free >> 20,
            needed >> 20
        );
        return Err(Error::new(ErrorKind::Refused, context));
    }
    let prepared = swap::prepare(directory).map_err(cannot)?;
    let tables = Arc::new(Tables::open(&prepared)?);
    fill(&tables, &mut walk)?;
    tables.check_format(&prepared)?;
    for log in &walk.damaged_logs {
        unlist_late(&tables, log)?;
    }
    let mut batch = tables.batch();
    let holes_to = walk.holes_to.get().max(i64::try_from(tables.number(HOLES)?).unwrap_or(i64::MAX));
    let numbered = i64::from(walk.numbered).max(i64::try_from(tables.number(NUMBERED)?).unwrap_or(i64::MAX));
    batch.insert(&tables.meta, NUMBERED, keys::ordered(numbered).to_vec());
    batch.insert(&tables.meta, HOLES, keys::ordered(holes_to.max(0)).to_vec());
    batch.commit().map_err(broken)?;
    tables.reset_checkpoints()?;
    let batches = tables.batches()?;
    drop(tables);
    let (mut watermark, _) = Watermark::open(&prepared).map_err(cannot)?;
    watermark.write(batches, true).map_err(cannot)?;
    let after = check::check(&prepared, &mut ignore)?;
    if after.is_whole() {
        return Ok(());
    }
    let context = format!("the repaired archive is not whole ({after}), and was not put in place; restore a backup");
    Err(Error::new(ErrorKind::Unexpected, context))
}

/// Puts everything that can be read into empty tables.
fn fill(tables: &Tables, walk: &mut Walk<'_>) -> Result<()> {
    let mut fresh = Fresh { tables, ingestions: BTreeMap::new() };
    walk.everything(&mut fresh)?;
    fresh.ingestions.into_values().try_for_each(|mut ingestion| ingestion(None))
}

/// The new tables. Their rows come in the order of their keys, so they are written as sorted files at once.
struct Fresh<'a> {
    tables: &'a Tables,
    ingestions: BTreeMap<&'static str, Ingestion<'a>>,
}

/// Writes a row, or finishes without one. The type that fjall has for this cannot be named.
type Ingestion<'a> = Box<dyn FnMut(Option<(&[u8], Bytes)>) -> Result<()> + 'a>;

fn ingest(table: &Keyspace) -> Result<Ingestion<'_>> {
    let mut ingestion = Some(table.start_ingestion().map_err(broken)?);
    Ok(Box::new(move |row| match row {
        Some((key, value)) => {
            ingestion.as_mut().map_or(Ok(()), |ingestion| ingestion.write(key, &*value)).map_err(broken)
        }
        None => ingestion.take().map_or(Ok(()), |ingestion| ingestion.finish()).map_err(broken),
    }))
}

impl Sink for Fresh<'_> {
    fn put(&mut self, table: &'static str, key: &[u8], value: Bytes) -> Result<()> {
        if !self.ingestions.contains_key(table) {
            self.ingestions.insert(table, ingest(self.tables.named(table))?);
        }
        self.ingestions.get_mut(table).map_or(Ok(()), |ingestion| ingestion(Some((key, value))))
    }
}

/// Removes the late events that are gone from the lists: a follower would stop at them.
fn unlist_late(tables: &Arc<Tables>, id: &LogId) -> Result<()> {
    let view = View::of(tables);
    let Some((number, log)) = view.log(id)? else { return Ok(()) };
    for guard in tables.arrivals.prefix(keys::log_number(number)) {
        let (key, value) = guard.into_inner().map_err(broken)?;
        let mut listing = Listing::decode(number, &value)?;
        let listed = listing.len();
        let mut packs = Vec::new();
        for mut pack in std::mem::take(&mut listing.packs) {
            let bucket = pack.key.bucket;
            let row = view.bucket(number, bucket)?.map(|(row, _)| row);
            let is_stored = view.get(&tables.events, pack.key.encode())?.is_some();
            // Those of removed events stay: readers know of the removal.
            let is_removed =
                |seq| seq <= log.deleted_to || row.as_ref().is_none_or(|row: &BucketRow| seq <= row.emptied_at);
            pack.events.retain(|event| is_stored || is_removed(event.seq));
            packs.extend(Some(pack).filter(|pack| !pack.events.is_empty()));
        }
        listing.packs = packs;
        let gone = listed - listing.len();
        if gone == 0 {
            continue;
        }
        // The listing is in the bucket of the arrival, whose row counts it.
        let (_, listed_in) = keys::read_bucket_of_log(&key)?;
        // Not synced one by one: the last write of the repair syncs all of them.
        let mut batch = tables.database.batch();
        // Another listing may have changed it.
        if let Some((mut row, lanes)) = View::of(tables).bucket(number, listed_in)? {
            row.arrivals = row.arrivals.saturating_sub(gone as u64);
            batch.insert(&tables.buckets, keys::bucket(number, listed_in), values::bucket(&row, lanes));
        }
        if listing.packs.is_empty() {
            batch.remove(&tables.arrivals, key);
        } else {
            batch.insert(&tables.arrivals, key, listing.encode());
        }
        batch.commit().map_err(broken)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
