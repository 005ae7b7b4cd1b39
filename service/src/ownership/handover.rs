//! The handover of slots: before the sources read under a new assignment, the logs of all slots that have moved stop.

use std::sync::Arc;

use hourlog::store::Store;
use tokio::sync::{Mutex, oneshot};

use super::Assignment;
use crate::logs::{LogsMsg, LogsRef};

/// Carries handovers out once for all sources.
#[derive(Debug)]
pub(crate) struct Handover {
    logs: LogsRef,
    /// The number of the assignment that the logs work under.
    handled: Mutex<u64>,
}

impl Handover {
    /// Returns the handover of a service that begins with `assignment`.
    pub(crate) fn new(logs: LogsRef, assignment: &Assignment) -> Self {
        Self { logs, handled: Mutex::new(assignment.number) }
    }

    /// Stops the logs of the slots that have moved since the last assignment, with everything under way, and drops what
    /// the store has cached of them: another instance may have changed it. Nothing is left to do if another source has
    /// done so.
    pub(crate) async fn handle<S: Store>(&self, assignment: &Arc<Assignment>, store: &S) {
        let mut handled = self.handled.lock().await;
        if *handled >= assignment.number {
            return;
        }
        let moved = assignment.moved_since(*handled);
        let (reply, ended) = oneshot::channel();
        let _ = self.logs.send_message(LogsMsg::HandOver { assignment: assignment.number, slots: moved, reply });
        // An error means that the supervisor has stopped, and its logs with it.
        let _ = ended.await;
        if !moved.is_empty() {
            store.forget_slots(&|slot| moved.contains(slot)).await;
        }
        *handled = assignment.number;
    }
}
