//! The encoding of values, but for packs of events, which are encoded as pages have them.
//!
//! A value is a byte for its format, then its numbers in sequence.

use std::time::Duration;

use crate::{
    ArrivalCursor, Error, ErrorKind, LogId, Offset, Result, Seq,
    bucket::Bucket,
    store::{BucketRow, EpochRow, LogRow, Removed, SourceRow, Totals, Width, Widths},
};

use super::{keys::LogNumber, lanes::Lanes};

/// The format of every value but a pack.
pub(super) const FORMAT: u8 = 1;

/// Stands for a log of which nothing was removed.
const NOTHING_REMOVED: Removed = Removed { to: Offset::MIN, seq: Seq::MIN };

/// Encodes a row of the index without the bucket's start, and the bucket's lanes.
pub(super) fn bucket(row: &BucketRow, lanes: Lanes) -> Vec<u8> {
    let mut value = Vec::with_capacity(64 + row.bins.len() * 2);
    value.push(FORMAT);
    put_varint(&mut value, lanes.bits());
    put_varint(&mut value, row.bucket.width.nanos() as u64);
    put_varint(&mut value, row.count);
    put_varint(&mut value, row.bytes);
    put_varint(&mut value, row.arrivals);
    for number in [row.first.nanos(), row.last.nanos(), row.counted_to.get()] {
        value.extend(number.to_le_bytes());
    }
    for bin in &row.bins {
        put_varint(&mut value, u64::from(*bin));
    }
    if row.emptied_at > Seq::MIN {
        value.extend(row.emptied_at.get().to_le_bytes());
    }
    value
}

/// Decodes the lanes in a row of the index.
pub(super) fn read_lanes(value: &[u8]) -> Result<Lanes> {
    Reader::new(value)?.varint().map(Lanes::from_bits)
}

/// Decodes the row of the bucket that begins at `start`.
pub(super) fn read_bucket(start: Offset, value: &[u8]) -> Result<BucketRow> {
    let mut reader = Reader::new(value)?;
    reader.varint()?;
    let width = read_width(reader.varint()?)?;
    let mut row = BucketRow::new(Bucket { start, width });
    row.count = reader.varint()?;
    row.bytes = reader.varint()?;
    row.arrivals = reader.varint()?;
    row.first = Offset::from_nanos(reader.fixed()?);
    row.last = Offset::from_nanos(reader.fixed()?);
    row.counted_to = reader.seq()?;
    for bin in &mut row.bins {
        *bin = u32::try_from(reader.varint()?).map_err(|_| unreadable())?;
    }
    if !reader.0.is_empty() {
        row.emptied_at = reader.seq()?;
    }
    Ok(row)
}

/// Encodes the sums of an era's rows of the index.
pub(super) fn totals(totals: &Totals) -> Vec<u8> {
    let mut value = vec![FORMAT];
    put_varint(&mut value, totals.count);
    put_varint(&mut value, totals.bytes);
    if let (Some(first), Some(last)) = (totals.first, totals.last) {
        value.extend(first.nanos().to_le_bytes());
        value.extend(last.nanos().to_le_bytes());
    }
    value
}

/// Decodes the sums of an era's rows of the index.
pub(super) fn read_totals(value: &[u8]) -> Result<Totals> {
    let mut reader = Reader::new(value)?;
    let mut totals = Totals { count: reader.varint()?, bytes: reader.varint()?, ..Totals::default() };
    if !reader.is_at_end() {
        totals.first = Some(Offset::from_nanos(reader.fixed()?));
        totals.last = Some(Offset::from_nanos(reader.fixed()?));
    }
    Ok(totals)
}

