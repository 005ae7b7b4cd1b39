//! Cursors of arrival order, on the way to the service and from it.

use crate::{ArrivalCursor, Cursor, Error, ErrorKind, Result, Seq};

/// Returns the cursor of a page in arrival order.
pub(super) fn arrival(next: Cursor) -> Result<ArrivalCursor> {
    match next {
        Cursor::Arrival(cursor) => Ok(cursor),
        Cursor::Timeline(_) => {
            Err(Error::new(ErrorKind::Unexpected, "a page in arrival order has another order's cursor"))
        }
    }
}

/// A cursor with a text: a seq below zero, which no event has, has none.
pub(super) fn stored(after: ArrivalCursor) -> ArrivalCursor {
    ArrivalCursor { seq: after.seq.max(Seq::ZERO), ..after }
}
