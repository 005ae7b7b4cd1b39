//! What is known of logs without asking the database: a log has one writer, so nobody else changes it. And the rows of the index
//! as they are after the newest events, which are written behind.

use std::collections::{BTreeMap, HashMap};

use crate::{BucketRow, LogId, LogRow, Offset, Seq};

/// The rows that are remembered: they are those that the next events count in.
const ROWS_MAX: usize = 65_536;

/// What is remembered of all logs.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// Counts how often all of it was forgotten: what was begun before is not to be remembered.
    life: u64,
    logs: HashMap<LogId, Log>,
    rows: usize,
    /// How many of the rows are not stored as they are.
    unwritten: usize,
}

#[derive(Debug, Default)]
struct Log {
    row: Option<LogRow>,
    buckets: BTreeMap<Offset, Remembrance>,
}

#[derive(Debug)]
struct Remembrance {
    row: BucketRow,
    /// The `through` of the row that is stored.
    stored: Seq,
}

impl Remembrance {
    fn is_unwritten(&self) -> bool {
        self.row.through > self.stored
    }
}

impl Remembered {
    /// The life that what is begun now belongs to.
    pub(super) fn life(&self) -> u64 {
        self.life
    }

    /// Forgets everything.
    pub(super) fn forget_all(&mut self) {
        *self = Self { life: self.life + 1, ..Self::default() };
    }

    /// The row of a log.
    pub(super) fn log(&self, id: &LogId) -> Option<LogRow> {
        self.logs.get(id)?.row.clone()
    }

    /// Remembers the row of a log.
    pub(super) fn learn_log(&mut self, life: u64, id: &LogId, row: LogRow) {
        if life != self.life {
            return;
        }
        self.logs.entry(id.clone()).or_default().row = Some(row);
    }

    /// The row of the bucket that begins at `start`.
    pub(super) fn bucket(&self, id: &LogId, start: Offset) -> Option<&BucketRow> {
        self.logs.get(id)?.buckets.get(&start).map(|remembrance| &remembrance.row)
    }

    /// Remembers rows that are stored as they are.
    pub(super) fn learn(&mut self, life: u64, id: &LogId, rows: impl IntoIterator<Item = BucketRow>) {
        for row in rows {
            let stored = row.through;
            self.put(life, id, Remembrance { row, stored });
        }
    }

    /// Remembers rows of a log that are to be written.
    pub(super) fn count(&mut self, life: u64, id: &LogId, of_log: &LogRow, rows: impl IntoIterator<Item = BucketRow>) {
        for row in rows {
            let before = self.logs.get(id).and_then(|log| log.buckets.get(&row.bucket.start));
            let stored = before.map_or(Seq::MIN, |before| before.stored);
            self.put(life, id, Remembrance { row, stored });
        }
        if let Some(log) = self.logs.get_mut(id).filter(|_| life == self.life) {
            // Forgotten meanwhile, for there were many: what lies where follows from it.
            log.row.get_or_insert_with(|| of_log.clone());
        }
    }

    fn put(&mut self, life: u64, id: &LogId, remembrance: Remembrance) {
        if life != self.life {
            return;
        }
        let unwritten = remembrance.is_unwritten();
        let log = self.logs.entry(id.clone()).or_default();
        let before = log.buckets.insert(remembrance.row.bucket.start, remembrance);
        self.rows += usize::from(before.is_none());
        self.unwritten += usize::from(unwritten);
        self.unwritten -= usize::from(before.is_some_and(|before| before.is_unwritten()));
    }

    /// How many rows are to be written.
    pub(super) fn unwritten(&self) -> usize {
        self.unwritten
    }

    /// The rows that are to be written, with the rows of their logs.
    pub(super) fn to_write(&self) -> Vec<(LogId, LogRow, BucketRow)> {
        let mut rows = Vec::with_capacity(self.unwritten);
        for (id, log) in &self.logs {
            let Some(of_log) = &log.row else { continue };
            let unwritten = log.buckets.values().filter(|remembrance| remembrance.is_unwritten());
            rows.extend(unwritten.map(|remembrance| (id.clone(), of_log.clone(), remembrance.row.clone())));
        }
        rows
    }

