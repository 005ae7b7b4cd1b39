//! The archive in memory.

use hourlog::{Archive, Memory, time::system_clock};

use crate::guard::{Guard, StoreGuard};

/// An archive in memory. A restart keeps the store and recreates everything above it.
#[derive(Debug)]
pub struct InMemory(Archive<Memory>);

/// Creates an empty archive in memory.
pub async fn memory() -> InMemory {
    InMemory(Archive::new(Memory::new(), system_clock))
}

impl Guard for InMemory {
    type Events = Archive<Memory>;

    fn events(&self) -> &Archive<Memory> {
        &self.0
    }

    async fn restart(self) -> Self {
        Self(Archive::new(self.0.store().clone(), system_clock))
    }
}

impl StoreGuard for InMemory {
    type Store = Memory;

    fn store(&self) -> &Memory {
        self.0.store()
    }
}
