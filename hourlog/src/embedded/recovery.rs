//! Opening an archive: detects lost writes, and resets the checkpoints so that the service reads them from
//! the stream again.

use std::{
    fmt,
    fs::{File, TryLockError},
    path::Path,
};

use crate::{Error, ErrorKind, Result};

use super::{
    backup_links,
    directory_lock::DirectoryLock,
    files::{cannot_read, exists},
    journals::{self, Journals},
    open_files,
    precheck::{self, Journaled},
    swap,
    tables::{Tables, in_use},
    watermark::Watermark,
    writer,
};

/// The loss that an archive detected when it was opened.
///
/// ```
/// use hourlog::store::Missing;
/// let missing = Missing { acknowledged: Some(12), found: 10, journal_damaged: false };
/// assert_eq!(missing.to_string(), "the last 2 of 12 acknowledged batches of writes");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// The number of acknowledged batches of writes; `None` if the file that holds it is damaged or gone.
    pub acknowledged: Option<u64>,
    /// The number of batches found, as far as they can be counted.
    pub found: u64,
    /// True if a journal was damaged, which loses everything after the damage.
    pub journal_damaged: bool,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self.found;
        match self.acknowledged {
            Some(acknowledged) if acknowledged > found => {
                write!(f, "the last {} of {acknowledged} acknowledged batches of writes", acknowledged - found)?;
            }
            Some(_) => f.write_str("batches of writes")?,
            None => write!(f, "batches of writes after batch {found}, possibly")?,
        }
        if self.journal_damaged { f.write_str(", from a damaged journal") } else { Ok(()) }
    }
}

/// An archive that was opened and checked.
pub(super) struct Recovered {
    pub(super) tables: Tables,
    pub(super) watermark: Watermark,
    /// The number of batches in the tables.
    pub(super) batches: u64,
    pub(super) missing: Option<Missing>,
    pub(super) lock: DirectoryLock,
}

/// Opens the archive in `directory`, or creates it.
///
/// After a loss, resets the checkpoints of all sources. The damaged journals stay linked until that is
/// durable, so that an interrupted opening detects the loss again.
pub(super) fn open(directory: &Path) -> Result<Recovered> {
    let io_error = |error: std::io::Error| {
        if let Some(exhausted) = open_files::exhausted(&error) {
            return exhausted;
        }
        let context = format!("cannot use the files of the archive in {}; check its disk", directory.display());
        Error::new(ErrorKind::Unavailable, context).because(error)
    };
    let lock = lock(directory)?;
    swap::finish(directory).map_err(io_error)?;
    backup_links::remove_left(directory).map_err(io_error)?;
    let (mut watermark, stored) = Watermark::open(directory).map_err(io_error)?;
    if precheck::check(directory, stored)? == Journaled::Written {
        journals::empty(directory).map_err(io_error)?;
    }
    let journals = Journals::link(directory).map_err(io_error)?;
    let tables = Tables::open(directory)?;
    tables.check_format(directory)?;
    let found = tables.batches()?;
    let truncated = journals.truncated().map_err(io_error)?;
    let closed = stored.is_some_and(|stored| stored.closed);
    let unfinished_bytes_max = if closed { 0 } else { writer::UNFINISHED_BYTES_MAX };
    let journal_damaged = truncated.older || truncated.newest_bytes > unfinished_bytes_max;
    let acknowledged = match stored {
        Some(stored) => stored.batches,
        // No watermark: only an empty archive is surely complete.
        None => (found == 0).then_some(0),
    };
    let missing = (acknowledged.is_none_or(|acknowledged| found < acknowledged) || journal_damaged)
        .then_some(Missing { acknowledged, found, journal_damaged });
    if missing.is_some() {
        tables.reset_checkpoints()?;
    }
    watermark.write(found, false).map_err(io_error)?;
    journals.unlink().map_err(io_error)?;
    Ok(Recovered { tables, watermark, batches: found, missing, lock })
}

/// Empties the journals of an archive that was just closed, if they are long and nothing is only in them.
pub(super) fn empty_long_journals(directory: &Path) -> Result<()> {
    let cannot = |error: std::io::Error| cannot_read(directory, error);
    if journals::used_bytes(directory).map_err(cannot)? < journals::LONG_JOURNALS_BYTES {
        return Ok(());
    }
    let (_, stored) = Watermark::open(directory).map_err(cannot)?;
    if precheck::check(directory, stored)? == Journaled::Written {
        journals::empty(directory).map_err(cannot)?;
    }
    Ok(())
}

/// Locks the archive. Only one process at a time may even look at its journals.
pub(super) fn lock(directory: &Path) -> Result<DirectoryLock> {
    let cannot = |error: std::io::Error| {
        Error::new(
            ErrorKind::Unavailable,
            format!("cannot open the archive in {}; check its disk", directory.display()),
        )
        .because(error)
    };
    std::fs::create_dir_all(directory).map_err(cannot)?;
    let file = File::create(directory.join("lock")).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(DirectoryLock::new(file)),
        Err(TryLockError::WouldBlock) => Err(in_use(directory)),
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

/// Locks an archive that is only read. Creates nothing; `None` without a file to lock, which a copy may lack.
pub(super) fn lock_for_reading(directory: &Path) -> Result<Option<DirectoryLock>> {
    let path = directory.join("lock");
    if !exists(&path) {
        return Ok(None);
    }
    let cannot = |error: std::io::Error| cannot_read(directory, error);
    let file = File::open(path).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(DirectoryLock::new(file))),
        Err(TryLockError::WouldBlock) => Err(in_use(directory)),
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}
