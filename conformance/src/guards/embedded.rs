//! The archive in one directory.

use hourlog::{Archive, Embedded, system_clock};
use tempfile::TempDir;

use crate::guard::{Guard, StoreGuard};

/// An archive in a directory of its own, which goes when it is dropped.
#[derive(Debug)]
pub struct InDirectory {
    // Before the directory, so that it is closed when that goes.
    archive: Archive<Embedded>,
    directory: TempDir,
}

/// An empty archive in a new directory.
///
/// # Panics
/// Where there is no room for one.
pub async fn embedded() -> InDirectory {
    InDirectory::open(TempDir::new().expect("a directory can be made"))
}

impl InDirectory {
    fn open(directory: TempDir) -> Self {
        let store = Embedded::open(directory.path()).expect("the directory is this test's own");
        Self { archive: Archive::new(store, system_clock), directory }
    }

    /// Where it is kept.
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
