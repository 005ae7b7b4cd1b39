//! Records and events: what is written, and what is read back.

use std::{collections::BTreeMap, fmt, ops::Deref};

use crate::{Error, LogId, Offset, Position, Result};

/// Names that the metadata of a record may carry to say something to the log. They are taken
/// off before the record is stored.
pub mod header {
    /// The event's own time, where it is not the time of arrival: RFC 3339, or `@` seconds.
    pub const TIME: &str = "Hourlog-Time";
    /// `n`: store the event only if its log holds fewer than n + 1 equal ones. Makes importing twice harmless.
    pub const ONCE: &str = "Hourlog-Once";
    /// The message id to store as [`MSG_ID`], in place of the one that the stream looks for duplicates of; empty: none.
    pub const STORED_MSG_ID: &str = "Hourlog-Msg-Id";
    /// On an event of `_rejected`: why it was not taken.
    pub const REJECTED: &str = "Hourlog-Rejected";
    /// On an event of `_rejected`: the subject that it came on.
    pub const SUBJECT: &str = "Hourlog-Subject";
    /// The publisher's message id: the one `Nats-` header that is kept.
    pub const MSG_ID: &str = "Nats-Msg-Id";
}

/// How far ahead of its arrival an event's own time may be, in nanoseconds: five minutes, for
/// clocks that are a little off. More is an error of the publisher's.
pub const AHEAD_NANOS_MAX: i64 = 5 * crate::time::MINUTE;

/// What is written to a log: metadata and data.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// Names with one or more values each.
    pub metadata: Metadata,
    /// The payload, byte for byte.
    pub data: Data,
}

impl Record {
    /// A record of `data` without metadata.
    pub fn new(data: impl Into<Data>) -> Self {
        Self { metadata: Metadata::new(), data: data.into() }
    }

    /// The same record, to be kept at `offset` instead of at the time of its arrival.
    pub fn at(mut self, offset: Offset) -> Self {
        self.metadata.0.insert(header::TIME.to_owned(), vec![offset.to_string()]);
        self
    }

    /// The same record with one more value of `name`.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push(name, value);
        self
    }

    /// The bytes that it holds: data, names and values.
    pub fn bytes(&self) -> usize {
        self.data.len() + self.metadata.bytes()
    }

    /// Takes the event's own time off the metadata and answers the offset at which an arrival at
    /// `arrived` is kept.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) where the time cannot be read, is given more than once
    /// or is more than [`AHEAD_NANOS_MAX`] ahead of the arrival. The metadata stays as it is then.
    pub fn take_offset(&mut self, arrived: Offset) -> Result<Offset> {
        let Some(values) = self.metadata.0.get(header::TIME) else {
            return Ok(arrived);
        };
        let rejected = |why: String| Error::new(crate::ErrorKind::Rejected, why);
        let [value] = values.as_slice() else {
            return Err(rejected(format!("{} is given {} times; give it once", header::TIME, values.len())));
        };
        let offset: Offset = value.parse().map_err(|error: Error| rejected(format!("{}: {error}", header::TIME)))?;
        if offset.nanos().saturating_sub(arrived.nanos()) > AHEAD_NANOS_MAX {
            return Err(rejected(format!(
                "{} {offset} is more than 5 minutes ahead of the arrival at {arrived}",
                header::TIME
            )));
        }
        self.metadata.0.remove(header::TIME);
        Ok(offset)
    }
}

/// Names with one or more values each: the headers of a NATS message.
///
/// The names are a set, in no order of their own; the values of a name keep theirs. Blanks
/// around a value are not kept, because NATS clients trim them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata(BTreeMap<String, Vec<String>>);

impl Metadata {
    /// No names at all.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// One more value of `name`, behind those that it has.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let mut value = value.into();
        let trimmed = value.trim();
        if trimmed.len() != value.len() {
            value = trimmed.to_owned();
        }
        self.0.entry(name.into()).or_default().push(value);
    }

    /// The values of `name`, in order; none where the name is not there.
    pub fn get(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Takes `name` off, with its values.
    pub fn remove(&mut self, name: &str) -> Option<Vec<String>> {
        self.0.remove(name)
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The names with their values, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[String])> {
        self.0.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// The bytes of names and values.
    pub fn bytes(&self) -> usize {
        let values = |values: &[String]| values.iter().map(String::len).sum::<usize>();
        self.iter().map(|(name, of_name)| name.len() + values(of_name)).sum()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut metadata = Self::new();
        for (name, value) in pairs {
            metadata.push(name, value);
        }
        metadata
    }
}

/// The payload of a record: bytes that are cheap to clone.
///
/// With the feature `bytes` it is a [`bytes::Bytes`] inside and is made from one, and into one, without copying.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Data(Shared);

#[cfg(feature = "bytes")]
type Shared = bytes::Bytes;
#[cfg(not(feature = "bytes"))]
type Shared = std::sync::Arc<[u8]>;

#[cfg(feature = "bytes")]
impl Data {
    /// The bytes, shared.
    pub fn into_bytes(self) -> bytes::Bytes {
        self.0
    }
}

#[cfg(feature = "bytes")]
impl From<bytes::Bytes> for Data {
    fn from(bytes: bytes::Bytes) -> Self {
        Self(bytes)
    }
}

impl Deref for Data {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Shared::from(bytes))
    }
}

impl From<String> for Data {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl From<&str> for Data {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes().to_vec())
    }
}

impl From<&[u8]> for Data {
    fn from(bytes: &[u8]) -> Self {
        Self::from(bytes.to_vec())
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self))
    }
}

/// A record in its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The log that holds it.
    pub log: LogId,
    /// Its time and its place in arrival order.
    pub position: Position,
    /// When it arrived, where that is not its offset.
    pub arrived: Option<Offset>,
    /// What was written.
    pub record: Record,
}

/// The beginning of a text that came from outside, for an error that quotes it.
pub fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_events_own_time_becomes_its_offset_and_leaves_the_metadata() {
        let arrived = Offset::from_nanos(10 * crate::time::HOUR);
        let own = Offset::from_nanos(crate::time::HOUR);
        let mut record = Record::new("x").at(own).with("kind", "paid");
        assert_eq!(record.take_offset(arrived).expect("a good time"), own);
        assert_eq!(record, Record::new("x").with("kind", "paid"));
        assert_eq!(record.take_offset(arrived).expect("no time"), arrived);
    }

    #[test]
    fn a_time_more_than_five_minutes_ahead_is_rejected_and_one_exactly_so_is_not() {
        let arrived = Offset::from_nanos(0);
        let ahead = |nanos| Record::new("x").at(Offset::from_nanos(AHEAD_NANOS_MAX + nanos)).take_offset(arrived);
        assert!(ahead(0).is_ok());
        assert_eq!(ahead(1).expect_err("too far").kind(), crate::ErrorKind::Rejected);
        let mut unreadable = Record::new("x").with(header::TIME, "soon");
        assert!(unreadable.take_offset(arrived).is_err());
        assert_eq!(unreadable.metadata.get(header::TIME), ["soon"]);
    }

    #[test]
    fn values_keep_their_order_and_lose_their_blanks() {
        let metadata: Metadata = [("kind", " paid"), ("kind", "twice\t"), ("kind", "paid")].into_iter().collect();
        assert_eq!(metadata.get("kind"), ["paid", "twice", "paid"]);
    }
}
