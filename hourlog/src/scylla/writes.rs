//! Writing events.
//!
//! A log has one write in flight at a time. The order of its parts makes a crash between two of
//! them harmless: the index row is written before the bucket's first event, the events before their
//! counts, and everything before the checkpoint of the source.

use std::collections::{BTreeMap, HashMap};

use futures_util::{StreamExt, TryStreamExt, future::try_join, stream};
use scylla::{
    serialize::row::SerializeRow,
    value::{CqlTimestamp, MaybeUnset},
};

use crate::{
    Event, LogId, Position, Result, Seq,
    index::{self, Counts},
    store::{Bucket, BucketRow, EventRow, LogRow, Width, Widths},
};

use super::{
    Scylla,
    batches::{BATCH_ROWS_MAX, CONCURRENT_STATEMENTS, OneOf},
    late::{self, LateList},
    values,
};

/// The most bytes of one batch. The database logs a warning for larger ones.
const BATCH_BYTES_MAX: usize = 64 << 10;
/// The most index rows that may wait to be written. Above it, a write flushes them first: an import
/// touches many.
const UNWRITTEN_MAX: usize = 16_384;

impl Scylla {
    /// Writes events of one log with their index rows; their counts are written later.
    ///
    /// If they create the log, its buckets have this width.
    pub(super) async fn write_events(&self, id: &LogId, rows: &[EventRow], width: Width) -> Result<()> {
        let generation = self.cache().generation();
        let Some(log_row) = self.log_of(generation, id, rows, width).await? else { return Ok(()) };
        let (widths, deleted_to) = (&log_row.widths, log_row.deleted_to);
        let mut listed = self.listed_buckets(generation, id, &log_row, rows).await?;
        let emptied_at: HashMap<Bucket, Seq> = listed.iter().map(|(bucket, row)| (*bucket, row.emptied_at)).collect();
        let load = |_: &LogId, bucket: Bucket| Ok(listed.remove(&bucket));
        let Counts { rows: counted, deleted: gone, .. } = index::count(id, widths, deleted_to, rows, load)?;
        let rows: Vec<&EventRow> = rows.iter().filter(|row| !gone.contains(&row.event.position.seq)).collect();
        let mut lists = late::lists(widths, &rows, &emptied_at);
        let batches = event_batches(widths, &rows, &mut lists);
        try_join(self.add_events(id, batches), self.add_lists(id, &lists)).await?;
        let unwritten = {
            let mut cache = self.cache();
            cache.put_unwritten(generation, id, &log_row, counted.into_iter().map(|counted| counted.row));
            cache.evict();
            cache.unwritten()
        };
        if unwritten > UNWRITTEN_MAX { self.write_counts().await } else { Ok(()) }
    }

    /// Returns the rows of all buckets that `rows` belong to, after listing those that are not in the index.
    ///
    /// The cache may evict them meanwhile.
    async fn listed_buckets(
        &self,
        generation: u64,
        id: &LogId,
        log_row: &LogRow,
        rows: &[EventRow],
    ) -> Result<HashMap<Bucket, BucketRow>> {
        // Each bucket with the seq of its first event.
        let mut buckets: BTreeMap<Bucket, Seq> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.event.position.seq > log_row.deleted_to) {
            let Position { offset, seq } = row.event.position;
            for offset in [Some(offset), row.late.map(|late| late.max_time)].into_iter().flatten() {
                buckets.entry(log_row.widths.bucket(offset)).or_insert(seq);
            }
        }
        let mut listed = HashMap::new();
        {
            let cache = self.cache();
            buckets.retain(|bucket, _| match cache.bucket(id, bucket.start) {
                Some(row) => {
                    listed.insert(*bucket, row.clone());
                    false
                }
                None => true,
            });
        }
        if !buckets.is_empty() {
            let rows = self.list_buckets(generation, id, log_row, buckets).await?;
            listed.extend(rows.into_iter().map(|row| (row.bucket, row)));
        }
        Ok(listed)
    }

    /// Returns the row of the log.
    ///
    /// A missing log is created for the first of `rows` that was not deleted. Returns `None` if all
    /// of them were deleted.
    async fn log_of(&self, generation: u64, id: &LogId, rows: &[EventRow], width: Width) -> Result<Option<LogRow>> {
        if let Some(row) = self.cache().log(id) {
            return Ok(Some(row));
        }
        let Some(first) = rows.first() else { return Ok(None) };
        if let Some(row) = self.create_missing(generation, id, first.event.arrival_time(), width).await? {
            return Ok(Some(row));
        }
        let (row, is_new) = match self.read_log(id).await? {
            (Some(row), _) => (row, false),
            (None, deleted_to) => {
                let Some(first) = rows.iter().find(|row| row.event.position.seq > deleted_to) else { return Ok(None) };
                // A delayed change of the deleted log's settings must not apply to the new one.
                let settings_at = deleted_to.max(Seq::ZERO);
                let wanted = LogRow { settings_at, ..LogRow::of_first_event(&first.event, width, Seq::MIN) };
                let (created, is_created) = self.create_log(id, &wanted).await?;
                // No such log ever existed, so its index is empty.
                let is_new = is_created && deleted_to == Seq::MIN;
                (LogRow { deleted_to: created.deleted_to.max(deleted_to), ..created }, is_new)
            }
        };
        let mut cache = self.cache();
        cache.put_log(generation, id, row.clone());
        if is_new {
            cache.put_new(generation, id);
        }
        Ok(Some(row))
    }

    /// Writes events in concurrent batches.
    async fn add_events(&self, id: &LogId, batches: Vec<EventBatch<'_>>) -> Result<()> {
        let adding: Vec<_> = batches.into_iter().map(|batch| self.add_batch(id, batch)).collect();
        stream::iter(adding).buffer_unordered(CONCURRENT_STATEMENTS).try_collect().await
    }

    async fn add_batch(&self, id: &LogId, EventBatch { bucket, events, list, .. }: EventBatch<'_>) -> Result<()> {
        let start = values::hour_bucket(bucket.start);
        if let ([event], None) = (&events[..], &list) {
            return self.execute(&self.0.statements.add_event, event_values(id, start, event)).await.map(drop);
        }
        let batch = self.0.batches.of_events(events.len(), list.is_some());
        let rows = events.iter().map(|event| OneOf::First(event_values(id, start, event)));
        let rows: Vec<_> = rows.chain(list.iter().map(|list| OneOf::Second(list.values(id)))).collect();
        self.execute_batch(batch, rows).await
    }
}

