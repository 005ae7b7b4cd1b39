//! Packs: events that are stored as one value, and sent as they are stored.
//!
//! A small pack is its events alone, one after the other, as fields of a page. A larger one begins with a head, which
//! says what a reader must know to send it without a look at its events. These follow as they are, or as one block of
//! LZ4 if that makes them smaller by an eighth.

use crate::{
    Data, Offset, Position, Seq,
    encoded::{self, EncodedEvent, Malformed},
    event::EventRow,
};

/// The bytes of events from which a pack has a head.
const HEADED_BYTES_MIN: usize = 4 << 10;
/// The part by which compression must make a pack smaller.
const SAVED_MIN: usize = 8;
/// The most that LZ4 makes of a byte. More is not allocated for what a damaged head says.
const RATIO_MAX: usize = 256;

/// The first byte of a pack with a head. One without begins with the tag of a field.
const PLAIN: u8 = 1;
const LZ4: u8 = 2;
/// The bytes of a head, with the first byte.
const HEAD_BYTES: usize = 37;

/// A pack with a head. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pack {
    first: Position,
    head: Head,
    is_compressed: bool,
    body: Data,
}

/// The head of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    /// The number of events.
    count: u32,
    /// The bytes of data, names and values.
    record_bytes: u32,
    /// The bytes of the fields.
    length: u32,
    last: Position,
    /// The greatest seq.
    newest: Seq,
}

/// Encodes a pack of `events`, at least one, in timeline order.
pub(crate) fn encode<'a>(events: impl Iterator<Item = &'a EventRow> + Clone, bytes_expected: usize) -> Vec<u8> {
    let mut fields = Vec::with_capacity(bytes_expected);
    events.clone().for_each(|row| encoded::encode(&row.event, &mut fields));
    if fields.len() < HEADED_BYTES_MIN {
        return fields;
    }
    let Some(head) = Head::of(events, fields.len()) else { return fields };
    let block = lz4_flex::block::compress(&fields);
    let is_compressed = block.len() <= fields.len() - fields.len() / SAVED_MIN;
    let (kind, body) = if is_compressed { (LZ4, &block) } else { (PLAIN, &fields) };
    // No more room than it takes: it stays in memory until it is written out.
    let mut value = Vec::with_capacity(HEAD_BYTES + body.len());
    head.write(kind, &mut value);
    value.extend_from_slice(body);
    value
}

/// Appends the `length` bytes that a block of LZ4 holds.
pub(crate) fn decompress(block: &[u8], length: usize, fields: &mut Vec<u8>) -> Result<(), Malformed> {
    if length / RATIO_MAX > block.len() {
        return Err(Malformed);
    }
    let start = fields.len();
    fields.resize(start + length, 0);
    match lz4_flex::block::decompress_into(block, &mut fields[start..]) {
        Ok(written) if written == length => Ok(()),
        _ => Err(Malformed),
    }
}

/// Returns the events of a stored value.
pub(crate) fn events(value: &Data) -> Result<Vec<EncodedEvent>, Malformed> {
    match Pack::of_value(Position::MIN, value)? {
        Some(pack) => pack.into_events(),
        None => encoded::read_all(value).collect(),
    }
}

/// Returns the position of the last event of a stored value.
pub(crate) fn last(value: &Data) -> Result<Option<Position>, Malformed> {
    match Pack::of_value(Position::MIN, value)? {
        Some(pack) => Ok(Some(pack.last())),
        None => Ok(events(value)?.last().map(EncodedEvent::position)),
    }
}

impl Pack {
    /// Reads a stored value whose first event is at `first`; `None` if it has no head.
    pub(crate) fn of_value(first: Position, value: &Data) -> Result<Option<Self>, Malformed> {
        let is_compressed = match value.first() {
            Some(&LZ4) => true,
            Some(&PLAIN) => false,
            _ => return Ok(None),
        };
        let head = Head::read(value)?;
        let body = value.slice(HEAD_BYTES..value.len());
        if !is_compressed && body.len() as u64 != u64::from(head.length) {
            return Err(Malformed);
        }
        Ok(Some(Self { first, head, is_compressed, body }))
    }

    pub(crate) fn count(&self) -> usize {
        self.head.count as usize
    }

    pub(crate) fn first(&self) -> Position {
        self.first
    }

    pub(crate) fn last(&self) -> Position {
        self.head.last
    }

    pub(crate) fn newest(&self) -> Seq {
        self.head.newest
    }

    pub(crate) fn record_bytes(&self) -> usize {
        self.head.record_bytes as usize
    }

    /// The bytes of the fields.
    pub(crate) fn length(&self) -> usize {
        self.head.length as usize
    }

    /// The fields, or a block of LZ4 that holds them.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    pub(crate) fn is_compressed(&self) -> bool {
        self.is_compressed
    }

    /// The events, which must agree with the head.
    pub(crate) fn into_events(self) -> Result<Vec<EncodedEvent>, Malformed> {
        let (head, length) = (self.head, self.length());
        let fields = if self.is_compressed {
            let mut fields = Vec::new();
            decompress(&self.body, length, &mut fields)?;
            fields.into()
        } else {
            self.body
        };
        let events: Vec<EncodedEvent> = encoded::read_all(&fields).collect::<Result<_, _>>()?;
        let record_bytes: usize = events.iter().map(EncodedEvent::record_bytes).sum();
        let found = (events.len(), record_bytes, events.last().map(EncodedEvent::position));
        let newest = events.iter().map(|event| event.position().seq).max();
        let agrees = found == (head.count as usize, head.record_bytes as usize, Some(head.last));
        if agrees && newest == Some(head.newest) { Ok(events) } else { Err(Malformed) }
    }
}