    /// The row of the bucket that begins at `start` is stored as it was when it had counted up to `through`.
    pub(super) fn written(&mut self, id: &LogId, start: Offset, through: Seq) {
        let found = self.logs.get_mut(id).and_then(|log| log.buckets.get_mut(&start));
        let Some(remembrance) = found else { return };
        let before = remembrance.is_unwritten();
        remembrance.stored = remembrance.stored.max(through);
        self.unwritten -= usize::from(before && !remembrance.is_unwritten());
    }

    /// Forgets what can be read again, where there is much.
    pub(super) fn shrink(&mut self) {
        if self.rows <= ROWS_MAX && self.logs.len() <= ROWS_MAX {
            return;
        }
        self.logs.retain(|_, log| {
            log.buckets.retain(|_, remembrance| remembrance.is_unwritten());
            !log.buckets.is_empty()
        });
        self.rows = self.unwritten;
    }

    /// Forgets a log.
    pub(super) fn forget(&mut self, id: &LogId) {
        let Some(log) = self.logs.remove(id) else { return };
        self.rows -= log.buckets.len();
        self.unwritten -= log.buckets.values().filter(|remembrance| remembrance.is_unwritten()).count();
    }

    /// Forgets the row of the bucket that begins at `start`.
    pub(super) fn forget_bucket(&mut self, id: &LogId, start: Offset) {
        let forgotten = self.logs.get_mut(id).and_then(|log| log.buckets.remove(&start));
        self.rows -= usize::from(forgotten.is_some());
        self.unwritten -= usize::from(forgotten.is_some_and(|remembrance| remembrance.is_unwritten()));
    }

    /// Puts rows that are to be written in the place of those that are stored.
    pub(super) fn bring_up_to_date(&self, id: &LogId, rows: &mut [BucketRow]) {
        let Some(log) = self.logs.get(id) else { return };
        for row in rows {
            if let Some(newer) = log.buckets.get(&row.bucket.start).filter(|newer| newer.row.through > row.through) {
                *row = newer.row.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bucket, HOUR, Width};

    fn row(hour: i64, count: u64, through: Seq) -> BucketRow {
        let bucket = Bucket { start: Offset::from_nanos(hour * HOUR), width: Width::HOUR };
        BucketRow { count, through, ..BucketRow::new(bucket) }
    }

    #[test]
    fn a_row_is_to_be_written_until_it_is_stored_as_it_is() {
        let (mut remembered, id): (_, LogId) = (Remembered::default(), "a".parse().expect("a good id"));
        let (widths, retention_seconds, cut) = (crate::Widths::default(), None, Seq::MIN);
        let of_log = LogRow { created: Offset::MIN, widths, retention_seconds, cut };
        remembered.learn_log(0, &id, of_log.clone());
        remembered.learn(0, &id, [row(0, 1, 1)]);
        assert_eq!(remembered.unwritten(), 0);
        remembered.count(0, &id, &of_log, [row(0, 2, 2), row(1, 1, 3)]);
        assert_eq!((remembered.unwritten(), remembered.to_write().len()), (2, 2));
        remembered.written(&id, Offset::from_nanos(0), 1);
        assert_eq!(remembered.unwritten(), 2, "an older one was stored");
        let mut stored = [row(0, 1, 1), row(1, 0, Seq::MIN), row(2, 9, 1)];
        remembered.bring_up_to_date(&id, &mut stored);
        assert_eq!(stored.map(|row| row.count), [2, 1, 9]);
        remembered.written(&id, Offset::from_nanos(0), 2);
        remembered.forget(&id);
        assert_eq!((remembered.unwritten(), remembered.rows), (0, 0));
        remembered.forget_all();
        remembered.count(0, &id, &of_log, [row(0, 3, 3)]);
        assert_eq!(remembered.unwritten(), 0, "begun before everything was forgotten");
    }
}
