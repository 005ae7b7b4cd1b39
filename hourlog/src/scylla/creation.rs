//! Creating logs: those of one shard that wait at the same time are created by one transaction.
//!
//! A transaction costs the database as much as some hundred events, and those of one partition wait for each other. So
//! logs that were missing when they were looked up queue up for the next transaction of their shard, which creates all
//! of them or none. If it creates none, because one exists by now, each goes on by itself.

use std::sync::{Mutex, MutexGuard, PoisonError};

use scylla::statement::batch::{Batch, BatchType};
use tokio::sync::oneshot::{self, error::TryRecvError};

use crate::{
    LogId, Offset, Result, Seq,
    store::{LogRow, Width, Widths},
};

use super::{
    Scylla,
    batches::BATCH_ROWS_MAX,
    errors::{NO_ANSWER, request_error, unreadable},
    session::was_applied,
    shard, values,
};

/// The logs of a shard that wait to be created.
#[derive(Debug, Default)]
pub(super) struct NewLogs(Mutex<Vec<NewLog>>);

#[derive(Debug)]
struct NewLog {
    id: LogId,
    row: LogRow,
    /// Gets true if the log was created.
    created: oneshot::Sender<Result<bool>>,
}

impl NewLogs {
    fn lock(&self) -> MutexGuard<'_, Vec<NewLog>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes those that the next transaction creates, the oldest first.
    fn take(&self) -> Vec<NewLog> {
        let mut waiting = self.lock();
        let count = waiting.len().min(BATCH_ROWS_MAX);
        waiting.drain(..count).collect()
    }
}

impl Scylla {
    /// Creates a log for a first event that arrived at `created`, if the log was missing when it was looked up. Returns
    /// its row if it was created.
    pub(super) async fn create_missing(
        &self,
        generation: u64,
        id: &LogId,
        created: Offset,
        width: Width,
    ) -> Result<Option<LogRow>> {
        if !self.cache().take_missing(id) {
            return Ok(None);
        }
        let row = LogRow { settings_at: Seq::ZERO, ..LogRow::new(created, Widths::new(width)) };
        if !self.create_with_others(id, &row).await? {
            return Ok(None);
        }
        let mut cache = self.cache();
        cache.put_log(generation, id, row.clone());
        // No such log ever existed, so its index is empty.
        cache.put_new(generation, id);
        Ok(Some(row))
    }

    /// Creates a log together with others that wait for the same partition. Returns false if it may not have been
    /// created, because one of them exists or was deleted before.
    async fn create_with_others(&self, id: &LogId, row: &LogRow) -> Result<bool> {
        let shard = shard(id) as usize;
        let (created, mut answer) = oneshot::channel();
        self.0.new_logs[shard].lock().push(NewLog { id: id.clone(), row: row.clone(), created });
        let _lock = self.0.create_locks[shard].lock().await;
        loop {
            match answer.try_recv() {
                Ok(answer) => return answer,
                // The transaction was aborted with the write that ran it.
                Err(TryRecvError::Closed) => return Ok(false),
                Err(TryRecvError::Empty) => {}
            }
            let together = self.0.new_logs[shard].take();
            let answer = self.create_together(&together).await;
            for log in together {
                // A write that was aborted meanwhile needs no answer.
                let _ = log.created.send(answer.as_ref().copied().map_err(crate::Error::flat_copy));
            }
        }
    }

    /// Creates logs of one shard by one transaction. Returns false if it was not applied.
    async fn create_together(&self, logs: &[NewLog]) -> Result<bool> {
        let values = |log: &NewLog| {
            let (created, settings_at) = (log.row.created.nanos(), log.row.settings_at);
            Ok((created, values::widths(&log.row.widths)?, settings_at, shard(&log.id), log.id.as_str().to_owned()))
        };
        let mut values: Vec<_> = logs.iter().map(values).collect::<Result<_>>()?;
        let statement = &self.0.statements.create_new_log;
        if values.len() == 1 {
            return was_applied(self.execute(statement, values.remove(0)).await?);
        }
        let batch = Batch::new_with_statements(BatchType::Unlogged, vec![statement.clone().into(); values.len()]);
        let answer = self.0.session.batch(&batch, values).await.map_err(|error| request_error(NO_ANSWER, error));
        let answer = self.unless_restarted(answer).await?;
        was_applied(Some(answer.into_rows_result().map_err(|error| unreadable(&error))?))
    }
}