/// Encodes the number and the settings of a log.
pub(super) fn log(number: LogNumber, row: &LogRow) -> Vec<u8> {
    let mut value = vec![FORMAT];
    put_varint(&mut value, u64::from(number.0));
    value.extend(row.created.nanos().to_le_bytes());
    let seconds = row.retention_seconds().unwrap_or(-1);
    value.extend(seconds.to_le_bytes());
    let removed = row.removed.unwrap_or(NOTHING_REMOVED);
    let seqs = [row.deleted_to, row.settings_at, removed.seq].map(Seq::get);
    for number in seqs.into_iter().chain([removed.to.nanos()]) {
        value.extend(number.to_le_bytes());
    }
    put_varint(&mut value, row.widths.first().nanos() as u64);
    for (from, width) in row.widths.changes() {
        value.extend(from.nanos().to_le_bytes());
        put_varint(&mut value, width.nanos() as u64);
    }
    value
}

/// Decodes the number and the settings of a log.
pub(super) fn read_log(value: &[u8]) -> Result<(LogNumber, LogRow)> {
    let mut reader = Reader::new(value)?;
    let number = LogNumber(u32::try_from(reader.varint()?).map_err(|_| unreadable())?);
    let created = Offset::from_nanos(reader.fixed()?);
    let retention = u64::try_from(reader.fixed()?).ok().map(Duration::from_secs);
    let (deleted_to, settings_at) = (reader.seq()?, reader.seq()?);
    let removed = Removed { seq: reader.seq()?, to: Offset::from_nanos(reader.fixed()?) };
    let removed = (removed != NOTHING_REMOVED).then_some(removed);
    let first = read_width(reader.varint()?)?;
    let mut changes = Vec::new();
    while !reader.0.is_empty() {
        changes.push((Offset::from_nanos(reader.fixed()?), read_width(reader.varint()?)?));
    }
    let widths = Widths::from_parts(first, changes)?;
    Ok((number, LogRow { created, widths, retention, removed, settings_at, deleted_to }))
}

/// Encodes the checkpoint of a source.
pub(super) fn source(row: &SourceRow) -> Vec<u8> {
    let mut value = vec![FORMAT];
    let times = [row.checkpoint_time, row.head_time, row.max_time].map(Offset::nanos);
    for number in [row.checkpoint.get(), row.head.get()].into_iter().chain(times) {
        value.extend(number.to_le_bytes());
    }
    value
}

/// Decodes the checkpoint of a source.
pub(super) fn read_source(value: &[u8]) -> Result<SourceRow> {
    let mut reader = Reader::new(value)?;
    Ok(SourceRow {
        checkpoint: reader.seq()?,
        head: reader.seq()?,
        checkpoint_time: Offset::from_nanos(reader.fixed()?),
        head_time: Offset::from_nanos(reader.fixed()?),
        max_time: Offset::from_nanos(reader.fixed()?),
    })
}

/// Encodes an epoch without its number.
pub(super) fn epoch(row: &EpochRow) -> Vec<u8> {
    let mut value = vec![FORMAT];
    put_varint(&mut value, row.from);
    value.extend(row.started.nanos().to_le_bytes());
    value.extend(row.stream.as_bytes());
    value
}

/// Decodes the epoch with this number.
pub(super) fn read_epoch(epoch: u32, value: &[u8]) -> Result<EpochRow> {
    let mut reader = Reader::new(value)?;
    let (from, started) = (reader.varint()?, Offset::from_nanos(reader.fixed()?));
    let stream = std::str::from_utf8(reader.0).map_err(|_| unreadable())?.to_owned();
    Ok(EpochRow { epoch, stream, from, started })
}

/// Encodes a reader's cursor.
pub(super) fn cursor(cursor: ArrivalCursor) -> Vec<u8> {
    let mut value = vec![FORMAT];
    value.extend(cursor.time.nanos().to_le_bytes());
    value.extend(cursor.seq.get().to_le_bytes());
    value
}

/// Decodes a reader's cursor.
pub(super) fn read_cursor(value: &[u8]) -> Result<ArrivalCursor> {
    let mut reader = Reader::new(value)?;
    Ok(ArrivalCursor { time: Offset::from_nanos(reader.fixed()?), seq: reader.seq()? })
}