/// Returns the values of the statement that writes an event.
fn event_values<'v>(id: &'v LogId, start: CqlTimestamp, event: &'v Event) -> impl SerializeRow + use<'v> {
    let Position { offset, seq } = event.position;
    let arrived = event.arrived.map_or(MaybeUnset::Unset, |arrived| MaybeUnset::Set(arrived.nanos()));
    let metadata = &event.record.metadata;
    let metadata = if metadata.is_empty() { MaybeUnset::Unset } else { MaybeUnset::Set(values::metadata(metadata)) };
    (id.as_str(), start, offset.nanos(), seq, arrived, metadata, &event.record.data[..], seq)
}

/// Events of one bucket that are written together, with the row that lists the late ones if it is of the same bucket:
/// both tables have the same key, so it is one write of one partition.
struct EventBatch<'e> {
    bucket: Bucket,
    events: Vec<&'e Event>,
    bytes: usize,
    list: Option<LateList>,
}

/// Groups the events of a write. Takes of `lists` what is written with them.
fn event_batches<'e>(widths: &Widths, rows: &[&'e EventRow], lists: &mut Vec<LateList>) -> Vec<EventBatch<'e>> {
    let mut batches: Vec<EventBatch<'e>> = Vec::new();
    let mut open: HashMap<Bucket, usize> = HashMap::new();
    for row in rows {
        let event = &row.event;
        let (bucket, bytes) = (widths.bucket(event.position.offset), event.record.bytes());
        match open.get(&bucket).map(|at| &mut batches[*at]) {
            Some(batch) if batch.events.len() < BATCH_ROWS_MAX && batch.bytes + bytes <= BATCH_BYTES_MAX => {
                batch.events.push(event);
                batch.bytes += bytes;
            }
            _ => {
                open.insert(bucket, batches.len());
                let list = lists.iter().position(|list| list.bucket() == bucket).map(|at| lists.swap_remove(at));
                batches.push(EventBatch { bucket, events: vec![event], bytes, list });
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Offset, Record,
        store::{Arrival, Widths},
        time::HOUR,
    };

    #[test]
    fn a_list_is_written_with_the_first_events_of_its_bucket_if_there_are_any() {
        let (id, widths): (LogId, _) = ("a".parse().expect("a valid id"), Widths::default());
        let arrived = Offset::from_nanos(5 * HOUR);
        let row = |sequence: u64, offset: Offset| {
            let seq = Seq::new(1, sequence);
            EventRow::new(&id, Arrival { offset, time: arrived, max_time: arrived, seq }, Record::new("x"))
        };
        let batches_of = |hours: &[i64]| -> (Vec<(usize, bool)>, usize) {
            let offsets = hours.iter().map(|hour| Offset::from_nanos(hour * HOUR + 1));
            let rows: Vec<EventRow> = (1..).zip(offsets).map(|(sequence, offset)| row(sequence, offset)).collect();
            let rows: Vec<&EventRow> = rows.iter().collect();
            let mut lists = late::lists(&widths, &rows, &HashMap::new());
            let batches = event_batches(&widths, &rows, &mut lists);
            (batches.iter().map(|batch| (batch.events.len(), batch.list.is_some())).collect(), lists.len())
        };
        assert_eq!(batches_of(&[5; 3]), (vec![(3, true)], 0), "an event of the present with its own time");
        assert_eq!(batches_of(&[1; 3]), (vec![(3, false)], 1), "an import of old events");
        assert_eq!(batches_of(&[1, 5, 1]), (vec![(2, false), (1, true)], 0));
        assert_eq!(batches_of(&[5; 120]), (vec![(50, true), (50, true), (20, true)], 0));
    }
}
