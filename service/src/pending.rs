//! Pending events.

use hourlog::store::EventRow;

use crate::{once::Once, receipts::ReceiptMark};

/// An event on its way from the ingest to the archive.
#[derive(Debug, Clone)]
pub(crate) struct PendingEvent {
    pub(crate) row: EventRow,
    /// The condition under which the event is stored; `None` if it is stored in any case.
    pub(crate) once: Option<Once>,
    /// Set if a receipt counts the event.
    pub(crate) receipt: Option<ReceiptMark>,
}
