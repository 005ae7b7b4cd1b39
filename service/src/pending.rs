//! Pending events.

use hourlog::store::EventRow;

/// An event on its way from the ingest to the archive.
#[derive(Debug, Clone)]
pub(crate) struct PendingEvent {
    pub(crate) row: EventRow,
    /// `n`: the event is stored only if the log holds fewer than n + 1 equal events that arrived
    /// before it.
    pub(crate) once: Option<u64>,
}
