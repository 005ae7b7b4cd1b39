//! The keyspaces of an archive, and the reads over them.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use fjall::{
    AbstractTree, CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode,
    compaction::Leveled,
    config::{BlockSizePolicy, CompressionPolicy, PartitioningPolicy},
};

use crate::{
    Error, ErrorKind, Result, Seq, resets,
    store::{EpochRow, SourceRow, no_property},
};

use super::{files::database::TABLES, keys, open_files, values};

/// The format of the stored data. An archive with another one is refused.
pub(super) const FORMAT: u8 = 5;
/// The key in `meta` of the number of batches ever written.
pub(super) const BATCHES: &str = "batches";
/// The key in `meta` of the number of logs that were ever numbered.
pub(super) const NUMBERED: &str = "numbered";
/// The key in `meta` of the seq up to which a repaired archive may lack events that its index counts.
pub(super) const HOLES: &str = "holes";
/// The key in `meta` that a rest writes, so that there is a write to be written out.
const RESTED: &str = "rested";
/// The memory for blocks read from the files. The system caches the files, too; a block is copied from there and
/// decompressed in microseconds.
const CACHE_BYTES: u64 = 32 << 20;
/// The bytes that a table collects in memory before they are written out.
///
/// Another memtable fills meanwhile. Smaller ones cause more work at once and take more memory in total.
const MEMTABLE_BYTES_MAX: u64 = 32 << 20;
/// The same for the tables whose rows are written again and again. Each version of a row is an entry until it is written
/// out, and among few entries a place is found several times as fast.
const ROWS_MEMTABLE_BYTES_MAX: u64 = 8 << 20;
/// The bytes at which a block of `events` is full. Small packs compress better together, and a larger one has its own.
const EVENT_BLOCK_BYTES: u32 = 16 << 10;
/// The bytes at which a compaction begins another file, after compression.
///
/// While it writes a file, it keeps a part of what it has read for it, and that is not compressed.
const FILE_BYTES: u64 = 32 << 20;
/// The bytes of journals above which the oldest one is written into tables, beside the one that is being written. They
/// take room, and are read again after a crash. fjall allows no fewer.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;
/// The threads that write memtables into files and merge these. Beside another that merges, the first one of several
/// asks again and again if there is something to write: it takes a processor for that.
const WORKERS: usize = 1;
/// The bytes in memory above which a write waits for those that are being written out. One thread does that beside its
/// merges, and a backlog is read from the stream faster.
const UNWRITTEN_BYTES_MAX: u64 = 96 << 20;
/// The longest such wait. A disk writes what is in memory in a fraction of it.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(60);
/// The pause between two looks if everything is written out.
const WRITE_OUT_POLL: Duration = Duration::from_millis(2);

/// The tables of an archive, each in its own keyspace.
pub(super) struct Tables {
    pub(super) database: Database,
    pub(super) events: Keyspace,
    pub(super) buckets: Keyspace,
    pub(super) eras: Keyspace,
    pub(super) arrivals: Keyspace,
    pub(super) logs: Keyspace,
    pub(super) numbers: Keyspace,
    /// The seq up to which the events of a deleted log were deleted.
    pub(super) deletions: Keyspace,
    pub(super) sources: Keyspace,
    pub(super) epochs: Keyspace,
    pub(super) cursors: Keyspace,
    /// The properties of the archive itself.
    pub(super) properties: Keyspace,
    pub(super) meta: Keyspace,
    /// Held from a check until its write, for writes that do not go through the writing thread.
    check_and_write_lock: Mutex<()>,
}

impl Tables {
    /// Opens the tables of the archive in `directory`.
    pub(super) fn open(directory: &Path) -> Result<Self> {
        Self::open_raw(directory).map_err(|error| {
            if let Some(exhausted) = open_files::io_cause(&error).and_then(open_files::exhausted) {
                return exhausted;
            }
            match error {
                fjall::Error::Locked => in_use(directory),
                fjall::Error::Io(error) => {
                    let context = format!("cannot open the archive in {}", directory.display());
                    Error::new(ErrorKind::Unavailable, context).because(error)
                }
                error => damaged(directory).because(error),
            }
        })
    }

