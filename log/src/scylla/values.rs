//! Rows as CQL has them.

use std::collections::BTreeMap;

use scylla::{DeserializeValue, SerializeValue, value::CqlTimestamp};

use crate::{
    BucketRow, Data, Error, ErrorKind, Event, LogId, LogRow, Metadata, Offset, Position, Record, Result, Seq, Width,
    Widths, bucket::Bucket,
};

/// What a bucket's row tells, in one cell. Of two values with one timestamp the database keeps the greater, field by field: in this order
/// that is the one that was emptied later, or counts more.
#[derive(Debug, Clone, SerializeValue, DeserializeValue)]
pub(super) struct BucketCounts {
    dropped: i64,
    width_seconds: i32,
    count: i64,
    bytes: i64,
    first: i64,
    last: i64,
    bins: Option<Vec<i32>>,
    arrivals: i64,
    through: i64,
}

/// When widths hold from, and how many seconds they have.
pub(super) type StoredWidths = Vec<(i64, i32)>;
/// Time, seq, arrived, metadata, data.
pub(super) type EventRow = (i64, i64, Option<i64>, Option<BTreeMap<String, Vec<String>>>, Option<Vec<u8>>);
/// Created, widths, retention, cut. Of a log that was deleted there is the last.
pub(super) type StoredLog = (Option<i64>, Option<StoredWidths>, Option<i64>, Option<i64>);

/// A bucket's start as a timestamp. Only that of the first bucket of all is no whole number of seconds.
pub(super) fn hour_bucket(start: Offset) -> CqlTimestamp {
    CqlTimestamp(start.nanos().div_euclid(1_000_000))
}

/// The start that a timestamp stands for.
pub(super) fn start_of(hour_bucket: CqlTimestamp) -> Offset {
    Offset::from_nanos(hour_bucket.0.saturating_mul(1_000_000))
}

pub(super) fn counts(row: &BucketRow) -> Result<BucketCounts> {
    let whole = |number: u64| i64::try_from(number).map_err(|_| unreadable());
    let bins = row.bins.iter().map(|bin| i32::try_from(*bin).unwrap_or(i32::MAX)).collect();
    Ok(BucketCounts {
        // No seq is so small.
        dropped: row.dropped.max(0),
        width_seconds: seconds(row.bucket.width)?,
        count: whole(row.count)?,
        bytes: whole(row.bytes)?,
        first: row.first.nanos(),
        last: row.last.nanos(),
        bins: Some(bins),
        arrivals: whole(row.arrivals)?,
        through: row.through,
    })
}

/// The row of the bucket that begins at `start`.
pub(super) fn bucket_row(start: Offset, counts: BucketCounts) -> Result<BucketRow> {
    let natural = |number: i64| u64::try_from(number).map_err(|_| unreadable());
    let mut row = BucketRow::new(Bucket { start, width: width(counts.width_seconds)? });
    row.count = natural(counts.count)?;
    row.bytes = natural(counts.bytes)?;
    row.first = Offset::from_nanos(counts.first);
    row.last = Offset::from_nanos(counts.last);
    row.arrivals = natural(counts.arrivals)?;
    row.through = counts.through;
    row.dropped = if counts.dropped == 0 { Seq::MIN } else { counts.dropped };
    for (bin, stored) in row.bins.iter_mut().zip(counts.bins.unwrap_or_default()) {
        *bin = u32::try_from(stored).map_err(|_| unreadable())?;
    }
    Ok(row)
}

pub(super) fn widths(widths: &Widths) -> Result<StoredWidths> {
    let first = (i64::MIN, seconds(widths.first())?);
    let changes = widths.changes().iter().map(|(from, width)| Ok((from.nanos(), seconds(*width)?)));
    std::iter::once(Ok(first)).chain(changes).collect()
}

/// What is known of a log, where it is there; and up to which seq its events were deleted.
pub(super) fn log_row((created, stored, retention_seconds, cut): StoredLog) -> Result<(Option<LogRow>, Seq)> {
    let cut = cut.unwrap_or(Seq::MIN);
    let (Some(created), Some(stored)) = (created, stored) else { return Ok((None, cut)) };
    let mut stored = stored.into_iter();
    let (_, first) = stored.next().ok_or_else(unreadable)?;
    let changes = stored.map(|(from, seconds)| Ok((Offset::from_nanos(from), width(seconds)?)));
    let widths = Widths::from_parts(width(first)?, changes.collect::<Result<_>>()?)?;
    Ok((Some(LogRow { created: Offset::from_nanos(created), widths, retention_seconds, cut }), cut))
}

pub(super) fn metadata(metadata: &Metadata) -> BTreeMap<&str, &[String]> {
    metadata.iter().collect()
}

pub(super) fn event(log: &LogId, (time, seq, arrived, metadata, data): EventRow) -> Event {
    let mut record = Record::new(Data::from(data.unwrap_or_default()));
    for (name, values) in metadata.unwrap_or_default() {
        for value in values {
            record.metadata.push(name.clone(), value);
        }
    }
    let position = Position { offset: Offset::from_nanos(time), seq };
    Event { log: log.clone(), position, arrived: arrived.map(Offset::from_nanos), record }
}

fn seconds(width: Width) -> Result<i32> {
    i32::try_from(width.nanos() / crate::SECOND).map_err(|_| unreadable())
}

fn width(seconds: i32) -> Result<Width> {
    Width::from_seconds(i64::from(seconds)).map_err(|_| unreadable())
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Integrity, "a row of the archive is not one that was written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_keep_their_start_as_a_timestamp() {
        for start in [0, -3_600 * crate::SECOND, 1_517_738_400 * crate::SECOND, i64::MIN] {
            let start = Offset::from_nanos(start);
            assert_eq!(start_of(hour_bucket(start)), start);
        }
    }

    #[test]
    fn widths_survive_their_row() {
        let mut before = Widths::new("1m".parse().expect("a width"));
        before.change("1h".parse().expect("a width"), Offset::from_nanos(1_517_738_400 * crate::SECOND));
        let row = (Some(5), Some(widths(&before).expect("they fit")), Some(7), None);
        let after = log_row(row).expect("it is what was written").0.expect("it is there");
        assert_eq!((after.widths, after.retention_seconds, after.cut), (before, Some(7), Seq::MIN));
    }
}
