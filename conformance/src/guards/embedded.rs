//! The archive in one directory.

use hourlog::{Archive, Embedded, time::system_clock};
use tempfile::TempDir;

use crate::guard::{Guard, StoreGuard};

/// An archive in a temporary directory, which is deleted on drop.
#[derive(Debug)]
pub struct InDirectory {
    // Before the directory, so that the archive is closed before the directory is deleted.
    archive: Archive<Embedded>,
    directory: TempDir,
}

/// Opens an empty archive in a new directory.
///
/// # Panics
/// If the directory cannot be created.
pub async fn embedded() -> InDirectory {
    InDirectory::open(TempDir::new().expect("a temporary directory can be created"))
}

impl InDirectory {
    fn open(directory: TempDir) -> Self {
        let store = Embedded::open(directory.path()).expect("nobody else uses the test's own directory");
        Self { archive: Archive::new(store, system_clock), directory }
    }

    /// The directory of the archive.
    pub fn path(&self) -> &std::path::Path {
        self.directory.path()
    }
}

impl Guard for InDirectory {
    type Events = Archive<Embedded>;

    fn events(&self) -> &Archive<Embedded> {
        &self.archive
    }

    async fn restart(self) -> Self {
        let Self { archive, directory } = self;
        drop(archive);
        Self::open(directory)
    }
}

impl StoreGuard for InDirectory {
    type Store = Embedded;

    fn store(&self) -> &Embedded {
        self.archive.store()
    }
}
