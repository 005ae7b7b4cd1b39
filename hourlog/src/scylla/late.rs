//! The lists of late events, for readers in arrival order: a row lists those of one write.

use std::collections::{BTreeMap, HashMap};

use futures_util::{StreamExt, TryStreamExt, stream};
use scylla::{response::PagingState, serialize::row::SerializeRow};

use crate::{
    LogId, Offset, Position, Result, Seq,
    store::{Bucket, EncodedEvent, EventRow, LateEvent, Widths},
};

use super::{
    Scylla,
    batches::{BATCH_ROWS_MAX, CONCURRENT_STATEMENTS},
    errors::unreadable,
    values,
};

/// The most events of one row. They follow each other in the bucket's list.
const ROW_EVENTS_MAX: usize = BATCH_ROWS_MAX;
/// The most positions that one statement reads. ScyllaDB refuses more than 100.
pub(super) const POSITIONS_PER_READ: usize = 100;
/// The events that are read first, to learn their size.
const FIRST_EVENTS: usize = 16;
/// The statements of one read that are under way at once.
const CONCURRENT_READS: usize = 8;

impl Scylla {
    /// Writes rows that list late events.
    pub(super) async fn add_lists(&self, id: &LogId, lists: &[LateList]) -> Result<()> {
        let adding = lists
            .iter()
            .map(|list| async { self.execute(&self.0.statements.add_arrivals, list.values(id)).await.map(drop) });
        let adding: Vec<_> = adding.collect();
        stream::iter(adding).buffer_unordered(CONCURRENT_STATEMENTS).try_collect().await
    }

    /// Reads the late events of [`Store::late_events`](crate::store::Store::late_events).
    pub(super) async fn read_late_events(
        &self,
        id: &LogId,
        bucket: Bucket,
        after: Seq,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<LateEvent>> {
        let positions = self.late_positions(id, bucket, after, limit).await?;
        let Some(log) = self.cached_log(id).await?.filter(|_| !positions.is_empty()) else { return Ok(Vec::new()) };
        let (mut late, mut read_bytes) = (Vec::new(), 0);
        while late.len() < positions.len() && (late.is_empty() || read_bytes < bytes) {
            let left = &positions[late.len()..];
            // As many as fit if they are as large as those before.
            let fitting = match read_bytes.checked_div(late.len()) {
                None => FIRST_EVENTS,
                Some(each) => (bytes - read_bytes).div_ceil(each.max(1)),
            };
            let events = self.events_of(id, &log.widths, &left[..fitting.min(left.len())]).await?;
            for LateEvent { position, event } in events {
                if read_bytes >= bytes && !late.is_empty() {
                    break;
                }
                read_bytes += event.as_ref().map_or(0, EncodedEvent::record_bytes);
                late.push(LateEvent { position, event });
            }
        }
        Ok(late)
    }

    /// Reads the positions that are listed in `bucket` above `after`, at most `limit`.
    async fn late_positions(&self, id: &LogId, bucket: Bucket, after: Seq, limit: usize) -> Result<Vec<Position>> {
        let values = (id.as_str(), values::hour_bucket(bucket.start), after);
        let mut list = List::new(after, limit);
        let mut statement = self.0.statements.arrivals.clone();
        // A row lists one event at least.
        statement.set_page_size(i32::try_from(list.enough().div_ceil(4)).unwrap_or(i32::MAX).clamp(1, 1_000));
        let mut next = Some(PagingState::start());
        while let Some(from) = next.filter(|_| limit > 0) {
            let page;
            (page, next) = self.rows_page(&statement, &values, from).await?;
            for row in page.rows::<(Vec<(i64, i64)>,)>().map_err(|error| unreadable(&error))? {
                list.add(row.map_err(|error| unreadable(&error))?.0);
                if list.is_full() {
                    return Ok(list.finish());
                }
            }
        }
        Ok(list.finish())
    }

    /// Reads events by their positions, those of one bucket together.
    async fn events_of(&self, id: &LogId, widths: &Widths, positions: &[Position]) -> Result<Vec<LateEvent>> {
        let mut buckets: HashMap<Bucket, Vec<Position>> = HashMap::new();
        for position in positions {
            buckets.entry(widths.bucket(position.offset)).or_default().push(*position);
        }
        let parts = buckets.iter().flat_map(|(bucket, positions)| {
            positions.chunks(POSITIONS_PER_READ).map(|some| self.events_at(id, *bucket, some.to_vec()))
        });
        let parts: Vec<_> = parts.collect();
        let found: Vec<EncodedEvent> = stream::iter(parts).buffer_unordered(CONCURRENT_READS).try_concat().await?;
        let mut found: HashMap<Position, EncodedEvent> =
            found.into_iter().map(|event| (event.position(), event)).collect();
        Ok(positions.iter().map(|position| LateEvent { position: *position, event: found.remove(position) }).collect())
    }
}

/// A row that lists late events of one write.
pub(super) struct LateList {
    bucket: Bucket,
    /// At least one, by seq.
    positions: Vec<Position>,
}

impl LateList {
    /// Returns the bucket that it is in.
    pub(super) fn bucket(&self) -> Bucket {
        self.bucket
    }

    /// Returns the values of its statement.
    pub(super) fn values<'i>(&self, id: &'i LogId) -> impl SerializeRow + use<'i> {
        let (first, last) = (self.positions[0].seq, self.positions[self.positions.len() - 1].seq);
        let events: Vec<_> = self.positions.iter().map(|position| (position.seq, position.offset.nanos())).collect();
        (id.as_str(), values::hour_bucket(self.bucket.start), last, first, events, last)
    }
}

