//! The lock on a directory.

use std::fs::File;

/// The lock on the archive's directory, held for as long as the archive is open.
///
/// Unlocks explicitly: while another thread starts a program, the new process shares all open files for
/// a moment, and closing our copy alone would leave them locked.
pub(super) struct DirectoryLock(File);

impl DirectoryLock {
    /// Keeps a file that is locked.
    pub(super) fn new(file: File) -> Self {
        Self(file)
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // A file that cannot be unlocked is unlocked once its last copy is closed.
        let _ = self.0.unlock();
    }
}
