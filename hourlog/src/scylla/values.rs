//! Rows as CQL stores them.

use std::collections::BTreeMap;
use std::time::Duration;

use scylla::{
    DeserializeValue, SerializeValue,
    cluster::metadata::ColumnType,
    deserialize::{
        DeserializationError,
        value::{ListlikeIterator, MapIterator},
    },
    serialize::{
        SerializationError,
        value::SerializeValue as SerializeCql,
        writers::{CellWriter, WrittenCellProof},
    },
    value::CqlTimestamp,
};

use crate::{
    ArrivalCursor, Error, ErrorKind, LogId, Metadata, Offset, Position, Result, Seq,
    bucket::Bucket,
    encoded::Encoder,
    store::{BucketRow, LogRow, Removed, Width, Widths},
};

/// The counts of a bucket, in one cell.
///
/// Of two values with the same timestamp, the database keeps the greater one, field by field. The
/// order of the fields therefore decides: the value that was emptied later wins, then the one that
/// counts more.
#[derive(Debug, Clone, SerializeValue, DeserializeValue)]
pub(super) struct BucketCounts {
    emptied_at: i64,
    width_seconds: i32,
    count: i64,
    bytes: i64,
    first: i64,
    last: i64,
    bins: Option<Vec<i32>>,
    arrivals: i64,
    counted_to: i64,
}

impl BucketCounts {
    /// Returns the seq up to which the bucket's events are counted.
    pub(super) fn counted_to(&self) -> i64 {
        self.counted_to
    }
}

impl SerializeCql for Seq {
    fn serialize<'b>(
        &self,
        column: &ColumnType<'_>,
        writer: CellWriter<'b>,
    ) -> Result<WrittenCellProof<'b>, SerializationError> {
        self.get().serialize(column, writer)
    }
}

