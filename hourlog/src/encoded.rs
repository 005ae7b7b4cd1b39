//! Events as they are stored and sent: encoded, so that a page is made by copying.
//!
//! The encoding is that of a field `events` of a `Page` in `schema/hourlog.proto`: the tag, the length, and a message
//! `Event`. Fields are written in the order of their numbers, and read in any order; unknown ones are passed over.

use crate::{Data, Event, LogId, Metadata, Offset, Position, Record, Seq};

// Tags of protobuf: field number << 3 | wire type.
const EVENT: u64 = 1 << 3 | 2;
const OFFSET: u64 = 1 << 3 | 1;
const SEQ: u64 = 2 << 3;
const ARRIVED: u64 = 3 << 3 | 1;
const METADATA: u64 = 4 << 3 | 2;
const DATA: u64 = 5 << 3 | 2;
const NAME: u64 = 1 << 3 | 2;
const VALUE: u64 = 2 << 3 | 2;

/// The bytes of a tag and a fixed number of 64 bits.
const FIXED_BYTES: usize = 9;

/// An event without its log, encoded as a page has it. Cheap to clone.
///
/// ```
/// use hourlog::{Event, Position, Record, Seq, store::EncodedEvent};
/// let position = Position { offset: "2018-02-04T10:00:00Z".parse()?, seq: Seq::new(1, 42) };
/// let event = Event { log: "orders.eu".parse()?, position, arrived: None, record: Record::new("paid") };
///
/// let encoded = EncodedEvent::from(&event);
/// assert_eq!((encoded.position(), encoded.record_bytes()), (position, 4));
/// assert_eq!(encoded.decode(&event.log), event);
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedEvent {
    position: Position,
    arrived: Option<Offset>,
    record_bytes: usize,
    /// The field, with its tag and its length.
    field: Data,
}

/// The error of bytes that are not encoded events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl EncodedEvent {
    /// The time and the place in arrival order.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The arrival time of a late event; `None` for an on-time one.
    pub fn arrived(&self) -> Option<Offset> {
        self.arrived
    }

    /// The bytes of the record: data, names and values.
    pub fn record_bytes(&self) -> usize {
        self.record_bytes
    }

    /// The event as a field of a page, with tag and length.
    pub fn as_field(&self) -> &[u8] {
        &self.field
    }

    /// Decodes the event, as one of `log`. Its data shares the bytes.
    pub fn decode(&self, log: &LogId) -> Event {
        let mut reader = Reader { bytes: &self.field, at: 0 };
        // It was read once before: these are the bytes of an event.
        let message = reader.tag().and_then(|_| reader.length_delimited());
        let length = self.field.len();
        let decoded = message.and_then(|message| decode_message(log, &self.field, length - message.len()..length));
        let record = decoded.map(|event| event.record).unwrap_or_default();
        Event { log: log.clone(), position: self.position, arrived: self.arrived, record }
    }
}

impl From<&Event> for EncodedEvent {
    fn from(event: &Event) -> Self {
        let mut field = Vec::new();
        encode(event, &mut field);
        Self {
            position: event.position,
            arrived: event.arrived,
            record_bytes: event.record.bytes(),
            field: field.into(),
        }
    }
}

/// Appends `event` to `fields`, as a field of a page.
pub(crate) fn encode(event: &Event, fields: &mut Vec<u8>) {
    let Event { position, arrived, record, .. } = event;
    let names = record.metadata.iter().map(|(name, values)| name_length(name, values));
    let metadata: usize = names.map(length_delimited_length).sum();
    put_head(fields, *position, *arrived, metadata, record.data.len());
    record.metadata.iter().for_each(|(name, values)| put_name(fields, name, values));
    put_bytes(fields, DATA, &record.data);
}

/// Events that are encoded one after the other, into bytes that all of them share.
#[cfg(feature = "scylla")]
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    fields: Vec<u8>,
    /// The names of the next event, encoded, and the bytes of their text.
    names: (Vec<u8>, usize),
    /// Each event but its field, and the end of that.
    events: Vec<(Outline, usize)>,
}

