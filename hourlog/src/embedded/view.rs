//! A view of an archive: its tables as they were at one moment, and the reads over them.

use std::{ops::RangeInclusive, sync::Arc};

use fjall::{Keyspace, Readable, Slice, Snapshot};

use crate::{
    ArrivalCursor, LogId, Offset, Result, Seq,
    store::{BucketRow, ERA_BUCKETS, EpochRow, LogRow, SourceRow, Totals, Widths},
};

use super::{
    keys::{self, LogNumber},
    lanes::Lanes,
    tables::{Tables, broken},
    values,
};

/// The most logs whose sums are read only to be passed over. A new pass costs as much as a few.
const PASSED_LOGS_MAX: u32 = 4;

/// The tables at one moment. What is written later is not seen.
pub(super) struct View {
    tables: Arc<Tables>,
    snapshot: Snapshot,
}

impl View {
    /// Takes the tables as they are now.
    pub(super) fn of(tables: &Arc<Tables>) -> Self {
        Self { tables: Arc::clone(tables), snapshot: tables.database.snapshot() }
    }

    pub(super) fn tables(&self) -> &Tables {
        &self.tables
    }

    pub(super) fn get(&self, table: &Keyspace, key: impl AsRef<[u8]>) -> Result<Option<Slice>> {
        self.snapshot.get(table, key).map_err(broken)
    }

    pub(super) fn range<K: AsRef<[u8]>>(&self, table: &Keyspace, range: impl std::ops::RangeBounds<K>) -> fjall::Iter {
        self.snapshot.range(table, range)
    }

    fn prefix(&self, table: &Keyspace, prefix: impl AsRef<[u8]>) -> fjall::Iter {
        self.snapshot.prefix(table, prefix)
    }

    /// Returns the number and the settings of a log.
    pub(super) fn log(&self, id: &LogId) -> Result<Option<(LogNumber, LogRow)>> {
        self.get(&self.tables.logs, id.as_str())?.map(|value| values::read_log(&value)).transpose()
    }

    pub(super) fn logs(&self, after: Option<&LogId>, limit: usize) -> Result<Vec<(LogId, LogRow)>> {
        let first = after.map_or_else(Vec::new, keys::id_prefix);
        let rows = self.range(&self.tables.logs, first..).take(limit);
        rows.map(|guard| {
            let (key, value) = guard.into_inner().map_err(broken)?;
            Ok((keys::log(&key)?, values::read_log(&value)?.1))
        })
        .collect()
    }

    /// Returns the seq up to which the events of a deleted log were deleted.
    pub(super) fn deleted_to(&self, log: &LogId) -> Result<Seq> {
        let deleted_to = self.get(&self.tables.deletions, log.as_str())?;
        deleted_to.map_or(Ok(Seq::MIN), |value| keys::last_seq(&value))
    }

    /// Returns the row of a bucket, and its lanes.
    pub(super) fn bucket(&self, log: LogNumber, start: Offset) -> Result<Option<(BucketRow, Lanes)>> {
        let Some(value) = self.get(&self.tables.buckets, keys::bucket(log, start))? else { return Ok(None) };
        Ok(Some((values::read_bucket(start, &value)?, values::read_lanes(&value)?)))
    }

    /// Returns the lanes of a bucket; none if it has no row.
    pub(super) fn lanes(&self, log: LogNumber, start: Offset) -> Result<Lanes> {
        let value = self.get(&self.tables.buckets, keys::bucket(log, start))?;
        value.map_or(Ok(Lanes::default()), |value| values::read_lanes(&value))
    }