    fn open_raw(directory: &Path) -> fjall::Result<Self> {
        let database = Database::builder(directory.join("tables"))
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            // Large packs are compressed before.
            .journal_compression(CompressionType::None)
            .worker_threads(WORKERS)
            .max_cached_files(Some(open_files::cached_max()))
            .open()?;
        // At every level: the files of one log are moved down as they are, so what is not compressed when
        // it is written first never is.
        let compressed = CompressionPolicy::all(CompressionType::Lz4);
        // An entry of the index keeps the block in memory from which its key was read. An index in parts
        // keeps one block a part; an index in one piece would keep all that a file is made from.
        let in_parts = PartitioningPolicy::all(true);
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES_MAX)
                .data_block_compression_policy(compressed.clone())
                .index_block_partitioning_policy(in_parts.clone())
                .compaction_strategy(Arc::new(Leveled::default().with_table_target_size(FILE_BYTES)))
        };
        let blocks = BlockSizePolicy::all(EVENT_BLOCK_BYTES);
        let table = |name: &str| database.keyspace(name, options);
        let rows = |name: &str| database.keyspace(name, || options().max_memtable_size(ROWS_MEMTABLE_BYTES_MAX));
        Ok(Self {
            events: database.keyspace("events", || options().data_block_size_policy(blocks.clone()))?,
            buckets: rows("buckets")?,
            eras: rows("eras")?,
            arrivals: table("arrivals")?,
            logs: table("logs")?,
            numbers: table("numbers")?,
            deletions: table("deletions")?,
            sources: rows("sources")?,
            epochs: table("epochs")?,
            cursors: rows("cursors")?,
            properties: table("properties")?,
            meta: rows("meta")?,
            check_and_write_lock: Mutex::default(),
            database,
        })
    }

    /// Returns every table.
    pub(super) fn all(&self) -> [&Keyspace; TABLES.len()] {
        TABLES.map(|name| self.named(name))
    }

    /// Returns the table with this name. Every name of [`TABLES`] has one.
    pub(super) fn named(&self, name: &str) -> &Keyspace {
        match name {
            "events" => &self.events,
            "buckets" => &self.buckets,
            "eras" => &self.eras,
            "arrivals" => &self.arrivals,
            "logs" => &self.logs,
            "numbers" => &self.numbers,
            "deletions" => &self.deletions,
            "sources" => &self.sources,
            "epochs" => &self.epochs,
            "cursors" => &self.cursors,
            "properties" => &self.properties,
            _ => &self.meta,
        }
    }

    /// Creates a batch that its commit syncs to the disk.
    pub(super) fn batch(&self) -> fjall::OwnedWriteBatch {
        self.database.batch().durability(Some(PersistMode::SyncData))
    }

    /// Checks that this version can read the archive; marks an empty one with the format.
    pub(super) fn check_format(&self, directory: &Path) -> Result<()> {
        match self.meta.get("format").map_err(broken)? {
            Some(found) if *found == [FORMAT] => Ok(()),
            Some(found) => Err(other_format(directory, &found)),
            None => {
                let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
                batch.insert(&self.meta, "format", vec![FORMAT]);
                batch.commit().map_err(broken)
            }
        }
    }

    /// Returns the bytes of the journals and those of the tables.
    pub(super) fn bytes(&self) -> Result<(u64, u64)> {
        let tables = self.all().into_iter().map(Keyspace::disk_space).sum();
        Ok((self.database.disk_space().map_err(broken)?.saturating_sub(tables), tables))
    }

    /// Returns the bytes that are only in memory and in the journals.
    pub(super) fn unwritten_bytes(&self) -> u64 {
        self.database.write_buffer_size()
    }

    /// Begins to write out what is only in memory. The threads of fjall do it.
    pub(super) fn begin_write_out(&self) -> Result<()> {
        self.all().into_iter().try_for_each(|table| table.rotate_memtable().map(drop)).map_err(broken)
    }

    /// Returns true while something that is being written out is not in the tables yet.
    pub(super) fn are_writing_out(&self) -> bool {
        self.all().into_iter().any(|table| table.tree.sealed_memtable_count() > 0)
    }

    /// Makes fjall give back the memory of what it has written out.
    ///
    /// It keeps the versions of its tables, with what they had in memory, until a write that is newer is written out.
    pub(super) fn forget_written(&self) -> Result<()> {
        let mut batch = self.batch();
        batch.insert(&self.meta, RESTED, keys::ordered(0).to_vec());
        batch.commit().map_err(broken)?;
        self.meta.rotate_memtable().map_err(broken)?;
        Ok(())
    }

    /// Returns the bytes of all that fjall holds in memory for its tables, written out or not.
    #[cfg(test)]
    pub(super) fn bytes_held(&self) -> u64 {
        self.all().into_iter().map(|table| table.tree.get_version_history_lock().memtable_size_sum()).sum()
    }

    /// Writes out what is only in memory.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if that takes longer than `time_max`, or if the disk fails. A thread of fjall ends
    /// at a failure, and what it did not write stays in memory: waiting for fjall alone would never end.
    pub(super) fn write_out(&self, time_max: Duration) -> Result<()> {
        self.begin_write_out()?;
        self.wait_while(Self::are_writing_out, time_max)
    }

    /// Waits until memory has room for a write.
    ///
    /// # Errors
    /// Like [`write_out`](Self::write_out).
    pub(super) fn wait_for_room(&self) -> Result<()> {
        let is_full = |tables: &Self| tables.unwritten_bytes() > UNWRITTEN_BYTES_MAX && tables.are_writing_out();
        self.wait_while(is_full, ROOM_WAIT_MAX)
    }

    /// Waits while fjall's threads have something to do.
    fn wait_while(&self, is_busy: impl Fn(&Self) -> bool, time_max: Duration) -> Result<()> {
        let begun = Instant::now();
        while is_busy(self) {
            // Fails once such a thread has failed.
            self.database.persist(PersistMode::Buffer).map_err(broken)?;
            if begun.elapsed() >= time_max {
                let context = format!("the archive's disk has not written its tables within {time_max:?}; check it");
                return Err(Error::new(ErrorKind::Unavailable, context));
            }
            std::thread::sleep(WRITE_OUT_POLL);
        }
        Ok(())
    }

    /// Returns the number of batches ever written.
    pub(super) fn batches(&self) -> Result<u64> {
        self.number(BATCHES)
    }

    /// Returns the number under a key of `meta`; 0 if there is none.
    pub(super) fn number(&self, key: &str) -> Result<u64> {
        let value = self.meta.get(key).map_err(broken)?;
        value.map_or(Ok(0), |value| Ok(keys::last_offset(&value)?.nanos().unsigned_abs()))
    }

    /// Resets the checkpoint of every source, so that it is read again from its oldest message.
    ///
    /// Keeps what it resets. If nothing was stored since the last time, that stays.
    pub(super) fn reset_checkpoints(&self) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        let mut reset: BTreeMap<String, Vec<(u8, Seq)>> = BTreeMap::new();
        for guard in self.sources.iter() {
            let (key, value) = guard.into_inner().map_err(broken)?;
            let before = values::read_source(&value)?;
            // A row whose key is unreadable belongs to no stream.
            if let (true, Ok((stream, slot))) = (before.checkpoint > Seq::ZERO, keys::read_source(&key)) {
                reset.entry(stream.to_owned()).or_default().push((slot, before.checkpoint));
            }
            let SourceRow { checkpoint, checkpoint_time, max_time, .. } = SourceRow::NOTHING;
            let row = SourceRow { checkpoint, checkpoint_time, max_time, ..before };
            batch.insert(&self.sources, key, values::source(&row));
        }
        for (stream, checkpoints) in reset {
            let value = values::property(&resets::value(&checkpoints));
            batch.insert(&self.properties, resets::property(&stream), value);
        }
        batch.commit().map_err(broken)
    }

    pub(super) fn begin_epoch(&self, slot: u8, row: &EpochRow) -> Result<bool> {
        let key = keys::epoch(slot, row.epoch);
        let _guard = self.check_and_write_lock.lock().unwrap_or_else(PoisonError::into_inner);
        if self.epochs.contains_key(&key).map_err(broken)? {
            return Ok(false);
        }
        let mut batch = self.batch();
        batch.insert(&self.epochs, key, values::epoch(row));
        batch.commit().map_err(broken)?;
        Ok(true)
    }

    pub(super) fn set_property(&self, name: &str, value: String, over: Option<String>) -> Result<String> {
        let _guard = self.check_and_write_lock.lock().unwrap_or_else(PoisonError::into_inner);
        let present = self.properties.get(name).map_err(broken)?;
        let present = present.map(|value| values::read_property(&value)).transpose()?;
        if present != over {
            return present.ok_or_else(|| no_property(name));
        }
        let mut batch = self.batch();
        batch.insert(&self.properties, name, values::property(&value));
        batch.commit().map_err(broken)?;
        Ok(value)
    }
}