#[cfg(feature = "scylla")]
impl Encoder {
    /// Adds a name with its values to the event that [`push`](Self::push) adds next.
    pub(crate) fn push_name(&mut self, name: &str, values: &[&str]) {
        put_name(&mut self.names.0, name, values);
        self.names.1 += name.len() + values.iter().map(|value| value.len()).sum::<usize>();
    }

    /// Adds an event. Returns the bytes of its record.
    pub(crate) fn push(&mut self, position: Position, arrived: Option<Offset>, data: &[u8]) -> usize {
        let (names, names_bytes) = &mut self.names;
        put_head(&mut self.fields, position, arrived, names.len(), data.len());
        self.fields.append(names);
        put_bytes(&mut self.fields, DATA, data);
        let record_bytes = std::mem::take(names_bytes) + data.len();
        self.events.push((Outline { position, arrived, record_bytes }, self.fields.len()));
        record_bytes
    }

    /// Returns the events, in the order in which they were added.
    pub(crate) fn finish(self) -> Vec<EncodedEvent> {
        let (fields, mut from) = (Data::from(self.fields), 0);
        let event =
            |(outline, to): (Outline, usize)| outline.encoded(fields.slice(std::mem::replace(&mut from, to)..to));
        self.events.into_iter().map(event).collect()
    }
}

/// Appends all of an event but its names and its data.
fn put_head(
    fields: &mut Vec<u8>,
    position: Position,
    arrived: Option<Offset>,
    names_length: usize,
    data_length: usize,
) {
    let seq = position.seq.get() as u64;
    let length = FIXED_BYTES
        + 1
        + varint_length(seq)
        + arrived.map_or(0, |_| FIXED_BYTES)
        + names_length
        + length_delimited_length(data_length);
    fields.reserve(length_delimited_length(length));
    put_varint(fields, EVENT);
    put_varint(fields, length as u64);
    put_fixed(fields, OFFSET, position.offset.nanos());
    put_varint(fields, SEQ);
    put_varint(fields, seq);
    if let Some(arrived) = arrived {
        put_fixed(fields, ARRIVED, arrived.nanos());
    }
}

/// Appends a name with its values.
fn put_name(fields: &mut Vec<u8>, name: &str, values: &[impl AsRef<str>]) {
    put_varint(fields, METADATA);
    put_varint(fields, name_length(name, values) as u64);
    put_bytes(fields, NAME, name.as_bytes());
    values.iter().for_each(|value| put_bytes(fields, VALUE, value.as_ref().as_bytes()));
}

/// Reads the encoded events that follow each other in `fields`. They share its bytes.
pub(crate) fn read_all(fields: &Data) -> impl Iterator<Item = Result<EncodedEvent, Malformed>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        (at < fields.len()).then(|| {
            let from = at;
            let mut reader = Reader { bytes: fields, at };
            // After an error, nothing more can be read.
            at = fields.len();
            if reader.tag()? != EVENT {
                return Err(Malformed);
            }
            let length = reader.length_delimited()?.len();
            let end = reader.at;
            at = end;
            Ok(Outline::read(&fields[end - length..end])?.encoded(fields.slice(from..end)))
        })
    })
}

/// Decodes the event whose message, without tag and length, lies at `range` in `page`, in one pass. Its data shares the
/// bytes.
pub(crate) fn decode_message(log: &LogId, page: &Data, range: std::ops::Range<usize>) -> Result<Event, Malformed> {
    let bytes = page.get(..range.end).ok_or(Malformed)?;
    let mut reader = Reader { bytes, at: range.start };
    // A field that is missing has the value 0.
    let (mut offset, mut seq, mut arrived, mut record) = (0, 0, None, Record::default());
    while !reader.is_at_end() {
        match reader.tag()? {
            OFFSET => offset = reader.fixed()?,
            SEQ => seq = reader.varint()? as i64,
            ARRIVED => arrived = Some(Offset::from_nanos(reader.fixed()?)),
            METADATA => {
                let mut field = Reader { bytes: reader.length_delimited()?, at: 0 };
                read_name(&mut field, &mut record.metadata)?;
            }
            DATA => {
                let length = reader.length_delimited()?.len();
                record.data = page.slice(reader.at - length..reader.at);
            }
            other => reader.skip(other)?,
        }
    }
    let position = Position { offset: Offset::from_nanos(offset), seq: Seq::from_number(seq) };
    Ok(Event { log: log.clone(), position, arrived, record })
}