/// Returns the rows that list the late events of a write, each in the bucket of its source's `max_time` at its arrival.
///
/// `emptied_at` has the seqs at which such buckets were emptied.
pub(super) fn lists(widths: &Widths, rows: &[&EventRow], emptied_at: &HashMap<Bucket, Seq>) -> Vec<LateList> {
    let mut listed: BTreeMap<Bucket, Vec<Position>> = BTreeMap::new();
    for row in rows {
        if let Some(late) = row.late {
            listed.entry(widths.bucket(late.max_time)).or_default().push(row.event.position);
        }
    }
    let lists = listed.iter().flat_map(|(bucket, positions)| {
        let emptied_at = emptied_at.get(bucket).copied().unwrap_or(Seq::MIN);
        rows_of(positions, emptied_at).map(|row| LateList { bucket: *bucket, positions: row.to_vec() })
    });
    lists.collect()
}

/// Splits the late events of one write, by seq, into rows of at most [`ROW_EVENTS_MAX`].
///
/// The last seq of a row is its timestamp. No row has events on both sides of `emptied_at`: redelivered ones of a
/// deleted list stay deleted.
fn rows_of(positions: &[Position], emptied_at: Seq) -> impl Iterator<Item = &[Position]> {
    let (before, after) = positions.split_at(positions.partition_point(|position| position.seq <= emptied_at));
    before.chunks(ROW_EVENTS_MAX).chain(after.chunks(ROW_EVENTS_MAX))
}

/// The late events of a bucket above a seq, by seq, from rows that come in the order of their last seqs.
///
/// Redelivered events may be listed again in rows with other borders, and rows may be lost with a node until they are.
/// An event then is only in a row that ends later. But a row has at most [`ROW_EVENTS_MAX`] events that follow
/// each other. So once that many above an event are known, so is every row that has it.
struct List {
    after: Seq,
    limit: usize,
    found: BTreeMap<Seq, Offset>,
}

impl List {
    fn new(after: Seq, limit: usize) -> Self {
        Self { after, limit, found: BTreeMap::new() }
    }

    /// Returns the number of events to find, so that the first `limit` of them are certain.
    fn enough(&self) -> usize {
        self.limit.saturating_add(ROW_EVENTS_MAX)
    }

    fn add(&mut self, row: Vec<(i64, i64)>) {
        let row = row.into_iter().map(|(seq, time)| (Seq::from_number(seq), Offset::from_nanos(time)));
        self.found.extend(row.filter(|(seq, _)| *seq > self.after));
    }

    fn is_full(&self) -> bool {
        self.found.len() >= self.enough()
    }

    fn finish(self) -> Vec<Position> {
        self.found.into_iter().take(self.limit).map(|(seq, offset)| Position { offset, seq }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(sequence: u64) -> Position {
        Position { offset: Offset::from_nanos(-(sequence as i64)), seq: Seq::new(1, sequence) }
    }

    /// A row: the seqs of its key, and the offsets and seqs that it lists.
    type Row = ((Seq, Seq), Vec<(i64, i64)>);

    /// Returns the rows of `positions`, with the keys that order them.
    fn rows(sequences: std::ops::RangeInclusive<u64>, emptied_at: Seq) -> Vec<Row> {
        let positions: Vec<Position> = sequences.map(position).collect();
        let row = |row: &[Position]| {
            let key = (row[row.len() - 1].seq, row[0].seq);
            (key, row.iter().map(|position| (position.seq.get(), position.offset.nanos())).collect())
        };
        rows_of(&positions, emptied_at).map(row).collect()
    }

    fn listed(mut rows: Vec<Row>, after: Seq, limit: usize) -> Vec<Position> {
        rows.sort();
        let mut list = List::new(after, limit);
        for (_, row) in rows.into_iter().filter(|((last, _), _)| *last > after) {
            list.add(row);
            if list.is_full() {
                break;
            }
        }
        list.finish()
    }

    #[test]
    fn rows_of_other_borders_list_each_event_once_even_if_some_rows_are_lost() {
        // Each write is listed as it was delivered first, then redelivered in larger and in smaller parts.
        let first: Vec<_> = (1..=400).flat_map(|sequence| rows(sequence..=sequence, Seq::MIN)).collect();
        let again: Vec<_> = (0..8).flat_map(|part| rows(part * 50 + 1..=part * 50 + 50, Seq::MIN)).collect();
        let third: Vec<_> = (0..16).flat_map(|part| rows(part * 25 + 1..=part * 25 + 25, Seq::MIN)).collect();
        for lost in [0..0, 0..1, 30..60, 10..399] {
            let kept = first.iter().enumerate().filter(|(at, _)| !lost.contains(at)).map(|(_, row)| row.clone());
            let all: Vec<_> = kept.chain(again.clone()).chain(third.iter().skip(3).cloned()).collect();
            for limit in [1, 7, 50, 399, 1_000] {
                for after in [0, 1, 49, 50, 260, 400] {
                    let expected: Vec<_> = (after + 1..=400).take(limit).map(position).collect();
                    assert_eq!(listed(all.clone(), Seq::new(1, after), limit), expected, "{limit} after {after}");
                }
            }
        }
    }

    #[test]
    fn rows_are_split_where_the_list_was_emptied() {
        let borders = |rows: Vec<((Seq, Seq), _)>| -> Vec<_> {
            rows.into_iter().map(|((last, first), _)| (first.sequence(), last.sequence())).collect()
        };
        assert_eq!(borders(rows(1..=120, Seq::MIN)), [(1, 50), (51, 100), (101, 120)]);
        assert_eq!(borders(rows(1..=60, Seq::new(1, 20))), [(1, 20), (21, 60)]);
        assert_eq!(borders(rows(1..=20, Seq::new(1, 20))), [(1, 20)]);
    }
}