    /// Returns the rows of the index whose buckets may hold events of `span`, as
    /// [`Store::buckets`](crate::store::Store::buckets) does.
    pub(super) fn buckets(
        &self,
        log: LogNumber,
        span: RangeInclusive<Offset>,
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<BucketRow>> {
        let (from, to) = span.into_inner();
        let (all_first, last) = (keys::bucket(log, Offset::MIN), keys::bucket(log, to));
        let first = match self.range(&self.tables.buckets, all_first..=keys::bucket(log, from)).next_back() {
            Some(guard) => keys::bucket(log, keys::last_offset(&guard.key().map_err(broken)?)?),
            None => all_first,
        };
        if first > last {
            return Ok(Vec::new());
        }
        let rows = self.range(&self.tables.buckets, first..=last);
        let read = |guard: fjall::Guard| {
            let (key, value) = guard.into_inner().map_err(broken)?;
            values::read_bucket(keys::last_offset(&key)?, &value)
        };
        if reverse { rows.rev().take(limit).map(read).collect() } else { rows.take(limit).map(read).collect() }
    }

    /// Returns the sums of an era's rows of the index.
    pub(super) fn era_totals(&self, log: LogNumber, era: Offset) -> Result<Totals> {
        let value = self.get(&self.tables.eras, keys::era(log, era))?;
        value.map_or(Ok(Totals::default()), |value| values::read_totals(&value))
    }

    /// Returns the sums of all rows of a log's index.
    pub(super) fn totals(&self, log: LogNumber) -> Result<Totals> {
        self.prefix(&self.tables.eras, keys::log_number(log)).try_fold(Totals::default(), |sum, guard| {
            let (_, value) = guard.into_inner().map_err(broken)?;
            Ok(sum.with(values::read_totals(&value)?))
        })
    }

    /// Returns the sums of each of `ids`, which are all different.
    ///
    /// Those of logs whose numbers are near each other are read in one pass.
    pub(super) fn totals_of(&self, ids: &[LogId]) -> Result<Vec<Totals>> {
        let mut numbers = Vec::with_capacity(ids.len());
        for (place, id) in ids.iter().enumerate() {
            numbers.extend(self.log(id)?.map(|(log, _)| (log, place)));
        }
        numbers.sort_unstable();
        let mut totals = vec![Totals::default(); ids.len()];
        for near in numbers.chunk_by(|(one, _), (next, _)| next.0 - one.0 <= PASSED_LOGS_MAX) {
            let [(first, _), ..] = near else { continue };
            let mut wanted = near.iter().copied().peekable();
            for guard in self.range(&self.tables.eras, keys::log_number(*first)..) {
                let (key, value) = guard.into_inner().map_err(broken)?;
                let log = keys::read_log_number(&key)?;
                while wanted.next_if(|(wanted, _)| *wanted < log).is_some() {}
                match wanted.peek() {
                    Some((wanted, place)) if *wanted == log => {
                        totals[*place] = totals[*place].with(values::read_totals(&value)?);
                    }
                    Some(_) => {}
                    None => break,
                }
            }
        }
        Ok(totals)
    }

    /// Returns the first row of an era that counts events, or the last one with `reverse`, but not that of the bucket
    /// `besides`. `widths` are those of the log.
    pub(super) fn filled_bucket(
        &self,
        log: LogNumber,
        widths: &Widths,
        era: Offset,
        besides: Offset,
        reverse: bool,
    ) -> Result<Option<BucketRow>> {
        let nanos = widths.bucket(era).width.nanos().saturating_mul(ERA_BUCKETS);
        let mut rows = self
            .range(&self.tables.buckets, keys::bucket(log, era)..=keys::bucket(log, era.saturating_add_nanos(nanos)));
        while let Some(guard) = if reverse { rows.next_back() } else { rows.next() } {
            let (key, value) = guard.into_inner().map_err(broken)?;
            let row = values::read_bucket(keys::last_offset(&key)?, &value)?;
            if row.count > 0 && row.bucket.start != besides && widths.era(row.bucket.start) == era {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    pub(super) fn source(&self, key: &[u8]) -> Result<Option<SourceRow>> {
        self.get(&self.tables.sources, key)?.map(|value| values::read_source(&value)).transpose()
    }

    pub(super) fn sources(&self, stream: &str) -> Result<Vec<(u8, SourceRow)>> {
        let rows = self.prefix(&self.tables.sources, keys::source_prefix(stream));
        rows.map(|guard| {
            let (key, value) = guard.into_inner().map_err(broken)?;
            Ok((keys::last_byte(&key)?, values::read_source(&value)?))
        })
        .collect()
    }

    pub(super) fn epochs(&self, slot: u8) -> Result<Vec<EpochRow>> {
        let rows = self.prefix(&self.tables.epochs, [slot]);
        rows.map(|guard| {
            let (key, value) = guard.into_inner().map_err(broken)?;
            values::read_epoch(keys::last_u32(&key)?, &value)
        })
        .collect()
    }

    pub(super) fn cursor(&self, key: &[u8]) -> Result<Option<ArrivalCursor>> {
        self.get(&self.tables.cursors, key)?.map(|value| values::read_cursor(&value)).transpose()
    }

    pub(super) fn cursors(&self, id: &LogId) -> Result<Vec<(String, ArrivalCursor)>> {
        let prefix = keys::id_prefix(id);
        let rows = self.prefix(&self.tables.cursors, &prefix);
        rows.map(|guard| {
            let (key, value) = guard.into_inner().map_err(broken)?;
            Ok((keys::text_after(&prefix, &key)?, values::read_cursor(&value)?))
        })
        .collect()
    }

    pub(super) fn property(&self, name: &str) -> Result<Option<String>> {
        self.get(&self.tables.properties, name)?.map(|value| values::read_property(&value)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Embedded, LogId, Offset, Record, Result, Seq,
        store::{Arrival, EventRow, Store, Width, Write},
    };

    #[tokio::test]
    async fn the_sums_of_several_logs_are_those_of_each() -> Result<()> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = Embedded::open(directory.path())?;
        let log = |number: u64| -> LogId { format!("orders.{number}").parse().expect("a valid id") };
        let mut seq = 0;
        // Numbers that are near each other and far from each other, logs of several eras, and one that was deleted.
        for number in 0..60 {
            for era in 0..=(number % 3) as i64 {
                seq += 1;
                let at = Offset::from_nanos(era * (1 << 60));
                let arrival = Arrival { offset: at, time: at, max_time: at, seq: Seq::new(1, seq) };
                let rows = [EventRow::new(&log(number), arrival, Record::new(vec![0; number as usize]))].into();
                store.write(vec![Write::Events { log: log(number), rows, width: Width::default() }]).await?;
            }
        }
        store.write(vec![Write::DeleteLog { log: log(30), seq: Seq::new(1, seq) }]).await?;
        let asked: Vec<LogId> = [59, 58, 3, 1, 2, 30, 31, 17, 20, 24, 29, 70, 0].map(log).into();
        let mut each = Vec::new();
        for id in &asked {
            each.push(store.totals(id).await?);
        }
        assert_eq!(each.iter().map(|totals| totals.count).collect::<Vec<_>>(), [3, 2, 1, 2, 3, 0, 2, 3, 3, 1, 3, 0, 1]);
        assert_eq!(store.totals_of(&asked).await?, each);
        Ok(())
    }
}
