//! The directory in an archive with the hard links of a backup that is under way.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
};

use super::directory_lock::DirectoryLock;

/// Its name. Nobody names a copy so.
pub(super) const LINKS: &str = "backup.links";
/// The file of its lock.
pub(super) const LOCK: &str = "lock";

/// Locks the links; `None` if a backup has the lock.
pub(super) fn try_lock(links: &Path) -> io::Result<Option<DirectoryLock>> {
    let file = File::create(links.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(DirectoryLock::new(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Removes the links of a backup that was killed: they keep files that the archive deletes.
pub(super) fn remove_left(directory: &Path) -> io::Result<()> {
    let links = directory.join(LINKS);
    match try_lock(&links) {
        Ok(Some(_lock)) => fs::remove_dir_all(links),
        Ok(None) => Ok(()),
        // There are none, or a backup has just ended.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
