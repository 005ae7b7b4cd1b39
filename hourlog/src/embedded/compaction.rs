//! Compaction: gives the space of deleted events back to the disk.
//!
//! A deletion only adds a marker to the table. The table drops a pack of events with its marker when it rewrites the
//! files that hold them, and it may never do so for old files. So the whole table is rewritten once enough of
//! it was deleted.

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use crate::{Error, ErrorKind, Result};

use super::{
    Shared, keys,
    tables::{Tables, broken},
};

/// The key in `meta` of the number of packs that were deleted since the last compaction.
pub(super) const DELETED: &str = "deleted";
/// The fewest deleted packs that are worth a compaction. Full ones take 8 MiB.
const DELETED_MIN: u64 = 256;
/// The most entries per deleted pack for a compaction, so that it gives back a good part of what it
/// rewrites.
const ENTRIES_PER_DELETED: u64 = 4;
/// The longest wait for a compaction when the archive is closed. A process that exits may end it.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// The longest time in which a disk writes what is in memory: some hundred megabytes at the most.
const WRITE_OUT_MAX: Duration = Duration::from_secs(60);
/// The free bytes that a compaction must leave on the disk, for the writes and the memtables meanwhile.
const FREE_BYTES_LEFT_MIN: u64 = 256 << 20;
/// The pause after a compaction that failed, most likely because the disk has no room for it.
const RETRY_PAUSE: Duration = Duration::from_secs(600);

/// The compaction under way, if there is one. It runs on a thread of its own, beside reads and writes.
#[derive(Default)]
pub(super) struct Compaction {
    running: Option<Running>,
    /// The time before which none begins, after one that failed.
    retry_at: Option<Instant>,
}

struct Running {
    /// The number of packs that were deleted before it began.
    deleted: u64,
    /// Receives when it has succeeded; closes when it has failed.
    succeeded: mpsc::Receiver<()>,
}

impl Compaction {
    /// Returns the number of deleted packs whose space has been given back since the last call.
    pub(super) fn given_back(&mut self) -> u64 {
        let Some(running) = &self.running else { return 0 };
        let given_back = match running.succeeded.try_recv() {
            Ok(()) => running.deleted,
            Err(mpsc::TryRecvError::Empty) => return 0,
            Err(mpsc::TryRecvError::Disconnected) => {
                self.retry_at = Some(Instant::now() + RETRY_PAUSE);
                0
            }
        };
        self.running = None;
        given_back
    }

    /// Returns true if a compaction should begin, after `deleted` packs were deleted since the last one.
    pub(super) fn is_due(&self, tables: &Tables, deleted: u64) -> bool {
        deleted >= DELETED_MIN
            && self.running.is_none()
            && self.retry_at.is_none_or(|retry_at| Instant::now() >= retry_at)
            && pays(deleted, tables.events.approximate_len() as u64)
    }

    /// Begins a compaction that gives back the space of `deleted` packs.
    pub(super) fn begin(&mut self, shared: &Arc<Shared>, deleted: u64) {
        let (success, succeeded) = mpsc::sync_channel(1);
        let shared = Arc::clone(shared);
        let compact = move || {
            let outcome =
                shared.disk_bytes().and_then(|(free, _)| shared.with(|tables| compact(tables, free, deleted)));
            drop(shared);
            if outcome.is_ok() {
                let _ = success.send(());
            }
        };
        // Without a thread, the channel is closed: it has failed.
        let _ = std::thread::Builder::new().name("hourlog-compact".to_owned()).spawn(compact);
        self.running = Some(Running { deleted, succeeded });
    }

    /// Waits for the compaction under way, for a moment.
    pub(super) fn close(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.succeeded.recv_timeout(CLOSE_MAX);
        }
    }
}

/// Returns true if enough of a table's `entries` are deleted packs. Each has a marker beside it.
fn pays(deleted: u64, entries: u64) -> bool {
    deleted.saturating_mul(ENTRIES_PER_DELETED) >= entries
}

/// Returns true if a disk with `free` bytes has room for a compaction of tables of `table_bytes`.
///
/// All of their files are written a second time before the old ones go.
fn has_room(free: u64, table_bytes: u64) -> bool {
    free > table_bytes.saturating_add(FREE_BYTES_LEFT_MIN)
}

/// Rewrites the events and the list of late ones, without the `deleted` packs.
fn compact(tables: &Tables, free: u64, deleted: u64) -> Result<()> {
    let (_, table_bytes) = tables.bytes()?;
    if !has_room(free, table_bytes) {
        let context = format!(
            "the archive's disk has {} MiB left, which is too little to give back the space of deleted events; free some",
            free >> 20
        );
        return Err(Error::new(ErrorKind::Unavailable, context));
    }
    // Data that is only in memory keeps its journals, and they hold the deleted events, too.
    tables.write_out(WRITE_OUT_MAX)?;
    tables.events.major_compact().map_err(broken)?;
    tables.arrivals.major_compact().map_err(broken)?;
    // The old files go once a later memtable has been written out, whichever it is. One that is empty is not.
    let mut batch = tables.batch();
    let left = tables.number(DELETED)?.saturating_sub(deleted);
    batch.insert(&tables.meta, DELETED, keys::ordered(left as i64).to_vec());
    batch.commit().map_err(broken)?;
    tables.write_out(WRITE_OUT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compaction_pays_once_a_quarter_of_the_entries_is_deleted() {
        // Half of 100 events: 50 are left, 50 are deleted, and these have 50 markers.
        assert!(pays(50, 150));
        assert!(!pays(20, 120));
        assert!(pays(u64::MAX, u64::MAX));
    }
    #[test]
    fn a_compaction_needs_room_for_every_file_a_second_time() {
        assert!(!has_room(1 << 30, 1 << 30));
        assert!(!has_room(u64::MAX, u64::MAX));
        assert!(has_room((1 << 30) + FREE_BYTES_LEFT_MIN + 1, 1 << 30));
    }

    #[test]
    fn a_compaction_on_a_disk_that_fails_ends_with_an_error() {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let tables = Tables::open(directory.path()).expect("the directory is empty");
        let mut batch = tables.batch();
        batch.insert(&tables.events, "key", "value");
        batch.commit().expect("the disk works");
        // The thread of fjall that writes the table fails, and ends.
        let files = tables.events.path().join("tables");
        std::fs::remove_dir_all(&files).and_then(|()| std::fs::write(&files, "")).expect("the test owns the directory");
        let (tell, told) = mpsc::sync_channel(1);
        std::thread::spawn(move || tell.send(compact(&tables, u64::MAX, 1).map_err(|error| error.kind())));
        // A compaction that waits longer waits without an end.
        assert_eq!(told.recv_timeout(WRITE_OUT_MAX / 2), Ok(Err(ErrorKind::Unavailable)));
    }

    #[test]
    fn a_failed_compaction_leaves_its_deleted_events_counted() {
        let begun = |deleted| {
            let (success, succeeded) = mpsc::sync_channel(1);
            (success, Compaction { running: Some(Running { deleted, succeeded }), retry_at: None })
        };
        let (success, mut compaction) = begun(7);
        assert_eq!(compaction.given_back(), 0);
        success.send(()).expect("the receiver is there");
        assert_eq!((compaction.given_back(), compaction.given_back()), (7, 0));
        assert!(compaction.running.is_none() && compaction.retry_at.is_none());

        let (failure, mut compaction) = begun(7);
        drop(failure);
        assert_eq!(compaction.given_back(), 0);
        assert!(compaction.running.is_none() && compaction.retry_at.is_some());
    }
}