/// The error for an archive of another version.
pub(super) fn other_format(directory: &Path, found: &[u8]) -> Error {
    let found = match found {
        [number] => format!("format {number}"),
        _ => "an unknown format".to_owned(),
    };
    let context = format!(
        "the archive in {} has {found}, but this version reads format {FORMAT}; use the version that wrote it",
        directory.display()
    );
    Error::new(ErrorKind::Integrity, context)
}

/// The error for a damaged archive.
pub(super) fn damaged(directory: &Path) -> Error {
    let directory = directory.display();
    let context = format!(
        "the archive in {directory} is damaged; `hourlogd check {directory}` tells what is whole, and `hourlogd repair \
         {directory}` keeps it"
    );
    Error::new(ErrorKind::Integrity, context)
}

pub(super) fn in_use(directory: &Path) -> Error {
    let context = format!(
        "the archive in {} is in use by another process; stop that process, because only one at a time may open it",
        directory.display()
    );
    Error::new(ErrorKind::Refused, context)
}

/// Converts an error of fjall.
pub(super) fn broken(error: fjall::Error) -> Error {
    let cause = open_files::io_cause(&error);
    if let Some(exhausted) = cause.and_then(open_files::exhausted) {
        return exhausted;
    }
    // A table that is too short is damaged. Anything else that the system refuses may pass.
    let is_damaged =
        |cause: &io::Error| matches!(cause.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData);
    let is_passing = cause.is_some_and(|cause| !is_damaged(cause));
    match error {
        fjall::Error::Poisoned => Error::new(
            ErrorKind::Unavailable,
            "the archive accepts no writes after a failed one until it is reopened; check its disk and its open files",
        ),
        error if is_passing || matches!(error, fjall::Error::Io(_)) => {
            Error::new(ErrorKind::Unavailable, "the archive's disk failed; check it").because(error)
        }
        error => {
            let context =
                "the archive's files are damaged; stop the service, and run `hourlogd check` and `hourlogd repair`";
            Error::new(ErrorKind::Integrity, context).because(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_tables_are_listed_by_their_names() -> Result<()> {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let tables = Tables::open(directory.path())?;
        assert_eq!(tables.all().map(|table| table.name().to_string()), TABLES);
        assert_eq!(tables.all().len(), tables.database.keyspace_count());
        Ok(())
    }

    #[test]
    fn compressible_events_are_compressed_when_they_are_first_written() -> Result<()> {
        const VALUES: u8 = 8;
        const VALUE_BYTES: usize = 1 << 20;
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let tables = Tables::open(directory.path())?;
        let mut batch = tables.batch();
        (0..VALUES).for_each(|number| batch.insert(&tables.events, vec![number], vec![0; VALUE_BYTES]));
        batch.commit().map_err(broken)?;
        tables.events.rotate_memtable_and_wait().map_err(broken)?;
        let table_bytes = tables.events.disk_space();
        assert!((1..VALUE_BYTES as u64).contains(&table_bytes), "{table_bytes} bytes for {VALUES} MiB of zeros");
        Ok(())
    }
}
