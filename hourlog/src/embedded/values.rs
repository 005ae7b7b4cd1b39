//! The encoding of values.
//!
//! An event is a message `Event` of `schema/hourlog.proto` without `offset` and `seq`, which are in its key;
//! `data` is its last field. Every other value is a byte for its format, then its numbers in sequence.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    ArrivalCursor, Error, ErrorKind, Event, LogId, Metadata, Offset, Position, Record, Result, Seq,
    bucket::Bucket,
    store::{BucketRow, EpochRow, LogRow, Removed, SourceRow, Width, Widths},
};

/// The format of every value but an event.
const FORMAT: u8 = 1;

/// Stands for a log of which nothing was removed.
const NOTHING_REMOVED: Removed = Removed { to: Offset::MIN, seq: Seq::MIN };

// Tags of protobuf: field number << 3 | wire type.
const ARRIVED: u8 = 3 << 3 | 1;
const METADATA: u8 = 4 << 3 | 2;
const DATA: u8 = 5 << 3 | 2;
const NAME: u8 = 1 << 3 | 2;
const VALUE: u8 = 2 << 3 | 2;

/// Encodes an event without its position.
pub(super) fn event(event: &Event) -> Vec<u8> {
    let record = &event.record;
    let names: usize = record.metadata.iter().map(|(_, values)| 16 + values.len() * 4).sum();
    let mut value = Vec::with_capacity(record.bytes() + names + 16);
    if let Some(arrived) = event.arrived {
        value.push(ARRIVED);
        value.extend(arrived.nanos().to_le_bytes());
    }
    for (name, values) in record.metadata.iter() {
        let length = field_length(name) + values.iter().map(|value| field_length(value)).sum::<usize>();
        value.push(METADATA);
        put_varint(&mut value, length as u64);
        put_field(&mut value, NAME, name.as_bytes());
        for text in values {
            put_field(&mut value, VALUE, text.as_bytes());
        }
    }
    put_field(&mut value, DATA, &record.data);
    value
}

/// Decodes the event at `position` of `log`. Its data shares the bytes of `value`.
pub(super) fn read_event(log: &LogId, position: Position, value: Bytes) -> Result<Event> {
    let mut arrived = None;
    let mut metadata = Metadata::new();
    let mut reader = Reader(&value);
    loop {
        match reader.byte()? {
            ARRIVED => arrived = Some(Offset::from_nanos(reader.fixed()?)),
            METADATA => {
                let mut field = Reader(reader.bytes()?);
                if field.byte()? != NAME {
                    return Err(unreadable());
                }
                let name = field.text()?;
                while !field.0.is_empty() {
                    if field.byte()? != VALUE {
                        return Err(unreadable());
                    }
                    metadata.push(name, field.text()?);
                }
            }
            DATA => {
                let data = reader.bytes()?;
                if !reader.0.is_empty() {
                    return Err(unreadable());
                }
                let data = value.slice_ref(data);
                return Ok(Event {
                    log: log.clone(),
                    position,
                    arrived,
                    record: Record { time: None, metadata, data: data.into() },
                });
            }
            _ => return Err(unreadable()),
        }
    }
}

/// Encodes a row of the index without the bucket's start.
pub(super) fn bucket(row: &BucketRow) -> Vec<u8> {
    let mut value = vec![FORMAT];
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

/// Decodes the row of the bucket that begins at `start`.
pub(super) fn read_bucket(start: Offset, value: &[u8]) -> Result<BucketRow> {
    let mut reader = Reader::new(value)?;
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

/// Encodes the settings of a log.
pub(super) fn log(row: &LogRow) -> Vec<u8> {
    let mut value = vec![FORMAT];
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

/// Decodes the settings of a log.
pub(super) fn read_log(value: &[u8]) -> Result<LogRow> {
    let mut reader = Reader::new(value)?;
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
    Ok(LogRow { created, widths, retention, removed, settings_at, deleted_to })
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

fn put_varint(value: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        value.push(number as u8 | 0x80);
        number >>= 7;
    }
    value.push(number as u8);
}

fn put_field(value: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    value.push(tag);
    put_varint(value, bytes.len() as u64);
    value.extend(bytes);
}

/// Returns the number of bytes that [`put_field`] adds.
fn field_length(text: &str) -> usize {
    let bits = usize::BITS - (text.len() | 1).leading_zeros();
    1 + bits.div_ceil(7) as usize + text.len()
}

/// The rest of a value that is being decoded.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn new(value: &'a [u8]) -> Result<Self> {
        let mut reader = Self(value);
        if reader.byte()? == FORMAT { Ok(reader) } else { Err(unreadable()) }
    }

    fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.0.split_first().ok_or_else(unreadable)?;
        self.0 = rest;
        Ok(*first)
    }

    fn fixed(&mut self) -> Result<i64> {
        let (first, rest) = self.0.split_first_chunk::<8>().ok_or_else(unreadable)?;
        self.0 = rest;
        Ok(i64::from_le_bytes(*first))
    }

    fn seq(&mut self) -> Result<Seq> {
        self.fixed().map(Seq::from_number)
    }

    fn varint(&mut self) -> Result<u64> {
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

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = usize::try_from(self.varint()?).map_err(|_| unreadable())?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(unreadable)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| unreadable())
    }
}

fn unreadable() -> Error {
    Error::new(
        ErrorKind::Integrity,
        "a value of the archive is damaged; stop the service, and run `hourlogd check` and `hourlogd repair`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_log() -> LogId {
        "orders.eu".parse().expect("a valid id")
    }

    #[test]
    fn events_round_trip() {
        for (arrived, record) in [
            (None, Record::new("")),
            (Some(-7), Record::new(&b"\xff\x00"[..]).with("kind", "paid").with("kind", "twice").with("a", "")),
            (Some(i64::MAX), Record::new("x".repeat(300)).with("n".repeat(200), "v".repeat(20_000))),
        ] {
            let position = Position { offset: Offset::from_nanos(5), seq: Seq::new(0, 42) };
            let before = Event { log: a_log(), position, arrived: arrived.map(Offset::from_nanos), record };
            let after =
                read_event(&before.log, position, event(&before).into()).expect("a value that was just encoded");
            assert_eq!(after, before);
        }
    }

    #[test]
    fn a_truncated_value_is_an_error_and_never_a_panic() {
        let position = Position { offset: Offset::from_nanos(5), seq: Seq::new(0, 42) };
        let record = Record::new("x".repeat(300)).with("kind", "paid");
        let value = event(&Event { log: a_log(), position, arrived: Some(Offset::from_nanos(1)), record });
        for length in 0..value.len() {
            assert!(read_event(&a_log(), position, value[..length].to_vec().into()).is_err());
        }
    }

    #[cfg(feature = "wire")]
    #[test]
    fn a_stored_event_is_a_message_of_the_schema() {
        use prost::Message;
        let position = Position { offset: Offset::from_nanos(5), seq: Seq::new(0, 42) };
        let record = Record::new("data").with("kind", "paid").with("kind", "twice");
        let before = Event { log: a_log(), position, arrived: Some(Offset::from_nanos(-1)), record };
        let mut message = crate::wire::proto::Event::decode(&*event(&before)).expect("a message of the schema");
        (message.offset, message.seq) = (5, 42);
        assert_eq!(message.of_log(&a_log()), before);
    }
}
