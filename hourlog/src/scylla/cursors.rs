//! The cursors of readers. All their changes are lightweight transactions.
//!
//! A seq as the timestamp would not do: a reader may go back on purpose, and a deleted cursor may be created
//! again at an earlier place. Both would stay hidden behind the greater timestamp.

use crate::{ArrivalCursor, LogId, Result, store::CursorChange};

use super::{Scylla, session::was_applied, shard};

/// The most transactions for one change. The second creates a missing cursor; the third is needed only if
/// another instance created it between the two.
const TRANSACTIONS_MAX: usize = 3;

impl Scylla {
    /// Applies `change` to the cursor of the reader `name`.
    pub(super) async fn change_cursor(&self, id: &LogId, name: &str, change: CursorChange) -> Result<()> {
        let statements = &self.0.statements;
        let _guard = self.0.cursor_locks[shard(id) as usize].lock().await;
        let (cursor, change_existing) = match change {
            CursorChange::Delete => {
                return self.execute(&statements.delete_cursor, (id.as_str(), name)).await.map(drop);
            }
            CursorChange::Advance(cursor) => (cursor, &statements.advance_cursor),
            CursorChange::Reset(cursor) => (cursor, &statements.reset_cursor),
        };
        let ArrivalCursor { time, seq } = cursor;
        for number in 0..TRANSACTIONS_MAX {
            let done = if number % 2 == 1 {
                self.execute(&statements.create_cursor, (id.as_str(), name, time.nanos(), seq)).await?
            } else if matches!(change, CursorChange::Advance(_)) {
                self.execute(change_existing, (time.nanos(), seq, id.as_str(), name, seq)).await?
            } else {
                self.execute(change_existing, (time.nanos(), seq, id.as_str(), name)).await?
            };
            if was_applied(done)? {
                break;
            }
        }
        Ok(())
    }
}
