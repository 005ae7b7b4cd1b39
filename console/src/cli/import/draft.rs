//! An event as a line says it, before anything of it is checked.

use bytes::Bytes;
use hourlog::{Metadata, Offset};

/// The parts of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    /// The log that the line names.
    pub(super) log: Option<String>,
    pub(super) offset: Offset,
    pub(super) metadata: Metadata,
    pub(super) data: Bytes,
    /// The line has a position, so an export wrote it.
    pub(super) exported: bool,
}