/// Returns the next field `events` of `page` from `at` on: the range of its message, without tag and length. Appends the
/// fields before it to `others`. `None` at the end of the page.
#[cfg(feature = "remote")]
pub(crate) fn next_message(
    page: &[u8],
    mut at: usize,
    others: &mut Vec<u8>,
) -> Result<Option<std::ops::Range<usize>>, Malformed> {
    while at < page.len() {
        let mut reader = Reader { bytes: page, at };
        let tag = reader.tag()?;
        if tag == EVENT {
            let length = reader.length_delimited()?.len();
            return Ok(Some(reader.at - length..reader.at));
        }
        reader.skip(tag)?;
        others.extend_from_slice(&page[at..reader.at]);
        at = reader.at;
    }
    Ok(None)
}

/// All of an event but its record.
#[derive(Debug)]
struct Outline {
    position: Position,
    arrived: Option<Offset>,
    record_bytes: usize,
}

impl Outline {
    fn read(message: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader { bytes: message, at: 0 };
        // A field that is missing has the value 0.
        let (mut offset, mut seq, mut arrived, mut metadata_bytes, mut data_bytes) = (0, 0, None, 0, 0);
        while !reader.is_at_end() {
            match reader.tag()? {
                OFFSET => offset = reader.fixed()?,
                SEQ => seq = reader.varint()? as i64,
                ARRIVED => arrived = Some(Offset::from_nanos(reader.fixed()?)),
                METADATA => {
                    let mut name = Reader { bytes: reader.length_delimited()?, at: 0 };
                    while !name.is_at_end() {
                        match name.tag()? {
                            NAME | VALUE => metadata_bytes += name.text()?.len(),
                            other => name.skip(other)?,
                        }
                    }
                }
                DATA => data_bytes = reader.length_delimited()?.len(),
                other => reader.skip(other)?,
            }
        }
        let position = Position { offset: Offset::from_nanos(offset), seq: Seq::from_number(seq) };
        Ok(Self { position, arrived, record_bytes: metadata_bytes + data_bytes })
    }

    fn encoded(self, field: Data) -> EncodedEvent {
        let Self { position, arrived, record_bytes } = self;
        EncodedEvent { position, arrived, record_bytes, field }
    }
}

/// Reads a name with its values.
fn read_name(field: &mut Reader<'_>, metadata: &mut Metadata) -> Result<(), Malformed> {
    // Most names have one value.
    let (mut name, mut values) = ("", Vec::with_capacity(1));
    while !field.is_at_end() {
        match field.tag()? {
            NAME => name = field.text()?,
            VALUE => values.push(field.text()?.trim().to_owned()),
            other => field.skip(other)?,
        }
    }
    metadata.append(name, values);
    Ok(())
}

/// Returns the length of a message with a name and its values.
fn name_length(name: &str, values: &[impl AsRef<str>]) -> usize {
    let values = values.iter().map(|value| length_delimited_length(value.as_ref().len()));
    length_delimited_length(name.len()) + values.sum::<usize>()
}

/// Returns the length of a field of `length` bytes, with its tag and its length.
fn length_delimited_length(length: usize) -> usize {
    1 + varint_length(length as u64) + length
}