/// The widths of a log: the time from which each applies, and its seconds.
pub(super) type CqlWidths = Vec<(i64, i32)>;
/// The columns of an event, borrowed from the page that has it: time, seq, arrived, metadata, data.
pub(super) type CqlEvent<'p, 'm> = (i64, i64, Option<i64>, Option<CqlMetadata<'p, 'm>>, Option<&'p [u8]>);
type CqlMetadata<'p, 'm> = MapIterator<'p, 'm, &'p str, ListlikeIterator<'p, 'm, &'p str>>;
/// The columns of a log: created, widths, retention, removed, `settings_at`, `deleted_to`. A deleted log
/// has only the last.
pub(super) type CqlLog = (Option<i64>, Option<CqlWidths>, Option<i64>, Option<(i64, i64)>, Option<i64>, Option<i64>);

/// The columns of a log with its id.
pub(super) type CqlListedLog =
    (String, Option<i64>, Option<CqlWidths>, Option<i64>, Option<(i64, i64)>, Option<i64>, Option<i64>);

/// Returns a bucket's start as a timestamp. Every start is in whole seconds, except `Offset::MIN`.
pub(super) fn hour_bucket(start: Offset) -> CqlTimestamp {
    CqlTimestamp(start.nanos().div_euclid(1_000_000))
}

/// Returns the start that a timestamp stands for.
pub(super) fn start_of(hour_bucket: CqlTimestamp) -> Offset {
    Offset::from_nanos(hour_bucket.0.saturating_mul(1_000_000))
}

pub(super) fn counts(row: &BucketRow) -> Result<BucketCounts> {
    let signed = |number: u64| i64::try_from(number).map_err(|_| unreadable());
    let filled = row.bins.iter().rposition(|bin| *bin > 0).map_or(0, |last| last + 1);
    let bins = row.bins[..filled].iter().map(|bin| i32::try_from(*bin).unwrap_or(i32::MAX)).collect();
    Ok(BucketCounts {
        // 0 stands for "never emptied". No event has such a small seq.
        emptied_at: row.emptied_at.get().max(0),
        width_seconds: seconds(row.bucket.width)?,
        count: signed(row.count)?,
        bytes: signed(row.bytes)?,
        first: row.first.nanos(),
        last: row.last.nanos(),
        // Without the zeros at the end, so that the row of a bucket with few events is small.
        bins: Some(bins),
        arrivals: signed(row.arrivals)?,
        counted_to: row.counted_to.get(),
    })
}

/// Returns the row of the bucket that begins at `start`.
pub(super) fn bucket_row(start: Offset, counts: BucketCounts) -> Result<BucketRow> {
    let unsigned = |number: i64| u64::try_from(number).map_err(|_| unreadable());
    let mut row = BucketRow::new(Bucket { start, width: width(counts.width_seconds)? });
    row.count = unsigned(counts.count)?;
    row.bytes = unsigned(counts.bytes)?;
    row.first = Offset::from_nanos(counts.first);
    row.last = Offset::from_nanos(counts.last);
    row.arrivals = unsigned(counts.arrivals)?;
    row.counted_to = Seq::from_number(counts.counted_to);
    row.emptied_at = if counts.emptied_at == 0 { Seq::MIN } else { Seq::from_number(counts.emptied_at) };
    for (bin, stored) in row.bins.iter_mut().zip(counts.bins.unwrap_or_default()) {
        *bin = u32::try_from(stored).map_err(|_| unreadable())?;
    }
    Ok(row)
}

pub(super) fn widths(widths: &Widths) -> Result<CqlWidths> {
    let first = (i64::MIN, seconds(widths.first())?);
    let changes = widths.changes().iter().map(|(from, width)| Ok((from.nanos(), seconds(*width)?)));
    std::iter::once(Ok(first)).chain(changes).collect()
}

/// Returns the row of a log, if it exists, and the seq up to which its events were deleted.
pub(super) fn log_row(
    (created, stored, retention, removed, settings_at, deleted_to): CqlLog,
) -> Result<(Option<LogRow>, Seq)> {
    let deleted_to = deleted_to.map_or(Seq::MIN, Seq::from_number);
    let (Some(created), Some(stored)) = (created, stored) else { return Ok((None, deleted_to)) };
    let mut stored = stored.into_iter();
    let (_, first) = stored.next().ok_or_else(unreadable)?;
    let changes = stored.map(|(from, seconds)| Ok((Offset::from_nanos(from), width(seconds)?)));
    let widths = Widths::from_parts(width(first)?, changes.collect::<Result<_>>()?)?;
    let retention = retention.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    let removed = removed.map(|(to, seq)| Removed { to: Offset::from_nanos(to), seq: Seq::from_number(seq) });
    let settings_at = settings_at.map_or(Seq::ZERO, Seq::from_number);
    let created = Offset::from_nanos(created);
    Ok((Some(LogRow { created, widths, retention, removed, settings_at, deleted_to }), deleted_to))
}

/// Returns the id of a log, its row if it exists, and the seq up to which its events were deleted.
pub(super) fn listed_log(
    (id, created, widths, retention, removed, settings_at, deleted_to): CqlListedLog,
) -> Result<(LogId, Option<LogRow>, Seq)> {
    let (row, deleted_to) = log_row((created, widths, retention, removed, settings_at, deleted_to))?;
    Ok((id.parse()?, row, deleted_to))
}

pub(super) fn removed(removed: Removed) -> (i64, i64) {
    (removed.to.nanos(), removed.seq.get())
}

pub(super) fn cursor(time: i64, seq: i64) -> ArrivalCursor {
    ArrivalCursor { time: Offset::from_nanos(time), seq: Seq::from_number(seq) }
}

pub(super) fn metadata(metadata: &Metadata) -> BTreeMap<&str, &[String]> {
    metadata.iter().collect()
}

/// Adds an event to `encoder`. Returns the bytes of its record.
pub(super) fn encode(
    (time, seq, arrived, metadata, data): CqlEvent<'_, '_>,
    encoder: &mut Encoder,
) -> Result<usize, DeserializationError> {
    for name in metadata.into_iter().flatten() {
        let (name, values) = name?;
        encoder.push_name(name, &values.collect::<Result<Vec<_>, _>>()?);
    }
    let position = Position { offset: Offset::from_nanos(time), seq: Seq::from_number(seq) };
    Ok(encoder.push(position, arrived.map(Offset::from_nanos), data.unwrap_or_default()))
}

fn seconds(width: Width) -> Result<i32> {
    i32::try_from(width.nanos() / crate::time::SECOND).map_err(|_| unreadable())
}

fn width(seconds: i32) -> Result<Width> {
    Width::from_seconds(i64::from(seconds)).map_err(|_| unreadable())
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Integrity, "a row of the archive is damaged; restore it from a backup")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_start_survives_its_timestamp() {
        for start in [0, -3_600 * crate::time::SECOND, 1_517_738_400 * crate::time::SECOND, i64::MIN] {
            let start = Offset::from_nanos(start);
            assert_eq!(start_of(hour_bucket(start)), start);
        }
    }

    #[test]
    fn widths_survive_their_columns() {
        let mut before = Widths::new("1m".parse().expect("a valid width"));
        before.change("1h".parse().expect("a valid width"), Offset::from_nanos(1_517_738_400 * crate::time::SECOND));
        let row = (Some(5), Some(widths(&before).expect("the widths fit their column")), Some(7), None, None, None);
        let after = log_row(row).expect("the columns are valid").0.expect("the log exists");
        assert_eq!((after.widths, after.retention, after.deleted_to), (before, Some(Duration::from_secs(7)), Seq::MIN));
    }
}