/// Encodes a property of the archive.
pub(super) fn property(text: &str) -> Vec<u8> {
    let mut value = vec![FORMAT];
    value.extend(text.as_bytes());
    value
}

/// Decodes a property of the archive.
pub(super) fn read_property(value: &[u8]) -> Result<String> {
    let reader = Reader::new(value)?;
    std::str::from_utf8(reader.0).map(str::to_owned).map_err(|_| unreadable())
}

fn read_width(nanos: u64) -> Result<Width> {
    let seconds = i64::try_from(nanos).map_err(|_| unreadable())? / crate::time::SECOND;
    Width::from_seconds(seconds).map_err(|_| unreadable())
}

/// Encodes the id of a log.
pub(super) fn log_id(id: &LogId) -> Vec<u8> {
    let mut value = vec![FORMAT];
    value.extend(id.as_str().as_bytes());
    value
}

/// Decodes the id of a log.
pub(super) fn read_log_id(value: &[u8]) -> Result<LogId> {
    let reader = Reader::new(value)?;
    std::str::from_utf8(reader.0).ok().and_then(|id| id.parse().ok()).ok_or_else(unreadable)
}

pub(super) fn put_varint(value: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        value.push(number as u8 | 0x80);
        number >>= 7;
    }
    value.push(number as u8);
}

/// Encodes a number that is likely to be near 0.
pub(super) fn put_signed(value: &mut Vec<u8>, number: i64) {
    put_varint(value, ((number << 1) ^ (number >> 63)) as u64);
}

/// The rest of a value that is being decoded.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Begins with a value of this format.
    pub(super) fn new(value: &'a [u8]) -> Result<Self> {
        let mut reader = Self(value);
        if reader.byte()? == FORMAT { Ok(reader) } else { Err(unreadable()) }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.0.split_first().ok_or_else(unreadable)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn fixed(&mut self) -> Result<i64> {
        let (first, rest) = self.0.split_first_chunk::<8>().ok_or_else(unreadable)?;
        self.0 = rest;
        Ok(i64::from_le_bytes(*first))
    }

    pub(super) fn seq(&mut self) -> Result<Seq> {
        self.fixed().map(Seq::from_number)
    }

    pub(super) fn varint(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(unreadable())
    }

    pub(super) fn signed(&mut self) -> Result<i64> {
        let number = self.varint()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }
}

/// The error of a value that cannot be decoded.
pub(super) fn unreadable() -> Error {
    Error::new(
        ErrorKind::Integrity,
        "a value of the archive is damaged; stop the service, and run `hourlogd check` and `hourlogd repair`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_numbers_round_trip() {
        for number in [0, -1, 1, 300, i64::MIN, i64::MAX] {
            let mut value = vec![FORMAT];
            put_signed(&mut value, number);
            assert_eq!(Reader::new(&value).and_then(|mut reader| reader.signed()).expect("a number"), number);
        }
    }

    #[test]
    fn the_row_of_a_log_round_trips_with_its_number() {
        let row = LogRow {
            retention: Some(Duration::from_secs(60)),
            removed: Some(Removed { to: Offset::from_nanos(-5), seq: Seq::new(1, 2) }),
            ..LogRow::new(Offset::from_nanos(7), Widths::new(Width::MINUTE))
        };
        let value = log(LogNumber(300), &row);
        assert_eq!(read_log(&value).expect("what was just encoded"), (LogNumber(300), row));
        assert!((0..value.len()).all(|length| read_log(&value[..length]).is_err()));
    }

    #[test]
    fn the_id_of_a_log_round_trips() {
        let id: LogId = "orders.eu".parse().expect("a valid id");
        assert_eq!(read_log_id(&log_id(&id)).expect("what was just encoded"), id);
        assert!(read_log_id(&[FORMAT, b'*']).is_err());
    }
}