fn varint_length(number: u64) -> usize {
    (u64::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

fn put_varint(fields: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        fields.push(number as u8 | 0x80);
        number >>= 7;
    }
    fields.push(number as u8);
}

fn put_fixed(fields: &mut Vec<u8>, tag: u64, number: i64) {
    put_varint(fields, tag);
    fields.extend(number.to_le_bytes());
}

fn put_bytes(fields: &mut Vec<u8>, tag: u64, bytes: &[u8]) {
    put_varint(fields, tag);
    put_varint(fields, bytes.len() as u64);
    fields.extend_from_slice(bytes);
}

/// Reads fields.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn tag(&mut self) -> Result<u64, Malformed> {
        self.varint()
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        // Tags and most lengths have one byte.
        if let Some(&byte) = self.bytes.get(self.at)
            && byte < 0x80
        {
            self.at += 1;
            return Ok(u64::from(byte));
        }
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(Malformed)?;
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length).ok_or(Malformed)?;
        let bytes = self.bytes.get(self.at..end).ok_or(Malformed)?;
        self.at = end;
        Ok(bytes)
    }

    fn fixed(&mut self) -> Result<i64, Malformed> {
        let bytes = self.take(8)?.try_into().map_err(|_| Malformed)?;
        Ok(i64::from_le_bytes(bytes))
    }

    fn length_delimited(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
        self.take(length)
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.length_delimited()?).map_err(|_| Malformed)
    }

    /// Passes over the value of the field with this tag.
    fn skip(&mut self, tag: u64) -> Result<(), Malformed> {
        match tag & 7 {
            0 => self.varint().map(drop),
            1 => self.take(8).map(drop),
            2 => self.length_delimited().map(drop),
            5 => self.take(4).map(drop),
            _ => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_log() -> LogId {
        "orders.eu".parse().expect("a valid id")
    }

    fn events() -> Vec<Event> {
        let event = |(at, (arrived, record)): (usize, (Option<i64>, Record))| {
            let position = Position { offset: Offset::from_nanos(5 - at as i64), seq: Seq::new(at as u32, 42) };
            Event { log: a_log(), position, arrived: arrived.map(Offset::from_nanos), record }
        };
        let records = [
            (None, Record::new("")),
            (Some(-7), Record::new(&b"\xff\x00"[..]).with("kind", "paid").with("kind", "twice").with("a", "")),
            (Some(i64::MAX), Record::new("x".repeat(300)).with("n".repeat(200), "v".repeat(20_000))),
        ];
        records.into_iter().enumerate().map(event).collect()
    }

    fn encoded(events: &[Event]) -> Vec<u8> {
        let mut fields = Vec::new();
        events.iter().for_each(|event| encode(event, &mut fields));
        fields
    }

    #[test]
    fn events_round_trip_one_after_the_other() {
        let events = events();
        let read: Result<Vec<_>, _> = read_all(&encoded(&events).into()).collect();
        let read = read.expect("what was just encoded");
        assert_eq!(read.iter().map(|event| event.decode(&a_log())).collect::<Vec<_>>(), events);
        for (read, event) in read.iter().zip(&events) {
            assert_eq!(*read, EncodedEvent::from(event));
            assert_eq!(read.record_bytes(), event.record.bytes());
        }
    }

    #[cfg(feature = "scylla")]
    #[test]
    fn events_that_share_their_bytes_are_encoded_as_others() {
        let events = events();
        let mut encoder = Encoder::default();
        for event in &events {
            for (name, values) in event.record.metadata.iter() {
                encoder.push_name(name, &values.iter().map(String::as_str).collect::<Vec<_>>());
            }
            let bytes = encoder.push(event.position, event.arrived, &event.record.data);
            assert_eq!(bytes, event.record.bytes());
        }
        assert_eq!(encoder.finish(), events.iter().map(EncodedEvent::from).collect::<Vec<_>>());
    }

    #[test]
    fn a_truncated_event_is_an_error_and_never_a_panic() {
        let fields = encoded(&events()[1..2]);
        for length in 1..fields.len() {
            let read: Vec<_> = read_all(&fields[..length].into()).collect();
            assert_eq!(read, [Err(Malformed)]);
        }
    }

    #[cfg(feature = "wire")]
    #[test]
    fn encoded_events_are_the_fields_of_a_page() {
        use prost::Message;
        let events = events();
        let page = crate::wire::proto::Page::decode(&*encoded(&events)).expect("a page of the schema");
        let read: Vec<_> = page.events.into_iter().map(|event| event.of_log(&a_log())).collect();
        assert_eq!(read, events);
    }

    #[cfg(feature = "wire")]
    #[test]
    fn events_of_another_encoder_are_read() {
        use prost::Message;
        // Such an encoder leaves out what is 0 and empty.
        let page = crate::wire::proto::Page { events: vec![Default::default()], ..Default::default() };
        let read: Result<Vec<_>, _> = read_all(&page.encode_to_vec().into()).collect();
        let event = &read.expect("an event of the schema")[0];
        assert_eq!((event.position().offset, event.record_bytes()), (Offset::from_nanos(0), 0));
    }
}
