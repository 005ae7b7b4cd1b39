//! The origin of events that are handed out to their logs.

use std::sync::Arc;

use crate::sources::Source;

/// The origin of a chunk. A log takes no events of an origin that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) source: Arc<Source>,
    /// The generation of the source's ingest.
    pub(crate) generation: u64,
    /// Number of rollbacks that the ingest has caught up after.
    pub(crate) rollbacks: u64,
    /// The number of the assignment of slots that the ingest reads under.
    pub(crate) assignment: u64,
}
