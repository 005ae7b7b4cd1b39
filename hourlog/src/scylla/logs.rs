//! The rows of logs: reading, creating and changing them.

use std::collections::{BTreeMap, HashMap};

use futures_util::{StreamExt, TryStreamExt, stream};
use scylla::value::MaybeUnset;

use crate::{LogId, Result, Seq, store::LogRow};

use super::{
    Scylla,
    batches::CONCURRENT_STATEMENTS,
    session::was_applied,
    shard,
    values::{self, CqlListedLog, CqlLog},
};

/// The most logs that one statement reads. ScyllaDB refuses more than 100 keys.
const LOGS_PER_READ: usize = 100;

impl Scylla {
    /// Reads the row of a log, and the seq up to which its events were deleted.
    pub(super) async fn read_log(&self, id: &LogId) -> Result<(Option<LogRow>, Seq)> {
        let found: Vec<CqlLog> = self.rows(&self.0.statements.log, (shard(id), id.as_str())).await?;
        found.into_iter().next().map_or(Ok((None, Seq::MIN)), values::log_row)
    }

    /// Reads the rows of logs, those of a shard together, as [`read_log`](Self::read_log) does.
    ///
    /// Remembers those that never were, which makes their creation cheap.
    pub(super) async fn read_logs(&self, ids: &[LogId]) -> Result<Vec<(Option<LogRow>, Seq)>> {
        let generation = self.cache().generation();
        let mut shards: BTreeMap<i32, Vec<&str>> = BTreeMap::new();
        for id in ids {
            shards.entry(shard(id)).or_default().push(id.as_str());
        }
        let parts = shards.iter().flat_map(|(shard, ids)| ids.chunks(LOGS_PER_READ).map(|some| (*shard, some)));
        let reads: Vec<_> = parts.map(|part| self.rows::<CqlListedLog>(&self.0.statements.some_logs, part)).collect();
        let found: Vec<CqlListedLog> = stream::iter(reads).buffer_unordered(CONCURRENT_STATEMENTS).try_concat().await?;
        let mut rows = HashMap::with_capacity(found.len());
        for row in found {
            let (id, row, deleted_to) = values::listed_log(row)?;
            rows.insert(id, (row, deleted_to));
        }
        self.cache().put_missing(generation, ids.iter().filter(|id| !rows.contains_key(id)));
        Ok(ids.iter().map(|id| rows.get(id).cloned().unwrap_or((None, Seq::MIN))).collect())
    }

    /// Returns the row of a log, from the cache or else from its table.
    pub(super) async fn cached_log(&self, id: &LogId) -> Result<Option<LogRow>> {
        let cached = self.cache().log(id);
        if cached.is_some() { Ok(cached) } else { Ok(self.read_log(id).await?.0) }
    }

    /// Creates a log unless it exists. Returns its row, and true if it was created.
    pub(super) async fn create_log(&self, id: &LogId, row: &LogRow) -> Result<(LogRow, bool)> {
        let retention = row.retention_seconds().map_or(MaybeUnset::Unset, MaybeUnset::Set);
        let removed = row.removed.map_or(MaybeUnset::Unset, |removed| MaybeUnset::Set(values::removed(removed)));
        let (created, widths, settings_at) = (row.created.nanos(), values::widths(&row.widths)?, row.settings_at);
        let values = (created, widths, retention, removed, settings_at, shard(id), id.as_str());
        let is_created = {
            let _lock = self.0.create_locks[shard(id) as usize].lock().await;
            was_applied(self.execute(&self.0.statements.create_log, values).await?)?
        };
        if is_created && row.deleted_to > Seq::MIN {
            // A separate statement: a transaction must never write a cell that carries a seq.
            let values = (shard(id), id.as_str(), row.deleted_to, row.deleted_to);
            self.execute(&self.0.statements.set_deleted_to, values).await?;
        }
        // Another instance may have created it first.
        let stored = if is_created { None } else { self.read_log(id).await?.0 };
        Ok((stored.unwrap_or_else(|| row.clone()), is_created))
    }

    /// Replaces the settings of a log, unless it has newer ones or does not exist.
    pub(super) async fn write_settings(&self, id: &LogId, row: &LogRow) -> Result<()> {
        let generation = self.cache().generation();
        let (widths, retention) = (values::widths(&row.widths)?, row.retention_seconds());
        let (removed, at) = (row.removed.map(values::removed), row.settings_at);
        {
            let _lock = self.0.create_locks[shard(id) as usize].lock().await;
            let values = (widths, retention, removed, at, shard(id), id.as_str(), at);
            self.execute(&self.0.statements.set_settings, values).await?;
        }
        if let (Some(stored), _) = self.read_log(id).await? {
            self.cache().put_log(generation, id, stored);
        }
        Ok(())
    }
}