impl Head {
    /// Returns the head of these events, which take `length` bytes; `None` if a number is too large for it.
    fn of<'a>(events: impl Iterator<Item = &'a EventRow> + Clone, length: usize) -> Option<Self> {
        let record_bytes: usize = events.clone().map(|row| row.event.record.bytes()).sum();
        Some(Self {
            count: u32::try_from(events.clone().count()).ok()?,
            record_bytes: u32::try_from(record_bytes).ok()?,
            length: u32::try_from(length).ok()?,
            last: events.clone().last()?.event.position,
            newest: events.map(|row| row.event.position.seq).max()?,
        })
    }

    fn write(&self, kind: u8, value: &mut Vec<u8>) {
        let Self { count, record_bytes, length, last, newest } = self;
        value.push(kind);
        [count, record_bytes, length].into_iter().for_each(|number| value.extend(number.to_le_bytes()));
        let numbers = [last.offset.nanos(), last.seq.get(), newest.get()];
        numbers.into_iter().for_each(|number| value.extend(number.to_le_bytes()));
    }

    fn read(value: &[u8]) -> Result<Self, Malformed> {
        let numbers = value.get(1..HEAD_BYTES).ok_or(Malformed)?;
        let (small, large) = numbers.split_at(12);
        let small = |place: usize| small[4 * place..][..4].try_into().map(u32::from_le_bytes).map_err(|_| Malformed);
        let large = |place: usize| large[8 * place..][..8].try_into().map(i64::from_le_bytes).map_err(|_| Malformed);
        Ok(Self {
            count: small(0)?,
            record_bytes: small(1)?,
            length: small(2)?,
            last: Position { offset: Offset::from_nanos(large(0)?), seq: Seq::from_number(large(1)?) },
            newest: Seq::from_number(large(2)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LogId, Record, random::Random, store::Arrival};

    fn rows(count: usize, data: impl Fn(usize) -> Vec<u8>) -> Vec<EventRow> {
        let log: LogId = "orders.eu".parse().expect("a valid id");
        let row = |number: usize| {
            let time = Offset::from_nanos(number as i64);
            // The newest is not the last one.
            let seq = Seq::new(1, 1_000 - number as u64);
            EventRow::new(&log, Arrival { offset: time, time, max_time: time, seq }, Record::new(data(number)))
        };
        (1..=count).map(row).collect()
    }

    fn noise(number: usize) -> Vec<u8> {
        Random(number as u64).bytes(300)
    }

    /// Packs of a few events, of many that compress, and of many that do not.
    fn packs() -> [(Vec<EventRow>, Option<bool>); 3] {
        let text = |number| format!("{{\"order\":{number},\"state\":\"paid\"}}").into_bytes();
        [(rows(3, text), None), (rows(300, text), Some(true)), (rows(50, noise), Some(false))]
    }

    #[test]
    fn the_events_of_a_pack_are_read_again_and_its_head_describes_them() {
        for (rows, is_compressed) in packs() {
            let value = encode(rows.iter(), rows.iter().map(|row| row.event.record.bytes() + 40).sum());
            assert!(value.capacity() <= value.len() + value.len() / 2, "{} of {}", value.len(), value.capacity());
            let value = Data::from(value);
            let expected: Vec<EncodedEvent> = rows.iter().map(|row| EncodedEvent::from(&row.event)).collect();
            assert_eq!(events(&value), Ok(expected));
            assert_eq!(last(&value), Ok(rows.last().map(|row| row.event.position)));
            let first = rows[0].event.position;
            let pack = Pack::of_value(first, &value).expect("what was just encoded");
            assert_eq!(pack.as_ref().map(Pack::is_compressed), is_compressed);
            let Some(pack) = pack else { continue };
            assert_eq!((pack.count(), pack.first(), pack.newest()), (rows.len(), first, Seq::new(1, 999)));
            assert_eq!(pack.record_bytes(), rows.iter().map(|row| row.event.record.bytes()).sum::<usize>());
            let saved = pack.body().len() < pack.length() * 7 / 8;
            assert_eq!(Some(saved), is_compressed);
        }
    }

    #[test]
    fn a_damaged_pack_is_an_error_or_of_other_events_and_never_a_panic() {
        for (rows, _) in packs() {
            let value = encode(rows.iter(), 0);
            let whole = events(&Data::from(value.clone()));
            for length in (0..value.len()).step_by(7) {
                assert_ne!(events(&Data::from(&value[..length])), whole, "{length}");
            }
            for at in (0..HEAD_BYTES).chain((HEAD_BYTES..value.len()).step_by(5)) {
                let mut damaged = value.clone();
                damaged[at] ^= 0x55;
                assert_ne!(events(&Data::from(damaged)), whole, "{at}");
            }
        }
    }
}
